"""Documents that are not PDFs: a loader for each such row of `app.core.formats`, from bytes to text and title.

Such a document has one page, unless form feeds part its pages.
"""

import re
import tempfile
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.formats import MediaType
from ingest.reading import docx, html, markdown
from ingest.reading.html import HEADING_MARK
from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.office.loaders import PAGED
from ingest.reading.page import Page
from ingest.reading.plain import clean
from ingest.reading.reasons import FileError, Reason

UNPRINTABLE_SHARE_MAX = 0.05
"""Of a text's characters: with more, it is no text."""
MARKED = re.compile(rf"{HEADING_MARK}\s*(\S.*)")
TITLE_CHARACTERS_MAX = 200

CHARSET = re.compile(rb"(?i)<meta[^>]{0,200}charset\s*=\s*[\"']?([a-z0-9_-]{1,40})")
LINE_END = re.compile(r"\r\n?")


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
    headings = [clean(found).strip() for found in MARKED.findall(text)]
    return Page(
        clean(text[:PAGE_CHARACTERS_MAX])[:PAGE_CHARACTERS_MAX],
        tuple(filter(None, headings)),
        is_cut=len(text) > PAGE_CHARACTERS_MAX,
    )


def _title(named: str, pages: Sequence[Page]) -> str:
    first = next((heading for page in pages for heading in page.headings), "")
    title = " ".join(clean(named.strip() or first.lstrip("# ")).split())
    return title if len(title) <= TITLE_CHARACTERS_MAX else ""


def _text(data: bytes) -> tuple[str, str]:
    return _decoded(data), ""


def _markdown(data: bytes) -> tuple[str, str]:
    return markdown.read(_decoded(data)), ""


def _html(data: bytes) -> tuple[str, str]:
    return html.read(_decoded(data))


def _docx(data: bytes) -> tuple[str, str]:
    """By langchain-community's loader. It opens a path, so it is given a copy in a folder of its own."""
    shown = docx.without_hidden(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it says that it is being sunset; hence only here
        from langchain_community.document_loaders import Docx2txtLoader  # takes half a second
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
        path = Path(folder) / "document"
        path.write_bytes(shown)
        documents = Docx2txtLoader(path).load()
    return "\n\n".join(document.page_content for document in documents), ""


def _decoded(data: bytes) -> str:
    """The text of a file, lines ended by a newline. Its first bytes tell its encoding, or HTML does, or a guess."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        named = CHARSET.search(data[:4096])
        encodings = ["utf-8-sig", *([named.group(1).decode()] if named else []), "cp1252"]
    for encoding in encodings:
        try:
            return LINE_END.sub("\n", _checked(data.decode(encoding)))
        except (UnicodeError, LookupError):
            continue
    return LINE_END.sub("\n", _checked(data.decode("latin-1")))


def _checked(text: str) -> str:
    sample = text[:100_000]
    unprintable = sum(unicodedata.category(character) in ("Cc", "Cn", "Co") for character in sample)
    blanks = sum(sample.count(character) for character in "\t\n\r\f")
    if unprintable - blanks > UNPRINTABLE_SHARE_MAX * len(sample):
        raise FileError(Reason.DAMAGED)
    return text


LOADERS: dict[MediaType, Callable[[bytes], tuple[str, str]]] = {
    MediaType.DOCX: _docx,
    MediaType.HTML: _html,
    MediaType.MARKDOWN: _markdown,
    MediaType.TEXT: _text,
}
"""From a file's bytes to its text, in which a mark precedes each heading, and the title it gives itself, or ""."""
