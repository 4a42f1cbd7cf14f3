"""A .docx into text, as Word shows it: headings, tables by rows, numbers of lists, notes, pages.

Pages are parted where Word says that it parted them when the file was saved last, and where the document does.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from ingest.reading.docx import equations, hidden
from ingest.reading.docx.names import COMPATIBILITY, MATH, RELATED, TITLE, W
from ingest.reading.docx.numbering import Lists
from ingest.reading.docx.package import Package
from ingest.reading.docx.signs import sign
from ingest.reading.docx.styles import Styles, find, value
from ingest.reading.flow import Flow
from ingest.reading.grid import COLUMNS_MAX, Cell, lines_of
from ingest.reading.marks import HEADING_MARK
from ingest.reading.numerals import numeral
from ingest.reading.raised import lowered, raised
from ingest.reading.reasons import FileError, Reason

THROUGH = {
    *(W + name for name in ("ins", "moveTo", "smartTag", "sdtContent", "customXml", "fldSimple", "dir", "bdo")),
    *(f"{W}hyperlink", f"{COMPATIBILITY}AlternateContent", f"{COMPATIBILITY}Choice"),
}
"""What holds paragraphs or runs and shows nothing by itself."""
SAID = {"tab": " ", "ptab": " ", "noBreakHyphen": "-", "softHyphen": "\u00ad"}
NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
NOT_NOTES = ("separator", "continuationSeparator", "continuationNotice")
NUMBERS_OF_NOTES = {"footnotes": "decimal", "endnotes": "lowerRoman"}
"""As Word shows them where a document does not say."""
NO_TITLES = re.compile(
    r"(?:microsoft )?word(?: document)?|(?:microsoft word - )?(?:document|dokument)\d*|untitled", re.I
)
"""What programs write for want of a title."""
PARAGRAPHS_MAX = 4
"""In a cell of data; a table with longer ones lays out the page."""
LAYOUT_CELLS_MAX = 4
"""Of a table that holds tables, and is none itself."""
BLANKS = re.compile(r"[ \t\u00a0]+")


def read(data: bytes) -> tuple[str, str]:
    """The words that are shown, with marks in them, and the title, or "". Raises `FileError`."""
    package = Package(data)
    main = package.main()
    if main is None:
        raise FileError(Reason.DAMAGED)
    document = _Document(package)
    return document.text(main), document.title


@dataclass(slots=True)
class _Notes:
    """The notes of a kind, and the numbers of those that were met."""

    notes: dict[str, Element]
    kind: str
    numbers: dict[str, str] = field(default_factory=dict)
    count: int = 0


class _Document:
    def __init__(self, package: Package) -> None:
        self._package = package
        styles = package.one("styles")
        self._styles = Styles(styles)
        self._shown = hidden.Shown(hidden.of_styles(styles))
        self._lists = Lists(package.one("numbering"), self._styles)
        settings = package.one("settings")
        self._notes = {kind: self._notes_of(kind, settings) for kind in NOTES.values()}
        self._waiting: list[tuple[str, Element]] = []
        """Notes that were met and are not written yet: their marks, and what they say."""
        self._flow = Flow()
        self._is_in_list = False
        self._boxes: list[Element] = []
        self._sections: list[Element] = []
        self._section = 0
        self._depth = 0
        """Of cells; within them pages are not parted."""
        self._row_breaks = False
        self._shift = ""
        self._shifted: list[str] = []
        self._is_strong = True
        self.title = self._own_title()

    def text(self, main: Element) -> str:
        """All that is shown, pages parted by form feeds."""
        self._shown.prune(main)
        self._sections = list(main.iter(f"{W}sectPr"))
        self._around("header")
        body = main.find(f"{W}body")
        self._blocks(body if body is not None else main)
        self._write_notes()
        self._around("footer")
        return self._flow.text

    def _own_title(self) -> str:
        core = self._package.core()
        named = core.find(TITLE) if core is not None else None
        title = " ".join((named.text or "").split()) if named is not None else ""
        return "" if NO_TITLES.fullmatch(title) else title

    def _notes_of(self, kind: str, settings: Element | None) -> _Notes:
        part = self._package.one(kind)
        found: dict[str, Element] = {}
        if part is not None:
            self._shown.prune(part)
            found = {note.get(f"{W}id", ""): note for note in part if note.get(f"{W}type") not in NOT_NOTES}
        numbers = value(settings, f"{kind[:-1]}Pr/numFmt") or NUMBERS_OF_NOTES[kind]
        return _Notes(found, numbers)

    def _around(self, kind: str) -> None:
        """The headers or footers of all sections, each that differs once, and none that is only a page's number."""
        parts = self._package.by_id(kind)
        written: set[str] = set()
        for section in self._sections:
            for reference in section.iter(f"{W}{kind}Reference"):
                part = parts.pop(reference.get(f"{RELATED}id", ""), None)
                if part is None:
                    continue
                self._shown.prune(part)
                words = self._aside(part)
                if words not in written and re.search(r"[^\W\d_]", words):
                    self._flow.block()
                    self._flow.exactly(words)
                    self._flow.block()
                    written.add(words)

    def _aside(self, parent: Element) -> str:
        """What is in an element, by itself."""
        self._flow, outer = Flow(), self._flow
        self._depth += 1
        was_in_list, self._is_in_list = self._is_in_list, False
        self._blocks(parent)
        self._depth -= 1
        self._is_in_list = was_in_list
        self._flow, outer = outer, self._flow
        return outer.text

    def _blocks(self, parent: Element) -> None:
        for child in parent:
            if child.tag == f"{W}p":
                self._paragraph(child)
            elif child.tag == f"{W}tbl":
                self._table(child)
            elif child.tag == f"{W}sdt":
                self._control(child, self._blocks)
            elif child.tag in THROUGH:
                self._blocks(child)
            elif child.tag in (f"{MATH}oMathPara", f"{MATH}oMath"):
                self._flow.block()
                self._flow.words(equations.as_text(child))

    def _control(self, control: Element, read_content: Callable[[Element], None]) -> None:
        """A field to be filled in; what it says while it is empty is no value."""
        content = control.find(f"{W}sdtContent")
        if content is not None and find(control, "sdtPr/showingPlcHdr") is None:
            read_content(content)

    def _paragraph(self, paragraph: Element) -> None:
        number = self._lists.number(paragraph)
        if number and self._is_in_list:
            self._flow.line()
        else:
            self._flow.block()
        self._is_in_list = bool(number)
        if find(paragraph, "pPr/pageBreakBefore") is not None and value(paragraph, "pPr/pageBreakBefore") != "0":
            self._page(is_asked=False)
        self._flow.begin(number)
        if self._depth == 0 and self._styles.is_heading(paragraph):
            self._flow.mark(HEADING_MARK)
        self._runs(paragraph)
        self._end_shift()
        self._flow.drop_prefix()
        if self._depth == 0 and not self.title and self._styles.is_title(paragraph):
            self.title = self._flow.tail.replace(HEADING_MARK, "").strip()
        self._write_boxes()
        if find(paragraph, "pPr/sectPr") is not None:
            self._end_section()

    def _runs(self, parent: Element) -> None:
        for child in parent:
            if child.tag == f"{W}r":
                self._run(child)
            elif child.tag == f"{W}sdt":
                self._control(child, self._runs)
            elif child.tag in THROUGH:
                self._runs(child)
            elif child.tag in (f"{MATH}oMath", f"{MATH}oMathPara"):
                self._say(equations.as_text(child), "")

    def _run(self, run: Element) -> None:
        shift = self._styles.shift(run)
        self._is_strong = self._is_strong and (self._styles.is_strong(run) or run.find(f"{W}t") is None)
        for child in run:
            name = child.tag.removeprefix(W)
            if name == "t":
                self._say(child.text or "", shift)
            elif name in SAID:
                self._say(SAID[name], shift)
            elif name == "sym":
                self._say(sign(child.get(f"{W}font", ""), child.get(f"{W}char", "")), shift)
            elif name in ("br", "cr", "lastRenderedPageBreak"):
                self._break(child, name)
            elif name in NOTES:
                self._note(child, NOTES[name])
            elif name == "fldChar":
                self._say(_of_old_field(child), "")
            elif name in ("drawing", "pict", "object") or child.tag.startswith(COMPATIBILITY):
                self._boxes += _boxes(child)
            elif name == "ruby":
                self._runs(base) if (base := child.find(f"{W}rubyBase")) is not None else None

    def _say(self, words: str, shift: str) -> None:
        """Words of a run. Raised and lowered ones wait for the rest of them."""
        if not words:
            return
        if shift != self._shift:
            self._end_shift()
            self._shift = shift
        if shift:
            self._shifted.append(words)
        else:
            self._flow.words(BLANKS.sub(" ", words))

    def _end_shift(self) -> None:
        words, shift = "".join(self._shifted), self._shift
        self._shifted.clear()
        self._shift = ""
        if words:
            self._flow.words(lowered(words) if shift == "subscript" else raised(self._flow.tail, words))

    def _break(self, element: Element, name: str) -> None:
        self._end_shift()
        kind = element.get(f"{W}type", "")
        if name == "lastRenderedPageBreak" or kind == "page":
            self._page(is_asked=kind == "page")
        else:
            self._flow.line()

    def _page(self, *, is_asked: bool) -> None:
        """A page ends. Word tells of each end; of one that the document asks for it tells again."""
        if self._depth:
            self._row_breaks = True
            return
        if is_asked or not self._flow.is_at_page_begin:
            if not self._flow.tail:
                self._write_notes()
            self._flow.page()

    def _end_section(self) -> None:
        """The next section says how it begins."""
        self._section += 1
        following = self._sections[self._section] if self._section < len(self._sections) else None
        if following is not None and value(following, "type") not in ("continuous", "nextColumn"):
            self._page(is_asked=False)

    def _note(self, reference: Element, kind: str) -> None:
        notes = self._notes[kind]
        own = reference.get(f"{W}id", "")
        if own not in notes.notes or own in notes.numbers:
            return
        self._end_shift()
        is_own = reference.get(f"{W}customMarkFollows") in ("1", "true", "on")
        notes.count += not is_own
        notes.numbers[own] = "" if is_own else numeral(notes.count, notes.kind)
        mark = raised(self._flow.tail, notes.numbers[own], is_note=True)
        self._flow.words(mark)
        self._waiting.append((mark, notes.notes[own]))

    def _write_notes(self) -> None:
        waiting, self._waiting = self._waiting, []
        for mark, note in waiting:
            self._flow.block()
            self._flow.begin(f"{mark} " if mark else "")
            self._flow.exactly(self._aside(note).strip())
            self._flow.block()

    def _write_boxes(self) -> None:
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            self._blocks(box)

    def _table(self, table: Element) -> None:
        self._is_in_list = False
        rows = list(_of_kind(table, "tr"))
        if _is_layout(rows):
            for row in rows:
                for cell in _of_kind(row, "tc"):
                    self._blocks(cell)
            return
        read: list[list[Cell]] = []
        pages: set[int] = set()
        reaching: dict[int, tuple[int, int]] = {}
        for row in rows:
            self._row_breaks = False
            cells = list(self._cells(row, read, reaching))
            if self._row_breaks:
                pages.add(len(read))
            read.append(cells)
        if self._depth:
            for cells in read:
                self._flow.line()
                self._flow.words(" ".join(cell.text for cell in cells if cell.text))
            self._flow.line()
            return
        heads = next((number for number, row in enumerate(rows) if not _is_head(row)), len(rows))
        if not heads and self._styles.has_head(table):
            heads = 1
        if 0 in pages:
            self._page(is_asked=False)
        self._flow.block()
        for number, part in enumerate(lines_of(read, heads or None, pages - {0}).split("\f")):
            if number:
                self._write_notes()
                self._flow.page()
            if part.strip("\n"):
                self._flow.exactly(part.strip("\n"))
        self._flow.block()

    def _cells(self, row: Element, above: list[list[Cell]], reaching: dict[int, tuple[int, int]]) -> Iterator[Cell]:
        """A row's cells. One that goes on a cell above makes that one longer; `reaching` has where those stand."""
        column = min(int(value(row, "trPr/gridBefore") or 0), COLUMNS_MAX)
        for _ in range(column):
            yield Cell("")
        place = column
        for cell in _of_kind(row, "tc"):
            columns = min(max(1, int(value(cell, "tcPr/gridSpan") or 1)), COLUMNS_MAX)
            merge = find(cell, "tcPr/vMerge")
            if merge is not None and merge.get(f"{W}val", "continue") == "continue" and column in reaching:
                at, own = reaching[column]
                longer = above[at][own]
                above[at][own] = Cell(longer.text, longer.columns, len(above) - at + 1, is_strong=longer.is_strong)
            else:
                reaching.pop(column, None)
                if merge is not None:
                    reaching[column] = (len(above), place)
                self._is_strong = True
                words = " ".join(self._aside(cell).split())
                yield Cell(words, columns, is_strong=self._is_strong and bool(words))
                place += 1
            column += columns


