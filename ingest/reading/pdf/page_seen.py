"""A PDF's page as it is shown, with a quote's boxes."""

from contextlib import closing
from typing import Any

import pypdfium2.raw as pdfium

from ingest.reading.limits import PICTURE_BYTES_MAX
from ingest.reading.page_look import MARKS_MAX, Seen, Wish
from ingest.reading.pdf.page_picture import WIDTHS, draw
from ingest.reading.pdf.quote_boxes import MarkBox, find_boxes
from ingest.reading.pdf.quote_over_pages import find_over_pages


def see(document: Any, wish: Wish) -> Seen:
    """What is wanted of a pypdfium2 document, which has the page. Raises nearly anything."""
    with closing(document[wish.page]) as page:
        boxes, next_boxes = _boxes(document, page, wish)
        picture = _picture(page, wish.width_px) if wish.width_px else None
        size = pdfium.FPDF_GetPageWidthF(page.raw), pdfium.FPDF_GetPageHeightF(page.raw)
        return Seen(*size, boxes, next_boxes, picture)


def _boxes(document: Any, page: Any, wish: Wish) -> tuple[list[MarkBox], list[MarkBox]]:
    boxes = find_boxes(page, wish.quote) if wish.quote else []
    next_boxes: list[MarkBox] = []
    if wish.quote and not boxes and wish.runs_over and wish.page + 1 < len(document):
        with closing(document[wish.page + 1]) as following:
            boxes, next_boxes = find_over_pages(page, following, wish.quote)
    return (boxes, next_boxes) if len(boxes) + len(next_boxes) <= MARKS_MAX else ([], [])


def _picture(page: Any, width_px: int) -> bytes:
    """As wide as wanted, unless it has more bytes then than anybody would wait for."""
    picture = draw(page, width_px)
    return picture if len(picture) <= PICTURE_BYTES_MAX else draw(page, min(WIDTHS))
