"""Qdrant's REST bodies in, Qdrant Edge's objects out, and back.

Pure mapping: no files, no HTTP. What Edge would take and then choke on is refused here, because Edge writes
an operation to its log before it looks at it. Three kinds of input make a shard unloadable after a crash or
its answers wrong, and none of them is an error in Edge 0.9: a sparse vector whose lists differ in length
(panic, again at each load), JSON nested deeper than its log can read back, and numbers beyond 32-bit floats.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import qdrant_edge as q

Json = Any  # what orjson gives
Object = dict[str, Any]
PointId = int | UUID | str

NESTING = frozenset((dict, list))
MAX_DEPTH = 64  # levels of nesting; Edge's log fails to read back from about 120
MAX_VECTOR_SIZE = 65_536  # as in Qdrant
MAX_U32 = 2**32 - 1
MAX_F32 = 3.4028234663852886e38

DEFAULT_LIMIT = 10  # of queries, prefetches, scrolls and facets, as in Qdrant
DEFAULT_RRF_K = 2  # as in Qdrant; the paper's is 60


class ApiError(Exception):
    """A refusal with the HTTP status that it travels under."""

    status = 500


class BadInputError(ApiError):
    """The request cannot be understood."""

    status = 400

    def __init__(self, what: str) -> None:
        super().__init__(f"Wrong input: {what}")


class NotFoundError(ApiError):
    """The collection or point is not there."""

    status = 404

    def __init__(self, what: str) -> None:
        super().__init__(f"Not found: {what}")


class ConflictError(ApiError):
    """There is one of that name already."""

    status = 409

    def __init__(self, what: str) -> None:
        super().__init__(f"Wrong input: {what}")


class NotSupportedError(ApiError):
    """Qdrant can do this, the embedded one does not."""

    status = 501

    def __init__(self, what: str) -> None:
        super().__init__(f"Not supported by the embedded Qdrant: {what}. Run a Qdrant server and set QDRANT_URL")


# Reading bodies


def fields(body: Json, what: str, allowed: Iterable[str], unsupported: Iterable[str] = ()) -> Object:
    """The given fields of `body`, without nulls; raises on any that is not `allowed`."""
    if not isinstance(body, dict):
        raise BadInputError(f"{what} must be an object")
    given = {name: value for name, value in body.items() if value is not None}
    for name in given:
        if name in unsupported:
            raise NotSupportedError(f"`{name}` in {what}")
        if name not in allowed:
            raise BadInputError(f"unknown field `{name}` in {what}")
    return given


def required(body: Object, name: str, what: str) -> Json:
    """The field `name` of `body`; raises when it is missing."""
    if name not in body:
        raise BadInputError(f"{what}: missing field `{name}`")
    return body[name]


def sequence(value: Json, what: str) -> list[Json]:
    """`value`, which must be a list."""
    if not isinstance(value, list):
        raise BadInputError(f"{what} must be a list")
    return value


def text(value: Json, what: str) -> str:
    """`value`, which must be a string."""
    if not isinstance(value, str):
        raise BadInputError(f"{what} must be a string")
    return value


def integer(value: Json, what: str, minimum: int, maximum: int = 2**63 - 1) -> int:
    """`value`, which must be a whole number between `minimum` and `maximum`."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise BadInputError(f"{what} must be an integer of at least {minimum}, got {value!r:.40}")
    return value


def choice(value: Json, what: str, table: dict[str, Any]) -> Any:
    """The entry of `table` that `value` names."""
    if not isinstance(value, str) or value not in table:
        raise BadInputError(f"{what} must be one of {', '.join(table)}, got {value!r:.40}")
    return table[value]


