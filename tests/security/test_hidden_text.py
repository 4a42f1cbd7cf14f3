"""A hostile document: words on its pages that no reader sees, meant for the index or the model behind it."""

import time
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import pytest

from app.core.formats import MediaType
from ingest.reading.loaders import load
from ingest.reading.pdf.document import PdfDocument
from tests.security import hidden_office
from tests.security.hidden_pdfs import LOOKS_ALIKE, MARK, SHOWN, WAYS


def _read(data: bytes) -> str:
    document = PdfDocument(data)
    try:
        return document.page(0).text or ""
    finally:
        document.close()


@pytest.mark.parametrize("way", WAYS)
def test_words_that_are_hidden_on_a_pdf_s_page_are_not_read(way: str) -> None:
    text = _read(WAYS[way]().pdf())
    assert SHOWN in text
    assert MARK.casefold() not in text.casefold()


@pytest.mark.parametrize("way", LOOKS_ALIKE)
def test_words_that_only_look_hidden_are_read(way: str) -> None:
    text = _read(LOOKS_ALIKE[way]().pdf())
    assert SHOWN in text
    assert MARK in text


def test_a_bar_over_a_name_leaves_the_rest_of_its_line() -> None:
    assert _read(WAYS["a bar on part of a line"]().pdf()).split() == [f"{SHOWN}:", "Smith"]


def _text(media_type: MediaType, data: bytes) -> str:
    return "\n".join(page.text or "" for page in load(media_type, data).pages)


SHEET = "<style>%s</style>"
HTML_WAYS = {
    "display": '<p style="display:none">{}</p>',
    "display, shouted": '<p style="DISPLAY : NONE !important">{}</p>',
    "attribute": "<p hidden>{}</p>",
    "attribute of an element around": "<section hidden><div><p>{}</p></div></section>",
    "visibility": '<p style="visibility:hidden">{}</p>',
    "opacity": '<p style="opacity:0">{}</p>',
    "size": '<p style="font-size:0">{}</p>',
    "one pixel": '<p style="font-size:1px">{}</p>',
    "size of an element around": '<div style="font-size:0"><span>{}</span></div>',
    "white": '<p style="color:#fff">{}</p>',
    "nearly white": '<p style="color:rgb(250, 250, 250)">{}</p>',
    "transparent": '<p style="color:transparent">{}</p>',
    "its ground's colour": '<div style="background:#204060"><p style="color:#204060">{}</p></div>',
    "an old attribute": '<font color="white">{}</font>',
    "left of the page": '<p style="position:absolute;left:-9999px">{}</p>',
    "indented away": '<p style="text-indent:-9999px">{}</p>',
    "cut to nothing": '<p style="height:0;overflow:hidden">{}</p>',
    "clipped": '<p style="position:absolute;clip:rect(0,0,0,0)">{}</p>',
    "clipped by a path": '<p style="clip-path:inset(100%)">{}</p>',
    "scaled to nothing": '<p style="transform:scale(0)">{}</p>',
    "template": "<template>{}</template>",
    "noscript": "<noscript>{}</noscript>",
    "closed dialog": "<dialog>{}</dialog>",
    "comment": "<!-- {} -->",
    "comment without an end": "<!-- {}",
    "script": "<script>var a = '{}'</script>",
    "class": SHEET % ".x{{display:none}}" + '<p class="a x">{}</p>',
    "identifier": SHEET % "#x{{display:none}}" + '<p id="x">{}</p>',
    "name": SHEET % "aside, nav {{display:none}}" + "<nav>{}</nav>",
    "place": SHEET % "div > p.x {{visibility:hidden}}" + '<div><p class="x">{}</p></div>',
    "for screens": SHEET % "@media screen {{ .x {{display:none}} }}" + '<p class="x">{}</p>',
    "the more exact rule": SHEET % "p.x{{display:none}} p{{display:block}}" + '<p class="x">{}</p>',
}
HTML_LOOKS_ALIKE = {
    "plain": "<p>{}</p>",
    "folded": "<details><summary>More</summary>{}</details>",
    "white on a dark ground": '<div style="background-color:#000"><p style="color:#fff">{}</p></div>',
    "white on a picture": '<div style="background:url(a.png)"><p style="color:#fff">{}</p></div>',
    "grey": '<p style="color:#999">{}</p>',
    "a size of its own in none": '<ul style="font-size:0"><li style="font-size:16px">{}</li></ul>',
    "seen in what is not": '<div style="visibility:hidden"><p style="visibility:visible">{}</p></div>',
    "hidden in print": SHEET % "@media print {{ .x {{display:none}} }}" + '<p class="x">{}</p>',
    "the later rule": SHEET % ".x{{display:none}} .x{{display:block}}" + '<p class="x">{}</p>',
    "the more exact rule": SHEET % ".x.on{{display:block}} .x{{display:none}}" + '<p class="x on">{}</p>',
    "for people only": '<p aria-hidden="true">{}</p>',
    "an open dialog": "<dialog open>{}</dialog>",
    "after a hidden one": "<p hidden>no</p><p>{}</p>",
    "after a hidden one that is not closed": "<p hidden>no<p>{}",
    "after a script that looks like a comment": "<script><!-- no\n</script><p>{}</p>",
}
MARKDOWN_WAYS = {
    "comment": "<!-- {} -->",
    "comment of lines": "<!--\n\n{}\n\n-->",
    "comment over code": "<!--\n```\n{}\n```\n-->",
    "comment without an end": "<!-- {}",
    "link as a comment": "[//]: # ({})",
    "link as a comment, quoted": '[comment]: <> "{}"',
    "display": '<div style="display:none">{}</div>',
    "attribute": "<span hidden>{}</span>",
    "within one another": "<div hidden><div>a</div>\n{}\n</div>",
    "template": "<template>{}</template>",
    "script": "<script>{}</script>",
    "white": '<font color="#ffffff">{}</font>',
}
MARKDOWN_LOOKS_ALIKE = {
    "plain": "{}",
    "code": "```html\n<!-- {} -->\n```",
    "code in a line": "Write `<!-- {} -->` there.",
    "footnote": "[^1]: {}",
    "after a comment": "<!-- no --> {}",
    "after a hidden paragraph": "<p hidden>no\n\n{}",
    "link": "[{}](https://example.com)",
    "an element": '<div align="center">{}</div>',
}


