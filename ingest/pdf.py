"""Text by page, from a child process that can be killed: a PDF is hostile, and so is a child that has read one."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest.extract import DOCUMENT_SECONDS_MAX, PAGE_CHARACTERS_MAX, PAGES_MAX
from ingest.reasons import FileError, Reason

DOCUMENT_CHARACTERS_MAX = 20_000_000
"""Some 6,000 pages of a 10-K filing (3,400 each). A document's text is held in memory whole."""
REPLY_BYTES_MAX = 12 * PAGE_CHARACTERS_MAX + 1_000
"""A page's text, each character at most twelve bytes of JSON (two escapes), and the rest of the object."""
DOCUMENTS_A_CHILD = 200
"""A child is replaced after so many: what a parser leaks must not count against a later document's memory."""
STOP_SECONDS = 2
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")
"""All that a child gets of the environment: there is no key in it to be stolen."""


@dataclass(frozen=True, slots=True)
class PdfText:
    """What could be read. `pages` are in order, None for a page that could not be read; `cut_pages` count from 1."""

    pages: tuple[str | None, ...]
    cut_pages: tuple[int, ...]
    sha256: str

    @property
    def missing_pages(self) -> tuple[int, ...]:
        """The pages that could not be read, counted from 1."""
        return tuple(number for number, text in enumerate(self.pages, 1) if text is None)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | None = Field(None, max_length=PAGE_CHARACTERS_MAX)
    is_cut: bool = False
    sha256: str | None = None
    failed: Reason | None = None


class PdfReader:
    """Reads one document after the other, starting a fresh child when there is none. Not for several threads.

    `seconds_max` bounds one document. Use as a context manager: leaving it ends the child.
    """

    def __init__(self, *, seconds_max: float = DOCUMENT_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._child: subprocess.Popen[bytes] | None = None
        self._served = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def child_pid(self) -> int | None:
        """The process that parses now, if there is one."""
        return self._child.pid if self._child is not None else None

    def read(self, path: Path) -> PdfText:
        """The text of the PDF at `path`; at least one page has some. Raises `FileError`."""
        child = self._ready_child()
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            child.kill()

        timer = threading.Timer(self._seconds_max, expire)
        timer.daemon = True  # Ctrl-C may come before the `try`; an exit must not wait for it
        timer.start()
        try:
            return _checked(self._converse(child, path))
        except _ChildLostError as error:
            self._end()
            raise FileError(Reason.TIMEOUT if expired.is_set() else Reason.CRASHED) from error
        except FileError as error:
            if error.reason is Reason.TOO_LARGE:  # it may still be sending
                self._end()
            raise
        except BaseException:  # Ctrl-C in the middle of a reply: the next request must not read its rest
            self._end()
            raise
        finally:
            timer.cancel()

    def _converse(self, child: subprocess.Popen[bytes], path: Path) -> PdfText:
        _send(child, path)
        pages: list[str | None] = []
        cut_pages: list[int] = []
        characters = 0
        while True:
            reply = _receive(child)
            if reply.failed is not None:
                raise FileError(reply.failed)
            if reply.sha256 is not None:
                return PdfText(tuple(pages), tuple(cut_pages), reply.sha256)
            pages.append(reply.text)
            characters += len(reply.text or "")
            if characters > DOCUMENT_CHARACTERS_MAX or len(pages) > PAGES_MAX:
                raise FileError(Reason.TOO_LARGE)
            if reply.is_cut:
                cut_pages.append(len(pages))

    def _ready_child(self) -> subprocess.Popen[bytes]:
        if self._served >= DOCUMENTS_A_CHILD or (self._child is not None and self._child.poll() is not None):
            self._end()
        if self._child is None:
            self._child = _start()
        self._served += 1
        return self._child

    def _end(self) -> None:
        child, self._child, self._served = self._child, None, 0
        if child is None:
            return
        child.kill()
        with child:  # closes the pipes, and waits
            pass


class _ChildLostError(Exception):
    """The child died, or sent what it must not send."""


def _start() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    root = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ingest.extract"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the parent
    )


def _send(child: subprocess.Popen[bytes], path: Path) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps({"path": str(path.absolute())}).encode() + b"\n")
        child.stdin.flush()
    except OSError as error:
        raise _ChildLostError from error


def _receive(child: subprocess.Popen[bytes]) -> _Reply:
    assert child.stdout is not None
    line = child.stdout.readline(REPLY_BYTES_MAX)
    try:
        return _Reply.model_validate_json(line)
    except ValidationError as error:
        raise _ChildLostError from error


def _checked(text: PdfText) -> PdfText:
    if any(page is not None and page.strip() for page in text.pages):
        return text
    nothing_read = all(page is None for page in text.pages)
    raise FileError(Reason.DAMAGED if nothing_read else Reason.NO_TEXT)
