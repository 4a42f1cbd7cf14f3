"""A sheet's cells as people see them: blocks between empty rows, each with a caption, columns' names, and rows."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.reading.office.page_writer import PageWriter

YEAR = re.compile(r"(19|20)\d\d")
AMOUNT = r"[-+(]?\d[\d.,' ]*\)?"
FIGURE = re.compile(rf"(?=.*\d)[^A-Za-zª-\uffff]+|([A-Z]{{3}}|[€£¥₹]) ?{AMOUNT}|{AMOUNT} ?([A-Z]{{3}}|[€£¥₹])")
"""Numbers, dates, amounts, per cents: what stands below a column's name. A year may be either."""
CAPTION_CHARACTERS_MAX = 120
COLUMNS_OF_A_TABLE_MIN = 3
"""With two, names and values may stand side by side, and the first row is one of them."""
DATE = re.compile(r".*\d[-/.:]\d+[-/.:]\d.*|.*\d:\d\d.*")
FIGURES_SHARE = 0.5
"""Of a column's cells, below a word: with more, that names it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row's cells. `is_bold`: all of them are. `spread` are the same with a cell over several columns in each."""

    cells: Sequence[str] = ()
    is_bold: bool = False
    spread: Sequence[str] = ()


def write_sheet(writer: PageWriter, lines: Iterable[Line], *, has_names: bool = False) -> None:
    """Write a sheet's rows, the empty ones among them. `has_names`: the first row is one of names if it can be."""
    above = 0
    for block, has_next in _with_next(_blocks(lines)):
        captions = _captions(block)
        for caption in block[:captions]:
            is_above = captions < len(block) or (captions == 1 and has_next)
            _write_caption(writer, "".join(caption.cells).strip(), is_above=is_above)
        table = even(block[captions:])
        if table:
            headers = header_rows(table, above=above, has_names=has_names)
            first = table[0].spread if headers > 1 else table[0].cells
            writer.table([first, *(line.cells for line in table[1:])], headers)
            above = len(table[0].cells) if headers else above
        has_names = False


def _write_caption(writer: PageWriter, words: str, *, is_above: bool) -> None:
    """A cell that is alone in its row: a heading, when it is above others and no sentence."""
    is_heading = is_above and len(words) <= CAPTION_CHARACTERS_MAX and not words.endswith((".", ":", ";"))
    (writer.heading if is_heading and not FIGURE.fullmatch(words) else writer.text)(words)


def _with_next(blocks: Iterator[list[Line]]) -> Iterator[tuple[list[Line], bool]]:
    """Each block, and whether there is one after it."""
    last = next(blocks, None)
    for block in blocks:
        assert last is not None
        yield last, True
        last = block
    if last is not None:
        yield last, False


def header_rows(table: Sequence[Line], *, above: int = 0, has_names: bool = False) -> int:
    """How many of a table's first rows name its columns: 0, 1, or 2 when cells of the first are over several columns.

    `above` is the width of a table above that has names: one that goes on as wide has none of its own, unless it
    shows it.
    """
    first = table[0]
    if len(table) < 2 or not _may_name(first.cells):
        return 0
    if first.spread and len(table) > 2 and _may_name(table[1].cells):
        return 2
    is_new = len(first.cells) >= COLUMNS_OF_A_TABLE_MIN and above != len(first.cells)
    is_set_apart = first.is_bold and not table[1].is_bold
    return int(has_names or is_new or is_set_apart or _is_over_figures([line.cells for line in table]))


def _may_name(cells: Sequence[str]) -> bool:
    """Whether a row's cells may be columns' names."""
    words = [cell for cell in cells if cell]
    return len(words) >= 2 and all(YEAR.fullmatch(word) or not FIGURE.fullmatch(word) for word in words)


def _is_over_figures(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a column has figures below its first cell, all of them dates or none, and nothing else or nearly."""
    for column in zip(*rows, strict=True):
        below = [cell for cell in column[1:] if cell]
        figures = [cell for cell in below if FIGURE.fullmatch(cell)]
        is_most = len(figures) > FIGURES_SHARE * len(below) and len(figures) >= len(below) - 1
        if column[0] and is_most and len({DATE.fullmatch(cell) is None for cell in figures}) == 1:
            return True
    return False


def _blocks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Rows that stand together, with none that is empty between them."""
    block: list[Line] = []
    for line in lines:
        if any(line.cells):
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _captions(block: Sequence[Line]) -> int:
    """How many rows a block begins with that have one cell only."""
    return next((number for number, line in enumerate(block) if sum(map(bool, line.cells)) > 1), len(block))


def even(block: Sequence[Line]) -> list[Line]:
    """The rows, all of the same length, without columns that are empty in all of them."""
    used = sorted({at for line in block for at, cell in enumerate(line.cells) if cell})
    return [replace(line, cells=_at(line.cells, used), spread=_at(line.spread, used)) for line in block]


def _at(cells: Sequence[str], columns: Sequence[int]) -> Sequence[str]:
    return [cells[at] if at < len(cells) else "" for at in columns] if cells else ()
