"""What a response's headers ask us to wait: every form that is sent, and every one that is not meant."""

from datetime import UTC, datetime

import pytest

from worker.runtime.budget import pause_seconds
from worker.runtime.retry_after import SECONDS_MAX, retry_after_seconds

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
ASKED: dict[str, float | None] = {
    "3": 3,
    " 3 ": 3,
    "1.5": 1.5,
    "0": 0,
    "9" * 15: SECONDS_MAX,
    "9" * 5_000: SECONDS_MAX,
    "Wed, 25 Nov 2026 12:00:30 GMT": 30,
    "Wednesday, 25-Nov-26 12:00:30 GMT": 30,
    "Wed Nov 25 12:00:30 2026": 30,
    "Wed, 25 Nov 2026 13:00:30 +0100": 30,
    "Fri, 01 Jan 9999 00:00:00 GMT": SECONDS_MAX,
    "Wed, 25 Nov 2026 11:59:00 GMT": None,
    "Wed, 25 Nov 0000 11:59:00 GMT": None,
    "Wed, 99 Nov 2026 99:99:99 GMT": None,
    "Wed, 25 Nov 2026 12:00:30 +9999999999": None,
    "": None,
    "soon": None,
    "nan": None,
    "inf": None,
    "1e9": None,
    "-1": None,
    "1.2.3": None,
    "٣": None,
    "x" * 100_000: None,
}


@pytest.mark.parametrize("value", ASKED, ids=lambda value: value[:40])
def test_retry_after(value: str) -> None:
    assert retry_after_seconds({"retry-after": value}, now=NOW) == ASKED[value]


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [("1500", 1.5), ("20.5", 0.0205), ("0", 0), ("9" * 400, SECONDS_MAX), ("nan", 7), ("-1", 7), ("", 7)],
)
def test_milliseconds_are_finer_and_stand_before_seconds_when_they_are_a_number(
    milliseconds: str, seconds: float
) -> None:
    assert retry_after_seconds({"retry-after-ms": milliseconds, "retry-after": "7"}) == seconds


def test_who_says_nothing_asks_for_nothing() -> None:
    assert retry_after_seconds({}) is None


def test_the_budget_reads_every_form() -> None:
    assert pause_seconds(429, {"retry-after-ms": "250"}) == 0.25
    assert pause_seconds(429, {"retry-after": "Fri, 01 Jan 9999 00:00:00 GMT"}) == SECONDS_MAX
    assert pause_seconds(429, {"retry-after": "nan"}) == 0
