"""What belongs to a PDF's page beside its content: what it is called, and what its fields and notes say."""

from dataclasses import replace
from typing import Any

import pypdfium2

from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.page import Page
from ingest.reading.pdf.annotations import AnnotationReader, has_any
from ingest.reading.pdf.page_label import label, spread
from ingest.reading.pdf.statements import statements, with_statements


class Beside:
    """Of one document. Costs next to nothing on a page that has no annotations."""

    def __init__(self, data: bytes, document: pypdfium2.PdfDocument) -> None:
        self._document = document
        self._annotations = AnnotationReader(data)
        self._has_notes = False
        self._spread = ""

    def close(self) -> None:
        """Free its memory."""
        self._annotations.close()

    def glance(self, page: Any, number: int) -> None:
        """Keep what is to be known of a page while it is open. The next call of `added` is about it."""
        self._has_notes = has_any(page.raw)
        self._spread = spread(page)

    def added(self, number: int, page: Page) -> Page:
        """A page as its content gave it, with its label and what its annotations say."""
        page = replace(page, label=label(self._document, number) or self._spread)
        return self._with_notes(number, page) if self._has_notes else page

    def _with_notes(self, number: int, page: Page) -> Page:
        try:
            notes = self._annotations.seen(number)
        except MemoryError:
            raise  # ends this child
        except Exception:  # pypdfium2 raises for a page that the copy does not load, as it may be damaged
            return page
        text, gone = with_statements(page.text or "", statements(notes, page.text or ""))
        if not text.strip():
            return page
        return replace(
            page,
            text=text[:PAGE_CHARACTERS_MAX],
            headings=tuple(line for line in page.headings if line not in gone),
            table_headers=tuple(line for line in page.table_headers if line not in gone),
            is_cut=page.is_cut or len(text) > PAGE_CHARACTERS_MAX,
        )
