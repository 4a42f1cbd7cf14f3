"""Fields, notes and stamps on a PDF's page: what is shown is read, what is not shown isn't."""

import pytest

from ingest.reading.page import Page
from ingest.reading.pdf.document import PdfDocument
from tests.security.hidden_pdfs import text
from tests.support.form_pdfs import PRINT, TICK, Annotated, box, field, note, words

VALUE = "Zanzibar"
TITLE = text("Permit", y=700)
LABELLED = TITLE + text("Home port:", x=60, y=605, size=10)
HIDDEN, NO_VIEW, INVISIBLE, LOCKED, READ_ONLY = 2, 32, 1, 128, 64


def _page(page: Annotated) -> Page:
    document = PdfDocument(page.pdf())
    try:
        return document.page(0)
    finally:
        document.close()


def _text(page: Annotated) -> str:
    return _page(page).text or ""


def _one(annotation: tuple[str, str | None], content: str = LABELLED, form: str = "") -> str:
    return _text(Annotated(content, (annotation,), form))


FIELDS: dict[str, tuple[tuple[str, str | None], str]] = {
    "text": ((field("/Tx", "port", 600, more=f"/V({VALUE})"), words(VALUE)), "Home port: Zanzibar"),
    "text of several lines": (
        (
            field("/Tx", "port", 600, more="/Ff 4096/V(Stone Town\\rZanzibar)"),
            words("Stone Town").replace("ET", "0 -9 Td (Zanzibar) Tj ET"),
        ),
        "Home port: Stone Town Zanzibar",
    ),
    "text in combs": (
        (field("/Tx", "port", 600, more="/MaxLen 9/Ff 16777216/V(Zanzibar)"), words(VALUE, "9 Tc")),
        "Home port: Zanzibar",
    ),
    "choice": (
        (field("/Ch", "port", 600, more="/Ff 131072/Opt[[(z)(Zanzibar)][(p)(Pemba)]]/V(z)"), words(VALUE)),
        "Home port: Zanzibar",
    ),
    "list of several": (
        (
            field("/Ch", "port", 600, more="/Ff 2097152/Opt[(Pemba)(Zanzibar)(Mafia)]/V[(Zanzibar)]"),
            words("Pemba  Zanzibar  Mafia"),
        ),
        "Home port: Zanzibar",
    ),
    "signature": (
        (field("/Sig", "port", 600), words("Signed by Ada Example")),
        "Home port: Signed by Ada Example",
    ),
    "ticked box": ((box("port", 600, state="Zanzibar"), TICK), "Home port: Zanzibar"),
    "ticked box without a word": ((box("port", 600, state="On"), TICK), "Home port: yes"),
    "ticked radio button": (
        (box("port", 600, state="Zanzibar", more="/Ff 32768"), TICK),
        "port: Zanzibar",
    ),
}
"""By their kind, each with its line of text beside the printed words "Home port:"."""


@pytest.mark.parametrize("kind", FIELDS)
def test_a_filled_field_is_a_line_with_its_label(kind: str) -> None:
    annotation, line = FIELDS[kind]
    assert line in _one(annotation).split("\n")


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("flag", [HIDDEN, NO_VIEW, INVISIBLE])
def test_a_field_that_its_flags_hide_is_not_read(kind: str, flag: int) -> None:
    (body, drawn), line = FIELDS[kind]
    shown = _one((body.replace(f"/F {PRINT}", f"/F {PRINT | flag}"), drawn))
    assert shown == "Permit\nHome port:"
    assert line not in shown


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("flags", [0, READ_ONLY, LOCKED, READ_ONLY | LOCKED | PRINT])
def test_other_flags_hide_no_field(kind: str, flags: int) -> None:
    (body, drawn), line = FIELDS[kind]
    assert line in _one((body.replace(f"/F {PRINT}", f"/F {flags}"), drawn))


WRITTEN = ("text", "text of several lines", "text in combs", "choice")


