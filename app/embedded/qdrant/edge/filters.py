"""Filters: which points a request is about."""

from collections.abc import Callable
from typing import Any

import qdrant_edge as q

from app.embedded.qdrant.edge.errors import BadInputError
from app.embedded.qdrant.edge.ids import point_ids
from app.embedded.qdrant.edge.values import Json, Object, build, check_depth, fields, one_of, required


def match_value(value: Json) -> q.MatchValue:
    """A match of one keyword, integer or truth value.

    Edge tries an integer before a boolean, and Python's `True` is an integer to it, so that no point ever
    matches; numpy's boolean is none.
    """
    if isinstance(value, bool):
        from numpy import bool_  # slow to import, and rarely needed

        value = bool_(value)
    return q.MatchValue(value)


def bounds(body: Json) -> Any:
    """A range of numbers or times."""
    given = fields(body, "range", ("lt", "gt", "lte", "gte"))
    kind = q.RangeDateTime if any(isinstance(value, str) for value in given.values()) else q.RangeFloat
    return build("range", kind, **given)


MATCHES: dict[str, Callable[[Json], Any]] = {
    "value": match_value,
    "any": q.MatchAny,
    "except": q.MatchExcept,
    "text": q.MatchText,
}
UNMAPPED_MATCHES = ("text_any", "phrase", "prefix", "substring")
FIELD_TESTS: dict[str, Callable[[Json], Any]] = {
    "match": lambda body: one_of(body, "match", MATCHES, UNMAPPED_MATCHES),
    "range": bounds,
}
UNMAPPED_FIELD_TESTS = ("geo_bounding_box", "geo_radius", "geo_polygon", "values_count", "is_empty", "is_null")


def field_condition(body: Object) -> q.FieldCondition:
    """A condition on the value of one payload field."""
    given = fields(body, "condition", ("key", *FIELD_TESTS), UNMAPPED_FIELD_TESTS)
    key = given.pop("key", None)
    if not given:
        raise BadInputError(f"condition on `{key}`: at least one of {', '.join(FIELD_TESTS)} must be given")
    tests = {name: FIELD_TESTS[name](value) for name, value in given.items()}
    condition: q.FieldCondition = build(f"condition on `{key}`", q.FieldCondition, key, **tests)
    return condition


def key_of(body: Json) -> Json:
    """The key in `{"key": ...}`."""
    return required(fields(body, "field", ("key",)), "key", "field")


CONDITIONS: dict[str, Callable[[Json], Any]] = {
    "is_empty": lambda body: q.IsEmptyCondition(key_of(body)),
    "is_null": lambda body: q.IsNullCondition(key_of(body)),
    "has_id": lambda body: q.HasIdCondition(set(point_ids(body))),
    "has_vector": q.HasVectorCondition,
}
CLAUSES = ("must", "should", "must_not")
UNMAPPED_CLAUSES = ("min_should", "nested", "slice")


def condition(body: Json) -> Any:
    """One condition of a filter, which may be a filter itself."""
    if not isinstance(body, dict):
        raise BadInputError("a filter's condition must be an object")
    if "key" in body:
        return field_condition(body)
    if CONDITIONS.keys() & body.keys():
        return one_of(body, "condition", CONDITIONS)
    return clauses(body)


def clauses(body: Json) -> q.Filter:
    """A filter, or a filter within a filter. The single condition of a clause may stand without its list."""
    given = fields(body, "filter", CLAUSES, UNMAPPED_CLAUSES)
    built: dict[str, Any] = {
        name: [condition(item) for item in (value if isinstance(value, list) else [value])]
        for name, value in given.items()
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
