"""Documents that are not PDFs, through langchain-community's loaders: one for each such row of `app.core.formats`.

A loader opens a path, so it is given a copy in a folder of its own: bytes that were read once, text that is UTF-8.
Such a document has one page, unless form feeds part its pages.
"""

import re
import tempfile
import unicodedata
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from langchain_core.documents import Document

from app.core.formats import MediaType
from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.page import Page
from ingest.reading.plain import clean
from ingest.reading.reasons import FileError, Reason

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it says that it is being sunset; hence one small file
    from langchain_community.document_loaders import BSHTMLLoader, Docx2txtLoader, TextLoader

UNPACKED_BYTES_MAX = 128 * 1024 * 1024
"""Of the parts of a .docx that are read: its XML as a tree takes some times as much memory."""
UNPRINTABLE_SHARE_MAX = 0.05
"""Of a text's characters: with more, it is no text."""
PART_READ = re.compile(r"word/(document|header|footer)")
HEADING_MARK = "\x1f"
"""Set before a heading while the format is known; `clean` removes it."""
MARKED = re.compile(rf"{HEADING_MARK}\s*(\S.*)")
TITLE_CHARACTERS_MAX = 200

BLOCK = re.compile(
    r"(?i)<(?:br|hr|/?(?:p|div|li|ul|ol|dl|dt|dd|tr|table|section|article|header|footer|main|aside|nav|pre|title"
    r"|blockquote|figure|figcaption|h[1-6]))\b(?=[\s/>])"
)
CELL = re.compile(r"(?i)</t[dh]\b")
HTML_HEADING = re.compile(r"(?i)<h[1-6](?:\s[^<>]{0,2000})?>")
CHARSET = re.compile(rb"(?i)<meta[^>]{0,200}charset\s*=\s*[\"']?([a-z0-9_-]{1,40})")
MARKDOWN_HEADING = re.compile(r"^ {0,3}(?=#{1,6} )", re.MULTILINE)
FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document's pages, and what it calls itself, "" when it does not."""

    pages: list[Page]
    title: str


def load(media_type: MediaType, data: bytes) -> Loaded:
    """Read a document of any format but PDF. Raises `FileError`, or nearly anything."""
    prepare, open_with = LOADERS[media_type]
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
        path = Path(folder) / "document"
        path.write_bytes(prepare(data))
        documents = open_with(path)
    text = "\n\n".join(document.page_content for document in documents)
    pages = [_page(part) for part in text.split("\f")]
    return Loaded(pages, _title(documents, pages))


def _page(text: str) -> Page:
    headings = [clean(found).strip() for found in MARKED.findall(text)]
    return Page(
        clean(text[:PAGE_CHARACTERS_MAX])[:PAGE_CHARACTERS_MAX],
        tuple(filter(None, headings)),
        is_cut=len(text) > PAGE_CHARACTERS_MAX,
    )


def _title(documents: list[Document], pages: list[Page]) -> str:
    named = next((str(document.metadata["title"]) for document in documents if document.metadata.get("title")), "")
    first = next((heading for page in pages for heading in page.headings), "")
    title = " ".join(clean(named or first.lstrip("# ")).split())
    return title if len(title) <= TITLE_CHARACTERS_MAX else ""


def _utf8(data: bytes) -> bytes:
    return _decoded(data).encode()


def _marked_markdown(data: bytes) -> bytes:
    """With its headings marked, outside of code."""
    parts = FENCE.split(_decoded(data))  # text, fence, code, fence, text ...
    marked = [MARKDOWN_HEADING.sub(HEADING_MARK, part) if n % 4 == 0 else part for n, part in enumerate(parts)]
    return "".join(marked).encode()


def _marked_html(data: bytes) -> bytes:
    """With headings marked, and a line's end where the page has one: the loader gives the bare text."""
    text = CELL.sub(lambda end: f" {end.group()}", BLOCK.sub(lambda tag: f"\n\n{tag.group()}", _decoded(data)))
    return HTML_HEADING.sub(lambda tag: tag.group() + HEADING_MARK, text).encode()


def _bounded_docx(data: bytes) -> bytes:
    """`data`, when the parts that are read are of a bearable size. One that lies meets the limit on memory."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as parts:
            size = sum(part.file_size for part in parts.infolist() if PART_READ.match(part.filename))
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise FileError(Reason.DAMAGED) from error
    if size > UNPACKED_BYTES_MAX:
        raise FileError(Reason.TOO_LARGE)
    return data


def _decoded(data: bytes) -> str:
    """The text of a file, whose encoding is told by its first bytes, by itself (HTML), or else guessed."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        named = CHARSET.search(data[:4096])
        encodings = ["utf-8-sig", *([named.group(1).decode()] if named else []), "cp1252"]
    for encoding in encodings:
        try:
            return _checked(data.decode(encoding))
        except (UnicodeError, LookupError):
            continue
    return _checked(data.decode("latin-1"))


def _checked(text: str) -> str:
    sample = text[:100_000]
    unprintable = sum(unicodedata.category(character) in ("Cc", "Cn", "Co") for character in sample)
    blanks = sum(sample.count(character) for character in "\t\n\r\f")
    if unprintable - blanks > UNPRINTABLE_SHARE_MAX * len(sample):
        raise FileError(Reason.DAMAGED)
    return text


LOADERS: dict[MediaType, tuple[Callable[[bytes], bytes], Callable[[Path], list[Document]]]] = {
    MediaType.DOCX: (_bounded_docx, lambda path: Docx2txtLoader(path).load()),
    MediaType.HTML: (
        _marked_html,
        lambda path: BSHTMLLoader(path, open_encoding="utf-8", bs_kwargs={"features": "html.parser"}).load(),
    ),
    MediaType.MARKDOWN: (_marked_markdown, lambda path: TextLoader(path, encoding="utf-8").load()),
    MediaType.TEXT: (_utf8, lambda path: TextLoader(path, encoding="utf-8").load()),
}