def _run(properties: str) -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{{}}</w:t></w:r>"


DOCX_WAYS = {
    "vanish": _run("<w:vanish/>"),
    "special vanish": _run("<w:specVanish/>"),
    "hidden on the web": _run('<w:webHidden w:val="1"/>'),
    "by a style": _run('<w:rStyle w:val="Derived"/>'),
    "by a paragraph's style": '</w:p><w:p><w:pPr><w:pStyle w:val="Gone"/></w:pPr><w:r><w:t>{}</w:t></w:r>',
    "white": _run('<w:color w:val="FFFFFF"/>'),
    "white of the theme": _run('<w:color w:val="auto" w:themeColor="background1"/>'),
    "one point": _run('<w:sz w:val="2"/>'),
    "one per cent wide": _run('<w:w w:val="1"/>'),
    "deleted": "<w:del><w:r><w:delText>{}</w:delText></w:r></w:del>",
    "deleted, as plain words": "<w:del><w:r><w:t>{}</w:t></w:r></w:del>",
    "moved away": "<w:moveFrom><w:r><w:t>{}</w:t></w:r></w:moveFrom>",
    "a hidden row": "</w:p><w:tbl><w:tr><w:trPr><w:hidden/></w:trPr><w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    "</w:tr></w:tbl><w:p>",
    "a field's code": "<w:r><w:instrText>{}</w:instrText></w:r>",
}
DOCX_LOOKS_ALIKE = {
    "plain": "<w:r><w:t>{}</w:t></w:r>",
    "vanish that is off": _run('<w:vanish w:val="0"/>'),
    "white on dark": _run('<w:color w:val="FFFFFF"/><w:shd w:fill="1F3864"/>'),
    "white and highlighted": _run('<w:color w:val="FFFFFF"/><w:highlight w:val="blue"/>'),
    "white in a dark paragraph": '</w:p><w:p><w:pPr><w:shd w:fill="000000"/></w:pPr>'
    + _run('<w:color w:val="FFFFFF"/>'),
    "grey": _run('<w:color w:val="A6A6A6"/>'),
    "small print": _run('<w:sz w:val="10"/>'),
    "inserted": "<w:ins><w:r><w:t>{}</w:t></w:r></w:ins>",
}
DOCX_STYLES = (
    '<w:style w:styleId="Gone"><w:rPr><w:vanish/></w:rPr></w:style>'
    '<w:style w:styleId="Derived"><w:basedOn w:val="Gone"/></w:style>'
)