@pytest.mark.parametrize("kind", [*WRITTEN, "list of several"])
@pytest.mark.parametrize("form", ["", "/NeedAppearances true"])
def test_a_field_without_an_appearance_is_read_from_the_form(kind: str, form: str) -> None:
    (body, _), line = FIELDS[kind]
    assert line in _one((body, None), form=form).split("\n")


@pytest.mark.parametrize("kind", ["ticked box", "ticked radio button"])
def test_a_box_without_a_shape_is_ticked_where_viewers_draw_it_anew(kind: str) -> None:
    (body, _), line = FIELDS[kind]
    assert line in _one((body.replace("@ 0 R", "99 0 R"), None), form="/NeedAppearances true").split("\n")


@pytest.mark.parametrize("kind", WRITTEN)
def test_an_old_appearance_does_not_count_where_viewers_draw_them_anew(kind: str) -> None:
    (body, _), line = FIELDS[kind]
    assert line in _one((body, words("Pemba")), form="/NeedAppearances true")


def test_what_is_shown_counts_and_not_the_value_behind_it() -> None:
    shown = _one((field("/Tx", "port", 600, more=f"/V({VALUE})"), words("Pemba")))
    assert shown == "Permit\nHome port: Pemba"


def test_an_empty_field_and_a_box_that_is_not_ticked_say_nothing() -> None:
    empty = field("/Tx", "port", 600)
    unticked = box("crew", 500).replace("/AS/Yes/V/Yes", "/AS/Off/V/Off")
    assert _text(Annotated(LABELLED, ((empty, ""), (unticked, TICK)))) == "Permit\nHome port:"


def test_a_button_s_caption_is_no_word_of_the_document() -> None:
    button = field("/Btn", "print", 600, more="/Ff 65536/MK<</CA(Print)>>")
    assert _one((button, words("Print this form"))) == "Permit\nHome port:"


def test_a_password_is_not_read() -> None:
    secret = field("/Tx", "port", 600, more=f"/Ff 8192/V({VALUE})")
    for form, drawn in (("", None), ("/NeedAppearances true", None), ("", words("********"))):
        assert VALUE not in _one((secret, drawn), form=form)


@pytest.mark.parametrize(
    ("content", "more", "line"),
    [
        (LABELLED, "/TU(Port of registry)", "Port of registry: Zanzibar"),
        (LABELLED, "", "Home port: Zanzibar"),
        (TITLE, "", "home port: Zanzibar"),
        (TITLE + text("Home port", x=201, y=624, size=10), "", "Home port: Zanzibar"),
        (LABELLED, "/TU(Home port)", "Home port: Zanzibar"),
    ],
)
def test_its_label_is_the_tooltip_else_what_is_printed_beside_or_above_else_its_name(
    content: str, more: str, line: str
) -> None:
    assert line in _one((field("/Tx", "home_port", 600, more=f"/V({VALUE}){more}"), words(VALUE)), content).split(
        "\n"
    )


def test_a_name_that_a_program_gave_is_no_label() -> None:
    for name in ("Text12", "f1_02[0]", "form1[0].#subform[0].TextField3[0]", "Check Box4", "undefined_3"):
        assert _one((field("/Tx", name, 600, more=f"/V({VALUE})"), words(VALUE)), TITLE).endswith("\n\nZanzibar")


def test_fields_of_one_row_have_each_their_own_label() -> None:
    content = TITLE + text("Port:", x=60, y=605, size=10) + text("Crew:", x=310, y=605, size=10)
    port = field("/Tx", "a", 600, more=f"/V({VALUE})", x=100).replace("[100 600 300 620]", "[100 600 300 620]")
    crew = field("/Tx", "b", 600, more="/V(Twelve)", x=360)
    lines = _text(Annotated(content, ((port, words(VALUE)), (crew, words("Twelve"))))).split("\n")
    assert "Port: Zanzibar" in lines
    assert "Crew: Twelve" in lines


