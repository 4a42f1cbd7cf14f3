"""Files attached to a PDF, and whether the PDF is no more than their cover (a portfolio)."""

import ctypes
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.reading.limits import FILE_BYTES_MAX

NAME_BYTES_MAX = 2_000


def count(document: pypdfium2.PdfDocument) -> int:
    """How many there are."""
    return max(0, int(pdfium.FPDFDoc_GetAttachmentCount(document.raw)))


def name(document: pypdfium2.PdfDocument, number: int) -> str:
    """What the attachment with this number, from 0, is called, its end cut; "" for nothing."""
    attached = pdfium.FPDFDoc_GetAttachment(document.raw, number)
    size = min(NAME_BYTES_MAX, pdfium.FPDFAttachment_GetName(attached, None, 0)) if attached else 0
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    if size > 2:
        pdfium.FPDFAttachment_GetName(attached, buffer, size)
    return bytes(buffer)[: max(0, size - 2)].decode("utf-16-le", "ignore").rstrip("\0")


def data(document: pypdfium2.PdfDocument, number: int, bytes_max: int = FILE_BYTES_MAX) -> bytes | None:
    """Its bytes, unpacked; None when there are none, or more than `bytes_max`."""
    attached = pdfium.FPDFDoc_GetAttachment(document.raw, number)
    size = ctypes.c_ulong()
    if not attached or not pdfium.FPDFAttachment_GetFile(attached, None, 0, size) or not 0 < size.value <= bytes_max:
        return None
    buffer = ctypes.create_string_buffer(size.value)
    is_read = pdfium.FPDFAttachment_GetFile(attached, buffer, size.value, size)
    return buffer.raw[: size.value] if is_read else None


def is_cover(catalog: Any) -> bool:
    """Whether a document with this catalog, as pypdf has it, shows its attachments in its own pages' place.

    With /View /H the pages are shown, and the list of attachments only when it is asked for (ISO 32000, table 155).
    """
    collection = catalog.get("/Collection")
    shown = collection.get_object() if collection is not None else None
    return isinstance(shown, dict) and shown.get("/View") != "/H"
