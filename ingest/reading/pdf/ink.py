"""What words leave in the picture of their page. With numpy, which takes a tenth of a second: few pages need it."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ingest.reading.pdf.look import Box
from ingest.reading.pdf.picture import Picture, PixelBox

CONTRAST_MIN = 16
"""Of 255, in one of the colours: white (255) and 240 hardly anybody tells apart."""
FAR = 1e9
"""Points: no page reaches so far, but boxes of broken files do."""
SIDE = 0.15
"""Of a letter's width, left out at each side: its neighbours reach into it."""

SCAN_CONTRAST_MIN = 48
"""Of 255, between ink and paper of a scan: compressed pictures of plain bars differ by 10 to 30 within themselves."""
SOLID = 1.3
"""Of a word's height: no letter is the same for so long in all of its middle, but a bar is."""
GREEN = 1
"""The colour that is most like grey."""
MIDDLE = 0.3, 0.7
"""Of its height: a bar that leaves the edges of a word's box free is still a bar."""


class Ink:
    """The pixels in which two pictures of a page differ enough for the eye."""

    def __init__(self, differs: Any) -> None:
        self._differs = differs

    @classmethod
    def between(cls, one: Picture, other: Picture) -> Self:
        """Of two pictures of the same page in colour."""
        differs = np.frombuffer(one.pixels, np.uint32) != np.frombuffer(other.pixels, np.uint32)
        changed = np.flatnonzero(differs)
        a, b = (_levels(picture).reshape(-1, 3)[changed].astype(np.int16) for picture in (one, other))
        differs[changed] = np.abs(a - b).max(axis=1, initial=0) >= CONTRAST_MIN
        return cls(differs.reshape(one.height, one.width))

    def shares(self, picture: Picture, boxes: Sequence[Box]) -> list[float]:
        """How much of each box it covers, 0 to 1."""
        left, top, right, bottom = _places(picture, boxes)
        side = (SIDE * (right - left)).astype(np.int64)
        left, right = left + side, right - side
        areas = np.maximum(1, (right - left) * (bottom - top)).tolist()
        places = zip(left.tolist(), top.tolist(), right.tolist(), bottom.tolist(), areas, strict=True)
        return [np.count_nonzero(self._differs[t:b, l:r]) / area for l, t, r, b, area in places]  # noqa: E741


def _places(picture: Picture, boxes: Sequence[Box]) -> tuple[Any, Any, Any, Any]:
    """As `Picture.place`, of many boxes at once."""
    x0, y0, x1, y1 = np.array(boxes, np.float64).reshape(-1, 4).clip(-FAR, FAR).T
    (a, b, c), (d, e, f) = picture.across, picture.down
    xs = a * x0 + b * y0 + c, a * x1 + b * y1 + c
    ys = d * x0 + e * y0 + f, d * x1 + e * y1 + f
    return (
        np.minimum(*xs).clip(0, picture.width).astype(np.int64),
        np.minimum(*ys).clip(0, picture.height).astype(np.int64),
        np.ceil(np.maximum(*xs)).clip(0, picture.width).astype(np.int64),
        np.ceil(np.maximum(*ys)).clip(0, picture.height).astype(np.int64),
    )


def is_like_a_word(picture: Picture, place: PixelBox) -> bool:
    """Whether there is light and dark across the middle of a place, in turns as letters have them."""
    left, top, right, bottom = place
    high = bottom - top
    side = min(high, right - left) // 10
    above, below = top + int(MIDDLE[0] * high), top + max(1, int(MIDDLE[1] * high))
    rows = _levels(picture)[above:below, left + side : right - side, GREEN]
    if rows.size == 0 or int(rows.max()) - int(rows.min()) < SCAN_CONTRAST_MIN:
        return False
    is_dark = rows < (int(rows.max()) + int(rows.min())) // 2
    changes = np.flatnonzero(np.any(is_dark[:, 1:] != is_dark[:, :-1], axis=0))
    if changes.size == 0:
        return False
    steps = np.diff(np.concatenate(([-1], changes, [is_dark.shape[1] - 1])))
    return bool(steps.max() <= max(3.0, SOLID * high))


def _levels(picture: Picture) -> Any:
    """Its pixels as rows, columns and the three colours."""
    return np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width, 4)[:, :, :3]
