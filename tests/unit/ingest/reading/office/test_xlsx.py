"""Workbooks: a page a sheet, values as they are shown."""

import datetime as dt
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pytest
from openpyxl import Workbook
from openpyxl.styles import Font

from app.core.formats import MediaType
from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.loaders import load
from ingest.reading.office import sheet_xml, xlsx
from ingest.reading.office.package import Package
from ingest.reading.page import Page
from tests.support.formats import SAMPLES, with_part


def _saved(book: Workbook) -> bytes:
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _book(*rows: Sequence[Any]) -> tuple[Workbook, Any]:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    return book, sheet


def _page(book: Workbook) -> Page:
    return load(MediaType.XLSX, _saved(book)).pages[0]


def test_values_stand_as_their_cells_show_them() -> None:
    book, sheet = _book(
        ["Item", "Price", "Change", "Since", "In stock"],
        ["Tank", 1234.5, -0.5, dt.date(2025, 3, 1), True],
        ["Hose", -20.25, 0.125, dt.datetime(2024, 12, 24, 18, 5), False],
    )
    sheet["B2"].number_format = sheet["B3"].number_format = '#,##0.00 "€";(#,##0.00 "€")'
    sheet["C2"].number_format = sheet["C3"].number_format = "0.0%"
    assert (_page(book).text or "").splitlines() == [
        "Item | Price | Change | Since | In stock",
        "Tank | 1,234.50 € | -50.0% | 2025-03-01 | TRUE",
        "Hose | (20.25 €) | 12.5% | 2024-12-24 18:05:00 | FALSE",
    ]


def test_a_sheet_is_a_page_by_its_name_and_a_hidden_one_is_none() -> None:
    book, sheet = _book(["first"])
    sheet.title = "Prices"
    book.create_sheet("Secret").sheet_state = "hidden"
    book.create_sheet("Rates")["C7"] = "third"
    book.properties.title = "Price list"
    loaded = load(MediaType.XLSX, _saved(book))
    assert [(page.label, page.text) for page in loaded.pages] == [
        ("Prices", "Prices\n\nfirst"),
        ("Rates", "Rates\n\nthird"),
    ]
    assert loaded.pages[0].headings == ("Prices",)
    assert loaded.title == "Price list"


def test_a_table_s_first_row_names_its_columns_and_what_stands_alone_above_is_a_heading() -> None:
    book, _ = _book(["Price list 2025"], ["Item", "Price"], ["Tank", 12], ["Hose", 3])
    page = _page(book)
    assert page.headings == ("Price list 2025",)
    assert page.table_headers == ("Item | Price",)
    assert page.text == "Price list 2025\n\nItem | Price\nTank | 12\nHose | 3"


def test_names_and_values_side_by_side_are_no_table_with_a_head() -> None:
    book, _ = _book(["Customer", "ACME"], ["Date", dt.date(2025, 1, 2)], ["Total", 100])
    assert _page(book).table_headers == ()


def test_a_bold_row_names_columns_of_words() -> None:
    book, sheet = _book(["Name", "Role"], ["Ada", "Engineer"], ["Grace", "Admiral"])
    assert _page(book).table_headers == ()
    sheet["A1"].font = sheet["B1"].font = Font(b=True)
    assert _page(book).table_headers == ("Name | Role",)


def test_a_head_of_two_rows_is_one() -> None:
    book, sheet = _book(
        ["Item", "2024", None, "2025", None],
        [None, "Plan", "Actual", "Plan", "Actual"],
        ["Wages", 1, 2, 3, 4],
        ["Fuel", 5, 6, 7, 8],
    )
    sheet.merge_cells("B1:C1")
    sheet.merge_cells("D1:E1")
    page = _page(book)
    assert page.table_headers == ("Item | 2024 Plan | 2024 Actual | 2025 Plan | 2025 Actual",)
    assert (page.text or "").splitlines()[1] == "Wages | 1 | 2 | 3 | 4"


def test_a_cell_over_several_rows_stands_in_each() -> None:
    book, sheet = _book(["Group", "Item", "Price"], ["Hardware", "Tank", 12], [None, "Hose", 3])
    sheet.merge_cells("A2:A3")
    assert (_page(book).text or "").splitlines()[1:] == ["Hardware | Tank | 12", "Hardware | Hose | 3"]


def test_an_empty_cell_keeps_its_place_and_an_empty_column_does_not() -> None:
    book, _ = _book([None, "Item", None, "Old", "New"], [None, "Tank", None, None, 12], [None, "Hose", None, 3, None])
    assert (_page(book).text or "").splitlines() == ["Item | Old | New", "Tank |  | 12", "Hose | 3 |"]


def test_a_formula_is_what_it_was_when_it_was_saved() -> None:
    book, sheet = _book(["Sum"])
    sheet["A2"] = "=1+1"
    data = _saved(book)
    assert load(MediaType.XLSX, data).pages[0].text == "Sum"
    main = SAMPLES[MediaType.XLSX].main
    xml = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1"><f>1+1</f><v>2</v></c><c r="B1" t="str"><f>A1</f><v>two</v></c>'
        '<c r="C1" t="e"><v>#N/A</v></c><c r="D1" t="inlineStr"><is><r><t>ri</t></r><r><t>ch</t></r>'
        "<rPh><t>no</t></rPh></is></c></row></sheetData></worksheet>"
    )
    pages = load(MediaType.XLSX, with_part(data, main, xml.encode())).pages
    assert pages[0].text == "2 | two | #N/A | rich"


def test_a_long_sheet_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "SHEET_CELLS_MAX", 30)
    book, _ = _book(*([number, "words"] for number in range(100)))
    page = _page(book)
    assert page.is_cut
    assert len((page.text or "").splitlines()) == 11


def test_a_page_has_no_more_characters_than_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "PAGE_CHARACTERS_MAX", 10 * PAGE_CHARACTERS_MAX)
    book, _ = _book(*(["w" * 30_000] for _ in range(40)))
    page = _page(book)
    assert page.is_cut
    assert len(page.text or "") <= PAGE_CHARACTERS_MAX


def test_a_part_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_xml, "UNPACKED_BYTES_MAX", 5_000)
    book, _ = _book(*([number, "words"] for number in range(1_000)))
    page = _page(book)
    assert page.is_cut
    assert (page.text or "").startswith("0 | words\n1 | words")


def test_a_sheet_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    page_of = xlsx._page

    def noted(package: Package, name: str, *rest: Any) -> Page:
        read.append(name)
        return page_of(package, name, *rest)

    monkeypatch.setattr(xlsx, "_page", noted)
    book, _ = _book(["first"])
    book.create_sheet("Second")["A1"] = "second"
    pages = load(MediaType.XLSX, _saved(book)).pages
    assert read == []
    assert pages[1].text == pages[1].text == "Second\n\nsecond"
    assert read == ["Second"]
