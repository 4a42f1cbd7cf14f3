"""Payload indexes: made, dropped and described."""

from collections.abc import Callable
from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import NotSupportedError
from app.embedded.qdrant.edge.values import ELSEWHERE, Json, Object, build, choice, fields, required
from app.embedded.qdrant.edge.vectors import Schema
from app.embedded.qdrant.edge.writes import Write

COMMON = ("on_disk", "enable_hnsw")
INDEXES: dict[str, tuple[q.PayloadSchemaType, Callable[..., Any], tuple[str, ...]]] = {
    "keyword": (q.PayloadSchemaType.Keyword, q.KeywordIndexParams, ("is_tenant", *COMMON)),
    "integer": (
        q.PayloadSchemaType.Integer,
        q.IntegerIndexParams,
        ("lookup", "range", "is_principal", *COMMON),
    ),
    "float": (q.PayloadSchemaType.Float, q.FloatIndexParams, ("is_principal", *COMMON)),
    "bool": (q.PayloadSchemaType.Bool, q.BoolIndexParams, COMMON),
    "datetime": (q.PayloadSchemaType.Datetime, q.DatetimeIndexParams, ("is_principal", *COMMON)),
    "uuid": (q.PayloadSchemaType.Uuid, q.UuidIndexParams, ("is_tenant", *COMMON)),
}
"""What may be indexed: Edge's name of the kind, its parameters' class, and which of them there are."""
UNMAPPED_INDEXES = ("text", "geo")
UNMAPPED_INDEX_PARAMS = ("memory", "nested", "prefix")


def create_index(body: Json, _: Schema) -> Write:
    """A payload index to make."""
    given = fields(body, "index", ("field_name", "field_schema"), ELSEWHERE)
    name = required(given, "field_name", "index")
    if "field_schema" not in given:
        raise NotSupportedError("an index without `field_schema`")
    made = build("index", q.UpdateOperation.create_field_index, name, index_schema(given["field_schema"]))
    return Write(made, 0)


def index_schema(body: Json) -> Any:
    """The kind of a payload index, with or without parameters."""
    name = body.get("type") if isinstance(body, dict) else body
    if name in UNMAPPED_INDEXES:
        raise NotSupportedError(f"a payload index of type `{name}`")
    kind, params, known = choice(name, "type of field_schema", INDEXES)
    if not isinstance(body, dict):
        return kind
    given = fields(body, "field_schema", ("type", *known), UNMAPPED_INDEX_PARAMS)
    del given["type"]
    return build("field_schema", params, **given)


def delete_index(field: str) -> Write:
    """A payload index to drop."""
    return Write(build("index", q.UpdateOperation.delete_field_index, field), 0)


def index_info(info: "q.PayloadIndexInfo") -> Object:
    """A payload index as Qdrant describes it."""
    kind = str(info.data_type).rsplit(".", 1)[-1].lower()  # Edge's enums print as `Kind.Member`
    described: Object = {"data_type": kind, "points": info.points}
    if info.params is not None and kind in INDEXES:  # else an earlier version has made it
        values = {name: getattr(info.params, name) for name in INDEXES[kind][2]}
        given = {name: value for name, value in values.items() if value is not None}
        described["params"] = {"type": kind, **given}
    return described
