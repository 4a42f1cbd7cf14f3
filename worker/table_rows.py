"""Tables in a page's text: a row is one line, its cells set apart by ` | `, as readers write it and answers read it.

    Category | Per year | Who
    Student | £110 | in full-time education, 16 to 25

A cell's own line breaks are blanks; an empty cell keeps its place (`Family | | two adults`, `| 2024 | 2025`), and no
more than one blank stands between two bars, since cleaned text has no more. Which lines name the columns is told
beside the text (`Page.table_headers`, `Chunk.table_headers`).
"""

import re
from collections.abc import Iterable, Sequence

CELL = " | "
"""Between two cells. It is layout, as line breaks are: a quote has a blank there."""
BAR = CELL.strip()
BETWEEN_CELLS = re.compile(r"(?<!\S)\|(?!\S)")
PRINTED = re.compile(r"(?:^| )\|(?!\S)", re.MULTILINE)


def row_of(cells: Iterable[str]) -> str:
    """One line for a row of cells."""
    return " ".join(CELL.join(cells).split())


def is_row(line: str) -> bool:
    """Whether a line of a page's text is a table's row."""
    return BAR in line and BETWEEN_CELLS.search(line) is not None


def cells_of(row: str) -> list[str]:
    """The cells of a row."""
    return [cell.strip() for cell in BETWEEN_CELLS.split(row)]


def as_printed(text: str) -> str:
    """`text` with its cells apart as a page has them, by a blank."""
    return PRINTED.sub("", text)


def headed(text: str, table_headers: Sequence[str]) -> str:
    """A chunk's `text` under those headers of its tables that it does not have itself."""
    lines = text.split("\n") if table_headers else ()
    return "\n".join([*(header for header in table_headers if header not in lines), text])
