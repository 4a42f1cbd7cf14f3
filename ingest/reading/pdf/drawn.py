"""The objects of a PDF's page: taken away for a while, and looked through for pictures."""

import ctypes
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pypdfium2.raw as pdfium

OBJECTS_MAX = 20_000
"""Objects of one page that are looked at, lest a page of millions take minutes."""
FORMS_DEEP_MAX = 2
"""Forms within forms: a scan's picture may stand in one within another."""


class Drawn:
    """An object that draws text. Two of the same object are equal."""

    __slots__ = ("_address", "raw")

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._address = ctypes.addressof(raw.contents)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Drawn) and other._address == self._address

    def __hash__(self) -> int:
        return self._address

    @property
    def is_font_missing(self) -> bool:
        """Whether its font is named, and not in the file. A Type 3 font has no name, and its shapes with it."""
        font = pdfium.FPDFTextObj_GetFont(self.raw)
        is_named = pdfium.FPDFFont_GetBaseFontName(font, None, 0) > 1
        return bool(is_named and pdfium.FPDFFont_GetIsEmbedded(font) == 0)


@contextmanager
def without(drawn: Collection[Drawn]) -> Iterator[None]:
    """Have pdfium draw the page without these objects."""
    for one in drawn:
        pdfium.FPDFPageObj_SetIsActive(one.raw, False)
    try:
        yield
    finally:
        for one in drawn:
            pdfium.FPDFPageObj_SetIsActive(one.raw, True)


def largest_picture(page: Any) -> float:
    """The area of the largest picture on a page, in square points, of those that are found soon."""
    largest = 0.0
    for number in range(min(OBJECTS_MAX, pdfium.FPDFPage_CountObjects(page))):
        drawn = pdfium.FPDFPage_GetObject(page, number)
        kind = pdfium.FPDFPageObj_GetType(drawn)
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE or (kind == pdfium.FPDF_PAGEOBJ_FORM and _has_picture(drawn)):
            largest = max(largest, _area(drawn))
    return largest


def texts_in(form: Any, depth: int = 0) -> Iterator[Drawn]:
    """The objects in a form, and in forms in it, that draw text."""
    for number in range(min(OBJECTS_MAX, pdfium.FPDFFormObj_CountObjects(form))):
        drawn = pdfium.FPDFFormObj_GetObject(form, number)
        kind = pdfium.FPDFPageObj_GetType(drawn)
        if kind == pdfium.FPDF_PAGEOBJ_TEXT:
            yield Drawn(drawn)
        elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth <= FORMS_DEEP_MAX:
            yield from texts_in(drawn, depth + 1)


def _has_picture(form: Any) -> bool:
    """Whether a form, as it stands or in a form directly in it, holds a picture."""
    waiting, looked_at = [(form, 1)], 0
    while waiting:
        parent, depth = waiting.pop()
        for number in range(min(OBJECTS_MAX - looked_at, pdfium.FPDFFormObj_CountObjects(parent))):
            looked_at += 1
            drawn = pdfium.FPDFFormObj_GetObject(parent, number)
            kind = pdfium.FPDFPageObj_GetType(drawn)
            if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                return True
            if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < FORMS_DEEP_MAX:
                waiting.append((drawn, depth + 1))
    return False


def _area(drawn: Any) -> float:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(drawn, left, bottom, right, top)
    return max(0.0, right.value - left.value) * max(0.0, top.value - bottom.value)
