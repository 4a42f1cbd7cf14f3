"""Plain Markdown's parts as text, with headings, tables, lists and raised figures as the reader of HTML has them."""

from collections.abc import Callable, Mapping
from typing import Any

from ingest.reading.definitions import Definitions
from ingest.reading.flow import Flow
from ingest.reading.grid import Cell, lines_of
from ingest.reading.html import BLANKS, BULLET
from ingest.reading.markdown.embedded import BREAK
from ingest.reading.markdown.parts import Part
from ingest.reading.marks import HEADING_MARK
from ingest.reading.raised import lowered, raised

APART = frozenset(
    ("Paragraph", "Heading", "BlockQuote", "CodeBlock", "Table", "DefinitionList", "FootnoteDefinition")
)
"""What stands below an empty line, and above one."""


class Walk:
    """Takes the parts of a text in their order. `notes` are the marks of its footnotes."""

    def __init__(self, notes: Mapping[str, str]) -> None:
        self.notes = notes
        self._flows = [Flow()]
        self._lists: list[int | None] = []
        self._definitions: list[Definitions] = []
        self._rows: list[list[Cell]] = []
        self._is_head = self._is_heading = self._keeps_lines = False

    @property
    def text(self) -> str:
        """All that was taken."""
        return self._flow.text

    def take(self, part: Part) -> None:
        """The next part."""
        kind, words, data = part
        if kind in ("Start", "End"):
            step = (BEGINS if kind == "Start" else ENDS).get(words)
            if words in APART and kind == "Start":
                self._flow.block()
            if step is not None:
                step(self, data)
            if words in APART and kind == "End":
                self._flow.block()
        elif kind in ("Text", "Code"):
            self._words(words)
        else:
            LEAVES[kind](self, words)

    def take_read(self, text: str) -> None:
        """Text that another reader has read, as a block of its own."""
        self._flow.block()
        if text.strip():
            self._flow.exactly(text.strip("\n "))
        self._flow.block()

    @property
    def _flow(self) -> Flow:
        return self._flows[-1]

    def _words(self, words: str) -> None:
        if self._keeps_lines:
            self._flow.exactly(words)
        else:
            self._flow.words(BLANKS.sub(" ", words))

    def _break(self, _: str) -> None:
        if self._is_heading:
            self._flow.words(" ")
        else:
            self._flow.line()

    def _rule(self, _: str) -> None:
        self._flow.block()

    def _html(self, tag: str) -> None:
        """The end of a line, or of words that stand apart from it; others are read by the reader of HTML."""
        if BREAK.fullmatch(tag):
            self._break(tag)
        elif tag in ("<sup>", "<sub>"):
            self._flows.append(Flow())
        else:
            words = self._flows.pop().text
            self._flow.words(lowered(words) if tag == "</sub>" else raised(self._flow.tail, words))

    def _note_mark(self, label: str) -> None:
        self._flow.words(raised(self._flow.tail, self.notes.get(label, label), is_note=True))

    def _note(self, label: str) -> None:
        self._flow.begin(f"{raised('', self.notes.get(label, label), is_note=True)} ")

    def _end_note(self, _: Any) -> None:
        self._flow.drop_prefix()

    def _heading(self, _: Any) -> None:
        self._flow.mark(HEADING_MARK)
        self._is_heading = True

    def _end_heading(self, _: Any) -> None:
        self._is_heading = False
        self._flow.drop_prefix()

    def _code(self, _: Any) -> None:
        self._keeps_lines = True

    def _end_code(self, _: Any) -> None:
        self._keeps_lines = False

    def _list(self, first: int | None) -> None:
        self._between_lists()
        self._lists.append(first)

    def _end_list(self, _: Any) -> None:
        self._lists.pop()
        self._between_lists()

    def _between_lists(self) -> None:
        if self._lists:
            self._flow.line()
        else:
            self._flow.block()

    def _item(self, _: Any) -> None:
        self._flow.line()
        number = self._lists[-1]
        self._flow.begin(f"{BULLET} " if number is None else f"{number}. ")
        self._lists[-1] = None if number is None else number + 1

    def _end_item(self, _: Any) -> None:
        self._flow.drop_prefix()
        self._flow.line()

    def _define(self, _: Any) -> None:
        self._definitions.append(Definitions())

    def _end_define(self, _: Any) -> None:
        self._definitions.pop().write(self._flow)

    def _term(self, _: Any) -> None:
        if self._definitions[-1].meanings:
            self._definitions[-1].write(self._flow)
        self._aside(None)

    def _aside(self, _: Any) -> None:
        """What is read by itself."""
        self._flows.append(Flow())

    def _end_term(self, _: Any) -> None:
        self._definitions[-1].terms.append(self._flows.pop().text)

    def _end_meaning(self, _: Any) -> None:
        self._definitions[-1].meanings.append(self._flows.pop().text)

    def _row(self, _: Any) -> None:
        self._rows.append([])

    def _head(self, _: Any) -> None:
        self._rows = [[]]
        self._is_head = True

    def _end_head(self, _: Any) -> None:
        self._is_head = False

    def _end_cell(self, _: Any) -> None:
        self._rows[-1].append(Cell(" ".join(self._flows.pop().text.split()), is_head=self._is_head))

    def _end_table(self, _: Any) -> None:
        self._flow.exactly(lines_of(self._rows))
        self._rows = []


BEGINS: dict[str, Callable[[Walk, Any], None]] = {
    "Heading": Walk._heading,
    "CodeBlock": Walk._code,
    "List": Walk._list,
    "Item": Walk._item,
    "FootnoteDefinition": Walk._note,
    "DefinitionList": Walk._define,
    "DefinitionListTitle": Walk._term,
    "DefinitionListDefinition": Walk._aside,
    "TableHead": Walk._head,
    "TableRow": Walk._row,
    "TableCell": Walk._aside,
}
ENDS: dict[str, Callable[[Walk, Any], None]] = {
    "Heading": Walk._end_heading,
    "CodeBlock": Walk._end_code,
    "List": Walk._end_list,
    "Item": Walk._end_item,
    "FootnoteDefinition": Walk._end_note,
    "DefinitionList": Walk._end_define,
    "DefinitionListTitle": Walk._end_term,
    "DefinitionListDefinition": Walk._end_meaning,
    "Table": Walk._end_table,
    "TableHead": Walk._end_head,
    "TableCell": Walk._end_cell,
}
LEAVES: dict[str, Callable[[Walk, str], None]] = {
    "SoftBreak": Walk._break,
    "HardBreak": Walk._break,
    "Rule": Walk._rule,
    "InlineHtml": Walk._html,
    "FootnoteReference": Walk._note_mark,
}
