"""Pages into chunks: by headings, paragraphs and tables, in the pages' own words.

A chunk stays on its page, but for a sentence that goes on over its end: that is whole, with a form feed there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.chunking.atoms import Atom, Break, atoms_of, overlap_start
from ingest.chunking.page_ends import PAGE_END, carry_over
from ingest.chunking.running_headers import without_running_lines
from ingest.chunking.table_headers import RowHeaders, row_headers

SMALL_SHARE = 0.25
"""Of a piece: less is not left alone on a page that has more."""
FILLED_SHARE = {Break.HEADING: 0.35, Break.BLOCK: 0.45, Break.SENTENCE: 0.6, Break.LINE: 0.75, Break.WORD: 0.9}
"""How full a piece must be to end where such a break is."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk's words, and where they stand.

    The pages count from 1. `last_page` is the next one when a sentence goes on there, behind a form feed. `heading`
    is the one that the words stand under, "" if none is known; they begin with it when it stands right there.
    `table_headers` are the lines that name the columns of the rows among them, wherever they stand.
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
        return f"structure-2:{self._size}:{self._overlap}"

    def split(
        self,
        pages: Sequence[str | None],
        headings: Sequence[Sequence[str]] = (),
        table_headers: Sequence[Sequence[str]] = (),
    ) -> list[Piece]:
        """The pieces of a document in order; a piece's place is its chunk's number. None is a page without text.

        `headings` are, for each page, those of its lines that are headings; where a document has none, they are told
        by their shape. `table_headers` are those that name the columns of a table. Takes time linear in the text's
        length.
        """
        known = [frozenset(page) for page in headings] if any(headings) else [None] * len(pages)
        named = [frozenset(page) for page in table_headers] or [frozenset[str]()] * len(pages)
        pieces: list[Piece] = []
        heading, header = "", ""
        bodies = carry_over(without_running_lines([(text or "").split("\n") for text in pages]), known)
        for number, (body, on_page, names) in enumerate(zip(bodies, known, named, strict=True), 1):
            for text in filter(None, (body.text, "\n".join(body.notes))):
                rows = row_headers(text, names, header)
                header = rows.last
                atoms = atoms_of(text, on_page, self._room, names)
                own, heading = self._pieces(number, text, atoms, rows, heading)
                pieces += own
        return pieces

    def _pieces(
        self, page: int, text: str, atoms: Sequence[Atom], rows: RowHeaders, heading: str
    ) -> tuple[list[Piece], str]:
        """The pieces of a page, which begins under `heading`, and the heading that what follows it is under."""
        pieces: list[Piece] = []
        page_end = text.find(PAGE_END) if PAGE_END in text else len(text)
        for first, end in self._groups(atoms):
            heading = atoms[first].heading or heading
            begins, ends = overlap_start(text, atoms, first, self._overlap), atoms[end - 1].end
            on, last_on = page + (begins > page_end), page + (ends > page_end)
            under, heading = heading, next((a.heading for a in reversed(atoms[first:end]) if a.heading), heading)
            pieces.append(Piece(on, last_on, under, text[begins:ends].strip(), rows.of(begins, ends)))
        return pieces, heading

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
            kind = Break.WORD if atoms[number - 1].binds else atoms[number].breaks
            if atoms[number].start - start >= FILLED_SHARE[kind] * room and kind >= best:
                best, at = kind, number
            elif best < 0:
                at = number
        return at