def build(what: str, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`make(...)`, with Edge's complaint about an argument turned into a `BadInputError` that names `what`."""
    try:
        return make(*args, **kwargs)
    except (TypeError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[-1].rsplit("Error: ", 1)[-1]
        raise BadInputError(f"{what}: {reason}") from error


def check_depth(value: Json, what: str, left: int = MAX_DEPTH) -> None:
    """Raise when `value` is nested too deep to be stored."""
    if left == 0:
        raise BadInputError(f"{what} is nested deeper than {MAX_DEPTH} levels")
    items = value.values() if isinstance(value, dict) else value
    if not NESTING.isdisjoint(map(type, items)):  # a vector has hundreds of numbers and nothing to go into
        for item in items:
            if type(item) in NESTING:
                check_depth(item, what, left - 1)


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


# Vectors and points


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


# Filters


def match_value(value: Json) -> q.MatchValue:
    """A match of one keyword, integer or truth value.

    Edge tries an integer before a boolean, and Python's `True` is an integer to it, so that no point ever
    matches; numpy's boolean is none.
    """
    if isinstance(value, bool):
        from numpy import bool_  # slow to import, and rarely needed

        value = bool_(value)
    return q.MatchValue(value)


def one_of(body: Json, what: str, table: dict[str, Callable[[Json], Any]]) -> Any:
    """Build the single field of `body`, by the `table` of builders."""
    given = fields(body, what, table)
    if len(given) != 1:
        raise BadInputError(f"{what} must have exactly one of {', '.join(table)}")
    ((name, value),) = given.items()
    return build(f"{what} `{name}`", table[name], value)


def bounds(body: Json, kind: type[Any] | None = None) -> Any:
    """A range of numbers or times, or of counts."""
    given = fields(body, "range", ("lt", "gt", "lte", "gte"))
    if kind is None:
        kind = q.RangeDateTime if any(isinstance(value, str) for value in given.values()) else q.RangeFloat
    return build("range", kind, **given)


def geo_point(body: Json) -> q.GeoPoint:
    """A place on earth."""
    given = fields(body, "geo point", ("lon", "lat"))
    place: q.GeoPoint = build(
        "geo point", q.GeoPoint, required(given, "lon", "geo point"), required(given, "lat", "geo point")
    )
    return place


def geo_box(body: Json) -> q.GeoBoundingBox:
    """The places inside a box."""
    given = fields(body, "geo_bounding_box", ("top_left", "bottom_right"))
    return q.GeoBoundingBox(
        geo_point(required(given, "top_left", "geo_bounding_box")),
        geo_point(required(given, "bottom_right", "geo_bounding_box")),
    )


def geo_radius(body: Json) -> q.GeoRadius:
    """The places within some metres of another."""
    given = fields(body, "geo_radius", ("center", "radius"))
    center = geo_point(required(given, "center", "geo_radius"))
    circle: q.GeoRadius = build("geo_radius", q.GeoRadius, center, required(given, "radius", "geo_radius"))
    return circle


def geo_polygon(body: Json) -> q.GeoPolygon:
    """The places inside a polygon."""
    given = fields(body, "geo_polygon", ("exterior", "interiors"))
    exterior = geo_line(required(given, "exterior", "geo_polygon"))
    interiors = [geo_line(line) for line in sequence(given.get("interiors", []), "interiors")]
    polygon: q.GeoPolygon = build("geo_polygon", q.GeoPolygon, exterior, interiors or None)
    return polygon


def geo_line(body: Json) -> list[q.GeoPoint]:
    """A ring of places."""
    points = fields(body, "geo line", ("points",)).get("points")
    return [geo_point(place) for place in sequence(points, "points")]


MATCHES: dict[str, Callable[[Json], Any]] = {
    "value": match_value,
    "any": q.MatchAny,
    "except": q.MatchExcept,
    "text": q.MatchText,
    "text_any": q.MatchTextAny,
    "phrase": q.MatchPhrase,
    "prefix": q.MatchPrefix,
    "substring": q.MatchSubstring,
}
FIELD_TESTS: dict[str, Callable[[Json], Any]] = {
    "match": lambda body: one_of(body, "match", MATCHES),
    "range": bounds,
    "values_count": lambda body: bounds(body, q.ValuesCount),
    "geo_bounding_box": geo_box,
    "geo_radius": geo_radius,
    "geo_polygon": geo_polygon,
    "is_empty": bool,
    "is_null": bool,
}


def field_condition(body: Object) -> q.FieldCondition:
    """A condition on the value of one payload field."""
    given = fields(body, "condition", ("key", *FIELD_TESTS))
    key = given.pop("key", None)
    if not given:
        raise BadInputError(f"condition on `{key}`: at least one of {', '.join(FIELD_TESTS)} must be given")
    tests = {name: FIELD_TESTS[name](value) for name, value in given.items()}
    condition: q.FieldCondition = build(f"condition on `{key}`", q.FieldCondition, key, **tests)
    return condition


def key_of(body: Json) -> Json:
    """The key in `{"key": ...}`."""
    return required(fields(body, "field", ("key",)), "key", "field")


def nested(body: Json) -> q.NestedCondition:
    """A filter on the elements of an array."""
    given = fields(body, "nested", ("key", "filter"))
    return q.NestedCondition(required(given, "key", "nested"), filter_of(required(given, "filter", "nested")))


def slice_of(body: Json) -> Any:
    """One of `total` equal parts of all points."""
    given = fields(body, "slice", ("total", "index"))
    return q.SliceCondition(given.get("total"), given.get("index"))  # type: ignore[attr-defined]  # not in the stubs


CONDITIONS: dict[str, Callable[[Json], Any]] = {
    "is_empty": lambda body: q.IsEmptyCondition(key_of(body)),
    "is_null": lambda body: q.IsNullCondition(key_of(body)),
    "has_id": lambda body: q.HasIdCondition(set(point_ids(body))),
    "has_vector": q.HasVectorCondition,
    "nested": nested,
    "slice": slice_of,
}
CLAUSES = ("must", "should", "must_not", "min_should")


def condition(body: Json) -> Any:
    """One condition of a filter, which may be a filter itself."""
    if not isinstance(body, dict):
        raise BadInputError("a filter's condition must be an object")
    if "key" in body:
        return field_condition(body)
    if CONDITIONS.keys() & body.keys():
        return one_of(body, "condition", CONDITIONS)
    return clauses(body)


def conditions(body: Json) -> list[Any]:
    """The conditions of a clause; a single one may stand without its list."""
    return [condition(item) for item in (body if isinstance(body, list) else [body])]


def min_should(body: Json) -> q.MinShould:
    """At least so many of these conditions."""
    given = fields(body, "min_should", ("conditions", "min_count"))
    wanted = required(given, "min_count", "min_should")
    some = sequence(required(given, "conditions", "min_should"), "conditions")
    made: q.MinShould = build("min_should", q.MinShould, conditions(some), wanted)
    return made


def clauses(body: Json) -> q.Filter:
    """A filter, or a filter within a filter."""
    given = fields(body, "filter", CLAUSES)
    built: dict[str, Any] = {
        name: min_should(value) if name == "min_should" else conditions(value) for name, value in given.items()
    }
    return q.Filter(**built)


def filter_of(body: Json) -> q.Filter:
    """A filter as a request gives it."""
    if isinstance(body, dict):
        check_depth(body, "filter")
    return clauses(body)


def optional_filter(body: Json) -> q.Filter | None:
    """A filter, or none."""
    return None if body is None else filter_of(body)


# Queries

Lookup = Callable[[PointId, str], Any]  # (point id, vector name) -> that vector as JSON

REQUEST_FIELDS = ("limit", "filter", "with_payload", "with_vector")
STAGE_FIELDS = ("query", "using", "prefetch", "filter", "params", "score_threshold", "limit")
QUERY_FIELDS = (*STAGE_FIELDS, "offset", "with_vector", "with_payload")
ELSEWHERE = ("shard_key", "lookup_from")
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


def names(value: Json, what: str) -> list[str]:
    """`value` as a list of strings."""
    return [text(item, what) for item in sequence(value, what)]


SELECTORS: dict[str, Callable[[Json], Any]] = {
    "include": lambda keys: q.PayloadSelector.Include(names(keys, "include")),
    "exclude": lambda keys: q.PayloadSelector.Exclude(names(keys, "exclude")),
}


def scroll_request(body: Json, schema: Schema) -> q.ScrollRequest:
    """One page of a scroll."""
    given = fields(body, "scroll", (*REQUEST_FIELDS, "offset", "order_by"), ELSEWHERE)
    offset, order = given.get("offset"), given.get("order_by")
    if offset is not None and order is not None:
        raise BadInputError("Cannot use an `offset` when using `order_by`. Use `order_by.start_from` instead")
    return q.ScrollRequest(
        offset=None if offset is None else point_id(offset),
        limit=integer(given.get("limit", DEFAULT_LIMIT), "limit", minimum=1),
        filter=optional_filter(given.get("filter")),
        with_payload=with_payload(given.get("with_payload", True)),
        with_vector=with_vector(given.get("with_vector", False), schema),
        order_by=None if order is None else order_by(order),
    )


def count_request(body: Json) -> q.CountRequest:
    """A count of the points that pass a filter."""
    given = fields(body, "count", ("filter", "exact"), ELSEWHERE)
    request: q.CountRequest = build(
        "count", q.CountRequest, given.get("exact", True), optional_filter(given.get("filter"))
    )
    return request


def facet_request(body: Json) -> q.FacetRequest:
    """A count of the points by the values of a field."""
    given = fields(body, "facet", ("key", "limit", "filter", "exact"), ELSEWHERE)
    request: q.FacetRequest = build(
        "facet",
        q.FacetRequest,
        required(given, "key", "facet"),
        integer(given.get("limit", DEFAULT_LIMIT), "limit", minimum=1),
        given.get("exact", False),
        optional_filter(given.get("filter")),
    )
    return request


# Writes


class Write(NamedTuple):
    """An operation, and how many points it is about (1 when a filter says which)."""

    operation: q.UpdateOperation
    points: int


UPDATE_MODES = {
    "upsert": q.UpdateMode.Upsert,
    "insert_only": q.UpdateMode.InsertOnly,
    "update_only": q.UpdateMode.UpdateOnly,
}


def upsert(body: Json, schema: Schema) -> Write:
    """Points to write, as a list or as a batch of columns."""
    given = fields(body, "upsert", ("points", "batch", "update_filter", "update_mode"), ELSEWHERE)
    listed = rows(given["batch"]) if "batch" in given else required(given, "points", "upsert")
    points = [point(item, schema) for item in not_empty(listed, "points")]
    mode = choice(given.get("update_mode", "upsert"), "update_mode", UPDATE_MODES)
    guard = optional_filter(given.get("update_filter"))
    return Write(q.UpdateOperation.upsert_points(points, guard, mode), len(points))


def not_empty(value: Json, what: str) -> list[Json]:
    """`value`, which must be a list of at least one."""
    if not sequence(value, what):
        raise BadInputError("Empty update request")
    return list(value)


def selected(
    given: Object, by_ids: Callable[..., Any], by_filter: Callable[..., Any], *args: Any, **kwargs: Any
) -> Write:
    """The operation on the points that a body selects by their ids or by a filter."""
    if ("points" in given) == ("filter" in given):
        raise BadInputError("exactly one of points and filter must be given")
    if "filter" in given:
        return Write(build("update", by_filter, filter_of(given["filter"]), *args, **kwargs), 1)
    ids = point_ids(not_empty(given["points"], "points"))
    return Write(build("update", by_ids, ids, *args, **kwargs), len(ids))


def delete(body: Json, _: Schema) -> Write:
    """Points to delete."""
    given = fields(body, "delete", ("points", "filter"), ELSEWHERE)
    return selected(given, q.UpdateOperation.delete_points, q.UpdateOperation.delete_points_by_filter)


def set_payload(body: Json, _: Schema) -> Write:
    """Payload fields to set beside those that are there."""
    return _payload(body, q.UpdateOperation.set_payload, q.UpdateOperation.set_payload_by_filter)


def overwrite_payload(body: Json, _: Schema) -> Write:
    """A payload to put in the place of the one that is there."""
    return _payload(body, q.UpdateOperation.overwrite_payload, q.UpdateOperation.overwrite_payload_by_filter)


def _payload(body: Json, by_ids: Callable[..., Any], by_filter: Callable[..., Any]) -> Write:
    given = fields(body, "payload request", ("payload", "points", "filter", "key"), ELSEWHERE)
    payload = payload_object(required(given, "payload", "payload request"))
    return selected(given, by_ids, by_filter, payload, given.get("key"))


def delete_payload(body: Json, _: Schema) -> Write:
    """Payload fields to remove."""
    given = fields(body, "payload request", ("keys", "points", "filter"), ELSEWHERE)
    keys = names(required(given, "keys", "payload request"), "keys")
    return selected(given, q.UpdateOperation.delete_payload, q.UpdateOperation.delete_payload_by_filter, keys)


def clear_payload(body: Json, _: Schema) -> Write:
    """Points to leave without payload."""
    given = fields(body, "payload request", ("points", "filter"), ELSEWHERE)
    return selected(given, q.UpdateOperation.clear_payload, q.UpdateOperation.clear_payload_by_filter)


# Payload indexes

TOKENIZERS = {
    "prefix": q.TokenizerType.Prefix,
    "whitespace": q.TokenizerType.Whitespace,
    "word": q.TokenizerType.Word,
    "multilingual": q.TokenizerType.Multilingual,
}
COMMON = ("on_disk", "enable_hnsw")
INDEXES: dict[str, tuple[q.PayloadSchemaType, Callable[..., Any], tuple[str, ...]]] = {
    "keyword": (q.PayloadSchemaType.Keyword, q.KeywordIndexParams, ("is_tenant", "prefix", *COMMON)),
    "integer": (
        q.PayloadSchemaType.Integer,
        q.IntegerIndexParams,
        ("lookup", "range", "is_principal", *COMMON),
    ),
    "float": (q.PayloadSchemaType.Float, q.FloatIndexParams, ("is_principal", *COMMON)),
    "bool": (q.PayloadSchemaType.Bool, q.BoolIndexParams, COMMON),
    "geo": (q.PayloadSchemaType.Geo, q.GeoIndexParams, COMMON),
    "datetime": (q.PayloadSchemaType.Datetime, q.DatetimeIndexParams, ("is_principal", *COMMON)),
    "uuid": (q.PayloadSchemaType.Uuid, q.UuidIndexParams, ("is_tenant", *COMMON)),
    "text": (
        q.PayloadSchemaType.Text,
        q.TextIndexParams,
        ("tokenizer", "min_token_len", "max_token_len", "lowercase", "ascii_folding", "phrase_matching", *COMMON),
    ),
}
LATER_INDEX_PARAMS = ("memory", "nested", "stopwords", "stemmer", "scoring")


def create_index(body: Json, _: Schema) -> Write:
    """A payload index to make."""
    given = fields(body, "index", ("field_name", "field_schema"), ELSEWHERE)
    name = required(given, "field_name", "index")
    if "field_schema" not in given:
        raise NotSupportedError("an index without `field_schema`")
    made = build("index", q.UpdateOperation.create_field_index, name, index_schema(given["field_schema"]))
    return Write(made, 0)


def index_schema(body: Json) -> Any:
    """The kind of a payload index, with or without parameters."""
    if not isinstance(body, dict):
        return choice(body, "field_schema", INDEXES)[0]
    _, params, known = choice(body.get("type"), "type of field_schema", INDEXES)
    given = fields(body, "field_schema", ("type", *known), LATER_INDEX_PARAMS)
    del given["type"]
    if "tokenizer" in given:
        given["tokenizer"] = choice(given["tokenizer"], "tokenizer", TOKENIZERS)
    return build("field_schema", params, **given)


def delete_index(field: str) -> Write:
    """A payload index to drop."""
    return Write(build("index", q.UpdateOperation.delete_field_index, field), 0)


def index_info(info: "q.PayloadIndexInfo") -> Object:
    """A payload index as Qdrant describes it."""
    kind = enum_name(info.data_type)
    described: Object = {"data_type": kind, "points": info.points}
    if info.params is not None:
        values = {name: getattr(info.params, name) for name in INDEXES[kind][2]}
        given = {name: value for name, value in values.items() if value is not None}
        if "tokenizer" in given:
            given["tokenizer"] = enum_name(given["tokenizer"])
        described["params"] = {"type": kind, **given}
    return described


def enum_name(member: Any) -> str:
    """Edge's enums print as `Kind.Member`; Qdrant writes the member in small letters."""
    return str(member).rsplit(".", 1)[-1].lower()


# Collections

DISTANCES = {
    "Cosine": q.Distance.Cosine,
    "Euclid": q.Distance.Euclid,
    "Dot": q.Distance.Dot,
    "Manhattan": q.Distance.Manhattan,
}
MODIFIERS = {"idf": q.Modifier.Idf, "none": None}
ONE_NODE = ("shard_number", "replication_factor", "write_consistency_factor")
CREATE_FIELDS = (
    "vectors",
    "sparse_vectors",
    "hnsw_config",
    "optimizers_config",
    "on_disk_payload",
    "metadata",
    *ONE_NODE,
)
CREATE_LATER = (
    "sharding_method", "wal_config", "quantization_config", "strict_mode_config", "payload", "id_tracker",
    "init_from",
)  # fmt: skip

# What Qdrant's documentation gives as its defaults, and Edge's code shares.
HNSW_DEFAULTS = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0}
HNSW_FIELDS = (*HNSW_DEFAULTS, "on_disk", "payload_m")
OPTIMIZER_DEFAULTS = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "indexing_threshold": 10_000,
}
OPTIMIZER_FIELDS = (*OPTIMIZER_DEFAULTS, "max_segment_size")


