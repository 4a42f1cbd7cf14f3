"""Tables among a page's spans: which rows make one, what is in their cells, and which row names the columns.

A table is told by the room between its columns, which no row crosses, over several rows; prose that happens to have
gaps, columns of prose, lists and tables of contents are left as they are, since a bar in prose is worse than none in
a table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.reading.pdf.layout.grid import ROWS_MIN, Grid, TableRow
from ingest.reading.pdf.layout.header import Style, has_styled_header, header_lines, header_row
from ingest.reading.pdf.layout.judge import MARK, is_prose, is_table
from ingest.reading.pdf.layout.rows import Row, blocks_of, is_seed, rows_of
from ingest.reading.pdf.layout.spans import Span

GAP = 1.5
"""Of the usual step between the rows of a block: there it may be parted, if it is no table as a whole."""
GOES_ON = ("and", "or", "of", "the", "for", "to", "in", "on", "by", "with", "from", "net", "than", "at", "as", "a")
"""At a line's end: what it says goes on in the next."""


@dataclass(slots=True)
class Table:
    """Rows from top to bottom. `is_prose`: it is none, but columns of prose that were drawn across, line by line."""

    rows: list[TableRow]
    is_prose: bool = False


def tables_among(spans: Sequence[Span], style: Style) -> list[Table]:
    """The tables that can be told with confidence."""
    rows = rows_of(spans)
    if sum(map(is_seed, rows)) < ROWS_MIN:
        return []  # as on most pages of prose
    return [table for block in blocks_of(rows) for table in _tables(block, style)]


def _tables(block: Sequence[Row], style: Style) -> Iterator[Table]:
    grid = Grid.of(block)
    if grid is not None and is_table(grid, has_header=has_styled_header(grid, style)):
        yield _table(grid, style)
    elif grid is not None and _is_torn(grid):
        cells = [row.cells[at] for at in range(len(grid.columns)) for row in grid.rows if row.cells[at]]
        yield Table([TableRow([cell], cell) for cell in cells], is_prose=True)
    elif (at := _widest(block)) > 0:
        yield from _tables(block[:at], style)
        yield from _tables(block[at:], style)


def _widest(block: Sequence[Row]) -> int:
    """Before which row there is the most room, if it is much more than is usual, else 0."""
    steps = [above[0].bottom - below[0].bottom for above, below in pairwise(block)]
    if len(steps) <= 2 * ROWS_MIN or max(steps) < GAP * sorted(steps)[len(steps) // 2]:
        return 0
    return steps.index(max(steps)) + 1


def _is_torn(grid: Grid) -> bool:
    """Whether it is columns of prose, drawn across in one go."""
    across = sum(len({span.line for span in row.spans}) < len(row.filled) for row in grid.rows)
    return across >= ROWS_MIN and all(is_prose(grid, at) for at in range(len(grid.columns)))


def _table(grid: Grid, style: Style) -> Table:
    """With each row's lines together, its header first, and without columns that are empty."""
    head = header_lines(grid, style)
    rows = [header_row(grid, grid.rows[:head])] if head else []
    for line in grid.rows[head:]:
        if len(rows) > (head > 0) and _is_same_row(grid, rows[-1], line):
            rows[-1].add(line)
        else:
            rows.append(line.copy())
    kept = sorted({at for row in rows for at in row.filled} | {0})
    return Table([TableRow([row.cells[at] for at in kept], row.spans, is_header=row.is_header) for row in rows])


def _is_same_row(grid: Grid, above: TableRow, line: TableRow) -> bool:
    """Whether a line of print is of the row above: a cell's next line, or beside the middle of a higher cell."""
    step = _step(above, line)
    if grid.is_beside(above, line, step):
        return True
    if not grid.is_tight(step):
        return False
    if above.filled == [0] or line.filled == [0]:
        return bool(line.cells[0]) and grid.is_wrapped(above, line, 0) and _label_goes_on(above, line)
    if _has_figures(line):
        return False
    if line.cells[0] and not above.cells[0]:
        return not _has_figures(above)
    if grid.has_room_between_rows and not grid.is_close(step):
        return False
    wrapped = all(grid.is_wrapped(above, line, at) or _is_point(line.cells[at][0]) for at in line.filled)
    return wrapped and (not line.cells[0] or (grid.is_wrapped(above, line, 0) and grid.is_close(step)))


def _step(above: TableRow, line: TableRow) -> float:
    """From a row's last line to the next, in the columns in which both have words."""
    steps = [above.cells[at][-1].bottom - line.cells[at][0].bottom for at in line.filled if above.cells[at]]
    return min(steps) if steps else above.spans[-1].bottom - line.spans[0].bottom


def _has_figures(row: TableRow) -> bool:
    return any(span.is_figure for column in row.filled if column > 0 for span in row.cells[column])


def _label_goes_on(above: TableRow, line: TableRow) -> bool:
    """Whether a label's next line goes on amid a sentence."""
    end, start = above.cells[0][-1].text, line.cells[0][0].text
    return start[0].islower() or end.endswith((",", "-", "\u2013")) or end.split()[-1].casefold() in GOES_ON


def _is_point(span: Span) -> bool:
    """Whether a line begins a point of a list within a cell."""
    return MARK.fullmatch(span.text.split(" ", 1)[0]) is not None
