"""Point ids: unsigned integers and UUIDs."""

from uuid import UUID

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.values import Json, build, sequence

PointId = int | UUID | str


def point_id(value: Json) -> PointId:
    """`value` as a point id; a string must be a UUID, in any of its spellings."""
    return next(iter(point_ids([value])))


def point_ids(values: Json) -> list[PointId]:
    """`values` as point ids."""
    for value in sequence(values, "point ids"):
        if type(value) not in (int, str):
            raise BadInputError(f"{value!r:.40} is not a valid point ID: use an unsigned integer or a UUID")
        build("point id", q.HasIdCondition, {value})
    return list(values)
