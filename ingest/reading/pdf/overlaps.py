"""Words that stand on one another, parted so that each can be taken from the page without the other."""

from collections.abc import Iterator, Sequence

import numpy as np

from ingest.reading.pdf.drawn import Drawn
from ingest.reading.pdf.look import Box

OVERLAP_MIN = 0.4
"""Of the smaller word's area: lines set close, and raised figures, overlap by less."""
GROUPS_MAX = 4
"""Of a page, each of which is one more picture of it."""
WORDS_MAX = 5_000
"""Of a page that are looked at, a second: the densest page of our 10-K filings has 1,800."""
BLOCK = 256
PAIRS_MAX = 100_000
"""Of a block: more are drawn to keep us busy."""

Placed = tuple[str, Box, Sequence[Drawn]]


def groups_of_overlapping(words: Sequence[Placed]) -> tuple[list[set[Drawn]], set[Drawn]]:
    """The objects that draw words which overlap other words, in groups within which none do, and the rest.

    The same word twice in one place, as for a shadow or bold type, is no overlap.
    """
    partners: dict[Drawn, set[Drawn]] = {}
    for one, other in _pairs(words):
        for a in words[one][2]:
            partners.setdefault(a, set()).update(words[other][2])
        for b in words[other][2]:
            partners.setdefault(b, set()).update(words[one][2])
    groups: list[set[Drawn]] = []
    left: set[Drawn] = set()
    for drawn, others in partners.items():
        group = next((group for group in groups if not group & (others - {drawn})), None)
        if group is None and len(groups) < GROUPS_MAX:
            group = set()
            groups.append(group)
        (left if group is None else group).add(drawn)
    return groups, left


def _pairs(words: Sequence[Placed]) -> Iterator[tuple[int, int]]:
    """Of different words, by their numbers. A block at a time, lest the table of all pairs take all memory."""
    words = words[:WORDS_MAX]
    boxes = np.array([box for _, box, _ in words], np.float64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for start in range(0, len(words), BLOCK):
        some = boxes[start : start + BLOCK, None, :]
        wide = np.minimum(some[..., 2], boxes[:, 2]) - np.maximum(some[..., 0], boxes[:, 0])
        high = np.minimum(some[..., 3], boxes[:, 3]) - np.maximum(some[..., 1], boxes[:, 1])
        shared = wide.clip(0) * high.clip(0)
        least = np.minimum(areas[start : start + BLOCK, None], areas)
        for one, other in np.argwhere((shared >= OVERLAP_MIN * least) & (shared > 0))[:PAIRS_MAX].tolist():
            if start + one < other and words[start + one][0] != words[other][0]:
                yield start + one, other
