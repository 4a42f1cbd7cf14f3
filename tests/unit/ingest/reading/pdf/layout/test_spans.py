"""Spans: words of one line with their signs and units, and the columns that a span is in."""

import pytest

from ingest.reading.pdf.layout.columns import Column, place_of
from ingest.reading.pdf.layout.spans import Span, Word, is_figure

HEIGHT = 10.0
COLUMNS = [Column(0, 100), Column(120, 200), Column(220, 300)]


def apart(text: str) -> Span:
    """A line whose words are 50 points apart."""
    words: list[Word] = []
    start = 0
    for at, word in enumerate(text.split()):
        words.append((start, start + len(word), 100.0 * at, 100.0 * at + 50, 0.0))
        start += len(word) + 1
    return Span(0, text, words, 0.0, HEIGHT)


def standing(left: float, right: float) -> Span:
    """A span of one word."""
    return Span(0, "a", [(0, 1, left, right, 0.0)], 0.0, HEIGHT)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("$ 12", ["$ 12"]),
        ("HK$ 1,250", ["HK$ 1,250"]),
        ("1,250 bps", ["1,250 bps"]),
        ("(1,250 )%\u2030", ["(1,250 )%\u2030"]),
        ("Sales $ 1,250 $ 1,300", ["Sales", "$ 1,250", "$ 1,300"]),
        ("Sales 1,250 1,300", ["Sales", "1,250", "1,300"]),
        ("$ Sales", ["$", "Sales"]),
    ],
)
def test_a_figure_stays_with_its_sign_and_unit_over_any_gap(text: str, parts: list[str]) -> None:
    assert [part.text for part in apart(text).parts(HEIGHT)] == parts


def test_a_currency_close_behind_a_figure_is_the_next_one_s() -> None:
    words = [(0, 2, 0.0, 10.0, 0.0), (3, 4, 12.0, 16.0, 0.0), (5, 7, 18.0, 28.0, 0.0)]

    parts = Span(0, "12 $ 13", words, 0.0, HEIGHT).parts(HEIGHT)

    assert [part.text for part in parts] == ["12", "$ 13"]


@pytest.mark.parametrize("text", ["12", "(1,250.5)", "$1,250", "12%", "12.5x", "12 bps", "\u2014", "US$12 mn"])
def test_a_figure_has_a_sign_and_a_unit(text: str) -> None:
    assert is_figure(text)


@pytest.mark.parametrize("text", ["12 May", "3,000 metres", "10-K forms", "Sales", "1 2 3 4 5", "2 Jan."])
def test_a_date_and_words_are_no_figure(text: str) -> None:
    assert not is_figure(text)


@pytest.mark.parametrize(
    ("left", "right", "place"),
    [
        (0, 90, (0, 0)),
        (130, 190, (1, 1)),
        (10, 290, (0, 2)),
        (125, 290, (1, 2)),
        (100, 112, (0, 0)),  # in none: the nearest
        (110, 120, (1, 1)),
        (400, 410, (2, 2)),
        (-50, -10, (0, 0)),
        (10, 10, (0, 0)),
    ],
)
def test_a_span_is_in_the_columns_that_it_shares_much_with(left: float, right: float, place: tuple[int, int]) -> None:
    assert place_of(standing(left, right), COLUMNS) == place
