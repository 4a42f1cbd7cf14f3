"""A collection's configuration: checked, made into Edge's, and described."""

from typing import cast

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError, NotSupportedError
from app.embedded.qdrant.edge.values import Json, Object, build, check_depth, choice, fields, integer
from app.embedded.qdrant.edge.vectors import Schema

MAX_VECTOR_SIZE = 65_536  # as in Qdrant
DISTANCES = {
    "Cosine": q.Distance.Cosine,
    "Euclid": q.Distance.Euclid,
    "Dot": q.Distance.Dot,
    "Manhattan": q.Distance.Manhattan,
}
SCALARS = {"int8": q.ScalarType.Int8}
MODIFIERS = {"idf": q.Modifier.Idf, "none": None}
ONE_NODE = ("shard_number", "replication_factor", "write_consistency_factor")
CREATE_FIELDS = ("vectors", "sparse_vectors", "hnsw_config", "on_disk_payload", "metadata", *ONE_NODE)
UNMAPPED_CREATE_FIELDS = (
    "optimizers_config", "sharding_method", "wal_config", "quantization_config", "strict_mode_config", "payload",
    "id_tracker", "init_from",
)  # fmt: skip
UNMAPPED_UPDATE_FIELDS = (
    "vectors", "optimizers_config", "params", "hnsw_config", "quantization_config", "sparse_vectors",
    "strict_mode_config",
)  # fmt: skip

OPTIMIZERS = "optimizers_config"

# What Qdrant's documentation gives as its defaults, and Edge's code shares.
HNSW_DEFAULTS = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0}
HNSW_FIELDS = (*HNSW_DEFAULTS, "on_disk", "payload_m")
OPTIMIZER_DEFAULTS = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "indexing_threshold": 10_000,
}


def collection_config(body: Json) -> Object:
    """A request to create a collection, checked, as it is to be kept: without nulls."""
    check_depth(body if isinstance(body, dict) else {}, "collection")
    given = fields(body, "collection", CREATE_FIELDS, UNMAPPED_CREATE_FIELDS)
    for name in ONE_NODE:
        if given.get(name, 1) != 1:
            raise NotSupportedError(f"`{name}` other than 1")
    if not given.get("vectors") and not given.get("sparse_vectors"):
        raise NotSupportedError("a collection without vectors")
    metadata(given.get("metadata", {}))
    edge_config(given)
    return given


def metadata_changes(body: Json) -> Object:
    """A request to change a collection: new metadata, of which null removes a key. Nothing else can change."""
    unmapped = [name for name in UNMAPPED_UPDATE_FIELDS if not (name == OPTIMIZERS and asks_for_optimization(body))]
    given = fields(body, "collection", ("metadata", OPTIMIZERS), unmapped)
    return metadata(given.get("metadata", {}))


def asks_for_optimization(body: Json) -> bool:
    """Whether a request to change a collection changes nothing of its optimizers, and so has them look again."""
    return isinstance(body, dict) and body.get(OPTIMIZERS) == {}


def metadata(value: Json) -> Object:
    """`value` as a collection's metadata."""
    if not isinstance(value, dict):
        raise BadInputError("metadata must be an object")
    check_depth(value, "metadata")
    return value


def dense_params(config: Object) -> dict[str, Object]:
    """The parameters of each dense vector; the name of a collection's only, unnamed one is empty."""
    vectors = config.get("vectors", {})
    if not isinstance(vectors, dict):
        raise BadInputError("vectors must be an object")
    return {"": vectors} if "size" in vectors and not isinstance(vectors["size"], dict) else vectors


def schema_of(config: Object) -> Schema:
    """The vectors of a collection made with `config`."""
    sizes = {name: params["size"] for name, params in dense_params(config).items()}
    return Schema(sizes, frozenset(config.get("sparse_vectors", {})))


