"""Filters: which points a request is about."""

from collections.abc import Callable
from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.ids import point_ids
from app.embedded.qdrant.edge.values import Json, Object, build, check_depth, fields, one_of, required, sequence


def match_value(value: Json) -> q.MatchValue:
    """A match of one keyword, integer or truth value.

    Edge tries an integer before a boolean, and Python's `True` is an integer to it, so that no point ever
    matches; numpy's boolean is none.
    """
    if isinstance(value, bool):
        from numpy import bool_  # slow to import, and rarely needed

        value = bool_(value)
    return q.MatchValue(value)


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
