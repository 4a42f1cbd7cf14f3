"""One RQ worker among the many of a process: runs the jobs that the intake starts in its name, and ends them."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from math import ceil
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Any

from redis import Redis
from redis.client import Pipeline
from rq import Queue, worker_registration
from rq.defaults import DEFAULT_FAILURE_TTL
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.registry import StartedJobRegistry
from rq.results import Result
from rq.utils import now, utcformat
from rq.worker import SimpleWorker
from rq.worker.base import WorkerStatus
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from app.core.logging import get_logger, job_context
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.producer import results_key
from app.core.queue.records import RUNNING_FIELDS, TOKENS, finished_data, result_fields
from app.core.serializer import PlainSerializer
from worker.runtime import scripts
from worker.runtime.deadlines import Deadline
from worker.runtime.ending import Endings, Outcome
from worker.runtime.intake import Idle, Intake, TakenJob
from worker.runtime.interrupts import Calls, own_calls
from worker.runtime.measures import Became, measures
from worker.runtime.spending import as_field

RESULTS_MAX = 10
"""Of a job, as RQ keeps them."""
HEARTBEAT_TTL_SECONDS = 15
"""A worker not heard of for so long is dead, and its jobs go to another. Four heartbeats may get lost."""
AGAIN_SECONDS_MIN = 0.1
AGAIN_SECONDS_MAX = 2.0
PATIENCE_SECONDS = 600.0
"""How long a worker that holds an answer waits for Valkey."""

log = get_logger(__name__)


class Ending(Enum):
    """Why a running job is ended before its time."""

    STOP = "stop"
    PUT_BACK = "put back"


class ThreadWorker(SimpleWorker):
    """One RQ worker, in a thread of a `ConcurrentWorker`."""

    death_penalty_class = Deadline

    def __init__(
        self,
        queue: str,
        name: str,
        connection: Redis,
        intake: Intake,
    ) -> None:
        super().__init__(
            [Queue(queue, connection=connection, serializer=PlainSerializer)],
            name,
            connection=connection,
            serializer=PlainSerializer,
            worker_ttl=HEARTBEAT_TTL_SECONDS,
            log_job_description=False,
            prepare_for_work=False,  # it would name the shared connection and list all others
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self._intake = intake
        self._budget = intake.budget
        self._idle = Idle(name, SimpleQueue())
        self._endings = Endings(connection)
        self._ending_lock = threading.Lock()
        self._job: TakenJob | None = None
        self._ending: Ending | None = None
        self._calls = Calls()
        self._became: Became = "lost"

    # What RQ's worker would do for itself, and the process does for all

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Overrides RQ: false, since the process runs maintenance once for all its workers."""
        return False

    def check_for_suspension(self, burst: bool) -> None:
        """Overrides RQ: the intake checks for all workers; here only a burst ends when workers are suspended."""
        if burst:
            super().check_for_suspension(burst)

    def _set_connection(self, connection: Redis) -> Redis:
        """Overrides RQ: keep the connection as it is.

        RQ would raise the shared pool's time-out to minutes; our waits at the queue are shorter than it.
        """
        return connection

    def _install_signal_handlers(self) -> None:
        """Overrides RQ: no-op, the process handles signals."""

    def bootstrap(self, *args: Any) -> None:
        """Overrides RQ: register in Valkey only; logging is set up, commands come over the process's connection."""
        self._calls = own_calls()
        self.register_birth()

    def register_birth(self) -> None:
        """Overrides RQ: register as it does, idle from the start, and also when Valkey's memory is full."""

        def register(pipeline: Pipeline) -> None:
            self.birth_date = self.last_heartbeat = now()
            pipeline.delete(self.key)
            pipeline.hset(self.key, mapping=self.serialize())
            worker_registration.register(self, pipeline)
            self.set_state(WorkerStatus.IDLE, pipeline=pipeline)
            pipeline.expire(self.key, self.worker_ttl + 60)

        self._endings.run(register)

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Overrides RQ: `HEARTBEAT_TTL_SECONDS`, which is short, since heartbeats go on while a job runs."""
        return HEARTBEAT_TTL_SECONDS

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Overrides RQ: as RQ does within a pipeline; alone a no-op, since the process sends heartbeats for all."""
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)

    def send_heartbeat(self, pipeline: Pipeline) -> tuple[str, int] | None:
        """Renew this worker's record, its job's and its execution's.

        Returns the job's id, and where among the pipeline's answers it stands whether the job is to be stopped.
        """
        job, execution = self._job, self.execution

        def renew(commands: Pipeline) -> None:
            self.heartbeat(HEARTBEAT_TTL_SECONDS, pipeline=commands)
            if job is not None and execution is not None:
                execution.heartbeat(job.started_job_registry, HEARTBEAT_TTL_SECONDS, pipeline=commands)

        self._endings.run(renew, pipeline=pipeline)  # also when Valkey's memory is full: what runs must not seem dead
        if job is None or execution is None:
            return None
        self._budget.renew(self.name, pipeline)
        pipeline.hget(job.key, "stop_requested")
        return job.id, len(pipeline) - 1

    # A job's way through this worker

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Overrides RQ: wait for the next job, which the intake has started in this worker's name.

        None when told to stop or, in a burst, when the queue is empty.
        """
        job = self._intake.take(self._idle)
        return (job, self.queues[0]) if job is not None else None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Overrides RQ: run `job` in this thread, and leave the worker idle, whatever became of it."""
        assert isinstance(job, TakenJob)
        bind_contextvars(**job_context(job.id, job.args[0]))
        with self._ending_lock:
            self.execution, self._job, self._ending = job.execution, job, None
            self._state = WorkerStatus.BUSY  # as the job's start has written
            self._calls.reset()
        self._became, began = "lost", monotonic()
        measures().job_began(self.queues[0].name)
        try:
            self.perform_job(job, queue)
        except VALKEY_UNAVAILABLE as error:  # its silence tells, and another worker gets the job
            log.warning("valkey_unavailable", during="execute", reason=type(error).__name__)
        finally:
            measures().job_ended(
                self.queues[0].name,
                self._became,
                waited=_waited_seconds(job),
                ran=monotonic() - began,
                reason=job.meta.get("error") if isinstance(job.meta, dict) else None,  # whoever wrote the record
            )
            with self._ending_lock:
                self._job = None
            with suppress(*VALKEY_UNAVAILABLE):
                self._budget.spend_tokens(sum(_usage(job).values()))
                if self.get_state() != WorkerStatus.IDLE:  # the job's last write has said it already
                    self._budget.release(self.name)
                    self.set_state(WorkerStatus.IDLE)
            clear_contextvars()

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """Overrides RQ: no-op, the script TAKE has written this."""

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        """Overrides RQ: set `ended_at` only; heartbeats have gone on."""
        job.ended_at = now()

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Overrides RQ: no-op, the job boundary has logged the error with its context."""

    def handle_job_success(self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry) -> None:
        """Overrides RQ: write the result in one step, unless the job has ended meanwhile.

        Of the record what RQ would write, without what a finished job has no use for: it is kept for a day.
        """
        ttl = job.get_result_ttl(self.default_result_ttl)

        def record(pipeline: Pipeline) -> None:
            assert job.ended_at is not None
            self.increment_successful_job_count(pipeline=pipeline)
            fields: dict[Any, Any] = {
                "status": RqStatus.FINISHED.value,
                "ended_at": utcformat(job.ended_at),
                "data": finished_data(job.data),
                **_usage(job),  # beside the record, where they are counted without its result
                **as_field(getattr(job, "spent", None)),
                **getattr(job, "turn", {}),
            }
            pipeline.hset(job.key, mapping=fields)
            pipeline.hdel(job.key, *RUNNING_FIELDS)
            results = results_key(job.id)
            entry: dict[Any, Any] = {"type": Result.Type.SUCCESSFUL.value, **result_fields(job._result)}
            pipeline.xadd(results, entry, maxlen=RESULTS_MAX)
            pipeline.persist(results) if ttl == -1 else pipeline.expire(results, ttl)
            if ttl != 0:
                job.finished_job_registry.add(job, ttl, pipeline)
            job.cleanup(ttl, pipeline=pipeline, remove_from_queue=False)

        self._end(job, queue, record, "finished", keep_seconds=ttl)

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry | None = None, exc_string: str = ""
    ) -> None:
        """Overrides RQ: fail, retry, cancel, put back or aside the job in one step, unless it has ended meanwhile."""
        failure_ttl = job.failure_ttl if job.failure_ttl is not None else DEFAULT_FAILURE_TTL
        result_ttl = job.get_result_ttl(self.default_result_ttl)

        def cancel(pipeline: Pipeline) -> None:
            assert job.ended_at is not None
            job.set_status(RqStatus.CANCELED, pipeline=pipeline)
            pipeline.hset(job.key, "ended_at", utcformat(job.ended_at))
            queue.canceled_job_registry.add(job, result_ttl, pipeline=pipeline)
            job.cleanup(result_ttl, pipeline=pipeline, remove_from_queue=False)

        def fail(pipeline: Pipeline) -> None:
            self.increment_failed_job_count(pipeline)
            job.set_status(RqStatus.FAILED, pipeline=pipeline)
            if job.meta:
                pipeline.hset(job.key, "meta", job.serializer.dumps(job.meta))
            job._handle_failure(exc_string, pipeline, **self._about_execution(job))

        def retry(pipeline: Pipeline) -> None:
            self.increment_failed_job_count(pipeline)
            _schedule_retry(job, queue, pipeline)

        if self._ending is Ending.PUT_BACK:
            _patiently(self.put_back)
            self._became = "put_back"
        elif self._ending is Ending.STOP:
            self._end(job, queue, cancel, "stopped", keep_seconds=result_ttl)
        elif isinstance(job, TakenJob) and job.waiting is not None:
            self._end(job, queue, job.waiting.put_aside, "put_back", keep_seconds=failure_ttl, is_over=False)
            job.waiting.settle()
        elif job.should_retry:
            self._end(job, queue, retry, "retried", keep_seconds=failure_ttl, is_over=False)
        else:
            self._end(job, queue, fail, "failed", keep_seconds=failure_ttl)

    def _end(
        self,
        job: Job,
        queue: Queue,
        record: Callable[[Pipeline], None],
        became: Became,
        *,
        keep_seconds: int,
        is_over: bool = True,
    ) -> None:
        """Write what `record` says of the job and of its execution, in one step, unless the job has ended already."""
        assert isinstance(job, TakenJob)
        assert job.started_at is not None
        assert job.ended_at is not None
        worked = job.ended_at - job.started_at

        def leave(pipeline: Pipeline) -> None:
            self.cleanup_execution(job, pipeline=pipeline)
            self.execution = job.execution  # alive, and renewed, until that is written
            self.increment_total_working_time(worked, pipeline)
            self._budget.release(self.name, pipeline)
            self.set_state(WorkerStatus.IDLE, pipeline=pipeline)

        commands = self._endings.recorded(record, leave)

        def write() -> None:
            outcome = self._endings.write(
                job.id,
                commands,
                worker=self.name,
                events=job.events.unwritten(),
                packed=job.events.packed() if became == "finished" else b"",
                is_over=is_over,
                keep_seconds=keep_seconds,
            )
            if outcome is Outcome.ENDED_ELSEWHERE:
                log.info("job_ended_elsewhere")
                with self.connection.pipeline() as pipeline:
                    leave(pipeline)
                    pipeline.execute()
                return
            self._became = became
            if is_over and outcome is Outcome.WRITTEN_AND_AWAITED:
                queue.enqueue_dependents(job)

        with job.events.writing:
            _patiently(write)
        self.execution = None

    def _about_execution(self, job: Job) -> dict[str, Any]:
        """What RQ keeps with a result."""
        assert self.execution is not None
        return {
            "worker_name": self.name,
            "execution_id": self.execution.id,
            "execution_started_at": self.execution.created_at,
            "execution_ended_at": job.ended_at,
        }

    # Ending a job before its time

    @property
    def is_busy(self) -> bool:
        """Whether a job runs here."""
        return self._job is not None

    def stop_job(self, job_id: str) -> None:
        """Stop the job, if it is the one that runs here."""
        with self._ending_lock:
            if self._job is None or self._job.id != job_id:
                return
        self.end_job(Ending.STOP)

    def end_job(self, ending: Ending) -> None:
        """Make the running job leave its model call, and end as told."""
        with self._ending_lock:
            if self._job is None or self._ending is not None:
                return
            self._ending = ending
            self._job.is_told_to_end = True
            self._calls.interrupt()

    def put_back(self) -> None:
        """Give the running job back to the queue, before all others; its retries are not touched."""
        job, execution = self._job, self.execution
        if job is None or execution is None:
            return
        queue = self.queues[0]
        keys = (job.key, queue.started_job_registry.key, queue.key)
        self.connection.eval(scripts.PUT_BACK, len(keys), *keys, execution.composite_key, job.id, 0, "inf")
        with bound_contextvars(**job_context(job.id, job.args[0])):  # also from the thread that ends the process
            log.info("job_put_back")


def _schedule_retry(job: Job, queue: Queue, pipeline: Pipeline) -> None:
    """What `Job.retry` does, all of it in `pipeline`: RQ writes status and schedule at once, the rest later."""
    wait = job.get_retry_interval()
    assert job.retries_left is not None
    job.retries_left -= 1
    if not wait:
        queue._enqueue_job(job, pipeline=pipeline, at_front=job.enqueue_at_front_on_retry)
        return
    queue._persist_job(job, pipeline, status=RqStatus.SCHEDULED)
    due = now() + timedelta(seconds=wait)
    pipeline.zadd(queue.scheduled_job_registry.key, {job.id: ceil(due.timestamp())})


def _usage(job: Job) -> dict[str, int]:
    """What the job's answer has cost in `TOKENS`, as the provider counted; empty where nothing was counted."""
    result = getattr(job, "_result", None)
    usage = result.get("usage", {}) if isinstance(result, dict) else {}
    return {name: int(usage[name]) for name in TOKENS if usage.get(name)}


def _waited_seconds(job: Job) -> float:
    """From when this attempt could have begun, at first or by its retry's due time, to when it did."""
    if job.started_at is None or job.enqueued_at is None:
        return 0.0
    return (job.started_at - job.enqueued_at).total_seconds()


def _patiently(act: Callable[[], None]) -> None:
    """Retry `act` while Valkey is unavailable: an answer that was paid for is worth the wait."""
    wait, give_up = AGAIN_SECONDS_MIN, monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return act()
        except VALKEY_UNAVAILABLE as error:
            if monotonic() > give_up:
                raise
            log.warning("valkey_unavailable", during=act.__name__, reason=type(error).__name__, retry_in_seconds=wait)
            sleep(wait)
            wait = min(2 * wait, AGAIN_SECONDS_MAX)
