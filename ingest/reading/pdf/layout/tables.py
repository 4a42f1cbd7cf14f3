"""Tables among a page's spans: which rows make one, what is in their cells, and which of them name the columns.

A table is told by the room between its columns, which no row crosses, over several rows; prose that happens to have
gaps, columns of prose, lists and tables of contents are left as they are, since a bar in prose is worse than none in
a table.
"""

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ingest.reading.pdf.layout.columns import Column, Row, columns_of, parted, place_of
from ingest.reading.pdf.layout.spans import Span
from worker.table_rows import row_of

SAME_ROW = 0.4
"""Of the lesser height: how far apart the feet of two spans may be that stand beside one another."""
BESIDE = 0.75
"""Of a line's height: closer feet are of one row, if one cell has several lines and another stands at its middle."""
TIGHT = 1.4
"""Of a line's height: the feet of a cell's lines are no farther apart."""
NEAR = 2.2
"""Of a line's height: a header's lines are no farther apart."""
FAR = 3.2
"""Of a line's height: the feet of two rows of one table are no farther apart, unless all of them are."""
SMALL = 0.85
"""Of the height of what it is behind: the mark of a note."""
NOTE = re.compile(r"(?:[(\[]?(?:\d{1,2}|[a-z]{1,2}|[*\u2020\u2021\u00a7\u00b6]{1,3})[)\]]?[, ]{0,2}){1,4}")
NOTE_CHARACTERS_MAX = 9
MARK_REACH = 12
"""Spans before and after, in the order in which they are drawn."""
LONG_CHARACTERS = 40
"""A line of so many that runs over several columns is no row."""
ROWS_MIN = 2
TEXT_ROWS_MIN = 3
"""Of a table without figures."""
FIGURES_MIN = 0.5
"""Of a column's cells: it is one of figures."""
YEAR = re.compile(r"(?:FY|Q[1-4]|1H|2H)?\s?(?:19|20)\d\d(?:\s?[A-Z]{1,2})?")
PAGE_NUMBER = re.compile(r"(?i)\d{1,4}|[ivxlc]{1,7}|[a-z]-\d{1,4}")
MARK = re.compile(
    r"[\u2022\u25cf\u25aa\u25e6\u2023*\u2013\u2014-]|\(?(?:\d{1,3}|[a-z]|[ivxlc]{1,6})[.)]|\(?[A-Z][.)]"
)
"""At the beginning of a list's point."""
CODE = re.compile(r"[{};]$|^(?:#|//|\$ )|=>|:=|==|\(\)|</")
CONTINUES = 0.4
"""Of the steps from one line to the next within a column: more that go on amid a sentence are prose's."""
FULL = 0.82
"""Of a column's width: a line of prose fills that much."""
PROSE_WORDS = 3


@dataclass(slots=True)
class TableRow:
    """What is in the cells of a row, and the lines that it was made of; `only_first` is a row of a label alone."""

    cells: list[list[Span]]
    spans: list[Span]
    is_header: bool = False

    @property
    def filled(self) -> list[int]:
        """The columns in which it has words."""
        return [at for at, cell in enumerate(self.cells) if cell]

    @property
    def text(self) -> str:
        """As a line of a page's text."""
        if self.filled == [0]:
            return " ".join(span.text for span in self.cells[0])
        return row_of(" ".join(span.text for span in cell) for cell in self.cells)


@dataclass(slots=True)
class Table:
    """Rows from top to bottom. `is_prose`: it is none, but columns of prose that were drawn across, line by line."""

    rows: list[TableRow] = field(default_factory=list)
    is_prose: bool = False


Style = Callable[[Span], object]
"""How a span is printed: equal for two that look the same."""


def tables_among(spans: Sequence[Span], style: Style) -> list[Table]:
    """The tables that can be told with confidence."""
    return [table for block in _blocks(_rows(spans)) for table in _tables(block, style)]


