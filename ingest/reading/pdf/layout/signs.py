"""Which lines of a page are worth asking about word by word: those too wide for their words, and those near them.

Asking where a word stands costs as much as reading it, and most lines of most pages are prose.
"""

from collections.abc import Sequence

from ingest.reading.pdf.layout.spans import Span, Where, is_loose, spans_of, whole_line
from ingest.reading.pdf.runs import Run

REACH = 2
"""Lines before and after one with a gap, which may be of the same table."""
NARROW_SHARE = 0.6
"""Of the widest line: a line without a gap that is narrower may be of one cell, and those next to it of others ..."""
INDENT = 3.0
"""... if it begins so many of its heights to the right of the first column."""
SAMPLE_STEP, SAMPLE = 6, 4
"""Of so many lines that look full, one is asked about, but so many of a page: columns of prose are drawn across, too.

A column is longer than a quarter of a page, and from one of its lines the next are found.
"""
SAMPLE_CHARACTERS_MIN = 30


def spans(where: Where, lines: Sequence[Run]) -> list[list[Span]]:
    """Each line in spans; one span, without its words told apart, where nothing tells of a gap."""
    wholes = [whole_line(where, number, line) for number, line in enumerate(lines)]
    waiting = [whole.line for whole in wholes if is_loose(whole.text, whole.right - whole.left, whole.height)]
    if not waiting:
        full = [whole.line for whole in wholes if len(whole.text) >= SAMPLE_CHARACTERS_MIN]
        waiting = full[:: max(SAMPLE_STEP, len(full) // SAMPLE)]
    found = [[whole] for whole in wholes]
    indented = min([whole.left + INDENT * whole.height for whole in wholes], default=0.0)
    narrow = NARROW_SHARE * max([whole.right - whole.left for whole in wholes], default=0.0)
    asked: set[int] = set()
    while waiting:
        number = waiting.pop()
        if number in asked:
            continue
        asked.add(number)
        found[number] = spans_of(where, wholes[number], lines[number])
        if len(found[number]) > 1:
            waiting += range(max(0, number - REACH), min(len(lines), number + REACH + 1))
        elif wholes[number].right - wholes[number].left < narrow and wholes[number].left > indented:
            waiting += range(max(0, number - 1), min(len(lines), number + 2))
    return found
