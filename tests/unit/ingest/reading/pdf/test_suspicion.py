"""Which pages have their picture looked at."""

from pathlib import Path

import pytest

from ingest.reading.pdf.pdfium import PdfiumDocument
from ingest.reading.pdf.suspicion import OBJECTS_FEW, PAGES_FIRST
from tests.support import pdfs

LETTERS = b"".join(
    b"BT /F 10 Tf %d %d Td (a) Tj ET " % (50 + 8 * (at % 50), 500 - 14 * (at // 50)) for at in range(900)
)
"""A page that draws each letter as an object of its own."""
NAME = b"BT /F 12 Tf 50 600 Td (Zanzibar) Tj ET "
BAR = b"40 590 100 30 re f "


def _text(path: Path, number: int) -> str:
    document = PdfiumDocument(path.read_bytes())
    document._document = [document._document[0]] * (number + 1)  # the same page, as one far into a document
    return document.page(number).text or ""


@pytest.mark.parametrize("number", [0, PAGES_FIRST, 100])
@pytest.mark.parametrize(
    "content", [NAME + LETTERS + BAR, b"1 g " + NAME + b"0 g " + LETTERS, b"3 Tr " + NAME + b"0 Tr " + LETTERS]
)
def test_a_name_is_not_read_under_a_bar_or_in_white_however_many_objects_draw_the_page(
    tmp_path: Path, content: bytes, number: int
) -> None:
    assert content.count(b"BT") > OBJECTS_FEW
    text = _text(pdfs.raw_page_pdf(tmp_path / "a.pdf", content), number)
    assert "aaaa" in text.replace(" ", "")
    assert "Zanzibar" not in text


@pytest.mark.parametrize("number", [0, 100])
def test_a_page_without_a_sign_is_read_whole(tmp_path: Path, number: int) -> None:
    assert "Zanzibar" in _text(pdfs.raw_page_pdf(tmp_path / "a.pdf", NAME + LETTERS), number)