def _rows(spans: Sequence[Span]) -> list[list[Span]]:
    """Spans that stand beside one another, rows from top to bottom."""
    small = SMALL * max((span.height for span in spans), default=0.0)
    marks = {
        at: of for at, span in enumerate(spans) if span.height < small and (of := _marked(spans, at)) is not None
    }
    feet = [spans[marks.get(at, at)].bottom for at in range(len(spans))]
    rows: list[list[int]] = []
    for at in sorted(range(len(spans)), key=lambda at: -feet[at]):
        if rows and feet[rows[-1][0]] - feet[at] < SAME_ROW * min(spans[at].height, spans[rows[-1][0]].height):
            rows[-1].append(at)
        else:
            rows.append([at])
    for at in marks:
        spans[at].is_mark = True
    return [sorted((spans[at] for at in row), key=lambda span: span.left) for row in rows]


def _marked(spans: Sequence[Span], at: int) -> int | None:
    """Which of the spans near by in the drawing's order a small one is raised behind, as the mark of a note is."""
    mark = spans[at]
    if len(mark.text) > NOTE_CHARACTERS_MAX or not NOTE.fullmatch(mark.text):
        return None
    for near in range(max(0, at - MARK_REACH), min(len(spans), at + MARK_REACH + 1)):
        span = spans[near]
        middle = (mark.bottom + mark.top) / 2
        is_beside = span.bottom < middle < span.top + 0.3 * span.height
        if mark.height < SMALL * span.height and is_beside and abs(mark.left - span.right) < 0.6 * span.height:
            return near
    return None


def _blocks(rows: Sequence[list[Span]]) -> Iterator[list[list[Span]]]:
    """Rows that may be one table's: near one another, without prose between them."""
    block: list[list[Span]] = []
    for row, above, below in _with_nearest(rows):
        if block and _is_far(block, row):
            yield block
            block = []
        if _is_prose(row, above, below):
            yield block
            block = []
        else:
            block.append(row)
    yield block


def _foot(row: Row) -> float:
    return row[0].bottom


def _is_far(block: Sequence[Row], row: Row) -> bool:
    step = _foot(block[-1]) - _foot(row)
    if step <= FAR * max(block[-1][0].height, row[0].height):
        return False
    steps = [_foot(before) - _foot(after) for before, after in pairwise(block)]
    return len(steps) < 2 or step > 1.6 * max(statistics.median(steps), 1.0)


def _with_nearest(rows: Sequence[list[Span]]) -> Iterator[tuple[list[Span], Row, Row]]:
    """Each row with the nearest ones above and below that have several spans; an empty one for none."""
    below: list[Row] = []
    nearest: Row = ()
    for row in reversed(rows):
        below.append(nearest)
        nearest = row if len(row) > 1 else nearest
    nearest = ()
    for row in rows:
        yield row, nearest, below.pop()
        nearest = row if len(row) > 1 else nearest


def _is_prose(row: Row, above: Row, below: Row) -> bool:
    """Whether a row is a long line over what is room between columns in the nearest rows that have any."""
    if len(row) > 1 or len(row[0].text) < LONG_CHARACTERS:
        return False
    return (not above or _crosses(row[0], above)) and (not below or _crosses(row[0], below))


def _crosses(line: Span, row: Row) -> bool:
    """Whether a line reaches over room between two spans of a row."""
    left, right = line.left, line.right
    return any(left < one.right and right > other.left for one, other in pairwise(row))


def _tables(block: Sequence[list[Span]], style: Style) -> list[Table]:
    """The tables that are one above the other in a block with the same columns."""
    seeds = [row for row in block if sum(not span.is_mark for span in row) > 1]
    if len(seeds) < ROWS_MIN:
        return []
    height = statistics.median(row[0].height for row in seeds)
    body = [row for row in seeds if any(span.is_figure for span in row[1:])]
    columns = columns_of(body if len(body) >= ROWS_MIN else seeds, height)
    if len(columns) < 2:
        return []
    rows = [_in_cells(row, columns, height) for row in block]
    first = next(at for at, row in enumerate(rows) if len(row.filled) > 1)
    last = max(at for at, row in enumerate(rows) if len(row.filled) > 1)
    while first > 0 and _is_over_columns(rows[first - 1], rows, columns, height):
        first -= 1
    while last + 1 < len(rows) and _goes_on(rows[last], rows[last + 1], columns, height, rows[: last + 2]):
        last += 1
    table = _Builder(rows[first : last + 1], columns, height, style)
    return table.built() if table.is_table() else table.torn()


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


