"""What was read of a document."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DocumentText:
    """What could be read. `pages` are in order, None for a page of whose words none could be read.

    `headings` and `table_headers` have, for each page, those of its lines that are such, and `labels` what it is
    called, as `Page` has them. `cut_pages` count from 1; `title` is "" when the document does not tell.
    """

    pages: tuple[str | None, ...]
    cut_pages: tuple[int, ...]
    sha256: str
    title: str = ""
    headings: tuple[tuple[str, ...], ...] = ()
    table_headers: tuple[tuple[str, ...], ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def missing_pages(self) -> tuple[int, ...]:
        """The pages, counted from 1, that are not blank and yet gave no text: damaged, too slow, or pictures."""
        return tuple(number for number, text in enumerate(self.pages, 1) if text is None)
