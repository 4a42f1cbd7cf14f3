"""Markdown taken apart, by pulldown-cmark: CommonMark with tables, footnotes, definitions and what is struck."""

from collections.abc import Iterator
from typing import Any

import pyromark

OPTIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_FOOTNOTES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_DEFINITION_LIST
)

Part = tuple[str, str, Any]
"""("Start" or "End", an element's name, what is said of it), or what else there is, its words, None."""


def parts_of(text: str) -> Iterator[Part]:
    """The parts of a text in their order, without what describes its pictures: that is shown for lack of them."""
    pictures = 0
    for part in map(_part, pyromark.events(text, options=OPTIONS)):
        if part[1] == "Image" and part[0] in ("Start", "End"):
            pictures += 1 if part[0] == "Start" else -1
        elif not pictures:
            yield part


def _part(event: Any) -> Part:
    if isinstance(event, str):
        return event, "", None
    ((kind, value),) = event.items()
    if isinstance(value, str):
        return kind, value, None
    ((name, data),) = value.items()
    return kind, name, data


def blocks_of(parts: Iterator[Part]) -> Iterator[tuple[int, Part]]:
    """Each part with the number of the outermost block that it is in, from 0."""
    number = depth = 0
    for part in parts:
        yield number, part
        depth += (part[0] == "Start") - (part[0] == "End")
        number += not depth
