"""The characters of a PDF's page that a reader of the page sees.

Text can be on a page and not be seen: drawn in the invisible mode, white on white, off the page, or too small.
Whoever hides words means them for programs, so they are left out. One use is honest: a scan's words, as OCR read
them, lie invisible over its picture.

Asking pdfium about every character would take twice as long as reading the page (10-K filings draw each letter as an
object of its own), so lines are sampled, and only a page with a suspicious sample is looked at in full.
"""

import ctypes
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import pypdfium2.raw as pdfium

SAMPLE_CHARACTERS = 40
"""A line is looked at where it begins, and again after so many: an instruction is longer than that."""
INVISIBLE_MODES = (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)
WHITE_MIN = 240
"""Of 255, in each of red, green and blue."""
TINY_SHARE = 0.002
"""Of the page's height: 1.7 points on A4. The smallest print of our 10-K filings has 4.5."""
ALPHA_MIN = 13
"""Of 255: 5 %."""
PICTURE_SHARE_MIN = 0.5
"""Of the page's area: a smaller picture is no scan of the page."""
FONT_NAME_BYTES = 80
OBJECTS_MAX = 20_000
"""Objects of one page that are looked at, lest a page of millions take minutes."""


class Ink(Enum):
    """What a character leaves on the page."""

    PLAIN = 0
    WHITE = 1
    NONE = 2


Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in points from the page's lower left corner."""


@dataclass
class Look:
    """Asks pdfium about single characters of one page. Its buffers are filled anew by each call."""

    page: Any
    text_page: Any
    page_box: Box
    _box: Any = field(default_factory=pdfium.FS_RECTF)
    _name: Any = field(default_factory=lambda: ctypes.create_string_buffer(FONT_NAME_BYTES))
    _flags: Any = field(default_factory=ctypes.c_int)
    _color: Any = field(default_factory=lambda: [ctypes.c_uint() for _ in range(4)])
    _origin: Any = field(default_factory=lambda: [ctypes.c_double() for _ in range(2)])

    def text(self, count: int) -> str:
        """The page's characters, of which there are `count`, when all stand on the page; else another number of them.

        pdfium gives those on the page in one call, but on some pages without line ends that it made up itself.
        """
        left, bottom, right, top = self.page_box
        buffer = (ctypes.c_ushort * (count + 1))()  # for a NUL, too
        written = pdfium.FPDFText_GetBoundedText(self.text_page, left, top, right, bottom, buffer, count + 1)
        on_page = _decoded(buffer, written)
        if len(on_page) == count or pdfium.FPDFText_GetTextIndexFromCharIndex(self.text_page, count - 1) != count - 1:
            return on_page
        everything = _decoded(buffer, pdfium.FPDFText_GetText(self.text_page, 0, count, buffer))
        is_all = "".join(everything.split()) == "".join(on_page.split())
        return everything if is_all else on_page

    def box(self, index: int) -> Box:
        """Where the character stands, with the line's full height."""
        pdfium.FPDFText_GetLooseCharBox(self.text_page, index, self._box)
        return self._box.left, self._box.bottom, self._box.right, self._box.top

    def baseline(self, index: int) -> float:
        """How far up the page the character stands."""
        pdfium.FPDFText_GetCharOrigin(self.text_page, index, *self._origin)
        return float(self._origin[1].value)

    def font(self, index: int) -> bytes:
        """The name of its font, its end cut when it is long."""
        pdfium.FPDFText_GetFontInfo(self.text_page, index, self._name, FONT_NAME_BYTES, self._flags)
        return bytes(self._name.value)

    def weight(self, index: int) -> int:
        """How heavy its font is, as pdfium estimates it; 0 or less when it cannot."""
        return int(pdfium.FPDFText_GetFontWeight(self.text_page, index))

    def ink(self, index: int) -> Ink:
        """How the character is drawn."""
        drawn = pdfium.FPDFText_GetTextObject(self.text_page, index)
        if drawn and pdfium.FPDFTextObj_GetTextRenderMode(drawn) in INVISIBLE_MODES:
            return Ink.NONE
        red, green, blue, alpha = self._color
        if not pdfium.FPDFText_GetFillColor(self.text_page, index, red, green, blue, alpha):
            return Ink.PLAIN
        if alpha.value < ALPHA_MIN:
            return Ink.NONE
        is_white = red.value >= WHITE_MIN and green.value >= WHITE_MIN and blue.value >= WHITE_MIN
        return Ink.WHITE if is_white else Ink.PLAIN

    def is_tiny(self, box: Box) -> bool:
        """Whether nobody could read it."""
        height = max(box[3] - box[1], box[2] - box[0])  # either: the text may run upwards
        return height < TINY_SHARE * (self.page_box[3] - self.page_box[1])

    def is_off_page(self, box: Box) -> bool:
        """Whether it stands wholly outside of what is shown."""
        left, bottom, right, top = self.page_box
        return box[2] < left or box[0] > right or box[3] < bottom or box[1] > top

    @cached_property
    def backgrounds(self) -> "Backgrounds":
        """What else is drawn on the page. Costs a look at each of its objects."""
        return _backgrounds(self.page)


