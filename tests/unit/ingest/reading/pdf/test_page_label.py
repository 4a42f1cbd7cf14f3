"""What a PDF calls its pages."""

from pathlib import Path

import pytest

from ingest.reading.limits import PAGE_LABEL_CHARACTERS_MAX
from ingest.reading.pdf.document import PdfDocument
from ingest.reading.pool import ReaderPool
from tests.security.hidden_pdfs import HELVETICA, stream, text, written


def _pdf(labels: str, pages: int = 3, content: str = "", box: str = "[0 0 600 800]", more: str = "") -> bytes:
    kids = " ".join("3 0 R" for _ in range(pages))
    return written(
        f"<</Type/Catalog/Pages 2 0 R{labels}>>".encode("latin-1"),
        f"<</Type/Pages/Kids[{kids}]/Count {pages}>>".encode(),
        f"<</Type/Page/Parent 2 0 R/MediaBox{box}/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>{more}>>".encode(),
        stream((content or text("Words.")).encode()),
        HELVETICA,
    )


def _labels(data: bytes) -> list[str]:
    document = PdfDocument(data)
    found = [document.page(number).label for number in range(document.page_count)]
    document.close()
    return found


@pytest.mark.parametrize(
    ("ranges", "labels"),
    [
        ("0<</S/r>>", ["i", "ii", "iii"]),
        ("0<</S/R/St 4>>", ["IV", "V", "VI"]),
        ("0<</S/r>>2<</S/D>>", ["i", "ii", "1"]),
        ("0<</S/D/P(A-)>>", ["A-1", "A-2", "A-3"]),
        ("0<</S/A>>", ["A", "B", "C"]),
        ("0<</P(Cover)>>1<</S/D>>", ["Cover", "1", "2"]),
        ("0<</S/D>>", ["", "", ""]),
        ("0<</S/D/St 7>>", ["7", "8", "9"]),
    ],
)
def test_a_page_has_the_document_s_own_label_unless_that_is_its_number(ranges: str, labels: list[str]) -> None:
    assert _labels(_pdf(f"/PageLabels<</Nums[{ranges}]>>")) == labels


def test_without_labels_there_are_none() -> None:
    assert _labels(_pdf("")) == ["", "", ""]


@pytest.mark.parametrize("prefix", [r"\001\033[31m\u202e", "x" * 5000, r"line\nline\r\tline", r"\377\376\000\330"])
def test_a_label_is_cleaned_and_cut(prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(_pdf(f"/PageLabels<</Nums[0<</S/D/P({prefix})>>]>>"))
    with ReaderPool(1) as reader:
        labels = reader.read(path).labels
    assert all(len(label) <= PAGE_LABEL_CHARACTERS_MAX and label.isprintable() for label in labels)


@pytest.mark.parametrize("nums", ["0 5", "5", "0<</S/Q>>", "-1<</S/D>>", "0<</S/r/St 99999999>>", "[", "0 9 0 R"])
def test_broken_labels_are_no_matter(nums: str) -> None:
    document = PdfDocument(_pdf(f"/PageLabels<</Nums[{nums}]>>"))
    assert document.page(0).text == "Words."
    assert len(document.page(0).label) <= PAGE_LABEL_CHARACTERS_MAX


WIDE = "[0 0 800 600]"
BODY = text("The left page.", 60, 400) + text("The right page.", 460, 400)
SPREADS = {
    "below, outside": text("12", 40, 20) + text("13", 740, 20),
    "below, in the middle of each": text("12", 200, 20) + text("13", 600, 20),
    "above": text("12", 40, 580) + text("13", 740, 580),
    "beside the title": text("12 Otters", 40, 580) + text("Herons 13", 680, 580),
}


@pytest.mark.parametrize("way", SPREADS)
def test_two_pages_on_one_have_both_their_numbers(way: str) -> None:
    assert _labels(_pdf("", 1, BODY + SPREADS[way], WIDE)) == ["12\u201313"]


NO_SPREADS = {
    "numbers that do not follow": text("12", 40, 20) + text("14", 740, 20),
    "one number": text("13", 740, 20),
    "numbers in the text": text("12", 40, 300) + text("13", 740, 300),
    "one above and one below": text("12", 40, 580) + text("13", 740, 20),
    "the wrong way round": text("13", 40, 20) + text("12", 740, 20),
    "within words": text("See 12 of all", 40, 20) + text("and 13 of all", 640, 20),
    "a date": text("12/13", 40, 20) + text("13.5", 740, 20),
}


@pytest.mark.parametrize("way", NO_SPREADS)
def test_a_wide_page_is_not_two_for_any_numbers(way: str) -> None:
    assert _labels(_pdf("", 1, BODY + NO_SPREADS[way], WIDE)) == [""]


def test_an_upright_page_is_one() -> None:
    assert _labels(_pdf("", 1, text("12", 40, 20) + text("13", 540, 20))) == [""]


def test_a_spread_s_own_label_goes_first() -> None:
    labels = "/PageLabels<</Nums[0<</P(Plate)>>]>>"
    assert _labels(_pdf(labels, 1, BODY + SPREADS["above"], WIDE)) == ["Plate"]
