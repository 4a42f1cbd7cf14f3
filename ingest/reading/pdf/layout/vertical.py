"""Chinese and Japanese written downwards: columns from right to left, however they were drawn."""

import re
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ingest.reading.pdf.layout.spans import Where
from ingest.reading.pdf.look import Box
from ingest.reading.pdf.runs import Run

FIRST_WRITTEN_DOWNWARDS = "\u2e80"
"""Chinese, Japanese and Hangul characters, from here on."""
WRITTEN_DOWNWARDS = re.compile(f"[{FIRST_WRITTEN_DOWNWARDS}-{chr(sys.maxunicode)}]")
SHARE = 0.6
"""Of a page's characters that are such, or have the next one right below."""
SAMPLE = 150
"""Characters whose neighbours are looked for."""
NEXT = 1.35
"""Of a character's size: from one to the next of its line; lines are farther apart."""
ASIDE = 0.4
"""Of a character's size: no farther aside is one of the same line, as a full stop is in its corner."""
BREAK = 2.5
"""Of a character's size: what begins farther below is another text."""


class Glyph(NamedTuple):
    """A character, where it is among the page's, and where it stands."""

    character: str
    number: int
    box: Box

    @property
    def across(self) -> float:
        """Its middle, from left to right."""
        return (self.box[0] + self.box[2]) / 2

    @property
    def size(self) -> float:
        """How high it is."""
        return self.box[3] - self.box[1]


def vertical_lines(where: Where, lines: Sequence[Run]) -> list[Run] | None:
    """The columns of a page that is written downwards, as lines in the order in which they are read; else None."""
    if not any(not line.text.isascii() and WRITTEN_DOWNWARDS.search(line.text) for line in lines):
        return None
    text = "".join("".join(line.text.split()) for line in lines)
    if sum(character >= FIRST_WRITTEN_DOWNWARDS for character in text) < SHARE * len(text):
        return None
    if _is_across(where, lines):
        return None
    glyphs = [
        Glyph(character, index, where(index))
        for line in lines
        for character, index in zip(line.text, line.indices, strict=True)
        if not character.isspace()
    ]
    sample = glyphs[:SAMPLE]
    below = sum(any(_is_below(one, other) for other in sample) for one in sample)
    beside = sum(any(_is_beside(one, other) for other in sample) for one in sample)
    if below < SHARE * len(sample) or beside > below / 2:
        return None
    return [
        Run("".join(glyph.character for glyph in column), [glyph.number for glyph in column], column[0].box)
        for column in _columns(glyphs)
    ]


def _is_across(where: Where, lines: Sequence[Run]) -> bool:
    """Whether most long lines run from left to right, in one row."""
    long = [line for line in lines if len(line.text) > 3]
    across = 0
    for line in long:
        end = where(line.indices[-1])
        size = line.box[3] - line.box[1]
        is_in_row = abs(end[1] - line.box[1]) < ASIDE * size
        across += is_in_row and end[2] - line.box[0] < NEXT * size * len(line.text)
    return across > len(long) / 2


def _is_below(one: Glyph, other: Glyph) -> bool:
    step = one.box[3] - other.box[3]
    return abs(one.across - other.across) < ASIDE * one.size and 0.5 * one.size < step < NEXT * one.size


def _is_beside(one: Glyph, other: Glyph) -> bool:
    step = other.across - one.across
    return abs(one.box[1] - other.box[1]) < ASIDE * one.size and 0.5 * one.size < step < NEXT * one.size


def _columns(glyphs: Sequence[Glyph]) -> Iterator[list[Glyph]]:
    """From right to left; of columns that are one above the other, all of the upper ones first."""
    columns: list[list[Glyph]] = []
    for glyph in sorted(glyphs, key=lambda glyph: -glyph.across):
        if columns and columns[-1][0].across - glyph.across < ASIDE * glyph.size:
            columns[-1].append(glyph)
        else:
            columns.append([glyph])
    parts = [part for column in columns for part in _parts(column)]
    while parts:
        lowest = max(min(glyph.box[1] for glyph in part) for part in parts)
        tier = [part for part in parts if part[0].box[3] > lowest]
        yield from tier
        parts = [part for part in parts if part[0].box[3] <= lowest]


def _parts(column: Sequence[Glyph]) -> Iterator[list[Glyph]]:
    """A column from top to bottom, in parts where there is room."""
    part: list[Glyph] = []
    for glyph in sorted(column, key=lambda glyph: -glyph.box[3]):
        if part and part[-1].box[3] - glyph.box[3] > BREAK * glyph.size:
            yield part
            part = []
        part.append(glyph)
    if part:
        yield part
