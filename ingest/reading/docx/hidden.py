"""The words that Word does not show: hidden, deleted, of the paper's own colour, of next to no size."""

import re
from xml.etree.ElementTree import Element

from ingest.reading.docx.names import COMPATIBILITY, W

NOT_SHOWN = {f"{W}del", f"{W}moveFrom", f"{COMPATIBILITY}Fallback"}
"""What was deleted or moved away, and what stands for programs that know less than Word."""
HIDING = ("vanish", "specVanish", "webHidden")
HALF_POINTS_MIN = 4
"""Smaller letters nobody reads."""
PER_CENT_WIDE_MIN = 10
LIGHT = 240
"""Of 255, in each of red, green and blue: white, to the eye."""
DARK = "000000"
"""What a ground counts as that is not looked into: white words may be read on it."""
STYLES_DEEP_MAX = 20
"""Styles that are based on one another."""

Properties = dict[str, str]
"""Of a run: the names of its properties, and their values."""


def of_styles(styles: Element | None) -> dict[str, Properties]:
    """The properties of runs that each style brings, its bases' included."""
    if styles is None:
        return {}
    found = {style.get(f"{W}styleId", ""): style for style in styles.iter(f"{W}style")}
    return {name: _of_style(found, name) for name in found}


def _of_style(styles: dict[str, Element], name: str, depth: int = 0) -> Properties:
    style = styles.get(name)
    if style is None or depth > STYLES_DEEP_MAX:
        return {}
    base = style.find(f"{W}basedOn")
    inherited = _of_style(styles, base.get(f"{W}val", ""), depth + 1) if base is not None else {}
    return inherited | _properties(style.find(f"{W}rPr"))


def _properties(element: Element | None) -> Properties:
    found: Properties = {}
    for child in element if element is not None else ():
        name = child.tag.removeprefix(W)
        found[name] = child.get(f"{W}val", "true")
        if name == "color" and child.get(f"{W}themeColor", "") in ("background1", "light1", "bg1", "lt1"):
            found[name] = "FFFFFF"
        if name == "shd":
            found[name] = child.get(f"{W}fill", "auto")
    return found


class Shown:
    """Takes from a part what is not shown. No recursion: a part may be deeper than Python's calls."""

    def __init__(self, styles: dict[str, Properties]) -> None:
        self._styles = styles

    def prune(self, root: Element) -> None:
        """Remove all hidden elements below `root`."""
        waiting: list[tuple[Element, Properties]] = [(root, {})]
        while waiting:
            parent, around = waiting.pop()
            inside = around | self._of_ground(parent)
            for child in list(parent):
                if child.tag in NOT_SHOWN or self._is_hidden(child, inside):
                    parent.remove(child)
                elif len(child):
                    waiting.append((child, inside))

    def _of_ground(self, element: Element) -> Properties:
        """What a paragraph, a cell or a table says to the runs within."""
        found: Properties = {}
        for name in ("pPr", "tcPr", "tblPr"):
            properties = element.find(W + name)
            if properties is not None:
                own = _properties(properties)
                found |= self._styles.get(own.get("pStyle", ""), {})
                found |= {"shd": own["shd"]} if "shd" in own else {}
                found |= {"shd": DARK} if "tblStyle" in own else {}  # which may colour its rows
        return found | ({"shd": DARK} if element.tag == f"{W}txbxContent" else {})  # as a shape may be

    def _is_hidden(self, element: Element, around: Properties) -> bool:
        if element.tag == f"{W}tr":
            row = _properties(element.find(f"{W}trPr"))
            return _is_on(row.get("hidden")) or "del" in row
        if element.tag != f"{W}r":
            return False
        own = _properties(element.find(f"{W}rPr"))
        return _hides(around | self._styles.get(own.get("rStyle", ""), {}) | own)


def _hides(run: Properties) -> bool:
    is_white = _is_light(run.get("color", "auto"))
    is_on_white = run.get("highlight", "none") in ("none", "white") and _is_light(run.get("shd", "FFFFFF"), auto=True)
    return (
        any(_is_on(run.get(name)) for name in HIDING)
        or (is_white and is_on_white)
        or _number(run.get("sz")) < HALF_POINTS_MIN
        or _number(run.get("w")) < PER_CENT_WIDE_MIN
    )


def _is_on(value: str | None) -> bool:
    return value is not None and value not in ("0", "false", "off", "none")


def _is_light(color: str, *, auto: bool = False) -> bool:
    if not re.fullmatch("[0-9A-Fa-f]{6}", color):
        return auto
    return all(int(color[at : at + 2], 16) >= LIGHT for at in (0, 2, 4))


def _number(value: str | None) -> float:
    """What is no number counts as large."""
    digits = re.match(r"\d+(\.\d+)?", value or "")
    return float(digits.group()) if digits else 1000.0
