"""HTML's words as a browser would show them: without scripts, comments, and what its elements and styles hide.

Tables are rows, definitions and filled fields are lines of "label: value", lists have their numbers, raised
figures stay apart.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, Tag
from bs4.element import PageElement

from ingest.reading.css import Styles
from ingest.reading.definitions import Definitions
from ingest.reading.fields import TICKS_SHOWN, is_button, is_tick, label_of, value_of
from ingest.reading.flow import Flow
from ingest.reading.grid import Cell, lines_of
from ingest.reading.marks import HEADING_MARK
from ingest.reading.numerals import numeral
from ingest.reading.raised import lowered, raised
from ingest.reading.soup import HEADINGS, soup_of

BLOCKS = frozenset(
    (
        *("p", "div", "ul", "ol", "dl", "table", "section", "article", "header", "footer", "main", "aside", "nav"),
        *(
            "pre",
            "title",
            "blockquote",
            "figure",
            "figcaption",
            "hr",
            "form",
            "fieldset",
            "address",
            "details",
            "center",
        ),
        *("summary", "legend", "hgroup", "search", "menu", "dir", "dialog", *HEADINGS),
    )
)
"""Elements of HTML that stand apart."""
LINES = frozenset(("li", "tr", "dt", "dd", "caption", "br", "option", "optgroup", "body", "head"))
"""Those on lines of their own."""
NOT_SHOWN = {
    *("template", "noscript", "datalist", "canvas", "audio", "video", "iframe", "noframes", "rp"),
    *("annotation", "annotation-xml"),
}
"""Elements whose words are not shown, or only where scripts or media are not."""
FIELDS = {"input", "select", "textarea"}
LISTS = {"ol", "ul", "menu", "dir"}
"""Within one another they do not stand apart."""
FORMULAS = {
    "msup": ("", "high"),
    "msub": ("", "low"),
    "msubsup": ("", "low", "high"),
    "mfrac": ("", "/"),
}
"""MathML's elements of parts in this order."""
FORMULA_PARTS_MAX = 8
"""With the blanks between them: three parts have four."""
OF_DRAWINGS = {"title", "desc", "metadata"}
KEEP_LINES = {"pre", "listing", "xmp"}
HEADS = {"th", "thead", "caption"}
APART_IN_A_CELL = {"table", "ul", "ol", "dl", "form", "hr", "section", "article", "nav", "fieldset", *HEADINGS}
"""What makes a table without heads a page's layout, and so do several paragraphs in a cell."""
WITHOUT_BULLETS = {"nav", "header", "footer", "menu"}
BULLET = "\u2022"
NUMBER = re.compile(r"-?\d{1,6}")
SPAN = re.compile(r"\d{1,4}")
BLANKS = re.compile(r"[ \t\n\r\f]+")


def read(html: str) -> tuple[str, str]:
    """The words that are shown, with headings and heads of tables marked, and the title, or ""."""
    soup = soup_of(html)
    return _Reader(soup).text(), soup.title.get_text() if soup.title else ""


def hides(tag: Tag, styles: Styles) -> bool:
    """Whether an element does not show what is in it."""
    return (
        tag.name in NOT_SHOWN
        or "hidden" in tag.attrs
        or (tag.name == "dialog" and "open" not in tag.attrs)
        or (tag.name in OF_DRAWINGS and any(above.name == "svg" for above in tag.parents))
        or styles.hide(tag)
    )


@dataclass(slots=True)
class _Table:
    """A table whose rows are being read. `caption` goes above."""

    rows: list[list[Cell]] = field(default_factory=lambda: [[]])
    caption: str = ""


@dataclass(slots=True)
class _List:
    """A list whose items are being read. `kind` "" has no numbers."""

    kind: str
    number: int = 1
    step: int = 1


