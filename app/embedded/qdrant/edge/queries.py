"""Queries: nearest to a vector, and fused from several."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.filters import optional_filter
from app.embedded.qdrant.edge.ids import PointId, point_id
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
Lookup = Callable[[PointId, str], Any]  # (point id, vector name) -> that vector as JSON
STAGE_FIELDS = ("query", "using", "prefetch", "filter", "params", "score_threshold", "limit")
QUERY_FIELDS = (*STAGE_FIELDS, "offset", "with_vector", "with_payload")
LATER_QUERIES = ("recommend", "discover", "context", "formula", "relevance_feedback", "text")
PARAMS = ("hnsw_ef", "exact", "indexed_only")


@dataclass(frozen=True)
class Reader:
    """What it takes to read a query: the collection's vectors, and a way to look one up by its point's id."""

    schema: Schema
    lookup: Lookup

    def request(self, body: Json) -> q.QueryRequest:
        """A whole query."""
        given = fields(body, "query", QUERY_FIELDS, ELSEWHERE)
        stage = self._stage(given)
        request: q.QueryRequest = build(
            "query",
            q.QueryRequest,
            offset=integer(given.get("offset", 0), "offset", minimum=0),
            with_payload=with_payload(given.get("with_payload", False)),
            with_vector=with_vector(given.get("with_vector", False), self.schema),
            **stage,
        )
        return request

    def _prefetch(self, body: Json) -> q.Prefetch:
        prefetch: q.Prefetch = build(
            "prefetch", q.Prefetch, **self._stage(fields(body, "prefetch", STAGE_FIELDS, ELSEWHERE))
        )
        return prefetch

    def _stage(self, given: Object) -> Object:
        """What a query and each of its prefetches have in common."""
        check_depth(given, "query")
        prefetch = given.get("prefetch", [])
        prefetches = prefetch if isinstance(prefetch, list) else [prefetch]
        if prefetches and "query" not in given:
            raise BadInputError("A query is needed to merge the prefetches.")
        query, used = self._scoring(given, len(prefetches))
        threshold = given.get("score_threshold")
        return {
            "query": query,
            "prefetches": [self._prefetch(stage) for stage in prefetches],
            "filter": without(used, optional_filter(given.get("filter"))),
            "params": search_params(given.get("params")),
            "score_threshold": threshold,
            "limit": integer(given.get("limit", DEFAULT_LIMIT), "limit", minimum=1),
        }

    def _scoring(self, given: Object, prefetches: int) -> tuple[Any, PointId | None]:
        """The scoring part of a stage, and the id of the point that it took its vector from."""
        query = given.get("query")
        if query is None:
            return None, None
        if isinstance(query, dict) and "indices" not in query and "nearest" not in query:
            if "using" in given and {"fusion", "rrf"} & query.keys():
                raise BadInputError("Fusion queries cannot be combined with the 'using' field.")
            return other_query(query, prefetches), None
        if isinstance(query, dict) and "nearest" in query:
            query = required(fields(query, "query", ("nearest",), ("mmr",)), "nearest", "query")
        return self._nearest(query, text(given.get("using", ""), "using"))

    def _nearest(self, value: Json, using: str) -> tuple[q.Query, PointId | None]:
        used = None
        if isinstance(value, (int, str)):
            used = point_id(value)
            value = self.lookup(used, using)
        return build("query", q.Query.Nearest, self.schema.vector(using, value), using or None), used


def without(used: PointId | None, wanted: q.Filter | None) -> q.Filter | None:
    """`wanted`, less the point whose own vector is the query: Qdrant leaves it out of its neighbours."""
    if used is None:
        return wanted
    return q.Filter(must=[] if wanted is None else [wanted], must_not=[q.HasIdCondition({used})])


def other_query(query: Object, prefetches: int) -> Any:
    """A query that scores by something else than nearness to one vector."""
    given = fields(query, "query", QUERIES, LATER_QUERIES)
    if len(given) != 1:
        raise BadInputError(f"query must have exactly one of nearest, {', '.join(QUERIES)}")
    ((name, value),) = given.items()
    if name in ("fusion", "rrf") and not prefetches:
        raise BadInputError("Fusion queries need at least one prefetch")
    return QUERIES[name](value, prefetches)


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


def order_by(body: Json) -> q.OrderBy:
    """An order by a payload field, which needs an index on it."""
    given = fields({"key": body} if isinstance(body, str) else body, "order_by", ("key", "direction", "start_from"))
    direction = choice(given.get("direction", "asc"), "direction", DIRECTIONS)
    order: q.OrderBy = build(
        "order_by", q.OrderBy, required(given, "key", "order_by"), direction, given.get("start_from")
    )
    return order


DIRECTIONS = {"asc": q.Direction.Asc, "desc": q.Direction.Desc}
FUSIONS: dict[str, Any] = {"rrf": q.Fusion.Rrf(DEFAULT_RRF_K), "dbsf": q.Fusion.Dbsf()}
QUERIES: dict[str, Callable[[Json, int], Any]] = {
    "fusion": lambda name, _: choice(name, "fusion", FUSIONS),
    "rrf": rrf,
    "order_by": lambda body, _: order_by(body),
    "sample": lambda name, _: choice(name, "sample", {"random": q.Sample.Random}),
}


def search_params(body: Json) -> q.SearchParams | None:
    """How exact a search is to be."""
    if body is None:
        return None
    given = fields(body, "params", PARAMS, ("quantization", "acorn", "idf"))
    params: q.SearchParams = build("params", q.SearchParams, **given)
    return params
