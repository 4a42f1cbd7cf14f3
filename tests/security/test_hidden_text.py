"""A hostile document: words on its pages that no reader sees, meant for the index or the model behind it."""

import pytest

from ingest.reading.pdf.document import PdfDocument
from tests.security.hidden_pdfs import LOOKS_ALIKE, MARK, SHOWN, WAYS


def _read(data: bytes) -> str:
    document = PdfDocument(data)
    try:
        return document.page(0).text or ""
    finally:
        document.close()


@pytest.mark.parametrize("way", WAYS)
def test_words_that_are_hidden_on_a_pdf_s_page_are_not_read(way: str) -> None:
    text = _read(WAYS[way]().pdf())
    assert SHOWN in text
    assert MARK.casefold() not in text.casefold()


@pytest.mark.parametrize("way", LOOKS_ALIKE)
def test_words_that_only_look_hidden_are_read(way: str) -> None:
    text = _read(LOOKS_ALIKE[way]().pdf())
    assert SHOWN in text
    assert MARK in text


def test_a_bar_over_a_name_leaves_the_rest_of_its_line() -> None:
    assert _read(WAYS["a bar on part of a line"]().pdf()).split() == [f"{SHOWN}:", "Smith"]
