"""Running headers and footers: lines that come again and again at the edges of a document's pages."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

EDGE_LINES = 3
"""How many lines from the top, and from the bottom, may be running ones."""
PAGES_MIN = 3
SHARE_MIN = 0.15
"""Of the document's pages: headers that change with the chapter, or from left to right, are found too."""
LINE_CHARACTERS_MAX = 200

NUMBER = re.compile(
    r"^\W*(?:\d{1,5}|[ivxlc]{1,7})\b(?![.,]\d)|(?<![\d.,$])\b(?:\d{1,5}|[ivxlc]{1,7})\W*$|(?<=page )\d{1,5}\b"
)
"""A page's number, at an end of the line: it differs from page to page in a line that is otherwise the same."""
FIGURES = re.compile(r"[^a-z]*\d[^a-z]*|#[^a-z]*#[^a-z]*")
"""What is left of a table's row of figures."""


def without_running_lines(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """Each page's lines but its running header and footer. A page that has nothing else keeps them.

    A line is known by its words without the page's number, and stands at an edge or next to
    another running line there.
    """
    tops = _running([page[:EDGE_LINES] for page in map(_filled, pages)], len(pages))
    bottoms = _running([page[-EDGE_LINES:] for page in map(_filled, pages)], len(pages))
    return [_inner(list(page), tops, bottoms) for page in pages]


def _filled(page: Sequence[str]) -> list[str]:
    return [line for line in page if line.strip()]


def _running(edges: Sequence[Sequence[str]], page_count: int) -> set[str]:
    counted = Counter(key for edge in edges for key in {key_of(line) for line in edge})
    wanted = max(PAGES_MIN, SHARE_MIN * page_count)
    return {key for key, count in counted.items() if count >= wanted and key}


@lru_cache(maxsize=4_096)  # each page's are needed twice, and most pages have the same
def key_of(line: str) -> str:
    """What is the same of a running line on every page; "" for a line that cannot be one."""
    if len(line) > LINE_CHARACTERS_MAX:
        return ""
    key = " ".join(NUMBER.sub("#", line.casefold()).split())
    return "" if FIGURES.fullmatch(key) else key


def _inner(page: list[str], tops: set[str], bottoms: set[str]) -> list[str]:
    first, last = 0, len(page)
    seen = 0
    while first < last and seen < EDGE_LINES and (not page[first].strip() or key_of(page[first]) in tops):
        seen += bool(page[first].strip())
        first += 1
    seen = 0
    while last > first and seen < EDGE_LINES and (not page[last - 1].strip() or key_of(page[last - 1]) in bottoms):
        seen += bool(page[last - 1].strip())
        last -= 1
    return page[first:last] or page
