"""A table's row as a line of text, and back."""

import pytest

from ingest.reading.plain import clean
from worker.table_rows import as_printed, cells_of, is_row, row_of

ROWS = [
    ["Student", "£110", "in full-time education, 16 to 25"],
    ["", "2024", "2025"],
    ["Family", "", "two adults"],
    ["Social", "£35", ""],
    ["", "", "Total", ""],
]


@pytest.mark.parametrize("cells", ROWS)
def test_every_cell_keeps_its_place_in_cleaned_and_stripped_text(cells: list[str]) -> None:
    line = clean(f"above\n{row_of(cells)}\nbelow").split("\n")[1].strip()

    assert is_row(line)
    assert cells_of(line) == cells


@pytest.mark.parametrize("cells", ROWS)
def test_a_row_is_printed_without_its_bars(cells: list[str]) -> None:
    assert as_printed(row_of(cells)).strip() == " ".join(filter(None, cells))


def test_a_cell_s_own_lines_are_joined_by_blanks() -> None:
    assert row_of(["Every\nevening", "Empty  the tray"]) == "Every evening | Empty the tray"


@pytest.mark.parametrize("line", ["a plain line", "a|b", "||", "grep 'a|b' |& tee", ""])
def test_a_line_without_a_bar_between_blanks_is_no_row(line: str) -> None:
    assert not is_row(line)
