"""Spans that stand beside one another, and rows of them that may be one table's."""

import re
import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import attrgetter

from ingest.reading.pdf.layout.spans import Span

Row = Sequence[Span]
"""Spans that stand beside one another, from left to right."""

SAME_ROW = 0.4
"""Of the lesser height: how far apart the feet of two spans may be that stand beside one another."""
FAR = 3.2
"""Of a line's height: the feet of two rows of one table are no farther apart, unless all of them are."""
LONG_CHARACTERS = 40
"""A line of so many that runs over several columns is no row ..."""
LONGER_CHARACTERS = 75
"""... or over those of the row above or below alone."""
LARGE = 1.15
"""Of the height of the rows around: a single line so much higher is a heading."""
SINGLE_MAX = 6
"""So many lines of one span in a row, and what follows is another table."""

NOTE = re.compile(r"(?:[(\[]?(?:\d{1,2}|[a-z]{1,2}|[*\u2020\u2021\u00a7\u00b6]{1,3})[)\]]?[, ]{0,2}){1,4}")
"""The mark of a note."""
NOTE_CHARACTERS_MAX = 9
SMALL = 0.85
"""Of the height of what it is behind."""
REACH = 12
"""Spans before and after, in the order in which they are drawn, of which one may be what a mark is behind."""

YEAR = re.compile(r"(?:FY|Q[1-4]|1H|2H)?\s?(?:19|20)\d\d(?:\s?[A-Z]{1,2})?")


def rows_of(spans: Sequence[Span]) -> list[list[Span]]:
    """The rows of a page from top to bottom. A note's mark is in the row of what it is behind, and said to be one."""
    marks = _marks(spans)
    feet = [spans[marks.get(at, at)].bottom for at in range(len(spans))]
    rows: list[list[Span]] = []
    first, height = 0.0, 0.0
    for at in sorted(range(len(spans)), key=feet.__getitem__, reverse=True):
        span = spans[at]
        if rows and first - feet[at] < SAME_ROW * min(span.height, height):
            rows[-1].append(span)
        else:
            rows.append([span])
            first, height = feet[at], span.height
    for at in marks:
        spans[at].is_mark = True
    for row in rows:
        row.sort(key=attrgetter("left"))
    return rows


def _marks(spans: Sequence[Span]) -> dict[int, int]:
    """The marks of notes, and which span each is behind."""
    small = SMALL * max((span.height for span in spans), default=0.0)
    found = {}
    for at, span in enumerate(spans):
        if span.height < small and len(span.text) <= NOTE_CHARACTERS_MAX and NOTE.fullmatch(span.text):
            near = range(max(0, at - REACH), min(len(spans), at + REACH + 1))
            of = next((number for number in near if _is_behind(span, spans[number])), None)
            if of is not None:
                found[at] = of
    return found


def _is_behind(mark: Span, span: Span) -> bool:
    """Whether a small span is raised behind another, as the mark of a note is."""
    if mark.height >= SMALL * span.height or abs(mark.left - span.right) >= 0.6 * span.height:
        return False
    return span.bottom < (mark.bottom + mark.top) / 2 < span.top + 0.3 * span.height


def blocks_of(rows: Sequence[list[Span]]) -> Iterator[list[list[Span]]]:
    """Rows that may be one table's: near one another, without prose or a heading between them."""
    block: list[list[Span]] = []
    singles = 0
    for row, above, below in _with_nearest(rows):
        singles = singles + 1 if len(row) == 1 else 0
        if block and (_is_far(block, row) or singles > SINGLE_MAX):
            yield from _parts(block)
            block = []
        if _is_prose(row, above, below) or _is_heading(row, above, below):
            yield from _parts(block)
            block = []
        else:
            block.append(row)
    yield from _parts(block)


def _is_far(block: Sequence[Row], row: Row) -> bool:
    step = block[-1][0].bottom - row[0].bottom
    if step <= FAR * max(block[-1][0].height, row[0].height):
        return False
    steps = [before[0].bottom - after[0].bottom for before, after in pairwise(block)]
    return len(steps) < 2 or step > 1.6 * max(statistics.median(steps), 1.0)


def _is_heading(row: Row, above: Row, below: Row) -> bool:
    """Whether a single line is larger than the nearest rows that have several spans."""
    if len(row) > 1 or not (above or below):
        return False
    return all(row[0].height > LARGE * near[0].height for near in (above, below) if near)


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
    length = len(row[0].text)
    if len(row) > 1 or length < LONG_CHARACTERS:
        return False
    crossed = [_crosses(row[0], near) for near in (above, below) if near]
    return any(crossed) if length >= LONGER_CHARACTERS else all(crossed)


def _crosses(line: Span, row: Row) -> bool:
    """Whether a line reaches over room between two spans of a row."""
    left, right = line.left, line.right
    return any(left < one.right and right > other.left for one, other in pairwise(row))


def _parts(block: list[list[Span]]) -> Iterator[list[list[Span]]]:
    """A block in parts, each of which begins with lines that name columns anew."""
    seeds = [row for row in block if is_seed(row)]
    if len(seeds) < 2:
        return
    second = min(span.left for row in seeds for span in row[1:])
    start = at = 0
    while at < len(block):
        end = at
        while end < len(block) and _names_columns(block[end], second):
            end += 1
        if start < at < end and _are_names(block[start:at], block[at:end], block[end:]):
            yield block[start:at]
            start = at
        at = max(end, at + 1)
    yield block[start:]


def _names_columns(row: Row, second: float) -> bool:
    """Whether a row has neither a label, left of where the second cells begin, nor a figure that is no year."""
    return row[0].left > second - row[0].height and not any(is_value(span) for span in row)


def _are_names(above: Sequence[Row], lines: Sequence[Row], below: Sequence[Row]) -> bool:
    """Whether lines between two rows of figures have names for most columns of the lower one."""
    before = next((row for row in reversed(above) if is_seed(row)), ())
    after = next((row for row in below if is_seed(row)), ())
    if not (has_values(before) and has_values(after)):
        return False
    return max(map(_cells, lines)) >= max(2, (_cells(after) - 1) / 2)


def is_seed(row: Row) -> bool:
    """Whether a row has several cells."""
    return len(row) > 1 and _cells(row) > 1


def _cells(row: Row) -> int:
    return sum(not span.is_mark for span in row)


def has_values(row: Row) -> bool:
    """Whether a row has a figure that is no year behind its first cell."""
    return any(is_value(span) for span in row[1:])


def is_value(span: Span) -> bool:
    """Whether a span is a figure, and not a year, which may name a column."""
    return span.is_figure and YEAR.fullmatch(span.text) is None
