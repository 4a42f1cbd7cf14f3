"""A worksheet's XML, row by row as it stands (ECMA-376, part 1, 18.3.1): no more of it is read than is asked for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO
from xml.etree.ElementTree import Element, ParseError, iterparse

from ingest.reading.office.package import UNPACKED_BYTES_MAX

COLUMNS_MAX = 1_000
"""A row of more is no row that people read."""
SIZES_MIN = {"ht": 1.0, "width": 0.1}
"""Of a row in points, of a column in letters: less shows nothing of what is in it."""
REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as it stands: its column, from 1, the kind of its value, the value, and the number of its style."""

    column: int
    kind: str
    value: str
    style: int


@dataclass(slots=True)
class Sheet:
    """What a worksheet says beside its cells; all of it is known once `rows` has come to the end.

    `is_cut` when it did not: there was more than is read of any part. `is_coloured`: it has tables, or formats that
    depend on values, which give cells colours of which their styles say nothing.
    """

    hidden_columns: set[int] = field(default_factory=set)
    merged: list[str] = field(default_factory=list)
    is_coloured: bool = False
    is_cut: bool = False

    def rows(self, source: IO[bytes]) -> Iterator[tuple[int, list[Cell]]]:
        """The rows that are shown, by number from 1, with their cells that have a value."""
        bounded = _Bounded(source)
        try:
            yield from self._rows(bounded)
        except ParseError:
            if not bounded.is_spent:
                raise
            self.is_cut = True

    def _rows(self, source: "_Bounded") -> Iterator[tuple[int, list[Cell]]]:
        number = 0
        for _, element in iterparse(source):  # noqa: S314  (expat bounds entities, and fetches none)
            name = element.tag.rpartition("}")[2]
            if name == "row":
                number = int(element.get("r") or number + 1)
                yield number, [] if is_hidden(element.attrib, "ht") else list(_cells(element))
                element.clear()
            elif name == "col" and is_hidden(element.attrib, "width"):
                last = min(int(element.get("max", "0")), COLUMNS_MAX)
                self.hidden_columns |= set(range(int(element.get("min", "1")), last + 1))
            elif name == "mergeCell":
                self.merged.append(element.get("ref", ""))
            self.is_coloured = self.is_coloured or name in ("conditionalFormatting", "tablePart")


def corner(reference: str) -> tuple[int, int]:
    """The column and the row that "B12" stands for. Raises `ValueError`."""
    found = REFERENCE.match(reference)
    if found is None:
        raise ValueError("no reference to a cell")
    column = 0
    for letter in found.group(1):
        column = column * 26 + ord(letter) - ord("A") + 1
    return column, int(found.group(2))


def is_hidden(described: Mapping[str, str], measure: str) -> bool:
    """Whether a row or column, as described, is hidden or has no extent."""
    size = described.get(measure)
    return described.get("hidden") in ("1", "true") or (size is not None and float(size) < SIZES_MIN[measure])


def _cells(row: Element) -> Iterator[Cell]:
    column = 0
    for element in row:
        reference = element.get("r")
        column = corner(reference)[0] if reference else column + 1
        kind = element.get("t", "n")
        value = _value(element, kind)
        if value:
            yield Cell(column, kind, value, int(element.get("s", "0")))


def _value(cell: Element, kind: str) -> str:
    for child in cell:
        name = child.tag.rpartition("}")[2]
        if name == "v" and kind != "inlineStr":
            return child.text or ""
        if name == "is":
            return "".join(_texts(child))
    return ""


def _texts(parent: Element) -> Iterator[str]:
    """The words of a text in the cell itself, without how they are pronounced."""
    for child in parent:
        name = child.tag.rpartition("}")[2]
        if name == "t":
            yield child.text or ""
        elif name == "r":
            yield from _texts(child)


class _Bounded:
    """A part that ends, as if broken off, where more would be read of it than of any."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._left = UNPACKED_BYTES_MAX
        self.is_spent = False

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._source.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        self.is_spent = not self._left
        return data
