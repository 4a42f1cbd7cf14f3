"""Which header holds for each row of a page's tables, over pages' ends, too. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Set
from dataclasses import dataclass, field

from worker.table_rows import is_row


@dataclass(slots=True)
class RowHeaders:
    """Where a page's rows begin in its text, in order, and the header of each."""

    starts: list[int] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    last: str = ""
    """The header of a table that may go on on the next page."""

    def of(self, begin: int, end: int) -> tuple[str, ...]:
        """The headers that hold for the rows between two places in the text, each once."""
        found = self.headers[bisect_left(self.starts, begin) : bisect_right(self.starts, end - 1)]
        return tuple(dict.fromkeys(header for header in found if header))


def row_headers(text: str, named: Set[str], above: str) -> RowHeaders:
    """The rows of a page's text. `named` are its lines that are headers; `above` that of a table which may go on."""
    found = RowHeaders()
    if not named and not above:
        return found
    header, at = above, 0
    for line in text.split("\n"):
        words = line.strip()
        if words in named:
            header = words
        elif words and not is_row(words):
            header = ""
        if header and words:
            found.starts.append(at + line.index(words[0]))
            found.headers.append(header)
        at += len(line) + 1
    found.last = header
    return found