def edge_config(config: Object) -> q.EdgeConfig:
    """Edge's configuration for a collection made with `config`."""
    sparse = config.get("sparse_vectors", {})
    if not isinstance(sparse, dict) or "" in sparse:
        raise BadInputError("sparse_vectors must be an object of named vectors")
    dense = dense_params(config)
    if dense.keys() & sparse.keys():
        raise BadInputError("a dense and a sparse vector cannot have the same name")
    made: q.EdgeConfig = build(
        "collection",
        q.EdgeConfig,
        vectors={name: dense_config(name, params) for name, params in dense.items()},
        sparse_vectors={name: sparse_config(name, params) for name, params in sparse.items()},
        on_disk_payload=config.get("on_disk_payload"),
        hnsw_config=hnsw_config(config.get("hnsw_config")),
    )
    return made


def dense_config(name: str, body: Json) -> q.EdgeVectorParams:
    """One dense vector of a collection."""
    what = f"vector `{name}`"
    given = fields(
        body,
        what,
        ("size", "distance", "hnsw_config", "on_disk", "quantization_config"),
        ("multivector_config", "datatype", "memory"),
    )
    made: q.EdgeVectorParams = build(
        what,
        q.EdgeVectorParams,
        integer(given.get("size"), f"size of {what}", minimum=1, maximum=MAX_VECTOR_SIZE),
        choice(given.get("distance"), f"distance of {what}", DISTANCES),
        on_disk=given.get("on_disk"),
        hnsw_config=hnsw_config(given.get("hnsw_config")),
        quantization_config=quantization_config(given.get("quantization_config")),
    )
    return made


def quantization_config(body: Json) -> q.ScalarQuantizationConfig | q.BinaryQuantizationConfig | None:
    """How the smaller copy of a dense vector is made: one of the kinds that the service's settings name."""
    if body is None:
        return None
    what = "quantization_config"
    given = fields(body, what, ("scalar", "binary"), ("product", "turbo"))
    if len(given) != 1:
        raise BadInputError(f"{what} must name one kind")
    if "binary" in given:
        binary = fields(given["binary"], what, ("always_ram",), ("encoding", "query_encoding", "memory"))
        return cast(q.BinaryQuantizationConfig, build(what, q.BinaryQuantizationConfig, **binary))
    scalar = fields(given["scalar"], what, ("type", "quantile", "always_ram"), ("memory",))
    kind = choice(scalar.get("type"), f"type of {what}", SCALARS)
    return cast(q.ScalarQuantizationConfig, build(what, q.ScalarQuantizationConfig, **scalar | {"type": kind}))


def sparse_config(name: str, body: Json) -> q.EdgeSparseVectorParams:
    """One sparse vector of a collection."""
    what = f"sparse vector `{name}`"
    given = fields(body, what, ("index", "modifier"))
    index = fields(given.get("index", {}), what, ("on_disk", "full_scan_threshold"), ("memory", "datatype"))
    modifier = choice(given.get("modifier", "none"), f"modifier of {what}", MODIFIERS)
    made: q.EdgeSparseVectorParams = build(what, q.EdgeSparseVectorParams, modifier=modifier, **index)
    return made


def hnsw_config(body: Json) -> q.HnswIndexConfig | None:
    """How to build the graph of a dense vector."""
    if body is None:
        return None
    given = fields(body, "hnsw_config", HNSW_FIELDS, ("memory", "inline_storage"))
    made: q.HnswIndexConfig = build("hnsw_config", q.HnswIndexConfig, **{**HNSW_DEFAULTS, **given})
    return made


def describe_config(config: Object, flush_interval_seconds: int) -> Object:
    """A collection's configuration as Qdrant answers it, its defaults filled in."""
    params = {
        "vectors": config.get("vectors", {}),
        "shard_number": 1,
        "replication_factor": 1,
        "write_consistency_factor": 1,
        "on_disk_payload": config.get("on_disk_payload", True),
    }
    if "sparse_vectors" in config:
        params["sparse_vectors"] = config["sparse_vectors"]
    return {
        "params": params,
        "hnsw_config": {**HNSW_DEFAULTS, "on_disk": False, **config.get("hnsw_config", {})},
        "optimizer_config": {**OPTIMIZER_DEFAULTS, "flush_interval_sec": flush_interval_seconds},
        "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
        "quantization_config": None,
        **({"metadata": config["metadata"]} if config.get("metadata") else {}),
    }
