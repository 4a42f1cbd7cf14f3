"""What the styles of an HTML page hide, as far as they stand in it: style attributes and style sheets."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bs4 import BeautifulSoup, Tag

COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
FOR_SCREENS = re.compile(r"@media\s+(?:only\s+)?(?:all|screen)\s*$", re.IGNORECASE)
NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
PARTS = re.compile(r"(#[\w-]+)|(\.[\w-]+|\[[^\]]*\]|:[\w-]+)|(?<![\w.#:-])([a-zA-Z][\w-]*)")
"""Of a selector: identifiers, then classes and their like, then names."""
RGB = re.compile(r"rgba?\(\s*([\d.]+)[\s,]+([\d.]+)[\s,]+([\d.]+)(?:[\s,/]+([\d.]+%?))?\s*\)")
NAMED = {"white": (255, 255, 255), "black": (0, 0, 0), "snow": (255, 250, 250), "ivory": (255, 255, 240)}

TESTS_MAX = 1_000_000
"""Of an element by a selector, a second each 200,000: the rules that come after so many are not heeded."""
CONTRAST_MIN = 16
"""Of 255, as in a PDF's picture."""
OFF_PAGE = -400.0
"""Points or pixels left of the page or above it."""
SMALL = 1.0
"""Points or pixels of a letter that nobody reads."""
FAINT = 0.05
HEEDED = {
    *("display", "visibility", "opacity", "color", "background", "background-color", "font-size", "position"),
    *("left", "top", "text-indent", "clip", "clip-path", "height", "max-height", "width", "max-width", "overflow"),
    *("transform", "content-visibility", "-webkit-text-fill-color", "background-image", "font", "margin-left"),
    *("vertical-align", "list-style", "list-style-type"),
}

LOOKS = frozenset(("color", "text", "bgcolor"))
"""Attributes of old."""

Declared = dict[str, str]
Color = tuple[int, int, int] | None
"""None: it cannot be known."""


@dataclass(frozen=True)
class _Words:
    """How the words of an element look, unless an element within says otherwise."""

    ink: Color = (0, 0, 0)
    ground: Color = (255, 255, 255)
    is_small: bool = False
    is_invisible: bool = False

    @cached_property
    def are_hidden(self) -> bool:
        """Whether nobody sees them."""
        if self.is_small or self.is_invisible:
            return True
        if self.ink is None or self.ground is None:
            return False
        return all(abs(one - other) < CONTRAST_MIN for one, other in zip(self.ink, self.ground, strict=True))


class Styles:
    """Follows a walk through a page from its root, and says what is hidden in it."""

    def __init__(self, soup: BeautifulSoup) -> None:
        self._declared = _declared(soup)
        self._words = [_Words()]
        self._last: tuple[Tag | None, Declared] = (None, {})

    def enter(self, tag: Tag) -> None:
        """The walk goes into an element."""
        style = self._style(tag)
        around = self._words[-1]
        if not style and LOOKS.isdisjoint(tag.attrs):
            self._words.append(around)
            return
        ink = style.get("-webkit-text-fill-color") or style.get("color") or _attribute(tag, "color", "text")
        ground = style.get("background-color") or style.get("background") or _attribute(tag, "bgcolor")
        is_picture = "background-image" in style or (ground is not None and "(" in ground and "rgb" not in ground)
        size = style.get("font-size") or style.get("font", "").partition("/")[0]
        under = None if is_picture else _color(ground, around.ground) if ground else around.ground
        self._words.append(
            _Words(
                _color(ink, under) if ink else around.ink,
                under,
                _number(size) <= SMALL or (around.is_small and (not size or "em" in size or "%" in size)),
                style["visibility"] in ("hidden", "collapse") if "visibility" in style else around.is_invisible,
            )
        )

    def leave(self) -> None:
        """The walk has left the element that it went into last."""
        self._words.pop()

    def hide(self, tag: Tag) -> bool:
        """Whether an element hides all that is in it."""
        style = self._style(tag)
        return bool(style) and _hides(style)

    @property
    def hide_words(self) -> bool:
        """Whether words that stand directly in the element that the walk is in are not seen."""
        return self._words[-1].are_hidden

    def raises(self, tag: Tag) -> bool:
        """Whether an element is set above the line."""
        return self._style(tag).get("vertical-align") in ("super", "text-top")

    def lowers(self, tag: Tag) -> bool:
        """Whether an element is set below the line."""
        return self._style(tag).get("vertical-align") == "sub"

    def are_unmarked(self, tag: Tag) -> bool:
        """Whether the items of a list have neither numbers nor bullets."""
        style = self._style(tag)
        return "none" in (*style.get("list-style", "").split(), style.get("list-style-type"))

    def _style(self, tag: Tag) -> Declared:
        if self._last[0] is tag:
            return self._last[1]
        style = self._declared.get(id(tag), {})
        own = _attribute(tag, "style")
        style = style | dict(_declarations(own)) if own else style
        self._last = (tag, style)
        return style


