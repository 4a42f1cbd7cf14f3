"""The order in which a reader follows what stands on a page, for a page that was drawn in another one.

Columns are told by a gutter that few lines cross. What crosses it parts the page into bands; in each, the left
column is read before the right one. A page that was drawn in a sane order is left as it was drawn.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

BACKWARD_MIN = 2
BACKWARD_SHARE = 0.3
"""Of the steps from one thing to the next: if more go up to what stands over it, the order is not a reader's."""
RUN = 3
"""So many such steps to the next line above, one after the other, are lines that were drawn bottom-up."""
NEAR = 2.5
"""Of a line's height: from a line to the next one above."""
SWITCHES_MAX = 4
"""How often a sane order goes from one side of a gutter to the other: footnotes and captions do it, too."""
CROSSING_SHARE = 0.25
"""Of the things on a page that may cross a gutter."""
SIDE_MIN = 3
"""Lines on each side of a gutter."""
PROSE_WORDS = 3
"""Of most lines of a column: cells of a table have fewer."""
GUTTER = 0.8
"""Of a line's height: the least width of a gutter."""


class Block(NamedTuple):
    """A line or a table: where it stands, in points, its first line's height and words, and its number."""

    left: float
    right: float
    bottom: float
    top: float
    height: float
    words: int
    number: int


def by_columns(blocks: Sequence[Block]) -> list[int] | None:
    """The numbers of what is on a page, column by column; None when it is not set in columns."""
    return None if _gutter(blocks) is None else [block.number for block in _sorted(blocks)]


def reading_order(blocks: Sequence[Block]) -> list[int]:
    """The numbers of what was drawn in the order in which it is read."""
    steps = [_is_backward(before, block) for before, block in pairwise(blocks)]
    backward = sum(steps)
    if (backward >= BACKWARD_MIN and backward > BACKWARD_SHARE * len(steps)) or _is_to_and_fro(blocks):
        return [block.number for block in _sorted(blocks)]
    return [block.number for block in _turned(blocks, steps)]


def _is_backward(before: Block, block: Block) -> bool:
    """Whether a step goes up to what stands over the one before."""
    if block.bottom <= before.top - before.height / 2:
        return False
    shared = min(before.right, block.right) - max(before.left, block.left)
    return shared > 0.3 * min(before.right - before.left, block.right - block.left)


def _turned(blocks: Sequence[Block], steps: Sequence[bool]) -> list[Block]:
    """As drawn, but for runs of lines that were drawn bottom-up."""
    found = list(blocks)
    start = 0
    for at in range(len(steps) + 1):
        is_up = at < len(steps) and steps[at] and blocks[at + 1].bottom - blocks[at].top < NEAR * blocks[at].height
        if is_up:
            continue
        if at - start >= RUN:
            found[start : at + 1] = sorted(found[start : at + 1], key=lambda block: -block.bottom)
        start = at + 1
    return found


def _is_to_and_fro(blocks: Sequence[Block]) -> bool:
    """Whether lines of two columns were drawn in turns."""
    hops = sum(_is_hop(before, block) for before, block in pairwise(blocks))
    if hops <= SWITCHES_MAX or (gutter := _gutter(blocks)) is None:
        return False
    sides = [block.left > gutter for block in blocks if block.right <= gutter or block.left > gutter]
    return sum(one != other for one, other in pairwise(sides)) > max(SWITCHES_MAX, len(sides) / 4)


def _is_hop(before: Block, block: Block) -> bool:
    """Whether a step goes to the right of the one before, near its height."""
    return block.left >= before.right and abs(block.bottom - before.bottom) < NEAR * before.height


def _sorted(blocks: Sequence[Block]) -> list[Block]:
    """From top to bottom, column by column where there are some."""
    gutter = _gutter(blocks)
    if gutter is None:
        return sorted(blocks, key=lambda block: (-block.bottom, block.left))
    bands: list[list[Block]] = [[]]
    for block in sorted(blocks, key=lambda block: -block.top):
        if block.left < gutter < block.right:
            bands += [[block], []]
        else:
            bands[-1].append(block)
    found: list[Block] = []
    for band in bands:
        if len(band) < 2:
            found += band
            continue
        found += _sorted([block for block in band if block.right <= gutter])
        found += _sorted([block for block in band if block.left >= gutter])
    return found


def _gutter(blocks: Sequence[Block]) -> float | None:
    """Where a gap runs down the page between two columns, in points from its left; the middle of the gap."""
    best, place = CROSSING_SHARE * len(blocks), None
    for edge in sorted({round(block.right, 1) for block in blocks}):
        left = [block for block in blocks if block.right <= edge + 0.1]
        right = [block for block in blocks if block.left > edge + GUTTER * block.height]
        crossing = len(blocks) - len(left) - len(right)
        if crossing < best and _are_columns(left, right):
            best, place = crossing, (edge + min(block.left for block in right)) / 2
    return place


def _are_columns(left: Sequence[Block], right: Sequence[Block]) -> bool:
    """Whether two sides are of prose, and share most of the height of the lower one."""
    if min(len(left), len(right)) < SIDE_MIN:
        return False
    if any(2 * sum(block.words >= PROSE_WORDS for block in side) < len(side) for side in (left, right)):
        return False
    tops = max(block.top for block in left), max(block.top for block in right)
    feet = min(block.bottom for block in left), min(block.bottom for block in right)
    shared = min(tops) - max(feet)
    return shared > 0.5 * min(tops[0] - feet[0], tops[1] - feet[1])
