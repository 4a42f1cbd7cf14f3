"""Which pages have their picture looked at, since drawing one costs half as much as reading it.

Nearly all: those that are drawn by a moderate number of objects, up to a book's length, and the first pages of each
document. What is left are later pages of long documents, most of which draw each letter as an object of its own. They
are looked at when a sample of their words is drawn so as not to be seen, is on a layer or replaced, or when something
that can cover words is among what is drawn last, where a bar that was added to a finished page is.
"""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import pypdfium2.raw as pdfium

from ingest.reading.pdf.glance import Line, doubtful
from ingest.reading.pdf.look import Box, Look

OBJECTS_FEW = 600
"""A page of print that draws lines or words as objects has 50 to 500; one that draws letters, 2,000 to 6,000."""
PAGES_FIRST = 4
"""Of each document, all of which are looked at ..."""
PAGES_FEW = 48
"""... or so many that few objects draw."""
SAMPLE_CHARACTERS = 40
"""A line is asked about where it begins, and again after so many."""
LAST_OBJECTS = 100
"""Of a page, or all of few."""
NOTES_MAX = 2_000
"""Annotations of a page; those beyond are not read either."""
COVER_POINTS_MIN = 4.0
"""Height and width of what can cover words; rules of tables are thinner."""


def suspicious(look: Look, lines: Sequence[Line], number: int) -> list[range]:
    """The characters of page `number`, from 0, that may not be seen on it, by their indices."""
    covered = list(_covered(look, lines))
    objects = pdfium.FPDFPage_CountObjects(look.page)
    is_few = objects <= OBJECTS_FEW
    if number >= (PAGES_FEW if is_few else PAGES_FIRST) and not _shows_sign(look, lines, objects):
        return covered
    return doubtful(look, lines) + covered


def _shows_sign(look: Look, lines: Sequence[Line], objects: int) -> bool:
    last = range(0 if objects <= OBJECTS_FEW else objects - LAST_OBJECTS, objects)
    return (
        any(_may_cover(pdfium.FPDFPage_GetObject(look.page, at)) for at in last)
        or any(_is_unseen(look, at) for line in lines for at in _samples(line))
        or any(_notes(look.page))
    )


def _samples(line: Line) -> range:
    return range(line[0], line[0] + max(1, len(line[1])), SAMPLE_CHARACTERS)


def _is_unseen(look: Look, index: int) -> bool:
    drawn = look.drawn(index)
    return drawn is not None and (not look.claims_ink(index, drawn) or _is_marked(drawn))


def _is_marked(drawn: Any) -> bool:
    """Whether it is on a layer, or other words replace it."""
    for number in range(pdfium.FPDFPageObj_CountMarks(drawn)):
        mark = pdfium.FPDFPageObj_GetMark(drawn, number)
        name, size = (ctypes.c_ushort * 8)(), ctypes.c_ulong()
        pdfium.FPDFPageObjMark_GetName(mark, name, 16, size)
        if bytes(name[:2]) == b"OC" or pdfium.FPDFPageObjMark_GetParamValueType(mark, b"ActualText"):
            return True
    return False


def _may_cover(drawn: Any) -> bool:
    """Whether an object is no text, and no thin line."""
    if pdfium.FPDFPageObj_GetType(drawn) == pdfium.FPDF_PAGEOBJ_TEXT:
        return False
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(drawn, left, bottom, right, top)
    return min(right.value - left.value, top.value - bottom.value) >= COVER_POINTS_MIN


def _covered(look: Look, lines: Sequence[Line]) -> Iterator[range]:
    """The lines on which a field or a note stands: what these draw may be words of their own, over the page's."""
    notes = list(_notes(look.page))
    for first, text, box in lines if notes else ():
        last = look.box(first + len(text) - 1)
        left, right = min(box[0], last[0]), max(box[2], last[2])
        if any(left < n[2] and n[0] < right and box[1] < n[3] and n[1] < box[3] for n in notes):
            yield range(first, first + len(text))


def _notes(page: Any) -> Iterator[Box]:
    """Where its annotations stand that may be seen, as links are not."""
    for number in range(min(NOTES_MAX, pdfium.FPDFPage_GetAnnotCount(page))):
        note, rect = pdfium.FPDFPage_GetAnnot(page, number), pdfium.FS_RECTF()
        kind = pdfium.FPDFAnnot_GetSubtype(note)
        pdfium.FPDFAnnot_GetRect(note, rect)
        pdfium.FPDFPage_CloseAnnot(note)
        if kind != pdfium.FPDF_ANNOT_LINK:
            yield rect.left, rect.bottom, rect.right, rect.top
