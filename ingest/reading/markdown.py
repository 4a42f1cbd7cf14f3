"""Markdown's words as they are shown: made HTML by markdown-it, and read as HTML, with what that hides.

Lines stay lines, though most programs run them together: those that write them mean them. What stands above the text
between dashes (YAML) are lines of "label: value", and may tell the title.
"""

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from ingest.reading import html

NESTING_MAX = 100
"""Quotes and lists within one another; the words of deeper ones are left out."""
TITLE = re.compile(r"title:\s*(\S.*)", re.IGNORECASE)


def read(text: str) -> tuple[str, str]:
    """The words that are shown, with headings and heads of tables marked, and the title that YAML gives, or ""."""
    shown: list[str] = []
    made = _parser().render(text, {"front": shown})
    lines = [line for line in "\n".join(shown).splitlines() if line.strip() and not line.startswith("#")]
    titles = [found.group(1).strip("\"' ") for line in lines if (found := TITLE.match(line))]
    above = f"<p>{'<br>'.join(map(escape, lines))}</p>" if lines else ""
    return html.read(above + made)[0], titles[0] if titles else ""


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "breaks": True, "maxNesting": NESTING_MAX})
    parser.enable(["table", "strikethrough"])
    parser.use(front_matter_plugin).use(deflist_plugin)
    parser.use(footnote_plugin, inline=False, move_to_end=False)
    parser.add_render_rule("front_matter", _keep_front)
    parser.add_render_rule("footnote_ref", _note_mark)
    parser.add_render_rule("footnote_reference_open", _note_begins)
    parser.add_render_rule("footnote_reference_close", _note_ends)
    return parser


def _keep_front(_: Any, tokens: Sequence[Token], index: int, __: Any, environment: dict[str, Any]) -> str:
    environment["front"].append(tokens[index].content)
    return ""


def _note_mark(_: Any, tokens: Sequence[Token], index: int, __: Any, environment: dict[str, Any]) -> str:
    return f'<sup><a href="#note">{escape(_number(tokens[index].meta, environment))}</a></sup>'


def _note_begins(
    renderer: Any, tokens: Sequence[Token], index: int, options: Any, environment: dict[str, Any]
) -> str:
    """The mark goes into the note's first paragraph."""
    mark = f"{_note_mark(renderer, tokens, index, options, environment)} "
    for token in tokens[index + 1 : index + 3]:
        if token.type == "inline":
            token.children = [Token("html_inline", "", 0, content=mark), *(token.children or ())]
            return "<div>"
    return f"<div>{mark}"


def _note_ends(*_: Any) -> str:
    return "</div>"


def _number(note: dict[str, Any], environment: dict[str, Any]) -> str:
    """What a note is shown by: its place among those that the text leads to, or its own label."""
    known = environment.get("footnotes", {}).get("refs", {})
    place = note.get("id", known.get(f":{note.get('label')}", -1))
    return str(place + 1) if place >= 0 else str(note.get("label", ""))
