"""Ways to hide words in slides, sheets, books, rich text and mails, and words that only look hidden."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.table import Table
from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.util import Inches, Pt

from tests.security.hidden_pdfs import MARK, SHOWN
from tests.support.formats import epub

Way = Callable[..., None]


def _rgb(red: int, green: int, blue: int) -> Any:
    return RGBColor(red, green, blue)  # type: ignore[no-untyped-call]


def slides(way: Callable[[Any, Any], None]) -> bytes:
    """A slide that shows words, and has others in some way."""
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = SHOWN
    way(presentation, slide)
    out = BytesIO()
    presentation.save(out)
    return out.getvalue()


def _box(slide: Any, left: float = 1, top: float = 3) -> Any:
    """A box with the words; their run."""
    box = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(4), Inches(1))
    run = box.text_frame.paragraphs[0].add_run()
    run.text = MARK
    return box, run


def _hidden_slide(presentation: Any, _: Any) -> None:
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = MARK
    slide.element.set("show", "0")


def _hidden_shape(_: Any, slide: Any) -> None:
    box, _run = _box(slide)
    box._element.nvSpPr.cNvPr.set("hidden", "1")


def _notes(_: Any, slide: Any) -> None:
    slide.notes_slide.notes_text_frame.text = MARK


def _white(_: Any, slide: Any) -> None:
    _box(slide)[1].font.color.rgb = _rgb(255, 255, 255)


def _white_of_the_theme(_: Any, slide: Any) -> None:
    _box(slide)[1].font.color.theme_color = MSO_THEME_COLOR.BACKGROUND_1


def _dark_on_dark(_: Any, slide: Any) -> None:
    box, run = _box(slide)
    box.fill.solid()
    box.fill.fore_color.rgb = _rgb(32, 64, 96)
    run.font.color.rgb = _rgb(32, 64, 96)


def _white_on_dark(_: Any, slide: Any) -> None:
    box, run = _box(slide)
    box.fill.solid()
    box.fill.fore_color.rgb = _rgb(32, 64, 96)
    run.font.color.rgb = _rgb(255, 255, 255)


def _white_over_a_shape(_: Any, slide: Any) -> None:
    shape = slide.shapes.add_shape(1, Inches(0), Inches(2), Inches(8), Inches(4))
    shape.fill.solid()
    shape.fill.fore_color.rgb = _rgb(0, 0, 0)
    _box(slide)[1].font.color.rgb = _rgb(255, 255, 255)


def _white_on_a_dark_slide(_: Any, slide: Any) -> None:
    slide.background.fill.solid()
    slide.background.fill.fore_color.rgb = _rgb(0, 0, 0)
    _box(slide)[1].font.color.rgb = _rgb(255, 255, 255)


def _tiny(_: Any, slide: Any) -> None:
    _box(slide)[1].font.size = Pt(1)


def _in_a_group(_: Any, slide: Any, left: float = 1, *, hidden: bool = False) -> None:
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(left), Inches(3), Inches(2), Inches(1)).text_frame.text = MARK
    if hidden:
        group._element.nvGrpSpPr.cNvPr.set("hidden", "1")


def _small(_: Any, slide: Any) -> None:
    _box(slide)[1].font.size = Pt(6)


SLIDE_WAYS: dict[str, Callable[[Any, Any], None]] = {
    "hidden slide": _hidden_slide,
    "hidden shape": _hidden_shape,
    "hidden group": lambda one, slide: _in_a_group(one, slide, hidden=True),
    "speaker notes": _notes,
    "white": _white,
    "white of the theme": _white_of_the_theme,
    "its ground's colour": _dark_on_dark,
    "one point": _tiny,
    "beside the slide": lambda _, slide: _box(slide, left=40) and None,
    "above the slide": lambda _, slide: _box(slide, top=-5) and None,
    "a group beside the slide": lambda one, slide: _in_a_group(one, slide, 40),
}
SLIDE_LOOKS_ALIKE: dict[str, Callable[[Any, Any], None]] = {
    "plain": lambda _, slide: _box(slide) and None,
    "white on dark": _white_on_dark,
    "white over a dark shape": _white_over_a_shape,
    "white on a dark slide": _white_on_a_dark_slide,
    "in a group": _in_a_group,
    "small print": _small,
}


def workbook(way: Callable[[Any, Any], None]) -> bytes:
    """A sheet that shows words, and has others in some way."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet["A1"] = SHOWN
    way(book, sheet)
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _other_sheet(book: Any, state: str) -> None:
    other = book.create_sheet("Other")
    other["A1"] = MARK
    other.sheet_state = state


def _cell(sheet: Any, place: str = "B2", **looks: Any) -> None:
    sheet[place] = MARK
    for name, look in looks.items():
        setattr(sheet[place], name, look)


def _row(sheet: Any, **looks: Any) -> None:
    _cell(sheet)
    for name, look in looks.items():
        setattr(sheet.row_dimensions[2], name, look)


def _column(sheet: Any, **looks: Any) -> None:
    _cell(sheet)
    for name, look in looks.items():
        setattr(sheet.column_dimensions["B"], name, look)


def _table(sheet: Any) -> None:
    sheet["D1"], sheet["D2"] = "Name", "Ada"
    _cell(sheet, "E1", font=Font(color="FFFFFFFF"))
    sheet["E2"] = 3
    sheet.add_table(Table(displayName="One", ref="D1:E2"))


