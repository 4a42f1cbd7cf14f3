"""What annotations draw on a PDF's page: fields that are filled in, notes, stamps, signatures.

pdfium reads the words of a page's content only. So the annotations are made part of the content ("flattened"), in a
copy of the document, and their words are read as all others are: those that the page's picture shows. One without an
appearance, which each viewer draws for itself, gets a stand-in of letters in its place: where that is seen, its value
is.
"""

import ctypes
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.reading.pdf.drawn import Drawn, texts_in, without
from ingest.reading.pdf.labels import after, before, words_of
from ingest.reading.pdf.look import Box, Look
from ingest.reading.pdf.picture import Picture

ANNOTATIONS_MAX = 2_000
"""Of a page that are looked at; a dense tax form has 200 fields."""
VALUE_BYTES_MAX = 200_000
"""Of one string of an annotation, in UTF-16."""
ICONS = (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP, pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_FILEATTACHMENT)
"""Kinds that draw no words on the page: what a sticky note or its popup says opens elsewhere, on a click."""
UNSEEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW | pdfium.FPDF_ANNOT_FLAG_INVISIBLE
BUTTONS = (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON)
WITH_OPTIONS = (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
PASSWORD = 1 << 13
"""A text field's flag: its value is shown as stars (ISO 32000, table 228)."""
OPTIONS_MAX = 1_000
TICK_INK_MIN = 0.02
"""Of a checked box's area."""
STAND_IN = "x" * 8
STAND_IN_POINTS = 10.0
FONT_AND_COLOUR = re.compile(r"([\d.]+)\s+Tf|((?:-?[\d.]+\s+){1,4})(g|rg|k)\b")
"""In a default appearance (/DA), as "/Helv 0 Tf 0 g"."""


@dataclass(slots=True)
class Annotation:
    """One that may show words, and what its dictionary says of it. `field_type` is pdfium's, -1 without a field."""

    kind: int
    box: Box
    field_type: int = -1
    name: str = ""
    tooltip: str = ""
    value: str = ""
    export: str = ""
    options: tuple[str, ...] = ()
    is_checked: bool = False
    is_stand_in: bool = False
    seen: str = ""
    """Its words that are seen on the page, lines as pdfium has them."""
    left: str = ""
    right: str = ""
    """Words that are printed beside it."""

    @property
    def is_button(self) -> bool:
        """Whether it is ticked, instead of written."""
        return self.field_type in BUTTONS

    @property
    def may_show(self) -> bool:
        """Whether there is anything to be seen in it."""
        if self.kind != pdfium.FPDF_ANNOT_WIDGET:
            return True
        if self.field_type == pdfium.FPDF_FORMFIELD_PUSHBUTTON:
            return False  # "Print", "Reset": what a program does, not what the document says
        return self.is_checked if self.is_button else True


def has_any(page: Any) -> bool:
    """Whether a page has annotations that may show words."""
    for number in range(min(ANNOTATIONS_MAX, pdfium.FPDFPage_GetAnnotCount(page))):
        note = pdfium.FPDFPage_GetAnnot(page, number)
        kind = pdfium.FPDFAnnot_GetSubtype(note)
        pdfium.FPDFPage_CloseAnnot(note)
        if kind not in ICONS:
            return True
    return False


@dataclass(slots=True)
class AnnotationReader:
    """Reads them in a copy of the document, since that changes it. Not for several threads."""

    data: bytes
    _document: Any = None
    _layers: Any = None
    _spent: set[int] = field(default_factory=set)

    def close(self) -> None:
        """Free its memory."""
        if self._document is not None:
            self._document.close()
            self._document = None

    def seen(self, number: int) -> list[Annotation]:
        """Those of page `number`, from 0, that are seen, in their order. Raises nearly anything."""
        document = self._copy(number)
        page = document[number]
        try:
            found = [(at, one) for at, one in _all(page) if one.may_show]
            if not any(_is_worth_a_look(one) for _, one in found):
                return []
            order = _prepare(page, dict(found), lambda at: self._shows_layer(number, at))
            self._spent.add(number)
            if pdfium.FPDFPage_Flatten(page.raw, pdfium.FLAT_NORMALDISPLAY) != pdfium.FLATTEN_SUCCESS:
                return []
        finally:
            page.close()
        page = document[number]
        try:
            _see(page, {at: one for at, one in found if at in order}, order)
        finally:
            page.close()
        return [one for at, one in found if at in order and (one.seen or one.is_button)]

    def _shows_layer(self, page: int, number: int) -> bool:
        """Whether the layer is shown that annotation `number` of a page is on; False where that can't be told."""
        try:
            if self._layers is None:
                from ingest.reading.pdf.layers import Layers  # pypdf takes a tenth of a second, and few need it

                self._layers = Layers(self.data)
            return bool(self._layers.shows(page, number))
        except MemoryError:
            raise
        except Exception:  # parsers raise nearly anything
            return False

    def _copy(self, number: int) -> Any:
        """The document, in which this page is still as it was."""
        if number in self._spent:
            self.close()
        if self._document is None:
            self._spent.clear()
            self._document = pypdfium2.PdfDocument(self.data)
            self._document.init_forms()
        return self._document


def _is_worth_a_look(one: Annotation) -> bool:
    """Whether it is no field, or one that is filled in."""
    is_field = one.kind == pdfium.FPDF_ANNOT_WIDGET and one.field_type != pdfium.FPDF_FORMFIELD_SIGNATURE
    return not is_field or one.is_button or bool(one.value or one.options)


def _all(page: Any) -> Iterator[tuple[int, Annotation]]:
    """The page's annotations that may draw words, by their numbers."""
    for number in range(min(ANNOTATIONS_MAX, pdfium.FPDFPage_GetAnnotCount(page.raw))):
        note = pdfium.FPDFPage_GetAnnot(page.raw, number)
        try:
            kind = pdfium.FPDFAnnot_GetSubtype(note)
            if kind not in ICONS and not pdfium.FPDFAnnot_GetFlags(note) & UNSEEN:
                yield number, _annotation(page, note, kind)
        finally:
            pdfium.FPDFPage_CloseAnnot(note)


def _annotation(page: Any, note: Any, kind: int) -> Annotation:
    rect = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(note, rect)
    one = Annotation(kind, (rect.left, rect.bottom, rect.right, rect.top))
    if kind != pdfium.FPDF_ANNOT_WIDGET or page.formenv is None:
        if kind == pdfium.FPDF_ANNOT_FREETEXT:
            one.value = _entry(note, b"Contents")
        return one
    form = page.formenv.raw
    one.field_type = pdfium.FPDFAnnot_GetFormFieldType(form, note)
    one.name = _text(lambda *to: pdfium.FPDFAnnot_GetFormFieldName(form, note, *to))
    one.tooltip = _text(lambda *to: pdfium.FPDFAnnot_GetFormFieldAlternateName(form, note, *to))
    one.value = _text(lambda *to: pdfium.FPDFAnnot_GetFormFieldValue(form, note, *to))
    if one.is_button:
        one.is_checked = bool(pdfium.FPDFAnnot_IsChecked(form, note))
        one.export = _text(lambda *to: pdfium.FPDFAnnot_GetFormFieldExportValue(form, note, *to))
    if one.field_type in WITH_OPTIONS:
        one.options = tuple(_chosen(form, note))
    return one


def _chosen(form: Any, note: Any) -> Iterator[str]:
    """The options of a list that are selected, as they are shown."""
    for at in range(min(OPTIONS_MAX, pdfium.FPDFAnnot_GetOptionCount(form, note))):
        if pdfium.FPDFAnnot_IsOptionSelected(form, note, at):
            yield _text(lambda *to, at=at: pdfium.FPDFAnnot_GetOptionLabel(form, note, at, *to))


def _entry(note: Any, key: bytes) -> str:
    return _text(lambda *to: pdfium.FPDFAnnot_GetStringValue(note, key, *to))


def _text(get: Callable[[Any, int], int]) -> str:
    """What one of pdfium's getters writes, in UTF-16 with a NUL at its end."""
    size = min(VALUE_BYTES_MAX, get(None, 0))
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    written = get(buffer, size) if size > 2 else 0
    return bytes(buffer)[: max(0, min(size, written) - 2)].decode("utf-16-le", "ignore").rstrip("\0")


def _prepare(page: Any, found: dict[int, Annotation], is_shown: Callable[[int], bool]) -> list[int]:
    """Give stand-ins to those that have no appearance, and hide those on a layer that is not shown.

    Gives the numbers of all that will be drawn, in order.
    """
    order = []
    for number in range(min(ANNOTATIONS_MAX, pdfium.FPDFPage_GetAnnotCount(page.raw))):
        note = pdfium.FPDFPage_GetAnnot(page.raw, number)
        one = found.get(number)
        if not _has_appearance(note):
            if pdfium.FPDFAnnot_HasKey(note, b"AP"):
                _set_appearance(note, " ")  # an empty one, or none for its state: either way it shows nothing
            elif one is not None and _has_value_to_show(page, note, one):
                one.is_stand_in = _set_appearance(note, _stand_in(note, one.box))
        if pdfium.FPDFAnnot_HasKey(note, b"OC") and not is_shown(number):
            pdfium.FPDFAnnot_SetFlags(note, pdfium.FPDF_ANNOT_FLAG_HIDDEN)
        elif _is_drawn(note):
            order.append(number)
        pdfium.FPDFPage_CloseAnnot(note)
    return order


def _is_drawn(note: Any) -> bool:
    """As pdfium chooses when it flattens."""
    hidden = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
    is_popup = pdfium.FPDFAnnot_GetSubtype(note) == pdfium.FPDF_ANNOT_POPUP
    if is_popup or pdfium.FPDFAnnot_GetFlags(note) & hidden or not _has_appearance(note):
        return False
    rect = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(note, rect)
    return bool(rect.left < rect.right and rect.bottom < rect.top)


def _has_appearance(note: Any) -> bool:
    return bool(pdfium.FPDFAnnot_GetAP(note, pdfium.FPDF_ANNOT_APPEARANCEMODE_NORMAL, None, 0) > 2)


def _has_value_to_show(page: Any, note: Any, one: Annotation) -> bool:
    if one.kind == pdfium.FPDF_ANNOT_FREETEXT:
        return bool(one.value.strip())
    if one.field_type == pdfium.FPDF_FORMFIELD_TEXTFIELD:
        is_secret = pdfium.FPDFAnnot_GetFormFieldFlags(page.formenv.raw, note) & PASSWORD
        return bool(one.value.strip()) and not is_secret
    return one.field_type in WITH_OPTIONS


def _stand_in(note: Any, box: Box) -> str:
    """What draws letters in its place, in the size and colour that it asks for itself."""
    size, colour = STAND_IN_POINTS, "0 g"
    for found in FONT_AND_COLOUR.finditer(_entry(note, b"DA")[:1000]):
        size = _number(found[1]) or size if found[1] else size
        colour = colour if found[1] else found[0]
    left, bottom, right, top = box
    size = min(size, max(0.0, top - bottom))
    letters = STAND_IN[: max(1, int((right - left) / max(size, 0.1)))]
    return f"{colour} BT /Helv {size:.2f} Tf {left + 1:.2f} {top - 0.8 * size:.2f} Td ({letters}) Tj ET"


def _set_appearance(note: Any, drawn: str) -> bool:
    value = (ctypes.c_ushort * (len(drawn) + 1)).from_buffer_copy((drawn + "\0").encode("utf-16-le"))
    return bool(pdfium.FPDFAnnot_SetAP(note, pdfium.FPDF_ANNOT_APPEARANCEMODE_NORMAL, value))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _see(page: Any, found: dict[int, Annotation], order: list[int]) -> None:
    """Say of each annotation what of it is seen, in the page into which they were flattened."""
    owners = _owners(page.raw, found, order)
    words = page.get_textpage()
    try:
        look = Look(page.raw, words.raw, page.get_bbox())
        _see_words(look, look.characters(words.count_chars()), found, owners)
    finally:
        words.close()
    ticked = [(form, found[number]) for form, number in owners.items() if found[number].is_button]
    if ticked:
        _see_ticks(page.raw, ticked)


def _see_words(
    look: Look, characters: Sequence[tuple[int, str]], found: dict[int, Annotation], owners: dict[Drawn, int]
) -> None:
    from ingest.reading.pdf.visible import visible  # numpy takes a tenth of a second, and few documents need it

    writers = {drawn: number for form, number in owners.items() for drawn in texts_in(form.raw)}
    drawn_by = _owned(look, characters, writers)
    if drawn_by:
        _give(found, drawn_by, visible(look, characters, [range(index, index + 1) for index in drawn_by]))
    printed = words_of(look, [one for one in characters if one[0] not in drawn_by])
    boxes = [one.box for one in found.values()]
    for one in found.values():
        one.left, one.right = before(printed, one.box, boxes), after(printed, one.box, boxes) if one.is_button else ""


def _see_ticks(page: Any, ticked: Sequence[tuple[Drawn, Annotation]]) -> None:
    """Boxes that leave no ink are not ticked."""
    from ingest.reading.pdf.ink import Ink
    from ingest.reading.pdf.visible import DPI as FINE

    shown = Picture.of(page, FINE, is_grey=False)
    with without([form for form, _ in ticked]):
        ink = Ink.between(shown, Picture.of(page, FINE, is_grey=False))
    for (_, one), share in zip(ticked, ink.shares(shown, [one.box for _, one in ticked]), strict=True):
        one.is_checked = share >= TICK_INK_MIN


def _owners(page: Any, found: dict[int, Annotation], order: Sequence[int]) -> dict[Drawn, int]:
    """What each annotation has become: a form within the form that is drawn last, in their order."""
    count = pdfium.FPDFPage_CountObjects(page)
    last = pdfium.FPDFPage_GetObject(page, count - 1) if count else None
    if not last or pdfium.FPDFPageObj_GetType(last) != pdfium.FPDF_PAGEOBJ_FORM:
        return {}
    forms = [pdfium.FPDFFormObj_GetObject(last, at) for at in range(pdfium.FPDFFormObj_CountObjects(last))]
    if len(forms) != len(order):
        return {}  # pdfium has drawn others than was thought: whose words they are cannot be told
    return {Drawn(form): number for form, number in zip(forms, order, strict=True) if number in found}


def _owned(look: Look, characters: Iterable[tuple[int, str]], writers: dict[Drawn, int]) -> dict[int, int]:
    """The characters that annotations draw, each with the annotation's number."""
    owned = {}
    for index, _ in characters:
        drawn = look.drawn(index)
        if drawn is not None and (number := writers.get(Drawn(drawn))) is not None:
            owned[index] = number
    return owned


def _give(found: dict[int, Annotation], drawn_by: dict[int, int], seen: Iterable[tuple[int, str]]) -> None:
    """Each its characters, with the blanks and line ends between them."""
    texts: dict[int, list[str]] = {}
    before = -1
    blanks: list[str] = []
    for index, character in seen:
        number = drawn_by.get(index, -1)
        if character.isspace() and number < 0:
            blanks.append(character)
            continue
        if number >= 0:
            texts.setdefault(number, []).extend([*(blanks if number == before else ["\n"]), character])
        before, blanks = number, []
    for number, parts in texts.items():
        found[number].seen = "".join(parts).strip()
