"""Writes of points and of their payload."""

from collections.abc import Callable
from typing import Any, NamedTuple

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.filters import filter_of
from app.embedded.qdrant.edge.ids import point_ids
from app.embedded.qdrant.edge.points import payload_object, point
from app.embedded.qdrant.edge.values import ELSEWHERE, Json, Object, build, fields, names, required, sequence
from app.embedded.qdrant.edge.vectors import Schema


class Write(NamedTuple):
    """An operation, and how many points it is about (1 when a filter says which)."""

    operation: q.UpdateOperation
    points: int


UNMAPPED_UPSERTS = ("batch", "update_filter", "update_mode")


def upsert(body: Json, schema: Schema) -> Write:
    """Points to write, each in the place of the one that had its id."""
    given = fields(body, "upsert", ("points",), (*ELSEWHERE, *UNMAPPED_UPSERTS))
    points = [point(item, schema) for item in not_empty(required(given, "points", "upsert"), "points")]
    return Write(q.UpdateOperation.upsert_points(points), len(points))


def not_empty(value: Json, what: str) -> list[Json]:
    """`value`, which must be a list of at least one."""
    if not sequence(value, what):
        raise BadInputError("Empty update request")
    return list(value)


def selected(
    given: Object, by_ids: Callable[..., Any], by_filter: Callable[..., Any], *args: Any, **kwargs: Any
) -> Write:
    """The operation on the points that a body selects by their ids or by a filter."""
    if ("points" in given) == ("filter" in given):
        raise BadInputError("exactly one of points and filter must be given")
    if "filter" in given:
        return Write(build("update", by_filter, filter_of(given["filter"]), *args, **kwargs), 1)
    ids = point_ids(not_empty(given["points"], "points"))
    return Write(build("update", by_ids, ids, *args, **kwargs), len(ids))


def delete(body: Json, _: Schema) -> Write:
    """Points to delete."""
    given = fields(body, "delete", ("points", "filter"), ELSEWHERE)
    return selected(given, q.UpdateOperation.delete_points, q.UpdateOperation.delete_points_by_filter)


def set_payload(body: Json, _: Schema) -> Write:
    """Payload fields to set beside those that are there."""
    return _payload(body, q.UpdateOperation.set_payload, q.UpdateOperation.set_payload_by_filter)


def overwrite_payload(body: Json, _: Schema) -> Write:
    """A payload to put in the place of the one that is there."""
    return _payload(body, q.UpdateOperation.overwrite_payload, q.UpdateOperation.overwrite_payload_by_filter)


def _payload(body: Json, by_ids: Callable[..., Any], by_filter: Callable[..., Any]) -> Write:
    given = fields(body, "payload request", ("payload", "points", "filter", "key"), ELSEWHERE)
    payload = payload_object(required(given, "payload", "payload request"))
    return selected(given, by_ids, by_filter, payload, given.get("key"))


def delete_payload(body: Json, _: Schema) -> Write:
    """Payload fields to remove."""
    given = fields(body, "payload request", ("keys", "points", "filter"), ELSEWHERE)
    keys = names(required(given, "keys", "payload request"), "keys")
    return selected(given, q.UpdateOperation.delete_payload, q.UpdateOperation.delete_payload_by_filter, keys)


def clear_payload(body: Json, _: Schema) -> Write:
    """Points to leave without payload."""
    given = fields(body, "payload request", ("points", "filter"), ELSEWHERE)
    return selected(given, q.UpdateOperation.clear_payload, q.UpdateOperation.clear_payload_by_filter)
