"""Rows of .csv and .tsv."""

import pytest

from app.core.formats import MediaType
from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.loaders import load
from ingest.reading.page import Page


def _page(data: str, media_type: MediaType = MediaType.CSV) -> Page:
    (page,) = load(media_type, data.encode()).pages
    return page


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_sets_cells_apart_is_found(delimiter: str) -> None:
    rows = (("Item", "Price", "Note"), ("Tank", "1.800", "a"), ("Hose", "12", "b"))
    page = _page("\n".join(delimiter.join(row) for row in rows))
    assert (page.text or "").splitlines() == ["Item | Price | Note", "Tank | 1.800 | a", "Hose | 12 | b"]
    assert page.table_headers == ("Item | Price | Note",)


def test_commas_in_numbers_do_not_part_cells_that_semicolons_part() -> None:
    assert "Tank | 1,80 | 2,50" in (_page("Item;Old;New\nTank;1,80;2,50\nHose;3,10;4,20\n").text or "")


def test_a_quoted_cell_may_have_anything_in_it() -> None:
    page = _page('Item,Note\nTank,"large, red\nand ""new"""\n')
    assert (page.text or "").splitlines() == ["Item | Note", 'Tank | large, red and "new"']


def test_excel_s_hint_is_no_row() -> None:
    assert (_page("sep=;\nItem;Price\nTank;12\n").text or "").splitlines() == ["Item | Price", "Tank | 12"]


def test_a_tsv_is_parted_by_tabs_alone() -> None:
    page = _page("Item\tNote\nTank\ta, b, c\nHose\td, e, f\n", MediaType.TSV)
    assert (page.text or "").splitlines() == ["Item | Note", "Tank | a, b, c", "Hose | d, e, f"]


def test_figures_in_the_first_row_are_no_names() -> None:
    assert _page("Tank,12\nHose,3\n").table_headers == ()


def test_rows_of_several_lengths_are_read() -> None:
    page = _page("Item,Price\nTank\nHose,3,4\n")
    assert (page.text or "").splitlines() == ["Item | Price |", "Tank | |", "Hose | 3 | 4"]


def test_lines_above_the_names_are_no_rows() -> None:
    page = _page("Report of May,,\n\nItem,Price,Note\nTank,12,a\n")
    assert page.headings == ("Report of May",)
    assert page.table_headers == ("Item | Price | Note",)


def test_an_old_western_file_is_read() -> None:
    (page,) = load(MediaType.CSV, "Größe;Preis\nKühn;12 €\n".encode("cp1252")).pages
    assert page.text == "Größe | Preis\nKühn | 12 €"


def test_a_long_one_is_cut_at_a_row_s_end_and_says_so() -> None:
    page = _page("Item,Price\n" + "a tank of water,12\n" * 60_000)
    assert page.is_cut
    assert len(page.text or "") <= PAGE_CHARACTERS_MAX
    assert (page.text or "").endswith("a tank of water | 12")
