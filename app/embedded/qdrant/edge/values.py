"""Reading a request's JSON: fields, lists, numbers and words, each refused by its name when it does not fit."""

from collections.abc import Callable, Iterable
from typing import Any

from app.embedded.qdrant.edge.errors import BadInputError, NotSupportedError

Json = Any  # what orjson gives
Object = dict[str, Any]
NESTING = frozenset((dict, list))
MAX_DEPTH = 64  # levels of nesting; Edge's log fails to read back from about 120
MAX_U32 = 2**32 - 1
DEFAULT_LIMIT = 10  # of queries, prefetches, scrolls and facets, as in Qdrant
ELSEWHERE = ("shard_key", "lookup_from")  # another node, another collection


def fields(body: Json, what: str, allowed: Iterable[str], unsupported: Iterable[str] = ()) -> Object:
    """The given fields of `body`, without nulls.

    Raises `NotSupportedError` on one that Qdrant knows and we do not map, `BadInputError` on any other that is not
    `allowed`.
    """
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


def one_of(body: Json, what: str, table: dict[str, Callable[[Json], Any]], unsupported: Iterable[str] = ()) -> Any:
    """Build the single field of `body`, by the `table` of builders."""
    given = fields(body, what, table, unsupported)
    if len(given) != 1:
        raise BadInputError(f"{what} must have exactly one of {', '.join(table)}")
    ((name, value),) = given.items()
    return build(f"{what} `{name}`", table[name], value)


def names(value: Json, what: str) -> list[str]:
    """`value` as a list of strings."""
    return [text(item, what) for item in sequence(value, what)]
