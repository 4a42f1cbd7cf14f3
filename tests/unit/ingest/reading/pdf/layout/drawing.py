"""Pages drawn as programs draw them: text at places, tables in several ways, and what is read of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fpdf import FPDF

from ingest.reading.page import Page
from ingest.reading.pdf.document import PdfDocument

Draw = Callable[[FPDF], Any]


def read(path: Path, draw: Draw, *, orientation: str = "portrait") -> Page:
    """What is read of a page that `draw` draws, in points, in Helvetica of 10."""
    pdf = FPDF(unit="pt", orientation=orientation)
    pdf.set_auto_page_break(False)
    pdf.add_page()
    pdf.set_font("Helvetica", size=10)
    draw(pdf)
    pdf.output(str(path))
    document = PdfDocument(path.read_bytes())
    try:
        return document.page(0)
    finally:
        document.close()


def lines_of(page: Page) -> list[str]:
    """Its lines that are not empty."""
    return [line for line in (page.text or "").split("\n") if line]


def column(pdf: FPDF, x: float, y: float, lines: Sequence[str], step: float = 13) -> None:
    """Lines below one another."""
    for number, line in enumerate(lines):
        pdf.text(x, y + number * step, line)
