"""Documents that are not PDFs: a loader for each such row of `app.core.formats`, from bytes to text and title.

Such a document has one page, unless form feeds part its pages.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.core.formats import MediaType
from ingest.reading import html
from ingest.reading.docx import reader as docx
from ingest.reading.encodings import decoded
from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.markdown import reader as markdown
from ingest.reading.marks import HEADING_MARK, TABLE_HEADER_MARK
from ingest.reading.office.loaders import PAGED
from ingest.reading.page import Page
from ingest.reading.plain import clean

MARKED = {mark: re.compile(rf"{mark}\s*(\S.*)") for mark in (HEADING_MARK, TABLE_HEADER_MARK)}
TITLE_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document's pages, and what it calls itself, "" when it does not."""

    pages: Sequence[Page]
    title: str


def load(media_type: MediaType, data: bytes) -> Loaded:
    """Read a document of any format but PDF. Raises `FileError`, or nearly anything."""
    if media_type in PAGED:
        paged, named = PAGED[media_type](data)
        return Loaded(paged, _title(named, []))
    text, title = LOADERS[media_type](data)
    pages = [_page(part) for part in text.split("\f")]
    return Loaded(pages, _title(title, pages))


def _page(text: str) -> Page:
    return Page(
        clean(text[:PAGE_CHARACTERS_MAX])[:PAGE_CHARACTERS_MAX],
        _marked(text, HEADING_MARK),
        _marked(text, TABLE_HEADER_MARK),
        is_cut=len(text) > PAGE_CHARACTERS_MAX,
    )


def _marked(text: str, mark: str) -> tuple[str, ...]:
    """The lines that a mark is set before, as the page has them."""
    lines = (clean(found).strip() for found in MARKED[mark].findall(text)) if mark in text else ()
    return tuple(filter(None, lines))


def _title(named: str, pages: Sequence[Page]) -> str:
    first = next((heading for page in pages for heading in page.headings), "")
    title = " ".join(clean(named.strip() or first.lstrip("# ")).split())
    return title if len(title) <= TITLE_CHARACTERS_MAX else ""


def _text(data: bytes) -> tuple[str, str]:
    return decoded(data), ""


def _markdown(data: bytes) -> tuple[str, str]:
    return markdown.read(decoded(data))


def _html(data: bytes) -> tuple[str, str]:
    return html.read(decoded(data))


LOADERS: dict[MediaType, Callable[[bytes], tuple[str, str]]] = {
    MediaType.DOCX: docx.read,
    MediaType.HTML: _html,
    MediaType.MARKDOWN: _markdown,
    MediaType.TEXT: _text,
}
"""From a file's bytes to its text, with `ingest.reading.marks` in it, and the title it gives itself, or ""."""
