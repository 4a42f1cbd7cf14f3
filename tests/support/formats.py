"""Documents of every format of the table, made to say words, to say none, and to be hostile.

A row of the table that has none here is not known to work: `tests/unit/test_formats.py` and the tests of hostile
documents go through all of them.
"""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches

from app.core.formats import MediaType
from tests.support import pdfs

WORDPROCESSING = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MEGABYTES = 160
"""Of a bomb: more than any reader may take for a part."""
BLANKS = b" " * 2**20
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
OUTSIDE = '<!DOCTYPE x [<!ENTITY l0 SYSTEM "file:///etc/passwd">%s]>'


@dataclass(frozen=True)
class Samples:
    """A format's documents. `says` makes one that says some words, `blank` is a sound one without any.

    `main` is the part of a zip that holds its words, which the hostile ones are made of; "" for what is no zip.
    `hostile` are more of them, by name.
    """

    says: Callable[[str], bytes]
    blank: bytes
    main: str = ""
    hostile: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)


def _pdf(words: str) -> bytes:
    with TemporaryDirectory() as folder:
        return pdfs.make_pdf(Path(folder) / "made.pdf", [words]).read_bytes()


def _docx(words: str) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as parts:
        text = f"<w:body><w:p><w:r><w:t>{words}</w:t></w:r></w:p></w:body>"
        parts.writestr("word/document.xml", f'<w:document xmlns:w="{WORDPROCESSING}">{text}</w:document>')
    return out.getvalue()


def _pptx(words: str) -> bytes:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    slide.shapes.add_textbox(Inches(1), Inches(1), Inches(5), Inches(1)).text_frame.text = words
    out = BytesIO()
    presentation.save(out)
    return out.getvalue()


def _xlsx(words: str) -> bytes:
    book = Workbook()
    book.worksheets[0]["A1"] = words
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def epub(chapters: Mapping[str, str], *, opf: str = "", more: Mapping[str, str] | None = None) -> bytes:
    """A book of XHTML, by the files' names, in their order; `opf` goes into its metadata, `more` into the zip."""
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as parts:
        parts.writestr("mimetype", "application/epub+zip")
        parts.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        )
        parts.writestr(
            "OEBPS/book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"{opf}</metadata><manifest>{items}</manifest><spine>{spine}</spine></package>",
        )
        for name, body in chapters.items():
            parts.writestr(f"OEBPS/{name}", f"<html><body>{body}</body></html>")
        for name, text in (more or {}).items():
            parts.writestr(name, text)
    return out.getvalue()


def _epub(words: str) -> bytes:
    return epub({"one.xhtml": f"<p>{words}</p>"})


def _rtf(words: str) -> bytes:
    return rf"{{\rtf1\ansi {words}\par}}".encode()


def _eml(words: str) -> bytes:
    return f"From: ada@example.com\nSubject: Otters\nContent-Type: text/plain\n\n{words}\n".encode()


def _nested_eml() -> bytes:
    """Mails within mails, many more than anybody sends."""
    mail = b"Subject: innermost\n\nwords\n"
    for _ in range(400):
        mail = b"Subject: outer\nContent-Type: message/rfc822\n\n" + mail
    return mail


def _parts_eml(count: int = 20_000) -> bytes:
    """A mail with so many files."""
    head = b'Subject: many\nContent-Type: multipart/mixed; boundary="b"\n\n'
    part = b'--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename="a.txt"\n\nwords\n'
    return head + part * count + b"--b--\n"


def _long_row_csv() -> bytes:
    return b"a," * 2_000_000


def _quoted_csv() -> bytes:
    """A cell that never ends."""
    return b'a,b\n"' + b"x,y\n" * 2_000_000


SAMPLES: dict[MediaType, Samples] = {
    MediaType.PDF: Samples(_pdf, _pdf("")),
    MediaType.DOCX: Samples(_docx, _docx(""), "word/document.xml"),
    MediaType.PPTX: Samples(_pptx, _pptx(""), "ppt/slides/slide1.xml"),
    MediaType.XLSX: Samples(_xlsx, _xlsx(""), "xl/worksheets/sheet1.xml"),
    MediaType.EPUB: Samples(_epub, _epub(""), "OEBPS/one.xhtml"),
    MediaType.RTF: Samples(
        _rtf,
        _rtf(""),
        hostile={
            "deep": lambda: b"{\\rtf1 " + b"{" * 300_000 + b"words" + b"}" * 300_000,
            "backslashes": lambda: b"{\\rtf1 " + b"\\" * 1_000_000,
            "binary": lambda: b"{\\rtf1 {\\pict\\bin9999999999 " + b"}" * 1_000_000,
            "pages": lambda: b"{\\rtf1 " + b"x\\page " * 100_000 + b"}",
        },
    ),
    MediaType.HTML: Samples(
        lambda words: f"<p>{words}</p>".encode(),
        b"<p></p>",
        hostile={"deep": lambda: b"<div>" * 5_000 + b"deep words" + b"</div>" * 5_000},
    ),
    MediaType.MARKDOWN: Samples(lambda words: f"# {words}".encode(), b"\n"),
    MediaType.TEXT: Samples(str.encode, b"\n"),
    MediaType.CSV: Samples(
        lambda words: f"Fact,Source\n{words},a book\n".encode(),
        b",,\n",
        hostile={"long row": _long_row_csv, "open quote": _quoted_csv},
    ),
    MediaType.TSV: Samples(
        lambda words: f"Fact\tSource\n{words}\ta book\n".encode(),
        b"\t\t\n",
        hostile={"open quote": _quoted_csv},
    ),
    MediaType.EML: Samples(_eml, b"X-Nothing: 1\n\n", hostile={"nested": _nested_eml, "parts": _parts_eml}),
}


def with_part(data: bytes, name: str, content: bytes, *, times: int = 1) -> bytes:
    """The zip with another content of a part, so many times over."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as parts, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for part in parts.namelist():
            if part != name:
                made.writestr(part, parts.read(part))
        with made.open(name, "w", force_zip64=True) as opened:
            for _ in range(times):
                opened.write(content)
    return out.getvalue()


def hostile_documents(media_type: MediaType) -> dict[str, Callable[[], bytes]]:
    """Hostile documents of a format, by what is wrong with them; zips with the same things wrong in each."""
    samples = SAMPLES[media_type]
    data, main = samples.says("words"), samples.main
    made: dict[str, Callable[[], bytes]] = {
        "truncated": lambda: data[: len(data) * 2 // 3],
        "zeros": lambda: data[: len(data) // 2] + bytes(len(data) // 2),
        **samples.hostile,
    }
    if main:
        made |= {
            "bomb": lambda: with_part(data, main, BLANKS, times=MEGABYTES),
            "lying bomb": lambda: _lying(with_part(data, main, BLANKS, times=MEGABYTES)),
            "laughs": lambda: with_part(
                data, main, f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]><x>&l11;</x>'.encode()
            ),
            "outside": lambda: with_part(data, main, (OUTSIDE % "" + "<x>&l0;</x>").encode()),
            "deep": lambda: with_part(data, main, b"<x>" * 1_000_000),
            "no main part": lambda: with_part(data, main, b""),
            "locked": lambda: _locked(data),
        }
    return made


def _lying(data: bytes) -> bytes:
    """A zip that says in its directory that its bomb is small."""
    return data.replace((MEGABYTES * 2**20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))


def _locked(data: bytes) -> bytes:
    """A zip that says that its parts are encrypted."""
    locked = bytearray(data)
    for sign, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(sign)
        while at >= 0:
            locked[at + flags] |= 1
            at = data.find(sign, at + 4)
    return bytes(locked)
