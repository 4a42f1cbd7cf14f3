"""The formats that documents come in, a row each: how a file is told, what sentences call it, how it is served.

Uploads, folders, downloads, sentences and the OpenAPI document read this table. A new format is a media type and a
row here, and a loader in `ingest/reading/loaders.py`.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath


class MediaType(StrEnum):
    """What a document is, in HTTP's words. Nothing is ever served as another type than one of these."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Format:
    """A format. `label` is its name in a list; `suffixes` are lower case, with their dot.

    `magic` must stand within a file's first `magic_within_bytes`, and `sign` says so in words; a text has neither.
    Shown inline is what a browser runs nothing of: it is told to save the others. `is_utf8` is how texts are served.
    """

    media_type: MediaType
    label: str
    suffixes: tuple[str, ...]
    magic: bytes = b""
    magic_within_bytes: int = 0
    sign: str = ""
    is_shown_inline: bool = False
    is_utf8: bool = False

    def fits(self, head: bytes) -> bool:
        """Whether a file that begins with `head`, of `HEAD_BYTES` or more when it has them, can be of this format.

        A text is what begins as no other format does.
        """
        if self.magic:
            return self.magic in head[: self.magic_within_bytes]
        return not head.startswith(_MAGICS)


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
        magic=b"PK\x03\x04",
        magic_within_bytes=4,
        sign="a .docx is a zip",
    ),
    Format(MediaType.HTML, ".html", (".html", ".htm"), is_utf8=True),
    Format(MediaType.MARKDOWN, ".md", (".md", ".markdown"), is_shown_inline=True, is_utf8=True),
    Format(MediaType.TEXT, ".txt", (".txt",), is_shown_inline=True, is_utf8=True),
)
FORMATS = {row.media_type: row for row in _ROWS}
"""The table, by media type, in the order in which sentences name them."""
SUFFIXES = {suffix: row for row in _ROWS for suffix in row.suffixes}
HEAD_BYTES = max(row.magic_within_bytes for row in _ROWS)
"""As much of a file's beginning tells its format."""
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
