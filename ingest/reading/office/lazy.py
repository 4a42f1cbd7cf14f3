"""Pages that are read when they are asked for: each has a reader's time to itself, and only one is held.

A damaged one is told from the others.
"""

from collections.abc import Callable, Sequence
from typing import overload

from ingest.reading.page import Page


class LazyPages(Sequence[Page]):
    """As many pages as there are `readers`. The one that was read last is kept."""

    def __init__(self, readers: Sequence[Callable[[], Page]]) -> None:
        self._readers = readers
        self._last: tuple[int, Page] | None = None

    def __len__(self) -> int:
        return len(self._readers)

    @overload
    def __getitem__(self, number: int) -> Page: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Page]: ...

    def __getitem__(self, number: int | slice) -> Page | Sequence[Page]:
        if isinstance(number, slice):
            return LazyPages(self._readers[number])
        if self._last is None or self._last[0] != number:
            self._last = (number, _read(self._readers[number]))
        return self._last[1]


def _read(reader: Callable[[], Page]) -> Page:
    """The page, or one that says that it is damaged: the others may be sound."""
    try:
        return reader()
    except MemoryError:
        raise  # this child ends, and the document goes on with another one
    except Exception:
        return Page(None, is_damaged=True)