def _decoded(buffer: Any, written: int) -> str:
    """The first `written` units of UTF-16, without the NUL at their end."""
    return bytes(buffer)[: 2 * written].decode("utf-16-le", "ignore").rstrip("\0")


def is_suspicious(look: Look, lines: Sequence[tuple[int, int, Box]]) -> bool:
    """Whether a sample of the lines finds a hidden one.

    They are given by their first character, their length, and the first character's box.
    """
    if any(look.is_tiny(box) for _, _, box in lines):
        return True
    for first, length, _ in lines:
        for index in range(first, first + max(1, length), SAMPLE_CHARACTERS):
            ink = look.ink(index)
            if ink is Ink.NONE or (ink is Ink.WHITE and not look.backgrounds.shows_white(look.box(index))):
                return True
    return False


def visible(look: Look, count: int) -> list[tuple[int, str]]:
    """The page's first `count` characters that can be seen: the index of each, and the character.

    Where none can, the invisible ones are given: they are all that is known of a picture.
    """
    hides = _Hiding(look)
    seen = list(_seen(look, hides, count))
    if hides.is_scan or any(not character.isspace() for _, character in seen):
        return seen
    hides.is_scan = True
    return list(_seen(look, hides, count))


def _seen(look: Look, hides: "_Hiding", count: int) -> Iterator[tuple[int, str]]:
    is_hidden = False
    for index in range(count):
        if pdfium.FPDFText_IsGenerated(look.text_page, index) != 1:
            is_hidden = hides(index)
        code = pdfium.FPDFText_GetUnicode(look.text_page, index)
        if code and (not is_hidden or code in (10, 13)):
            yield index, chr(code) if code <= sys.maxunicode else "\ufffd"


class _Hiding:
    """Says which characters of a page are hidden, in the light of what else is drawn on it."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self.is_scan = look.backgrounds.largest_picture >= PICTURE_SHARE_MIN * _area(look.page_box)

    def __call__(self, index: int) -> bool:
        look = self._look
        box = look.box(index)
        if look.is_off_page(box) or look.is_tiny(box):
            return True
        match look.ink(index):
            case Ink.NONE:
                return not self.is_scan
            case Ink.WHITE:
                return not look.backgrounds.shows_white(box)
            case Ink.PLAIN:
                return False


@dataclass(slots=True)
class Backgrounds:
    """The places where white can be read, and the area of the largest picture."""

    grounds: list[Box] = field(default_factory=list)
    largest_picture: float = 0.0

    def shows_white(self, box: Box) -> bool:
        """Whether the middle of `box` lies on something that need not be white."""
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in self.grounds)


def _backgrounds(page: Any) -> Backgrounds:
    found = Backgrounds()
    for number in range(min(OBJECTS_MAX, pdfium.FPDFPage_CountObjects(page))):
        drawn = pdfium.FPDFPage_GetObject(page, number)
        kind = pdfium.FPDFPageObj_GetType(drawn)
        if kind == pdfium.FPDF_PAGEOBJ_TEXT or (kind == pdfium.FPDF_PAGEOBJ_PATH and not _is_coloured(drawn)):
            continue
        box = _bounds(drawn)
        found.grounds.append(box)
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE or (kind == pdfium.FPDF_PAGEOBJ_FORM and _has_picture(drawn)):
            found.largest_picture = max(found.largest_picture, _area(box))
    return found


def _has_picture(form: Any) -> bool:
    """Whether a form, as it stands or in a form directly in it, holds a picture."""
    waiting, looked_at = [(form, 0)], 0
    while waiting:
        parent, depth = waiting.pop()
        for number in range(min(OBJECTS_MAX - looked_at, pdfium.FPDFFormObj_CountObjects(parent))):
            looked_at += 1
            drawn = pdfium.FPDFFormObj_GetObject(parent, number)
            kind = pdfium.FPDFPageObj_GetType(drawn)
            if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                return True
            if kind == pdfium.FPDF_PAGEOBJ_FORM and depth == 0:
                waiting.append((drawn, 1))
    return False


def _is_coloured(path: Any) -> bool:
    """Whether a path is filled, and not with white."""
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    if not pdfium.FPDFPath_GetDrawMode(path, mode, stroke) or mode.value == pdfium.FPDF_FILLMODE_NONE:
        return False
    color = [ctypes.c_uint() for _ in range(4)]
    if not pdfium.FPDFPageObj_GetFillColor(path, *color):
        return True  # a pattern
    return min(part.value for part in color[:3]) < WHITE_MIN and color[3].value >= ALPHA_MIN


def _bounds(drawn: Any) -> Box:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(drawn, left, bottom, right, top)
    return left.value, bottom.value, right.value, top.value


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
