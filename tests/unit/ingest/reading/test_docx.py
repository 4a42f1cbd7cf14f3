"""What Word puts into .docx, each as Word shows it."""

from io import BytesIO
from zipfile import ZipFile

import docx as python_docx
import pytest

from app.core.formats import MediaType
from ingest.reading.loaders import Loaded, load
from tests.support.docx_files import cell, docx, high, low, numbered, numbering, p, r, row, table
from worker.table_rows import row_of

USUAL, STRICT = "http://schemas.openxmlformats.org/", "http://purl.oclc.org/ooxml/"
FIELD = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
RESULT = f"{FIELD.format('begin')}<w:r><w:instrText>REF a</w:instrText></w:r>{FIELD.format('separate')}"
NOTE = '<w:r><w:footnoteReference w:id="{}"/></w:r>'
BREAK = '<w:r><w:br w:type="page"/></w:r>'
RENDERED = "<w:r><w:lastRenderedPageBreak/></w:r>"
CONTROL = "<w:sdt><w:sdtPr>{}</w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>"
OLD_FIELD = '<w:r><w:fldChar w:fldCharType="begin"><w:ffData>{}</w:ffData></w:fldChar></w:r>'
CHOICE = '<w:ddList><w:result w:val="1"/><w:listEntry w:val="Fish"/><w:listEntry w:val="Soup"/></w:ddList>'
BOX = "<w:r><mc:AlternateContent><mc:Choice>{0}</mc:Choice><mc:Fallback>{0}</mc:Fallback></mc:AlternateContent></w:r>"
TEXT_BOX = f"<w:drawing><w:txbxContent>{p('In a box.')}</w:txbxContent></w:drawing>"
SYMBOL = '<w:r><w:sym w:font="{}" w:char="{}"/></w:r>'

