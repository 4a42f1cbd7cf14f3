"""What running jobs tell while they run: gathered here, written by one thread for all jobs of the process.

An event is written at once when nothing was written lately, else with what comes within `BATCH_SECONDS`; all jobs'
events go in one round trip. What is still unwritten when a job ends is written by the step that ends it, so that
nothing of a finished job is missing. See `app.core.events` for the log itself.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep, time
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job

from app.core.events import APPEND, MAX_EVENTS, EventType, encode, log_key
from app.core.logging import get_logger
from app.core.packed_log import Told, pack
from worker.runtime import scripts

BATCH_SECONDS = 0.04
RETRY_SECONDS = 0.5

log = get_logger(__name__)


class Events(Protocol):
    """The sink of a running job's events."""

    def add(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """Add one event."""

    def delta(self, text: str) -> None:
        """A piece of the answer."""


class NoEvents:
    """The null sink: for a function that is called without a job."""

    def add(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """No-op."""

    def delta(self, text: str) -> None:
        """No-op."""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Events on their way, numbered from `first` without gaps."""

    first: int
    events: Sequence[tuple[EventType, bytes, int]]
    """Type, data, and when it happened, in milliseconds since 1970."""

    def arguments(self) -> list[object]:
        """As the scripts take them: number of the first, how many, then type, data and time of each."""
        return [self.first, len(self.events), *(part for event in self.events for part in event)]


NOTHING = Unwritten(0, ())


class EventLog:
    """The events of one running job. `started` is the number of its `job.started`; `keep_seconds` the log's TTL.

    `begun` is that event itself, which `scripts.TAKE` has written; given with the number 1, the log can be packed.
    """

    def __init__(
        self,
        job_id: str,
        *,
        worker: str,
        started: int,
        keep_seconds: int,
        writer: "EventWriter",
        begun: tuple[bytes, int] | None = None,
    ) -> None:
        self.job_key, self.key = Job.key_for(job_id), log_key(job_id)
        self.worker = worker
        self.keep_seconds = keep_seconds
        self.writing = threading.Lock()
        """Held while events are on their way, so that what ends the job comes after them."""
        self._first = started + 1
        self._writer = writer
        self._changing = threading.Lock()
        self._events: list[tuple[EventType, bytes, int]] = []
        self._text: list[str] = []
        self._text_at = 0
        self._all: list[Told] | None = None
        """The whole log; None when it has events of another attempt, which only Valkey knows."""
        if begun is not None and started == 1:
            self._all = [(EventType.STARTED, *begun)]

    def add(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """Add one event."""
        with self._changing:
            self._join_text()
            self._append(kind, encode(data), _now())
        self._writer.wake(self)

    def delta(self, text: str) -> None:
        """A piece of the answer; pieces that come close together are one event."""
        with self._changing:
            self._text.append(text)
            if is_first := len(self._text) == 1:
                self._text_at = _now()
        if is_first:
            self._writer.wake(self)

    def unwritten(self) -> Unwritten:
        """What has to be written; call `written` with it once it is. The caller holds `writing`."""
        with self._changing:
            self._join_text()
            return Unwritten(self._first, tuple(self._events))

    def written(self, done: Unwritten) -> None:
        """Forget what stands in the log now."""
        with self._changing:
            del self._events[: len(done.events)]
            self._first += len(done.events)

    def packed(self) -> bytes:
        """The whole log, and its end, as `app.core.packed_log` has it; b"" when it stays as it is.

        The caller holds `writing`.
        """
        with self._changing:
            self._join_text()
            written = self._all
        return (pack([*written, (EventType.ENDED, b"{}", _now())]) or b"") if written is not None else b""

    def _join_text(self) -> None:
        if self._text:
            text = "".join(self._text)
            self._append(EventType.DELTA, encode({"text": text}), self._text_at, text)
            self._text.clear()

    def _append(self, kind: EventType, data: bytes, at: int, text: str | None = None) -> None:
        self._events.append((kind, data, at))
        if self._all is not None:
            self._all.append((kind, data if text is None else text, at))


class EventWriter:
    """Writes the events of all jobs of this process, from a thread of its own, until `close`."""

    def __init__(self, connection: Redis) -> None:
        self._record = connection.register_script(scripts.RECORD)
        self._changed: deque[EventLog] = deque()
        self._wake = threading.Event()
        self._closed = False
        self.thread = threading.Thread(target=self._run, name="events", daemon=True)
        self.thread.start()

    def wake(self, changed: EventLog) -> None:
        """Wake the writer: there is something to write."""
        self._changed.append(changed)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Stop; jobs have ended."""
        self._closed = True
        self._wake.set()
        self.thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._closed:
                return
            self._wake.clear()
            try:
                self._write()
                sleep(BATCH_SECONDS)
            except RedisError as error:
                log.warning("valkey_unavailable", during="events", reason=type(error).__name__)
                self._wake.set()
                sleep(RETRY_SECONDS)

    def _write(self) -> None:
        """One round trip for all that has changed. What fails is tried again, or written when its job ends."""
        changed = {}
        while self._changed:
            event_log = self._changed.popleft()
            changed[event_log.key] = event_log
        held = [each for each in changed.values() if each.writing.acquire(blocking=False)]  # others are just ending
        try:
            pairs = [(each, each.unwritten()) for each in held]
            keys = [key for each, _ in pairs for key in (each.job_key, each.key)]
            arguments: list[Any] = [MAX_EVENTS]
            for each, events in pairs:
                arguments += [each.worker, each.keep_seconds, *events.arguments()]
            if keys:
                self._record(keys=keys, args=arguments)
            for each, events in pairs:
                each.written(events)
        except RedisError:
            self._changed.extend(held)
            raise
        finally:
            for each in held:
                each.writing.release()


class DirectEvents:
    """The events of a job that a stock RQ worker runs: written by the job itself, its text once in a while."""

    def __init__(self, job: Job, *, attempt: int) -> None:
        self._append = job.connection.register_script(APPEND)
        self._key = log_key(job.id)
        self._keep_seconds = job.result_ttl
        self._text: list[str] = []
        self._written_at = monotonic()
        self.add(EventType.STARTED, {"attempt": attempt})

    def add(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """Add one event; Valkey's absence is no failure of the job."""
        self.flush()
        self._write(kind, data)

    def delta(self, text: str) -> None:
        """A piece of the answer."""
        self._text.append(text)
        if monotonic() - self._written_at > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the text that is left."""
        if self._text:
            text = "".join(self._text)
            self._text.clear()
            self._write(EventType.DELTA, {"text": text})

    def _write(self, kind: EventType, data: Mapping[str, Any]) -> None:
        self._written_at = monotonic()
        try:
            self._append(keys=[self._key], args=[kind, encode(data), MAX_EVENTS, self._keep_seconds or 0])
        except RedisError as error:
            log.warning("valkey_unavailable", during="events", reason=type(error).__name__)


def _now() -> int:
    """Milliseconds since 1970."""
    return int(time() * 1000)
