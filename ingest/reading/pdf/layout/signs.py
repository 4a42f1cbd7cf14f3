"""Which lines of a page are worth asking about word by word: those too wide for their words, and those near them.

Asking where a word stands costs as much as reading it, and most lines of most pages are prose.
"""

from collections.abc import Sequence

from ingest.reading.pdf.layout.spans import DrawnLine, Span, spans_of, whole_line
from ingest.reading.pdf.look import Look

CHARACTER_WIDTH = 0.45
"""Of a line's height, on average: wide fonts have that, most 0.35 to 0.42 ..."""
CAPITAL_WIDTH = 0.65
WIDE_CHARACTER = "\u1100"
"""... and Hangul, Chinese and Japanese, from here on, 1."""
ROOM = 0.8
"""Of a line's height, in which there is no gap between columns."""
REACH = 2
"""Lines before and after one with a gap, which may be of the same table."""
SAMPLE = 6
"""Of so many lines that look full, one is asked about: columns of prose are drawn across, too."""
SAMPLE_CHARACTERS_MIN = 30


def spans(look: Look, lines: Sequence[DrawnLine]) -> list[list[Span]]:
    """Each line in spans; one span, without its words told apart, where nothing tells of a gap."""
    found: list[list[Span]] = [[whole_line(look, number, line)] for number, line in enumerate(lines)]
    asked: set[int] = set()
    waiting = [number for number, line in enumerate(lines) if _is_loose(line, found[number][0])]
    if not waiting:
        waiting = [number for number, line in enumerate(lines) if len(line.text) >= SAMPLE_CHARACTERS_MIN][::SAMPLE]
    while waiting:
        number = waiting.pop()
        if number in asked:
            continue
        asked.add(number)
        found[number] = spans_of(look, number, lines[number])
        if len(found[number]) > 1:
            waiting += range(max(0, number - REACH), min(len(lines), number + REACH + 1))
    return found


def _is_loose(line: DrawnLine, whole: Span) -> bool:
    """Whether a line is wider than its words need."""
    text = line.text
    width = CHARACTER_WIDTH * len(text) + ROOM
    needed = width + (CAPITAL_WIDTH - CHARACTER_WIDTH) * sum(map(str.isupper, text))
    if not text.isascii():
        needed += (1 - CHARACTER_WIDTH) * sum(character >= WIDE_CHARACTER for character in text)
    return whole.right - whole.left > needed * whole.height