def _hides(style: Declared) -> bool:
    """Whether declarations keep all that is in an element from being seen."""
    is_cut = style.get("overflow", "") in ("hidden", "clip")
    return (
        style.get("display") == "none"
        or style.get("content-visibility") == "hidden"
        or _number(style.get("opacity")) <= FAINT
        or _number(style.get("text-indent"), 0) < OFF_PAGE
        or _number(style.get("margin-left"), 0) < OFF_PAGE
        or (style.get("position") in ("absolute", "fixed") and _is_off_page(style))
        or (
            is_cut
            and any(_number(style.get(side)) <= SMALL for side in ("height", "max-height", "width", "max-width"))
        )
        or bool(re.search(r"scale[xy]?\(\s*0", style.get("transform", "")))
        or bool(re.search(r"inset\(\s*(50|100)%|circle\(\s*0|polygon\(\s*\)", style.get("clip-path", "")))
        or bool(re.search(r"rect\(\s*([01])(px)?[\s,]+\1(px)?[\s,]+\1(px)?[\s,]+\1(px)?\s*\)", style.get("clip", "")))
    )


def _is_off_page(style: Declared) -> bool:
    return min(_number(style.get("left"), 0), _number(style.get("top"), 0)) < OFF_PAGE


def _number(value: str | None, default: float = 1000.0) -> float:
    """The number that a value begins with, whatever its unit; relative sizes count as many points."""
    found = NUMBER.search(value) if value else None
    if value is None or found is None:
        return default
    number = float(found.group())
    return number * 10 if "em" in value else number / 10 if "%" in value else number


def _color(value: str, ground: Color) -> Color:
    """What a colour comes to on `ground`; transparent ink has its ground's own."""
    value = value.strip().lower()
    if value in ("transparent", "#0000", "#00000000"):
        return ground
    if value in NAMED:
        return NAMED[value]
    if value.startswith("#") and len(value) in (4, 5):
        value = "#" + "".join(2 * digit for digit in value[1:])
    if re.fullmatch(r"#[0-9a-f]{6}([0-9a-f]{2})?", value):
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)
    found = RGB.fullmatch(value)
    if found is None:
        return None
    if found.group(4) and _number(found.group(4)) <= FAINT:
        return ground
    return int(float(found.group(1))), int(float(found.group(2))), int(float(found.group(3)))


def _attribute(tag: Tag, *names: str) -> str | None:
    return next((value for name in names if isinstance(value := tag.attrs.get(name), str)), None)


def _declarations(block: str) -> Iterator[tuple[str, str]]:
    for declaration in block.split(";"):
        name, _, value = declaration.partition(":")
        name = name.strip().lower()
        if name in HEEDED:
            yield name, value.replace("!important", "").strip().lower()


def _declared(soup: BeautifulSoup) -> dict[int, Declared]:
    """What the style sheets say of elements, by their identity; the more exact rule, or the later one, wins."""
    sheets = COMMENT.sub("", "\n".join(sheet.get_text() for sheet in soup.find_all("style")))
    rules = sorted(_rules(sheets), key=lambda rule: rule[0])
    declared: dict[int, Declared] = {}
    left = TESTS_MAX
    size = sum(1 for _ in soup.descendants) if rules else 0
    for _, selector, style in rules:
        left -= size
        if left < 0:
            break
        for tag in _selected(soup, selector):
            declared.setdefault(id(tag), {}).update(style)
    return declared


def _rules(sheet: str) -> Iterator[tuple[tuple[bool, int, int, int, int], str, Declared]]:
    """Each rule for each of its selectors, with its weight. Of the blocks within @ rules those for screens only."""
    ends: list[bool] = []
    order = at = 0
    for mark in re.finditer(r"[{}]", sheet):
        head, at = sheet[at : mark.start()].strip(), mark.end()
        if mark.group() == "{":
            if head.startswith("@") or (ends and not ends[-1]):
                ends.append(bool(FOR_SCREENS.match(head)))
                continue
            end = sheet.find("}", at)
            style = dict(_declarations(sheet[at : end if end >= 0 else len(sheet)]))
            ends.append(True)
            for selector in head.split(",") if style else ():
                order += 1
                parts = PARTS.findall(selector)
                weight = tuple(sum(1 for part in parts if part[kind]) for kind in range(3))
                is_important = "!important" in sheet[at : end if end >= 0 else len(sheet)]
                yield (is_important, weight[0], weight[1], weight[2], order), selector.strip(), style
        elif ends:
            ends.pop()


def _selected(soup: BeautifulSoup, selector: str) -> list[Tag]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(soup.select(selector))
    except Exception:  # soupsieve raises its own error, or others, for what it does not know, as ":hover::before"
        return []
