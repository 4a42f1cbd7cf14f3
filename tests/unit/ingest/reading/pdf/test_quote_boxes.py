"""Where a quote stands on a page."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from fpdf import FPDF

from ingest.reading.pdf.quote_boxes import MarkBox, find_boxes
from ingest.reading.pdf.quote_over_pages import find_over_pages
from tests.support import pdfs

SIZE = 10
NEAR = 2.0
"""Points."""
QUOTE = "The key hangs behind the third oar."
X, Y = 72.0, 200.0
"""Where the quote's baseline begins, from the page's upper left corner."""
WIDE, HIGH = 595.28, 841.89


def page_of(draw: Callable[[FPDF], Any]) -> Any:
    """A page on which `draw` draws, in points, in Helvetica of 10."""
    pdf = FPDF(unit="pt")
    pdf.set_auto_page_break(False)
    pdf.add_page()
    pdf.set_font("Helvetica", size=SIZE)
    draw(pdf)
    written = io.BytesIO()
    pdf.output(written)
    return pypdfium2.PdfDocument(written.getvalue())[0]


def written(*lines: tuple[float, float, str]) -> Any:
    """A page with these lines, each at its place."""
    return page_of(lambda pdf: [pdf.text(x, y, line) for x, y, line in lines])


def _first_page(path: Path) -> Any:
    return pypdfium2.PdfDocument(path)[0]


def width_of(text: str) -> float:
    """How wide Helvetica of 10 is."""
    pdf = FPDF(unit="pt")
    pdf.set_font("Helvetica", size=SIZE)
    return float(pdf.get_string_width(text))


def stands_at(box: MarkBox, x: float, baseline: float, text: str) -> bool:
    """Whether `box` is around `text` written there, and no other line."""
    left, top, width, height = box
    is_across = abs(left - x) <= NEAR and abs(width - width_of(text)) <= NEAR
    return is_across and abs(top + height - baseline - 0.21 * SIZE) <= NEAR and SIZE * 0.9 <= height <= SIZE * 1.3


def test_a_quote_on_a_line_has_one_box_where_it_is_written() -> None:
    page = written((X, Y - 14, "The boat house opens at six."), (X, Y, QUOTE), (X, Y + 14, "Nobody may row alone."))
    (box,) = find_boxes(page, QUOTE)
    assert stands_at(box, X, Y, QUOTE)


def test_a_quote_within_a_line_has_a_box_of_its_own_width() -> None:
    before = "It is open. "
    (box,) = find_boxes(written((X, Y, f"{before}{QUOTE} Ask.")), QUOTE)
    assert stands_at(box, X + width_of(before), Y, QUOTE)


@pytest.mark.parametrize("quarter", [90, 180, 270])
def test_a_turned_page_has_the_box_where_the_quote_is_shown(quarter: int) -> None:
    page = written((X, Y, QUOTE))
    ((left, top, width, height),) = find_boxes(page, QUOTE)
    page.set_rotation(quarter)
    turned = {
        90: (HIGH - top - height, left, height, width),
        180: (WIDE - left - width, HIGH - top - height, width, height),
        270: (top, WIDE - left - width, height, width),
    }
    (box,) = find_boxes(page, QUOTE)
    assert box == pytest.approx(turned[quarter], abs=NEAR)


def test_a_cropped_page_has_the_box_counted_from_what_is_shown_of_it() -> None:
    page = written((X, Y, QUOTE))
    page.set_mediabox(-30, -20, WIDE, HIGH)
    page.set_cropbox(50, 40, WIDE - 100, HIGH - 60)
    (box,) = find_boxes(page, QUOTE)
    assert stands_at(box, X - 50, Y - 60, QUOTE)


def test_a_cropped_page_that_is_turned_has_the_box_where_the_quote_is_shown() -> None:
    page = written((X, Y, QUOTE))
    page.set_cropbox(50, 40, WIDE - 100, HIGH - 60)
    page.set_rotation(90)
    ((left, top, width, height),) = find_boxes(page, QUOTE)
    assert top == pytest.approx(X - 50, abs=NEAR)
    assert height == pytest.approx(width_of(QUOTE), abs=NEAR)
    assert left == pytest.approx(HIGH - 40 - Y - 0.21 * SIZE, abs=NEAR)
    assert width < 1.3 * SIZE


def test_a_quote_that_is_cropped_away_is_not_marked() -> None:
    page = written((X, Y, QUOTE))
    page.set_cropbox(50, 40, WIDE, HIGH - 300)
    assert find_boxes(page, QUOTE) == []


def test_a_quote_over_two_lines_has_a_box_for_each() -> None:
    page = written((X, Y, "Open. The key hangs"), (X, Y + 14, "behind the third oar. Closed."))
    first, second = find_boxes(page, QUOTE)
    assert stands_at(first, X + width_of("Open. "), Y, "The key hangs")
    assert stands_at(second, X, Y + 14, "behind the third oar.")


def test_a_quote_in_one_of_two_columns_is_marked_there_alone() -> None:
    left = [(X, Y + 14 * n, line) for n, line in enumerate(("Boats are for members", "and for their guests."))]
    right = [(330.0, Y + 14 * n, line) for n, line in enumerate(("The key hangs behind", "the third oar."))]
    rows = [line for pair in zip(left, right, strict=True) for line in pair]  # drawn across both columns
    first, second = find_boxes(written(*rows), QUOTE)
    assert stands_at(first, 330, Y, "The key hangs behind")
    assert stands_at(second, 330, Y + 14, "the third oar.")


def test_a_word_broken_at_a_lines_end_is_found_whole() -> None:
    page = written((X, Y, "Ask about transporta-"), (X, Y + 14, "tion by boat."))
    first, second = find_boxes(page, "Ask about transportation by boat.")
    assert stands_at(first, X, Y, "Ask about transporta-")
    assert stands_at(second, X, Y + 14, "tion by boat.")


@pytest.mark.parametrize("quote", ["office rooms", "o\ufb03ce rooms"])
def test_a_ligature_is_found_by_its_letters(tmp_path: Path, quote: str) -> None:
    glyphs = ["a", " ", "o", "\ufb03", "c", "e", " ", "r", "oo", "m", "s"]  # each 12 points wide
    ((left, top, width, height),) = find_boxes(_first_page(pdfs.unicode_pdf(tmp_path / "a.pdf", [glyphs])), quote)
    assert (left, width) == pytest.approx((50 + 2 * 12, 9 * 12), abs=NEAR)
    assert top < 100 <= top + height


def test_writing_from_right_to_left_is_marked_where_it_is_shown(tmp_path: Path) -> None:
    """Glyphs of 12 points from left to right, as they are seen: the first letter of a word is its last glyph."""
    shown = "".join(reversed("\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"))
    page = _first_page(pdfs.unicode_pdf(tmp_path / "a.pdf", [shown]))
    ((left, _, width, _),) = find_boxes(page, "\u05e9\u05dc\u05d5\u05dd")
    assert (left, width) == pytest.approx((50 + 5 * 12, 4 * 12), abs=NEAR)
    ((left, _, width, _),) = find_boxes(page, "\u05e2\u05d5\u05dc\u05dd")
    assert (left, width) == pytest.approx((50, 4 * 12), abs=NEAR)


def test_raised_figures_and_composed_letters_are_found_however_they_are_written(tmp_path: Path) -> None:
    lines = ["10\u2076 cafe\u0301s", "東京は日本の首都です。", "𠮷野家 😀 ok"]
    page = _first_page(pdfs.unicode_pdf(tmp_path / "a.pdf", lines))
    assert [len(find_boxes(page, quote)) for quote in ("106 caf\u00e9s", "日本の首都", "𠮷野家 😀 ok", *lines)] == [
        1
    ] * 6


@pytest.mark.parametrize(("quote", "line"), [("12 boats", "412 boats"), ("boats: 12", "boats: 125")])
def test_a_number_that_is_part_of_another_is_not_marked(quote: str, line: str) -> None:
    assert find_boxes(written((X, Y, line)), quote) == []


@pytest.mark.parametrize("quote", ["", " \n", "-", "The key hangs behind the fourth oar."])
def test_what_the_page_does_not_say_is_not_marked(quote: str) -> None:
    assert find_boxes(written((X, Y, QUOTE)), quote) == []


def test_of_several_places_the_first_with_whole_words_is_marked() -> None:
    page = written((X, Y, "Boathouses"), (X, Y + 20, "Boat"), (X, Y + 40, "Boat"))
    (box,) = find_boxes(page, "Boat")
    assert stands_at(box, X, Y + 20, "Boat")


def test_a_row_of_a_table_has_its_bars_and_blanks_left_out() -> None:
    page = written((X, Y, "Students"), (300, Y, "110"), (400, Y, "220"), (X, Y + 14, "Families"), (300, Y + 14, "9"))
    boxes = find_boxes(page, "Students | 110 | 220")
    assert [stands_at(*each) for each in zip(boxes, (X, 300, 400), (Y,) * 3, ("Students", "110", "220"), strict=True)]


def test_pieces_drawn_in_another_order_are_marked_where_each_stands_once() -> None:
    page = written((X, Y + 14, "behind the third oar."), (X, Y + 80, "Nobody may row."), (X, Y, "The key hangs up"))
    first, second = find_boxes(page, "The key hangs up behind the third oar.")
    assert stands_at(first, X, Y, "The key hangs up")
    assert stands_at(second, X, Y + 14, "behind the third oar.")


def test_pieces_that_may_be_others_are_not_marked() -> None:
    lines = [(X, Y + 14, "behind the third oar."), (X, Y + 80, "behind the third oar."), (X, Y, "The key hangs up")]
    assert find_boxes(written(*lines), "The key hangs up behind the third oar.") == []


@pytest.mark.parametrize("end", ["The key hangs behind", "The key hangs be-"])
def test_a_sentence_over_a_pages_end_is_marked_on_both_pages(end: str) -> None:
    start = QUOTE.removeprefix(end.removesuffix("-")).strip()
    page = written((X, Y, "The key hangs high."), (X, 700, end))
    following = written((X, Y, start), (X, Y + 14, "Behind the third oar is a door."))
    ((first,), (second,)) = find_over_pages(page, following, QUOTE)
    assert stands_at(first, X, 700, end.removesuffix("-"))
    assert stands_at(second, X, Y, start)


@pytest.mark.parametrize("start", ["the third door.", "behind the third oar.", ""])
def test_a_sentence_whose_parts_are_not_certain_is_marked_on_neither_page(start: str) -> None:
    page = written((X, 700, "The key hangs behind"))
    assert find_over_pages(page, written((X, Y, start)), QUOTE) == ([], [])


def test_a_page_of_one_letter_and_a_quote_of_it_take_no_time() -> None:
    page = written(*((20, 20 + n * 12, "a" * 100) for n in range(65)))
    began = time.process_time()
    assert len(find_boxes(page, "a" * 300)) == 3
    assert find_boxes(page, "a" * 300 + "b") == []
    assert time.process_time() - began < 2
