"""Pages into chunks: by headings, paragraphs and tables, never across pages, in the page's own words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.chunking.atoms import Atom, Break, atoms_of, overlap_start
from ingest.chunking.running_headers import without_running_lines

SMALL_SHARE = 0.25
"""Of a piece: less is not left alone on a page that has more."""
FILLED_SHARE = {Break.HEADING: 0.35, Break.BLOCK: 0.45, Break.SENTENCE: 0.6, Break.LINE: 0.75, Break.WORD: 0.9}
"""How full a piece must be to end where such a break is."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk's words, and where they stand.

    The pages count from 1, and are the same today: no piece crosses pages. `heading` is the one that the words stand
    under, "" if none is known; they begin with it when it stands right there. `table_headers` are the lines that name
    the columns of the rows among them.
    """

    page: int
    last_page: int
    heading: str
    text: str
    table_headers: tuple[str, ...] = ()


class Splitter:
    """Splits pages into pieces of at most `size` characters, of which neighbours share at most `overlap`."""

    def __init__(self, size: int, overlap: int) -> None:
        self._size = size
        self._overlap = overlap

    @property
    def tag(self) -> str:
        """Changes whenever the same page would be split in another way."""
        return f"structure-1:{self._size}:{self._overlap}"

    def split(self, pages: Sequence[str | None], headings: Sequence[Sequence[str]] = ()) -> list[Piece]:
        """The pieces of a document in order; a piece's place is its chunk's number. None is a page without text.

        `headings` are, for each page, those of its lines that are headings; where a document has none, they are told
        by their shape. Takes time linear in the text's length.
        """
        known = [frozenset(page) for page in headings] if any(headings) else [None] * len(pages)
        pieces: list[Piece] = []
        heading = ""
        bodies = without_running_lines([(text or "").split("\n") for text in pages])
        for number, (lines, on_page) in enumerate(zip(bodies, known, strict=True), 1):
            text = "\n".join(lines)
            atoms = atoms_of(text, on_page, self._room)
            for first, end in self._groups(atoms):
                heading = atoms[first].heading or heading
                begin = overlap_start(text, atoms, first, self._overlap)
                pieces.append(Piece(number, number, heading, text[begin : atoms[end - 1].end].strip()))
                heading = next((atom.heading for atom in reversed(atoms[first:end]) if atom.heading), heading)
        return pieces

    @property
    def _room(self) -> int:
        """Of a piece, for what the one before does not have."""
        return self._size - self._overlap

    def _groups(self, atoms: Sequence[Atom]) -> Iterator[tuple[int, int]]:
        """A page's atoms in groups that make a piece each: the first of it, and the one after its last."""
        first = 0
        while first < len(atoms):
            left = atoms[-1].end - atoms[first].start
            room = self._size if first == 0 else self._room
            end = len(atoms) if left <= room else self._end(atoms, first, min(room, left - int(SMALL_SHARE * room)))
            yield first, end
            first = end

    def _end(self, atoms: Sequence[Atom], first: int, room: int) -> int:
        """Before which atom the piece that begins with `first` ends: at the best break that leaves it well filled."""
        start = atoms[first].start
        best, at = -1, first + 1
        for number in range(first + 1, len(atoms)):
            if atoms[number - 1].end - start > room:
                break
            kind = (
                atoms[number].breaks if not atoms[number - 1].heading else Break.WORD
            )  # a heading is not left behind
            if atoms[number].start - start >= FILLED_SHARE[kind] * room and kind >= best:
                best, at = kind, number
            elif best < 0:
                at = number
        return at
