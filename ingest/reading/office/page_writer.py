"""A page that is written line by line: text, headings, and tables as rows. It ends where a page may have no more."""

from collections.abc import Sequence

from ingest.reading.limits import PAGE_CHARACTERS_MAX, PAGE_LABEL_CHARACTERS_MAX
from ingest.reading.page import Page
from ingest.reading.plain import clean
from worker.table_rows import row_of

Cells = Sequence[str]


class PageWriter:
    """Gathers a page's lines. What comes once it `is_full` is left out, and the page says so."""

    def __init__(self, label: str = "") -> None:
        self._label = label_of(label)
        self._lines: list[str] = []
        self._headings: list[str] = []
        self._table_headers: list[str] = []
        self._left = PAGE_CHARACTERS_MAX
        self.is_full = False

    def text(self, words: str) -> None:
        """Words, on as many lines as they have."""
        for line in clean(words).split("\n"):
            self._add(line.strip())

    def heading(self, words: str) -> None:
        """A heading, on a line of its own between empty ones."""
        line = one_line(words)
        if line:
            self.gap()
            self._add(line)
            self._headings.append(line)
            self.gap()

    def table(self, rows: Sequence[Cells], headers: int = 0) -> None:
        """Rows of cells, of which the first `headers` name the columns: together they are one line."""
        self.gap()
        if headers:
            names = row_of(
                [" ".join(dict.fromkeys(map(one_line, column))).strip() for column in _columns(rows, headers)]
            )
            self._add(names)
            self._table_headers.append(names)
        for row in rows[headers:]:
            self._add(row_of(map(one_line, row)))
        self.gap()

    def add(self, page: Page) -> None:
        """What another page has, behind what is here."""
        for line in (page.text or "").split("\n"):
            self._add(line)
        self._headings += page.headings
        self._table_headers += page.table_headers
        self.is_full = self.is_full or page.is_cut

    def gap(self) -> None:
        """An empty line, unless there is one."""
        if self._lines and self._lines[-1]:
            self._add("")

    def page(self, *, is_cut: bool = False) -> Page:
        """What was written."""
        while self._lines and not self._lines[-1]:
            self._lines.pop()
        lines = frozenset(self._lines)
        return Page(
            "\n".join(self._lines),
            tuple(heading for heading in self._headings if heading in lines),
            tuple(dict.fromkeys(header for header in self._table_headers if header in lines)),
            label=self._label,
            is_cut=self.is_full or is_cut,
        )

    def _add(self, line: str) -> None:
        if not line and not (self._lines and self._lines[-1]):
            return
        self.is_full = self.is_full or len(line) >= self._left
        if not self.is_full:
            self._lines.append(line)
            self._left -= len(line) + 1


def one_line(words: str) -> str:
    """Words without line breaks, and without what is no text."""
    if not (words.isascii() and words.isprintable()):
        words = clean(words)
    return " ".join(words.split())


def label_of(words: str) -> str:
    """What a page is called, no longer than a label may be."""
    return one_line(words)[:PAGE_LABEL_CHARACTERS_MAX].strip()


def _columns(rows: Sequence[Cells], headers: int) -> list[tuple[str, ...]]:
    """The first rows, column by column."""
    wide = max(len(row) for row in rows[:headers])
    return list(zip(*((*row, *[""] * (wide - len(row))) for row in rows[:headers]), strict=True))
