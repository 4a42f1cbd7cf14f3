"""A quote whose pieces stand on the page in another order than in pdfium: cells of a table, columns, notes."""

from collections.abc import Callable, Sequence

from ingest.reading.pdf.page_letters import PageLetters

CERTAIN_LETTERS = 12
"""A piece of so many letters that stands on the page once is the one; a shorter one must be beside another."""
PIECES_MAX = 40

ShownBox = Callable[[int], tuple[float, float, float, float]]


def in_pieces(letters: PageLetters, wanted: str, box: ShownBox) -> list[range]:
    """The places of the pieces of `wanted` in its order; none unless each is certain."""
    pieces: list[range] = []
    at = 0
    while at < len(wanted) and len(pieces) < PIECES_MAX:
        rest = wanted[at:]
        found = letters.places(rest[: letters.beginning(rest)], in_whole_words=True)
        places = [place for place in found if not any(_overlap(place, piece) for piece in pieces)]
        place = _certain(letters, places, pieces[-1:], box)
        if place is None:
            return []
        pieces.append(place)
        at += len(place)
    return pieces if at == len(wanted) else []


def _certain(letters: PageLetters, places: Sequence[range], before: Sequence[range], box: ShownBox) -> range | None:
    """The one of `places` that it must be; None when that is not certain."""
    if len(places) == 1 and len(places[0]) >= CERTAIN_LETTERS:
        return places[0]
    beside = [place for place in places if before and _is_beside(letters, before[0], place, box)]
    return beside[0] if len(beside) == 1 else None


def _is_beside(letters: PageLetters, before: range, place: range, box: ShownBox) -> bool:
    """Whether `place` begins on the line on which the piece before it ends."""
    one, other = box(letters.indices[before[-1]]), box(letters.indices[place[0]])
    shared = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return shared > 0.5 * min(one[3], other[3])


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop
