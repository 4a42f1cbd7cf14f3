"""Where a sentence stands that goes on over a page's end."""

from typing import Any

from ingest.reading.pdf.page_letters import parted
from ingest.reading.pdf.quote_boxes import MarkBox, looked_at, wanted_letters


def find_over_pages(page: Any, following: Any, quote: str) -> tuple[list[MarkBox], list[MarkBox]]:
    """The boxes of the beginning of `quote` on a pypdfium2 page, and of its end on the following one.

    Both are empty unless there is one way only to part it in two: see `parted`.
    """
    with looked_at(page) as (letters, shown), looked_at(following) as (letters_after, shown_after):
        places = parted(letters, letters_after, wanted_letters(quote))
        if places is None:
            return [], []
        boxes = shown.boxes(letters.printed(places[0]))
        boxes_after = shown_after.boxes(letters_after.printed(places[1]))
        return (boxes, boxes_after) if boxes and boxes_after else ([], [])
