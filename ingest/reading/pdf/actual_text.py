"""Words in a PDF that replace what its page shows (ActualText), put aside for the page's own.

Honest files use it where glyphs do not tell their letters, and there it stays. Elsewhere it is a second text, which
nobody sees.
"""

import ctypes
from collections.abc import Iterable, Iterator
from typing import Any

import pypdfium2.raw as pdfium

from ingest.reading.pdf.drawn import Drawn
from ingest.reading.pdf.look import Look

KEY = b"ActualText"


def put_aside(look: Look, characters: Iterable[int]) -> list[tuple[Drawn, bytes]]:
    """Take it from the objects that draw these characters. The page has to be read anew, if it was there.

    Gives each object that had some, and what that was, in UTF-16.
    """
    found: list[tuple[Drawn, bytes]] = []
    for drawn in {Drawn(raw) for index in characters if (raw := look.drawn(index)) is not None}:
        for mark in list(_marks(drawn.raw)):
            if pdfium.FPDFPageObjMark_GetParamValueType(mark, KEY) == pdfium.FPDF_OBJECT_STRING:
                found.append((drawn, _value(mark)))
                pdfium.FPDFPageObj_RemoveMark(drawn.raw, mark)
    return found


def put_back(document: Any, look: Look, found: list[tuple[Drawn, bytes]]) -> bool:
    """Give it back to the objects whose own glyphs tell no letter. Says whether there were any."""
    mute = [(drawn, text) for drawn, text in found if not any(map(str.isalnum, _own_text(look, drawn)))]
    for drawn, text in mute:
        mark = pdfium.FPDFPageObj_AddMark(drawn.raw, b"Span")
        value = b"\xfe\xff" + text.decode("utf-16-le", "ignore").encode("utf-16-be")
        data = (ctypes.c_ubyte * len(value)).from_buffer_copy(value)
        pdfium.FPDFPageObjMark_SetBlobParam(document, drawn.raw, mark, KEY, data, len(value))
    return bool(mute)


def _marks(drawn: Any) -> Iterator[Any]:
    for number in range(max(0, pdfium.FPDFPageObj_CountMarks(drawn))):
        yield pdfium.FPDFPageObj_GetMark(drawn, number)


def _value(mark: Any) -> bytes:
    """Without the NUL at its end."""
    size = ctypes.c_ulong()
    pdfium.FPDFPageObjMark_GetParamStringValue(mark, KEY, None, 0, size)
    buffer = (ctypes.c_ushort * (size.value // 2 + 1))()
    pdfium.FPDFPageObjMark_GetParamStringValue(mark, KEY, buffer, size.value, size)
    return bytes(buffer)[: max(0, size.value - 2)]


def _own_text(look: Look, drawn: Drawn) -> str:
    size = pdfium.FPDFTextObj_GetText(drawn.raw, look.text_page, None, 0)
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    pdfium.FPDFTextObj_GetText(drawn.raw, look.text_page, buffer, size)
    return bytes(buffer)[:size].decode("utf-16-le", "ignore")