def _of_kind(parent: Element, name: str) -> Iterator[Element]:
    """The rows of a table, or the cells of a row, also those in what holds them."""
    for child in parent:
        if child.tag == W + name:
            yield child
        elif child.tag == f"{W}sdt" and (content := child.find(f"{W}sdtContent")) is not None:
            yield from _of_kind(content, name)
        elif child.tag in THROUGH:
            yield from _of_kind(child, name)


def _is_head(row: Element) -> bool:
    head = find(row, "trPr/tblHeader")
    return head is not None and head.get(f"{W}val", "1") not in ("0", "false", "off")


def _is_layout(rows: list[Element]) -> bool:
    """Whether a table lays out the page: it has one cell, or cells that hold tables or many paragraphs."""
    cells = [cell for row in rows for cell in _of_kind(row, "tc")]
    if len(cells) == 1:
        return True
    return any(
        (cell.find(f"{W}tbl") is not None and len(cells) <= LAYOUT_CELLS_MAX)
        or sum(1 for part in cell if part.tag == f"{W}p" and len(part)) > PARAGRAPHS_MAX
        for cell in cells
    )


def _boxes(drawing: Element) -> list[Element]:
    """The texts in a drawing's shapes."""
    return [drawing] if drawing.tag == f"{W}txbxContent" else list(drawing.iter(f"{W}txbxContent"))


def _of_old_field(mark: Element) -> str:
    """What a field of an old form shows that has no text: a box, ticked or not, or the choice from a list."""
    box = find(mark, "ffData/checkBox")
    if box is not None:
        ticked = box.find(f"{W}checked")
        ticked = ticked if ticked is not None else box.find(f"{W}default")
        is_ticked = ticked is not None and ticked.get(f"{W}val", "1") not in ("0", "false", "off")
        return "\u2611" if is_ticked else "\u2610"
    choices = find(mark, "ffData/ddList")
    if choices is None:
        return ""
    entries = [entry.get(f"{W}val", "") for entry in choices.iter(f"{W}listEntry")]
    chosen = value(choices, "result") or value(choices, "default") or "0"
    return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""
