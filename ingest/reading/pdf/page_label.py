"""What a PDF calls its pages: its own labels (iv, A-3), else the two numbers that are printed on a spread."""

import ctypes
import re
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.reading.limits import PAGE_LABEL_CHARACTERS_MAX
from ingest.reading.plain import clean

LABEL_BYTES_MAX = 4_000
LANDSCAPE = 1.2
"""Width in heights, from which a page may be two."""
EDGE = 0.12
"""Of the page's height: where page numbers are printed, above or below."""
EDGE_CHARACTERS_MAX = 1_000
NUMBER = re.compile(r"(?<![\d.,/-])\d{1,4}(?![\d.,/-])")


def label(document: pypdfium2.PdfDocument, number: int) -> str:
    """What the document calls page `number`, from 0; "" when that is its number, from 1, or nothing."""
    size = pdfium.FPDF_GetPageLabel(document.raw, number, None, 0)
    if size <= 2:
        return ""
    size = min(size, LABEL_BYTES_MAX)
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDF_GetPageLabel(document.raw, number, buffer, size)
    words = " ".join(clean(buffer.raw[: size - 2].decode("utf-16-le", "ignore")).split())
    named = words[:PAGE_LABEL_CHARACTERS_MAX].strip()
    return "" if named == str(number + 1) else named


def spread(page: pypdfium2.PdfPage) -> str:
    """The two numbers, a dash between them, that stand at the edges of a wide page's two halves; or ""."""
    left, bottom, right, top = page.get_bbox()
    wide, high = right - left, top - bottom
    if pdfium.FPDFPage_GetRotation(page.raw) % 2:
        return ""
    if wide < LANDSCAPE * high:
        return ""
    middle = (left + right) / 2
    words = page.get_textpage()
    try:
        for low, up in ((bottom, bottom + EDGE * high), (top - EDGE * high, top)):
            halves = [_edge(words.raw, a, low, b, up) for a, b in ((left, middle), (middle, right))]
            if found := _consecutive(*halves):
                return found
    finally:
        words.close()
    return ""


def _edge(words: Any, left: float, bottom: float, right: float, top: float) -> list[str]:
    """The lines within a box."""
    buffer = (ctypes.c_ushort * EDGE_CHARACTERS_MAX)()
    written = pdfium.FPDFText_GetBoundedText(words, left, top, right, bottom, buffer, EDGE_CHARACTERS_MAX)
    return bytes(buffer)[: 2 * max(0, written)].decode("utf-16-le", "ignore").replace("\0", "").splitlines()


def _consecutive(left: list[str], right: list[str]) -> str:
    """The two numbers, if the first begins or ends a line on the left and the next one does on the right."""
    ends = [{int(number) for line in lines for number in _at_ends(line)} for lines in (left, right)]
    pairs = [number for number in ends[0] if number + 1 in ends[1]]
    return f"{pairs[0]}\u2013{pairs[0] + 1}" if len(pairs) == 1 else ""


def _at_ends(line: str) -> list[str]:
    parts = line.split()
    return [part for part in parts[:1] + parts[-1:] if NUMBER.fullmatch(part)]
