"""What any reader of any format gives for a page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A page's words. `text` None: there is something on the page, but no text that could be read.

    `headings` are lines of `text`, in its order. A table's row is one of its lines, cells set apart as
    `worker.table_rows` has it; `table_headers` are those of its lines that name a table's columns. `label` is what
    the document calls the page (iv, A-3, a sheet's name), "" when that is its number. `is_damaged`: the parser
    failed; else the page may be a picture.
    """

    text: str | None
    headings: tuple[str, ...] = ()
    table_headers: tuple[str, ...] = ()
    label: str = ""
    is_cut: bool = False
    is_damaged: bool = False
