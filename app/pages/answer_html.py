"""An answer as HTML that a page may show: Markdown to HTML, then only what is harmless of it."""

from functools import cache

import nh3
from markdown_it import MarkdownIt

TEXT = {"p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"}
LISTS_AND_TABLES = {"ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"}
"""No links and no pictures: where an answer leads is its citations, which the page makes by itself."""
ATTRIBUTES: dict[str, set[str]] = {"ol": {"start"}}


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def answer_html(answer: str) -> str:
    """The answer's Markdown as HTML. Its marks `[1]` stay text, which the page turns into buttons."""
    return nh3.clean(_markdown().render(answer), tags=TEXT | LISTS_AND_TABLES, attributes=ATTRIBUTES, link_rel=None)
