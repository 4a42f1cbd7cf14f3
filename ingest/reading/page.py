"""What any reader of any format gives for a page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A page's words. `text` None: there is something on the page, but no text that could be read.

    `headings` are lines of `text`, in its order. `is_damaged`: the parser failed; else the page may be a picture.
    """

    text: str | None
    headings: tuple[str, ...] = ()
    is_cut: bool = False
    is_damaged: bool = False
