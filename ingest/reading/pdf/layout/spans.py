"""A page's lines as pdfium gives them, taken apart where a wide gap is between two words."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from ingest.reading.pdf.look import Box
from ingest.reading.pdf.runs import Run

WIDE = 1.0
"""Of a line's height: a gap that may be one between columns. Between words of justified print there is up to 0.7."""
ELSEWHERE = 0.75
"""Of a line's height: a raised figure's foot is not so far up."""
NARROW = 0.4
"""Of a line's height: the least gap between two columns that other lines show to be two. A blank has 0.25."""
LABEL_OR_FIGURE = re.compile(r"[^\s\W\d_]\S*(?:\s+[^\s\W\d_]\S*)*|\S+")
"""Words that begin with letters together, and each other word alone."""
CURRENCY = re.compile(r"(?:US|C|A|HK)?[$\u20ac\u00a3\u00a5]|EUR|USD|GBP|CHF|kr\.?")
"""Stands at the left of a column of figures, apart from its figure."""
CURRENCY_BETWEEN = re.compile(r"[$\u20ac\u00a3\u00a5](?<=[\d)%\u2013\u2014-] .)(?= |$)")
"""Close behind a figure, it is still the next one's."""
CLOSES_A_FIGURE = re.compile(r"[)%\u2030]{1,3}|bps|x")
SIGN_CHARACTERS_MAX = 3
"""Of a currency, and of what closes a figure."""
DASHES = ("-", "\u2013", "\u2014", "\u2212")
FIGURE = re.compile(r"(?:US|C|A|HK|EUR|USD|GBP|CHF|kr\.?)?[^\w]*\d[\d.,)%]*")
"""Begins with its sign, its currency or its first digit; its unit may be left."""
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

Word = tuple[int, int, float, float, float]
"""Characters without a wide gap between them: start and end in their line; left, right and bottom, in points."""


class Span:
    """Words of one line without a wide gap between them; `line` is that line's number.

    `is_mark`: it is the small sign of a note, raised behind another span.
    """

    __slots__ = ("_is_figure", "bottom", "height", "is_mark", "left", "line", "right", "text", "top", "words")

    def __init__(self, line: int, text: str, words: Sequence[Word], bottom: float, top: float) -> None:
        self.line = line
        self.text = text
        self.words = words
        self.left = words[0][2]
        self.right = words[-1][3]
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
    def start(self) -> int:
        """Of its line's characters, the first."""
        return self.words[0][0]

    @property
    def end(self) -> int:
        """Of its line's characters, the one behind its last."""
        return self.words[-1][1]

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
            for at, ((_, _, left, right, foot), (_, _, begin, end, bottom)) in enumerate(pairwise(words), 1)
            if begin - right > gap or left - end > gap or abs(bottom - foot) > elsewhere
        ]
        if CURRENCY_BETWEEN.search(self.text):
            cuts = sorted({*cuts, *self._currencies()})
        if cuts:
            cuts = [at for at in cuts if not _are_one_figure(self, at, cuts)]
        return self.cut(cuts)

    def _currencies(self) -> list[int]:
        """The words that are a currency behind a figure, and before another."""
        starts = {found.start() + self.start for found in CURRENCY_BETWEEN.finditer(self.text)}
        return [at for at, (start, *_) in enumerate(self.words) if start in starts]

    def cut(self, cuts: Sequence[int]) -> list["Span"]:
        """Taken apart before each of these words."""
        if not cuts:
            return [self]
        before, height, parts = self.words[0][0], self.height, []
        for first, last in pairwise([0, *cuts, len(self.words)]):
            words = self.words[first:last]
            start, _, _, _, bottom = words[0]
            text = self.text[start - before : words[-1][1] - before]
            parts.append(Span(self.line, text, words, bottom, bottom + height))
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
    unit = text[found.end() :]
    return not unit or (sum(map(str.isalpha, unit)) <= FIGURE_LETTERS_MAX and not MONTH.search(text))


def whole_line(where: Where, number: int, line: Run) -> Span:
    """A line as one span, its words not told apart."""
    right = where(line.indices[-1])[2]
    left, bottom, _, top = line.box
    word = (0, len(line.text), left, right if right > left else left, bottom)
    return Span(number, line.text, (word,), bottom, top)


def spans_of(where: Where, whole: Span, line: Run) -> list[Span]:
    """A line, given as one span, in spans, each figure with its sign and its unit."""
    whole.words = _words(where, whole, line)
    return whole.parts(WIDE * whole.height)


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
    text = line.text
    found = text.split()
    letters = [word[0].isalnum() and not word[0].isdecimal() for word in found]
    if letters.count(False) < FIGURES_MIN:
        return _stretches(where, whole, line, _places(text))
    words: list[Word] = []
    labels = [one.span() for one in LABEL_OR_FIGURE.finditer(text)]
    for word in _stretches(where, whole, line, labels):
        start, end, left, right, _ = word
        label = text[start:end]
        if " " in label and is_loose(label, right - left, whole.height):
            words += _stretches(where, whole, line, _places(label, start))
        else:
            words.append(word)
    return words


def _places(text: str, end: int = 0) -> Iterator[tuple[int, int]]:
    """From where to where each word of text is, which itself begins at `end` of its line."""
    before = end
    for word in text.split():
        start = text.index(word, end - before) + before
        end = start + len(word)
        yield start, end


def _stretches(where: Where, whole: Span, line: Run, places: Iterable[tuple[int, int]]) -> list[Word]:
    """Parts of a line with where they stand. Most of the time that a page takes here is spent in this loop."""
    indices, words = line.indices, []
    first, last = line.box, len(line.text)
    for start, end in places:
        left, bottom, right, _ = where(indices[start]) if start else first
        if end == last:
            right = whole.right
        elif end > start + 1:
            right = where(indices[end - 1])[2]
        words.append((start, end, left, right, bottom))
    return words


def _are_one_figure(span: Span, at: int, cuts: Sequence[int]) -> bool:
    """Whether the words before and behind a gap are a currency and its figure, or a figure and what closes it."""
    (start, end, _, _, _), (next_start, next_end, _, _, _) = span.words[at - 1 : at + 1]
    may_open, may_close = end - start <= SIGN_CHARACTERS_MAX, next_end - next_start <= SIGN_CHARACTERS_MAX
    if not may_open and not may_close:
        return False
    begin = span.words[0][0]
    before, after = span.text[start - begin : end - begin], span.text[next_start - begin : next_end - begin]
    is_alone_before = at == 1 or at - 1 in cuts
    if may_open and is_alone_before and CURRENCY.fullmatch(before):
        return is_figure(after)
    is_alone_after = at + 1 == len(span.words) or at + 1 in cuts
    return may_close and is_alone_after and CLOSES_A_FIGURE.fullmatch(after) is not None and is_figure(before)
