"""Figures that a PDF's line raises or lowers: told by where they stand and how large they are, as pdfium says.

pdfium's text of "412" with a footnote's 2 is 4122, a wrong number that nobody can tell from a right one. So the last
figure of each number is asked where it stands, and of a word that has one elsewhere, all characters: most pages are
asked about some dozens of their thousands.
"""

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, sin

import pypdfium2.raw as pdfium

from ingest.reading.pdf.look import Look
from ingest.reading.pdf.runs import Run
from ingest.reading.pdf.scripts import Level, written

NUMBER = re.compile(r"[0-9](?:[0-9.,]*[0-9])?[^\W\d_]?")
"""And a letter behind it: where its last figure stands is asked, and where the letter does."""
LEADING_MARK = re.compile(r"(\d{1,3}) +(?=\S)")
"""At a line's beginning, as a footnote's."""
SAME_PLACE = 0.06
"""Of the line's height: figures of one line differ by less."""
WORD_CHARACTERS_MAX = 60

STEP = 0.06
"""Of an em, up or down between neighbours: less is a scan that is not quite straight."""
SMALLER = 0.92
"""Of the word's own size: raised figures have 0.55 to 0.85 of it."""
SMALL = 0.85
LEAST = 0.4
"""Smaller ones stand beside an initial, or are no part of the word at all."""
UP_MIN, DOWN_MIN = 0.08, 0.05
"""Ems that smaller figures are raised, or lowered. TeX has 0.36 and 0.15, browsers 0.33 and 0.2."""
UP_ALONE_MIN, DOWN_ALONE_MIN = 0.2, 0.12
"""Ems that figures of the same size are."""
FAR = 1.0
"""Ems: what is farther up or down is another line's."""
ALONE_MAX = 3
"""Figures of a mark that stands apart from what it belongs to."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbours of one size and height, from `start` to `end`; heights of its ends above the page's origin."""

    start: int
    end: int
    em: float
    first: float
    last: float


