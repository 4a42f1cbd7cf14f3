"""A quick look at a page's picture, drawn at 54 dpi in grey: whether each line of words may well be seen there.

It need not be sure that a line is hidden, only miss none: what it doubts is then looked at with care. A line of print
goes from paper to ink and back all along its middle, and hardly at all at the feet of its letters. Bars, blank paper
and strokes through a line do not change along it, and pictures change everywhere.
"""

import ctypes
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pypdfium2.raw as pdfium

from ingest.reading.pdf.look import Box, Look
from ingest.reading.pdf.picture import Picture, PixelBox

DPI = 54
LEVELS = bytes((level + 16) // 60 for level in range(256))
"""Grey made coarse, so that a change is one for the eye: the steps are at 44, 104, 164 and 224 of 255."""
IS_NOT_ZERO = bytes(min(1, level) for level in range(256))
HEIGHT_MIN = 4
"""Pixels of a line: below, it is tiny or too small for this look. Footnotes of six points have five."""
BLANK = 1.0
"""Of a line's height: what does not change for so long must be without words. Blanks between words have a third."""
MIDDLE = 0.35, 0.75
"""Of its height, from above: the small letters, without the ends of tall ones, which bars may leave."""
SIDE = 0.3
"""Of its height, left out at each end of such a part: the room beside a letter is the letter's."""
CONTRAST_MIN = 48
"""Of 255, between thin print and its paper."""
FEET = 0.6
"""Of the changes in a line's middle: more of them below its letters' feet are a picture's. Print has a tenth."""
CHANGES_MIN = 6
WORD = re.compile(r"\S*[^\W_]\S*")
"""What has a letter or a figure: rows of dots and strokes change by nothing."""
CLOSE = 0.1
"""Of a line's height: no two letters stand so close. Those that replace what is shown all stand in one place."""
OVERLAP = 0.5
"""Of the lesser line's height."""

JOINTS = "\x02\ufffe"
JOINT = re.compile(f"[{JOINTS}]")
LONG = 4
"""Characters of a line that is wider than high."""

Line = tuple[int, str, Box]
"""The index of its first character, its words, and where that character stands."""


def doubtful(look: Look, lines: Sequence[Line]) -> list[range]:
    """The characters of those lines that may not be in the page's picture, by their indices."""
    picture = Picture.of(look.page, DPI, is_grey=True, form=look.form)
    changes = _changes(picture)
    places: list[tuple[PixelBox, range]] = []
    doubts: list[range] = []
    for first, text, box in _parts(look, lines):
        last = look.box(first + len(text) - 1)
        around = min(box[0], last[0]), min(box[1], last[1]), max(box[2], last[2]), max(box[3], last[3])
        place, characters = picture.place(around), range(first, first + len(text))
        if (
            _is_odd(place, text)
            or _is_unlike_print(changes, picture, place)
            or _are_doubtful(_words(look, picture, first, text), _gaps(changes, picture, place), place)
        ):
            doubts.append(characters)
        places.append((place, characters))
    return doubts + list(_overlapping(places))


def _parts(look: Look, lines: Sequence[Line]) -> Iterator[Line]:
    """The lines, those in two that pdfium has joined where a word is broken."""
    for first, text, box in lines:
        if not any(sign in text for sign in JOINTS):
            yield first, text, box
            continue
        at = first
        for part in JOINT.split(text):
            if part.strip():
                yield at, part, look.box(at)
            at += len(part) + 1


def _changes(picture: Picture) -> bytes:
    """A 1 for each pixel that is followed, on its right, by one of another level."""
    levels = int.from_bytes(picture.pixels.translate(LEVELS), "little")
    return (levels ^ (levels >> 8)).to_bytes(len(picture.pixels), "little").translate(IS_NOT_ZERO)


def _is_odd(place: PixelBox, text: str) -> bool:
    """Whether a line is tiny, off the page, or does not run across it."""
    wide, high = place[2] - place[0], place[3] - place[1]
    return high < HEIGHT_MIN or wide < len(text) or (high > wide and len(text) >= LONG)


def _words(look: Look, picture: Picture, first: int, text: str) -> Iterator[tuple[float, float, int]]:
    """Of each word of a line, the columns at which its first and its last character begin, and how many it has."""
    a, b, c = picture.across
    page, origin = look.text_page, pdfium.FPDFText_GetCharOrigin  # it is called a thousand times for a page
    x, y = ctypes.c_double(), ctypes.c_double()
    for word in WORD.finditer(text):
        start, end = word.span()
        origin(page, first + start, x, y)
        begin = a * x.value + b * y.value + c
        if end - start > 1:
            origin(page, first + end - 1, x, y)
        yield begin, a * x.value + b * y.value + c, end - start


def _are_doubtful(
    words: Iterator[tuple[float, float, int]], gaps: Sequence[tuple[float, float]], place: PixelBox
) -> bool:
    """Whether a word is where nothing changes, off the page, or on the one before, or its letters on one another."""
    close = CLOSE * (place[3] - place[1])
    before = float("-inf")
    for begin, last, count in words:
        if begin < before or last - begin < close * (count - 1) or last > place[2]:
            return True
        if gaps and any(begin < right and last > left for left, right in gaps):
            return True
        before = last
    return False


def _rows(place: PixelBox, top: float, bottom: float) -> range:
    """The rows of a line from a share of its height to another, counted from above; at least one."""
    high = place[3] - place[1]
    start = place[1] + int(top * high)
    return range(start, max(start + 1, place[1] + int(bottom * high)))


def _is_unlike_print(changes: bytes, picture: Picture, place: PixelBox) -> bool:
    """Whether there is as much below a line's feet as in its middle."""
    if place[2] - place[0] < 1:
        return True
    width = picture.width
    counts = [
        changes[y * width + place[0] : y * width + place[2]].count(1)
        for y in (*_rows(place, *MIDDLE), place[3] - 1, min(place[3], picture.height - 1))
    ]
    feet = min(counts[-2:])  # the letters of small print and of close lines reach into one of them
    return feet > CHANGES_MIN and feet > FEET * max(counts[:-2])


def _gaps(changes: bytes, picture: Picture, place: PixelBox) -> list[tuple[float, float]]:
    """The long parts of a line that look like no words: from column to column, without the room beside letters."""
    left, _, right, _ = place
    merged = 0
    for y in _rows(place, *MIDDLE):
        merged |= int.from_bytes(changes[y * picture.width + left : y * picture.width + right], "little")
    columns = merged.to_bytes(right - left, "little")
    high = place[3] - place[1]
    least = max(HEIGHT_MIN, int(BLANK * high))
    if bytes(least) not in columns:
        return []
    at, gaps = left, []
    for blank in columns.split(b"\1"):
        end = at + len(blank)
        if len(blank) >= least and not _varies_as_print(picture, place, at + 1, end - 1):
            gaps.append((at + SIDE * high, end - SIDE * high))
        at = end + 1
    return gaps


def _varies_as_print(picture: Picture, place: PixelBox, left: int, right: int) -> bool:
    """Whether a part of a line, from column to column, has light and dark in its middle, and is calm at its feet."""
    rows = [
        picture.pixels[y * picture.width + left : y * picture.width + right]
        for y in (*_rows(place, *MIDDLE), place[3] - 1)
    ]
    return any(max(row) - min(row) >= CONTRAST_MIN for row in rows[:-1]) and _steps(rows[-1]) < FEET * len(rows[-1])


def _steps(row: bytes) -> int:
    """How often a row of pixels goes up or down a good deal from one to the next."""
    return sum(abs(one - other) >= CONTRAST_MIN / 2 for one, other in pairwise(row))


def _overlapping(places: Sequence[tuple[PixelBox, range]]) -> Iterator[range]:
    """The characters of lines that stand on one another."""
    places = sorted(places, key=_top)
    for at, ((left, top, right, bottom), characters) in enumerate(places):
        for other, others in places[at + 1 :]:
            least = OVERLAP * min(bottom - top, other[3] - other[1])
            if other[1] > bottom - least:
                break
            if min(bottom, other[3]) - other[1] > least and min(right, other[2]) - max(left, other[0]) > 1:
                yield characters
                yield others


def _top(placed: tuple[PixelBox, range]) -> int:
    return placed[0][1]