def _is_over_columns(row: TableRow, rows: Sequence[TableRow], columns: Sequence[Column], height: float) -> bool:
    """Whether a line of one span, near the rows below it, stands over the middle of columns behind the first."""
    span = row.spans[0]
    below = rows[next(at for at, other in enumerate(rows) if other is row) + 1]
    if len(row.spans) > 1 or _foot(row.spans) - _foot(below.spans) > NEAR * height:
        return False
    if span.left < min(_edge(rows, 0), columns[1].left - height):
        return False
    first, last = place_of(span, columns)
    middle = (columns[max(first, 1)].left + columns[last].right) / 2
    all_over = (columns[1].left + columns[-1].right) / 2
    wide = columns[last].right - columns[max(first, 1)].left
    return min(abs(span.middle - middle), abs(span.middle - all_over)) < max(0.2 * wide, height)


def _goes_on(
    row: TableRow, below: TableRow, columns: Sequence[Column], height: float, rows: Sequence[TableRow]
) -> bool:
    """Whether the lines below are the second lines of a row's cells."""
    if _foot(row.spans) - _foot(below.spans) > TIGHT * height:
        return False
    return all(
        bool(row.cells[at]) and is_wrapped(row.cells[at][-1], below.cells[at][0], _edge(rows, at))
        for at in below.filled
    )


def _edge(rows: Sequence[TableRow], column: int) -> float:
    """How far to the right a column's cells reach."""
    return max((span.right for row in rows for span in row.cells[column]), default=0.0)


def is_wrapped(span: Span, below: Span, edge: float) -> bool:
    """Whether a line had no room for the next one's first word in a cell that reaches to `edge` at least."""
    word = below.words[0]
    return span.right + 0.2 * span.height + (word.right - word.left) > edge


