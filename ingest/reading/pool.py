"""Documents read by child processes, several at once, and large ones by all of them."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from ingest.reading import limits, ocr
from ingest.reading.child import Child, ChildLostError, Reply, Request
from ingest.reading.document_text import DocumentText
from ingest.reading.files import open_regular
from ingest.reading.reasons import FileError, Reason

RANGE_PAGES = 32
"""Pages in one request, at most: a longer document is shared out over the children."""
LAST_RANGE_PAGES = 8
"""Towards a document's end ranges get shorter, down to this, so that no child waits long for the last of another."""
PARSER_TAG = "pdfium-4"
"""Raised by hand when the same file would give another text: every document is then indexed again."""
LOST_PAGE = Reply(is_damaged=True)


class ReaderPool:
    """Reads documents for several threads at once, by `processes` warm children (default: one a usable core).

    A page that takes longer than `page_seconds_max`, or brings its child down, is missing; the rest goes on with a
    fresh child. With `use_ocr`, pages without text are put through ocrmypdf; raises `ConfigurationError` when that is
    not installed. Use as a context manager: leaving it ends the children.
    """

    def __init__(
        self,
        processes: int | None = None,
        *,
        use_ocr: bool = False,
        page_seconds_max: float = limits.PAGE_SECONDS_MAX,
        memory_bytes_max: int = limits.MEMORY_BYTES_MAX,
    ) -> None:
        if use_ocr:
            ocr.require()
        count = processes or _usable_cores()
        self._use_ocr = use_ocr
        self._page_seconds_max = page_seconds_max
        self._children = [Child(memory_bytes_max) for _ in range(count)]
        self._idle: SimpleQueue[Child] = SimpleQueue()
        for child in self._children:
            self._idle.put(child)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="read")
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all: who reads in another thread gets a `FileError`."""
        self._is_closed = True
        for child in self._children:
            child.close()
        self._threads.shutdown(cancel_futures=True)
        given_back = [self._idle.get() for _ in self._children]
        for child in given_back:
            child.end()
            self._idle.put(child)  # for who comes too late, to be told so

    @property
    def child_pids(self) -> list[int]:
        """The processes that there are now."""
        return [child.pid for child in self._children if child.pid is not None]

    def read(self, path: Path, *, name: str | None = None) -> DocumentText:
        """The text of the document at `path`, a real path; at least one page has some. Raises `FileError`.

        `name` tells its format, when the path does not.
        """
        reading = self._read(path, name or path.name)
        if self._use_ocr and (pages := reading.wants_ocr):
            with open_regular(path) as scan, ocr.searchable(scan, reading.sha256, pages) as copy:
                again = self._read(copy, copy.name) if copy is not None else None
                if again is not None and again.is_of_the_same_pages(reading):
                    return again.text(reading.sha256)
        return reading.text(reading.sha256)

    def _read(self, path: Path, name: str) -> "_Reading":
        reading = _Reading(str(path.absolute()), name)
        ranges: list[Future[None]] = []
        try:
            self._read_range(reading, range(RANGE_PAGES))
            shared = ranges_of(range(RANGE_PAGES, len(reading.pages)), len(self._children))
            ranges += [self._threads.submit(self._read_range, reading, pages) for pages in shared]
            for one in ranges:
                one.result()
        except BaseException:
            reading.is_given_up = True
            for one in ranges:
                one.cancel()
            raise
        return reading

    def _read_range(self, reading: "_Reading", pages: range) -> None:
        """Read these pages, until all are read or the document is given up."""
        number: int | None = pages.start
        while number is not None and not reading.is_given_up:
            number = self._read_some(reading, number, pages.stop)

    def _read_some(self, reading: "_Reading", first: int, last: int) -> int | None:
        """Read with one child. Gives the page to go on with when it was lost, else None."""
        with self._child() as child:
            try:
                child.ask(Request(path=reading.path, name=reading.name, first=first, last=last))
                reading.take_opening(self._next(child, reading))
                while not (reply := self._next(child, reading)).end:
                    reading.take_page(first, reply)
                    first += 1
                reading.take_end(reply)
            except ChildLostError as error:
                if self._is_closed:
                    raise FileError(Reason.CRASHED) from error
                reading.take_loss(error.reason)
                return first + 1 if first + 1 < min(last, len(reading.pages)) else None
        return None

    def _next(self, child: Child, reading: "_Reading") -> Reply:
        began = time.monotonic()
        try:
            reply = child.reply(min(self._page_seconds_max, reading.seconds_left))
        finally:
            reading.spend(time.monotonic() - began)
        if reply.failed is not None:
            raise FileError(reply.failed)
        return reply

    @contextmanager
    def _child(self) -> Iterator[Child]:
        """A child that nobody else uses. It is ended when it may still have something to say."""
        child = self._idle.get()
        try:
            yield child
        finally:
            if child.is_busy:
                child.end()
            self._idle.put(child)


def ranges_of(pages: range, children: int) -> Iterator[range]:
    """`pages` shared out: half of what each child has left at a time, within the bounds above."""
    start = pages.start
    while start < pages.stop:
        share = (pages.stop - start) // (2 * children)
        stop = min(pages.stop, start + min(RANGE_PAGES, max(LAST_RANGE_PAGES, share)))
        yield range(start, stop)
        start = stop


class _Reading:
    """One document while it is read, by several threads."""

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self.name = name
        self.pages: list[Reply] = []
        self.sha256 = ""
        self.is_given_up = False
        self._title = ""
        self._loss: Reason | None = None
        self._losses = 0
        self._characters = 0
        self._pages_read = 0
        self._seconds = 0.0
        self._lock = threading.Lock()

    @property
    def seconds_left(self) -> float:
        """Of a child's time."""
        allowed = limits.DOCUMENT_SECONDS + limits.SECONDS_A_PAGE * self._pages_read
        return max(0.0, min(allowed, limits.DOCUMENT_SECONDS_MAX) - self._seconds)

    @property
    def wants_ocr(self) -> list[int]:
        """The sound pages without text, from 1."""
        return [at for at, page in enumerate(self.pages, 1) if page.text is None and not page.is_damaged]

    def is_of_the_same_pages(self, other: "_Reading") -> bool:
        """Whether each page is called as it is in the other: a portfolio may have come back as its cover alone."""
        labels = [(own.label, page.label) for own, page in zip(self.pages, other.pages, strict=False)]
        return len(self.pages) == len(other.pages) and all(own == label for own, label in labels if label)

    def spend(self, seconds: float) -> None:
        """Count a child's time."""
        with self._lock:
            self._seconds += seconds

    def take_opening(self, reply: Reply) -> None:
        """What a child says of the whole file. Raises `FileError` when another one saw another file."""
        if reply.pages is None or reply.sha256 is None:
            raise ChildLostError(Reason.CRASHED)
        with self._lock:
            if self.sha256 and (reply.sha256, reply.pages) != (self.sha256, len(self.pages)):
                raise FileError(Reason.CHANGED)
            if not self.sha256:
                self.sha256 = reply.sha256
                self.pages = [LOST_PAGE] * min(reply.pages, limits.PAGES_MAX)

    def take_page(self, number: int, reply: Reply) -> None:
        """Page `number`, from 0. Raises `FileError` when the document is too long."""
        if number >= len(self.pages):
            raise ChildLostError(Reason.CRASHED)  # it sends more than there is: somebody else speaks
        with self._lock:
            self.pages[number] = reply
            self._pages_read += 1
            self._characters += len(reply.text or "")
            if self._characters > limits.DOCUMENT_CHARACTERS_MAX:
                raise FileError(Reason.TOO_LARGE)

    def take_end(self, reply: Reply) -> None:
        """A range is read. A child that has not seen the first page may know no title."""
        with self._lock:
            self._title = self._title or reply.title

    def take_loss(self, reason: Reason) -> None:
        """A child was lost. Raises `FileError` when it had not even opened the file."""
        if not self.sha256:
            raise FileError(reason)
        with self._lock:
            self._loss = reason
            self._losses += 1
            self.is_given_up |= self._losses > limits.CHILDREN_LOST_MAX or self.seconds_left <= 0

    def text(self, sha256: str) -> DocumentText:
        """All that was read. Raises `FileError` when that is nothing."""
        if not any(page.text and page.text.strip() for page in self.pages):
            is_sound = any(not page.is_damaged for page in self.pages)
            raise FileError(Reason.NO_TEXT if is_sound else self._loss or Reason.DAMAGED)
        return DocumentText(
            pages=tuple(page.text for page in self.pages),
            cut_pages=tuple(number for number, page in enumerate(self.pages, 1) if page.is_cut),
            sha256=sha256,
            title=self._title,
            headings=tuple(page.headings for page in self.pages),
            table_headers=tuple(page.table_headers for page in self.pages),
            labels=tuple(page.label for page in self.pages),
        )


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
