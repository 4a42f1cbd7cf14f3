"""Slides: a page each, in the order of reading."""

from io import BytesIO
from typing import Any

from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from app.core.formats import MediaType
from ingest.reading.loaders import Loaded, load


class _Deck:
    """A presentation that is being made, one slide at a time."""

    def __init__(self) -> None:
        self.presentation = Presentation()
        self.slide: Any = None

    def add(self, title: str = "", layout: int = 5) -> Any:
        self.slide = self.presentation.slides.add_slide(self.presentation.slide_layouts[layout])
        self.slide.shapes.title.text = title
        return self.slide

    def box(self, words: str, left: float, top: float, height: float = 1) -> Any:
        box = self.slide.shapes.add_textbox(Inches(left), Inches(top), Inches(3), Inches(height))
        box.text_frame.text = words
        return box

    def loaded(self) -> Loaded:
        out = BytesIO()
        self.presentation.save(out)
        return load(MediaType.PPTX, out.getvalue())


def _lines(loaded: Loaded, number: int = 0) -> list[str]:
    return [line for line in (loaded.pages[number].text or "").splitlines() if line]


def test_a_slide_is_a_page_and_its_title_a_heading() -> None:
    deck = _Deck()
    deck.add("Annual review", layout=0).placeholders[1].text = "Acme, 2025"
    deck.add("Costs")
    loaded = deck.loaded()
    assert [page.headings for page in loaded.pages] == [("Annual review",), ("Costs",)]
    assert _lines(loaded) == ["Annual review", "Acme, 2025"]
    assert loaded.title == "Annual review"


def test_shapes_are_read_row_by_row_from_left_to_right_whatever_was_drawn_first() -> None:
    deck = _Deck()
    deck.add("Title")
    for words, left, top in (("fourth", 5, 4.1), ("third", 1, 4), ("second", 5, 2), ("first", 1, 2.1)):
        deck.box(words, left, top)
    assert _lines(deck.loaded()) == ["Title", "first", "second", "third", "fourth"]


def test_shapes_in_groups_stand_where_the_group_is() -> None:
    deck = _Deck()
    deck.add("Title")
    deck.box("below", 1, 6)
    group = deck.slide.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(3), Inches(2), Inches(1)).text_frame.text = "in a group"
    deck.box("above", 1, 2)
    assert _lines(deck.loaded()) == ["Title", "above", "in a group", "below"]


def test_a_hidden_slide_keeps_its_number_and_has_no_words() -> None:
    deck = _Deck()
    for title in ("One", "Two", "Three"):
        slide = deck.add(title)
        slide.element.set("show", "0" if title == "Two" else "1")
    assert [page.text for page in deck.loaded().pages] == ["One", "", "Three"]


def test_numbers_that_begin_elsewhere_are_labels() -> None:
    deck = _Deck()
    deck.add("One")
    deck.presentation.element.set("firstSlideNum", "7")
    assert [page.label for page in deck.loaded().pages] == ["7"]


def test_a_table_is_rows_below_its_columns_names() -> None:
    deck = _Deck()
    deck.add("Costs")
    table = deck.slide.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for at, words in enumerate(("Item", "2024", "2025", "Tank", "£110", "£120", "Hose", "(20)", "")):
        table.cell(at // 3, at % 3).text = words
    loaded = deck.loaded()
    assert _lines(loaded)[1:] == ["Item | 2024 | 2025", "Tank | £110 | £120", "Hose | (20) |"]
    assert loaded.pages[0].table_headers == ("Item | 2024 | 2025",)


def test_a_cell_over_two_rows_stands_in_both() -> None:
    deck = _Deck()
    deck.add("Costs")
    table = deck.slide.shapes.add_table(3, 2, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for at, words in enumerate(("Group", "Item", "Hardware", "Tank", "", "Hose")):
        table.cell(at // 2, at % 2).text = words
    table.cell(1, 0).merge(table.cell(2, 0))
    assert _lines(deck.loaded())[1:] == ["Group | Item", "Hardware | Tank", "Hardware | Hose"]


def test_a_chart_s_values_are_rows_as_they_are_shown() -> None:
    deck = _Deck()
    deck.add("Shares")
    make: Any = CategoryChartData
    data = make(number_format="0.0%")
    data.categories = ["East", "West"]
    data.add_series("2024", (0.1, 0.2))
    data.add_series("2025", (0.3, None))
    deck.slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(2), Inches(5), Inches(4), data)
    loaded = deck.loaded()
    assert _lines(loaded)[1:] == ["Category | 2024 | 2025", "East | 10.0% | 30.0%", "West | 20.0% |"]
    assert loaded.pages[0].table_headers == ("Category | 2024 | 2025",)


def test_raised_and_lowered_figures_stay_apart() -> None:
    deck = _Deck()
    deck.add("Title")
    paragraph = deck.box("", 1, 2).text_frame.paragraphs[0]
    for words, baseline in (
        ("Sales of 412", 0),
        ("2", 30),
        (", 10", 0),
        ("6", 30),
        (" cells of H", 0),
        ("2", -25),
        ("O", 0),
    ):
        run = paragraph.add_run()
        run.text = words
        run.font._rPr.set("baseline", str(baseline * 1000))
    assert _lines(deck.loaded())[1:] == ["Sales of 412², 10^6 cells of H₂O"]


def test_lines_within_a_shape_are_lines() -> None:
    deck = _Deck()
    deck.add("Title")
    deck.box("one\ntwo\vthree", 1, 2)
    assert _lines(deck.loaded())[1:] == ["one", "two", "three"]