class _Builder:
    """Makes a table of rows of cells, one for each line of print, once they are one."""

    def __init__(self, rows: Sequence[TableRow], columns: Sequence[Column], height: float, style: Style) -> None:
        self._rows = rows
        self._columns = columns
        self._height = height
        self._style = style
        self._figures = [self._has_figures(at) for at in range(len(columns))]

    def _cells(self, column: int) -> list[str]:
        return [" ".join(span.text for span in row.cells[column]) for row in self._rows if row.cells[column]]

    def _has_figures(self, column: int) -> bool:
        spans = [row.cells[column][0] for row in self._rows if row.cells[column]]
        return sum(span.is_figure for span in spans) >= max(ROWS_MIN, FIGURES_MIN * len(spans))

    def is_table(self) -> bool:
        """Whether it is one, and not prose, a list, a table of contents or code."""
        if self._is_list() or self._is_contents() or self._is_code():
            return False
        if sum(self._is_prose(at) for at in range(len(self._columns))) >= 2:
            return False
        if any(self._figures[1:]):
            return True
        seeds = sum(len(row.filled) > 1 for row in self._rows)
        return seeds >= TEXT_ROWS_MIN and (len(self._columns) > 2 or self._styled_header() > 0)

    def _is_list(self) -> bool:
        return len(self._columns) == 2 and all(MARK.fullmatch(cell) for cell in self._cells(0))

    def _is_contents(self) -> bool:
        """Whether the last column is pages' numbers in order, and none but it has figures."""
        if any(self._figures[1:-1]):
            return False
        pages = [cell for cell in self._cells(len(self._columns) - 1) if cell.casefold() not in ("page", "pages")]
        if len(pages) < 3 or sum(PAGE_NUMBER.fullmatch(page) is not None for page in pages) < len(pages):
            return False
        numbers = [int(page) for page in pages if page.isdecimal()]
        return all(one <= other for one, other in pairwise(numbers)) and len(set(numbers)) > len(numbers) // 2

    def _is_code(self) -> bool:
        cells = [cell for at in range(len(self._columns)) for cell in self._cells(at)]
        return sum(CODE.search(cell) is not None for cell in cells) > len(cells) / 4

    def _is_prose(self, column: int) -> bool:
        """Whether a column's lines go on from one to the next as those of a paragraph do."""
        spans = [span for row in self._rows for span in row.cells[column]]
        if len(spans) < 2 or self._figures[column]:
            return False
        words = statistics.mean(span.text.count(" ") + 1 for span in spans)
        if words < PROSE_WORDS:
            return False
        steps = [
            below.text[0].islower() and not above.text.endswith((".", "!", "?", ":"))
            for above, below in pairwise(spans)
        ]
        left, right = min(span.left for span in spans), max(span.right for span in spans)
        full = statistics.median((span.right - left) / (right - left) for span in spans)
        return sum(steps) >= CONTINUES * len(steps) or (full >= FULL and words >= 2 * PROSE_WORDS)

    def torn(self) -> list[Table]:
        """The lines of its columns one after the other, if they are columns of prose, drawn across in one go."""
        across = sum(len({span.line for span in row.spans}) < len(row.filled) for row in self._rows)
        if across < ROWS_MIN or not all(map(self._is_prose, range(len(self._columns)))):
            return []
        cells = [row.cells[at] for at in range(len(self._columns)) for row in self._rows if row.cells[at]]
        return [Table([TableRow([cell], cell) for cell in cells], is_prose=True)]

    def built(self) -> list[Table]:
        """A table for each header, with each row's lines together."""
        heads = self._heads()
        starts = [0, *(head.start for head in heads if head.start > 0)]
        first = {head.start: head.stop for head in heads}
        return [
            self._one(start, first.get(start, start), end)
            for start, end in zip(starts, [*starts[1:], len(self._rows)], strict=True)
        ]

    def _one(self, start: int, head: int, end: int) -> Table:
        """The table from line `start` to before `end`, of which those before `head` name the columns."""
        table = Table([self._header(self._rows[start:head])] if head > start else [])
        for row in self._rows[head:end]:
            above = table.rows[-1] if len(table.rows) > (head > start) else None
            if above is not None and self._is_same_row(above, row):
                _add(above, row)
            else:
                table.rows.append(TableRow([list(cell) for cell in row.cells], list(row.spans)))
        return table

    def _heads(self) -> list[range]:
        """Which lines name the columns: those on top, and such among the rows."""
        if any(self._figures[1:]):
            return list(self._lines_above_figures())
        return [range(self._styled_header())]

    def _lines_above_figures(self) -> Iterator[range]:
        years = [self._is_of_years(at) for at in range(len(self._columns))]
        start = 0
        for at, row in enumerate([*self._rows, None]):
            if row is not None and self._names_columns(row, years) and not (start < at and row.filled == [0]):
                continue
            names = sum(len(line.filled) > 1 or line.filled[0] > 0 for line in self._rows[start:at])
            if at < len(self._rows) and names and (start == 0 or self._are_a_head(start, at)):
                yield range(start, at)
            start = at + 1

    def _names_columns(self, row: TableRow, years: Sequence[bool]) -> bool:
        """Whether a line has no figure in the columns of figures."""
        return not any(
            self._figures[column] and self._is_value(row.cells[column], is_year_one=years[column])
            for column in row.filled
            if column > 0
        )

    def _are_a_head(self, start: int, end: int) -> bool:
        """Whether lines amid a table name its columns anew: most of those of figures, and no row."""
        named = {column for line in self._rows[start:end] for column in line.filled if self._figures[column]}
        is_first_empty = any(not line.cells[0] for line in self._rows[start:end])
        return is_first_empty and len(named - {0}) > sum(self._figures[1:]) / 2

    def _is_of_years(self, column: int) -> bool:
        cells = self._cells(column)[2:]
        return bool(cells) and sum(YEAR.fullmatch(cell) is not None for cell in cells) > len(cells) / 2

    def _is_value(self, cell: Sequence[Span], *, is_year_one: bool) -> bool:
        text = " ".join(span.text for span in cell)
        return any(span.is_figure for span in cell) and (is_year_one or not YEAR.fullmatch(text))

    def _styled_header(self) -> int:
        """1 if the first row is printed in another way than the next, in all its cells, else 0."""
        full = [row for row in self._rows if len(row.filled) > 1][:2]
        if len(full) < 2:
            return 0
        first, second = ({self._style(span) for span in row.spans} for row in full)
        return int(full[0] is self._rows[0] and not first & second)

    def _header(self, lines: Sequence[TableRow]) -> TableRow:
        """One row of several lines: what stands over some columns goes to each, over all to the first."""
        cells: list[list[Span]] = [[] for _ in self._columns]
        for number, line in enumerate(lines):
            for span, columns in self._places(
                line, is_first=not any(len(above.spans) > 1 for above in lines[:number])
            ):
                for column in columns:
                    cells[column].append(span)
        return TableRow(cells, [span for line in lines for span in line.spans], is_header=True)

    def _places(self, line: TableRow, *, is_first: bool) -> Iterator[tuple[Span, Sequence[int]]]:
        """The spans of a header's line, each with the columns that it names."""
        values = range(1, len(self._columns))
        shared = [span for span in line.spans if place_of(span, self._columns)[0] > 0]
        groups = self._groups(shared, values) if len(shared) < len(values) else None
        for span in line.spans:
            first, last = place_of(span, self._columns)
            if len(line.spans) == 1 and len(values) > 1 and (is_first or span.text.startswith("(")):
                is_over_all = first > 0 and self._is_over(span, values)
                yield span, range(1) if is_over_all else range(first, last + 1)
            elif groups is not None and span in shared:
                yield span, groups[shared.index(span)]
            else:
                yield span, range(first, last + 1)

    def _groups(self, spans: Sequence[Span], values: Sequence[int]) -> list[list[int]] | None:
        """Which columns each of fewer spans stands over, if each stands over the middle of some and none is left."""
        if len(spans) < 2:
            return None
        groups: list[list[int]] = [[] for _ in spans]
        for at in values:
            middle = (self._columns[at].left + self._columns[at].right) / 2
            groups[min(range(len(spans)), key=lambda number: abs(spans[number].middle - middle))].append(at)
        over = all(group and self._is_over(span, group) for span, group in zip(spans, groups, strict=True))
        return groups if over else None

    def _is_over(self, span: Span, columns: Sequence[int]) -> bool:
        left, right = self._columns[columns[0]].left, self._columns[columns[-1]].right
        return abs(span.middle - (left + right) / 2) < max(self._height, 0.1 * (right - left))

    def _is_same_row(self, above: TableRow, row: TableRow) -> bool:
        step = min(
            (_foot(above.cells[at][-1:]) - _foot(row.cells[at]) for at in row.filled if above.cells[at]),
            default=_foot(above.spans[-1:]) - _foot(row.spans),
        )
        is_apart = not set(above.filled) & set(row.filled)
        if step < BESIDE * self._height and is_apart:
            return True
        if step > TIGHT * self._height:
            return False
        has_figures = any(span.is_figure for column in row.filled if column for span in row.cells[column])
        if not above.cells[0] and row.cells[0] and above.filled:
            return not any(span.is_figure for span in above.spans) and not has_figures
        if above.filled == [0] and row.cells[0]:
            return self._wraps(above, row, 0) and row.cells[0][0].text[0].islower() | has_figures
        if row.filled == [0]:
            return self._wraps(above, row, 0) and row.cells[0][0].text[0].islower()
        return not row.cells[0] and not has_figures and all(self._wraps(above, row, at) for at in row.filled)

    def _wraps(self, above: TableRow, row: TableRow, column: int) -> bool:
        if not above.cells[column]:
            return False
        return is_wrapped(above.cells[column][-1], row.cells[column][0], _edge(self._rows, column))


def _add(row: TableRow, line: TableRow) -> None:
    for cell, more in zip(row.cells, line.cells, strict=True):
        cell += more
    row.spans += line.spans
