"""The points of an upsert."""

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.ids import point_id
from app.embedded.qdrant.edge.values import Json, Object, build, check_depth, fields, required, sequence
from app.embedded.qdrant.edge.vectors import Schema


def point(body: Json, schema: Schema) -> q.Point:
    """One point of an upsert."""
    body = fields(body, "point", ("id", "vector", "payload"))
    given = required(body, "vector", "point")
    if isinstance(given, dict):
        vector = {name: schema.vector(name, value) for name, value in given.items()}
    else:
        vector = schema.vector("", given)
    identifier = required(body, "id", "point")
    if type(identifier) not in (int, str):
        point_id(identifier)
    payload = body.get("payload")
    if payload is not None:
        payload_object(payload)
    made: q.Point = build(f"point {identifier!r:.60}", q.Point, identifier, vector, payload)
    return made


def payload_object(value: Json) -> Object:
    """`value` as a payload."""
    if not isinstance(value, dict):
        raise BadInputError("payload must be an object")
    check_depth(value, "payload")
    return value


def rows(batch: Json) -> list[Object]:
    """The columns of the batch form of an upsert, as points."""
    body = fields(batch, "batch", ("ids", "vectors", "payloads"))
    ids = sequence(required(body, "ids", "batch"), "ids")
    vectors = required(body, "vectors", "batch")
    if isinstance(vectors, dict):
        columns = [same_length(column, ids, f"vectors of `{name}`") for name, column in vectors.items()]
        vectors = [
            {name: value for name, value in zip(vectors, row, strict=True) if value is not None}
            for row in zip(*columns, strict=True)
        ]
    payloads = same_length(body.get("payloads") or [None] * len(ids), ids, "payloads")
    same_length(vectors, ids, "vectors")
    return [
        {"id": i, "vector": vector, "payload": payload}
        for i, vector, payload in zip(ids, vectors, payloads, strict=True)
    ]


def same_length(values: Json, ids: list[Json], what: str) -> list[Json]:
    """`values`, which must be a list as long as `ids`."""
    if len(sequence(values, what)) != len(ids):
        raise BadInputError(f"batch: {len(ids)} ids, but {len(values)} {what}")
    return list(values)
