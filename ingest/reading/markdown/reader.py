"""Markdown's words as they are shown: taken apart by pulldown-cmark; blocks that hold HTML are read as HTML.

Lines stay lines, though most programs run them together: those that write them mean them. What stands above the text
between dashes (YAML) are lines of "label: value", and may tell the title.
"""

import re
from itertools import groupby

from ingest.reading import html
from ingest.reading.markdown.embedded import STYLES, as_html, html_blocks
from ingest.reading.markdown.parts import blocks_of, parts_of
from ingest.reading.markdown.walk import Walk

FRONT = re.compile(r"---[ \t]*\n(?=\S)(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r"title:\s*(\S.*)", re.IGNORECASE)


def read(text: str) -> tuple[str, str]:
    """The words that are shown, with headings and heads of tables marked, and the title that YAML gives, or ""."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front = FRONT.match(text)
    lines = front.group(1).splitlines() if front else []
    lines = [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]
    titles = [found.group(1).strip("\"' ") for line in lines if (found := TITLE.match(line))]
    walk = Walk(_notes(text))
    walk.take_read("\n".join(lines))
    _walk(walk, text[front.end() :] if front else text)
    return walk.text, titles[0] if titles else ""


def _walk(walk: Walk, text: str) -> None:
    """Take every block of the text: a style sheet may say something of each of them."""
    is_styled = STYLES.search(text) is not None
    as_such = html_blocks(blocks_of(parts_of(text))) if "<" in text and not is_styled else set()
    for is_html, blocks in groupby(blocks_of(parts_of(text)), lambda block: is_styled or block[0] in as_such):
        if is_html:
            walk.take_read(html.read("".join(as_html((part for _, part in blocks), walk.notes)))[0])
            continue
        for _, part in blocks:
            walk.take(part)


def _notes(text: str) -> dict[str, str]:
    """What the text's notes are shown by: the places of those that it leads to, in their order."""
    parts = parts_of(text) if "[^" in text else ()
    labels = dict.fromkeys(words for kind, words, _ in parts if kind == "FootnoteReference")
    return {label: str(place) for place, label in enumerate(labels, 1)}
