"""What a record's end adds to the history: what is not of our making adds nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from app.jobs.ends import FIELDS, end_of
from app.jobs.histogram import bucket_of

NOW = datetime(2026, 11, 26, 12, 30, 30, tzinfo=UTC)
RECORD: Mapping[str, bytes | None] = dict.fromkeys(FIELDS) | {
    "status": b"finished",
    "origin": b"rag_queries",
    "created_at": b"2026-11-26T12:29:00.000000Z",
    "enqueued_at": b"2026-11-26T12:29:58.000000Z",
    "started_at": b"2026-11-26T12:30:00.000000Z",
    "ended_at": b"2026-11-26T12:30:04.000000Z",
    "retries_given": b"9",
    "retries_left": b"7",
    "input_tokens": b"812",
    "output_tokens": b"9",
}


def counts(**changed: bytes | None) -> Mapping[str, int]:
    end = end_of({**RECORD, **changed}, NOW)
    assert end is not None
    return end.counts


def test_an_end_counts_in_its_minute_with_its_retries_tokens_and_times() -> None:
    end = end_of(RECORD, NOW)
    assert end is not None
    assert (end.queue, end.minute, end.ended_at) == (
        "rag_queries",
        datetime(2026, 11, 26, 12, 30, tzinfo=UTC),
        RECORD["ended_at"],
    )
    waited, took = f"w{bucket_of(2_000)}", f"t{bucket_of(64_000)}"
    assert end.counts == {"finished": 1, "retries": 2, "input_tokens": 812, "output_tokens": 9, waited: 1, took: 1}


def test_a_job_that_was_sent_back_took_as_long_as_since_then() -> None:
    assert f"t{bucket_of(5_000)}" in counts(requeued_at=b"2026-11-26T12:29:59.000000Z")


def test_how_long_a_stopped_job_took_says_nothing_of_the_queue() -> None:
    assert counts(status=b"canceled", input_tokens=None, output_tokens=None) == {"stopped": 1, "retries": 2}


def test_a_job_that_never_started_has_not_waited() -> None:
    assert not [name for name in counts(status=b"failed", started_at=None) if name.startswith("w")]


@pytest.mark.parametrize("changed", [
    {"status": b"queued"}, {"status": b"started"}, {"status": b"\xff"}, {"status": None}, {"origin": b"evil"},
    {"origin": b"\xff"}, {"origin": None}, {"ended_at": None}, {"ended_at": b"now"},
    {"ended_at": b"2026-11-26T12:30:04"},
    {"ended_at": b"2026-11-26T11:30:29Z"}, {"ended_at": b"2026-11-26T12:31:31Z"}, {"ended_at": b"\xff"},
    {"ended_at": b"9999-12-31T23:59:59Z"}, {"ended_at": b"0001-01-01T00:00:00Z"},
], ids=str)  # fmt: skip
def test_what_has_not_ended_within_the_hour_on_a_queue_of_ours_counts_nothing(
    changed: Mapping[str, bytes | None],
) -> None:
    assert end_of({**RECORD, **changed}, NOW) is None


@pytest.mark.parametrize("hostile", [b"", b"-5", b"1e9", b"9" * 16, b"\xb2", b"many", b" 7"])
def test_what_is_no_count_adds_nothing(hostile: bytes) -> None:
    found = counts(input_tokens=hostile, retries_given=hostile, created_at=hostile, enqueued_at=hostile)
    assert set(found) == {"finished", "output_tokens"}


def test_a_hostile_number_of_tokens_is_bounded() -> None:
    assert counts(input_tokens=b"9" * 15)["input_tokens"] == 10**9
