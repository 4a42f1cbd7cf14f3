"""A page's lines as pdfium gives them, taken apart where a wide gap is between two words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ingest.reading.pdf.look import Box, Look

WIDE = 1.0
"""Of a line's height: a gap that may be one between columns. Between words of justified print there is up to 0.7."""
NARROW = 0.4
"""Of a line's height: the least gap between two columns that other lines show to be two. A blank has 0.25."""
WORD = re.compile(r"\S+")
CURRENCY = re.compile(r"(?:US|C|A|HK)?[$\u20ac\u00a3\u00a5]|EUR|USD|GBP|CHF|kr\.?")
"""Stands at the left of a column of figures, apart from its figure."""
CLOSES_A_FIGURE = re.compile(r"[)%\u2030]{1,3}|bps|x")
DASHES = ("-", "\u2013", "\u2014", "\u2212")
FIGURE_LETTERS_MAX = 4
"""Of a figure's unit."""


class Word(NamedTuple):
    """Characters without a blank between them: from where to where of their line, and of the page, in points."""

    start: int
    end: int
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line as pdfium gives it: its words, the index of each of its characters, and the box of its first."""

    text: str
    indices: Sequence[int]
    box: Box


@dataclass(frozen=True, slots=True)
class Span:
    """Words of one line without a wide gap between them; `line` is that line's number."""

    line: int
    text: str
    words: tuple[Word, ...]
    bottom: float
    top: float

    @property
    def left(self) -> float:
        """Where it begins, in points."""
        return self.words[0].left

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.words[-1].right

    @property
    def height(self) -> float:
        """Of its first line's first character."""
        return self.top - self.bottom

    @property
    def is_figure(self) -> bool:
        """Whether it is a number with its sign and unit, or a dash for none."""
        return is_figure(self.text)

    def parts(self, gap: float) -> list["Span"]:
        """Taken apart wherever more than `gap` points are between two words, but within no figure."""
        cuts = [at for at in range(1, len(self.words)) if _gap(self.words, at) > gap]
        cuts = [at for at in cuts if not _are_one_figure(self, at, cuts)]
        return [self.part(first, last) for first, last in zip([0, *cuts], [*cuts, len(self.words)], strict=True)]

    def part(self, first: int, last: int) -> "Span":
        """Its words from one to before another."""
        words = self.words[first:last]
        at = self.words[0].start
        return replace(self, text=self.text[words[0].start - at : words[-1].end - at], words=words)


def is_figure(text: str) -> bool:
    """Whether text is a number with its sign and unit, or a dash for none."""
    if text in DASHES:
        return True
    digits = sum(map(str.isdigit, text))
    return digits > 0 and sum(map(str.isalpha, text)) <= FIGURE_LETTERS_MAX and len(text.split()) <= 4


def spans_of(look: Look, number: int, line: DrawnLine) -> list[Span]:
    """A line in spans, each figure with its sign and its unit."""
    words = _words(look, line)
    _, bottom, _, top = line.box
    return Span(number, line.text, words, bottom, top).parts(WIDE * (top - bottom))


def whole_line(look: Look, number: int, line: DrawnLine) -> Span:
    """A line as one span, its words not told apart."""
    right = look.box(line.indices[-1])[2]
    left, bottom, _, top = line.box
    return Span(number, line.text, (Word(0, len(line.text), left, max(left, right)),), bottom, top)


def _words(look: Look, line: DrawnLine) -> tuple[Word, ...]:
    words, box = [], line.box
    for found in WORD.finditer(line.text):
        start, end = found.span()
        first = box if start == 0 else look.box(line.indices[start])
        last = first if end == start + 1 else look.box(line.indices[end - 1])
        words.append(Word(start, end, first[0], last[2]))
    return tuple(words)


def _gap(words: Sequence[Word], at: int) -> float:
    """Before word `at`; a word that stands left of the one before is as far away as its width tells."""
    gap = words[at].left - words[at - 1].right
    return gap if gap > words[at - 1].left - words[at - 1].right else -gap


def _are_one_figure(span: Span, at: int, cuts: Sequence[int]) -> bool:
    """Whether the words before and behind a gap are a currency and its figure, or a figure and what closes it."""
    start = span.words[0].start
    before, after = (span.text[word.start - start : word.end - start] for word in span.words[at - 1 : at + 1])
    is_alone_before = at == 1 or at - 1 in cuts
    if is_alone_before and CURRENCY.fullmatch(before):
        return is_figure(after) or after in DASHES
    is_alone_after = at + 1 == len(span.words) or at + 1 in cuts
    return is_alone_after and CLOSES_A_FIGURE.fullmatch(after) is not None and is_figure(before)