class _Reader:
    """Walks through a page. No recursion: a page may be deeper than Python's calls."""

    def __init__(self, soup: BeautifulSoup) -> None:
        self._soup = soup
        self._styles = Styles(soup)
        self._flows = [Flow()]
        self._tables: list[_Table | None] = []
        """None: one that is no data but layout."""
        self._definitions: list[Definitions] = []
        self._lists: list[_List] = []
        self._hidden: Tag | None = None
        self._kept_lines = self._headings = self._notes = 0
        self._ends: dict[int, Callable[[Tag], None]] = {}
        """What is to be done when an element ends, by its identity."""

    def text(self) -> str:
        """All that is shown."""
        opened: list[Tag] = []
        for element in self._soup.descendants:
            while opened and opened[-1] is not element.parent:
                self._leave(opened.pop())
            if isinstance(element, Tag):
                opened.append(element)
                self._enter(element)
            elif self._hidden is None and not self._styles.hide_words:
                self._write(element)
        while opened:
            self._leave(opened.pop())
        return self._flow.text

    @property
    def _flow(self) -> Flow:
        return self._flows[-1]

    def _write(self, element: PageElement) -> None:
        if type(element) not in Tag.MAIN_CONTENT_STRING_TYPES:
            return
        words = str(element)
        if not self._kept_lines:
            self._flow.words(BLANKS.sub(" ", words))
        elif words:
            self._flow.exactly(words)

    def _enter(self, tag: Tag) -> None:
        self._styles.enter(tag)
        if self._hidden is None and hides(tag, self._styles):
            self._hidden = tag
        self._break(tag)
        if self._hidden is not None:
            return
        if tag.name == "label" and not self._flow.tail.strip().endswith(TICKS_SHOWN):
            self._flow.line()
        if tag.name in FIELDS:
            self._field(tag)
        elif begin := _BEGINS.get(tag.name):
            begin(self, tag)
        elif tag.parent is not None and tag.parent.name in FORMULAS and len(tag.parent.contents) <= FORMULA_PARTS_MAX:
            self._part_of_formula(tag, tag.parent)
        elif self._styles.raises(tag) or self._styles.lowers(tag):
            self._shifted(tag)

    def _leave(self, tag: Tag) -> None:
        self._styles.leave()
        end = self._ends.pop(id(tag), None)
        if end is not None:
            end(tag)
        if tag is self._hidden:
            self._hidden = None
        self._break(tag)

    def _break(self, tag: Tag) -> None:
        if tag.name == "br" and self._headings:
            self._flow.words(" ")
        elif tag.name in LISTS and self._lists:
            self._flow.line()
        elif tag.name in BLOCKS:
            self._flow.block()
        elif tag.name in LINES:
            self._flow.line()
        elif tag.name in ("td", "th"):
            self._flow.words(" ")

    def _heading(self, tag: Tag) -> None:
        self._flow.mark(HEADING_MARK)
        self._headings += 1
        self._ends[id(tag)] = self._end_heading

    def _end_heading(self, _: Tag) -> None:
        self._headings -= 1
        self._flow.drop_prefix()

    def _lines(self, tag: Tag) -> None:
        self._kept_lines += 1
        self._ends[id(tag)] = self._end_lines

    def _end_lines(self, _: Tag) -> None:
        self._kept_lines -= 1

    def _list(self, tag: Tag) -> None:
        self._lists.append(_list_of(tag, is_unmarked=self._styles.are_unmarked(tag)))
        self._ends[id(tag)] = self._end_list

    def _end_list(self, _: Tag) -> None:
        self._lists.pop()

    def _item(self, tag: Tag) -> None:
        if not self._lists:
            return
        own, value = self._lists[-1], _attribute(tag, "value")
        if own.kind == BULLET:
            self._flow.begin(f"{BULLET} ")
        elif own.kind:
            own.number = int(value) if value and NUMBER.fullmatch(value) else own.number
            self._flow.begin(f"{numeral(own.number, own.kind)}. ")
            own.number += own.step
        self._ends[id(tag)] = self._end_item

    def _end_item(self, _: Tag) -> None:
        self._flow.drop_prefix()

    def _link(self, tag: Tag) -> None:
        if _is_note(tag):
            self._notes += 1
            self._ends[id(tag)] = self._end_link

    def _end_link(self, _: Tag) -> None:
        self._notes -= 1

    def _shifted(self, tag: Tag) -> None:
        """A raised or lowered run: read alone, and added as plain text has it."""
        is_low = tag.name == "sub" or self._styles.lowers(tag)
        is_note = bool(self._notes) or any(_is_note(part) for part in tag.descendants)
        self._aside(tag, lambda words: self._end_shifted(words, is_low=is_low, is_note=is_note))

    def _part_of_formula(self, tag: Tag, formula: Tag) -> None:
        """The second part of a power, an index or a fraction, and the third of a power with an index."""
        place = sum(1 for part in formula.contents[: formula.index(tag)] if isinstance(part, Tag))
        shift = FORMULAS[formula.name][place] if place < len(FORMULAS[formula.name]) else ""
        if shift == "/":
            self._flow.join("/")
        elif shift:
            self._aside(tag, lambda words: self._end_shifted(words, is_low=shift == "low", is_note=False))

    def _end_shifted(self, words: str, *, is_low: bool, is_note: bool) -> None:
        self._flow.words(lowered(words) if is_low else raised(self._flow.tail, words, is_note=is_note))

    def _aside(self, tag: Tag, done: Callable[[str], None]) -> None:
        """Read what is in an element by itself, and have it `done` with at its end."""
        self._flows.append(Flow())

        def end(_: Tag) -> None:
            done(self._flows.pop().text)

        self._ends[id(tag)] = end

    def _table(self, tag: Tag) -> None:
        is_within = any(table is not None for table in self._tables)
        self._tables.append(_Table() if not is_within and _is_data(tag) else None)
        self._ends[id(tag)] = self._end_table
        if self._tables[-1] is not None:
            self._flows.append(Flow())  # for what stands between cells, which browsers put above the table

    def _end_table(self, _: Tag) -> None:
        table = self._tables.pop()
        if table is None:
            return
        between = self._flows.pop().text
        for text in (between, table.caption, lines_of(table.rows if table.rows[0] else table.rows[1:])):
            if text.strip():
                self._flow.line()
                self._flow.exactly(text)

    def _row(self, _: Tag) -> None:
        table = self._tables[-1] if self._tables else None
        if table is not None:
            table.rows.append([])

    def _cell(self, tag: Tag) -> None:
        table = self._tables[-1] if self._tables else None
        if table is None:
            return
        row, is_head = table.rows[-1], tag.name == "th" or _is_in_head(tag)

        def add(words: str) -> None:
            words = " ".join(words.replace(HEADING_MARK, "").split())
            row.append(Cell(words, _span(tag, "colspan"), _span(tag, "rowspan"), is_head, _is_strong(tag, words)))

        self._aside(tag, add)

    def _caption(self, tag: Tag) -> None:
        table = self._tables[-1] if self._tables else None
        if table is None:
            return

        def keep(words: str) -> None:
            table.caption = " ".join(words.split())

        self._aside(tag, keep)

    def _definitions_begin(self, tag: Tag) -> None:
        self._definitions.append(Definitions())
        self._ends[id(tag)] = self._end_definitions

    def _end_definitions(self, _: Tag) -> None:
        self._definitions.pop().write(self._flow)

    def _term(self, tag: Tag) -> None:
        if self._definitions:
            if self._definitions[-1].meanings:
                self._definitions[-1].write(self._flow)
            self._aside(tag, self._definitions[-1].terms.append)

    def _meaning(self, tag: Tag) -> None:
        if self._definitions:
            self._aside(tag, self._definitions[-1].meanings.append)

    def _field(self, tag: Tag) -> None:
        """The value of a field, behind its label, on a line of its own; a box stands before its label."""
        value = value_of(tag)
        self._hidden = tag  # its options and the like
        if is_tick(tag):
            self._flow.words(f"{value} ")
        elif is_button(tag) or not value:
            self._flow.words(f" {value}" if value else "")
        else:
            before, label = self._flow.tail.strip(), label_of(self._soup, tag)
            if not before:
                self._flow.words(f"{label}: {value}" if label else value)
            else:
                self._flow.join(f" {value}" if before.endswith((":", "=", "?")) else f": {value}")
            self._flow.line()


