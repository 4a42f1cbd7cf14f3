"""Which pages have their picture looked at, since drawing one costs half as much as reading it.

Nearly all: those that are drawn by a moderate number of objects, and the first pages of each document. What is left
are later pages of long documents that draw each letter as an object of its own, as programs for annual reports do.
They are looked at when a sample of their words is drawn so as not to be seen, or when something that can cover words
is among what is drawn last, where a bar that was added to a finished page is.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import pypdfium2.raw as pdfium

from ingest.reading.pdf.glance import Line, is_doubtful
from ingest.reading.pdf.look import Look

OBJECTS_FEW = 600
"""A page of print that draws lines or words as objects has 50 to 500; one that draws letters, 2,000 to 6,000."""
PAGES_FIRST = 48
"""Of each document."""
SAMPLE_CHARACTERS = 40
"""A line is asked about where it begins, and again after so many."""
LAST_OBJECTS = 150
COVER_POINTS_MIN = 4.0
"""Height and width of what can cover words; rules of tables are thinner."""


def is_suspicious(look: Look, lines: Sequence[Line], number: int) -> bool:
    """Whether page `number`, from 0, may have words that are not seen on it."""
    objects = pdfium.FPDFPage_CountObjects(look.page)
    if objects > OBJECTS_FEW and number >= PAGES_FIRST and not _shows_sign(look, lines, objects):
        return False
    return is_doubtful(look, lines)


def _shows_sign(look: Look, lines: Sequence[Line], objects: int) -> bool:
    return (
        any(_may_cover(pdfium.FPDFPage_GetObject(look.page, at)) for at in range(objects - LAST_OBJECTS, objects))
        or any(_is_unseen(look, at) for line in lines for at in _samples(line))
        or _is_annotated(look.page)
    )


def _samples(line: Line) -> range:
    return range(line[0], line[0] + max(1, len(line[1])), SAMPLE_CHARACTERS)


def _is_unseen(look: Look, index: int) -> bool:
    drawn = look.drawn(index)
    return drawn is not None and not look.claims_ink(index, drawn)


def _may_cover(drawn: Any) -> bool:
    """Whether an object is no text, and no thin line."""
    if pdfium.FPDFPageObj_GetType(drawn) == pdfium.FPDF_PAGEOBJ_TEXT:
        return False
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(drawn, left, bottom, right, top)
    return min(right.value - left.value, top.value - bottom.value) >= COVER_POINTS_MIN


def _is_annotated(page: Any) -> bool:
    """Whether it has annotations that may be seen, as links are not."""
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        note = pdfium.FPDFPage_GetAnnot(page, number)
        kind = pdfium.FPDFAnnot_GetSubtype(note)
        pdfium.FPDFPage_CloseAnnot(note)
        if kind != pdfium.FPDF_ANNOT_LINK:
            return True
    return False
