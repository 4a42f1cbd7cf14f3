"""Whether another parser may read a page whose text pdfium cannot tell: it sees all words, so none may be hidden."""

import ctypes
from collections.abc import Iterator

import pypdfium2.raw as pdfium

from ingest.reading.pdf.drawn import OBJECTS_MAX, Drawn, texts_in, without
from ingest.reading.pdf.look import Box, Look
from ingest.reading.pdf.picture import Picture


def is_all_seen(look: Look, count: int) -> bool:
    """Whether the page has text, and each of its characters and of the objects that draw them leaves ink."""
    objects = list(_texts(look))
    if not objects or pdfium.FPDFPage_CountObjects(look.page) > OBJECTS_MAX:
        return False
    from ingest.reading.pdf.ink import Ink  # numpy takes a tenth of a second, and few documents need it
    from ingest.reading.pdf.visible import ANY_INK, DPI, visible

    characters = [one for one in look.characters(count) if not one[1].isspace()]
    if len(visible(look, characters, [range(count)])) < len(characters):
        return False
    shown = Picture.of(look.page, DPI, is_grey=False, form=look.form)
    with without([drawn for drawn, _ in objects]):
        ink = Ink.between(shown, Picture.of(look.page, DPI, is_grey=False, form=look.form))
    return all(share >= ANY_INK for share in ink.shares(shown, [box for _, box in objects]))


def _texts(look: Look) -> Iterator[tuple[Drawn, Box]]:
    """What draws text, with where it stands; a form with text in it whole. Not blanks."""
    for number in range(min(OBJECTS_MAX, pdfium.FPDFPage_CountObjects(look.page))):
        drawn = pdfium.FPDFPage_GetObject(look.page, number)
        kind = pdfium.FPDFPageObj_GetType(drawn)
        is_form = kind == pdfium.FPDF_PAGEOBJ_FORM
        if kind != pdfium.FPDF_PAGEOBJ_TEXT and not (is_form and any(True for _ in texts_in(drawn))):
            continue
        left, bottom, right, top = (ctypes.c_float() for _ in range(4))
        pdfium.FPDFPageObj_GetBounds(drawn, left, bottom, right, top)
        if right.value > left.value and top.value > bottom.value:
            yield Drawn(drawn), (left.value, bottom.value, right.value, top.value)