_BEGINS: dict[str, Callable[[_Reader, Tag], None]] = {
    **dict.fromkeys(HEADINGS, _Reader._heading),
    **dict.fromkeys(KEEP_LINES, _Reader._lines),
    **dict.fromkeys(LISTS, _Reader._list),
    **dict.fromkeys(("sup", "sub"), _Reader._shifted),
    **dict.fromkeys(("td", "th"), _Reader._cell),
    "li": _Reader._item,
    "a": _Reader._link,
    "table": _Reader._table,
    "tr": _Reader._row,
    "caption": _Reader._caption,
    "dl": _Reader._definitions_begin,
    "dt": _Reader._term,
    "dd": _Reader._meaning,
}
"""What is to be done when an element begins that is more than its words."""


def _attribute(tag: Tag, name: str) -> str | None:
    value = tag.attrs.get(name)
    return value if isinstance(value, str) else None


def _is_note(element: PageElement) -> bool:
    """Whether an element leads to another place of the page."""
    return isinstance(element, Tag) and element.name == "a" and (_attribute(element, "href") or "").startswith("#")


def _list_of(tag: Tag, *, is_unmarked: bool) -> _List:
    if tag.name != "ol":
        is_menu = tag.name == "menu" or any(above.name in WITHOUT_BULLETS for above in tag.parents)
        return _List("" if is_unmarked or is_menu else BULLET)
    start, kind = _attribute(tag, "start") or "", _attribute(tag, "type") or "1"
    is_reversed = "reversed" in tag.attrs
    first = sum(1 for part in tag.contents if _name(part) == "li") if is_reversed else 1
    number = int(start) if NUMBER.fullmatch(start) else first
    return _List("" if is_unmarked else kind, number, -1 if is_reversed else 1)


