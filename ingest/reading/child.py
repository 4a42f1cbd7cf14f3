"""A child process that reads documents, as its parent sees it: it can be killed, and so can whoever is in it."""

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from app.core.models import QuietModel
from ingest.reading.limits import PAGE_CHARACTERS_MAX, PAGE_LABEL_CHARACTERS_MAX
from ingest.reading.page_look import MARKS_MAX, WORDS_CHARACTERS_MAX, Wish
from ingest.reading.reasons import Reason

Model = TypeVar("Model", bound=QuietModel)

REPLY_BYTES_MAX = 20 * PAGE_CHARACTERS_MAX
"""A page's text, its headings and table headers, lines of it: a character is at most six bytes of JSON, each time.
A page's picture, a third longer in base64, and its words are less."""
READ_BYTES = 1024 * 1024
REQUESTS_A_CHILD = 500
"""A child is replaced after so many: what a parser leaks must not count against a later document's memory."""
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR")
"""All that a child gets of the environment: there is no key in it to be stolen."""


@dataclass(frozen=True, slots=True)
class Request:
    """Pages of a file, from `first` to before `last`, counted from 0. `name` tells the format."""

    path: str
    name: str
    first: int
    last: int


class Reply(QuietModel):
    """Any of the child's replies; `ingest.reading.extract` says which there are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pages: int | None = Field(None, ge=0)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    title: str = Field("", max_length=1000)

    text: str | None = Field(None, max_length=PAGE_CHARACTERS_MAX)
    headings: tuple[str, ...] = ()
    table_headers: tuple[str, ...] = ()
    label: str = Field("", max_length=PAGE_LABEL_CHARACTERS_MAX)
    is_cut: bool = False
    is_damaged: bool = False

    end: bool = False
    failed: Reason | None = None


@dataclass(frozen=True, slots=True)
class LookRequest:
    """A page of a file to be looked at. `name` tells the format."""

    path: str
    name: str
    wish: Wish


Coordinate = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Marks = Annotated[tuple[tuple[Coordinate, Coordinate, Coordinate, Coordinate], ...], Field(max_length=MARKS_MAX)]


class SeenReply(QuietModel):
    """A page as it is shown, as `page_look.Seen` has it; its picture, a PNG, in base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: Coordinate
    height: Coordinate
    boxes: Marks
    next_boxes: Marks
    picture: str | None


class Sight(QuietModel):
    """The child's reply to a look. `seen` None: the page is words alone. `span`: where the quote stands in them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pages: int = Field(0, ge=0)
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    label: str = Field("", max_length=PAGE_LABEL_CHARACTERS_MAX)
    words: str = Field("", max_length=WORDS_CHARACTERS_MAX)
    span: tuple[int, int] | None = None
    seen: SeenReply | None = None
    failed: Reason | None = None


class ChildLostError(Exception):
    """The child died, sent what it must not send, or did not answer in time; it is gone."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Child:
    """Starts at the first request, and again at the next one after it was lost. Not for several threads."""

    def __init__(self, memory_bytes_max: int) -> None:
        self._memory_bytes_max = memory_bytes_max
        self._process: subprocess.Popen[bytes] | None = None
        self._served = 0
        self._received = b""
        self._is_closed = False
        self.is_busy = False
        """Whether it may still have something to say about the last request."""

    @property
    def pid(self) -> int | None:
        """The process that reads now, if there is one."""
        return self._process.pid if self._process is not None else None

    def ask(self, request: Request | LookRequest) -> None:
        """Send a request; all replies to the one before must have been received. Raises `ChildLostError`."""
        if self._served >= REQUESTS_A_CHILD or (self._process is not None and self._process.poll() is not None):
            self.end()
        if self._process is None and not self._is_closed:
            self._process = _start(self._memory_bytes_max)
        if self._is_closed or self._process is None:  # asked last: `close` kills what was started before it alone
            self.end()
            raise ChildLostError(Reason.CRASHED)
        self._served += 1
        self.is_busy = True
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asdict(request)).encode() + b"\n")  # less than a pipe holds
            self._process.stdin.flush()
        except OSError as error:
            self.end()
            raise ChildLostError(Reason.CRASHED) from error

    def reply(self, seconds_max: float) -> Reply:
        """The next reply to a `Request`. Raises `ChildLostError`."""
        reply = self._parsed(Reply, seconds_max)
        self.is_busy = not (reply.end or reply.failed)
        return reply

    def sight(self, seconds_max: float) -> Sight:
        """The reply to a `LookRequest`. Raises `ChildLostError`."""
        sight = self._parsed(Sight, seconds_max)
        self.is_busy = False
        return sight

    def _parsed(self, model: type[Model], seconds_max: float) -> Model:
        try:
            return model.model_validate_json(self._line(time.monotonic() + seconds_max))
        except ValidationError as error:
            self.end()
            raise ChildLostError(Reason.CRASHED) from error

    def close(self) -> None:
        """Kill the process, from any thread, and start no more: whoever waits for it finds it lost."""
        self._is_closed = True
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()

    def end(self) -> None:
        """Kill the process, if there is one."""
        process, self._process = self._process, None
        self._served, self._received, self.is_busy = 0, b"", False
        if process is not None:
            process.kill()
            with process:  # closes the pipes, and waits
                pass

    def _line(self, give_up: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        source = self._process.stdout.fileno()
        parts = [self._received]
        size = len(self._received)
        while b"\n" not in parts[-1]:
            ready = select.select([source], [], [], max(0.0, give_up - time.monotonic()))[0]
            part = os.read(source, READ_BYTES) if ready else b""
            size += len(part)
            if not part or size > REPLY_BYTES_MAX:
                self.end()
                raise ChildLostError(Reason.CRASHED if ready else Reason.TIMEOUT)
            parts.append(part)
        line, _, self._received = b"".join(parts).partition(b"\n")
        return line


def _start(memory_bytes_max: int) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    root = str(Path(__file__).resolve().parents[2])
    environment["OPENBLAS_NUM_THREADS"] = "1"  # numpy: each thread would claim memory, which is limited
    environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, sys.path)])
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", "ingest.reading.extract", str(memory_bytes_max)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the parent
    )
