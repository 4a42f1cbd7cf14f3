"""A line of a PDF's page as pdfium gives it, each character with its place; and lines that pdfium parts, as one."""

from collections.abc import Sequence
from typing import NamedTuple

from ingest.reading.pdf.look import Box, Look

OVERLAP = 0.3
"""Of the lesser height: lines that share so much may be parts of one."""
SMALLER, LEAST = 0.92, 0.4
"""How large raised figures are, in what they are raised beside."""
APART = 0.05
"""Ems that they stand higher or lower, at least."""
GAP_MIN, GAP_MAX = -0.3, 0.8
"""Ems between them and what goes on."""
BLANK = 0.15
"""Ems that are a blank."""


class Run(NamedTuple):
    """A line's words, the index that each of its characters has on the page, and where the first one stands."""

    text: str
    indices: Sequence[int]
    box: Box


def rejoined(look: Look, runs: Sequence[Run]) -> list[Run]:
    """The lines with those as one that pdfium has parted before or behind a raised or lowered figure."""
    joined: list[Run] = []
    for run in runs:
        before = joined[-1] if joined else None
        if before is not None and _overlap(before.box, run.box) and (gap := _gap(look, before, run)) is not None:
            joined[-1] = _as_one(before, run, gap)
        else:
            joined.append(run)
    return joined


def _overlap(one: Box, other: Box) -> bool:
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared > OVERLAP * min(one[3] - one[1], other[3] - other[1])


def _gap(look: Look, before: Run, run: Run) -> float | None:
    """The ems between two lines of which one goes on with the other, from or to a raised figure; None for others."""
    last, first = before.indices[-1], run.indices[0]
    one, other = look.shape(last)[1], look.shape(first)[1]
    large, small = max(one, other), min(one, other)
    if not large or not LEAST <= small / large <= SMALLER:
        return None
    if abs(look.baseline(last) - look.baseline(first)) < APART * large:
        return None
    gap = (run.box[0] - look.box(last)[2]) / large
    return gap if GAP_MIN <= gap <= GAP_MAX else None


def _as_one(before: Run, run: Run, gap: float) -> Run:
    blank = [run.indices[0]] if gap > BLANK else []
    return Run(f"{before.text}{' ' * len(blank)}{run.text}", [*before.indices, *blank, *run.indices], before.box)
