"""How long another service asks us to wait before the next request, from its response's headers."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf

SECONDS_MAX = 86_400.0
"""A day. Nobody means more, and what uses it has a bound of its own."""
CHARACTERS_MAX = 64
"""More than any number or date that is meant."""
_NUMBER = re.compile(r"\d{1,16}(?:\.\d{0,16})?", re.ASCII)


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds from 0 to `SECONDS_MAX` that `headers`, whose names are in lower case, ask to wait; None for no word.

    `retry-after-ms` is OpenAI's, in milliseconds, and finer than Retry-After (RFC 9110, 10.2.3), which is a number of
    seconds or a date. What is neither says nothing, and a date that is past neither.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, SECONDS_MAX)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and value is not None:
        seconds = _until(value, now or datetime.now(UTC))
    return None if seconds is None else min(seconds, SECONDS_MAX)


def _number(value: str | None) -> float | None:
    """A plain number, `inf` for one of more digits than are meant; None for any other word, `nan` and `-1` too."""
    if value is None:
        return None
    value = value.strip()
    if _NUMBER.fullmatch(value):
        return float(value)
    return inf if value.isascii() and value.isdigit() else None


def _until(value: str, now: datetime) -> float | None:
    """The seconds from `now` to the date in `value`; None when it is none, or past."""
    if len(value) > CHARACTERS_MAX:
        return None
    try:
        date = parsedate_to_datetime(value)
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return seconds if seconds > 0 else None
