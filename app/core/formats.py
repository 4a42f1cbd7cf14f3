"""The formats that documents come in, a row each: how a file is told, what sentences call it, how it is served.

Uploads, folders, downloads, sentences and the OpenAPI document read this table. A new format is a media type and a
row here, and a loader in `ingest/reading/loaders.py`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath


class MediaType(StrEnum):
    """What a document is, in HTTP's words. Nothing is ever served as another type than one of these."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    EPUB = "application/epub+zip"
    RTF = "application/rtf"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    EML = "message/rfc822"


@dataclass(frozen=True, slots=True)
class Format:
    """A format. `label` is its name in a list; `suffixes` are lower case, with their dot.

    `magic` must stand within a file's first `magic_within_bytes`, and `sign` says so in words; a text has neither.
    `part` is how the name of a file within begins, of those that are zips: it tells them from one another.
    Shown inline is what a browser runs nothing of: it is told to save the others. `is_utf8` is how texts are served.
    """

    media_type: MediaType
    label: str
    suffixes: tuple[str, ...]
    magic: bytes = b""
    magic_within_bytes: int = 0
    sign: str = ""
    part: bytes = b""
    is_shown_inline: bool = False
    is_utf8: bool = False

    def fits(self, head: bytes) -> bool:
        """Whether a file that begins with `head`, of `HEAD_BYTES` or more when it has them, can be of this format.

        A text is what begins as no other format does.
        """
        if self.magic:
            return self.magic in head[: self.magic_within_bytes]
        return not head.startswith(_MAGICS)

    def lists_part(self, data: bytes) -> bool:
        """Whether a zip's directory that stands in `data` names `part`; it may be a piece of the file.

        Pieces that share `PART_BYTES` miss none.
        """
        return not self.part or re.search(_ENTRY + re.escape(self.part), data) is not None


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How files of an Office before 2007 begin, and those of a later one that have a password."""
ZIP = b"PK\x03\x04"
_ENTRY = rb"PK\x01\x02[\s\S]{42}"
"""An entry of a zip's directory as far as the file's name (APPNOTE.TXT 4.3.12)."""

_ROWS = (
    Format(
        MediaType.PDF,
        "PDF",
        (".pdf",),
        magic=b"%PDF-",
        magic_within_bytes=1024,  # readers accept it that late (PDF Reference 1.7, appendix H, note 13)
        sign="a PDF has %PDF- in its first 1,024 bytes",
        is_shown_inline=True,
    ),
    Format(
        MediaType.DOCX,
        ".docx",
        (".docx",),
        magic=ZIP,
        magic_within_bytes=len(ZIP),
        sign="a .docx is a zip with word/ in it",
        part=b"word/",
    ),
    Format(
        MediaType.PPTX,
        ".pptx",
        (".pptx",),
        magic=ZIP,
        magic_within_bytes=len(ZIP),
        sign="a .pptx is one with ppt/",
        part=b"ppt/",
    ),
    Format(
        MediaType.XLSX,
        ".xlsx",
        (".xlsx",),
        magic=ZIP,
        magic_within_bytes=len(ZIP),
        sign="an .xlsx is one with xl/",
        part=b"xl/",
    ),
    Format(
        MediaType.EPUB,
        ".epub",
        (".epub",),
        magic=ZIP,
        magic_within_bytes=len(ZIP),
        sign="an .epub is one with META-INF/container.xml",
        part=b"META-INF/container.xml",
    ),
    Format(
        MediaType.RTF,
        ".rtf",
        (".rtf",),
        magic=b"{\\rtf",
        magic_within_bytes=5,
        sign="an .rtf begins with {\\rtf",
    ),
    Format(MediaType.HTML, ".html", (".html", ".htm"), is_utf8=True),
    Format(MediaType.MARKDOWN, ".md", (".md", ".markdown"), is_shown_inline=True, is_utf8=True),
    Format(MediaType.TEXT, ".txt", (".txt",), is_shown_inline=True, is_utf8=True),
    Format(MediaType.CSV, ".csv", (".csv",), is_utf8=True),
    Format(MediaType.TSV, ".tsv", (".tsv",), is_utf8=True),
    Format(MediaType.EML, ".eml", (".eml",), is_utf8=True),
)
FORMATS = {row.media_type: row for row in _ROWS}
"""The table, by media type, in the order in which sentences name them."""
SUFFIXES = {suffix: row for row in _ROWS for suffix in row.suffixes}
HEAD_BYTES = max(row.magic_within_bytes for row in _ROWS)
"""As much of a file's beginning tells its format."""
PART_BYTES = 46 + max(len(row.part) for row in _ROWS)
"""Of a zip's directory: an entry as far as it tells the format."""
LABELS = " or ".join((", ".join(row.label for row in _ROWS[:-1]), _ROWS[-1].label))
"""All formats, as a sentence has them: "PDF, .docx, ... or .txt"."""
SIGNS = ", ".join(row.sign for row in _ROWS if row.magic)
"""What the bytes of those that are no texts must show, as a sentence has it."""
_MAGICS = tuple(row.magic for row in _ROWS if row.magic)


def by_name(name: str) -> Format | None:
    """The format that a file's name stands for, by its suffix; None when it says nothing of any that is read."""
    return SUFFIXES.get(PurePath(name).suffix.lower())


def by_name_or_pdf(name: str) -> Format:
    """The same where every name is taken: one that says nothing stands for a PDF."""
    return by_name(name) or FORMATS[MediaType.PDF]
