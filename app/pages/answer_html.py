"""An answer as HTML that a page may show: Markdown to HTML, then only what is harmless of it."""

from functools import cache

import nh3
from markdown_it import MarkdownIt

TAGS = frozenset(
    "p br strong em s code pre blockquote ul ol li h1 h2 h3 h4 h5 h6 hr table thead tbody tr th td".split()
)
"""No links and no pictures: where an answer leads is its citations, which the page makes by itself."""
ATTRIBUTES: dict[str, set[str]] = {"ol": {"start"}}


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])


def answer_html(answer: str) -> str:
    """The answer's Markdown as HTML. Its marks `[1]` stay text, which the page turns into buttons."""
    return nh3.clean(_markdown().render(answer), tags=set(TAGS), attributes=ATTRIBUTES, link_rel=None)
