"""Pages into chunks: never across pages, in the page's own words, numbered through the document."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from langchain_text_splitters import RecursiveCharacterTextSplitter

SEPARATORS = ["\n\n", "\n", " "]
"""Where to split, best first. Long words are cut by `_cut`, as the usual empty separator is slow."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk's words and the page, counted from 1, that they stand on."""

    page: int
    text: str


class Splitter:
    """Splits pages into pieces of at most `size` characters, of which neighbours share about `overlap`."""

    def __init__(self, size: int, overlap: int) -> None:
        self._size = size
        self._overlap = overlap
        self._splitter = RecursiveCharacterTextSplitter(
            separators=SEPARATORS, chunk_size=size, chunk_overlap=overlap, strip_whitespace=True
        )

    @property
    def tag(self) -> str:
        """Changes whenever the same page would be split in another way."""
        return f"recursive-1:{self._size}:{self._overlap}"

    def split(self, pages: Sequence[str | None]) -> list[Piece]:
        """The pieces of a document in order; a piece's place is its chunk's number. None is a page without text.

        Takes time linear in the text's length, whatever the text.
        """
        return [
            Piece(number, piece)
            for number, text in enumerate(pages, 1)
            if text
            for long in self._splitter.split_text(text)
            for piece in self._cut(long)
            if piece.strip()
        ]

    def _cut(self, text: str) -> Iterator[str]:
        """`text` itself, or slices of it when it is a word longer than a chunk."""
        step = self._size - self._overlap
        last = max(0, len(text) - self._overlap)
        return (text[start : start + self._size] for start in range(0, last, step)) if last > step else iter([text])
