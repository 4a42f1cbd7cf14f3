"""A PDF that is the cover of files attached to it."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.core.formats import FORMATS, MediaType
from ingest.reading import portfolio
from ingest.reading.extract import open_document
from ingest.reading.page import Page
from ingest.reading.pool import ReaderPool
from ingest.reading.reasons import SENTENCES, FileError, Reason
from tests.security.hidden_pdfs import HELVETICA, stream, text, written
from tests.support import pdfs

COVER = "For the best experience, open this portfolio elsewhere."


def _portfolio(files: Sequence[tuple[str, bytes]], view: str = "D", catalog: str = "") -> bytes:
    """A cover with these attachments. With `view` "", a document that has attachments and is no portfolio."""
    names, objects = [], []
    for number, (name, data) in enumerate(files):
        spec = 6 + 2 * number
        title = (b"\xfe\xff" + name.encode("utf-16-be")).hex()
        names.append(f"<{title}> {spec} 0 R")
        objects += [
            f"<</Type/Filespec/F<{title}>/UF<{title}>/EF<</F {spec + 1} 0 R>>>>".encode(),
            stream(zlib.compress(data), "/Type/EmbeddedFile/Filter/FlateDecode"),
        ]
    collection = f"/Collection<</Type/Collection/View/{view}>>" if view else ""
    tree = f"/Names<</EmbeddedFiles<</Names[{' '.join(names)}]>>>>"
    return written(
        f"<</Type/Catalog/Pages 2 0 R{collection}{tree}{catalog}>>".encode(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        stream(text(COVER).encode()),
        HELVETICA,
        *objects,
    )


def _pages(data: bytes) -> list[Page]:
    document = open_document("a.pdf", data)
    try:
        return [document.page(number) for number in range(document.page_count)]
    finally:
        document.close()


@pytest.fixture
def minutes(tmp_path: Path) -> bytes:
    return pdfs.make_pdf(tmp_path / "minutes.pdf", ["The mast is painted.", "The sail is mended."]).read_bytes()


def test_the_attachments_are_read_in_the_cover_s_place(minutes: bytes) -> None:
    pages = _pages(_portfolio([("minutes.pdf", minutes), ("prices.txt", b"A rope costs two shillings.")]))
    assert [page.text for page in pages] == [
        "minutes.pdf\n\nThe mast is painted.",
        "The sail is mended.",
        "prices.txt\n\nA rope costs two shillings.",
    ]
    assert [page.label for page in pages] == ["minutes.pdf 1", "minutes.pdf 2", "prices.txt 1"]
    assert [page.headings for page in pages] == [("minutes.pdf",), (), ("prices.txt",)]


def test_its_pages_can_be_asked_for_in_any_order(minutes: bytes) -> None:
    data = _portfolio([("a.pdf", minutes), ("b.pdf", minutes), ("c.txt", b"Words.")])
    document = open_document("x.pdf", data)
    wanted = [document.page(number) for number in range(document.page_count)]
    assert [document.page(number) for number in (4, 0, 3, 1, 2)] == [wanted[number] for number in (4, 0, 3, 1, 2)]
    document.close()


TEXTS = {MediaType.HTML: b"<p>Words here.</p>", MediaType.MARKDOWN: b"Words here.", MediaType.TEXT: b"Words here."}


@pytest.mark.parametrize("kind", TEXTS)
def test_an_attachment_may_be_of_any_format(kind: MediaType) -> None:
    for suffix in FORMATS[kind].suffixes:
        (page,) = _pages(_portfolio([("a" + suffix, TEXTS[kind])]))
        assert (page.text or "").endswith("Words here.")


def test_a_pdf_without_a_suffix_is_known_by_its_first_bytes(minutes: bytes) -> None:
    assert _pages(_portfolio([("minutes", minutes)]))[1].text == "The sail is mended."


def test_one_that_cannot_be_read_is_a_missing_page_under_its_name(minutes: bytes) -> None:
    pages = _pages(_portfolio([("photo.jpg", b"\xff\xd8"), ("minutes.pdf", minutes), ("b.pdf", b"no PDF")]))
    assert [(page.text is None, page.is_damaged) for page in pages] == [
        (True, True),
        (False, False),
        (False, False),
        (True, True),
    ]
    assert (pages[0].label, pages[3].label) == ("photo.jpg", "b.pdf")


@pytest.mark.parametrize("files", [[("photo.jpg", b"\xff\xd8")], [("b.pdf", b"no PDF"), ("c.docx", b"no zip")]])
def test_when_none_can_be_read_a_reason_says_so(files: list[tuple[str, bytes]]) -> None:
    with pytest.raises(FileError) as caught:
        open_document("a.pdf", _portfolio(files))
    assert caught.value.reason is Reason.PORTFOLIO
    assert "portfolio" in SENTENCES[Reason.PORTFOLIO]


def test_portfolios_stand_in_one_another_up_to_a_depth(minutes: bytes) -> None:
    data = _portfolio([("minutes.pdf", minutes)])
    inner = _portfolio([("inner.pdf", data)])
    assert _pages(inner)[1].label == "inner.pdf minutes.pdf 2"
    for _ in range(portfolio.DEEP_MAX):
        inner = _portfolio([("inner.pdf", inner)])
    with pytest.raises(FileError) as caught:
        open_document("a.pdf", inner)
    assert caught.value.reason is Reason.PORTFOLIO


def test_a_document_that_only_has_attachments_is_read_itself(minutes: bytes) -> None:
    for view in ("", "H"):
        (page,) = _pages(_portfolio([("invoice.xml", b"<a/>"), ("minutes.pdf", minutes)], view))
        assert page.text == COVER


def test_names_are_cleaned_and_cut(minutes: bytes) -> None:
    pages = _pages(_portfolio([("<3>../up/\x01mi\u202enutes" + "s" * 500 + ".pdf", minutes)]))
    assert len(pages[1].label) <= 100
    assert pages[1].label.endswith(" 2")
    assert "/" not in pages[0].label
    assert "\x01" not in (pages[0].text or "")


def test_more_attachments_than_are_opened_are_missing_pages(minutes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio, "ATTACHMENTS_MAX", 1)
    pages = _pages(_portfolio([("a.pdf", minutes), ("b.pdf", minutes), ("c.pdf", minutes)]))
    assert [page.text is None for page in pages] == [False, False, True, True]


def test_more_bytes_than_a_file_may_have_are_missing_pages(minutes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio, "FILE_BYTES_MAX", len(minutes) + 10)
    pages = _pages(_portfolio([("a.pdf", minutes), ("b.pdf", minutes)]))
    assert [page.text is None for page in pages] == [False, False, True]


def test_the_pool_reads_it_as_one_document(minutes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "portfolio.pdf"
    path.write_bytes(_portfolio([("minutes.pdf", minutes), ("photo.jpg", b"\xff\xd8")]))
    with ReaderPool(2) as reader:
        read = reader.read(path)
    assert read.labels == ("minutes.pdf 1", "minutes.pdf 2", "photo.jpg")
    assert read.missing_pages == (3,)
