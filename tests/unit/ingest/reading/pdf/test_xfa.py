"""XFA forms: one whose page only says to wait is refused, one whose pages are there is read."""

import pytest

from ingest.reading.pdf.document import PdfDocument
from ingest.reading.reasons import SENTENCES, FileError, Reason
from tests.security.hidden_pdfs import stream, text
from tests.support.form_pdfs import Annotated, field, words

WAIT = text("Please wait...", y=700) + text("Your PDF viewer may not be able to display it. Get Adobe Reader.", y=680)
XFA = "/XFA[(template) 8 0 R]"
TEMPLATE = (stream(b"<template/>"),)
PLATE = (field("/Tx", "plate", 600, more="/V(QX 77)"), words("QX 77"))


@pytest.mark.parametrize("needs", ["", "/NeedsRendering true"])
def test_a_page_that_only_says_to_wait_is_not_the_document(needs: str) -> None:
    with pytest.raises(FileError) as caught:
        PdfDocument(Annotated(WAIT, (), XFA.replace("8", "6"), needs, TEMPLATE).pdf())
    assert caught.value.reason is Reason.XFA_FORM
    assert "print it" in SENTENCES[Reason.XFA_FORM]


def test_a_page_in_any_words_is_not_the_form_that_is_to_be_drawn() -> None:
    page = Annotated(text("Bitte warten."), (), XFA.replace("8", "6"), "/NeedsRendering true", TEMPLATE)
    with pytest.raises(FileError) as caught:
        PdfDocument(page.pdf())
    assert caught.value.reason is Reason.XFA_FORM


@pytest.mark.parametrize("needs", ["", "/NeedsRendering true"])
def test_a_static_form_has_its_words_on_its_pages(needs: str) -> None:
    page = Annotated(text("Permit", y=700) + text("Plate:", x=60, y=605), (PLATE,), XFA, needs, TEMPLATE)
    assert PdfDocument(page.pdf()).page(0).text == "Permit\nPlate: QX 77"


def test_a_form_without_xfa_may_ask_to_wait() -> None:
    assert "Please wait" in (PdfDocument(Annotated(WAIT, (), "").pdf()).page(0).text or "")