SHOWN = {
    "a raised figure": (p("Sales: 412", high("2"), " million"), "Sales: 412² million"),
    "a raised figure in pieces": (p("412", high("1"), high("2")), "412¹²"),
    "an exponent": (p("3 x 10", high("6"), " cells"), "3 x 10^6 cells"),
    "a lowered figure": (p("H", low("2"), "O"), "H₂O"),
    "an ordinal": (p("the 1", high("st")), "the 1st"),
    "words in pieces": (p("tran", "sport", r("ation")), "transportation"),
    "a tab": (p("Name:", "<w:r><w:tab/></w:r>", "Ada"), "Name: Ada"),
    "lines": (p("one", "<w:r><w:br/></w:r>", "two"), "one\ntwo"),
    "hyphens": (
        p("<w:r><w:t>co</w:t><w:noBreakHyphen/><w:t>op soft</w:t><w:softHyphen/><w:t>ware</w:t></w:r>"),
        "co-op software",
    ),
    "a link": (p('<w:hyperlink r:id="x">' + r("the form") + "</w:hyperlink>"), "the form"),
    "an insertion": (p("paid by ", "<w:ins>" + r("the tenant") + "</w:ins>"), "paid by the tenant"),
    "a deletion": (p("paid", "<w:del><w:r><w:delText>no</w:delText></w:r></w:del>"), "paid"),
    "a field's result": (p(RESULT, "page 3", FIELD.format("end")), "page 3"),
    "a simple field": (p('<w:fldSimple w:instr="DATE">' + r("1 March") + "</w:fldSimple>"), "1 March"),
    "a filled control": (p("Name: ", CONTROL.format('<w:alias w:val="x"/>', r("Ada"))), "Name: Ada"),
    "an empty control": (p("Name: ", CONTROL.format("<w:showingPlcHdr/>", r("Click here"))), "Name:"),
    "a control of paragraphs": (CONTROL.format("", p("one") + p("two")), "one\n\ntwo"),
    "a ticked box of old": (p(OLD_FIELD.format("<w:checkBox><w:checked/></w:checkBox>"), " Vegan"), "☑ Vegan"),
    "an empty box of old": (
        p(OLD_FIELD.format('<w:checkBox><w:default w:val="0"/></w:checkBox>'), " Vegan"),
        "☐ Vegan",
    ),
    "a choice of old": (
        p("Meal: ", OLD_FIELD.format(CHOICE)),
        "Meal: Soup",
    ),
    "a text box": (p("Beside it.", BOX.format(TEXT_BOX)), "Beside it.\n\nIn a box."),
    "Greek of the font Symbol": (p("5 ", SYMBOL.format("Symbol", "F06D"), "m"), "5 \u03bcm"),
    "a box of Wingdings": (p(SYMBOL.format("Wingdings", "F0FE"), " Vegan"), "☑ Vegan"),
    "an equation": (
        p(
            "<m:oMath><m:r><m:t>E=m</m:t></m:r><m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e>"
            "<m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath>"
        ),
        "E=mc²",
    ),
    "a fraction": (
        p(
            "<m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num>"
            "<m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>"
        ),
        "(a+b)/2",
    ),
}
TABLES = {
    "no head": (
        table(row("Deposit", "1,800 euro"), row("Pets", "allowed")),
        "Deposit | 1,800 euro\nPets | allowed",
        (),
    ),
    "a marked head": (
        table(row("Day", "2025", properties="<w:tblHeader/>"), row("Mon", "4")),
        "Day | 2025\nMon | 4",
        ("Day | 2025",),
    ),
    "a bold head": (
        table(row(cell(p(r("Day", "<w:b/>"))), cell(p(r("2025", "<w:b/>")))), row("Mon", "4")),
        "Day | 2025\nMon | 4",
        ("Day | 2025",),
    ),
    "words above figures": (
        table(row("Day", "Price"), row("Mon", "4"), row("Tue", "5")),
        "Day | Price\nMon | 4\nTue | 5",
        ("Day | Price",),
    ),
    "two rows of heads": (
        table(
            row(
                cell(p("Who"), '<w:vMerge w:val="restart"/>'),
                cell(p("Price"), '<w:gridSpan w:val="2"/>'),
                properties="<w:tblHeader/>",
            ),
            row(cell(p(), "<w:vMerge/>"), "Adult", "Child", properties="<w:tblHeader/>"),
            row("Mon", "4", "2"),
        ),
        "Who | Price Adult | Price Child\nMon | 4 | 2",
        ("Who | Price Adult | Price Child",),
    ),
    "a cell of two rows": (
        table(
            row("Day", "Time", "What", properties="<w:tblHeader/>"),
            row(cell(p("Mon"), '<w:vMerge w:val="restart"/>'), "9", "Swim"),
            row(cell(p(), "<w:vMerge/>"), "10", "Yoga"),
        ),
        "Day | Time | What\nMon | 9 | Swim\nMon | 10 | Yoga",
        ("Day | Time | What",),
    ),
    "a cell of two columns": (
        table(row("Mon", cell(p("closed"), '<w:gridSpan w:val="2"/>'), "x"), row("Tue", "1", "2", "y")),
        "Mon | closed | | x\nTue | 1 | 2 | y",
        (),
    ),
    "cells that begin later": (
        table(row("a", "b"), row("c", properties='<w:gridBefore w:val="1"/>')),
        f"a | b\n{row_of(('', 'c'))}",
        (),
    ),
    "a wrapped cell": (table(row(cell(p("one") + p("two")), "x"), row("3", "4")), "one two | x\n3 | 4", ()),
    "an empty cell": (table(row("a", "", "c"), row("d", "e", "f")), "a | | c\nd | e | f", ()),
    "a hidden row": (
        table(row("a", "b"), row("x", "y", properties="<w:hidden/>"), row("c", "d")),
        "a | b\nc | d",
        (),
    ),
    "a deleted row": (table(row("a", "b"), row("x", "y", properties="<w:del/>"), row("c", "d")), "a | b\nc | d", ()),
    "rows in a control": (table(CONTROL.format("", row("a", "b")), row("c", "d")), "a | b\nc | d", ()),
    "a table in a cell": (
        table(row("a", "b"), row("c", "d"), row("e", cell(table(row("x", "y")) + p()))),
        "a | b\nc | d\ne | x y",
        (),
    ),
    "a frame": (table(row(cell(p("One.") + table(row("a", "b"), row("c", "d"))))), "One.\n\na | b\nc | d", ()),
}
LISTS = {
    "figures": ([("decimal", "%1.")], [0, 0], ["1. a", "2. b"]),
    "letters in brackets": ([("lowerLetter", "(%1)")], [0, 0], ["(a) a", "(b) b"]),
    "Roman": ([("upperRoman", "%1.")], [0, 0, 0, 0], ["I. a", "II. b", "III. c", "IV. d"]),
    "clauses": (
        [("decimal", "%1"), ("decimal", "%1.%2"), ("decimal", "%1.%2.%3")],
        [0, 1, 1, 2, 0, 1],
        ["1 a", "1.1 b", "1.2 c", "1.2.1 d", "2 e", "2.1 f"],
    ),
    "mixed": (
        [("decimal", "%1."), ("lowerLetter", "%2)")],
        [0, 1, 1, 0, 1],
        ["1. a", "a) b", "b) c", "2. d", "a) e"],
    ),
    "bullets": ([("bullet", "\uf0b7")], [0, 0], ["• a", "• b"]),
    "words": ([("decimal", "Article %1")], [0, 0], ["Article 1 a", "Article 2 b"]),
    "none": ([("none", "")], [0], ["a"]),
}
HEADED = (("H1", "Rent"), ("H2", "Deposit"), ("H2", "Notice"), ("H1", "Keys"), ("H2", "Loss"))
STYLES = (
    '<w:style w:styleId="Kop1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="Own"><w:name w:val="Clause"/><w:basedOn w:val="Kop1"/></w:style>'
    '<w:style w:styleId="Lined"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>'
    '<w:style w:styleId="TOC"><w:name w:val="TOC Heading"/><w:basedOn w:val="Kop1"/>'
    '<w:pPr><w:outlineLvl w:val="9"/></w:pPr></w:style>'
    '<w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>'
    '<w:style w:styleId="Steps"><w:name w:val="Steps"/>'
    '<w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
    '<w:style w:styleId="High"><w:rPr><w:vertAlign w:val="superscript"/></w:rPr></w:style>'
    '<w:style w:styleId="Grid"><w:tblStylePr w:type="firstRow"><w:rPr><w:b/></w:rPr></w:tblStylePr></w:style>'
)


