"""Tables of HTML and .docx into lines: cells over columns or rows, several rows of heads, heads without a mark."""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from ingest.reading.marks import TABLE_HEADER_MARK
from worker.table_rows import row_of

COLUMNS_MAX = 200
"""Cells beyond are left out of rows: nobody reads such a table, and a span may claim any number."""
HEAD_ROWS_MAX = 5
ROWS_MIN = 2
"""Below a first row that is taken for a head without a mark."""
COLUMNS_MIN = 2
WORDS = re.compile(r"[^\d]{1,80}")
REPEATED_CHARACTERS_MAX = 100
"""Of a cell over several rows: what names them is as short, and each row tells it, so that each is a statement."""
FIGURE = re.compile(r"\W{0,3}\d")
"""How a figure begins, with its sign or currency."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's words, how many columns and rows it reaches over, and whether it is marked, or set, as a head."""

    text: str
    columns: int = 1
    rows: int = 1
    is_head: bool = False
    is_strong: bool = False


Row = Sequence[Cell]
Reaching = dict[int, tuple[Cell, bool, int]]
"""By column, a cell of a row above that reaches further down: whether that is its first column, and how many rows."""
Placed = list[tuple[Cell, bool]]
"""A row's cell at each column, and whether its words are shown there."""


def lines_of(rows: Sequence[Row], heads: int | None = None, pages: Set[int] = frozenset()) -> str:
    """A table's lines, those that name columns marked. A cell stands in its first column, in each of its rows.

    `heads` are the rows at its beginning that are marked as heads; None: they are told by their cells. Before each
    row of `pages` is a form feed, and the head again.
    """
    placed = list(_placed(rows))
    above = max(0, min(_heads(rows) if heads is None else heads, len(rows) - 1))
    titles = [_line(cells) for cells in placed[:above] if _is_title(cells)]
    named = [cells for cells in placed[:above] if not _is_title(cells)]
    head = TABLE_HEADER_MARK + row_of(_merged(named)) if named else ""
    lines = [*titles, head]
    for number in range(above, len(rows)):
        row = rows[number]
        if number in pages:
            lines += ["\f", head]
        is_new_head = heads is None and len(row) > 1 and all(map(_is_new_head, row))
        lines.append(TABLE_HEADER_MARK * is_new_head + _line(placed[number]))
    return "\n".join(filter(None, lines))


def _line(cells: Placed) -> str:
    """A row's line, "" for one without words."""
    words = [cell.text if is_shown else "" for cell, is_shown in cells]
    if not any(words):
        return ""
    return next(filter(None, words)) if _is_title(cells) else row_of(words)


def _is_new_head(cell: Cell) -> bool:
    return cell.is_head and WORDS.fullmatch(cell.text) is not None


def _is_title(cells: Placed) -> bool:
    """Whether a row is one cell over more than one column."""
    return len(cells) > 1 and len({id(cell) for cell, _ in cells}) == 1


def _merged(rows: Sequence[Placed]) -> Iterator[str]:
    """Several rows of heads as one: for each column what stands above it, a head of several columns for each."""
    for column in range(max(map(len, rows))):
        above = [cells[column][0].text for cells in rows if column < len(cells)]
        yield " ".join(dict.fromkeys(above))


def _heads(rows: Sequence[Row]) -> int:
    """How many rows at the beginning name columns: by their marks, by their letters, or by what is in them."""
    marked = _leading(rows, lambda row: bool(row) and all(cell.is_head for cell in row))
    if marked:
        return marked
    strong = _leading(rows, lambda row: all(cell.is_strong or not cell.text for cell in row))
    if 0 < strong < len(rows) and any(cell.text for cell in rows[0]):
        return strong
    return int(_is_head_of_figures(rows))


def _leading(rows: Sequence[Row], is_head: Callable[[Row], bool]) -> int:
    return next((number for number, row in enumerate(rows[:HEAD_ROWS_MAX]) if not is_head(row)), HEAD_ROWS_MAX)


def _is_head_of_figures(rows: Sequence[Row]) -> bool:
    """Whether the first row has words alone, and a column below has figures."""
    first, below = rows[0] if rows else (), rows[1:]
    if len(below) < ROWS_MIN or len(first) < COLUMNS_MIN or not all(WORDS.fullmatch(cell.text) for cell in first):
        return False
    columns = range(len(first))
    return any(all(column < len(row) and FIGURE.match(row[column].text) for row in below) for column in columns)


def _placed(rows: Sequence[Row]) -> Iterator[Placed]:
    """For each row the cell at each column, and whether its words are shown there."""
    reaching: Reaching = {}
    for row in rows:
        placed: Placed = []
        for cell in row:
            placed += _from_above(reaching, len(placed))
            columns = min(cell.columns, COLUMNS_MAX - len(placed))
            for column in range(columns):
                if cell.rows > 1:
                    reaching[len(placed)] = (cell, column == 0, cell.rows - 1)
                placed.append((cell, column == 0))
        yield placed + _from_above(reaching, len(placed))


def _from_above(reaching: Reaching, column: int) -> Placed:
    """The cells of earlier rows that reach into this one from `column` on, without a gap."""
    found: Placed = []
    while column in reaching:
        cell, is_first, left = reaching.pop(column)
        if left > 1:
            reaching[column] = (cell, is_first, left - 1)
        found.append((cell, is_first and len(cell.text) <= REPEATED_CHARACTERS_MAX))
        column += 1
    return found
