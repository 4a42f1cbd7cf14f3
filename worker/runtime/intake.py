"""Where the workers of one process get their jobs: one thread waits at the queue, for all.

An idle process then costs Valkey one command a second. Under load, each wait for the network is also a wait for the
interpreter's lock, so one round trip takes, claims and fetches jobs for as many workers as are idle.
"""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.executions import Execution
from rq.job import Job, _job_stack
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import now, utcformat
from structlog.contextvars import bound_contextvars

from app.core.budget_keys import PAUSE
from app.core.events import MAX_EVENTS, encode
from app.core.logging import get_logger, job_context
from app.core.queue.connections import VALKEY_FULL
from app.core.queue.records import fields_of
from worker.runtime import scripts
from worker.runtime.budget import Budget
from worker.runtime.event_writer import EventLog, EventWriter
from worker.runtime.measures import measures
from worker.runtime.own_job import OwnJob
from worker.runtime.recovery import fail_unreadable
from worker.runtime.sharing import Waiting
from worker.runtime.spending import Spent

POP_SECONDS = 1
"""How long one wait at the queue lasts: what a stop has to wait for at most."""
HOLD_SECONDS = 0.05
"""How often to ask whether the budget has room again."""
BATCH_MAX = 32
RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 2.0

log = get_logger(__name__)


class TakenJob(OwnJob):
    """A job that is this process's to run. `events` takes what it has to tell."""

    events: EventLog
    execution: Execution
    is_told_to_end = False
    spent: Spent | None = None
    waiting: Waiting | None = None
    """For whom it is to be put aside."""
    turn: Mapping[str, str] = MappingProxyType({})
    """Fields of its record for the conversation that it is a turn of, by its end."""

    def perform(self) -> Any:
        """Run the function. RQ's own first makes the record persist, which `scripts.TAKE` has done."""
        _job_stack.push(self)  # type: ignore[no-untyped-call]
        try:
            self._result = self._execute()
        finally:
            _job_stack.pop()  # type: ignore[no-untyped-call]
        return self._result


@dataclass(frozen=True, slots=True)
class Idle:
    """A worker that waits for a job, and where it looks for it: None tells it to leave.

    `thread` is the one that made this, in which the worker runs its jobs.
    """

    name: str
    given: SimpleQueue[TakenJob | None]
    thread: int = field(default_factory=threading.get_ident)


