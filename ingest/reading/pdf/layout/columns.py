"""The columns of a table, from where the words of its rows stand, and which columns a span is in."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ingest.reading.pdf.layout.rows import Row
from ingest.reading.pdf.layout.spans import NARROW, Span

FINE = 0.45
"""Of a line's height: a gap that all rows have is one between columns, if no row's is smaller."""
SHARE = 0.4
"""Of the lesser of both: a span that shares so much with a column is in it."""
ROWS_FOR_ONE_ASTRAY = 12
"""Of so many rows one may run across the room between two columns, as a long label does."""


class Column(NamedTuple):
    """From where to where the words of most rows stand, in points."""

    left: float
    right: float


def columns_of(rows: Sequence[Row], height: float) -> list[Column]:
    """The columns in which the rows have words, with room between them that nearly no row crosses."""
    astray = len(rows) // ROWS_FOR_ONE_ASTRAY
    rows = [[part for span in row if not span.is_mark for part in span.parts(FINE * height)] for row in rows]
    found: list[Column] = []
    for left, right in _covered(rows, astray):
        if found and left - found[-1].right < NARROW * height:
            found[-1] = Column(found[-1].left, right)
        else:
            found.append(Column(left, right))
    return found


def _covered(rows: Sequence[Row], astray: int) -> Iterator[tuple[float, float]]:
    """Where more than `astray` rows have words, from left to right."""
    ends = sorted(
        [(span.left, 1) for row in rows for span in row] + [(span.right, -1) for row in rows for span in row]
    )
    depth, start = 0, 0.0
    for place, step in ends:
        if depth == astray and step > 0:
            start = place
        elif depth == astray + 1 and step < 0 and place > start:
            yield start, place
        depth += step


def place_of(span: Span, columns: Sequence[Column]) -> tuple[int, int]:
    """The first and the last column that a span is in: one, unless it reaches well into others."""
    left, right = span.left, span.right
    least = SHARE * (right - left)
    first = last = -1
    for at, (begin, end) in enumerate(columns):
        if end <= left:
            continue
        if begin >= right:
            break
        overlap = (end if end < right else right) - (begin if begin > left else left)
        if overlap > least or overlap > SHARE * (end - begin):
            first, last = (at if first < 0 else first), at
    if first < 0:
        overlaps = [min(end, right) - max(begin, left) for begin, end in columns]
        first = last = overlaps.index(max(overlaps))
    return first, last


def parted(span: Span, columns: Sequence[Column], height: float) -> list[Span]:
    """A span that reaches over several columns, in parts where it has room between two of them."""
    return span.cut([at for at in range(1, len(span.words)) if _is_between(span, at, columns, height)])


def _is_between(span: Span, at: int, columns: Sequence[Column], height: float) -> bool:
    """Whether the gap before word `at` is where two columns have room between them."""
    (_, _, _, left, _), (_, _, right, _, _) = span.words[at - 1 : at + 1]
    return right - left > NARROW * height and any(
        one.right < right and other.left > left and other.left - height < right for one, other in pairwise(columns)
    )
