"""The PDFs that other tests are built on are what they say they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pypdfium2 as pdfium
import pytest

from tests.support import ROOT, pdfs
from tests.support.sample_documents import DOCUMENTS, write_samples

DATA = ROOT / "data"
INCORRECT_PASSWORD, NO_PDF = 4, 3  # pdfium's error codes


def page_texts(path: Path, password: str | None = None) -> list[str | None]:
    """Text of each page, or None for a page that pdfium cannot load."""
    texts: list[str | None] = []
    with pdfium.PdfDocument(path, password=password) as document:
        for number in range(len(document)):
            try:
                page = document[number]
            except pdfium.PdfiumError:
                texts.append(None)
                continue
            texts.append(" ".join(page.get_textpage().get_text_bounded().split()))
    return texts


def refusal(path: Path) -> int:
    """The code of the error with which pdfium refuses the file."""
    with pytest.raises(pdfium.PdfiumError) as caught:
        pdfium.PdfDocument(path)
    return int(caught.value.err_code)


def test_pages_hold_their_text_and_an_empty_page_holds_none(tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", ["One.\n\nTwo.", ["Drei", "für vier"], ""], title="Counting")
    assert page_texts(path) == ["One. Two.", "Drei für vier", ""]
    with pdfium.PdfDocument(path) as document:
        assert document.get_metadata_value("Title") == "Counting"


def test_a_text_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="page 2 does not fit"):
        pdfs.make_pdf(tmp_path / "a.pdf", ["short", "long " * 5000])


def test_an_encrypted_pdf_opens_with_its_password_only(tmp_path: Path) -> None:
    path = pdfs.encrypted_pdf(tmp_path / "a.pdf", password="open sesame")
    assert refusal(path) == INCORRECT_PASSWORD
    assert page_texts(path, "open sesame") == list(pdfs.DEFAULT_PAGES)


def test_a_pdf_with_an_owners_password_can_be_read(tmp_path: Path) -> None:
    assert page_texts(pdfs.owner_password_pdf(tmp_path / "a.pdf")) == list(pdfs.DEFAULT_PAGES)


@pytest.mark.parametrize("make", [pdfs.empty_file, pdfs.truncated_pdf, pdfs.not_a_pdf, pdfs.zero_page_pdf])
def test_what_is_no_pdf_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    assert refusal(make(tmp_path / "a.pdf")) == NO_PDF


def test_half_a_pdf_has_its_first_pages(tmp_path: Path) -> None:
    texts = page_texts(pdfs.half_read_pdf(tmp_path / "a.pdf"))
    assert len(texts) == 40
    assert str(texts[0]).startswith("This is page 1 of")
    assert texts[-1] is None


def test_a_scanned_pdf_has_pages_and_no_text(tmp_path: Path) -> None:
    assert page_texts(pdfs.scanned_pdf(tmp_path / "a.pdf")) == ["", ""]


def test_a_broken_page_tree_has_pages_that_cannot_be_loaded(tmp_path: Path) -> None:
    assert page_texts(pdfs.broken_page_tree_pdf(tmp_path / "a.pdf")) == [None, None, None]


def test_the_samples_in_data_are_the_ones_that_the_code_writes(tmp_path: Path) -> None:
    """Their text, not their bytes: another zlib may press the same words otherwise."""
    for path in write_samples(tmp_path):
        assert page_texts(DATA / path.name) == page_texts(path)
        assert path.stat().st_size < 40_000


@pytest.mark.parametrize(
    ("filename", "page", "fact"),
    [
        ("harbour-lane-rowing-club-handbook.pdf", 1, "founded in 1931"),
        ("harbour-lane-rowing-club-handbook.pdf", 2, "faster than 120 cubic metres a second, the red flag flies"),
        ("harbour-lane-rowing-club-handbook.pdf", 4, "over 1,250 metres from Tanner's Bridge"),
        ("meridian-400-user-manual.pdf", 3, "18 grams of finely ground coffee in, 36 grams of espresso out"),
        ("meridian-400-user-manual.pdf", 4, "100 grams of citric acid in one litre of water"),
        ("meridian-400-user-manual.pdf", 5, "E3 Pump runs dry Open the steam valve for ten seconds"),
        ("nordlys-station-annual-report-2025.pdf", 1, "Aurora was seen on 117 nights"),
        ("nordlys-station-annual-report-2025.pdf", 2, "broke the western mast at its second joint"),
        (
            "acme-widget-travel-policy.pdf",
            1,
            "premium economy may be booked when a flight is longer than seven hours",
        ),
        ("acme-widget-travel-policy.pdf", 3, "Hand in the report within 30 days of your return"),
    ],
)
def test_a_fact_stands_on_its_page_and_on_no_other(filename: str, page: int, fact: str) -> None:
    found = [
        (document.filename, number)
        for document in DOCUMENTS
        for number, text in enumerate(page_texts(DATA / document.filename), start=1)
        if fact in str(text)
    ]
    assert found == [(filename, page)]
