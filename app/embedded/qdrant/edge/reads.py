"""The other reads: a scroll, points by their ids, a count, a facet."""

from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.filters import optional_filter
from app.embedded.qdrant.edge.ids import PointId, point_id, point_ids
from app.embedded.qdrant.edge.selectors import with_payload, with_vector
from app.embedded.qdrant.edge.values import DEFAULT_LIMIT, ELSEWHERE, Json, build, choice, fields, integer, required
from app.embedded.qdrant.edge.vectors import Schema

SCROLL_FIELDS = ("limit", "filter", "with_payload", "with_vector", "offset", "order_by")
DIRECTIONS = {"asc": q.Direction.Asc, "desc": q.Direction.Desc}


def scroll_request(body: Json, schema: Schema) -> q.ScrollRequest:
    """One page of a scroll."""
    given = fields(body, "scroll", SCROLL_FIELDS, ELSEWHERE)
    offset, order = given.get("offset"), given.get("order_by")
    if offset is not None and order is not None:
        raise BadInputError("Cannot use an `offset` when using `order_by`. Use `order_by.start_from` instead")
    return q.ScrollRequest(
        offset=None if offset is None else point_id(offset),
        limit=integer(given.get("limit", DEFAULT_LIMIT), "limit", minimum=1),
        filter=optional_filter(given.get("filter")),
        with_payload=with_payload(given.get("with_payload", True)),
        with_vector=with_vector(given.get("with_vector", False), schema),
        order_by=None if order is None else order_by(order),
    )


def retrieve_request(body: Json, schema: Schema) -> tuple[list[PointId], Any, Any]:
    """The points of some ids: these, and which parts of their payload and which vectors to return."""
    given = fields(body, "retrieve", ("ids", "with_payload", "with_vector"), ELSEWHERE)
    return (
        point_ids(required(given, "ids", "retrieve")),
        with_payload(given.get("with_payload", True)),
        with_vector(given.get("with_vector", False), schema),
    )


def order_by(body: Json) -> q.OrderBy:
    """An order by a payload field, which needs an index on it."""
    given = fields({"key": body} if isinstance(body, str) else body, "order_by", ("key", "direction", "start_from"))
    direction = choice(given.get("direction", "asc"), "direction", DIRECTIONS)
    order: q.OrderBy = build(
        "order_by", q.OrderBy, required(given, "key", "order_by"), direction, given.get("start_from")
    )
    return order


def count_request(body: Json) -> q.CountRequest:
    """A count of the points that pass a filter."""
    given = fields(body, "count", ("filter", "exact"), ELSEWHERE)
    request: q.CountRequest = build(
        "count", q.CountRequest, given.get("exact", True), optional_filter(given.get("filter"))
    )
    return request


def facet_request(body: Json) -> q.FacetRequest:
    """A count of the points by the values of a field."""
    given = fields(body, "facet", ("key", "limit", "filter", "exact"), ELSEWHERE)
    request: q.FacetRequest = build(
        "facet",
        q.FacetRequest,
        required(given, "key", "facet"),
        integer(given.get("limit", DEFAULT_LIMIT), "limit", minimum=1),
        given.get("exact", False),
        optional_filter(given.get("filter")),
    )
    return request