def _docx(body: str) -> bytes:
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as parts:
        shown = f"<w:p><w:r><w:t>{SHOWN}</w:t></w:r>{body.format(MARK)}</w:p>"
        parts.writestr("word/document.xml", f"<w:document {namespace}><w:body>{shown}</w:body></w:document>")
        parts.writestr("word/styles.xml", f"<w:styles {namespace}>{DOCX_STYLES}</w:styles>")
        parts.writestr("word/comments.xml", f"<w:comments {namespace}>{MARK}</w:comments>")
    return out.getvalue()


def _html(body: str) -> bytes:
    return f"<html><body><p>{SHOWN}</p>{body.format(MARK)}</body></html>".encode()


def _markdown(body: str) -> bytes:
    return f"# {SHOWN}\n\n{body.format(MARK)}\n".encode()


OTHERS: dict[MediaType, tuple[Callable[[Any], bytes], Mapping[str, Any], Mapping[str, Any]]] = {
    MediaType.HTML: (_html, HTML_WAYS, HTML_LOOKS_ALIKE),
    MediaType.MARKDOWN: (_markdown, MARKDOWN_WAYS, MARKDOWN_LOOKS_ALIKE),
    MediaType.DOCX: (_docx, DOCX_WAYS, DOCX_LOOKS_ALIKE),
    MediaType.PPTX: (hidden_office.slides, hidden_office.SLIDE_WAYS, hidden_office.SLIDE_LOOKS_ALIKE),
    MediaType.XLSX: (hidden_office.workbook, hidden_office.SHEET_WAYS, hidden_office.SHEET_LOOKS_ALIKE),
    MediaType.RTF: (hidden_office.rtf, hidden_office.RTF_WAYS, hidden_office.RTF_LOOKS_ALIKE),
    MediaType.EPUB: (hidden_office.book, hidden_office.BOOK_WAYS, hidden_office.BOOK_LOOKS_ALIKE),
    MediaType.EML: (hidden_office.mail, hidden_office.MAIL_WAYS, hidden_office.MAIL_LOOKS_ALIKE),
}
SHOW_ALL = {MediaType.PDF, MediaType.TEXT, MediaType.CSV, MediaType.TSV}
"""Tried above, and those in which nothing can be hidden."""


@pytest.mark.parametrize(("kind", "way"), [(kind, way) for kind, (_, ways, _) in OTHERS.items() for way in ways])
def test_words_that_are_hidden_in_another_format_are_not_read(kind: MediaType, way: str) -> None:
    make, ways, _ = OTHERS[kind]
    text = _text(kind, make(ways[way]))
    assert SHOWN in text
    assert MARK not in text


@pytest.mark.parametrize(("kind", "way"), [(kind, way) for kind, (_, _, ways) in OTHERS.items() for way in ways])
def test_words_that_only_look_hidden_in_another_format_are_read(kind: MediaType, way: str) -> None:
    make, _, ways = OTHERS[kind]
    text = _text(kind, make(ways[way]))
    assert SHOWN in text
    assert MARK in text


def test_every_format_that_can_hide_words_is_tried() -> None:
    assert set(OTHERS) | SHOW_ALL == set(MediaType)


@pytest.mark.parametrize("unit", ["<a ", "<a b=", '<a "', "<!--", "<a/", "</a", "<", "&", "<?", "<![CDATA["])
def test_a_page_of_tags_that_never_end_takes_no_time(unit: str) -> None:
    began = time.process_time()
    _text(MediaType.HTML, b"<p>words</p>" + unit.encode() * (100_000 // len(unit)))
    assert time.process_time() - began < 5
