"""Queries: nearest to a vector, and fused from several."""

from collections.abc import Callable
from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError, NotSupportedError
from app.embedded.qdrant.edge.filters import optional_filter
from app.embedded.qdrant.edge.selectors import with_payload, with_vector
from app.embedded.qdrant.edge.values import (
    DEFAULT_LIMIT,
    ELSEWHERE,
    MAX_U32,
    Json,
    Object,
    build,
    check_depth,
    choice,
    fields,
    integer,
    required,
    sequence,
    text,
)
from app.embedded.qdrant.edge.vectors import Schema, check_numbers

DEFAULT_RRF_K = 2  # as in Qdrant; the paper's is 60
DEFAULT_DIVERSITY = 0.5  # as in Qdrant
MAX_CANDIDATES = 16_384  # of an mmr query, which compares each with each that is chosen
STAGE_FIELDS = ("query", "using", "prefetch", "filter", "params", "score_threshold", "limit")
QUERY_FIELDS = (*STAGE_FIELDS, "offset", "with_vector", "with_payload")
UNMAPPED_QUERIES = (
    "recommend", "discover", "context", "formula", "relevance_feedback", "order_by", "sample", "text", "image",
    "object",
)  # fmt: skip
PARAMS = ("hnsw_ef", "exact", "indexed_only")


def query_request(body: Json, schema: Schema) -> q.QueryRequest:
    """A whole query."""
    given = fields(body, "query", QUERY_FIELDS, ELSEWHERE)
    request: q.QueryRequest = build(
        "query",
        q.QueryRequest,
        offset=integer(given.get("offset", 0), "offset", minimum=0),
        with_payload=with_payload(given.get("with_payload", False)),
        with_vector=with_vector(given.get("with_vector", False), schema),
        **stage(given, schema),
    )
    return request


def searches(body: Json) -> list[Json]:
    """The queries of a batch."""
    return sequence(required(fields(body, "batch", ("searches",)), "searches", "batch"), "searches")


def prefetch(body: Json, schema: Schema) -> q.Prefetch:
    """A query whose points another one scores."""
    made: q.Prefetch = build(
        "prefetch", q.Prefetch, **stage(fields(body, "prefetch", STAGE_FIELDS, ELSEWHERE), schema)
    )
    return made


def stage(given: Object, schema: Schema) -> Object:
    """What a query and each of its prefetches have in common."""
    check_depth(given, "query")
    inner = given.get("prefetch", [])
    prefetches = inner if isinstance(inner, list) else [inner]
    if prefetches and "query" not in given:
        raise BadInputError("A query is needed to merge the prefetches.")
    return {
        "query": scoring(given, len(prefetches), schema),
        "prefetches": [prefetch(body, schema) for body in prefetches],
        "filter": optional_filter(given.get("filter")),
        "params": search_params(given.get("params")),
        "score_threshold": given.get("score_threshold"),
        "limit": integer(given.get("limit", DEFAULT_LIMIT), "limit", minimum=1),
    }


def scoring(given: Object, prefetches: int, schema: Schema) -> Any:
    """By what a stage scores its points: nearness to a vector, or fusion; None when it does not."""
    query = given.get("query")
    if query is None:
        return None
    if isinstance(query, dict) and "indices" not in query:
        if "nearest" not in query:
            return fusion(query, prefetches, "using" in given)
        asked = fields(query, "query", ("nearest", "mmr"))
        if "mmr" in asked:
            return diverse(asked, given, schema)
        query = required(asked, "nearest", "query")
    return nearest(query, text(given.get("using", ""), "using"), schema)


def nearest(value: Json, using: str, schema: Schema) -> q.Query:
    """The points whose vector `using` is nearest to `value`."""
    if isinstance(value, (int, str)):
        raise NotSupportedError("a query by the id of a point")
    query: q.Query = build("query", q.Query.Nearest, schema.vector(using, value), using or None)
    return query


def diverse(query: Object, stage: Object, schema: Schema) -> q.Mmr:
    """The points nearest to a vector that are also far from each other: maximal marginal relevance."""
    value, using = required(query, "nearest", "query"), text(stage.get("using", ""), "using")
    if isinstance(value, (int, str)):
        raise NotSupportedError("a query by the id of a point")
    if using in schema.sparse:
        raise NotSupportedError("`mmr` of a sparse vector")  # Edge's looks among the dense ones only
    given = fields(query["mmr"], "mmr", ("diversity", "candidates_limit"))
    diversity = given.get("diversity", DEFAULT_DIVERSITY)
    check_numbers("diversity", [diversity])
    if not 0 <= diversity <= 1:
        raise BadInputError(f"mmr diversity must be from 0 to 1, got {diversity}")
    limit = given.get("candidates_limit", stage.get("limit", DEFAULT_LIMIT))
    candidates = integer(limit, "candidates_limit", minimum=1, maximum=MAX_CANDIDATES)
    mmr: q.Mmr = build("mmr", q.Mmr, schema.vector(using, value), 1 - diversity, candidates, using or None)
    return mmr


def fusion(query: Object, prefetches: int, has_using: bool) -> Any:
    """The prefetches' points, by their scores or ranks in each."""
    given = fields(query, "query", FUSIONS, UNMAPPED_QUERIES)
    if len(given) != 1:
        raise BadInputError(f"query must have exactly one of nearest, {', '.join(FUSIONS)}")
    if has_using:
        raise BadInputError("Fusion queries cannot be combined with the 'using' field.")
    if not prefetches:
        raise BadInputError("Fusion queries need at least one prefetch")
    ((name, value),) = given.items()
    return FUSIONS[name](value, prefetches)


def rrf(body: Json, prefetches: int) -> Any:
    """Reciprocal rank fusion, with its parameters."""
    given = fields(body, "rrf", ("k", "weights"))
    weights = given.get("weights")
    if weights is not None:
        check_numbers("weights", sequence(weights, "weights"))
        if len(weights) != prefetches:
            raise BadInputError(f"rrf has {len(weights)} weights for {prefetches} prefetches")
    k = integer(given.get("k", DEFAULT_RRF_K), "rrf k", minimum=1, maximum=MAX_U32)
    return build("rrf", q.Fusion.Rrf, k, weights)


NAMED_FUSIONS: dict[str, Any] = {"rrf": q.Fusion.Rrf(DEFAULT_RRF_K), "dbsf": q.Fusion.Dbsf()}
FUSIONS: dict[str, Callable[[Json, int], Any]] = {
    "fusion": lambda name, _: choice(name, "fusion", NAMED_FUSIONS),
    "rrf": rrf,
}


def search_params(body: Json) -> q.SearchParams | None:
    """How exact a search is to be."""
    if body is None:
        return None
    given = fields(body, "params", (*PARAMS, "quantization"), ("acorn", "idf"))
    if "quantization" in given:
        wanted = fields(given["quantization"], "params", ("ignore", "rescore", "oversampling"), ())
        given = given | {"quantization": build("params", q.QuantizationSearchParams, **wanted)}
    params: q.SearchParams = build("params", q.SearchParams, **given)
    return params
