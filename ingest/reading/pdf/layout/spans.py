"""A page's lines as pdfium gives them, taken apart where a wide gap is between two words."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ingest.reading.pdf.look import Box
from ingest.reading.pdf.runs import Run

WIDE = 1.0
"""Of a line's height: a gap that may be one between columns. Between words of justified print there is up to 0.7."""
ELSEWHERE = 0.75
"""Of a line's height: a raised figure's foot is not so far up."""
NARROW = 0.4
"""Of a line's height: the least gap between two columns that other lines show to be two. A blank has 0.25."""
WORD = re.compile(r"([^\s\W\d_]\S*)|\S+")
"""A group tells of a letter at its beginning."""
LABEL_OR_FIGURE = re.compile(r"[^\s\W\d_]\S*(?:\s+[^\s\W\d_]\S*)*|\S+")
"""Words that begin with letters together, and each other word alone."""
CURRENCY = re.compile(r"(?:US|C|A|HK)?[$\u20ac\u00a3\u00a5]|EUR|USD|GBP|CHF|kr\.?")
"""Stands at the left of a column of figures, apart from its figure."""
CURRENCY_BETWEEN = re.compile(r"[\d)%\u2013\u2014-] (?=[$\u20ac\u00a3\u00a5](?: |$))")
"""Close behind a figure, it is still the next one's."""
CLOSES_A_FIGURE = re.compile(r"[)%\u2030]{1,3}|bps|x")
DASHES = ("-", "\u2013", "\u2014", "\u2212")
FIGURE = re.compile(r"(?:US|C|A|HK|EUR|USD|GBP|CHF|kr\.?)?[^\w]*\d")
"""Begins with its sign, its currency or its first digit."""
FIGURE_LETTERS_MAX = 4
"""Of a figure's unit."""
FIGURE_WORDS_MAX = 4
FIGURES_MIN = 2
"""Of a row of figures, in which a label is a word, unless there may be a gap within."""
MONTH = re.compile(r"(?i)\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)\b")
"""A day is no figure."""

CHARACTER_WIDTH = 0.45
"""Of a line's height, on average: wide fonts have that, most 0.35 to 0.42 ..."""
CAPITAL_WIDTH = 0.65
WIDE_CHARACTER = "\u1100"
"""... and Hangul, Chinese and Japanese, from here on, 1."""
ROOM = 0.8
"""Of a line's height, in which there is no gap between columns."""

Where = Callable[[int], Box]
"""The box of a character of the page, by its index, as the page is turned to be read."""


class Word(NamedTuple):
    """Characters without a wide gap between them: from where to where of their line, and of the page, in points."""

    start: int
    end: int
    left: float
    right: float
    bottom: float


class Span:
    """Words of one line without a wide gap between them; `line` is that line's number.

    `is_mark`: it is the small sign of a note, raised behind another span.
    """

    __slots__ = ("_is_figure", "bottom", "height", "is_mark", "left", "line", "right", "text", "top", "words")

    def __init__(self, line: int, text: str, words: Sequence[Word], bottom: float, top: float) -> None:
        self.line = line
        self.text = text
        self.words = words
        self.left = words[0].left
        self.right = words[-1].right
        self.bottom = bottom
        self.top = top
        self.height = top - bottom
        self.is_mark = False
        self._is_figure: bool | None = None

    @property
    def is_figure(self) -> bool:
        """Whether it is a number with its sign and unit, or a dash for none."""
        if self._is_figure is None:
            self._is_figure = is_figure(self.text)
        return self._is_figure and not self.is_mark

    @property
    def middle(self) -> float:
        """Of its stretch from left to right."""
        return (self.left + self.right) / 2

    def parts(self, gap: float) -> list["Span"]:
        """Taken apart wherever more than `gap` points are between two words, but within no figure."""
        words, elsewhere = self.words, ELSEWHERE * self.height  # pdfium joins some lines
        if len(words) == 1:
            return [self]
        cuts = [
            at
            for at, ((_, _, left, right, bottom), word) in enumerate(pairwise(words), 1)
            if word.left - right > gap or left - word.right > gap or abs(word.bottom - bottom) > elsewhere
        ]
        if CURRENCY_BETWEEN.search(self.text):
            cuts = sorted({*cuts, *self._currencies()})
        if cuts:
            cuts = [at for at in cuts if not _are_one_figure(self, at, cuts)]
        return self.cut(cuts)

    def _currencies(self) -> list[int]:
        """The words that are a currency behind a figure, and before another."""
        start = self.words[0].start
        ends = {found.end() + start for found in CURRENCY_BETWEEN.finditer(self.text)}
        return [at for at, word in enumerate(self.words) if word.start in ends]

    def cut(self, cuts: Sequence[int]) -> list["Span"]:
        """Taken apart before each of these words."""
        if not cuts:
            return [self]
        at = self.words[0].start
        parts = []
        for first, last in pairwise([0, *cuts, len(self.words)]):
            words = self.words[first:last]
            text = self.text[words[0].start - at : words[-1].end - at]
            parts.append(Span(self.line, text, words, words[0].bottom, words[0].bottom + self.height))
        return parts


