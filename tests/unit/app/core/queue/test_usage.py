"""A key's budget: its form, and when its window begins and ends."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from app.core.queue.usage import TokenBudget, TokenBudgetError

DAY, MONTH = TokenBudget(100, "day"), TokenBudget(100, "month")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("budget", "now", "first", "ends_at"),
    [
        (DAY, "2026-11-30T00:00:00", date(2026, 11, 30), "2026-12-01T00:00:00"),
        (DAY, "2026-11-30T23:59:59.999999", date(2026, 11, 30), "2026-12-01T00:00:00"),
        (DAY, "2026-12-31T12:00:00", date(2026, 12, 31), "2027-01-01T00:00:00"),
        (DAY, "2028-02-28T12:00:00", date(2028, 2, 28), "2028-02-29T00:00:00"),
        (MONTH, "2026-11-01T00:00:00", date(2026, 11, 1), "2026-12-01T00:00:00"),
        (MONTH, "2026-11-30T23:59:59.999999", date(2026, 11, 1), "2026-12-01T00:00:00"),
        (MONTH, "2026-12-31T12:00:00", date(2026, 12, 1), "2027-01-01T00:00:00"),
        (MONTH, "2028-02-29T12:00:00", date(2028, 2, 1), "2028-03-01T00:00:00"),
    ],
)
def test_a_window_is_a_day_or_a_month_of_utc(budget: TokenBudget, now: str, first: date, ends_at: str) -> None:
    days = budget.days(moment(now))
    assert days[0] == first
    assert days[-1] == moment(now).date()
    assert len(days) == (days[-1] - first).days + 1
    assert budget.ends_at(moment(now)) == moment(ends_at)


def test_a_clock_of_another_zone_is_put_right() -> None:
    tokyo = datetime(2026, 12, 1, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    assert MONTH.days(tokyo)[0] == date(2026, 11, 1)
    assert DAY.ends_at(tokyo) == moment("2026-12-01T00:00:00")


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        ("2026-11-30T23:59:59.999999", 1),
        ("2026-11-30T23:59:58.000001", 2),
        ("2026-11-30T00:00:00", 86_400),
    ],
)
def test_who_is_refused_is_told_when_to_come_back(now: str, seconds: int) -> None:
    error = TokenBudgetError(DAY, 120, moment(now))
    assert (error.seconds, error.ends_at, error.used) == (seconds, moment("2026-12-01T00:00:00"), 120)


@pytest.mark.parametrize(
    "text", ["", "100", "0/day", "-1/day", "1/hour", "1/days", "1.5/day", "01/day", "1/day\n", "9" * 16 + "/day"]
)
def test_what_has_another_form_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="100000/day"):
        TokenBudget.parse(text)


def test_a_budget_is_read() -> None:
    assert TokenBudget.parse("2000000/month") == TokenBudget(2_000_000, "month")
