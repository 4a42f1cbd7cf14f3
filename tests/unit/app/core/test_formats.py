"""The table of formats: how a file is told by its name and its first bytes."""

import re

import pytest

from app.core.formats import FORMATS, HEAD_BYTES, LABELS, SIGNS, SUFFIXES, Format, MediaType, by_name, by_name_or_pdf


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("a.PDF", b"%PDF-1.7", MediaType.PDF),
        ("a", b"\n\n%PDF-1.7", MediaType.PDF),
        ("a.pdf", b"Dear reader", None),
        ("a.docx", b"PK\x03\x04", MediaType.DOCX),
        ("a.docx", b"\xd0\xcf\x11\xe0", None),
        ("a.htm", b"", MediaType.HTML),
        ("a.md", b"", MediaType.MARKDOWN),
        ("a.xls", b"PK\x03\x04", None),
    ],
)
def test_a_file_is_what_its_name_and_its_first_bytes_say(
    name: str, data: bytes, media_type: MediaType | None
) -> None:
    stated = by_name_or_pdf(name)
    assert (stated.media_type if stated.fits(data) else None) is media_type


@pytest.mark.parametrize("name", ["a", "pdf", ".pdf", "a.xls", "a.pdf.exe", "a.pdf ", "", "木"])
def test_a_name_that_says_nothing_is_of_no_format_and_stands_for_a_pdf_where_all_names_are_taken(name: str) -> None:
    assert by_name(name) is None
    assert by_name_or_pdf(name) is FORMATS[MediaType.PDF]


def test_every_media_type_has_one_row_and_every_suffix_one_format() -> None:
    assert set(FORMATS) == set(MediaType)
    assert all(row.media_type is media_type for media_type, row in FORMATS.items())
    assert len(SUFFIXES) == sum(len(row.suffixes) for row in FORMATS.values())
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)


@pytest.mark.parametrize("row", FORMATS.values(), ids=lambda row: row.label)
def test_every_row_is_told_by_its_bytes_or_is_a_text(row: Format) -> None:
    """A row with neither would take anything; one with both would never be told from a text."""
    assert bool(row.magic) is not row.is_utf8
    assert bool(row.magic) is bool(row.sign)
    assert len(row.magic) <= row.magic_within_bytes <= HEAD_BYTES if row.magic else row.magic_within_bytes == 0


def test_no_text_begins_as_another_format_does() -> None:
    for row in FORMATS.values():
        fits = [text.label for text in FORMATS.values() if not text.magic and row.magic and text.fits(row.magic)]
        assert fits == []


def test_sentences_name_every_format() -> None:
    assert re.split(", | or ", LABELS) == [row.label for row in FORMATS.values()]
    assert LABELS.startswith("PDF, .docx, ")
    assert SIGNS.startswith("a PDF has %PDF- in its first 1,024 bytes, a .docx is a zip")
