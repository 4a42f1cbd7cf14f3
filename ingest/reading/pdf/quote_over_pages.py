"""Where a sentence stands that goes on over a page's end."""

from typing import Any

from ingest.reading.pdf.page_letters import PageLetters
from ingest.reading.pdf.quote_boxes import MarkBox, looked_at, wanted_letters


def find_over_pages(page: Any, following: Any, quote: str) -> tuple[list[MarkBox], list[MarkBox]]:
    """The boxes of the beginning of `quote` on a pypdfium2 page, and of its end on the following one.

    Both are empty unless there is one way only to part it in two. Of several places the beginning has the last, and
    the end the first: they are beside the page's end.
    """
    wanted = wanted_letters(quote)
    with looked_at(page) as (letters, shown), looked_at(following) as (letters_after, shown_after):
        ways = [
            (begins[-1], ends[0])
            for at in range(_first_end(letters_after, wanted), _last_beginning(letters, wanted) + 1)
            if (begins := letters.places(wanted[:at], in_whole_words=True))
            and (ends := letters_after.places(wanted[at:], in_whole_words=True))
        ]
        if len(ways) != 1:
            return [], []
        boxes = shown.boxes(letters.printed(ways[0][0]))
        boxes_after = shown_after.boxes(letters_after.printed(ways[0][1]))
        return (boxes, boxes_after) if boxes and boxes_after else ([], [])


def _last_beginning(letters: PageLetters, wanted: str) -> int:
    """How long a beginning of `wanted` is on the page, at most."""
    low, high = 0, len(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if wanted[:middle] in letters.text else (low, middle - 1)
    return low


def _first_end(letters: PageLetters, wanted: str) -> int:
    """Where the longest end of `wanted` that is on the page begins in it."""
    low, high = 0, len(wanted)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if wanted[middle:] in letters.text else (middle + 1, high)
    return low
