"""A page drawn small, to see what a reader of the page would see."""

import ctypes
from dataclasses import dataclass
from typing import Any, Self

import pypdfium2.raw as pdfium

from ingest.reading.pdf.look import Box

POINTS_AN_INCH = 72
PIXELS_MAX = 3_000_000
"""Of one picture: A3 at 108 dpi has 2.3 million. A larger page is drawn smaller, lest its size take all memory."""
WHITE = 0xFFFFFFFF
PixelBox = tuple[int, int, int, int]
"""The first column and row, and those behind the last, counted from the picture's upper left corner."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A page's pixels, row by row, each of `channels` bytes: grey, or blue, green, red and one without meaning.

    `across` and `down` are factors of x, y and 1, in points, that give a pixel's column and row.
    """

    pixels: bytes
    width: int
    height: int
    channels: int
    across: tuple[float, float, float]
    down: tuple[float, float, float]

    @classmethod
    def of(cls, page: Any, dpi: float, *, is_grey: bool, form: Any = None, pixels_max: int = PIXELS_MAX) -> Self:
        """Draw a pdfium page as it is shown on a screen, with its annotations and `form`'s. Raises MemoryError."""
        wide, high = pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)
        scale = min(dpi / POINTS_AN_INCH, (pixels_max / max(1.0, wide * high)) ** 0.5)
        width = max(1, min(pixels_max, round(wide * scale)))
        height = max(1, min(pixels_max // width, round(high * scale)))
        pixels = _drawn(page, form, width, height, is_grey=is_grey)
        return cls(pixels, width, height, 1 if is_grey else 4, *places(page, width, height))

    def place(self, box: Box) -> PixelBox:
        """The pixels that `box` covers, also in part, as far as they are in the picture."""
        (a, b, c), (d, e, f) = self.across, self.down
        x = (a * box[0] + b * box[1] + c, a * box[2] + b * box[3] + c)
        y = (d * box[0] + e * box[1] + f, d * box[2] + e * box[3] + f)
        left, right = (x[0], x[1]) if x[0] <= x[1] else (x[1], x[0])
        top, bottom = (y[0], y[1]) if y[0] <= y[1] else (y[1], y[0])
        return (
            _within(left, self.width),
            _within(top, self.height),
            _within(right + 0.999, self.width),
            _within(bottom + 0.999, self.height),
        )


def _within(at: float, end: int) -> int:
    return min(end, max(0, int(at))) if -1e9 < at < 1e9 else 0


def _drawn(page: Any, form: Any, width: int, height: int, *, is_grey: bool) -> bytes:
    kind = pdfium.FPDFBitmap_Gray if is_grey else pdfium.FPDFBitmap_BGRx
    stride = width if is_grey else 4 * width
    buffer = ctypes.create_string_buffer(stride * height)
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, kind, buffer, stride)
    if not bitmap:
        raise MemoryError
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, WHITE)
        flags = pdfium.FPDF_ANNOT | (pdfium.FPDF_GRAYSCALE if is_grey else 0)
        pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, flags)
        if form is not None:
            pdfium.FPDF_FFLDraw(form, bitmap, page, 0, 0, width, height, 0, flags)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return buffer.raw


def places(page: Any, width: float, height: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """From points on the page to its picture's: how far across, and how far down, as factors of x, y and 1."""
    big = 1000  # pdfium gives whole pixels, so it is asked for those of a picture so many times larger
    corners = []
    for x, y in ((0, 0), (big, 0), (0, big)):
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, round(width * big), round(height * big), 0, x, y, across, down)
        corners.append((across.value / big, down.value / big))
    (x0, y0), (x1, y1), (x2, y2) = corners
    return ((x1 - x0) / big, (x2 - x0) / big, x0), ((y1 - y0) / big, (y2 - y0) / big, y0)
