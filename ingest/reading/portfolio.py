"""A PDF that is only the cover of files attached to it (a portfolio): these are read in its place, one by one."""

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from app.core.formats import FORMATS, MediaType, by_name
from ingest.reading.limits import FILE_BYTES_MAX, PAGE_LABEL_CHARACTERS_MAX
from ingest.reading.page import Page
from ingest.reading.page_look import Seen, Wish
from ingest.reading.plain import clean
from ingest.reading.reasons import FileError, Reason

ATTACHMENTS_MAX = 500
"""Of one portfolio that are opened; each of the others is a missing page."""
DEEP_MAX = 2
"""Portfolios within portfolios."""
NAME_CHARACTERS_MAX = 80
FOLDER = re.compile(r"^<\d+>|.*[/\\]")
"""Before an attachment's name: the number of its folder in the portfolio, or a path."""


class Document(Protocol):
    """What reads a file of any format."""

    page_count: int

    def page(self, number: int) -> Page:
        """Page `number`, from 0."""

    def see(self, wish: Wish) -> Seen | None:
        """A page as it is shown; None for one of words alone."""

    def title(self) -> str:
        """What the document calls itself, or ""."""

    def close(self) -> None:
        """Free its memory."""


class Cover(Document, Protocol):
    """A document with attachments."""

    attachments: int

    def attachment_name(self, number: int) -> str:
        """What attachment `number`, from 0, is called, or ""."""

    def attachment(self, number: int, bytes_max: int) -> bytes | None:
        """Its bytes; None when they cannot be had or are more."""


@dataclass(frozen=True, slots=True)
class _Attached:
    """An attachment: its name, and the portfolio's page, from 0, with which it begins."""

    number: int
    name: str
    first: int
    is_readable: bool


class Portfolio:
    """The attachments' pages in order, one of them open at a time; one that cannot be read is a missing page.

    `opened` opens an attachment by its name and bytes. Raises `FileError` when none of them can be read.
    """

    def __init__(self, cover: Cover, opened: Callable[[str, bytes], Document]) -> None:
        self._cover = cover
        self._open_document = opened
        self._current: tuple[int, Document] | None = None
        self._attached: list[_Attached] = []
        self.page_count = 0
        bytes_left = FILE_BYTES_MAX
        for number in range(cover.attachments):
            bytes_left -= self._count(number, bytes_left)
        if not any(one.is_readable for one in self._attached):
            self.close()
            raise FileError(Reason.PORTFOLIO)
        self._firsts = [one.first for one in self._attached]

    def close(self) -> None:
        """Free its memory."""
        self._close_current()
        self._cover.close()

    def title(self) -> str:
        """What its cover calls itself, or ""."""
        return self._cover.title()

    def page(self, number: int) -> Page:
        """Page `number`, from 0, of all attachments in order. Never raises, but for want of memory."""
        one = self._attached[bisect_right(self._firsts, number) - 1]
        document = self._opened(one) if one.is_readable else None
        if document is None:
            return Page(None, label=one.name, is_damaged=True)
        page = document.page(number - one.first)
        own = page.label or str(number - one.first + 1)
        named = one.name[: max(0, PAGE_LABEL_CHARACTERS_MAX - len(own) - 1)]
        page = replace(page, label=f"{named} {own}".strip())
        if number > one.first or not page.text:
            return page
        return replace(page, text=f"{one.name}\n\n{page.text}", headings=(one.name, *page.headings))

    def see(self, wish: Wish) -> Seen | None:
        """The page as it is shown, if its attachment shows any; a quote does not run over from one to the next."""
        one = self._attached[bisect_right(self._firsts, wish.page) - 1]
        document = self._opened(one) if one.is_readable else None
        return document.see(replace(wish, page=wish.page - one.first)) if document is not None else None

    def _count(self, number: int, bytes_left: int) -> int:
        """Add an attachment's pages. Gives its bytes."""
        own = FOLDER.sub("", self._cover.attachment_name(number))
        name = " ".join(clean(own).split())[:NAME_CHARACTERS_MAX] or f"attachment {number + 1}"
        data = self._cover.attachment(number, bytes_left) if number < ATTACHMENTS_MAX else None
        document = self._try(own, data) if data else None
        pages = document.page_count if document is not None else 0
        if document is not None:
            document.close()
        self._attached.append(_Attached(number, name, self.page_count, is_readable=pages > 0))
        self.page_count += max(1, pages)
        return len(data or b"")

    def _opened(self, one: _Attached) -> Document | None:
        if self._current is None or self._current[0] != one.number:
            self._close_current()
            data = self._cover.attachment(one.number, FILE_BYTES_MAX)
            document = self._try(self._cover.attachment_name(one.number), data) if data else None
            self._current = (one.number, document) if document is not None else None
        return self._current[1] if self._current is not None else None

    def _try(self, name: str, data: bytes) -> Document | None:
        """The attachment, if it is of a format that is read: its name says so, or it is a PDF whatever its name."""
        if by_name(name) is None:
            if not FORMATS[MediaType.PDF].fits(data):
                return None
            name = ""
        try:
            return self._open_document(name, data)
        except FileError:
            return None

    def _close_current(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current[1].close()
