"""Where something stands on a page as it is shown, which may be turned by a quarter or more."""

from collections.abc import Callable
from typing import Any

import pypdfium2.raw as pdfium

from ingest.reading.pdf.look import Box

Way = Callable[[Box], Box]


def way_of(page: Any) -> Way | None:
    """How boxes of the page are to be turned; only distances between such mean something. None: not at all."""
    return WAYS.get(pdfium.FPDFPage_GetRotation(page))


def _quarter(box: Box) -> Box:
    left, bottom, right, top = box
    return bottom, -right, top, -left


def _half(box: Box) -> Box:
    left, bottom, right, top = box
    return -right, -top, -left, -bottom


def _three_quarters(box: Box) -> Box:
    left, bottom, right, top = box
    return -top, left, -bottom, right


WAYS: dict[int, Way] = {1: _quarter, 2: _half, 3: _three_quarters}
"""By quarters of a turn, to the right."""
