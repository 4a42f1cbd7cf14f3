"""Where a quote stands on a PDF's page, to be marked in the page's picture.

A quote is words of the page's text as readers put it together: its lines are joined, its broken words whole, its
ligatures spelt out, a table's cells in a row. So it is looked for without layout among pdfium's own characters, and
where these have another order, piece by piece. A wrong mark is worse than none: what is not certain is not marked.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pypdfium2.raw as pdfium

from ingest.reading.pdf.look import Look
from ingest.reading.pdf.page_letters import PageLetters, letters_of
from ingest.reading.pdf.picture import places
from ingest.reading.pdf.quote_pieces import in_pieces

QUOTE_CHARACTERS_MAX = 4_000
"""Ten times what a citation quotes."""
PLACES_MAX = 20
"""Of a quote, on a page on which those before are not shown."""
SAME_LINE = 0.5
"""Of the lesser height, which neighbours on a line share."""
GAP_MAX = 2.5
"""Heights between neighbours on a line: further apart are cells of a table, between which others may stand."""

MarkBox = tuple[float, float, float, float]
"""Left, top, width and height, in points from the upper left corner of the page as it is shown."""


def find_boxes(page: Any, quote: str) -> list[MarkBox]:
    """A box for each line of `quote` on a pypdfium2 page; none where the page does not have it, or not for certain.

    Of several places with the same words the first one is taken, one with whole words before others.
    """
    wanted = wanted_letters(quote)
    with looked_at(page) as (letters, shown):
        for place in letters.places(wanted)[:PLACES_MAX]:
            if boxes := shown.boxes(letters.printed(place)):
                return boxes
        pieces = in_pieces(letters, wanted, shown.box)
        return shown.boxes([index for piece in pieces for index in letters.printed(piece)])


def wanted_letters(quote: str) -> str:
    """What is looked for; "" for a quote that is none by its length."""
    return letters_of(quote) if len(quote) <= QUOTE_CHARACTERS_MAX else ""


@contextmanager
def looked_at(page: Any) -> Iterator[tuple[PageLetters, "Shown"]]:
    """The letters of a pypdfium2 page, and where they are shown."""
    with closing(page.get_textpage()) as words:
        look = Look(page.raw.contents, words.raw.contents, page.get_bbox())
        yield PageLetters(look.characters(words.count_chars())), Shown(page, look)


class Shown:
    """Characters' boxes on the page as it is shown: turned and cropped."""

    def __init__(self, page: Any, look: Look) -> None:
        self._look = look
        self._wide = pdfium.FPDF_GetPageWidthF(page.raw)
        self._high = pdfium.FPDF_GetPageHeightF(page.raw)
        self._across, self._down = places(page.raw, self._wide, self._high)

    def box(self, index: int) -> MarkBox:
        """Where a character is shown."""
        left, bottom, right, top = self._look.box(index)
        (a, b, c), (d, e, f) = self._across, self._down
        x0, x1 = sorted((a * left + b * bottom + c, a * right + b * top + c))
        y0, y1 = sorted((d * left + e * bottom + f, d * right + e * top + f))
        return x0, y0, x1 - x0, y1 - y0

    def boxes(self, indices: Sequence[int]) -> list[MarkBox]:
        """The boxes of the characters' lines; none when one of them is not on what is shown of the page."""
        boxes = [self.box(index) for index in dict.fromkeys(indices)]
        return _lines(boxes) if all(map(self._is_shown, boxes)) else []

    def _is_shown(self, box: MarkBox) -> bool:
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        return 0 <= x <= self._wide and 0 <= y <= self._high and box[3] > 0


def _lines(boxes: Sequence[MarkBox]) -> list[MarkBox]:
    """The boxes with neighbours on a line as one, also where lines run up or down the page."""
    lines: list[MarkBox] = []
    last: MarkBox | None = None
    for box in boxes:
        if last is not None and (_follows(last, box) or _follows(_turned(last), _turned(box), GAP_MAX / 5)):
            lines[-1] = _around(lines[-1], box)
        else:
            lines.append(box)
        last = box
    return lines


def _follows(last: MarkBox, box: MarkBox, gap_max: float = GAP_MAX) -> bool:
    """Whether `box` is beside `last`, on the same line."""
    shared = min(last[1] + last[3], box[1] + box[3]) - max(last[1], box[1])
    gap = max(box[0] - last[0] - last[2], last[0] - box[0] - box[2])
    height = min(last[3], box[3])
    return shared > SAME_LINE * height and gap < gap_max * height


def _turned(box: MarkBox) -> MarkBox:
    return box[1], box[0], box[3], box[2]


def _around(one: MarkBox, other: MarkBox) -> MarkBox:
    x, y = min(one[0], other[0]), min(one[1], other[1])
    right, foot = max(one[0] + one[2], other[0] + other[2]), max(one[1] + one[3], other[1] + other[3])
    return x, y, right - x, foot - y