def collection_config(body: Json) -> Object:
    """A request to create a collection, checked, as it is to be kept: without nulls."""
    check_depth(body if isinstance(body, dict) else {}, "collection")
    given = fields(body, "collection", CREATE_FIELDS, CREATE_LATER)
    for name in ONE_NODE:
        if given.get(name, 1) != 1:
            raise NotSupportedError(f"`{name}` other than 1")
    if not given.get("vectors") and not given.get("sparse_vectors"):
        raise NotSupportedError("a collection without vectors")
    metadata(given.get("metadata", {}))
    edge_config(given)
    return given


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
        optimizers=optimizers_config(config.get("optimizers_config")),
    )
    return made


def dense_config(name: str, body: Json) -> q.EdgeVectorParams:
    """One dense vector of a collection."""
    what = f"vector `{name}`"
    given = fields(
        body,
        what,
        ("size", "distance", "hnsw_config", "on_disk"),
        ("quantization_config", "multivector_config", "datatype", "memory"),
    )
    made: q.EdgeVectorParams = build(
        what,
        q.EdgeVectorParams,
        integer(given.get("size"), f"size of {what}", minimum=1, maximum=MAX_VECTOR_SIZE),
        choice(given.get("distance"), f"distance of {what}", DISTANCES),
        on_disk=given.get("on_disk"),
        hnsw_config=hnsw_config(given.get("hnsw_config")),
    )
    return made


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


def optimizers_config(body: Json) -> q.EdgeOptimizersConfig | None:
    """When to build indexes."""
    if body is None:
        return None
    later = ("memmap_threshold", "flush_interval_sec", "max_optimization_threads", "prevent_unoptimized")
    given = fields(body, "optimizers_config", OPTIMIZER_FIELDS, later)
    made: q.EdgeOptimizersConfig = build("optimizers_config", q.EdgeOptimizersConfig, **given)
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
        "optimizer_config": {
            **OPTIMIZER_DEFAULTS,
            "flush_interval_sec": flush_interval_seconds,
            **config.get("optimizers_config", {}),
        },
        "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
        "quantization_config": None,
        **({"metadata": config["metadata"]} if config.get("metadata") else {}),
    }


# Answers


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