def _loaded(body: str, **parts: str) -> Loaded:
    return load(MediaType.DOCX, docx(body, **parts))


def _text(body: str, **parts: str) -> str:
    return "\f".join((page.text or "").strip("\n") for page in _loaded(body, **parts).pages)


@pytest.mark.parametrize("case", SHOWN)
def test_what_a_paragraph_holds_is_read_as_it_is_shown(case: str) -> None:
    body, shown = SHOWN[case]
    assert _text(body) == shown


@pytest.mark.parametrize("case", TABLES)
def test_a_table_is_read_by_rows(case: str) -> None:
    body, shown, heads = TABLES[case]
    (page,) = _loaded(body).pages
    assert page.text == shown
    assert page.table_headers == heads


def test_a_table_whose_style_sets_the_first_row_apart_has_it_as_its_head() -> None:
    look = '<w:tblStyle w:val="Grid"/><w:tblLook w:val="{}"/>'
    rows = (row("Day", "2025"), row("Mon", "4"))
    assert _loaded(table(*rows, properties=look.format("04A0")), styles=STYLES).pages[0].table_headers == (
        "Day | 2025",
    )
    assert _loaded(table(*rows, properties=look.format("0480")), styles=STYLES).pages[0].table_headers == ()


@pytest.mark.parametrize("case", LISTS)
def test_a_list_has_the_numbers_that_word_shows(case: str) -> None:
    levels, items, shown = LISTS[case]
    body = "".join(numbered(chr(ord("a") + at), level) for at, level in enumerate(items))
    assert _text(body, numbering=numbering(*levels)) == "\n".join(shown) or case == "none"


def test_a_list_that_begins_anew_counts_from_its_start() -> None:
    more = (
        '<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/>'
        "</w:lvlOverride></w:num>"
    )
    body = numbered("a") + numbered("b") + p("And:") + numbered("c", list_id=2) + numbered("d", list_id=2)
    shown = _text(body, numbering=numbering(("decimal", "%1."), more=more))
    assert shown == "1. a\n2. b\n\nAnd:\n\n5. c\n6. d"


