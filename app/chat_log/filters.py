"""Which rows of the log, and in which order: the latest first, a page at a time."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

CURSOR = re.compile(r"^(?P<microseconds>[0-9]{1,16}):(?P<job_id>[A-Za-z0-9_-]{1,128})$")
"""When a question ended, in microseconds since 1970, and its job."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows: all that is given must hold. `text` stands in any of its texts, in either case.

    `since` and `until` are about the end: from the one on, and before the other.
    """

    since: datetime | None = None
    until: datetime | None = None
    rating: str | None = None
    grounded: bool | None = None
    text: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in the order of all."""

    ended_at: datetime
    job_id: str

    @property
    def cursor(self) -> str:
        """For who goes on after it, as `CURSOR` has it."""
        return f"{(self.ended_at - _EPOCH) // _MICROSECOND}:{self.job_id}"

    @classmethod
    def of(cls, cursor: str) -> "Place":
        """The place that a `CURSOR` names. Raises `ValueError` for any other text."""
        found = CURSOR.fullmatch(cursor)
        if found is None:
            raise ValueError("no cursor of ours")
        return cls(_EPOCH + int(found["microseconds"]) * _MICROSECOND, found["job_id"])
