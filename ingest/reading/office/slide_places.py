"""Where a slide's shapes stand, those in groups too, and the order in which they are read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pptx.oxml.ns import qn

GROUPS_DEEP_MAX = 20
MEASURES = ("off", "ext", "chOff", "chExt")
ROW_SHARE = 0.5
"""Of the lower shape's height: as much of it stands beside another one that is in the same row."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A shape, and its box on the slide (left, top, right, bottom); None when only its layout tells."""

    shape: Any
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class _Frame:
    """How a group's own measures become the slide's."""

    left: float = 0.0
    top: float = 0.0
    wide: float = 1.0
    high: float = 1.0

    def box(self, shape: Any) -> tuple[float, float, float, float] | None:
        """A shape's box on the slide."""
        if None in (shape.left, shape.top, shape.width, shape.height):
            return None
        left, top = self.left + shape.left * self.wide, self.top + shape.top * self.high
        return left, top, left + shape.width * self.wide, top + shape.height * self.high

    def within(self, group: Any) -> "_Frame":
        """The frame of the shapes in a group."""
        form = group._element.grpSpPr.find(qn("a:xfrm"))
        names = MEASURES if form is not None else ()
        parts = [part for name in names if (part := form.find(qn(f"a:{name}"))) is not None]
        if len(parts) != len(MEASURES):
            return self
        offset, extent, own_offset, own_extent = parts
        wide = self.wide * int(extent.get("cx")) / (int(own_extent.get("cx")) or 1)
        high = self.high * int(extent.get("cy")) / (int(own_extent.get("cy")) or 1)
        left = self.left + int(offset.get("x")) * self.wide - int(own_offset.get("x")) * wide
        top = self.top + int(offset.get("y")) * self.high - int(own_offset.get("y")) * high
        return _Frame(left, top, wide, high)


def shapes_of(shapes: Any, size: tuple[int, int]) -> Iterator[Placed]:
    """The shapes that are shown on a slide of this size, as they are drawn, with those in groups."""
    waiting: list[tuple[Any, _Frame, int]] = [(shape, _Frame(), 0) for shape in reversed(list(shapes))]
    while waiting:
        shape, frame, depth = waiting.pop()
        if _is_hidden(shape):
            continue
        if shape._element.tag == qn("p:grpSp"):
            if depth < GROUPS_DEEP_MAX:
                inner = frame.within(shape)
                waiting += [(one, inner, depth + 1) for one in reversed(list(shape.shapes))]
            continue
        box = frame.box(shape)
        if not _is_outside(box, size):
            yield Placed(shape, box)


def in_order(placed: Sequence[Placed], is_first: Callable[[Placed], bool]) -> Iterator[Placed]:
    """The order of reading: what `is_first`, and then row by row, from left to right."""
    yield from (one for one in placed if is_first(one))
    left = [one for one in placed if not is_first(one)]
    yield from (one for one in left if one.box is None)
    boxes = sorted((one.box[1], number) for number, one in enumerate(left) if one.box is not None)
    row: list[Placed] = []
    for _, number in boxes:
        if row and not _is_beside(left[number], row[0]):
            yield from sorted(row, key=_left)
            row = []
        row.append(left[number])
    yield from sorted(row, key=_left)


def _is_hidden(shape: Any) -> bool:
    described = next(shape._element.iter(qn("p:cNvPr")), None)
    return described is not None and described.get("hidden") in ("1", "true")


def _is_outside(box: tuple[float, float, float, float] | None, size: tuple[int, int]) -> bool:
    """Whether all of a shape lies beside the slide."""
    if box is None:
        return False
    left, top, right, bottom = box
    return right < 0 or bottom < 0 or left > size[0] or top > size[1]


def _is_beside(one: Placed, other: Placed) -> bool:
    """Whether a shape that begins below another's top stands in its row."""
    assert one.box is not None
    assert other.box is not None
    height = min(one.box[3] - one.box[1], other.box[3] - other.box[1])
    return min(one.box[3], other.box[3]) - one.box[1] > ROW_SHARE * height


def _left(one: Placed) -> float:
    assert one.box is not None
    return one.box[0]