def test_a_radio_button_says_what_is_printed_beside_it() -> None:
    content = TITLE + text("Sail", x=220, y=602, size=10) + text("Steam", x=220, y=582, size=10)
    off = box("Drive", 600, state="a", more="/Ff 32768").replace("/AS/a", "/AS/Off").replace("/V/a", "/V/b")
    on = box("Drive", 580, state="b", more="/Ff 32768")
    assert _text(Annotated(content, ((off, TICK), (on, TICK)))) == "Permit\n\nSail\nDrive: Steam"


def test_printed_words_are_not_repeated_and_are_no_heading_any_more() -> None:
    page = _page(Annotated(TITLE + text("Port", x=60, y=605, size=18), (FIELDS["text"][0],)))
    assert page.text == "Permit\nPort: Zanzibar"
    assert "Port" not in page.headings


NOTES: dict[str, str] = {
    "FreeText": "/Contents(Something else)/DA(/Helv 10 Tf 0 g)",
    "Stamp": "/Name/Approved",
    "Square": "",
    "Line": "/L[200 600 300 600]",
    "Polygon": "/Vertices[200 600 300 600 300 620]",
    "Watermark": "",
    "Ink": "/InkList[[200 600 300 620]]",
    "Caret": "",
}


@pytest.mark.parametrize("kind", NOTES)
def test_the_words_that_a_note_draws_are_read_as_a_paragraph(kind: str) -> None:
    shown = _one((note(kind, 600, more=NOTES[kind]), words(VALUE)), TITLE, form="")
    assert shown == f"Permit\n\n{VALUE}"


@pytest.mark.parametrize("kind", NOTES)
@pytest.mark.parametrize("flag", [HIDDEN, NO_VIEW, INVISIBLE])
def test_a_note_that_its_flags_hide_is_not_read(kind: str, flag: int) -> None:
    assert _one((note(kind, 600, more=NOTES[kind], flags=PRINT | flag), words(VALUE)), TITLE) == "Permit"


def test_a_typed_note_without_an_appearance_is_read() -> None:
    more = f"/Contents({VALUE} by noon)/DA(/Helv 10 Tf 0 g)"
    assert _one((note("FreeText", 600, more=more), None), TITLE) == f"Permit\n\n{VALUE} by noon"


def test_a_note_typed_behind_a_label_is_its_answer() -> None:
    assert _one((note("FreeText", 600, more=f"/Contents({VALUE})"), words(VALUE))) == "Permit\nHome port: Zanzibar"


@pytest.mark.parametrize("kind", ["Text", "Popup", "Link", "FileAttachment", "Highlight"])
def test_a_comment_opens_elsewhere_and_is_not_on_the_page(kind: str) -> None:
    more = f"/Contents({VALUE})/QuadPoints[200 620 400 620 200 600 400 600]"
    assert _one((note(kind, 600, more=more), None), TITLE) == "Permit"


def test_a_page_of_notes_alone_is_not_blank() -> None:
    assert _page(Annotated("", ((note("FreeText", 600), words(VALUE)),), None)).text == VALUE


def test_a_page_can_be_asked_for_again() -> None:
    document = PdfDocument(Annotated(LABELLED, (FIELDS["text"][0],)).pdf())
    assert document.page(0) == document.page(0) == document.page(0)
    document.close()


