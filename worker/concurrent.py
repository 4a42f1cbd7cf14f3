"""Many RQ workers in one process: a question is one slow network call, and a thread is enough to wait for it.

Each thread is a real RQ worker in Valkey, so that `rq info` and the dashboards see it. What a stock worker does for
itself is done once for all of them: one thread renews heartbeats, one does maintenance, one listens for commands, and
one worker at a time waits at the queue. See docs/decisions/threads.md.
"""

import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from time import monotonic, sleep
from types import FrameType
from typing import Any
from uuid import uuid4

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.utils import now, utcformat
from rq.worker import SimpleWorker
from rq.worker.base import DequeueStrategy, WorkerStatus

from app.core import scripts
from app.core.logging import get_logger
from app.core.queue import VALKEY_AWAY, enqueue_due
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from worker.budget import Budget, Limits
from worker.deadlines import Deadline
from worker.intake import Intake
from worker.interrupts import interrupt, reset
from worker.recovery import recover

HEARTBEAT_SECONDS = 3
HEARTBEAT_TTL_SECONDS = 15
"""A worker not heard of for so long is dead, and its jobs go to another. Four heartbeats may get lost."""
MAINTENANCE_SECONDS = 5
DUE_SECONDS = 0.5
"""How often to look for retries that are due."""
LISTEN_SECONDS = 0.25
"""How long one wait for commands lasts: what the end of the process has to wait for at most."""
RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 2.0
PATIENCE_SECONDS = 600.0
"""How long a worker that holds an answer waits for Valkey."""

log = get_logger(__name__)


class Ending(Enum):
    """Why a running job is ended before its time."""

    STOP = "stop"
    PUT_BACK = "put back"