def _is_data(table: Tag) -> bool:
    """Whether a table's cells are data, and not the parts of a page that it lays out."""
    if _attribute(table, "role") in ("presentation", "none"):
        return False
    is_layout = False
    for tag in _own(table):
        if tag.name in HEADS:
            return True
        is_layout = is_layout or tag.name in APART_IN_A_CELL
        if tag.name == "td":
            is_layout = is_layout or sum(1 for part in tag.contents if _name(part) in ("p", "div")) > 1
    return not is_layout


def _own(table: Tag) -> Iterator[Tag]:
    """The elements within a table, but not those of tables in it, in any order. bs4's searches take far longer."""
    waiting = [table]
    while waiting:
        for part in waiting.pop().contents:
            if isinstance(part, Tag):
                yield part
                if part.name != "table":
                    waiting.append(part)


def _name(element: PageElement) -> str:
    return element.name if isinstance(element, Tag) else ""


def _is_in_head(cell: Tag) -> bool:
    row = cell.parent
    return row is not None and row.parent is not None and row.parent.name == "thead"


def _is_strong(cell: Tag, words: str) -> bool:
    """Whether all the words of a cell are set in bold."""
    within = cell
    while (parts := [part for part in within.contents if isinstance(part, Tag)]) and len(parts) == 1:
        within = parts[0]
        if within.name in ("b", "strong"):
            return bool(words) and "".join(within.get_text().split()) == "".join(words.split())
    return False


def _span(cell: Tag, name: str) -> int:
    found = SPAN.match(_attribute(cell, name) or "")
    return max(1, int(found.group())) if found else 1
