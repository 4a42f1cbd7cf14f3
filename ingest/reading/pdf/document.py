"""A PDF's pages: by pdfium, with a new end when its own is missing, and by pypdf where it refuses or has garbage."""

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.page import Page
from ingest.reading.page_look import Seen, Wish
from ingest.reading.pdf import attachments
from ingest.reading.pdf.garbage import is_garbage
from ingest.reading.pdf.pdfium import PdfiumDocument
from ingest.reading.pdf.rebuild import repaired
from ingest.reading.plain import clean
from ingest.reading.reasons import FileError, Reason

if TYPE_CHECKING:
    from pypdf import PdfReader

ENCRYPT = b"/Encrypt"
"""Stands in the trailer, in plain, of a document that is encrypted."""
SECOND_TRIES_MAX = 5
"""pypdf takes up to a second a page: after so many in a row that it could not read either, it is not asked again."""


class PdfDocument:
    """A PDF in memory. Raises `FileError` when no parser can open it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._second: PdfReader | None = None
        self._second_tries = 0
        self._is_repaired = False
        self._first = self._by_pdfium()
        self.page_count = self._first.page_count if self._first is not None else self._pages_by_pypdf()
        self.attachments = self._first.attachments if self._first is not None else 0
        if self._first is not None and self._first.is_xfa_alone:
            self.close()
            raise FileError(Reason.XFA_FORM)

    def close(self) -> None:
        """Free its memory."""
        if self._first is not None:
            self._first.close()

    def title(self) -> str:
        """What the document calls itself, or "". Never raises."""
        try:
            return self._first.title() if self._first is not None else ""
        except MemoryError:
            raise
        except Exception:  # parsers raise nearly anything; a title is no loss
            return ""

    def page(self, number: int) -> Page:
        """Page `number`, from 0. Never raises, but for want of memory."""
        page = self._page_by_pdfium(number) if self._first is not None else None
        if page is None:
            page = self._page_by_pypdf(number)
        elif page.text is None and self._may_be_read_otherwise(number):
            page = replace(page, text=self._page_by_pypdf(number).text)
        if self._is_repaired and not (page.text or "").strip():
            return Page(None, is_damaged=True)  # its words were in the part that is missing
        return page

    def see(self, wish: Wish) -> Seen | None:
        """The page as it is shown; None when pdfium cannot. Never raises, but for want of memory."""
        if self._first is None:
            return None
        try:
            return self._first.see(wish)
        except MemoryError:
            raise  # ends this child
        except Exception:  # parsers raise nearly anything
            return None

    @property
    def is_cover(self) -> bool:
        """Whether the document is the files attached to it, and its pages only their cover."""
        if not self.attachments or self._is_repaired:
            return False
        try:
            return attachments.is_cover(self._pypdf().root_object)
        except MemoryError:
            raise
        except Exception:  # parsers raise nearly anything; its pages are what there is
            return False

    def attachment_name(self, number: int) -> str:
        """What attachment `number`, from 0, is called, or ""."""
        assert self._first is not None
        return self._first.attachment_name(number)

    def attachment(self, number: int, bytes_max: int) -> bytes | None:
        """The bytes of an attachment; None when they cannot be had, or are more than `bytes_max`."""
        assert self._first is not None
        return self._first.attachment(number, bytes_max)

    def _by_pdfium(self) -> PdfiumDocument | None:
        try:
            return PdfiumDocument(self._data)
        except pypdfium2.PdfiumError as error:
            # pdfium repeats its last error for a document that has no pages
            is_locked = error.err_code == pdfium.FPDF_ERR_PASSWORD and ENCRYPT in self._data
            if is_locked or error.err_code == pdfium.FPDF_ERR_SECURITY:
                raise FileError(Reason.ENCRYPTED) from error
        try:
            document = PdfiumDocument(repaired(self._data))
        except pypdfium2.PdfiumError:
            return None
        self._is_repaired = True
        return document

    def _page_by_pdfium(self, number: int) -> Page | None:
        assert self._first is not None
        try:
            return self._first.page(number)
        except MemoryError:
            raise  # ends this child
        except Exception:  # parsers raise nearly anything
            return None

    def _may_be_read_otherwise(self, number: int) -> bool:
        assert self._first is not None
        try:
            return self._first.may_be_read_otherwise(number)
        except MemoryError:
            raise
        except Exception:  # parsers raise nearly anything
            return False

    def _page_by_pypdf(self, number: int) -> Page:
        if self._is_repaired or self._second_tries >= SECOND_TRIES_MAX:
            return Page(None, is_damaged=True)
        self._second_tries += 1
        try:
            text = self._pypdf().pages[number].extract_text()
        except MemoryError:
            raise
        except Exception:  # parsers raise nearly anything; the page is reported as missing
            return Page(None, is_damaged=True)
        self._second_tries = 0
        if is_garbage(text):
            return Page(None)
        plain = clean(text[:PAGE_CHARACTERS_MAX])[:PAGE_CHARACTERS_MAX]
        return Page(plain if plain.strip() else None, is_cut=len(text) > PAGE_CHARACTERS_MAX)

    def _pages_by_pypdf(self) -> int:
        try:
            return len(self._pypdf().pages)
        except (FileError, MemoryError):
            raise
        except Exception as error:  # parsers raise nearly anything
            raise FileError(Reason.DAMAGED) from error

    def _pypdf(self) -> "PdfReader":
        from pypdf import PdfReader  # takes a tenth of a second, and few documents need it

        if self._second is None:
            self._second = PdfReader(BytesIO(self._data))
            if self._second.is_encrypted and not self._second.decrypt(""):
                raise FileError(Reason.ENCRYPTED)
        return self._second
