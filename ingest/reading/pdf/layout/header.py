"""Which lines on top of a table name its columns, and the one row that is made of them."""

from collections.abc import Callable, Iterator, Sequence

from ingest.reading.pdf.layout.columns import place_of
from ingest.reading.pdf.layout.grid import Grid, TableRow
from ingest.reading.pdf.layout.rows import YEAR, is_value
from ingest.reading.pdf.layout.spans import Span

Style = Callable[[Span], object]
"""How a span is printed: equal for two that look the same."""


def header_lines(grid: Grid, style: Style) -> int:
    """How many lines, from the top, name the columns: those above the figures, else one printed in another way."""
    if any(grid.figures[1:]):
        above = _lines_above_figures(grid)
        if above:
            return above
    return int(has_styled_header(grid, style))


def has_styled_header(grid: Grid, style: Style) -> bool:
    """Whether the first row is printed in another way than the next, in all its cells."""
    full = [row for row in grid.rows if len(row.filled) > 1][:2]
    if len(full) < 2 or full[0] is not grid.rows[0]:
        return False
    first, second = ({style(span) for span in row.spans} for row in full)
    return not first & second


def _lines_above_figures(grid: Grid) -> int:
    years = [_is_of_years(grid, at) for at in range(len(grid.columns))]
    for at, row in enumerate(grid.rows):
        if row.filled == [0] or _has_value(grid, row, years):
            named = any(len(line.filled) > 1 or line.filled[0] > 0 for line in grid.rows[:at])
            return at if named else 0
    return 0


def _is_of_years(grid: Grid, column: int) -> bool:
    """Whether a column's figures are years, so that one on top names nothing."""
    cells = grid.cells(column)[2:]
    return bool(cells) and sum(YEAR.fullmatch(cell) is not None for cell in cells) > len(cells) / 2


def _has_value(grid: Grid, row: TableRow, years: Sequence[bool]) -> bool:
    return any(
        is_value(span) or (years[column] and span.is_figure)
        for column in row.filled
        if column > 0 and grid.figures[column]
        for span in row.cells[column]
    )


def header_row(grid: Grid, lines: Sequence[TableRow]) -> TableRow:
    """One row of several lines: what stands over some columns goes to each, over all to the first."""
    cells: list[list[Span]] = [[] for _ in grid.columns]
    is_first = True
    for line in lines:
        for span, columns in _places(grid, line, is_first=is_first):
            for column in columns:
                cells[column].append(span)
        is_first = is_first and len(line.spans) == 1
    return TableRow(cells, [span for line in lines for span in line.spans], is_header=True)


def _places(grid: Grid, line: TableRow, *, is_first: bool) -> Iterator[tuple[Span, Sequence[int]]]:
    """The spans of a header's line, each with the columns that it names. `is_first`: none above has several."""
    values = range(1, len(grid.columns))
    shared = [span for span in line.spans if place_of(span, grid.columns)[0] > 0]
    groups = _groups(grid, shared, values) if 1 < len(shared) < len(values) else None
    for span in line.spans:
        first, last = place_of(span, grid.columns)
        if len(line.spans) == 1 and len(values) > 1 and (is_first or span.text.startswith("(")):
            yield span, range(1) if first > 0 and _is_over(grid, span, values) else range(first, last + 1)
        elif groups is not None and span in shared:
            yield span, groups[shared.index(span)]
        else:
            yield span, range(first, last + 1)


def _groups(grid: Grid, spans: Sequence[Span], values: Sequence[int]) -> list[list[int]] | None:
    """Which columns each of fewer spans stands over, if each stands over the middle of some and none is left."""
    groups: list[list[int]] = [[] for _ in spans]
    for at in values:
        middle = (grid.columns[at].left + grid.columns[at].right) / 2
        groups[min(range(len(spans)), key=lambda number: abs(spans[number].middle - middle))].append(at)
    over = all(group and _is_over(grid, span, group) for span, group in zip(spans, groups, strict=True))
    return groups if over else None


def _is_over(grid: Grid, span: Span, columns: Sequence[int]) -> bool:
    """Whether a span stands over the middle of columns."""
    left, right = grid.columns[columns[0]].left, grid.columns[columns[-1]].right
    return abs(span.middle - (left + right) / 2) < max(grid.height, 0.1 * (right - left))
