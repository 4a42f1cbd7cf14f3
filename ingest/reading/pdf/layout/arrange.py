"""A page's lines as a reader sees them: a table's row is one line, columns are read one after the other."""

from collections.abc import Sequence
from typing import NamedTuple

from ingest.reading.pdf.layout.signs import spans
from ingest.reading.pdf.layout.spans import DrawnLine, Span
from ingest.reading.pdf.layout.tables import TableRow, tables_among
from ingest.reading.pdf.look import Box, Look


class Placed(NamedTuple):
    """A line to be read: its words, the indices of its first and last character, and the box of its first.

    `foot` is the index of a character of its last line, where it has several. `table` numbers the page's tables from
    1, and is 0 outside.
    """

    text: str
    first: int
    last: int
    box: Box
    foot: int
    table: int = 0
    is_header: bool = False


def arranged(look: Look, lines: Sequence[DrawnLine]) -> list[Placed]:
    """The lines in the order in which they are read, rows of tables put together."""
    parts = spans(look.box, lines)
    flat = [span for spans_of_line in parts for span in spans_of_line]
    tables = tables_among(flat, lambda span: look.font(lines[span.line].indices[span.words[0].start]))
    rows: dict[int, list[Placed]] = {}
    taken: set[int] = set()
    for number, table in enumerate(tables, 1):
        of_table = {span.line for row in table.rows for span in row.spans}
        taken |= of_table
        rows[min(of_table)] = [_row(look, lines, row, number) for row in table.rows]
    placed: list[Placed] = []
    for number, line in enumerate(lines):
        placed += rows.get(number, [])
        if number not in taken:
            placed.append(Placed(line.text, line.indices[0], line.indices[-1], line.box, line.indices[0]))
    return placed


def _row(look: Look, lines: Sequence[DrawnLine], row: TableRow, table: int) -> Placed:
    first, last = row.spans[0], row.spans[-1]
    start = _index(lines, first, 0)
    return Placed(row.text, start, _index(lines, last, -1), look.box(start), _foot(lines, row), table, row.is_header)


def _index(lines: Sequence[DrawnLine], span: Span, end: int) -> int:
    """Of a span's first character (0) or its last (-1)."""
    at = span.words[0].start if end == 0 else span.words[-1].end - 1
    return lines[span.line].indices[at]


def _foot(lines: Sequence[DrawnLine], row: TableRow) -> int:
    return _index(lines, min(row.spans, key=lambda span: span.bottom), 0)
