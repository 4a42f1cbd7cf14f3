"""Tables in a page's text: a row is one line, its cells set apart by ` | `, as readers write it and answers read it.

    Category | Per year | Who
    Student | £110 | in full-time education, 16 to 25

A cell's own line breaks are blanks; an empty cell keeps its place. Which lines name the columns is told beside the
text (`Page.table_headers`, `Chunk.table_headers`).
"""

import re
from collections.abc import Iterable

CELL = " | "
"""Between two cells. It is layout, as line breaks are: a quote has a blank there."""
BAR = CELL.strip()

_BAR = re.compile(rf"(?<=\s){re.escape(BAR)}(?=\s)")
_BAR_AND_BLANK = re.compile(rf"(?<!\S){re.escape(BAR)}(?:\s|$)")
"""Where a cell is empty, two bars share a blank."""


def row_of(cells: Iterable[str]) -> str:
    """One line for a row of cells."""
    return CELL.join(" ".join(cell.split()) for cell in cells).rstrip()


def is_row(line: str) -> bool:
    """Whether a line of a page's text is a table's row."""
    return CELL in line or line.endswith(f" {BAR}")


def cells_of(row: str) -> list[str]:
    """The cells of a row."""
    return [cell.strip() for cell in _BAR.split(f" {row.strip()} ")]


def as_printed(text: str) -> str:
    """`text` with its cells apart as a page has them, by a blank."""
    return _BAR_AND_BLANK.sub("", text)
