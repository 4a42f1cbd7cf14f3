"""HTML within Markdown: which blocks it is in, and these as HTML, so that what it hides or styles is known."""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from html.parser import HTMLParser
from typing import Any

from bs4.builder import HTMLTreeBuilder

from ingest.reading.markdown.parts import Part

HTML = ("Html", "InlineHtml")
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
RAISING = {"<sup>": "</sup>", "<sub>": "</sub>"}
STYLES = re.compile("<style", re.IGNORECASE)
WITHOUT_END = {*(HTMLTreeBuilder.DEFAULT_EMPTY_ELEMENT_TAGS or ()), "p"}
"""Elements that end by themselves; a paragraph does at the next block."""
TAGS = {
    "Paragraph": "p",
    "BlockQuote": "blockquote",
    "CodeBlock": "pre",
    "FootnoteDefinition": "div",
    "DefinitionList": "dl",
    "DefinitionListTitle": "dt",
    "DefinitionListDefinition": "dd",
    "Item": "li",
    "Table": "table",
    "TableHead": "thead",
    "TableRow": "tr",
    "TableCell": "td",
    "Emphasis": "em",
    "Strong": "strong",
    "Strikethrough": "s",
    "Link": "a",
}
LEAVES = {"SoftBreak": "<br>", "HardBreak": "<br>", "Rule": "<hr>"}


def html_blocks(blocks: Iterable[tuple[int, Part]]) -> set[int]:
    """The numbers of the blocks that hold HTML, or that stand within an element of it."""
    found: set[int] = set()
    open_tags, last, html, simple = _OpenTags(), 0, list[str](), _Simple()
    for number, part in blocks:
        if number != last:
            if _is_html(html, open_tags, simple):
                found.add(last)
            last, html, simple = number, [], _Simple()
        simple.add(part)
        if part[0] in HTML:
            html.append(part[1])
    if _is_html(html, open_tags, simple):
        found.add(last)
    return found


def _is_html(html: list[str], open_tags: "_OpenTags", simple: "_Simple") -> bool:
    """Whether a block is, with what was opened before it, and is open behind it."""
    is_within = open_tags.are_open
    if not html or simple.is_so:
        return is_within
    open_tags.take("".join(html))
    return True


class _Simple:
    """Whether all the HTML of a block is ends of lines, and plain words that are raised or lowered."""

    def __init__(self) -> None:
        self.is_so = True
        self._end = ""
        self._has_words = False

    def add(self, part: Part) -> None:
        """One more part of it."""
        kind, words, _ = part
        if self._end and kind == "Text":
            self._has_words = True
        elif self._end:
            self.is_so = self.is_so and self._has_words and kind == "InlineHtml" and words == self._end
            self._end = ""
        elif kind in HTML and not (kind == "InlineHtml" and BREAK.fullmatch(words)):
            self._end, self._has_words = RAISING.get(words, ""), False
            self.is_so = self.is_so and kind == "InlineHtml" and bool(self._end)


class _OpenTags(HTMLParser):
    """Elements that are open after the HTML that was taken so far, as bs4 has them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._open: list[str] = []
        self._is_cut = False

    def take(self, html: str) -> None:
        """More of it. Behind a tag or a comment that is not closed nothing is told any more."""
        if not self._is_cut:
            self.feed(html)
            self._is_cut = "<" in self.rawdata or self.cdata_elem is not None

    @property
    def are_open(self) -> bool:
        """Whether there are such."""
        return self._is_cut or bool(self._open)

    def handle_starttag(self, tag: str, _: Any) -> None:
        """As bs4 has it, or longer."""
        if tag not in WITHOUT_END:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It ends all that was opened since."""
        if tag in self._open:
            while self._open.pop() != tag:
                pass


def as_html(parts: Iterable[Part], notes: Mapping[str, str]) -> Iterator[str]:
    """Markdown's parts as HTML. `notes` are the marks of its footnotes."""
    mark = ""
    for kind, words, data in parts:
        if kind in HTML:
            yield words
        elif kind == "Start":
            yield _begin(words, data)
            if words == "FootnoteDefinition":
                mark = _mark(notes.get(data, data)) + " "
        elif kind == "End":
            yield _end(words, data)
        elif kind == "FootnoteReference":
            yield _mark(notes.get(words, words))
        else:
            yield LEAVES.get(kind) or escape(words)
        if mark and words != "FootnoteDefinition":
            yield mark
            mark = ""


def _mark(note: str) -> str:
    return f'<sup><a href="#note">{escape(note)}</a></sup>'


def _begin(name: str, data: Any) -> str:
    if name == "Heading":
        return f"<{data['level']}>"
    if name == "List":
        return "<ul>" if data is None else f'<ol start="{data}">'
    return f"<{TAGS[name]}>" if name in TAGS else ""


def _end(name: str, data: Any) -> str:
    if name == "Heading":
        return f"</{data}>"
    if name == "List":
        return "</ol>" if data else "</ul>"
    return f"</{TAGS[name]}>" if name in TAGS else ""
