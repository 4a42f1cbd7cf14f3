"""Rich text: words, pages, headings, tables, notes."""

import pytest

from app.core.formats import MediaType
from ingest.reading.loaders import Loaded, load

HEAD = (
    r"\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss\fcharset0 Arial;}{\f1\fcharset204 Times;}{\f2\fcharset128 Gothic;}}"
    r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 Chapter;}{\s2 heading 2;}}{\info{\title My R\'e9sum\'e9}}"
)


def _loaded(body: str) -> Loaded:
    return load(MediaType.RTF, f"{{\\rtf1{HEAD}\n{body}}}".encode("latin-1"))


def _lines(body: str) -> list[str]:
    return [line for line in (_loaded(body).pages[0].text or "").splitlines() if line]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (r"Gr\'fc\'dfe", "Grüße"),
        (r"\u8364?100", "€100"),
        (r"\uc2\u8364\'80\'80 100", "€ 100"),
        (r"\u-10179?\u-9014?", "\U0001f4ca"),
        (r"{\f1 \'cf\'f0\'e8\'e2\'e5\'f2}", "Привет"),
        (r"{\f2 \'93\'fa\'96\'7b}", "日本"),
        (r"{\f2 \'83e}", b"\x83e".decode("cp932")),
        (r"a\~b\_c\-d \{e\} \\", "a b‑cd {e} \\"),  # noqa: RUF001
        (r"{\b bold} and {\i it}alic\emdash\lquote so\rquote", "bold and italic—‘so’"),  # noqa: RUF001
        (r"412{\super 2} of 10{\super 6}, H{\sub 2}O", "412² of 10^6, H₂O"),
        (r"412\super 2\nosupersub  more", "412² more"),
        (r'{\field{\*\fldinst HYPERLINK "x"}{\fldrslt a link}}', "a link"),
        (r"{\listtext 1.\tab}First", "1. First"),
        (r"{\pict\pngblip 89504e47}after{\*\generator x;}", "after"),
        ("{\\pict\\bin4 }}}}}after", "after"),
    ],
)
def test_words_stand_as_they_are_shown(body: str, shown: str) -> None:
    assert _lines(body) == [shown]


def test_paragraphs_of_a_heading_s_style_or_level_are_headings() -> None:
    loaded = _loaded(r"\pard\s1 One\par\pard words\par\pard\s2 Two\par\pard\outlinelevel2 Three\par\pard more\par")
    assert loaded.pages[0].headings == ("One", "Two", "Three")
    assert loaded.title == "My Résumé"


def test_a_table_is_rows_and_its_marked_row_names_the_columns() -> None:
    row = r"\trowd%s\cellx1\cellx2\pard\intbl %s\cell %s\cell\row"
    page = _loaded(
        row % (r"\trhdr", "Name", "Price")
        + row % ("", "Tank", "1,800 euro")
        + row % ("", r"Hose\par long", "")
        + r"\pard after\par"
    ).pages[0]
    assert page.text == "Name | Price\nTank | 1,800 euro\nHose long |\n\nafter"
    assert page.table_headers == ("Name | Price",)


def test_a_page_break_begins_a_page() -> None:
    assert [page.text for page in _loaded(r"one\par\page two\par").pages] == ["one", "two"]


def test_a_footnote_stands_at_its_page_s_end() -> None:
    body = r"A fact{\super\chftn}{\footnote\pard {\super\chftn} Its source.\par} and more.\par More.\par"
    assert _lines(body) == ["A fact¹ and more.", "More.", "¹ Its source."]


def test_the_words_of_a_box_are_read() -> None:
    assert _lines(r"{\shp{\*\shpinst{\sp{\sn x}{\sv y}}{\shptxt \pard In a box\par}}}") == ["In a box"]


def test_what_follows_the_document_is_not_of_it() -> None:
    assert load(MediaType.RTF, rb"{\rtf1 words\par}more").pages[0].text == "words"
