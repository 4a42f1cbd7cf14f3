"""What a read returns of each point: parts of its payload, and vectors."""

from collections.abc import Callable
from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.values import Json, names, one_of
from app.embedded.qdrant.edge.vectors import Schema


def with_payload(value: Json) -> Any:
    """Which parts of the payload to return; a bare list names the ones to include."""
    if isinstance(value, bool):
        return value
    return one_of({"include": value} if isinstance(value, list) else value, "with_payload", SELECTORS)


def with_vector(value: Json, schema: Schema) -> Any:
    """Which vectors to return."""
    if isinstance(value, bool):
        return value
    for name in names(value, "with_vector"):
        if name not in schema.dense and name not in schema.sparse:
            raise BadInputError(f"Not existing vector name error: {name}")
    return value


SELECTORS: dict[str, Callable[[Json], Any]] = {
    "include": lambda keys: q.PayloadSelector.Include(names(keys, "include")),
    "exclude": lambda keys: q.PayloadSelector.Exclude(names(keys, "exclude")),
}
