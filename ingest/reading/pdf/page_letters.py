"""A page's characters without its layout, to look for words whose lines, blanks and hyphens are not the page's."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence

from ingest.reading.plain import NOT_TEXT
from worker.page_layout import LAYOUT

HYPHENS = ("-", "\u2010", "\u2011", "\x02", "\ufffe")
"""As pages and pdfium have them, the last two where a line breaks a word."""
PLACES_MAX = 1_000
"""Which are looked at: pages and quotes may be made of one letter."""


class PageLetters:
    """The letters of a page in pdfium's order, and the index that each has on the page."""

    def __init__(self, characters: Sequence[tuple[int, str]]) -> None:
        letters: list[str] = []
        self.indices: list[int] = []
        self._by_index: dict[int, str] = {}
        for index, character in _paired(characters):
            self._by_index[index] = character
            plain = letters_of(character)
            letters.append(plain)
            self.indices += [index] * len(plain)
        self.text = "".join(letters)

    def places(self, wanted: str, *, in_whole_words: bool = False) -> list[range]:
        """Where `wanted` stands, its first and last number whole; where words are whole too, those places alone.

        Unless it must be `in_whole_words`, others are taken where there are none: some writing has no blanks.
        """
        found: list[range] = []
        at = self.text.find(wanted) if wanted else -1
        while at >= 0 and len(found) < PLACES_MAX:
            found.append(range(at, at + len(wanted)))
            at = self.text.find(wanted, at + 1)
        whole = [place for place in found if not self._is_cut(place, str.isdecimal)]
        of_words = [place for place in whole if not self._is_cut(place, str.isalpha)]
        return of_words if of_words or in_whole_words else whole

    def beginning(self, wanted: str) -> int:
        """How long the longest beginning of `wanted` is that stands on the page."""
        return _most(len(wanted), lambda length: wanted[:length] in self.text)

    def ending(self, wanted: str) -> int:
        """How long the longest end of `wanted` is that stands on the page."""
        return _most(len(wanted), lambda length: wanted[len(wanted) - length :] in self.text)

    def printed(self, place: range) -> list[int]:
        """The indices of what is printed at a place: its letters, and hyphens between them."""
        first, last = self.indices[place[0]], self.indices[place[-1]]
        letters = set(self.indices[place.start : place.stop])
        return [index for index in range(first, last + 1) if index in letters or self._by_index.get(index) in HYPHENS]

    def _is_cut(self, place: range, is_kind: Callable[[str], bool]) -> bool:
        """Whether the place begins or ends within a number, or a word."""
        first, last = self.indices[place[0]], self.indices[place[-1]]
        pairs = ((first - 1, first), (last, last + 1))
        return any(all(is_kind(self._by_index.get(index, "")) for index in pair) for pair in pairs)


def _most(most: int, holds: Callable[[int], bool]) -> int:
    """The greatest number up to `most` that `holds`, as does each lesser one."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def parted(letters: PageLetters, following: PageLetters, wanted: str) -> tuple[range, range] | None:
    """Where `wanted` begins on a page, and where it goes on on the following one.

    None unless there is one way only to part it in two. Of several places the beginning has the last, and the end
    the first: they are beside the page's end.
    """
    ways = [
        (begins[-1], ends[0])
        for at in range(len(wanted) - following.ending(wanted), letters.beginning(wanted) + 1)
        if (begins := letters.places(wanted[:at], in_whole_words=True))
        and (ends := following.places(wanted[at:], in_whole_words=True))
    ]
    return ways[0] if len(ways) == 1 else None


def letters_of(text: str) -> str:
    """`text` without layout, and with ligatures, accents and raised figures as the plain letters they are made of."""
    return NOT_TEXT.sub("", LAYOUT.sub("", unicodedata.normalize("NFKD", text))).replace(HYPHENS[-1], "")


def _paired(characters: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The characters with each pair of surrogates as the one that it stands for, at the first one's index."""
    high: tuple[int, str] | None = None
    for index, character in characters:
        if "\ud800" <= character <= "\udbff":
            high = index, character
        elif high is not None and "\udc00" <= character <= "\udfff":
            pair = high[1] + character
            yield high[0], pair.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
            high = None
        else:
            high = None
            yield index, character
