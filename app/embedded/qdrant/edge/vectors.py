"""Vectors in, as a collection's schema wants them."""

from dataclasses import dataclass
from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.values import Json, build, fields, sequence

MAX_F32 = 3.4028234663852886e38


@dataclass(frozen=True)
class Schema:
    """The vectors of a collection: the size of each dense one, and the names of the sparse ones."""

    dense: dict[str, int]
    sparse: frozenset[str]

    def vector(self, name: str, value: Json) -> Any:
        """`value` as a vector for the slot `name`; raises `BadInputError` unless it fits."""
        if name in self.dense:
            return dense_vector(name, value, self.dense[name])
        if name in self.sparse:
            return sparse_vector(name, value)
        raise BadInputError(f"Not existing vector name error: {name}")


def dense_vector(name: str, value: Json, size: int) -> list[float]:
    """`value` as a dense vector of `size` finite 32-bit floats."""
    if not isinstance(value, list):
        raise BadInputError(f"vector `{name}` is dense: it must be a list of numbers")
    if len(value) != size:
        raise BadInputError(f"Vector dimension error: expected dim: {size}, got {len(value)}")
    check_numbers(name, value)
    return value


def sparse_vector(name: str, value: Json) -> q.SparseVector:
    """`value`, an object of `indices` and `values`, as a sparse vector."""
    body = fields(value, f"sparse vector `{name}`", ("indices", "values"))
    indices, values = (sequence(body.get(part), f"`{part}` of vector `{name}`") for part in ("indices", "values"))
    if len(indices) != len(values):
        raise BadInputError(f"vector `{name}`: indices and values must have the same length")
    check_numbers(name, indices)
    check_numbers(name, values)
    if len(set(indices)) != len(indices):
        raise BadInputError(f"vector `{name}`: indices must be unique")
    vector: q.SparseVector = build(f"vector `{name}`", q.SparseVector, indices, values)
    return vector


def check_numbers(name: str, values: list[Json]) -> None:
    """Raise unless all `values` are numbers that a 32-bit float holds."""
    try:
        fits = not values or (min(values) >= -MAX_F32 and max(values) <= MAX_F32)
    except TypeError:
        raise BadInputError(f"vector `{name}` must hold nothing but numbers") from None
    if not fits:
        raise BadInputError(f"vector `{name}` holds a number too large for a 32-bit float")
