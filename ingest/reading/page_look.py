"""A look at one page: what is wanted of it, and what is seen. Points count from the upper left corner of the page."""

from dataclasses import dataclass

from ingest.reading.pdf.page_letters import PageLetters, letters_of, parted

WORDS_CHARACTERS_MAX = 100_000
"""Ten times those of the densest page of our 10-K filings; the rest is not shown as text."""
MARKS_MAX = 1_000
"""Lines of a quote that are marked. One with more is not marked at all."""

Box = tuple[float, float, float, float]
"""Left, top, width and height."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A page, counted from 0, with `quote` marked on it, which may be "". `runs_over`: it ends on the page after.

    The picture is `width_px` wide; 0: none is wanted.
    """

    page: int
    quote: str
    runs_over: bool
    width_px: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A page as it is shown: its size, the quote's boxes on it and on the page after, and its picture if wanted."""

    width: float
    height: float
    boxes: list[Box]
    next_boxes: list[Box]
    picture: bytes | None


def span_in(words: str, following: str, wish: Wish) -> tuple[int, int] | None:
    """Where the quote, or its beginning where it runs over, stands in a page's `words`: begin and end."""
    wanted = letters_of(wish.quote)
    letters = PageLetters(list(enumerate(words)))
    places = letters.places(wanted)[:1]
    if not places and wish.runs_over and wanted:
        both = parted(letters, PageLetters(list(enumerate(following))), wanted)
        places = [both[0]] if both is not None else []
    return (letters.indices[places[0][0]], letters.indices[places[0][-1]] + 1) if places else None
