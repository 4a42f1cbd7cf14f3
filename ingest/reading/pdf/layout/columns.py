"""The columns of a table, from where the words of its rows stand, and which columns a span is in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.reading.pdf.layout.spans import NARROW, Span

Row = Sequence[Span]
"""Spans that stand beside one another, from left to right."""
FINE = 0.6
"""Of a line's height: a gap that all rows have is one between columns, if no row's is smaller."""
ROWS_FOR_ONE_ASTRAY = 12
"""Of so many rows one may run across the room between two columns, as a long label does."""


@dataclass(frozen=True, slots=True)
class Column:
    """From where to where the words of most rows stand, in points."""

    left: float
    right: float

    def overlap(self, left: float, right: float) -> float:
        """How much of a stretch is in it, in points; less than 0 by how far it is away."""
        return min(self.right, right) - max(self.left, left)


def columns_of(rows: Sequence[Row], height: float) -> list[Column]:
    """The columns in which the rows have words, with room between them that nearly no row crosses."""
    astray = len(rows) // ROWS_FOR_ONE_ASTRAY
    rows = [[part for span in row for part in span.parts(FINE * height)] for row in rows]
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
    overlaps = [column.overlap(span.left, span.right) for column in columns]
    within = [at for at, overlap in enumerate(overlaps) if overlap > _least(span, columns[at])]
    if not within:
        nearest = max(range(len(columns)), key=overlaps.__getitem__)
        return nearest, nearest
    return within[0], within[-1]


def _least(span: Span, column: Column) -> float:
    """How much a span must share with a column to be in it: a good part of the lesser of both."""
    return 0.4 * min(span.right - span.left, column.right - column.left)


def parted(span: Span, columns: Sequence[Column], height: float) -> list[Span]:
    """A span that reaches over several columns, in parts where it has room between two of them."""
    first, last = place_of(span, columns)
    if first == last:
        return [span]
    cuts = [0]
    for at in range(1, len(span.words)):
        left, right = span.words[at - 1].right, span.words[at].left
        if right - left > NARROW * height and any(
            columns[number].right < right
            and columns[number + 1].left > left
            and columns[number + 1].left - height < right
            for number in range(first, last)
        ):
            cuts.append(at)
    return [span.part(start, end) for start, end in zip(cuts, [*cuts[1:], len(span.words)], strict=True)]
