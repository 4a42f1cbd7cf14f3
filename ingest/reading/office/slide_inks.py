"""Words on a slide that nobody sees: of the colour of what is behind them, transparent, of next to no size."""

import re
from collections.abc import Sequence
from typing import Any

from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.oxml import parse_xml
from pptx.oxml.ns import qn

from ingest.reading.office.slide_places import Placed

HUNDREDTHS_OF_A_POINT_MIN = 200
"""Smaller letters nobody reads."""
ALIKE = 15
"""Of 255, in each of red, green and blue: nobody can tell such colours apart."""
SIX_DIGITS = re.compile("[0-9A-Fa-f]{6}")
Colour = tuple[int, int, int]
ROLES = {"bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2"}
"""What a theme's colours are called by who uses them, unless the master says otherwise."""


class Inks:
    """Judges the runs of one slide. What cannot be known, as a picture's colours, counts as seen."""

    def __init__(self, slide: Any, placed: Sequence[Placed]) -> None:
        master = slide.slide_layout.slide_master
        named = next(master.element.iter(qn("p:clrMap")), None)
        self._roles = ROLES | (dict(named.attrib) if named is not None else {})
        self._theme = _theme(master)
        self._behind = list(placed)
        self._ground = self._of_background([slide, slide.slide_layout, master])

    def hide(self, run: Any, placed: Placed | None) -> bool:
        """Whether a run's words are not seen. `placed` is the shape that they stand in; None: a table's cell."""
        properties = run.find(qn("a:rPr"))
        if properties is None:
            return False
        size = properties.get("sz")
        if size is not None and size.isdigit() and int(size) < HUNDREDTHS_OF_A_POINT_MIN:
            return True
        if _is_clear(properties):
            return True
        ink = self._colour(properties.find(qn("a:solidFill")))
        ground = self._behind_of(placed) if placed is not None and ink is not None else None
        return ink is not None and ground is not None and _is_like(ink, ground)

    def _behind_of(self, placed: Placed) -> Colour | None:
        """What is behind a shape's words; None when that is not known."""
        element = placed.shape._element
        properties = element.find(qn("p:spPr"))
        if properties is not None and (fill := properties.find(qn("a:solidFill"))) is not None:
            return self._colour(fill)
        is_clear = properties is not None and properties.find(qn("a:noFill")) is not None
        if not is_clear and (_has_fill(properties) or element.find(qn("p:style")) is not None):
            return None
        return None if self._is_over_another(placed) else self._ground

    def _is_over_another(self, placed: Placed) -> bool:
        """Whether something with colours of its own may lie below a shape."""
        for other in self._behind:
            if other is placed:
                return False
            if _may_colour(other) and (placed.box is None or other.box is None or _meet(placed.box, other.box)):
                return True
        return False

    def _of_background(self, sources: Sequence[Any]) -> Colour | None:
        """The slide's own, its layout's, or its master's, which may have pictures over it."""
        for number, source in enumerate(sources):
            if number and any(_may_colour(Placed(shape, None)) for shape in source.shapes):
                return None
            ground = source.element.find(qn("p:cSld")).find(qn("p:bg"))
            if ground is not None:
                return self._colour(next((one for one in ground.iter(qn("a:solidFill"))), ground.find(qn("p:bgRef"))))
        return (255, 255, 255)

    def _colour(self, fill: Any) -> Colour | None:
        """A plain colour without changes; None for any other."""
        if fill is None or len(fill) != 1 or len(fill[0]):
            return None
        value = fill[0].get("val", "")
        if fill[0].tag == qn("a:schemeClr"):
            value = self._theme.get(self._roles.get(value, value), "")
        if not SIX_DIGITS.fullmatch(value):
            return None
        return int(value[:2], 16), int(value[2:4], 16), int(value[4:], 16)


def _theme(master: Any) -> dict[str, str]:
    """The theme's colours by name, in six digits."""
    root = parse_xml(master.part.part_related_by(RELATIONSHIP_TYPE.THEME).blob)
    scheme = next(root.iter(qn("a:clrScheme")), ())
    return {one.tag.rpartition("}")[2]: one[0].get("lastClr") or one[0].get("val", "") for one in scheme if len(one)}


def _is_clear(properties: Any) -> bool:
    """Whether a run has no colour, or one that is wholly transparent."""
    if properties.find(qn("a:noFill")) is not None:
        return True
    return any(alpha.get("val") in ("0", "0%") for alpha in properties.iter(qn("a:alpha")))


def _has_fill(properties: Any) -> bool:
    kinds = ("a:gradFill", "a:blipFill", "a:pattFill", "a:grpFill")
    return properties is not None and any(properties.find(qn(kind)) is not None for kind in kinds)


def _may_colour(placed: Placed) -> bool:
    """Whether a shape has a ground of its own."""
    element = placed.shape._element
    if element.tag != qn("p:sp"):
        return bool(element.tag != qn("p:cxnSp"))
    properties = element.find(qn("p:spPr"))
    if properties is not None and properties.find(qn("a:noFill")) is not None:
        return False
    is_filled = properties is not None and properties.find(qn("a:solidFill")) is not None
    return is_filled or _has_fill(properties) or element.find(qn("p:style")) is not None


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _is_like(one: Colour, other: Colour) -> bool:
    return all(abs(first - second) <= ALIKE for first, second in zip(one, other, strict=True))