class Intake:
    """Takes jobs off `queue` for the workers of this process, as far as `budget` goes, until `stopping`.

    Of one tenant's jobs `tenant_most` run here at once, 0 being any number: those beyond go behind all others in the
    queue, and none of their attempts is used up. In a `burst`, until the queue is empty. `close` ends its thread,
    when all workers have left.
    """

    def __init__(
        self,
        queue: Queue,
        budget: Budget,
        events: EventWriter,
        stopping: threading.Event,
        *,
        lease_seconds: int,
        keep_seconds: int,
        tenant_most: int = 0,
        burst: bool = False,
    ) -> None:
        self._queue = queue
        self._connection = queue.connection
        self.budget = budget
        self._events = events
        self._stopping = stopping
        self._lease_seconds = lease_seconds
        self._keep_seconds = keep_seconds
        self._tenant_most = tenant_most
        self._burst = burst
        self._take = self._connection.register_script(scripts.TAKE)
        self._return = self._connection.register_script(scripts.RETURN_UNSTARTED)
        self._idle: deque[Idle] = deque()
        self._held_since: datetime | None = None
        """From when the model's budget has let nobody have a job."""
        self._tenants: dict[int, bytes] = {}
        """Whose job each thread runs, where that matters."""
        self._changed = threading.Condition()
        self._closed = False
        self.thread = threading.Thread(target=self._run, name=f"intake {queue.name}", daemon=True)
        self.thread.start()

    def take(self, idle: Idle) -> TakenJob | None:
        """The next job for this worker, started in its name; None when told to stop, or when a burst is over."""
        with self._changed:
            self._tenants.pop(idle.thread, None)
            if self._closed:
                return None
            self._idle.append(idle)
            self._changed.notify()
        return idle.given.get()

    def close(self) -> None:
        """Take no more; whoever waits leaves."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self.thread.join()

    def _run(self) -> None:
        wait = RETRY_SECONDS_MIN
        while self._wait_for_idle():
            if self._stopping.is_set():
                self._send_away()
                continue
            try:
                self._serve()
                wait = RETRY_SECONDS_MIN
            except RedisError as error:
                log.warning("valkey_unavailable", during="take", reason=type(error).__name__, retry_in_seconds=wait)
                self._stopping.wait(wait)
                wait = min(2 * wait, RETRY_SECONDS_MAX)
        self._send_away()

    def _wait_for_idle(self) -> bool:
        """Whether somebody waits for a job; false once closed."""
        with self._changed:
            while not self._idle and not self._closed:
                self._changed.wait()
            return not self._closed

    def _send_away(self) -> None:
        while self._idle:
            self._idle.popleft().given.put(None)

    def _serve(self) -> None:
        """Get jobs to those who wait, or find that there are none or that something holds them back."""
        if self.budget.is_limited:
            self._serve_one_within_budget()
            return
        started, passed = self._start_jobs(min(len(self._idle), BATCH_MAX))
        if started:
            return
        if passed:  # what waits is of tenants that have their share
            with self._changed:
                self._changed.wait(HOLD_SECONDS)
            return
        popped = self._pop()
        if popped is not None and self._stopping.is_set():
            self._return_to_queue(popped)
        elif popped is not None:
            self._start_jobs(min(len(self._idle), BATCH_MAX), popped)
        elif self._burst:
            self._send_away()

    def _serve_one_within_budget(self) -> None:
        holder = self._idle[0].name
        if not self.budget.acquire(holder):
            if self._burst and not self._connection.llen(self._queue.key):
                self._send_away()
            else:
                self._hold()
            return
        popped, started = self._pop(), 0
        if popped is None:
            self._held_since = None  # nobody waits
        if popped is not None:
            if not self._stopping.is_set() and self.budget.spend_request():
                started, _ = self._start_jobs(1, popped)
            else:  # told to stop, or another process has spent the last one
                self._held_since = self._held_since or now()
                self._return_to_queue(popped)
        elif self._burst:
            self._send_away()
        if not started:
            self.budget.release(holder)

    def _pop(self) -> str | None:
        """Wait for a job; it stands in RQ's intermediate list then, until it is started."""
        try:
            found = Queue.lmove(self._connection, self._queue.key, None if self._burst else POP_SECONDS)
        except DequeueTimeout:
            return None
        except VALKEY_FULL:  # it may not move a job to another list; the script TAKE, which needs none, looks again
            self._stopping.wait(POP_SECONDS)
            return None
        return found[1].decode() if found is not None else None

    def _start_jobs(self, count: int, popped: str = "") -> tuple[int, int]:
        """Start up to so many jobs, `popped` first, each in the name of one who waits.

        How many, and how many were passed over, as their tenants have their share.
        """
        queue, moment = self._queue, now()
        wanted = [(self._idle.popleft(), uuid4().hex) for _ in range(count)]
        keys = [queue.key, queue.intermediate_queue_key, queue.started_job_registry.key, WORKERS_SUSPENDED]
        arguments: list[Any] = [popped, utcformat(moment), moment.timestamp(), self._lease_seconds, MAX_EVENTS]
        arguments += [self._keep_seconds, self._tenant_most, *self._running()]
        arguments += [name for idle, execution in wanted for name in (idle.name, execution)]
        passed, taken = 0, []
        try:
            answer = self._take(keys=[*keys, PAUSE] if self.budget.calls_the_model else keys, args=arguments)
            passed, taken = answer or (0, [])
            for job_id, number, record in taken:
                idle, execution_id = wanted[0]
                execution = Execution(execution_id, job_id.decode(errors="replace"), self._connection, idle.name)
                execution.created_at = execution.last_heartbeat = moment
                if (job := self._restored(execution, number, record)) is not None:
                    if self._tenant_most:
                        self._tenants[idle.thread] = _tenant_of(record)
                    if self.budget.calls_the_model:
                        measures().budget_waited(self._budget_seconds(job, moment))
                    idle.given.put(job)
                    del wanted[0]
                else:
                    wanted.append(wanted.pop(0))  # this execution's name is used up; the next job has the next
        finally:
            self._idle.extendleft(idle for idle, _ in reversed(wanted))
        if answer is None:
            self._hold()
        elif taken:
            self._held_since = None
        return len(taken), passed

    def _hold(self) -> None:
        """Wait a little: the budget has no room, or all wait as its provider asks."""
        self._held_since = self._held_since or now()
        self._stopping.wait(HOLD_SECONDS)

    def _budget_seconds(self, job: Job, moment: datetime) -> float:
        """How long `job`, which is started now, was the next one and held back by the budget."""
        if self._held_since is None:
            return 0.0
        return (moment - max(self._held_since, job.enqueued_at or moment)).total_seconds()

    def _running(self) -> list[Any]:
        """How many tenants have jobs here, and each of them with how many."""
        if not self._tenant_most:
            return [0]
        with self._changed:
            counts = Counter(self._tenants.values())
        return [len(counts), *chain.from_iterable(counts.items())]

    def _restored(self, execution: Execution, number: int, record: list[bytes]) -> TakenJob | None:
        """The job in its record; None when it is none of ours, and has failed now."""
        try:
            job = TakenJob(execution.job_id, self._connection)
            fields = dict(zip(record[::2], record[1::2], strict=True))
            for just_written in (b"started_at", b"last_heartbeat"):  # RQ reads times slowly
                fields.pop(just_written, None)
            job.restore(fields)
            job.check(self._queue.name)
            job.started_at = job.last_heartbeat = execution.created_at
        except Exception as error:  # a hostile record makes RQ raise nearly anything
            with bound_contextvars(**job_context(execution.job_id, fields_of(record))):
                log.warning("record_not_understood", reason=type(error).__name__)
            fail_unreadable(self._queue, execution.job_id, execution.composite_key, execution.worker_name)
            return None
        job.execution = execution
        job.events = EventLog(
            job.id,
            worker=execution.worker_name,
            started=number,
            keep_seconds=job.result_ttl or self._keep_seconds,
            writer=self._events,
            begun=_begun(fields, execution.created_at),
        )
        return job

    def _return_to_queue(self, job_id: str) -> None:
        """Give back a job that nobody has started, to its place."""
        keys = [self._queue.intermediate_queue_key, Job.key_for(job_id), self._queue.key]
        self._return(keys=keys, args=[job_id])


def _begun(fields: Mapping[bytes, bytes], moment: datetime) -> tuple[bytes, int]:
    """Data and time of the event that a job has started, as `scripts.TAKE` writes it."""
    given, left = (int(fields.get(name) or 0) for name in (b"retries_given", b"retries_left"))
    return encode({"attempt": max(0, given - left) + 1}), round(moment.timestamp() * 1000)


def _tenant_of(record: list[bytes]) -> bytes:
    """Whose job it is, as `scripts.TAKE` counts it."""
    return dict(zip(record[::2], record[1::2], strict=True)).get(b"tenant", b"")