def marked(look: Look, run: Run) -> Run:
    """A line with its raised and lowered figures written as such. What is put in has an index near by."""
    text, indices = run.text, run.indices
    if NUMBER.search(text) is None:
        return run
    parts: list[tuple[str, Sequence[int]]] = []
    at = 0
    for start, end in _suspects(look, run):
        levels = _levels(look, indices, text, start, end)
        if levels.strip(Level.BASE):
            word = written(text[start:end], levels)
            parts += [(text[at:start], indices[at:start]), (word, _spread(indices[start:end], len(word)))]
            at = end
    if not parts:
        return run
    parts.append((text[at:], indices[at:]))
    return Run("".join(part for part, _ in parts), [index for _, part in parts for index in part], run.box)


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """So many indices, from the first to the last of those given."""
    return [indices[at * len(indices) // count] for at in range(count)]


def _suspects(look: Look, run: Run) -> Iterator[tuple[int, int]]:
    """The words with a figure, or a letter behind one, that does not stand where the line's words do."""
    indices, text = run.indices, run.text
    tolerance, known = SAME_PLACE * (run.box[3] - run.box[1]), 0
    baseline = None
    if mark := LEADING_MARK.match(text):
        baseline = look.baseline(indices[mark.end()])
        if abs(look.baseline(indices[0]) - baseline) > tolerance:
            known = mark.end(1)
            yield 0, known
    y, x = ctypes.c_double(), ctypes.c_double()
    page, origin = look.text_page, pdfium.FPDFText_GetCharOrigin  # it is called a hundred times for a page
    for number in NUMBER.finditer(text):
        first, last = number.start(), number.end() - 1
        if last < known:
            continue
        if baseline is None:
            baseline = look.baseline(indices[0])
        origin(page, indices[last], x, y)
        height = y.value
        is_odd = abs(height - baseline) > tolerance
        if not is_odd and first < last:  # what is raised may stand before a number, or before a letter
            origin(page, indices[first if text[last].isdecimal() else last - 1], x, y)
            is_odd = abs(y.value - baseline) > tolerance
        if is_odd:
            start, known = _word(text, last)
            origin(page, indices[start], x, y)
            is_raised_as_one = abs(y.value - height) <= tolerance < abs(height - baseline)
            if known - start <= (ALONE_MAX if is_raised_as_one else WORD_CHARACTERS_MAX):
                yield start, known


def _word(text: str, at: int) -> tuple[int, int]:
    """From where to where the characters around `at` run without a blank."""
    end = text.find(" ", at)
    return text.rfind(" ", 0, at) + 1, end if end >= 0 else len(text)


def _levels(look: Look, indices: Sequence[int], text: str, start: int, end: int) -> str:
    """A `Level` for each character of a word."""
    angle = pdfium.FPDFText_GetCharAngle(look.text_page, indices[start])
    places = [_place(look, indices[at], angle) for at in range(start, end)]
    runs = list(_runs(places))
    base = _base(runs)
    if len(runs) == 1:
        return _alone(look, indices, text, start, end, runs[0]) * (end - start)
    levels = ""
    for at, run in enumerate(runs):
        beside = _nearest(runs, at, base)
        levels += (Level.BASE if beside is None else _level(run, *beside)) * (run.end - run.start)
    return levels


def _place(look: Look, index: int, angle: float) -> tuple[float, float]:
    """How far up a character stands, seen along its line, and how high its em is."""
    x, y = look.origin(index)
    return y * cos(angle) - x * sin(angle), look.shape(index)[1]


def _runs(places: Sequence[tuple[float, float]]) -> Iterator[_Run]:
    start = 0
    for at in range(1, len(places) + 1):
        if at == len(places) or _is_step(places[at - 1], places[at]):
            yield _Run(start, at, places[start][1], places[start][0], places[at - 1][0])
            start = at


def _is_step(one: tuple[float, float], other: tuple[float, float]) -> bool:
    large, small = max(one[1], other[1]), min(one[1], other[1])
    return small < SMALLER * large or abs(one[0] - other[0]) > STEP * large


def _base(runs: Sequence[_Run]) -> set[int]:
    """The runs, by number, that the others are written to: the largest, where most of these stand."""
    em = max(run.em for run in runs)
    large = [at for at, run in enumerate(runs) if run.em >= SMALLER * em]

    def beside(at: int) -> list[int]:
        return [other for other in large if abs(runs[other].first - runs[at].first) <= STEP * em]

    most = max(large, key=lambda at: sum(runs[other].end - runs[other].start for other in beside(at)))
    return set(beside(most))


def _nearest(runs: Sequence[_Run], at: int, base: set[int]) -> tuple[float, float] | None:
    """The height and the em that run `at` is compared with; None for a run that others are compared with."""
    if at in base:
        return None
    before = max((other for other in base if other < at), default=None)
    if before is not None:
        return runs[before].last, runs[before].em
    after = min(base)
    return runs[after].first, runs[after].em


def _level(run: _Run, height: float, em: float) -> Level:
    up, size = (run.first - height) / em if em else 0.0, run.em / em if em else 0.0
    if size < LEAST or abs(up) > FAR:
        return Level.BASE
    is_smaller = size <= SMALLER
    if up >= (UP_MIN if is_smaller else UP_ALONE_MIN):
        return Level.RAISED
    if -up >= (DOWN_MIN if is_smaller else DOWN_ALONE_MIN):
        return Level.LOWERED
    return Level.SMALL if size <= SMALL else Level.BASE


def _alone(look: Look, indices: Sequence[int], text: str, start: int, end: int, run: _Run) -> Level:
    """The level of a mark that stands apart, beside what stands before it, or behind it where a line begins."""
    before = len(text[:start].rstrip()) - 1
    after = len(text) - len(text[end:].lstrip())
    beside = before if before >= 0 else after
    if beside >= len(text) or end - start > ALONE_MAX or not text[start:end].isdecimal():
        return Level.BASE
    angle = pdfium.FPDFText_GetCharAngle(look.text_page, indices[start])
    level = _level(run, *_place(look, indices[beside], angle))
    return level if level is Level.RAISED else Level.BASE
