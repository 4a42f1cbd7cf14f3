"""The formats that give pages themselves: a loader for each. Its library is imported when it is needed."""

from collections.abc import Callable, Sequence
from functools import partial

from app.core.formats import MediaType
from ingest.reading.encodings import decoded
from ingest.reading.misfits import stated_format
from ingest.reading.page import Page

Paged = tuple[Sequence[Page], str]
"""A document's pages, which may be read when they are asked for, and the title that it gives itself, or ""."""


def _pptx(data: bytes) -> Paged:
    from ingest.reading.office import pptx

    return pptx.read(data)


def _xlsx(data: bytes) -> Paged:
    from ingest.reading.office import xlsx

    return xlsx.read(data)


def _rtf(data: bytes) -> Paged:
    from ingest.reading.office import rtf

    return rtf.read(data)


def _csv(data: bytes) -> Paged:
    from ingest.reading.office import delimited

    return delimited.read(decoded(data))


def _tsv(data: bytes) -> Paged:
    from ingest.reading.office import delimited

    return delimited.read(decoded(data), "\t")


def _epub(data: bytes) -> Paged:
    from ingest.reading.office import epub

    return epub.read(data, _html_page)


def _eml(data: bytes) -> Paged:
    from ingest.reading.office import eml

    return eml.read(data, eml.Readers(_html_page, _attached))


def _html_page(data: bytes) -> tuple[Page, str]:
    """HTML within a document, as one page."""
    from ingest.reading.loaders import load

    loaded = load(MediaType.HTML, data.replace(b"\f", b" "))
    return loaded.pages[0], loaded.title


def _attached(name: str, data: bytes) -> Sequence[Page]:
    """The pages of a file within a document. Raises as `load` does."""
    from ingest.reading.loaders import load
    from ingest.reading.office.lazy import LazyPages
    from ingest.reading.pdf.document import PdfDocument

    stated = stated_format(name, data)
    if stated.media_type is not MediaType.PDF:
        return load(stated.media_type, data).pages
    document = PdfDocument(data)
    return LazyPages([partial(document.page, number) for number in range(document.page_count)])


PAGED: dict[MediaType, Callable[[bytes], Paged]] = {
    MediaType.PPTX: _pptx,
    MediaType.XLSX: _xlsx,
    MediaType.EPUB: _epub,
    MediaType.RTF: _rtf,
    MediaType.CSV: _csv,
    MediaType.TSV: _tsv,
    MediaType.EML: _eml,
}
"""From a file's bytes to its pages. Each raises `FileError`, or nearly anything."""
