"""Words and lines put together anew from where each character stands, for a page on which pdfium breaks them.

On some pages of tables pdfium ends a line after every letter, and loses the blanks between columns of figures.
"""

from collections.abc import Iterator, Sequence

from ingest.reading.pdf.look import Box, Look

LINE_CHARACTERS_MIN = 8
"""A page whose lines are shorter on average is shattered; put together anew, short ones of one row share a line."""
SAME_LINE = 0.5
"""Of a character's height: how far up or down the next one may stand (a raised figure does)."""
BLANK = 0.15
"""Of a character's height: a gap that is a blank; one between letters is next to none."""


def is_shattered(text: str) -> bool:
    """Whether the lines of a page's text are too short to be its lines."""
    return text.count("\n") * LINE_CHARACTERS_MIN > len(text)


def regrouped(look: Look, seen: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Characters with their indices, as `visible` gives them, with other blanks and line ends between them."""
    before: Box | None = None
    for index, character in seen:
        if character.isspace():
            continue
        box = look.box(index)
        if before is not None and (between := _between(before, box)):
            yield index, between
        yield index, character
        before = box


def _between(one: Box, other: Box) -> str:
    height = max(one[3] - one[1], other[3] - other[1])
    if abs((one[1] + one[3]) - (other[1] + other[3])) / 2 > SAME_LINE * height:
        return "\n"
    gap = max(other[0] - one[2], one[0] - other[2])  # as text runs to the right, or to the left
    return " " if gap > BLANK * height else ""
