"""The points of an upsert."""

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.ids import point_id
from app.embedded.qdrant.edge.values import Json, Object, build, check_depth, fields, required
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
