"""What pdfium says of single characters of a page, when it is asked one by one."""

import ctypes
import struct
import sys
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium

from ingest.reading.limits import PAGE_CHARACTERS_MAX

INVISIBLE_MODES = (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)
WHITE_MIN = 240
"""Of 255, in each of red, green and blue."""
ALPHA_MIN = 13
"""Of 255: 5 %."""
FONT_NAME_BYTES = 80

_FOUR_FLOATS = struct.Struct("4f").unpack_from

Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in points from the page's lower left corner."""


@dataclass
class Look:
    """Asks pdfium about single characters of one page. Its buffers are filled anew by each call."""

    page: Any
    text_page: Any
    page_box: Box
    form: Any = None
    """pdfium's handle of the document's form, if it has one: its fields are drawn with it."""
    _box: Any = field(default_factory=pdfium.FS_RECTF)
    """Left, top, right, bottom."""
    _name: Any = field(default_factory=lambda: ctypes.create_string_buffer(FONT_NAME_BYTES))
    _flags: Any = field(default_factory=ctypes.c_int)
    _color: Any = field(default_factory=lambda: [ctypes.c_uint() for _ in range(4)])
    _matrix: Any = field(default_factory=pdfium.FS_MATRIX)
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
        box = self._box
        pdfium.FPDFText_GetLooseCharBox(self.text_page, index, box)
        left, top, right, bottom = _FOUR_FLOATS(box)  # in half the time that four attributes take
        return left, bottom, right, top

    def baseline(self, index: int) -> float:
        """How far up the page the character stands."""
        x, y = self._origin
        pdfium.FPDFText_GetCharOrigin(self.text_page, index, x, y)
        return float(y.value)

    def origin(self, index: int) -> tuple[float, float]:
        """Where the character stands: how far to the right, and how far up the page."""
        pdfium.FPDFText_GetCharOrigin(self.text_page, index, *self._origin)
        return self._origin[0].value, self._origin[1].value

    def font(self, index: int) -> bytes:
        """The name of its font, its end cut when it is long."""
        pdfium.FPDFText_GetFontInfo(self.text_page, index, self._name, FONT_NAME_BYTES, self._flags)
        return bytes(self._name.value)

    def weight(self, index: int) -> int:
        """How heavy its font is, as pdfium estimates it; 0 or less when it cannot."""
        return int(pdfium.FPDFText_GetFontWeight(self.text_page, index))

    def characters(self, count: int) -> list[tuple[int, str]]:
        """The page's first characters with their indices, `PAGE_CHARACTERS_MAX` at most; surrogates as two."""
        found = ((index, self._character(index)) for index in range(min(count, PAGE_CHARACTERS_MAX)))
        return [(index, character) for index, character in found if character]

    def _character(self, index: int) -> str:
        code = pdfium.FPDFText_GetUnicode(self.text_page, index)
        if not code:
            return ""
        return chr(code) if code <= sys.maxunicode else "\ufffd"

    def is_made_up(self, index: int) -> bool:
        """Whether pdfium put it between two that are on the page, as a blank or a line's end."""
        return bool(pdfium.FPDFText_IsGenerated(self.text_page, index) == 1)

    def drawn(self, index: int) -> Any:
        """The object that draws it; None for none."""
        return pdfium.FPDFText_GetTextObject(self.text_page, index) or None

    def shape(self, index: int) -> tuple[float, float]:
        """How wide and how high its em is drawn, in points."""
        pdfium.FPDFText_GetMatrix(self.text_page, index, self._matrix)
        size = pdfium.FPDFText_GetFontSize(self.text_page, index)
        matrix = self._matrix
        wide = (matrix.a**2 + matrix.b**2) ** 0.5
        area = abs(matrix.a * matrix.d - matrix.b * matrix.c)
        return size * wide, size * (area / wide if wide else 0.0)

    def claims_ink(self, index: int, drawn: Any) -> bool:
        """Whether it is drawn in a mode and a colour that white paper would show."""
        if pdfium.FPDFTextObj_GetTextRenderMode(drawn) in INVISIBLE_MODES:
            return False
        red, green, blue, alpha = self._color
        if not pdfium.FPDFText_GetFillColor(self.text_page, index, red, green, blue, alpha):
            return True
        is_white = red.value >= WHITE_MIN and green.value >= WHITE_MIN and blue.value >= WHITE_MIN
        return bool(alpha.value >= ALPHA_MIN and not is_white)


def _decoded(buffer: Any, written: int) -> str:
    """The first `written` units of UTF-16, without the NUL at their end."""
    return bytes(buffer)[: 2 * written].decode("utf-16-le", "ignore").rstrip("\0")
