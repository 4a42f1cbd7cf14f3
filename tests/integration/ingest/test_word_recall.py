"""The words that poppler's pdftotext finds on a page are found by us, too, over PDFs that were made in many ways."""

import re
import shutil
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from fpdf import FPDF

from ingest.reading.pool import ReaderPool
from tests.security.hidden_pdfs import HELVETICA, LOOKS_ALIKE, stream, text, written
from tests.support import pdfs
from tests.support.form_pdfs import Annotated, field, note, words

DATA = Path(__file__).resolve().parents[3] / "data"
MEAN_MIN = 0.98
PAGE_MIN = 0.9
"""Of one page: a reader may join or part a word that the other does not."""

pytestmark = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="needs pdftotext (apt install poppler-utils)"
)

BOX = "[0 0 600 800]"
PROSE = (
    "The harbour master keeps the key behind the third oar, and nobody may take a boat out before six in the day. "
    "Members who wish to row at night need a lamp, a whistle and a second person; damage is written into the book. "
)


def _words(page: str) -> Counter[str]:
    """In small letters and without signs; a word broken at a line's end is whole, a raised figure in the line."""
    whole = re.sub(r"(?<=\w)[-\u2010\u00ad]\s*\n\s*(?=\w)", "", unicodedata.normalize("NFKC", page).replace("^", ""))
    return Counter(re.findall(r"\w+", whole.casefold()))


def _theirs(path: Path) -> list[str]:
    command = ["pdftotext", "-q", "-enc", "UTF-8", str(path), "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stdout.decode().split("\f")[:-1]


def _recalls(reader: ReaderPool, path: Path) -> Iterator[float]:
    """Of each page of theirs that has words, the share of these that ours has."""
    for theirs, ours in zip(_theirs(path), reader.read(path).pages, strict=True):
        wanted, found = _words(theirs), _words(ours or "")
        if wanted:
            yield (wanted & found).total() / wanted.total()


def _written(content: str, *, font: bytes = HELVETICA, page: str = "") -> bytes:
    return written(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox{BOX}/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>{page}>>".encode(),
        stream(content.encode("latin-1")),
        font,
    )


def _lines(size: float = 11) -> str:
    lines = re.findall(r".{1,70}(?:\s|$)", PROSE * 3)
    return "".join(text(line, y=700 - 15 * at, size=size) for at, line in enumerate(lines))


def _type1(name: str, more: str = "") -> bytes:
    return f"<</Type/Font/Subtype/Type1/BaseFont/{name}{more}>>".encode()


def _rotated(degrees: int) -> bytes:
    return _written(_lines(), page=f"/Rotate {degrees}")


def _columns() -> bytes:
    pdf = FPDF(format="A4")
    pdf.add_page()
    pdf.set_font("Times", size=10)
    with pdf.text_columns(ncols=2, gutter=10, text=PROSE * 8):
        pass
    return bytes(pdf.output())


def _table() -> bytes:
    pdf = FPDF(format="A4")
    pdf.add_page()
    pdf.set_font("Courier", size=9)
    with pdf.table() as table:
        for row in range(20):
            cells = table.row()
            for column in range(4):
                cells.cell(f"cell {row} of {column}")
    return bytes(pdf.output())


def _in_pieces(size: int) -> bytes:
    """Each line drawn some letters at a time."""
    return _written(
        "".join(
            f"BT /F 11 Tf 1 0 0 1 60 {700 - 15 * at} Tm "
            + "".join(f"({line[start : start + size]}) Tj " for start in range(0, len(line), size))
            + "ET\n"
            for at, line in enumerate(re.findall(r".{1,70}(?:\s|$)", PROSE * 3))
        )
    )


def _kerned() -> bytes:
    lines = re.findall(r".{1,70}(?:\s|$)", PROSE * 3)
    return _written(
        "".join(
            f"BT /F 11 Tf 60 {700 - 15 * at} Td [{' -600 '.join(f'({word})' for word in line.split())}] TJ ET\n"
            for at, line in enumerate(lines)
        )
    )


def _in_font(name: str, encoding: str) -> bytes:
    return _written(_lines(), font=_type1(name, f"/Encoding/{encoding}"))


def _looks_hidden(way: str) -> bytes:
    return LOOKS_ALIKE[way]().pdf()


IN_LETTERS = ("spaced out", "aslant")
"""What pdftotext gives as words of one letter."""
PORT = (field("/Tx", "port", 300, more="/V(Zanzibar)"), words("Zanzibar"))
MADE: dict[str, Callable[[], bytes]] = {
    **{
        f"{name}, {encoding}": partial(_in_font, name, encoding)
        for name in ("Helvetica-Bold", "Times-Italic", "Courier")
        for encoding in ("WinAnsiEncoding", "MacRomanEncoding")
    },
    **{f"turned by {degrees}": partial(_rotated, degrees) for degrees in (90, 180, 270)},
    "small": lambda: _written(_lines(size=6)),
    "spaced by kerning": _kerned,
    **{f"{size} letters at a time": partial(_in_pieces, size) for size in (1, 3, 12)},
    "columns": _columns,
    "a table": _table,
    "a form": lambda: Annotated(_lines(), (PORT,)).pdf(),
    "a note": lambda: Annotated(_lines(), ((note("FreeText", 300), words("Zanzibar by noon")),)).pdf(),
    **{f"looks hidden, {way}": partial(_looks_hidden, way) for way in LOOKS_ALIKE if way not in IN_LETTERS},
}


def test_the_sample_documents_words_are_found() -> None:
    with ReaderPool(1) as reader:
        recalls = [recall for path in sorted(DATA.glob("*.pdf")) for recall in _recalls(reader, path)]
    assert len(recalls) >= 12
    assert sum(recalls) / len(recalls) >= MEAN_MIN
    assert min(recalls) >= PAGE_MIN


def test_the_words_of_pdfs_made_in_many_ways_are_found(tmp_path: Path) -> None:
    recalls: dict[str, float] = {}
    with ReaderPool(1) as reader:
        for way, make in MADE.items():
            path = tmp_path / "made.pdf"
            path.write_bytes(make())
            recalls[way] = min(_recalls(reader, path), default=1.0)
    assert sum(recalls.values()) / len(recalls) >= MEAN_MIN
    assert {way: recall for way, recall in recalls.items() if recall < PAGE_MIN} == {}


def test_a_long_report_s_words_are_found(tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", [[PROSE * 4, PROSE * 2]] * 5)
    with ReaderPool(1) as reader:
        assert min(_recalls(reader, path)) >= MEAN_MIN
