"""HTML into a tree in which elements end where a browser ends them: a paragraph at the next block, and so on."""

import re
from typing import Any

from bs4 import BeautifulSoup, Tag

OPENED = re.compile(r"<[A-Za-z/!?]")
RAW = re.compile("<(?:script|style|textarea|title|xmp)[ \n>]", re.IGNORECASE)
RAW_CHARACTERS = 10_000
OPEN_ENDS_MAX = 64
"""Of tags, or comments, that never end: the parser reads all that is left for each of them. A browser drops them."""

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
ENDS_A_PARAGRAPH = frozenset(
    (
        *("address", "article", "aside", "blockquote", "center", "details", "dialog", "dir", "div", "dl", "dt", "dd"),
        *(
            "fieldset",
            "figcaption",
            "figure",
            "footer",
            "form",
            "header",
            "hgroup",
            "hr",
            "main",
            "menu",
            "nav",
            "ol",
        ),
        *("li", "p", "pre", "section", "summary", "table", "ul", *HEADINGS),
    )
)
"""HTML, 13.1.2.4 and 13.2.6.4.7: the elements that end a paragraph which was not closed."""
ENDED_BY = {
    **dict.fromkeys(ENDS_A_PARAGRAPH, (("p",), ("table", "td", "th", "caption", "button", "object", "template"))),
    "li": (("li",), ("ul", "ol", "menu", "table")),
    **dict.fromkeys(("dt", "dd"), (("dt", "dd"), ("dl", "table"))),
    **dict.fromkeys(("td", "th"), (("td", "th", "caption"), ("tr", "table"))),
    "tr": (("tr", "caption", "colgroup"), ("table",)),
    **dict.fromkeys(("thead", "tbody", "tfoot"), (("thead", "tbody", "tfoot", "caption", "colgroup"), ("table",))),
    "option": (("option",), ("select", "optgroup", "datalist")),
    "optgroup": (("option", "optgroup"), ("select",)),
}
"""What an opening tag ends, and within what it does not look further."""


def soup_of(html: str) -> BeautifulSoup:
    """The page's tree."""
    return _Soup(_without_open_ends(html), "html.parser", store_line_numbers=False, multi_valued_attributes=None)


class _Soup(BeautifulSoup):
    def handle_starttag(self, name: str, *args: Any, **options: Any) -> Tag | None:
        """As bs4 has it, after what the tag ends."""
        if name in ENDED_BY:
            self._end(*ENDED_BY[name])
            if name in ("dt", "dd", "li"):
                self._end(*ENDED_BY["p"])
        return super().handle_starttag(name, *args, **options)

    def _end(self, ended: tuple[str, ...], within: tuple[str, ...]) -> None:
        if not any(map(self.open_tag_counter.get, ended)):
            return
        for tag in reversed(self.tagStack):
            if tag.name in ended:
                self.handle_endtag(tag.name)
                return
            if tag.name in within:
                return


def _without_open_ends(html: str) -> str:
    """The page as far as a comment that is never closed, or as some tags at its end that are not."""
    for found in re.finditer("<!--", html[(rest := html.rfind("-->") + 1) :]):
        if not _is_raw(html, rest + found.start()):
            html = html[: rest + found.start()]
            break
    rest = html.rfind(">") + 1
    for number, found in enumerate(OPENED.finditer(html, rest)):
        if number >= OPEN_ENDS_MAX:
            return html[: found.start()]
    return html


def _is_raw(html: str, at: int) -> bool:
    """Whether a place is in an element that holds no markup, as a script does."""
    opened = [found.end() for found in RAW.finditer(html, max(0, at - RAW_CHARACTERS), at)]
    return bool(opened) and "</" not in html[opened[-1] : at]
