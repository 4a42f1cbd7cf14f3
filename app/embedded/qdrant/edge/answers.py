"""Points as Qdrant answers them."""

from collections.abc import Sequence

import qdrant_edge as q

from app.embedded.qdrant.edge.values import Json, Object


def record(found: q.Record | q.ScoredPoint) -> Object:
    """A point as Qdrant answers it."""
    answer: Object = {"id": found.id}
    if found.payload is not None:
        answer["payload"] = found.payload
    if found.vector is not None:
        answer["vector"] = found.vector
    if found.order_value is not None:
        answer["order_value"] = found.order_value
    return answer


def scored(found: Sequence[q.ScoredPoint]) -> Object:
    """The answer to a query."""
    return {"points": [{**record(hit), "version": hit.version, "score": hit.score} for hit in found]}


def plain(value: object) -> Json:
    """What orjson cannot write by itself: a sparse vector."""
    if isinstance(value, q.SparseVector):
        return {"indices": value.indices, "values": value.values}
    raise TypeError(f"{type(value).__name__} is no JSON")
