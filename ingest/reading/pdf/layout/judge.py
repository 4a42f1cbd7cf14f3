"""Whether rows in cells are a table, and not prose, a list, a table of contents, code or the labels of a picture."""

import re
import statistics
from itertools import pairwise

from ingest.reading.pdf.layout.grid import ROWS_MIN, Grid

TEXT_ROWS_MIN = 3
"""Of a table without figures."""
FILLED = 0.75
"""Of its cells, when nothing else tells that it is one."""
LABELLED = 0.5
"""Of a table of figures' rows, that have a first cell: the figures of a picture have no labels at their left."""
PAGE_NUMBER = re.compile(r"(?i)\d{1,4}|[ivxlc]{1,7}|[a-z]-\d{1,4}")
MARK = re.compile(r"[\u2022\u25cf\u25aa\u25e6\u2023*\u2013\u2014-]|\(?(?:\d{1,3}|[A-Za-z]|[ivxlc]{1,6})[.)]")
"""At the beginning of a list's point."""
CODE = re.compile(r"[{};]$|^(?:#|//|\$ )|=>|:=|==|\(\)|</")
CODE_SHARE = 0.25
"""Of the cells: more of them have what prose has not, and it is code."""
CONTINUES = 0.4
"""Of the steps from one line to the next within a column: more that go on amid a sentence are prose's."""
FULL = 0.82
"""Of a column's width: a line of prose fills that much."""
PROSE_WORDS = 3
ENDS = (".", "!", "?", ":")


def is_table(grid: Grid, *, has_header: bool) -> bool:
    """Whether it is one. `has_header`: its first row is printed in another way."""
    if _is_list(grid) or _is_contents(grid) or _is_code(grid):
        return False
    prose = sum(is_prose(grid, at) for at in range(len(grid.columns)))
    if prose >= 2 and not (has_header and prose < len(grid.columns)):
        return False
    several = [row for row in grid.rows if len(row.filled) > 1]
    if any(grid.figures[1:]):
        return sum(bool(row.cells[0]) for row in several) >= LABELLED * len(several)
    if len(several) < TEXT_ROWS_MIN:
        return False
    filled = sum(len(row.filled) for row in several)
    return has_header or (len(grid.columns) > 2 and filled >= FILLED * len(several) * len(grid.columns))


def _is_list(grid: Grid) -> bool:
    return len(grid.columns) == 2 and all(MARK.fullmatch(cell) for cell in grid.cells(0))


def _is_contents(grid: Grid) -> bool:
    """Whether the last column is pages' numbers in order, and none but it has figures."""
    if any(grid.figures[1:-1]):
        return False
    pages = [cell for cell in grid.cells(len(grid.columns) - 1) if cell.casefold() not in ("page", "pages")]
    if len(pages) <= ROWS_MIN or not all(map(PAGE_NUMBER.fullmatch, pages)):
        return False
    numbers = [int(page) for page in pages if page.isdecimal()]
    return all(one <= other for one, other in pairwise(numbers)) and len(set(numbers)) > len(numbers) // 2


def _is_code(grid: Grid) -> bool:
    cells = [cell for at in range(len(grid.columns)) for cell in grid.cells(at)]
    return len(list(filter(CODE.search, cells))) > CODE_SHARE * len(cells)


def is_prose(grid: Grid, column: int) -> bool:
    """Whether a column's lines go on from one to the next as those of a paragraph do."""
    spans = grid.spans(column)
    if len(spans) < 2 or grid.figures[column]:
        return False
    words = sum([span.text.count(" ") + 1 for span in spans]) / len(spans)
    if words < PROSE_WORDS:
        return False
    steps = [below.text[0].islower() and not above.text.endswith(ENDS) for above, below in pairwise(spans)]
    left, right = min(span.left for span in spans), max(span.right for span in spans)
    full = statistics.median((span.right - left) / (right - left) for span in spans)
    return sum(steps) >= CONTINUES * len(steps) or (full >= FULL and words >= 2 * PROSE_WORDS)
