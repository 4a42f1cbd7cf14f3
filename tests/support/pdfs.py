"""Real PDFs for tests, good ones and bad ones, with the same bytes at every run.

    make_pdf(tmp_path / "a.pdf", ["The first page.", ["The second page.", "Its second paragraph."]])

`python -m tests.support.pdfs data/` writes the sample documents of `data/` anew.
"""

from __future__ import annotations

import argparse
import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TextMode
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

    pdfium refuses it, however little is missing, until it gets a new end.
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
    return _write(path, b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>")


def broken_page_tree_pdf(path: Path, *, page_count: int = 3) -> Path:
    """A PDF that claims `page_count` pages, none of which exists."""
    kids = b" ".join(b"%d 0 R" % (100 + n) for n in range(page_count))
    return _write(path, b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, page_count))


def hidden_text_pdf(path: Path, hidden: str, *, visible: str = "All is well on board.") -> Path:
    """A page of `visible` text and, in each of the four ways to hide words from people, a line of `hidden`."""
    pdf = _document([visible], None)
    with pdf.local_context(text_mode=TextMode.INVISIBLE):
        pdf.text(20, 60, f"{hidden} invisible")
    with pdf.local_context(text_color=(255, 255, 255)):
        pdf.text(20, 80, f"{hidden} white")
    pdf.text(pdf.w + 50, 100, f"{hidden} outside")
    pdf.set_font("Helvetica", size=1)
    pdf.text(20, 120, f"{hidden} tiny")
    return _save(pdf, path)


def white_on_black_pdf(path: Path, text: str) -> Path:
    """White words that can be read, for they stand in a black box, above black words on white."""
    pdf = _document(["", ""], None)
    pdf.set_fill_color(0)
    pdf.rect(10, 10, 190, 30, style="F")
    with pdf.local_context(text_color=(255, 255, 255)):
        pdf.text(20, 20, text)
    pdf.text(20, 60, "Black words.")
    return _save(pdf, path)


def scan_with_words_pdf(path: Path, text: str) -> Path:
    """A scan as OCR leaves it: a picture of words, the same invisible over it, and a visible stamp below."""
    pdf = _document([""], None)
    picture = Image.new("L", (1240, 1754), 230)
    ImageDraw.Draw(picture).text((118, 332), text, fill=20, font_size=24)
    pdf.image(picture, x=0, y=0, w=pdf.w)
    with pdf.local_context(text_mode=TextMode.INVISIBLE):
        pdf.text(20, 60, text)
    pdf.text(20, 280, "Received 3 May")
    return _save(pdf, path)


def scan_between_pdf(path: Path) -> Path:
    """Words, a picture, a blank page, and words."""
    pdf = _document(["Words before.", "", "", "Words after."], None)
    pdf.page = 2
    pdf.image(Image.new("L", (620, 877), 230), x=0, y=0, w=pdf.w)
    pdf.page = 4
    return _save(pdf, path)


def styled_pdf(path: Path, lines: Sequence[tuple[str, str, float]]) -> Path:
    """A page of lines, each with its style ("" or "B") and size in points, and a gap where the style changes."""
    pdf = _new(None)
    pdf.add_page()
    before = None
    for text, style, size in lines:
        if before not in (None, (style, size)):
            pdf.ln(5)
        before = style, size
        pdf.set_font("Helvetica", style=style, size=size)
        pdf.cell(0, size * 0.45, text, new_x="LMARGIN", new_y="NEXT")
    return _save(pdf, path)


def unicode_pdf(path: Path, lines: Sequence[Sequence[str]]) -> Path:
    """A page of glyphs, drawn from left to right, each of which stands for a string of any characters.

    Its font has no shapes, only the table that says what each glyph means: what a parser reads, and no more.
    """
    glyphs = list(dict.fromkeys(glyph for line in lines for glyph in line))
    codes = {glyph: number for number, glyph in enumerate(glyphs, 1)}
    meanings = "".join(f"<{code:04x}> <{glyph.encode('utf-16-be').hex()}>\n" for glyph, code in codes.items())
    cmap = f"begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange {len(glyphs)} beginbfchar\n{meanings}"
    drawn = "".join(f"<{''.join(f'{codes[glyph]:04x}' for glyph in line)}> Tj 0 -20 Td\n" for line in lines)
    return _write(
        path,
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        _stream(f"BT /F 12 Tf 50 700 Td {drawn} ET".encode()),
        b"<</Type/Font/Subtype/Type0/BaseFont/Any/Encoding/Identity-H/DescendantFonts[6 0 R]/ToUnicode 7 0 R>>",
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/Any/DW 1000"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>",
        _stream(f"{cmap}endbfchar endcmap".encode()),
    )


