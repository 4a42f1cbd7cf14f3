"""A page's lines as a reader sees them: a table's row is one line, columns are read one after the other."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Self

from ingest.reading.pdf.layout.grid import TableRow
from ingest.reading.pdf.layout.order import Block, by_columns, reading_order
from ingest.reading.pdf.layout.signs import spans
from ingest.reading.pdf.layout.spans import Span
from ingest.reading.pdf.layout.tables import Table, tables_among
from ingest.reading.pdf.layout.turned import way_of
from ingest.reading.pdf.layout.vertical import vertical_lines
from ingest.reading.pdf.look import Box, Look
from ingest.reading.pdf.runs import Run


class Placed(NamedTuple):
    """A line to be read: its words, the indices of its first and last character, and the box of its first.

    `foot` is the index of a character of its last line, where it has several, and `steps` are those from one to the
    next, in points. `table` numbers the page's tables from 1, and is 0 outside.
    """

    text: str
    first: int
    last: int
    box: Box
    foot: int
    table: int = 0
    is_header: bool = False
    steps: tuple[float, ...] = ()

    @classmethod
    def of(cls, line: Run) -> Self:
        """A line that is no table's."""
        return cls(line.text, line.indices[0], line.indices[-1], line.box, line.indices[0])


class Piece(NamedTuple):
    """Lines that stay together, and the spans that they were made of."""

    placed: list[Placed]
    spans: Sequence[Span]


def arranged(look: Look, lines: Sequence[Run]) -> list[Placed]:
    """The lines in the order in which they are read, rows of tables put together."""
    if (columns := vertical_lines(look.box, lines)) is not None:
        return [Placed.of(line) for line in columns]
    parts = _parts(look, lines)
    if _is_plain(parts):
        return [Placed.of(line) for line in lines]
    tables = tables_among([span for line in parts for span in line], lambda span: look.font(_first(lines, span)))
    if not tables:
        blocks = [_block(line.text, parts[number], number) for number, line in enumerate(lines)]
        return [Placed.of(lines[number]) for number in reading_order(blocks)]
    page = _Page(look, lines, parts, tables)
    torn = any(table.is_prose for table in tables)
    pieces = list(page.pieces(are_torn_apart=torn))
    order = by_columns(_blocks(pieces)) if torn else reading_order(_blocks(pieces))
    if order is None:
        pieces = list(page.pieces(are_torn_apart=False))
        order = reading_order(_blocks(pieces))
    return [placed for number in order for placed in pieces[number].placed]


def _is_plain(parts: Sequence[Sequence[Span]]) -> bool:
    """Whether a page has one line below the other, none of them with a gap, as most pages of prose."""
    if any(len(line) > 1 for line in parts):
        return False
    return all(
        below.bottom < above.bottom - below.height / 2 and below.left < above.right and above.left < below.right
        for (above,), (below,) in pairwise(parts)
    )


def _parts(look: Look, lines: Sequence[Run]) -> list[list[Span]]:
    """The spans of each line, as the page is turned."""
    way = way_of(look.page)
    if way is None:
        return spans(look.box, lines)
    return spans(lambda index: way(look.box(index)), [line._replace(box=way(line.box)) for line in lines])


class _Page:
    """What is on a page, in pieces that stay together, in the order in which they are drawn."""

    def __init__(
        self, look: Look, lines: Sequence[Run], parts: Sequence[Sequence[Span]], tables: Sequence[Table]
    ) -> None:
        self._look = look
        self._lines = lines
        self._parts = parts
        self._tables = tables

    def pieces(self, *, are_torn_apart: bool) -> Iterator[Piece]:
        """Each table, and each line of the rest; columns of prose in one piece, unless they are to be torn apart."""
        tables: dict[int, list[tuple[int, Table]]] = {}
        for number, table in enumerate(self._tables, 1):
            tables.setdefault(min(span.line for row in table.rows for span in row.spans), []).append((number, table))
        taken = {(span.line, span.start) for table in self._tables for row in table.rows for span in row.spans}
        lines = {line for line, _ in taken}
        for at, line in enumerate(self._lines):
            for number, table in tables.get(at, ()):
                yield from self._of_table(table, number, are_torn_apart=are_torn_apart)
            if at not in lines:
                yield Piece([Placed.of(line)], self._parts[at])
            else:
                left = [span for span in self._parts[at] if (at, span.start) not in taken]
                yield from (Piece([self._part(span)], [span]) for span in left)

    def _of_table(self, table: Table, number: int, *, are_torn_apart: bool) -> Iterator[Piece]:
        rows = [Piece([placed], row.spans) for row, placed in self._rows(table, number)]
        if table.is_prose and are_torn_apart:
            yield from rows
        else:
            yield Piece([row.placed[0] for row in rows], [span for row in rows for span in row.spans])

    def _part(self, span: Span) -> Placed:
        """What is left of a line of which a table has the rest."""
        first = _first(self._lines, span)
        return Placed(span.text, first, _last(self._lines, span), self._look.box(first), first)

    def _rows(self, table: Table, number: int) -> Iterator[tuple[TableRow, Placed]]:
        for row in table.rows:
            first, last = _first(self._lines, row.spans[0]), _last(self._lines, row.spans[-1])
            foot = _first(self._lines, min(row.spans, key=lambda span: span.bottom))
            of_table = 0 if table.is_prose else number
            steps = tuple(
                abs(one.bottom - other.bottom) for one, other in pairwise(row.spans) if one.line != other.line
            )
            yield row, Placed(row.text, first, last, self._look.box(first), foot, of_table, row.is_header, steps)


def _blocks(pieces: Sequence[Piece]) -> list[Block]:
    return [_block(piece.placed[0].text, piece.spans, number) for number, piece in enumerate(pieces)]


def _block(text: str, spans: Sequence[Span], number: int) -> Block:
    words = text.count(" ") + 1
    one = spans[0]
    if len(spans) == 1:
        return Block(one.left, one.right, one.bottom, one.top, one.height, words, number)
    left, right = min([span.left for span in spans]), max([span.right for span in spans])
    bottom, top = min([span.bottom for span in spans]), max([span.top for span in spans])
    return Block(left, right, bottom, top, one.height, words, number)


def _first(lines: Sequence[Run], span: Span) -> int:
    """The index of its first character."""
    return lines[span.line].indices[span.start]


def _last(lines: Sequence[Run], span: Span) -> int:
    return lines[span.line].indices[span.end - 1]
