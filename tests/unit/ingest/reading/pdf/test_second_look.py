"""Another parser is asked about a page whose text is garbage, but not where it would tell what the page hides."""

import pytest

from ingest.reading.page import Page
from ingest.reading.pdf.document import PdfDocument
from tests.security.hidden_pdfs import Drawing, stream, text

LINES = ("The harbour master keeps the key", "behind the third oar, and nobody", "may take a boat out before six.")
GARBAGE = "".join(text(line, y=700 - 20 * at).replace("/F", "/G") for at, line in enumerate(LINES))
FONTS = "/G<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>"
PRIVATE = stream(
    b"begincmap 1 begincodespacerange<00><ff>endcodespacerange 1 beginbfrange<21><7e><f021>endbfrange endcmap"
)
OTHERWISE = "What another parser reads."


def _read(content: str, monkeypatch: pytest.MonkeyPatch, otherwise: str | None = OTHERWISE) -> Page:
    monkeypatch.setattr(PdfDocument, "_page_by_pypdf", lambda _self, _number: Page(otherwise))
    return PdfDocument(Drawing(content, "", (PRIVATE,), fonts=FONTS).pdf()).page(0)


def test_where_all_is_seen_another_parser_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _read(GARBAGE, monkeypatch).text == OTHERWISE


@pytest.mark.parametrize(
    "hidden",
    [
        text("Zanzibar", y=500, before="1 g"),
        text("Zanzibar", y=500, before="3 Tr"),
        text("Zanzibar", y=500) + "0 g 50 490 100 30 re f",
        text("Zanzibar", y=500, size=0.5),
        text("Zanzibar", x=900),
    ],
)
def test_where_anything_is_hidden_it_is_not(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _read(GARBAGE + hidden, monkeypatch).text is None


def test_where_it_has_nothing_either_the_page_is_missing_and_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    page = _read(GARBAGE, monkeypatch, None)
    assert (page.text, page.is_damaged) == (None, False)


def test_what_pypdf_has_is_judged_too() -> None:
    assert PdfDocument(Drawing(GARBAGE, "", (PRIVATE,), fonts=FONTS).pdf()).page(0).text is None


def test_a_page_without_text_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _read("0 g 50 490 100 30 re f", monkeypatch).text is None