def _before_hidden(sheet: Any) -> None:
    _cell(sheet)
    sheet["A3"] = "no"
    sheet.row_dimensions[3].hidden = True


def _comment(sheet: Any) -> None:
    sheet["A1"].comment = Comment(MARK, "somebody")


WHITE = Font(color="FFFFFFFF")
DARK = PatternFill("solid", fgColor="FF204060")
SHEET_WAYS: dict[str, Callable[[Any, Any], None]] = {
    "hidden sheet": lambda book, _: _other_sheet(book, "hidden"),
    "very hidden sheet": lambda book, _: _other_sheet(book, "veryHidden"),
    "hidden row": lambda _, sheet: _row(sheet, hidden=True),
    "row of no height": lambda _, sheet: _row(sheet, height=0.5),
    "hidden column": lambda _, sheet: _column(sheet, hidden=True),
    "column of no width": lambda _, sheet: _column(sheet, width=0.05),
    "comment": lambda _, sheet: _comment(sheet),
    "a format that shows nothing": lambda _, sheet: _cell(sheet, number_format=";;;"),
    "white": lambda _, sheet: _cell(sheet, font=WHITE),
    "its ground's colour": lambda _, sheet: _cell(sheet, font=Font(color="FF204060"), fill=DARK),
    "one point": lambda _, sheet: _cell(sheet, font=Font(sz=1)),
    "properties": lambda book, _: setattr(book.properties, "keywords", MARK),
}
SHEET_LOOKS_ALIKE: dict[str, Callable[[Any, Any], None]] = {
    "plain": lambda _, sheet: _cell(sheet),
    "white on dark": lambda _, sheet: _cell(sheet, font=WHITE, fill=DARK),
    "white in a table": lambda _, sheet: _table(sheet),
    "another sheet": lambda book, _: _other_sheet(book, "visible"),
    "before a hidden row": lambda _, sheet: _before_hidden(sheet),
}
RTF_WAYS = {
    "hidden": r"{\v %s}",
    "hidden till it is not": r"\v %s\v0",
    "deleted": r"{\deleted %s}",
    "white": r"{\cf1 %s}",
    "one point": r"{\fs2 %s}",
    "unknown destination": r"{\*\mine %s}",
    "comment": r"{\*\annotation %s}",
    "a field's code": r"{\field{\*\fldinst %s}{\fldrslt a link}}",
    "index entry": r"{\xe %s}",
    "property": r"{\info{\doccomm %s}}",
}
RTF_LOOKS_ALIKE = {
    "plain": "%s",
    "hidden that is off": r"{\v0 %s}",
    "after what is hidden": r"{\v no}%s",
    "plain again": r"\v no\plain %s",
    "white on a ground": r"{\cf1\highlight2 %s}",
    "small print": r"{\fs12 %s}",
    "a field's result": r"{\field{\*\fldinst HYPERLINK}{\fldrslt %s}}",
    "footnote": r"{\footnote %s}",
}


def rtf(body: str) -> bytes:
    """Rich text with the words in `body`."""
    colours = r"{\colortbl;\red255\green255\blue255;\red32\green64\blue96;}"
    return rf"{{\rtf1\ansi{colours}\pard {SHOWN}\par {body % MARK}\par}}".encode()


BOOK_WAYS = {
    "display": '<p style="display:none">%s</p>',
    "attribute": "<p hidden>%s</p>",
    "comment": "<!-- %s -->",
    "script": "<script>%s</script>",
}
BOOK_LOOKS_ALIKE = {"plain": "<p>%s</p>", "an aside": "<aside>%s</aside>"}


def book(body: str) -> bytes:
    """A book with the words in `body`."""
    return epub({"one.xhtml": f"<p>{SHOWN}</p>{body % MARK}"})


HTML_MAIL = (
    f"Subject: {SHOWN}\nMIME-Version: 1.0\nContent-Type: text/html\n\n<html><body><p>words</p>%s</body></html>\n"
)
BOTH = (
    f'Subject: {SHOWN}\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="b"\n\n'
    "--b\nContent-Type: text/plain\n\n{plain}\n--b\nContent-Type: text/html\n\n<p>{html}</p>\n--b--\n"
)
MAIL_WAYS = {
    "display": HTML_MAIL % '<p style="display:none">%s</p>',
    "comment": HTML_MAIL % "<!-- %s -->",
    "white": HTML_MAIL % '<p style="color:#fff">%s</p>',
    "the words for those without HTML": BOTH.format(plain="%s", html="words"),
    "a line of the head that is not shown": f"Subject: {SHOWN}\nX-Note: %s\n\nwords\n",
    "a calendar that no program shows": f"Subject: {SHOWN}\nContent-Type: application/x-unknown\n\n%s\n",
}
MAIL_LOOKS_ALIKE = {
    "plain": f"Subject: {SHOWN}\n\n%s\n",
    "HTML": HTML_MAIL % "<p>%s</p>",
    "the better of two": BOTH.format(plain="words", html="%s"),
    "HTML without words": BOTH.format(plain="%s", html=""),
    "after a comment": HTML_MAIL % "<!-- no --><p>%s</p>",
}


def mail(text: str) -> bytes:
    """A mail with the words in `text`."""
    return (text % MARK).encode()
