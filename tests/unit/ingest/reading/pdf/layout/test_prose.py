"""What looks like a table to a ruler and is none to a reader has no bars, and stays in its order."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fpdf import FPDF

from tests.support.pdfs import raw_page_pdf
from tests.unit.ingest.reading.pdf.layout.drawing import column, lines_of, read
from worker.table_rows import is_row

TEXT = (
    "The harbour was dredged in the spring of that year, and the silt was carried out to sea in barges that had been "
    "lent by the neighbouring port. Nobody had expected the work to take longer than a month, but the winter storms "
    "had left more behind than the engineers had measured. By the first of June the channel was open again, and the "
    "ferries could return to their summer timetable. The cost was shared between the town, the county and the three "
    "companies whose ships use the quay. "
)
LEFT = (
    "The pump is started by turning",
    "the red valve to the left. Wait",
    "until the gauge shows 3.5 bar",
    "before the heater is switched on.",
    "Never open the lid while the",
    "drum is turning.",
)
RIGHT = (
    "The warranty lasts 24 months from",
    "the day of delivery. It does not",
    "cover wear of seals, or damage",
    "from water that was not filtered.",
    "Send claims to the service desk",
    "in Harlow.",
)


def _justified(pdf: FPDF) -> None:
    pdf.set_xy(100, 100)
    pdf.multi_cell(170, 13, TEXT * 2, align="J")


def _two_columns(pdf: FPDF) -> None:
    column(pdf, 60, 100, LEFT)
    column(pdf, 320, 100, RIGHT)


def _three_columns(pdf: FPDF) -> None:
    for at in range(3):
        pdf.set_xy(50 + 180 * at, 100)
        pdf.multi_cell(160, 13, TEXT, align="J")


def _list(pdf: FPDF) -> None:
    points = (
        "Switch the pump off at the wall.",
        "Open the lid and lift it out.",
        "Rinse the drum.",
        "Close the lid.",
    )
    for number, point in enumerate(points, 1):
        pdf.text(60, 100 + 14 * number, f"{number}.")
        pdf.text(95, 100 + 14 * number, point)


def _bullets(pdf: FPDF) -> None:
    for number, point in enumerate(("Bread and butter", "Milk", "Six eggs, boiled", "A jar of honey")):
        pdf.text(60, 100 + 14 * number, "-")
        pdf.text(95, 100 + 14 * number, point)


def _contents_with_dots(pdf: FPDF) -> None:
    for number, (title, page) in enumerate(
        (("Introduction", 1), ("Methods", 7), ("Results", 19), ("Discussion", 42))
    ):
        dots = "." * int((400 - pdf.get_string_width(title)) / pdf.get_string_width("."))
        pdf.text(60, 100 + 14 * number, f"{title}{dots}{page}")


def _contents_with_gaps(pdf: FPDF) -> None:
    titles = (("1", "Introduction", 1), ("2", "Methods", 7), ("3", "Results", 19), ("4", "Discussion of it all", 42))
    for number, (chapter, title, page) in enumerate(titles):
        pdf.text(60, 100 + 14 * number, chapter)
        pdf.text(95, 100 + 14 * number, title)
        pdf.text(480 - pdf.get_string_width(str(page)), 100 + 14 * number, str(page))


def _contents_of_titles(pdf: FPDF) -> None:
    for number, (title, page) in enumerate((("Preface", "iv"), ("Methods", "7"), ("Results", "19"), ("Index", "42"))):
        pdf.text(60, 100 + 14 * number, title)
        pdf.text(480 - pdf.get_string_width(page), 100 + 14 * number, page)


def _addresses(pdf: FPDF) -> None:
    column(pdf, 60, 100, ("Harbour Lane Rowing Club", "The Old Ice House", "Mill Quay", "Harlow"))
    column(pdf, 340, 100, ("Ada Example", "Flat in the Tower", "Station Road", "Westport"))


def _letterhead(pdf: FPDF) -> None:
    column(pdf, 60, 100, ("Ada Example", "Station Road", "Westport"))
    column(pdf, 340, 100, ("Harlow, in the spring", "Our sign: ab", "Your letter of Monday"))


def _code(pdf: FPDF) -> None:
    pdf.set_font("Courier", size=10)
    code = (
        "def fill(tank):         # litres",
        "    while not full:     # a float",
        "        pour(jug)       # of two",
        "    total = jug * n;    # all of it",
        "    return total;       # or none",
    )
    column(pdf, 60, 100, code)


def _running_head(pdf: FPDF) -> None:
    pdf.text(60, 40, "Annual Report")
    pdf.text(450, 40, "Harbour Lane")
    pdf.set_xy(60, 60)
    pdf.multi_cell(450, 13, TEXT * 2)
    pdf.text(60, 800, "Printed in May")
    pdf.text(480, 800, "Page 3")


def _tabs_in_prose(pdf: FPDF) -> None:
    for number, line in enumerate(LEFT):
        first, _, rest = line.partition(" ")
        pdf.text(60, 100 + 14 * number, first)
        pdf.text(60 + pdf.get_string_width(first) + 12 + 9 * (number % 3), 100 + 14 * number, rest)


PROSE: dict[str, Callable[[FPDF], None]] = {
    "justified": _justified,
    "two columns": _two_columns,
    "three justified columns": _three_columns,
    "numbered list": _list,
    "bullets": _bullets,
    "contents with dots": _contents_with_dots,
    "contents with gaps": _contents_with_gaps,
    "contents of titles": _contents_of_titles,
    "addresses": _addresses,
    "letterhead": _letterhead,
    "code": _code,
    "running head": _running_head,
    "gaps in prose": _tabs_in_prose,
}


@pytest.mark.parametrize("kind", PROSE)
def test_prose_has_no_bars(tmp_path: Path, kind: str) -> None:
    page = read(tmp_path / "a.pdf", PROSE[kind])
    assert len(lines_of(page)) > 2
    assert not any(map(is_row, lines_of(page)))
    assert page.table_headers == ()


def test_columns_that_were_drawn_one_after_the_other_stay_so(tmp_path: Path) -> None:
    assert lines_of(read(tmp_path / "a.pdf", _two_columns)) == [*LEFT, *RIGHT]


def test_columns_that_were_drawn_across_are_read_one_after_the_other(tmp_path: Path) -> None:
    def draw(pdf: FPDF) -> None:
        for number, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
            pdf.text(60, 100 + 13 * number, left)
            pdf.text(320, 100 + 13 * number, right)

    assert lines_of(read(tmp_path / "a.pdf", draw)) == [*LEFT, *RIGHT]


def test_columns_with_lines_between_one_another_s_are_read_one_after_the_other(tmp_path: Path) -> None:
    def draw(pdf: FPDF) -> None:
        for number, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
            pdf.text(60, 100 + 20 * number, left)
            pdf.text(320, 109 + 20 * number, right)

    assert lines_of(read(tmp_path / "a.pdf", draw)) == [*LEFT, *RIGHT]


def test_a_title_over_columns_that_were_drawn_across_stays_on_top(tmp_path: Path) -> None:
    title = "How to use the pump, and what to do when it does not work as you had hoped it would"

    def draw(pdf: FPDF) -> None:
        pdf.text(60, 70, title)
        for number, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
            pdf.text(60, 100 + 13 * number, left)
            pdf.text(320, 100 + 13 * number, right)

    assert lines_of(read(tmp_path / "a.pdf", draw)) == [title, *LEFT, *RIGHT]


def test_a_spread_is_read_left_page_first(tmp_path: Path) -> None:
    left = [f"{line} On the left." for line in (*LEFT, *LEFT)]
    right = [f"{line} On the right." for line in (*RIGHT, *RIGHT)]

    def draw(pdf: FPDF) -> None:
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            pdf.text(60, 100 + 26 * number, one)
            pdf.text(480, 100 + 26 * number, other)

    assert lines_of(read(tmp_path / "a.pdf", draw, orientation="landscape")) == [*left, *right]


@pytest.mark.parametrize("first", [0, 3], ids=["the whole page", "after lines in order"])
def test_lines_drawn_bottom_up_are_read_from_the_top(tmp_path: Path, first: int) -> None:
    steps = [
        f"Step {word}: do what has to be done." for word in ("one", "two", "three", "four", "five", "six", "seven")
    ]
    order = [*range(first), *reversed(range(first, len(steps)))]

    def draw(pdf: FPDF) -> None:
        for number in order:
            pdf.text(60, 100 + 20 * number, steps[number])

    assert lines_of(read(tmp_path / "a.pdf", draw)) == steps


def test_a_foot_and_a_head_that_are_drawn_last_stay_where_they_were(tmp_path: Path) -> None:
    def draw(pdf: FPDF) -> None:
        column(pdf, 60, 100, LEFT)
        pdf.text(60, 800, "The foot of the page")
        pdf.text(60, 40, "The head of the page")

    assert lines_of(read(tmp_path / "a.pdf", draw)) == [*LEFT, "The foot of the page", "The head of the page"]


def test_columns_of_a_page_without_words_are_nothing(tmp_path: Path) -> None:
    raw_page_pdf(tmp_path / "a.pdf", b"")
    assert lines_of(read(tmp_path / "b.pdf", lambda pdf: None)) == []
