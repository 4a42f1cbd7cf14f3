"""A .csv or .tsv, by langchain-community's loader: a page, whose rows are a table's; the first names its columns."""

import csv
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.office.page_writer import PageWriter
from ingest.reading.office.sheet import Line, write_sheet
from ingest.reading.page import Page
from ingest.reading.reasons import FileError, Reason

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_LINES = 50
"""As many tell what sets cells apart."""
COLUMNS_MAX = 1_000
"""A row of more is no row that people read."""


def read(text: str, delimiter: str = "") -> tuple[Sequence[Page], str]:
    """The page, and no title. `delimiter` sets the cells apart; "" when that is not known. Raises `FileError`."""
    is_cut = len(text) > PAGE_CHARACTERS_MAX
    if is_cut:
        text = text[: text.rfind("\n", 0, PAGE_CHARACTERS_MAX) + 1] or text[:PAGE_CHARACTERS_MAX]
    writer = PageWriter()
    dialect = delimiter or _delimiter(text)
    write_sheet(writer, map(Line, _rows(text, dialect)), has_names=True)
    return [writer.page(is_cut=is_cut)], ""


def _rows(text: str, delimiter: str) -> Iterator[Sequence[str]]:
    """The rows; the loader opens a path, so it is given a copy in a folder of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it says that it is being sunset; hence only here
        from langchain_community.document_loaders import CSVLoader  # takes half a second
    text = _without_hint(text)
    columns = [str(number) for number in range(_width(text, delimiter))]
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
        path = Path(folder) / "document.csv"
        path.write_text(text, encoding="utf-8", newline="")
        form = {"delimiter": delimiter, "fieldnames": columns}
        loader = CSVLoader(path, metadata_columns=columns, csv_args=form, encoding="utf-8")
        for document in loader.lazy_load():
            yield [document.metadata[column] or "" for column in columns]


def _width(text: str, delimiter: str) -> int:
    """The cells of the longest row. Raises `FileError` when it is no row that people read."""
    wide = max((len(row) for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter)), default=0)
    if wide > COLUMNS_MAX:
        raise FileError(Reason.DAMAGED)
    return wide


def _without_hint(text: str) -> str:
    """The text without the line "sep=;" by which Excel is told what sets cells apart."""
    first, end, rest = text.partition("\n")
    return rest if end and first[:4].lower() == "sep=" and len(first.strip()) <= len("sep=;") else text


def _delimiter(text: str) -> str:
    """What sets cells apart: it stands in most rows, equally often, and as often as it can."""
    if text[:4].lower() == "sep=" and text[4:5] in DELIMITERS:
        return text[4]
    sample = text.splitlines(keepends=True)[:SAMPLE_LINES]
    return max(DELIMITERS, key=lambda delimiter: _evenness(sample, delimiter))


def _evenness(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """How many rows have the most usual number of cells, if that is more than one, and that number."""
    try:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1)
    except csv.Error:
        return 0, 0
    ((wide, count),) = widths.most_common(1) or ((0, 0),)
    return count, wide
