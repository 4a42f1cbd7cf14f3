"""How a collection lies in Qdrant, by the settings: over which nodes, in memory or on disk, whole or quantised.

All of it counts when a collection is made; what is unset is Qdrant's own default.
"""

from dataclasses import dataclass
from typing import Any

from app.core.settings import Quantization, Settings

OVERSAMPLING = 3.0
"""Three times the hits are looked for among quantised vectors, and put in order by the whole ones."""
QUANTIZATIONS: dict[Quantization, dict[str, Any]] = {
    Quantization.SCALAR: {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}},
    Quantization.BINARY: {"binary": {"always_ram": True}},
}
"""Those are what is searched, so they stay in memory; the vectors themselves may lie on disk."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`collection` and `dense` are fields of a request that makes a collection, `changes` of one that changes it."""

    collection: dict[str, Any]
    dense: dict[str, Any]
    sparse: dict[str, Any]
    changes: dict[str, Any]


PLAIN = Layout({}, {}, {}, {})


def layout_of(settings: Settings) -> Layout:
    """The layout that `settings` say."""
    on_disk = {"on_disk": True} if settings.qdrant_on_disk else {}
    nodes = {
        "shard_number": settings.qdrant_shards,
        "replication_factor": settings.qdrant_replicas,
        "write_consistency_factor": settings.qdrant_write_replicas,
    }
    collection: dict[str, Any] = {name: value for name, value in nodes.items() if value is not None}
    if on_disk:
        collection |= {"on_disk_payload": True, "hnsw_config": on_disk}
    quantization = QUANTIZATIONS.get(settings.qdrant_quantization)
    fan_out = settings.qdrant_read_fan_out
    return Layout(
        collection=collection,
        dense=on_disk | ({"quantization_config": quantization} if quantization else {}),
        sparse={"index": on_disk} if on_disk else {},
        changes={"params": {"read_fan_out_factor": fan_out}} if fan_out is not None else {},
    )


def search_params(settings: Settings) -> dict[str, Any]:
    """What a search among dense vectors says beside its vector: quantised ones are looked at more than once."""
    if settings.qdrant_quantization is Quantization.NONE:
        return {}
    return {"params": {"quantization": {"rescore": True, "oversampling": OVERSAMPLING}}}


def read_query(settings: Settings) -> str:
    """The query of an address that is read for a question: how many replicas must agree, where that is said."""
    return f"?consistency={settings.qdrant_read_consistency}" if settings.qdrant_read_consistency else ""
