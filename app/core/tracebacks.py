"""Tracebacks without what errors say: where it happened and of which class, for a log that others read.

The text of an error may be anything: a model's answer, a question, a URL with its key.
It imports nothing slow: the embedded Qdrant starts with it.
"""

import errno
import traceback
from collections.abc import Iterator
from itertools import islice

Kinds = tuple[type[BaseException], ...]

ERRORS_MAX = 16
"""Of one chain of causes, and of groups in it."""


def quiet_traceback(error: BaseException, *, spoken: Kinds = ()) -> str:
    """Python's traceback of `error` and of what led to it, the texts left out; of the system's errors, their names.

    `spoken` are the classes whose text is this service's own words, and is shown.
    """
    return "\n".join(islice(_parts(error, spoken, set()), ERRORS_MAX))


def _parts(error: BaseException, spoken: Kinds, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    led_to = ""
    if cause is not None and id(cause) not in seen:
        yield from _parts(cause, spoken, seen)
        led_to = "which led to:\n"
    frames = "".join(traceback.format_tb(error.__traceback__))
    begin = f"Traceback (most recent call last):\n{frames}" if frames else ""
    yield f"{led_to}{begin}{_name(error, spoken)}"
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(one) not in seen:
            yield from _parts(one, spoken, seen)


def _name(error: BaseException, spoken: Kinds) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(error, spoken):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return f"{name}: {errno.errorcode[error.errno]}"
    return name