def flate_bomb_pdf(path: Path, *, megabytes: int = 2_000, pages: int = 1) -> Path:
    """Pages whose content, two megabytes that they share, unpacks to so much."""
    packer = zlib.compressobj(9)
    block = b"q Q " * 250_000
    packed = b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()
    return _write(
        path,
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (b"3 0 R " * pages, pages),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>",
        _stream(packed, b"/Filter/FlateDecode"),
    )


def raw_page_pdf(path: Path, content: bytes) -> Path:
    """A page drawn by `content`, which may use Helvetica as /F."""
    return _write(
        path,
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
        b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        _stream(content),
    )


def slow_page_pdf(path: Path) -> Path:
    """Between two pages of words one that takes minutes to draw: shapes over all of it, each mixed with others."""
    shapes = b"/G gs 1 0 0 rg " + b"0 0 600 800 re f " * 200_000
    words = b"0 g BT /F 12 Tf 50 700 Td (Words that are lost.) Tj ET "
    font = b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>/ExtGState<</G<</BM/Multiply>>>>>>"
    return _write(
        path,
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 4 0 R 5 0 R]/Count 3>>",
        *(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R%s>>" % (number, font)
            for number in (6, 7, 8)
        ),
        _stream(b"BT /F 12 Tf 50 700 Td (Words that are read.) Tj ET"),
        _stream(words + shapes),
        _stream(b"BT /F 12 Tf 50 700 Td (More words.) Tj ET"),
    )


def million_page_pdf(path: Path, *, pages: int = 1_000_000) -> Path:
    """A page tree that claims so many pages, and has each of them: one and the same."""
    kids = b"3 0 R " * pages
    return _write(
        path,
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]>>",
    )


def circular_pdf(path: Path) -> Path:
    """A page tree that is its own child, above a content stream that draws itself."""
    return _write(
        path,
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 2/Parent 2 0 R>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>",
        _stream(b"/X Do"),
        _stream(b"/X Do", b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X 5 0 R>>>>"),
    )


def packed_objects_pdf(path: Path, text: str, *, missing_bytes: int) -> Path:
    """A PDF 1.5 whose page tree is packed in an object stream, and which has lost its end."""
    packed = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>"]
    head = b"1 0 2 %d " % len(packed[0])
    objects = [
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
        b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        _stream(f"BT /F 12 Tf 50 700 Td ({text}) Tj ET".encode()),
        _stream(
            zlib.compress(head + b"".join(packed)),
            b"/Type/ObjStm/N 2/First %d/Filter/FlateDecode" % len(head),
        ),
        _stream(b"x" * missing_bytes, b"/Type/XRef"),
    ]
    bodies = [b"%d 0 obj\n%s\nendobj\n" % (number, body) for number, body in enumerate(objects, 3)]
    path.write_bytes((b"%PDF-1.5\n" + b"".join(bodies))[:-missing_bytes])
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


def _stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(data), more, data)


def _write(path: Path, *objects: bytes) -> Path:
    """A whole file of these objects, numbered from 1, which is the catalog; its cross-reference table included."""
    out = [b"%PDF-1.7\n"]
    offsets, at = [], len(out[0])
    for number, body in enumerate(objects, 1):
        out.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        offsets.append(at)
        at += len(out[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out.append(
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, at)
    )
    path.write_bytes(b"".join(out))
    return path


def main() -> None:
    """Write the sample documents into a folder."""
    from tests.support.sample_documents import write_samples

    parser = argparse.ArgumentParser(prog="python -m tests.support.pdfs", description="Write the sample documents.")
    parser.add_argument("folder", type=Path)
    for path in write_samples(parser.parse_args().folder):
        print(f"{path}  {path.stat().st_size / 1000:.1f} kB")  # noqa: T201  (a command prints)


if __name__ == "__main__":
    main()
