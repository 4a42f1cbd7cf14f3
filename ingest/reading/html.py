"""HTML's words as a browser would show them: without scripts, comments, and what its elements and styles hide."""

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag

from ingest.reading.css import Styles

HEADING_MARK = "\x1f"
"""Set before a heading while the format is known; `clean` removes it."""
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = (
    *(
        "p",
        "div",
        "li",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "tr",
        "table",
        "section",
        "article",
        "header",
        "footer",
        "main",
    ),
    *("aside", "nav", "pre", "title", "blockquote", "figure", "figcaption", *HEADINGS),
)
"""Elements of HTML that stand on lines of their own."""
BEFORE = dict.fromkeys(("br", "hr", *BLOCKS), "\n\n") | dict.fromkeys(HEADINGS, f"\n\n{HEADING_MARK}")
AFTER = dict.fromkeys(BLOCKS, "\n\n") | dict.fromkeys(("td", "th"), " ")
NOT_SHOWN = {"template", "noscript", "datalist", "canvas", "audio", "video", "iframe", "noframes", "rp"}
"""Elements whose words are not shown, or only where scripts or media are not."""
OPENED = re.compile(r"<[A-Za-z/!?]")
OPEN_ENDS_MAX = 64
"""Of tags, or comments, that never end: the parser reads all that is left for each of them. A browser drops them."""


def read(html: str) -> tuple[str, str]:
    """The words that are shown, with headings marked, and the title, or ""."""
    soup = BeautifulSoup(_without_open_ends(html), "html.parser")
    return "".join(_pieces(soup)), soup.title.get_text() if soup.title else ""


def hides(tag: Tag, styles: Styles) -> bool:
    """Whether an element does not show what is in it."""
    return (
        tag.name in NOT_SHOWN
        or "hidden" in tag.attrs
        or (tag.name == "dialog" and "open" not in tag.attrs)
        or styles.hide(tag)
    )


def _pieces(soup: BeautifulSoup) -> Iterator[str]:
    """The text, and a line's end where the page has one. No recursion: a page may be deeper than Python's calls."""
    styles = Styles(soup)
    opened: list[Tag] = []
    hidden: Tag | None = None
    for element in soup.descendants:
        while opened and opened[-1] is not element.parent:
            closed = opened.pop()
            styles.leave()
            hidden = None if closed is hidden else hidden
            yield AFTER.get(closed.name, "")
        if isinstance(element, Tag):
            opened.append(element)
            styles.enter(element)
            if hidden is None and hides(element, styles):
                hidden = element
            yield BEFORE.get(element.name, "")
        elif hidden is None and not styles.hide_words and type(element) in Tag.MAIN_CONTENT_STRING_TYPES:
            yield str(element)


def _without_open_ends(html: str) -> str:
    """The page as far as some tags and comments at its end that are never closed."""
    for opened, closing in ((OPENED, ">"), (re.compile("<!--"), "-->")):
        rest = html.rfind(closing) + 1
        for number, found in enumerate(opened.finditer(html, rest)):
            if number >= OPEN_ENDS_MAX:
                html = html[: found.start()]
                break
    return html
