"""Real PDFs for tests, good ones and bad ones, with the same bytes at every run.

    make_pdf(tmp_path / "a.pdf", ["The first page.", ["The second page.", "Its second paragraph."]])

`python -m tests.support.pdfs data/` writes the sample documents of `data/` anew.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from PIL import Image, ImageDraw

CREATED = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
PRODUCER = "rag-queue tests"
DEFAULT_PAGES = ("The boat house opens at six.", "The key hangs behind the third oar.")

Page = str | Sequence[str]  # its text with blank lines between paragraphs, or its paragraphs


def make_pdf(path: Path, pages: Sequence[Page], *, title: str | None = None, font_size: float = 11) -> Path:
    """Write a PDF with these pages and return `path`. An empty page is a page without text.

    Text is Latin-1 (the built-in fonts know no other). Raises ValueError when a text does not fit on its page.
    """
    return _save(_document(pages, title, font_size), path)


def encrypted_pdf(path: Path, *, password: str = "secret", pages: Sequence[Page] = DEFAULT_PAGES) -> Path:
    """A PDF that nobody reads without the user's password."""
    pdf = _document(pages, None)
    pdf.set_encryption(owner_password=f"owner of {password}", user_password=password)
    return _save(pdf, path)


def owner_password_pdf(path: Path, *, pages: Sequence[Page] = DEFAULT_PAGES) -> Path:
    """An encrypted PDF that everybody can read: only changing it needs a password."""
    pdf = _document(pages, None)
    pdf.set_encryption(owner_password="owner")
    return _save(pdf, path)


def empty_file(path: Path) -> Path:
    """A file of no bytes."""
    path.write_bytes(b"")
    return path


def truncated_pdf(path: Path, *, missing_bytes: int = 4096, page_count: int = 40) -> Path:
    """A PDF whose last bytes are lost, as after a broken download: no cross-reference table, no trailer.

    pdfium refuses it, however little is missing.
    """
    whole = make_pdf(path, _long_report(page_count), font_size=9).read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - missing_bytes)])
    return path


def half_read_pdf(path: Path, *, kept: float = 0.5, page_count: int = 40) -> Path:
    """A PDF "optimised for the web" (trailer and page tree first) of which only the share `kept` arrived.

    pdfium rebuilds its table from what is there: it counts all pages, and loads the first ones only.
    """
    whole = make_pdf(path, _long_report(page_count), font_size=9).read_bytes()
    objects = re.findall(rb"^\d+ 0 obj\n.*?^endobj\n", whole, re.DOTALL | re.MULTILINE)
    trailer = whole[whole.rindex(b"trailer") : whole.rindex(b"startxref")]
    early = [part for part in objects if b"/Type /Catalog" in part or b"/Type /Pages" in part]
    fonts = [part for part in objects if b"/Type /Font" in part or b"/Font <<" in part]
    rest = [part for part in objects if part not in early and part not in fonts]
    written = b"%PDF-1.4\n" + b"".join([trailer, *early, *fonts, *rest])
    path.write_bytes(written[: int(len(written) * kept)])
    return path


def _long_report(page_count: int) -> list[str]:
    filling = "All is well on board. " * 60
    return [f"This is page {number} of a long report. {filling}" for number in range(1, page_count + 1)]


def scanned_pdf(path: Path, *, text: str = "This page is a picture of words.", page_count: int = 2) -> Path:
    """A PDF of pictures: people can read it, but there is no text in it."""
    pdf = _new(None)
    for number in range(1, page_count + 1):
        picture = Image.new("L", (620, 877), 255)
        ImageDraw.Draw(picture).text((60, 80), f"{text} ({number})", fill=20, font_size=30)
        pdf.add_page()
        pdf.image(picture, x=0, y=0, w=pdf.w)
    return _save(pdf, path)


def not_a_pdf(path: Path) -> Path:
    """A text file under a PDF's name."""
    path.write_text("Dear reader,\nthis was never a PDF.\n" * 20, encoding="utf-8")
    return path


def zero_page_pdf(path: Path) -> Path:
    """A sound PDF whose page tree has no pages."""
    path.write_bytes(_tiny_pdf(b"<</Type /Pages /Kids [] /Count 0>>"))
    return path


def broken_page_tree_pdf(path: Path, *, page_count: int = 3) -> Path:
    """A PDF that claims `page_count` pages, none of which exists."""
    kids = b" ".join(b"%d 0 R" % (100 + n) for n in range(page_count))
    path.write_bytes(_tiny_pdf(b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, page_count)))
    return path


def _new(title: str | None) -> FPDF:
    pdf = FPDF(format="A4")
    pdf.set_creation_date(CREATED)
    pdf.set_producer(PRODUCER)
    if title:
        pdf.set_title(title)
    return pdf


def _document(pages: Sequence[Page], title: str | None, font_size: float = 11) -> FPDF:
    pdf = _new(title)
    pdf.set_font("Helvetica", size=font_size)
    for number, page in enumerate(pages, start=1):
        pdf.add_page()
        for paragraph in re.split(r"\n\s*\n", page) if isinstance(page, str) else page:
            if paragraph.strip():
                pdf.multi_cell(0, font_size * 0.5, paragraph, align="L", new_x="LMARGIN", new_y="NEXT")
                pdf.ln(font_size * 0.25)
        if pdf.pages_count != number:
            raise ValueError(f"the text of page {number} does not fit on it")
    return pdf


def _save(pdf: FPDF, path: Path) -> Path:
    pdf.output(str(path))
    return path


def _tiny_pdf(page_tree: bytes) -> bytes:
    """A whole file around a page tree, its cross-reference table included."""
    out = b"%PDF-1.7\n"
    offsets = []
    for number, body in enumerate((b"<</Type /Catalog /Pages 2 0 R>>", page_tree), start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 3\n0000000000 65535 f \n%strailer\n<</Size 3 /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (table, len(out))
    )


def main() -> None:
    """Write the sample documents into a folder."""
    from tests.support.sample_documents import write_samples

    parser = argparse.ArgumentParser(prog="python -m tests.support.pdfs", description="Write the sample documents.")
    parser.add_argument("folder", type=Path)
    for path in write_samples(parser.parse_args().folder):
        print(f"{path}  {path.stat().st_size / 1000:.1f} kB")  # noqa: T201  (a command prints)


if __name__ == "__main__":
    main()
