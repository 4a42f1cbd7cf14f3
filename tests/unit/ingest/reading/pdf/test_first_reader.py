"""Sound pages are read by pdfium: a mistake of ours there must not hide behind the slow second reader."""

from pathlib import Path

import pytest

from ingest.reading.pdf.pdfium import PdfiumDocument
from tests.support import ROOT


@pytest.mark.parametrize("path", sorted((ROOT / "data").glob("*.pdf")), ids=lambda path: path.stem)
def test_every_page_of_the_samples_is_read_by_pdfium(path: Path) -> None:
    document = PdfiumDocument(path.read_bytes())
    try:
        pages = [document.page(number) for number in range(document.page_count)]
    finally:
        document.close()
    assert all(page.text and page.text.strip() for page in pages)
