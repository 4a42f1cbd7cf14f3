"""A number of a question meets the same number of a chunk, and no other."""

import pytest

from worker.vectors import terms


@pytest.mark.parametrize(
    ("question", "chunk"),
    [
        ("1234 members", "1,234 souls"),
        ("1,234,567", "1234567 in all"),
        ("1'234", "1,234"),
        ("1\u202f234", "1234"),
        ("1.234,50 euro", "1,234.50 pounds"),
        ("3,5", "3.5 l"),
        ("3.5 kW", "3.5kW of heat"),
        ("£110", "Student | £110"),
        ("(1,234)", "a loss of $1,234."),
        ("12.5%", "rose by 12.5 % in May"),
        ("10^6 cells", "about 10^6"),
        ("10^-6", "10^\u22126 m"),
        ("E1", "error E1: no water"),
        ("2025", "on 25.11.2025"),
        ("2025", "in 2025, 2026."),
        ("10.0.0.1", "the host 10.0.0.1"),
        ("16GB", "16 GB of memory"),
        ("400V", "at 400 V"),
    ],
)
def test_the_same_number_is_found(question: str, chunk: str) -> None:
    assert terms(question) & terms(chunk)


@pytest.mark.parametrize(
    ("question", "chunk"),
    [
        ("1,234", "1 and 234"),
        ("3.5", "3 and 5"),
        ("3.5", "5.3"),
        ("35", "3.5"),
        ("1,234", "1,235"),
        ("10^6", "106"),
        ("10^6", "10^5"),
        ("10^6", "10^-6"),
        ("E1", "E2"),
        ("0.5", "5"),
    ],
)
def test_another_number_is_not(question: str, chunk: str) -> None:
    assert not terms(question) & terms(chunk)


def test_takes_time_linear_in_the_text() -> None:
    assert len(terms("1,234," * 100_000 + "9" * 100_000 + "^" * 100_000)) < 10