BAR = "0 g 0 0 200 20 re f"
WHITE = words(VALUE, "1 g")
HOSTILE: dict[str, tuple[tuple[str, str | None], ...]] = {
    "white": ((field("/Tx", "a", 600, more=f"/V({VALUE})"), WHITE),),
    "invisible": ((field("/Tx", "a", 600, more=f"/V({VALUE})"), words(VALUE, "3 Tr")),),
    "tiny": ((field("/Tx", "a", 600, more=f"/V({VALUE})"), text(VALUE, x=2, y=5, size=0.5)),),
    "a value behind an empty appearance": ((field("/Tx", "a", 600, more=f"/V({VALUE})"), ""),),
    "a value behind other words": ((field("/Tx", "a", 600, more=f"/V({VALUE})"), words("Pemba")),),
    "white, drawn by viewers": ((field("/Tx", "a", 600, more=f"/V({VALUE})").replace("0 g)", "1 g)"), None),),
    "tiny, drawn by viewers": ((field("/Tx", "a", 600, more=f"/V({VALUE})").replace("10 Tf", "0.5 Tf"), None),),
    "no place": ((field("/Tx", "a", 600, more=f"/V({VALUE})").replace("400 620", "200 600"), words(VALUE)),),
    "off the page": ((field("/Tx", "a", 900, more=f"/V({VALUE})"), words(VALUE)),),
    "off the page, drawn by viewers": ((field("/Tx", "a", 900, more=f"/V({VALUE})"), None),),
    "under another": (
        (field("/Tx", "a", 600, more=f"/V({VALUE})"), words(VALUE)),
        (note("Square", 600), BAR),
    ),
    "under another, drawn by viewers": (
        (field("/Tx", "a", 600, more=f"/V({VALUE})"), None),
        (note("Square", 600), BAR),
    ),
    "a white note": ((note("FreeText", 600, more=f"/Contents({VALUE})"), WHITE),),
    "a note's contents behind other words": ((note("FreeText", 600, more=f"/Contents({VALUE})"), words("Pemba")),),
    "a note under another": ((note("FreeText", 600), words(VALUE)), (note("Stamp", 600), BAR)),
    "a stamp's contents": ((note("Stamp", 600, more=f"/Contents({VALUE})"), words("Pemba")),),
    "a tick without ink": ((box("a", 600, state=VALUE), ""),),
    "a tick that is not there": ((box("a", 600, state=VALUE).replace(f"/AS/{VALUE}", "/AS/Off"), TICK),),
    "an option that is not chosen": (
        (field("/Ch", "a", 600, more=f"/Ff 131072/Opt[(Pemba)({VALUE})]/V(Pemba)"), words("Pemba")),
    ),
    "a default value": ((field("/Tx", "a", 600, more=f"/DV({VALUE})/V()"), ""),),
    "a form's rich text": ((field("/Tx", "a", 600, more=f"/RV({VALUE})/V(Pemba)"), words("Pemba")),),
}


@pytest.mark.parametrize("way", HOSTILE)
@pytest.mark.parametrize("form", ["", "/NeedAppearances false"])
def test_words_that_a_field_or_note_does_not_show_are_not_read(way: str, form: str) -> None:
    shown = _text(Annotated(TITLE, HOSTILE[way], form))
    assert "Permit" in shown
    assert VALUE not in shown


def test_a_note_on_a_layer_is_read_when_the_layer_is_shown() -> None:
    layer = "/OCProperties<</OCGs[8 0 R]/D<</%s[8 0 R]>>>>"
    notes = ((note("FreeText", 600, more="/OC 8 0 R"), words(VALUE)),)
    for state, shown in (("ON", f"Permit\n\n{VALUE}"), ("OFF", "Permit")):
        page = Annotated(TITLE, notes, None, layer % state, (b"<</Type/OCG/Name(l)>>",))
        assert _text(page) == shown


def test_printed_words_under_a_field_are_hidden() -> None:
    cover = (field("/Tx", "a", 600, more="/V(Pemba)"), "0 g 0 0 200 20 re f 1 g " + words("Pemba"))
    shown = _text(Annotated(TITLE + text(VALUE, x=205, y=605, size=10), (cover,)))
    assert "Pemba" in shown
    assert VALUE not in shown


def test_a_tooltip_or_a_name_is_no_place_for_more_than_a_label() -> None:
    long = "word " * 200
    for more in (f"/TU({long})", ""):
        shown = _one((field("/Tx", long, 600, more=f"/V({VALUE}){more}"), words(VALUE)), TITLE)
        assert len(shown) < 130
        assert VALUE in shown


def test_broken_annotations_leave_the_page_as_it_is() -> None:
    for body in ("/Subtype/Widget", "/Subtype/Widget/FT/Tx/V 5", "/Subtype/Nonsense/AP 5", "/AP<</N 3 0 R>>", ""):
        assert _one((body, words(VALUE)), TITLE).startswith("Permit")
