"""A PDF's page as a PNG, to be shown with a mark on it."""

import struct
import zlib
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium

from ingest.reading.pdf.picture import POINTS_AN_INCH, Picture

WIDTHS = (900, 1_800)
"""In pixels: for a screen, and for a closer look. No others, since a picture is drawn once and kept."""
PIXELS_MAX = 6_000_000
"""Legal paper has 5.5 million at the greater width. What is longer is drawn narrower."""
PACKED = 1
"""zlib's level: its usual one takes several times as long for a fifth less."""
GREY, COLOUR = 0, 2
"""PNG's kinds of pixels."""


def draw(page: Any, width_px: int) -> bytes:
    """The PNG of a pypdfium2 page, with its annotations and its form's fields. Raises ValueError, MemoryError.

    It is `width_px` wide, one of `WIDTHS`, but where the page is so long that it would have too many pixels.
    """
    if width_px not in WIDTHS:
        raise ValueError(f"not one of {WIDTHS}")
    wide = max(1.0, pdfium.FPDF_GetPageWidthF(page.raw))
    form = page.formenv and page.formenv.raw
    dpi = POINTS_AN_INCH * width_px / wide
    return _png(Picture.of(page.raw, dpi, is_grey=False, form=form, pixels_max=PIXELS_MAX))


def _png(picture: Picture) -> bytes:
    pixels = np.frombuffer(picture.pixels, np.uint8, 4 * picture.width * picture.height)
    blue, green, red = (pixels[at::4] for at in range(3))
    is_grey = np.array_equal(blue, green) and np.array_equal(green, red)
    channels = [blue] if is_grey else [red, green, blue]
    rows = np.zeros(
        (picture.height, 1 + len(channels) * picture.width), np.uint8
    )  # each begins with its filter: none
    for at, channel in enumerate(channels):
        rows[:, 1 + at :: len(channels)] = channel.reshape(picture.height, picture.width)
    kind = GREY if is_grey else COLOUR
    header = struct.pack(">2I5B", picture.width, picture.height, 8, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, PACKED)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(name, data) for name, data in parts)


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
