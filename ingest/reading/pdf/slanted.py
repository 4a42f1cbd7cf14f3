"""Lines that do not run as the page does: watermarks, stamps at the side, labels of an axis.

They stand behind the page's own lines, so that they break none of its sentences, and are never its headings.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import degrees
from statistics import median

import pypdfium2.raw as pdfium

from ingest.reading.pdf.look import Box, Look
from ingest.reading.pdf.runs import Run

STRAIGHT = 8.0
"""Degrees that a line may be off, as in scans."""
SAME_WAY = 0.1
"""Radians between characters of one line, at most."""
QUARTER = 90
LARGE = 1.8
"""Of the page's usual height: what is printed so large over other lines is a watermark, though it be straight."""
LETTERS_MAX = 2
"""Of a line: pdfium parts slanted words into their letters at times."""
OVER_MIN = 2
"""Lines that a straight watermark stands over: a title may touch the line below it."""

SLANTED = -1


def parted(look: Look, runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The lines that run as most of the page does, and the others, each word of a watermark once."""
    angle, page = pdfium.FPDFText_GetCharAngle, look.text_page
    if not any(angle(page, run.indices[-1]) for run in runs) and not _large_over_others(look, runs):
        return list(runs), []  # as on nearly every page
    runs = [part for run in runs for part in _turns(look, run)]
    ways = list(_ways(look, runs))
    counted: Counter[int] = Counter()
    for way, run in zip(ways, runs, strict=True):
        counted[way] += len(run.text)
    usual = max((way for way in counted if way != SLANTED), key=counted.__getitem__, default=SLANTED)
    straight = [run for way, run in zip(ways, runs, strict=True) if way == usual != SLANTED]
    over = {id(run) for run in _large_over_others(look, straight)}
    aside = [(way == SLANTED or id(run) in over, run) for way, run in zip(ways, runs, strict=True)]
    kept = [run for run in straight if id(run) not in over]
    own = {id(run) for run in kept}
    return kept, _each_once([(is_mark, run) for is_mark, run in aside if id(run) not in own])


def _ways(look: Look, runs: Sequence[Run]) -> Iterator[int]:
    """Which way each line runs. Those whose first characters are as high as another's run as that one does."""
    known: dict[float, int] = {}
    for run in runs:
        high = round(run.box[3] - run.box[1], 2)
        if high not in known:
            known[high] = _way(look, run)
        yield known[high]


def _turns(look: Look, run: Run) -> Iterator[Run]:
    """A line, in two where its end runs another way than its beginning: pdfium puts a watermark behind a line."""
    angle = pdfium.FPDFText_GetCharAngle(look.text_page, run.indices[-1])
    if angle == 0.0 or abs(angle - pdfium.FPDFText_GetCharAngle(look.text_page, run.indices[0])) < SAME_WAY:
        yield run
        return
    at = len(run.text) - 1
    while at > 0 and abs(angle - pdfium.FPDFText_GetCharAngle(look.text_page, run.indices[at - 1])) < SAME_WAY:
        at -= 1
    for start, end in ((0, at), (at, len(run.text))):
        text = run.text[start:end]
        begin = start + len(text) - len(text.lstrip())
        if text.strip():
            indices = run.indices[begin : begin + len(text.strip())]
            yield Run(text.strip(), indices, run.box if begin == 0 else look.box(indices[0]))


def _way(look: Look, run: Run) -> int:
    """0 to 3 for quarters of a turn, or `SLANTED`."""
    angle = degrees(pdfium.FPDFText_GetCharAngle(look.text_page, run.indices[0]))
    quarters = round(angle / QUARTER)
    return quarters % 4 if abs(angle - quarters * QUARTER) <= STRAIGHT else SLANTED


def _large_over_others(look: Look, runs: Sequence[Run]) -> list[Run]:
    heights = [run.box[3] - run.box[1] for run in runs]
    usual = median(heights or [0.0])
    large = [run for run, height in zip(runs, heights, strict=True) if height >= LARGE * usual > 0]
    return [run for run in large if sum(_stands_over(_whole(look, run), look, other) for other in runs) >= OVER_MIN]


def _whole(look: Look, run: Run) -> Box:
    last = look.box(run.indices[-1])
    return run.box[0], run.box[1], last[2], run.box[3]


def _stands_over(large: Box, look: Look, run: Run) -> bool:
    """Whether a line runs through the middle of a large one."""
    middle = (run.box[1] + run.box[3]) / 2
    if not large[1] < middle < large[3] or run.box[3] - run.box[1] > (large[3] - large[1]) / LARGE:
        return False
    whole = _whole(look, run)
    return min(whole[2], large[2]) - max(whole[0], large[0]) > 0


def _each_once(aside: Sequence[tuple[bool, Run]]) -> list[Run]:
    """The lines, those of a letter or two put together, and a watermark that comes again left out."""
    found: list[Run] = []
    known: set[str] = set()
    for is_mark, run in aside:
        before = found[-1] if found else None
        if is_mark and before is not None and _are_letters(before, run):
            found[-1] = Run(before.text + run.text, [*before.indices, *run.indices], before.box)
        elif not (is_mark and run.text in known):
            found.append(run)
        known.add(run.text)
    return found


def _are_letters(before: Run, run: Run) -> bool:
    is_same_size = abs((before.box[3] - before.box[1]) - (run.box[3] - run.box[1])) < 1
    return len(run.text) <= LETTERS_MAX and is_same_size and " " not in before.text