def is_figure(text: str) -> bool:
    """Whether text is a number with its sign and unit, or a dash for none."""
    if len(text) > 24:
        return False
    if text in DASHES:
        return True
    found = FIGURE.match(text)
    if not found or text.count(" ") >= FIGURE_WORDS_MAX:
        return False
    return sum(map(str.isalpha, text[found.end() :])) <= FIGURE_LETTERS_MAX and not MONTH.search(text)


def whole_line(where: Where, number: int, line: Run) -> Span:
    """A line as one span, its words not told apart."""
    right = where(line.indices[-1])[2]
    left, bottom, _, top = line.box
    word = Word(0, len(line.text), left, right if right > left else left, bottom)
    return Span(number, line.text, (word,), bottom, top)


def spans_of(where: Where, whole: Span, line: Run) -> list[Span]:
    """A line, given as one span, in spans, each figure with its sign and its unit."""
    words = _words(where, whole, line)
    if len(words) == 1:
        return [whole]
    return Span(whole.line, line.text, words, whole.bottom, whole.top).parts(WIDE * whole.height)


def is_loose(text: str, width: float, height: float) -> bool:
    """Whether text so many points wide and high is wider than its letters need."""
    needed = CHARACTER_WIDTH * len(text) + ROOM
    if width <= needed * height:
        return False
    needed += (CAPITAL_WIDTH - CHARACTER_WIDTH) * sum(map(str.isupper, text))
    if not text.isascii():
        needed += (1 - CHARACTER_WIDTH) * sum(character >= WIDE_CHARACTER for character in text)
    return width > needed * height


def _words(where: Where, whole: Span, line: Run) -> list[Word]:
    """The line's words; in a row of figures, those of its label as one where nothing tells of a gap among them."""
    found = list(WORD.finditer(line.text))
    if [one.lastindex for one in found].count(None) < FIGURES_MIN:
        return _stretches(where, whole, line, found)
    words: list[Word] = []
    for word in _stretches(where, whole, line, LABEL_OR_FIGURE.finditer(line.text)):
        text = line.text[word.start : word.end]
        if " " in text and is_loose(text, word.right - word.left, whole.height):
            words += _stretches(where, whole, line, WORD.finditer(line.text, word.start, word.end))
        else:
            words.append(word)
    return words


def _stretches(where: Where, whole: Span, line: Run, found: Iterable[re.Match[str]]) -> list[Word]:
    """Parts of a line with where they stand. Most of the time that a page takes here is spent in this loop."""
    indices, words = line.indices, []
    first, last = line.box, len(line.text)
    for one in found:
        start, end = one.span()
        left, bottom, right, _ = where(indices[start]) if start else first
        if end == last:
            right = whole.right
        elif end > start + 1:
            right = where(indices[end - 1])[2]
        words.append(Word(start, end, left, right, bottom))
    return words


def _are_one_figure(span: Span, at: int, cuts: Sequence[int]) -> bool:
    """Whether the words before and behind a gap are a currency and its figure, or a figure and what closes it."""
    start = span.words[0].start
    before, after = (span.text[word.start - start : word.end - start] for word in span.words[at - 1 : at + 1])
    is_alone_before = at == 1 or at - 1 in cuts
    if is_alone_before and CURRENCY.fullmatch(before):
        return is_figure(after)
    is_alone_after = at + 1 == len(span.words) or at + 1 in cuts
    return is_alone_after and CLOSES_A_FIGURE.fullmatch(after) is not None and is_figure(before)