def test_headings_are_numbered_by_their_styles() -> None:
    own = (
        '<w:style w:styleId="H1"><w:name w:val="heading 1"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>'
        "</w:style>"
        '<w:style w:styleId="H2"><w:name w:val="heading 2"/><w:basedOn w:val="H1"/>'
        '<w:pPr><w:numPr><w:ilvl w:val="1"/></w:numPr></w:pPr></w:style>'
    )
    body = "".join(p(words, properties=f'<w:pStyle w:val="{style}"/>') for style, words in HEADED)
    (page,) = _loaded(body, styles=own, numbering=numbering(("decimal", "%1"), ("decimal", "%1.%2"))).pages
    assert page.headings == ("1 Rent", "1.1 Deposit", "1.2 Notice", "2 Keys", "2.1 Loss")


def test_a_style_brings_a_list() -> None:
    body = p("Fill", properties='<w:pStyle w:val="Steps"/>') + p("Boil", properties='<w:pStyle w:val="Steps"/>')
    assert _text(body, styles=STYLES, numbering=numbering(("decimal", "Step %1:"))) == "Step 1: Fill\nStep 2: Boil"


@pytest.mark.parametrize(
    ("properties", "is_heading"),
    [
        ('<w:pStyle w:val="Kop1"/>', True),
        ('<w:pStyle w:val="Own"/>', True),
        ('<w:pStyle w:val="Lined"/>', True),
        ('<w:pStyle w:val="Titel"/>', True),
        ('<w:pStyle w:val="Heading2"/>', True),
        ('<w:outlineLvl w:val="0"/>', True),
        ('<w:pStyle w:val="TOC"/>', False),
        ('<w:pStyle w:val="Kop1"/><w:outlineLvl w:val="9"/>', False),
        ("", False),
    ],
)
def test_headings_are_known_by_style_or_level(properties: str, is_heading: bool) -> None:
    (page,) = _loaded(p("Rent", properties=properties) + p("900 euro."), styles=STYLES).pages
    assert page.text == "Rent\n\n900 euro."
    assert page.headings == (("Rent",) if is_heading else ())


def test_a_numbered_heading_has_its_number() -> None:
    properties = '<w:pStyle w:val="Kop1"/><w:numPr><w:numId w:val="1"/></w:numPr>'
    (page,) = _loaded(p("Rent", properties=properties), styles=STYLES, numbering=numbering(("decimal", "%1."))).pages
    assert page.headings == ("1. Rent",)
    assert page.text == "1. Rent"


@pytest.mark.parametrize(
    ("core", "title"),
    [
        ("Lease contract", "Lease contract"),
        ("", "Rules"),
        ("Word Document", "Rules"),
        ("Microsoft Word - Document3", "Rules"),
    ],
)
def test_the_title_is_the_documents_own_or_stands_in_it(core: str, title: str) -> None:
    body = p("1 Rent", properties='<w:pStyle w:val="Kop1"/>') + p("Rules", properties='<w:pStyle w:val="Titel"/>')
    assert _loaded(body, core=core, styles=STYLES).title == title


def test_a_raised_run_may_be_so_by_its_style() -> None:
    assert _text(p("412", r("2", '<w:rStyle w:val="High"/>')), styles=STYLES) == "412²"


def test_notes_follow_with_the_marks_that_the_text_has() -> None:
    notes = "".join(
        f'<w:footnote w:id="{n}">{p(words)}</w:footnote>' for n, words in ((3, "Unaudited."), (4, "In euro."))
    )
    separator = f'<w:footnote w:id="0" w:type="separator">{p("x")}</w:footnote>'
    ends = f'<w:endnote w:id="2">{p("See the law.")}</w:endnote>'
    body = p("Sales: 412", NOTE.format(3), " million", NOTE.format(4)) + p(
        "Law", '<w:r><w:endnoteReference w:id="2"/></w:r>'
    )
    shown = _text(body, footnotes=separator + notes, endnotes=ends)
    assert shown == "Sales: 412¹ million²\n\nLawⁱ\n\n¹ Unaudited.\n\n² In euro.\n\nⁱ See the law."


