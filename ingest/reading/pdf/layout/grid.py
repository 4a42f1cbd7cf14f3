"""Rows in cells: which words are in which column, before lines of print are put together to a table's rows."""

import statistics
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Self

from ingest.reading.pdf.layout.columns import Column, columns_of, parted, place_of
from ingest.reading.pdf.layout.rows import Row, has_values, is_seed
from ingest.reading.pdf.layout.spans import Span
from worker.table_rows import row_of

ROWS_MIN = 2
FIGURES_MIN = 0.7
"""Of a column's cells, from its first figure on: it is one of figures."""
BESIDE = 0.75
"""Of a line's height: closer feet are of one row, if one cell has several lines and another stands at its middle."""
TIGHT = 1.4
"""Of a line's height: the feet of a cell's lines are no farther apart, or else ..."""
CLOSE = 1.1
"""... of the least step from one line to the next, where rows are ..."""
APART = 1.15
"""... so much farther apart."""
NEAR = 2.2
"""Of a line's height: a header's lines are no farther apart."""


class TableRow:
    """What is in the cells of a row, and all that it was made of."""

    def __init__(self, cells: list[list[Span]], spans: list[Span], *, is_header: bool = False) -> None:
        self.cells = cells
        self.spans = spans
        self.is_header = is_header
        self.filled = [at for at, cell in enumerate(cells) if cell]

    @property
    def text(self) -> str:
        """As a line of a page's text; a label alone, as a section's, without bars."""
        if self.filled == [0]:
            return _words(self.cells[0])
        return row_of(map(_words, self.cells))

    def add(self, line: "TableRow") -> None:
        """Take up the words of another line of the same row."""
        for cell, more in zip(self.cells, line.cells, strict=True):
            cell += more
        self.spans += line.spans
        self.filled = [at for at, cell in enumerate(self.cells) if cell]

    def copy(self) -> "TableRow":
        """One of its own cells."""
        return TableRow([list(cell) for cell in self.cells], list(self.spans))


def _words(cell: Sequence[Span]) -> str:
    return cell[0].text if len(cell) == 1 else " ".join([span.text for span in cell])


