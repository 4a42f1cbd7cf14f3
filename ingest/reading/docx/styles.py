"""What a document's styles say of paragraphs: which are headings, which are numbered, and what is raised in them."""

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ingest.reading.docx.names import W

STYLES_DEEP_MAX = 20
"""Styles that are based on one another."""
HEADING = re.compile(r"heading ?[1-9]", re.IGNORECASE)
BODY_LEVEL = 9
"""The level of an outline that is none, counted from 0."""
FIRST_ROW = 0x20
"""In a table's look as older programs write it."""

Chain = list[tuple[str, Element | None]]
"""Styles and their identifiers, each based on the next."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """Which list a paragraph is of (0: none), and at which of its levels, counted from 0."""

    list_id: str
    level: int


class Styles:
    """The styles of a document, or of one that has none."""

    def __init__(self, styles: Element | None) -> None:
        found = styles.iter(f"{W}style") if styles is not None else ()
        self._styles = {style.get(f"{W}styleId", ""): style for style in found}
        self._chains: dict[str, Chain] = {}

    def is_title(self, paragraph: Element) -> bool:
        """Whether a paragraph is the document's title."""
        return any(_name(style, own) == "title" for own, style in self._chain(paragraph))

    def is_heading(self, paragraph: Element) -> bool:
        """Whether a paragraph is a heading, or the title: by its level in the outline, or by its style's name."""
        level = _number(paragraph, "pPr/outlineLvl")
        for own, style in self._chain(paragraph) if level is None else ():
            level = _number(style, "pPr/outlineLvl")
            if level is not None:
                break
            if HEADING.fullmatch(name := _name(style, own)) or name == "title":
                return True
        return level is not None and level < BODY_LEVEL

    def numbering(self, paragraph: Element) -> Numbering | None:
        """Which list a paragraph says it is of, or its style says."""
        level: int | None = None
        for _, element in (("", paragraph), *self._chain(paragraph)):
            list_id = value(element, "pPr/numPr/numId")
            level = level if level is not None else _number(element, "pPr/numPr/ilvl")
            if list_id is not None:
                return Numbering(list_id, level or 0) if list_id != "0" else None
        return None

    def list_of(self, style: str) -> str | None:
        """The list that a style of lists stands for."""
        return value(self._styles.get(style), "pPr/numPr/numId")

    def has_head(self, table: Element) -> bool:
        """Whether a table's style sets its first row apart, and the table wants it."""
        look = find(table, "tblPr/tblLook")
        if look is None:
            return False
        bits = look.get(f"{W}val", "0")
        is_wanted = look.get(f"{W}firstRow")
        if is_wanted is None:
            is_wanted = "1" if int(bits, 16) & FIRST_ROW else "0"
        if is_wanted in ("0", "false", "off"):
            return False
        return any(
            part.get(f"{W}type") == "firstRow"
            for _, base in self._bases(value(table, "tblPr/tblStyle") or "")
            for part in (base.iter(f"{W}tblStylePr") if base is not None else ())
        )

    def shift(self, run: Element) -> str:
        """`superscript`, `subscript`, or "" for a run on the line."""
        own = value(run, "rPr/vertAlign")
        style = value(run, "rPr/rStyle")
        if own is None and style is not None:
            chain = self._bases(style)
            own = next((one for _, base in chain if (one := value(base, "rPr/vertAlign")) is not None), None)
        return own if own in ("superscript", "subscript") else ""

    def is_strong(self, run: Element) -> bool:
        """Whether a run is set in bold by itself, or by its style."""
        own = find(run, "rPr/b")
        if own is None and (style := value(run, "rPr/rStyle")) is not None:
            own = find(self._styles.get(style), "rPr/b")
        return own is not None and own.get(f"{W}val", "1") not in ("0", "false", "off")

    def _chain(self, paragraph: Element) -> Chain:
        own = value(paragraph, "pPr/pStyle")
        return self._bases(own) if own is not None else []

    def _bases(self, name: str) -> Chain:
        """A style by its identifier, which may be all there is of it, and those that it is based on."""
        if name not in self._chains:
            style = self._styles.get(name)
            chain = [(name, style)]
            while style is not None and len(chain) < STYLES_DEEP_MAX:
                base = value(style, "basedOn")
                style = self._styles.get(base) if base is not None else None
                if style is not None and base is not None:
                    chain.append((base, style))
            self._chains[name] = chain
        return self._chains[name]


def find(element: Element | None, path: str) -> Element | None:
    """The first element at a path of names."""
    for name in path.split("/"):
        if element is None:
            return None
        element = element.find(W + name)
    return element


def value(element: Element | None, path: str) -> str | None:
    """What the first element at a path says."""
    found = find(element, path)
    return found.get(f"{W}val") if found is not None else None


def _number(element: Element | None, path: str) -> int | None:
    found = value(element, path)
    return int(found) if found is not None and found.isdecimal() else None


def _name(style: Element | None, own: str) -> str:
    return (value(style, "name") or own).strip().lower()