def test_notes_stand_at_the_end_of_their_page() -> None:
    note = f'<w:footnote w:id="3">{p("Unaudited.")}</w:footnote>'
    body = p("412", NOTE.format(3)) + p(BREAK) + p("Next.")
    assert _text(body, footnotes=note) == "412¹\n\n¹ Unaudited.\fNext."


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (p("one", BREAK) + p("two"), "one\ftwo"),
        (p("one") + p(BREAK, "two"), "one\ftwo"),
        (p("one", BREAK) + p(RENDERED, "two"), "one\ftwo"),
        (p("one") + p(RENDERED, "two"), "one\ftwo"),
        (p("a sentence over ", RENDERED, "two pages"), "a sentence over\ftwo pages"),
        (p("one") + p("two", properties="<w:pageBreakBefore/>"), "one\ftwo"),
        (p("one") + p(RENDERED, "two", properties="<w:pageBreakBefore/>"), "one\ftwo"),
        (p("one", properties="<w:sectPr/>") + p("two") + "<w:sectPr/>", "one\ftwo"),
        (
            p("one", properties="<w:sectPr/>") + p("two") + '<w:sectPr><w:type w:val="continuous"/></w:sectPr>',
            "one\n\ntwo",
        ),
        (p("one", BREAK, BREAK) + p("three"), "one\f\fthree"),
        (p("one", '<w:r><w:br w:type="column"/></w:r>', "two"), "one\ntwo"),
    ],
)
def test_pages_are_parted_where_word_parts_them(body: str, shown: str) -> None:
    assert _text(body) == shown


def test_a_table_over_pages_has_its_head_on_each() -> None:
    rows = (row("Day", "Price", properties="<w:tblHeader/>"), row("Mon", "4"), row(cell(p(RENDERED, "Tue")), "5"))
    pages = _loaded(table(*rows)).pages
    assert [(page.text or "").strip() for page in pages] == ["Day | Price\nMon | 4", "Day | Price\nTue | 5"]
    assert [page.table_headers for page in pages] == [("Day | Price",), ("Day | Price",)]


def test_headers_and_footers_are_read_once() -> None:
    section = '<w:sectPr><w:headerReference r:id="header"/><w:footerReference r:id="footer"/></w:sectPr>'
    body = (
        p("one", properties=section)
        + p("two")
        + section.replace("<w:sectPr>", '<w:sectPr><w:type w:val="continuous"/>')
    )
    assert _text(body, header=p("The club"), footer=p("Confidential")) == "The club\n\none\n\ntwo\n\nConfidential"


def test_a_document_of_isos_strict_form_is_read() -> None:
    usual = docx(p("Keys: ", r("no", "<w:vanish/>"), "two"))
    strict = BytesIO()
    with ZipFile(BytesIO(usual)) as parts, ZipFile(strict, "w") as written:
        for name in parts.namelist():
            text = parts.read(name).decode()
            text = text.replace(
                "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
                "http://purl.oclc.org/ooxml/wordprocessingml/main",
            )
            written.writestr(
                name,
                text.replace(
                    "http://schemas.openxmlformats.org/officeDocument/2006/",
                    "http://purl.oclc.org/ooxml/officeDocument/",
                ),
            )
    assert load(MediaType.DOCX, strict.getvalue()).pages[0].text == "Keys: two"


def test_the_document_may_have_another_name_in_its_zip() -> None:
    assert _text(p("Rent"), main="word/document2.xml") == "Rent"


def test_a_document_of_another_program_is_read_as_it_is_shown() -> None:
    """The lease of the first complaint, made by python-docx."""
    made = python_docx.Document()
    made.core_properties.title = ""
    made.add_paragraph("Lease contract", style="Title")
    made.add_heading("1 Rent", 1)
    made.add_paragraph("The rent is 900 euro a month.")
    cells = made.add_table(rows=3, cols=2)
    for at, (name, value) in enumerate([("Deposit", "1,800 euro"), ("Notice", "three months"), ("Pets", "allowed")]):
        cells.cell(at, 0).text, cells.cell(at, 1).text = name, value
    made.add_paragraph("first point", style="List Number")
    made.add_paragraph("second point", style="List Number")
    made.add_paragraph("a towel", style="List Bullet")
    data = BytesIO()
    made.save(data)
    loaded = load(MediaType.DOCX, data.getvalue())
    (page,) = loaded.pages
    assert page.text == (
        "Lease contract\n\n1 Rent\n\nThe rent is 900 euro a month.\n\n"
        "Deposit | 1,800 euro\nNotice | three months\nPets | allowed\n\n"
        "1. first point\n2. second point\n• a towel"
    )
    assert page.headings == ("Lease contract", "1 Rent")
    assert page.table_headers == ()
    assert loaded.title == "Lease contract"