class Grid:
    """Lines of print in columns, none of which changes. `height` is a usual line's, in points."""

    def __init__(self, rows: Sequence[TableRow], columns: Sequence[Column], height: float) -> None:
        self.rows = rows
        self.columns = columns
        self.height = height

    @classmethod
    def of(cls, block: Sequence[Row]) -> Self | None:
        """The rows of a block that may be a table's, from its first of several cells to its last."""
        seeds = [row for row in block if is_seed(row)]
        if len(seeds) < ROWS_MIN:
            return None
        height = statistics.median(row[0].height for row in seeds)
        columns = columns_of(_telling(seeds), height)
        if len(columns) < 2:
            return None
        rows = [_in_cells(row, columns, height) for row in block]
        several = [at for at, row in enumerate(rows) if len(row.filled) > 1]
        if not several:
            return None
        first, last = several[0], several[-1]
        whole = cls(rows, columns, height)
        while first > 0 and whole.is_over_columns(first - 1):
            first -= 1
        while last + 1 < len(rows) and whole.goes_on(last):
            last += 1
        return cls(rows[first : last + 1], columns, height)

    def cells(self, column: int) -> list[str]:
        """The words of a column, line by line, without its empty cells."""
        return self._cells[column]

    @cached_property
    def _cells(self) -> list[list[str]]:
        columns = zip(*[row.cells for row in self.rows], strict=True)
        return [[_words(cell) for cell in column if cell] for column in columns]

    def spans(self, column: int) -> list[Span]:
        """The spans of a column."""
        return [span for row in self.rows for span in row.cells[column]]

    def edge(self, column: int) -> float:
        """How far to the right a column's cells reach."""
        return self._edges[column]

    @cached_property
    def _edges(self) -> list[float]:
        return [max([span.right for span in self.spans(at)], default=0.0) for at in range(len(self.columns))]

    @cached_property
    def figures(self) -> list[bool]:
        """Which columns are of figures."""
        return [self._has_figures(at) for at in range(len(self.columns))]

    def _has_figures(self, column: int) -> bool:
        cells = [cell[0].is_figure for row in self.rows if (cell := row.cells[column])]
        figures = cells.count(True)
        return figures >= ROWS_MIN and figures >= FIGURES_MIN * (len(cells) - cells.index(True))

    def is_over_columns(self, at: int) -> bool:
        """Whether a line of one span, near the one below, stands over the middle of columns behind the first."""
        row, below = self.rows[at], self.rows[at + 1]
        if len(row.spans) > 1 or row.spans[0].bottom - below.spans[0].bottom > NEAR * self.height:
            return False
        span, columns = row.spans[0], self.columns
        if span.left < min(self.edge(0), columns[1].left - self.height):
            return False
        first, last = place_of(span, columns)
        left, right = columns[max(first, 1)].left, columns[last].right
        aside = min(
            abs(span.middle - (left + right) / 2), abs(span.middle - (columns[1].left + columns[-1].right) / 2)
        )
        return aside < max(0.2 * (right - left), self.height)

    def goes_on(self, at: int) -> bool:
        """Whether the line below has the second lines of a row's cells."""
        row, below = self.rows[at], self.rows[at + 1]
        step = row.spans[0].bottom - below.spans[0].bottom
        if self.is_beside(row, below, step):
            return True
        if not self.is_tight(step):
            return False
        return all(self.is_wrapped(row, below, column) for column in below.filled)

    def is_beside(self, row: TableRow, below: TableRow, step: float) -> bool:
        """Whether a line is beside the middle of a higher cell of the same row."""
        return step < BESIDE * self.height and not set(row.filled) & set(below.filled)

    def is_tight(self, step: float) -> bool:
        """Whether a step to the next line is as small as within a cell."""
        return step <= TIGHT * self.height or self.is_close(step)

    def is_close(self, step: float) -> bool:
        """Whether a step is one of the least, where others, between rows, are larger."""
        least, most = self._least_and_most
        return step <= CLOSE * least and most >= APART * least

    @property
    def has_room_between_rows(self) -> bool:
        """Whether rows are farther apart than the lines of a cell."""
        least, most = self._least_and_most
        return most >= APART * least

    @cached_property
    def _least_and_most(self) -> tuple[float, float]:
        steps = [above.spans[0].bottom - below.spans[0].bottom for above, below in pairwise(self.rows)]
        steps = [step for step in steps if step > BESIDE * self.height]
        return (min(steps), max(steps)) if steps else (0.0, 0.0)

    def is_wrapped(self, row: TableRow, below: TableRow, column: int) -> bool:
        """Whether a cell's line had no room for the first word of the one below."""
        if not row.cells[column]:
            return False
        span = row.cells[column][-1]
        _, _, left, right, _ = below.cells[column][0].words[0]
        return span.right + 0.2 * span.height + (right - left) > self.edge(column)


def _telling(seeds: Sequence[Row]) -> Sequence[Row]:
    """The rows that tell of columns best: those of values, else of any figures, else all."""
    values = [row for row in seeds if has_values(row)]
    if len(values) >= ROWS_MIN:
        return values
    figures = [row for row in seeds if any(span.is_figure for span in row[1:])]
    return figures if len(figures) >= ROWS_MIN else seeds


def _in_cells(row: Row, columns: Sequence[Column], height: float) -> TableRow:
    cells: list[list[Span]] = [[] for _ in columns]
    spans: list[Span] = []
    for span in row:
        first, last = place_of(span, columns)
        parts = [span] if first == last else parted(span, columns[first : last + 1], height)
        for part in parts:
            cells[first if len(parts) == 1 else place_of(part, columns)[0]].append(part)
        spans += parts
    return TableRow(cells, spans)
