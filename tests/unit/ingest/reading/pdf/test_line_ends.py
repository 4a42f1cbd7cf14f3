"""Words and sentences that a PDF's lines and pages break are found and quoted whole."""

from pathlib import Path

import pytest
from fpdf import FPDF

from ingest.chunking.splitter import Piece, Splitter
from ingest.reading.pdf.document import PdfDocument
from tests.support import pdfs
from worker.answer.citations import citation, sentences
from worker.index.chunk_text import searched_text
from worker.vectors import Hit, terms


def hits(path: Path) -> list[Hit]:
    document = PdfDocument(path.read_bytes())
    pages = [document.page(number) for number in range(document.page_count)]
    pieces = Splitter(1_000, 150).split([page.text for page in pages], [page.headings for page in pages])
    return [_hit(piece) for piece in pieces]


def _hit(piece: Piece) -> Hit:
    return Hit("d", "d.pdf", piece.page, 0, piece.text, 1.0, last_page=piece.last_page)


BROKEN = [
    "The insurance covers transporta-",
    "tion of the goods to the ware-",
    "house, and unloading. Dam-",
    "ages follow.",
]


def broken_pdf(path: Path) -> Path:
    lines = "".join(f"BT /F 11 Tf 60 {700 - 15 * n} Td ({line}) Tj ET " for n, line in enumerate(BROKEN))
    return pdfs.raw_page_pdf(path, lines.encode())


def test_a_page_s_text_keeps_the_line_s_end_in_a_broken_word(tmp_path: Path) -> None:
    assert [hit.text for hit in hits(broken_pdf(tmp_path / "a.pdf"))] == ["\n".join(BROKEN)]


@pytest.mark.parametrize("asked", ["transportation", "warehouse", "damages"])
def test_a_broken_word_is_found_whole(tmp_path: Path, asked: str) -> None:
    [hit] = hits(broken_pdf(tmp_path / "a.pdf"))
    assert terms(asked) <= terms(searched_text(hit.text))
    [quote] = [sentence.text for sentence in sentences(hit.text) if asked in sentence.text.casefold()]
    assert citation(1, hit, quote) is not None


def test_a_sentence_over_a_page_s_end_is_quoted_whole_and_cites_both_pages(tmp_path: Path) -> None:
    pages = [
        [
            "The annual leave of every employee with more than ten",
            "years of service, counted from the first working day,",
        ],
        ["is thirty-one days and may be taken in at most three", "parts."],
        ["Unused days lapse on 31 March."],
    ]
    pdf = FPDF()
    for number, lines in enumerate(pages, 1):
        pdf.add_page()
        pdf.set_font("Helvetica", size=9)
        pdf.text(20, 10, "ACME GmbH - Internal handbook - Confidential")
        pdf.text(20, 290, f"Page {number} of 3 Printed 24.11.2026")
        pdf.set_font("Helvetica", size=11)
        for at, line in enumerate(lines):
            pdf.text(20, 30 + 6 * at, line)
    pdf.output(str(tmp_path / "a.pdf"))
    first, *_ = hits(tmp_path / "a.pdf")
    [sentence] = sentences(first.text)
    assert sentence.text == " ".join([*pages[0], *pages[1]])
    cited = citation(1, first, sentence.text)
    assert cited is not None
    assert (cited.page, cited.last_page) == (1, 2)
