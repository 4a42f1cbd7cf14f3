"""Markdown's words as they are shown: without comments, hidden elements of HTML, and definitions of links."""

import re
from bisect import bisect
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag

from ingest.reading.css import Styles
from ingest.reading.html import NOT_SHOWN, hides
from ingest.reading.marks import HEADING_MARK

HEADING = re.compile(r"^ {0,3}(?=#{1,6} )", re.MULTILINE)
FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
CODE = re.compile(r"(?<!`)(`+)(?!`)[^\n]{0,2000}?(?<!`)\1(?!`)")
DEFINITION = re.compile(
    r"^ {0,3}\[(?!\^)[^\]\n]{1,999}\]:[^\n]*$(?:\n[ \t]+[\"'(][^\n]*[\"')][ \t]*$)?", re.MULTILINE
)
"""A link's target and title, which are not shown, and in which notes are hidden: `[//]: # (a note)`."""
TAG = re.compile(r"<!--|<([A-Za-z][A-Za-z0-9-]{0,30})\b[^<>]{0,2000}>")
NEVER_SHOWN = {"script", "style", *NOT_SHOWN}
VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
"""Elements without words."""
MAY_HIDE = re.compile(r"hidden|style|color|dialog", re.IGNORECASE)

Inside = tuple[str, int] | None
"""The hidden element that the text is in, and how many of its name within one another; "" for a comment."""


def read(text: str) -> str:
    """The words that are shown, and code, with headings marked."""
    parts = FENCE.split(text)  # text, fence, code, fence, text ...
    shown = list(_shown(parts))
    marked = [HEADING.sub(HEADING_MARK, part) if n % 4 == 0 else part for n, part in enumerate(shown)]
    return "".join(marked)


def _shown(parts: list[str]) -> Iterator[str]:
    """The parts without what is hidden in those that are text. A comment may reach over code; then that is hidden."""
    inside: Inside = None
    for number, part in enumerate(parts):
        if inside is None and number % 4 != 0:
            yield part
            continue
        kept, inside = _without_hidden(part, inside)
        yield DEFINITION.sub("", kept) if number % 4 == 0 else kept


def _without_hidden(text: str, inside: Inside) -> tuple[str, Inside]:
    """The text outside of hidden elements. `inside`: as it begins, and as it ends."""
    kept: list[str] = []
    code = [found.span() for found in CODE.finditer(text)]
    at = 0
    while True:
        if inside is not None:
            end, inside = _end(text, at, inside)
            if inside is not None:
                return "".join(kept), inside
            at = end
        found = _next_hidden(text, at, code)
        if found is None:
            return "".join([*kept, text[at:]]), None
        kept.append(text[at : found.start()])
        at = found.end()
        inside = ("", 1) if found.group(1) is None else (found.group(1).lower(), 1)


def _end(text: str, at: int, inside: tuple[str, int]) -> tuple[int, Inside]:
    """Where a hidden element ends; or, as it goes on behind the text, how deep it is then."""
    name, depth = inside
    if not name:
        end = text.find("-->", at)
        return (end + 3, None) if end >= 0 else (len(text), inside)
    blank = "|\n[ \t]*\n" if name in ("p", "li") else ""  # the next paragraph ends them
    for found in re.finditer(rf"<(/?){name}\b[^<>]*>{blank}", text[at:], re.IGNORECASE):
        if not found.group().startswith("<"):
            depth = 0
        else:
            depth += -1 if found.group(1) else 1
        if depth == 0:
            return at + found.end(), None
    return len(text), (name, depth)


def _next_hidden(text: str, at: int, code: list[tuple[int, int]]) -> re.Match[str] | None:
    for found in TAG.finditer(text, at):
        before = bisect(code, (found.start(), len(text))) - 1
        if before >= 0 and code[before][1] > found.start():
            continue  # it is shown as it stands
        if found.group(1) is None or _is_hidden(found.group(1).lower(), found.group()):
            return found
    return None


def _is_hidden(name: str, opening: str) -> bool:
    if name in NEVER_SHOWN:
        return True
    if name in VOID or not MAY_HIDE.search(opening):
        return False
    soup = BeautifulSoup(opening, "html.parser")
    tag = soup.find()
    if not isinstance(tag, Tag):
        return False
    styles = Styles(soup)
    styles.enter(tag)
    return hides(tag, styles) or styles.hide_words
