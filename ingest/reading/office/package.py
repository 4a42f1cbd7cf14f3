"""A document that is a zip: its parts, no more of them in memory than is allowed. Nothing is ever written to disk."""

import zipfile
from collections.abc import Iterable
from io import BytesIO
from typing import IO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ingest.reading.reasons import FileError, Reason

UNPACKED_BYTES_MAX = 128 * 1024 * 1024
"""Of all parts that are read: XML as a tree takes some times as much memory."""


class Package:
    """The parts of a zip. Raises `FileError`: DAMAGED, ENCRYPTED, or TOO_LARGE when all that was read is too much."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise FileError(Reason.DAMAGED) from error
        self.names = frozenset(self._zip.namelist())
        self._left = UNPACKED_BYTES_MAX

    def read(self, name: str) -> bytes:
        """A part, whatever the directory says of its size. Raises `KeyError` when there is none of that name."""
        part = self._zip.getinfo(name)
        if part.flag_bits & 1:
            raise FileError(Reason.ENCRYPTED)
        if part.file_size > self._left:
            raise FileError(Reason.TOO_LARGE)
        with self._zip.open(part) as opened:
            data = opened.read(self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise FileError(Reason.TOO_LARGE)
        return data

    def open(self, name: str) -> IO[bytes]:
        """A part, to be read piece by piece."""
        return self._zip.open(name)

    def bound(self, names: Iterable[str]) -> None:
        """Raises `FileError` when these parts are too large together. A file that lies meets the limit on memory."""
        if sum(self._zip.getinfo(name).file_size for name in names) > UNPACKED_BYTES_MAX:
            raise FileError(Reason.TOO_LARGE)

    def tree(self, name: str) -> Element:
        """The XML of a part; entities are bounded, and none is fetched."""
        return ElementTree.fromstring(self.read(name))  # noqa: S314  (expat sees to both)

    def only(self, suffixes: tuple[str, ...]) -> bytes:
        """The same zip with the parts that end so, and the others empty: nobody needs a film to read its slide."""
        out = BytesIO()
        with zipfile.ZipFile(out, "w") as kept:
            for name in self.names:
                kept.writestr(name, self.read(name) if name.endswith(suffixes) else b"")
        return out.getvalue()
