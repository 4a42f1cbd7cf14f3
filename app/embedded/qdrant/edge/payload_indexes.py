"""Payload indexes: made, dropped and described."""

from collections.abc import Callable
from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import NotSupportedError
from app.embedded.qdrant.edge.values import ELSEWHERE, Json, Object, build, choice, fields, required
from app.embedded.qdrant.edge.vectors import Schema
from app.embedded.qdrant.edge.writes import Write

TOKENIZERS = {
    "prefix": q.TokenizerType.Prefix,
    "whitespace": q.TokenizerType.Whitespace,
    "word": q.TokenizerType.Word,
    "multilingual": q.TokenizerType.Multilingual,
}
COMMON = ("on_disk", "enable_hnsw")
INDEXES: dict[str, tuple[q.PayloadSchemaType, Callable[..., Any], tuple[str, ...]]] = {
    "keyword": (q.PayloadSchemaType.Keyword, q.KeywordIndexParams, ("is_tenant", "prefix", *COMMON)),
    "integer": (
        q.PayloadSchemaType.Integer,
        q.IntegerIndexParams,
        ("lookup", "range", "is_principal", *COMMON),
    ),
    "float": (q.PayloadSchemaType.Float, q.FloatIndexParams, ("is_principal", *COMMON)),
    "bool": (q.PayloadSchemaType.Bool, q.BoolIndexParams, COMMON),
    "geo": (q.PayloadSchemaType.Geo, q.GeoIndexParams, COMMON),
    "datetime": (q.PayloadSchemaType.Datetime, q.DatetimeIndexParams, ("is_principal", *COMMON)),
    "uuid": (q.PayloadSchemaType.Uuid, q.UuidIndexParams, ("is_tenant", *COMMON)),
    "text": (
        q.PayloadSchemaType.Text,
        q.TextIndexParams,
        ("tokenizer", "min_token_len", "max_token_len", "lowercase", "ascii_folding", "phrase_matching", *COMMON),
    ),
}
LATER_INDEX_PARAMS = ("memory", "nested", "stopwords", "stemmer", "scoring")


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
    if not isinstance(body, dict):
        return choice(body, "field_schema", INDEXES)[0]
    _, params, known = choice(body.get("type"), "type of field_schema", INDEXES)
    given = fields(body, "field_schema", ("type", *known), LATER_INDEX_PARAMS)
    del given["type"]
    if "tokenizer" in given:
        given["tokenizer"] = choice(given["tokenizer"], "tokenizer", TOKENIZERS)
    return build("field_schema", params, **given)


def delete_index(field: str) -> Write:
    """A payload index to drop."""
    return Write(build("index", q.UpdateOperation.delete_field_index, field), 0)


def index_info(info: "q.PayloadIndexInfo") -> Object:
    """A payload index as Qdrant describes it."""
    kind = enum_name(info.data_type)
    described: Object = {"data_type": kind, "points": info.points}
    if info.params is not None:
        values = {name: getattr(info.params, name) for name in INDEXES[kind][2]}
        given = {name: value for name, value in values.items() if value is not None}
        if "tokenizer" in given:
            given["tokenizer"] = enum_name(given["tokenizer"])
        described["params"] = {"type": kind, **given}
    return described


def enum_name(member: Any) -> str:
    """Edge's enums print as `Kind.Member`; Qdrant writes the member in small letters."""
    return str(member).rsplit(".", 1)[-1].lower()
