"""Characters that a PDF's page draws twice or more in one place, as for bold type or a shadow, read once.

pdfium leaves out an object that repeats one of the last five. A word's or a page's letters drawn in two passes it
gives twice: "MMuunniicciippaalliittéé", "The The annual annual". Real double letters stand beside one another.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from operator import eq

from ingest.reading.pdf.look import Box, Look
from ingest.reading.pdf.runs import Run

PAIRS = b"\1\0\1\0\1"
"""Three letters in a row, each of them twice, when 1 stands for a character that comes again next to it ..."""
THREES = b"\1\1\0\1\1"
"""... and two letters, each three times or more."""
WORD = re.compile(r"\S{2,}")
IS_ZERO = bytes([1]) + bytes(255)
CLOSE = 0.6
"""Of a character's width: a copy stands no farther off. The next of two equal letters has 0.9 or more."""
LEVEL = 0.2
"""Of its height."""
BLANK = 0.15
"""Of its height: a gap that is a blank, where what stood in it was a copy."""


def is_drawn_twice(look: Look, runs: Sequence[Run]) -> bool:
    """Whether some of the page's words stand twice in one place."""
    if _has_line_twice(runs):
        return True
    text = "\n".join([run.text for run in runs])
    if _doubled(text) and any(_has_letters_twice(look, run) for run in runs):
        return True
    return _has_equal_words(text.split()) and any(_has_word_twice(look, run) for run in runs)


def _has_line_twice(runs: Sequence[Run]) -> bool:
    known: dict[str, list[Box]] = {}
    for run in runs:
        boxes = known.get(run.text)
        if boxes is None:
            known[run.text] = [run.box]
        elif any(_is_copy(run.box, box) for box in boxes):
            return True
        else:
            boxes.append(run.box)
    return False


def _has_letters_twice(look: Look, run: Run) -> bool:
    return any(_is_copy(look.box(run.indices[at]), look.box(run.indices[at + 1])) for at in _doubled(run.text))


def _has_equal_words(words: Sequence[str]) -> bool:
    """Whether a word stands twice in a row. Not of one character: tables have columns of "$"."""
    if not any(map(eq, words, islice(words, 1, None))):
        return False
    return any(len(one) > 1 and one == other for one, other in pairwise(words))


def _has_word_twice(look: Look, run: Run) -> bool:
    if not _has_equal_words(run.text.split()):
        return False
    pairs = pairwise(WORD.finditer(run.text))
    places = ((run.indices[one.start()], run.indices[two.start()]) for one, two in pairs if one[0] == two[0])
    return any(_is_copy(look.box(one), look.box(two)) for one, two in places)


def _doubled(text: str) -> list[int]:
    """Where letters may begin that all stand twice or more, or an i does, the letter that pdfium misses."""
    units = text.encode("latin-1", "replace")
    number = int.from_bytes(units, "little")
    marks = (number ^ (number >> 8)).to_bytes(len(units), "little").translate(IS_ZERO)
    return [at for at in (marks.find(PAIRS), marks.find(THREES), text.find("ii")) if at >= 0]


def once(look: Look, characters: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """A page's characters, with their indices, without those that stand where the same one does already."""
    places: dict[str, dict[int, list[Box]]] = {}
    last: Box | None = None
    is_after_copy = False
    for index, character in characters:
        if character.isspace():
            if not is_after_copy:
                yield index, character
            elif character == "\n":
                is_after_copy, last = False, None
                yield index, character
            continue
        box = look.box(index)
        if _stands_already(places, character, box):
            is_after_copy = True
            continue
        if is_after_copy and last is not None and box[0] - last[2] > BLANK * (box[3] - box[1]):
            yield index, " "
        is_after_copy, last = False, box
        yield index, character


def _stands_already(places: dict[str, dict[int, list[Box]]], character: str, box: Box) -> bool:
    """Whether a copy of a character is known near its place, which is remembered: copies of copies are copies."""
    rows = places.setdefault(character, {})
    row = int(box[1] // 4)
    near = (other for at in (row - 1, row, row + 1) for other in rows.get(at, ()))
    is_copy = any(_is_copy(box, other) for other in near)
    rows.setdefault(row, []).append(box)
    return is_copy


def _is_copy(one: Box, other: Box) -> bool:
    wide, high = one[2] - one[0], one[3] - one[1]
    is_as_large = (
        abs((other[3] - other[1]) - high) <= LEVEL * high and abs((other[2] - other[0]) - wide) <= LEVEL * wide
    )
    return is_as_large and abs(one[0] - other[0]) < CLOSE * wide and abs(one[1] - other[1]) < LEVEL * high
