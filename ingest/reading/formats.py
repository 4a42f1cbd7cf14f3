"""The formats that are read, by a file's name and by how its bytes begin."""

from enum import StrEnum
from pathlib import PurePath


class Kind(StrEnum):
    """A format."""

    PDF = "pdf"
    DOCX = "docx"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"


SUFFIXES = {
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
}
PDF_MAGIC = b"%PDF-"
PDF_MAGIC_WITHIN_BYTES = 1024
"""Readers accept the magic that late (PDF Reference 1.7, appendix H, note 13)."""
ZIP_MAGIC = b"PK\x03\x04"


def is_read(name: str) -> bool:
    """Whether a file of this name is looked for in folders."""
    return PurePath(name).suffix.lower() in SUFFIXES


def kind_of(name: str, data: bytes) -> Kind | None:
    """The format of a file; None when it is not what its name says, or none that is read.

    A name that says nothing stands for a PDF.
    """
    kind = SUFFIXES.get(PurePath(name).suffix.lower(), Kind.PDF)
    if kind is Kind.PDF:
        return kind if PDF_MAGIC in data[:PDF_MAGIC_WITHIN_BYTES] else None
    if kind is Kind.DOCX:
        return kind if data.startswith(ZIP_MAGIC) else None
    return kind