class ConcurrentWorker(SimpleWorker):
    """Runs WORKER_CONCURRENCY RQ workers as threads; takes the arguments of `rq.worker.BaseWorker`.

    Usable as `rq worker -w worker.ConcurrentWorker rag_queries`. It is no worker in Valkey itself.
    """

    def __init__(self, *args: Any, settings: Settings | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"serializer": PlainSerializer})
        self._settings = settings
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._seats: dict[str, Seat] = {}
        self._has_worked = False

    def work(
        self,
        burst: bool = False,
        logging_level: str | None = None,
        date_format: str = DEFAULT_LOGGING_DATE_FORMAT,
        log_format: str = DEFAULT_LOGGING_FORMAT,
        max_jobs: int | None = None,
        max_idle_time: int | None = None,
        with_scheduler: bool = False,
        dequeue_strategy: DequeueStrategy = DequeueStrategy.DEFAULT,
    ) -> bool:
        """Work until SIGTERM or SIGINT, or with `burst` until the queues are empty. True when any job was worked.

        Raises `ConfigurationError` when there is no Qdrant to go to.
        """
        import worker.jobs  # noqa: F401  before any thread starts, so that no job waits for its imports
        from worker.resources import open_resources, share

        self._settings = settings = self._settings or Settings()
        self._budget = Budget(self.connection, Limits.of(settings), lease_seconds=HEARTBEAT_TTL_SECONDS)
        resources = open_resources(settings, on_response=self._budget.heed)
        share(resources)
        if threading.current_thread() is threading.main_thread():
            self._install_signal_handlers()  # type: ignore[no-untyped-call]
        intakes = {queue.name: Intake(queue, self._budget, self._stopping) for queue in self.queues}
        threads = [
            threading.Thread(target=self._keep_seated, args=(intakes, queue, f"{self.name}.{queue}.{number}", burst))
            for queue in self.queue_names()
            for number in range(settings.worker_concurrency)
        ]
        for thread in threads:
            thread.start()
        upkeep = {
            HEARTBEAT_SECONDS: self._send_heartbeats,
            MAINTENANCE_SECONDS: self._maintain,
            DUE_SECONDS: self._enqueue_due,
        }
        background = [
            threading.Thread(target=self._listen, daemon=True),
            *(threading.Thread(target=self._every, args=pair, daemon=True) for pair in upkeep.items()),
        ]
        for thread in background:
            thread.start()
        log.info("worker_started", queues=self.queue_names(), concurrency=settings.worker_concurrency)
        for thread in threads:
            thread.join()
        self._finished.set()
        for thread in background:
            thread.join()
        share(None)
        resources.close()
        log.info("worker_stopped")
        return self._has_worked

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """First signal: take no new job, let running ones finish within their grace. Second: end at once."""
        if self._stopping.is_set():
            log.warning("worker_ends_at_once", running=sum(seat.is_busy for seat in self._seats.values()))
            for seat in list(self._seats.values()):
                with suppress(RedisError):  # then its silence tells, a little later
                    seat.put_back()
            os._exit(1)
        log.info("worker_stopping", signal=signal.Signals(signum).name)
        self.stop()

    request_force_stop = request_stop

    def stop(self) -> None:
        """Take no new job; `work` returns when running ones have finished, or their grace is over."""
        self._stopping.set()
        threading.Thread(target=self._end_grace, daemon=True).start()

    def _end_grace(self) -> None:
        assert self._settings is not None
        if not self._finished.wait(self._settings.shutdown_grace_seconds):
            log.warning("grace_is_over", running=sum(seat.is_busy for seat in self._seats.values()))
            for seat in list(self._seats.values()):
                seat.end_job(Ending.PUT_BACK)

    def _keep_seated(self, intakes: dict[str, Intake], queue: str, name: str, burst: bool) -> None:
        """One thread's life: a worker that works until told to stop, and a new one when Valkey was away."""
        wait = RECONNECT_SECONDS_MIN
        while not self._stopping.is_set():
            seat_name = f"{name}.{uuid4().hex[:8]}"
            seat = Seat(queue, seat_name, self.connection, intakes[queue], self._budget)
            self._seats[name] = seat
            began = monotonic()
            try:
                self._has_worked |= seat.work(burst=burst)
            except VALKEY_AWAY as error:
                log.warning("valkey_away", worker=name, reason=type(error).__name__)
            del self._seats[name]
            if burst:
                return
            wait = RECONNECT_SECONDS_MIN if monotonic() - began > RECONNECT_SECONDS_MAX else wait * 2
            self._stopping.wait(min(wait, RECONNECT_SECONDS_MAX))

    def _every(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` every so often until the last worker has left."""
        while not self._finished.wait(seconds):
            try:
                act()
            except RedisError as error:
                log.warning("valkey_away", during=act.__name__.strip("_"), reason=type(error).__name__)

    def _send_heartbeats(self) -> None:
        """Renew every worker of this process, and what they run, in one round trip; end what was told to stop."""
        with self.connection.pipeline(transaction=False) as pipeline:
            asked = [(seat, seat.send_heartbeat(pipeline)) for seat in list(self._seats.values())]
            answers = pipeline.execute()
        for seat, asked_at in asked:
            if asked_at is not None and answers[asked_at[1]] is not None:
                seat.stop_job(asked_at[0])

    def _maintain(self) -> None:
        for queue in self.queues:
            recover(queue)

    def _enqueue_due(self) -> None:
        for queue in self.queues:
            enqueue_due(queue)

    def _listen(self) -> None:
        """RQ's commands for all workers of this process, over one connection."""
        while not self._finished.is_set():
            try:
                with self.connection.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.psubscribe(PUBSUB_CHANNEL_TEMPLATE % f"{self.name}.*")
                    while not self._finished.is_set():
                        if (message := pubsub.get_message(timeout=LISTEN_SECONDS)) is not None:
                            self._obey(message)
            except RedisError as error:
                log.warning("valkey_away", during="listen", reason=type(error).__name__)
                self._finished.wait(RECONNECT_SECONDS_MAX)

    def _obey(self, message: dict[str, Any]) -> None:
        try:
            command = json.loads(message["data"])
            match command:
                case {"command": "stop-job", "job_id": str(job_id)}:
                    for seat in list(self._seats.values()):
                        seat.stop_job(job_id)
                case {"command": "shutdown"}:
                    self.stop()
        except ValueError:
            log.warning("command_not_understood")


class Seat(SimpleWorker):
    """One RQ worker, in a thread of a `ConcurrentWorker`."""

    death_penalty_class = Deadline

    def __init__(
        self,
        queue: str,
        name: str,
        connection: Redis,
        intake: Intake,
        budget: Budget,
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
        self._budget = budget
        self._ending_lock = threading.Lock()
        self._job: Job | None = None
        self._ending: Ending | None = None
        self._thread_id = 0

    # What RQ's worker would do for itself, and the process does for all

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Never: the process does it once for all."""
        return False

    def _set_connection(self, connection: Redis) -> Redis:
        """RQ would raise the shared pool's time-out to minutes; our waits at the queue are shorter than it."""
        return connection

    def _install_signal_handlers(self) -> None:
        """Signals are the process's."""

    def bootstrap(self, *args: Any) -> None:
        """Register in Valkey; logging is set up already, and commands come over the process's connection."""
        self._thread_id = threading.get_ident()
        self.register_birth()  # type: ignore[no-untyped-call]
        self.set_state(WorkerStatus.IDLE)

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Short, since heartbeats go on while a job runs."""
        return HEARTBEAT_TTL_SECONDS

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Within a pipeline, as RQ does it; alone, nothing: the process sends it for all."""
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)

    def send_heartbeat(self, pipeline: Pipeline) -> tuple[str, int] | None:
        """Renew this worker's record, its job's and its execution's.

        Returns the job's id, and where among the pipeline's answers it stands whether the job is to be stopped.
        """
        self.heartbeat(HEARTBEAT_TTL_SECONDS, pipeline=pipeline)
        job, execution = self._job, self.execution
        if job is None or execution is None:
            return None
        self._budget.renew(self.name, pipeline)
        execution.heartbeat(job.started_job_registry, HEARTBEAT_TTL_SECONDS, pipeline=pipeline)
        pipeline.hget(job.key, "stop_requested")
        return job.id, len(pipeline) - 1

    # A job's way through this worker

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """The next job, or None when told to stop or, with `timeout=None` (burst), when the queue is empty."""
        queue = self.queues[0]
        while (job_id := self._intake.take(self.name, is_burst=timeout is None)) is not None:
            try:
                return Job.fetch(job_id, connection=self.connection, serializer=self.serializer), queue
            except NoSuchJobError:  # it was deleted, or has expired
                self.connection.lrem(queue.intermediate_queue_key, 1, job_id)
                self._budget.release(self.name)
            except VALKEY_AWAY as error:  # it stands in RQ's intermediate list, and comes back
                log.warning("valkey_away", during="fetch", job_id=job_id, reason=type(error).__name__)
        return None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run `job` here, unless it was cancelled or is someone else's."""
        with self._ending_lock:
            self._job, self._ending = job, None
            reset()
        try:
            if self._claim(job, queue):
                self.perform_job(job, queue)
        except VALKEY_AWAY as error:  # its silence tells, and another worker gets the job
            log.warning("valkey_away", during="execute", job_id=job.id, reason=type(error).__name__)
        finally:
            with self._ending_lock:
                self._job = None
            with suppress(*VALKEY_AWAY):
                self._budget.spend_tokens(_tokens(job))
                self._budget.release(self.name)
                if self.get_state() != WorkerStatus.IDLE:  # a finished job's last write has said it already
                    self.set_state(WorkerStatus.IDLE)

    def _claim(self, job: Job, queue: Queue) -> bool:
        """Take a waiting job in one step, so that no other worker has it and a cancelled one never runs."""
        job.started_at = job.last_heartbeat = now()
        job.worker_name = self.name
        with self.connection.pipeline() as pipeline:
            pipeline.eval(scripts.CLAIM, 1, job.key, utcformat(job.started_at), self.name)
            self.execution = Execution.create(job, HEARTBEAT_TTL_SECONDS, pipeline=pipeline, worker_name=self.name)
            self.set_state(WorkerStatus.BUSY, pipeline=pipeline)
            self.set_current_job_id(job.id, pipeline=pipeline)
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            is_ours = bool(pipeline.execute()[0])
            if not is_ours:
                log.info("job_not_claimed", job_id=job.id)
                self.cleanup_execution(job, pipeline=pipeline)
                self.set_state(WorkerStatus.IDLE, pipeline=pipeline)
                pipeline.execute()
        return is_ours

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """Nothing: `_claim` has done it."""

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        """Note the time; heartbeats have gone on."""
        job.ended_at = now()

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """The job has logged what it raised, with its context."""

    def handle_job_success(self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry) -> None:
        """Write the answer, unless the job has ended meanwhile: what has ended stays as it is."""

        _patiently(lambda: self._finish(job))

    def _finish(self, job: Job) -> None:
        """What RQ writes of a finished job, in one round trip, since no job depends on another here."""
        if not self._is_open(job):
            return
        assert self.execution is not None
        assert job.started_at is not None
        assert job.ended_at is not None
        ttl = job.get_result_ttl(self.default_result_ttl)
        with self.connection.pipeline() as pipeline:
            self.increment_successful_job_count(pipeline=pipeline)
            self.increment_total_working_time(job.ended_at - job.started_at, pipeline)
            job._handle_success(
                ttl,
                pipeline,
                worker_name=self.name,
                execution_id=self.execution.id,
                execution_started_at=self.execution.created_at,
                execution_ended_at=job.ended_at,
            )
            job.cleanup(ttl, pipeline=pipeline, remove_from_queue=False)
            self.cleanup_execution(job, pipeline=pipeline)
            self.set_state(WorkerStatus.IDLE, pipeline=pipeline)
            pipeline.execute()

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry | None = None, exc_string: str = ""
    ) -> None:
        """Fail, retry or stop the job as RQ does, or put it back; unless it has ended meanwhile."""

        def fail() -> None:
            if self._ending is Ending.PUT_BACK:
                self.put_back()
            elif self._is_open(job):
                if self._ending is Ending.STOP:
                    self._stopped_job_id = job.id
                super(Seat, self).handle_job_failure(job, queue, started_job_registry, exc_string)

        _patiently(fail)

    def _is_open(self, job: Job) -> bool:
        """Whether the job still runs, as far as Valkey knows; if not, forget that we ran it."""
        if self.connection.hget(job.key, "status") == b"started":
            return True
        log.info("job_ended_elsewhere", job_id=job.id)
        with self.connection.pipeline() as pipeline:
            self.cleanup_execution(job, pipeline=pipeline)
            pipeline.execute()
        return False

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
            interrupt(self._thread_id)

    def put_back(self) -> None:
        """Give the running job back to the queue, before all others; its retries are not touched."""
        job, execution = self._job, self.execution
        if job is None or execution is None:
            return
        queue = self.queues[0]
        keys = (job.key, queue.started_job_registry.key, queue.key)
        self.connection.eval(scripts.PUT_BACK, len(keys), *keys, execution.composite_key, job.id, 0, "inf")
        log.info("job_put_back", job_id=job.id)


def _tokens(job: Job) -> int:
    """What the job's answer has cost, as the provider counted."""
    result = getattr(job, "_result", None)
    usage = result.get("usage", {}) if isinstance(result, dict) else {}
    return int(usage.get("input_tokens", 0)) + int(usage.get("output_tokens", 0))


def _patiently(act: Callable[[], None]) -> None:
    """Do it, again and again while Valkey is away: an answer that was paid for is worth the wait."""
    wait, give_up = RECONNECT_SECONDS_MIN, monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return act()
        except VALKEY_AWAY as error:
            if monotonic() > give_up:
                raise
            log.warning("valkey_away", during=act.__name__, reason=type(error).__name__, retry_in_seconds=wait)
            sleep(wait)
            wait = min(2 * wait, RECONNECT_SECONDS_MAX)
