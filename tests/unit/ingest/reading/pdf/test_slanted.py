"""Watermarks and stamps are no headings, and break no sentence."""

from math import cos, radians, sin
from pathlib import Path

import pytest

from ingest.reading.page import Page
from ingest.reading.pdf.document import PdfDocument
from tests.support import pdfs

LINES = [f"Clause {n}: the tenant pays the rent of month {n} on the first" for n in range(1, 20)]


def line(x: float, y: float, text: str, *, size: float = 11, angle: float = 0, grey: float = 0) -> str:
    a, b = cos(radians(angle)), sin(radians(angle))
    return f"{grey} g BT /F {size} Tf {a:.4f} {b:.4f} {-b:.4f} {a:.4f} {x} {y} Tm ({text}) Tj ET "


def body(first: int = 0, last: int = 19) -> str:
    return "".join(line(60, 740 - 15 * n, LINES[n]) for n in range(first, last))


def read(tmp_path: Path, content: str) -> tuple[Page, str]:
    document = PdfDocument(pdfs.raw_page_pdf(tmp_path / "a.pdf", content.encode()).read_bytes())
    return document.page(0), document.title()


@pytest.mark.parametrize("angle", [45, 30, 60, -45, 315])
@pytest.mark.parametrize("at", [0, 10, 19])
def test_a_slanted_watermark_stands_behind_the_page_s_words(tmp_path: Path, angle: float, at: int) -> None:
    mark = line(440, 550, "DRAFT COPY", size=20, angle=angle, grey=0.8)  # beside the lines: it hides none
    page, title = read(tmp_path, body(0, at) + mark + body(at))
    assert page.text == "\n".join(LINES) + "\n\nDRAFT COPY"
    assert (page.headings, title) == ((), "")


def test_a_watermark_of_many_is_kept_once(tmp_path: Path) -> None:
    marks = "".join(line(80 + 150 * n, 200 + 150 * n, "DRAFT", size=30, angle=45, grey=0.8) for n in range(3))
    page, _ = read(tmp_path, marks + body())
    assert (page.text or "").count("DRAFT") == 1


@pytest.mark.parametrize(("angle", "x", "y"), [(90, 30, 300), (270, 20, 700), (180, 560, 60)])
def test_a_stamp_at_the_side_breaks_no_sentence_and_is_no_heading(
    tmp_path: Path, angle: float, x: float, y: float
) -> None:
    stamp = line(x, y, "arXiv:2401.00001v2 [cs.CL] 3 Jan 2024", size=20, angle=angle)
    page, title = read(tmp_path, body(0, 7) + stamp + body(7))
    assert page.text == "\n".join(LINES) + "\n\narXiv:2401.00001v2 [cs.CL] 3 Jan 2024"
    assert (page.headings, title) == ((), "")


def test_a_straight_watermark_over_lines_is_no_title(tmp_path: Path) -> None:
    page, title = read(tmp_path, line(80, 600, "DRAFT", size=120, grey=0.9) + body())
    assert (page.text or "").endswith("\n\nDRAFT")
    assert (page.headings, title) == ((), "")


def test_a_page_that_is_turned_keeps_its_lines_and_headings(tmp_path: Path) -> None:
    turned = "".join(line(100 + 15 * n, 60, text, angle=90) for n, text in enumerate(LINES))
    page, _ = read(tmp_path, line(60, 60, "Rents of 2024", size=18, angle=90) + turned)
    assert (page.text or "").split("\n")[0] == "Rents of 2024"
    assert page.headings == ("Rents of 2024",)


def test_a_page_of_nothing_but_a_watermark_keeps_it_and_has_no_title(tmp_path: Path) -> None:
    page, title = read(tmp_path, line(180, 300, "DRAFT COPY", size=60, angle=45))
    assert (page.text, page.headings, title) == ("DRAFT COPY", (), "")


def test_a_title_is_still_the_title(tmp_path: Path) -> None:
    page, title = read(tmp_path, line(60, 765, "Tenancy agreement", size=20) + body())
    assert (title, page.headings) == ("Tenancy agreement", ("Tenancy agreement",))
