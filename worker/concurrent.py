"""Many RQ workers in one process: a question is one slow network call, and a thread is enough to wait for it.

Each thread is a real RQ worker in Valkey, so that `rq info` and the dashboards see it. What a stock worker does for
itself is done once for all of them: one thread renews heartbeats, one does maintenance, one listens for commands, and
one worker at a time waits at the queue. See docs/decisions/threads.md.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import Any
from uuid import uuid4

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue
from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.utils import now
from rq.worker import SimpleWorker
from rq.worker.base import DequeueStrategy, WorkerStatus

from app.core.logging import get_logger
from app.core.queue import VALKEY_AWAY
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from worker.deadlines import Deadline

HEARTBEAT_SECONDS = 5
HEARTBEAT_TTL_SECONDS = 30
"""A worker not heard of for so long is dead, and its jobs go to another. Six heartbeats may get lost."""
MAINTENANCE_SECONDS = 10
POP_SECONDS = 1
"""How long one wait at the queue lasts: what a stop has to wait for at most."""
RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 5.0

log = get_logger(__name__)


class ConcurrentWorker(SimpleWorker):
    """Runs WORKER_CONCURRENCY RQ workers as threads; takes the arguments of `rq.worker.BaseWorker`.

    Usable as `rq worker -w worker.ConcurrentWorker rag_queries`. It is no worker in Valkey itself.
    """

    def __init__(self, *args: Any, settings: Settings | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"serializer": PlainSerializer})
        self._settings = settings
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._turn = threading.Lock()
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

        settings = self._settings or Settings()
        share(open_resources(settings))
        if threading.current_thread() is threading.main_thread():
            self._install_signal_handlers()  # type: ignore[no-untyped-call]
        threads = [
            threading.Thread(target=self._keep_seated, args=(queue, f"{self.name}.{queue}.{number}", burst))
            for queue in self.queue_names()
            for number in range(settings.worker_concurrency)
        ]
        for thread in threads:
            thread.start()
        for seconds, act in ((HEARTBEAT_SECONDS, self._send_heartbeats), (MAINTENANCE_SECONDS, self._maintain)):
            threading.Thread(target=self._every, args=(seconds, act), daemon=True).start()
        log.info("worker_started", queues=self.queue_names(), concurrency=settings.worker_concurrency)
        for thread in threads:
            thread.join()
        self._finished.set()
        log.info("worker_stopped")
        return self._has_worked

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Take no new job; running ones finish. A second signal ends at once."""
        log.info("worker_stopping", signal=signal.Signals(signum).name)
        self.stop()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def stop(self) -> None:
        """Take no new job; `work` returns when running ones have finished."""
        self._stopping.set()

    def _keep_seated(self, queue: str, name: str, burst: bool) -> None:
        """One thread's life: a worker that works until told to stop, and a new one when Valkey was away."""
        wait = RECONNECT_SECONDS_MIN
        while not self._stopping.is_set():
            seat = Seat(queue, f"{name}.{uuid4().hex[:8]}", self.connection, self._turn, self._stopping)
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
        """Renew every worker of this process, and what they run, in one round trip."""
        with self.connection.pipeline(transaction=False) as pipeline:
            for seat in list(self._seats.values()):
                seat.send_heartbeat(pipeline)
            pipeline.execute()

    def _maintain(self) -> None:
        """RQ's clean-up of dead workers and their jobs; RQ's lock lets one process at a time do it."""
        self.run_maintenance_tasks()  # type: ignore[no-untyped-call]


class Seat(SimpleWorker):
    """One RQ worker, in a thread of a `ConcurrentWorker`. `turn` is held by the one that waits at the queue."""

    death_penalty_class = Deadline

    def __init__(
        self, queue: str, name: str, connection: Redis, turn: threading.Lock, stopping: threading.Event
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
        self._turn = turn
        self._stopping = stopping
        self._job: Job | None = None

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
        """Register in Valkey; logging is set up already."""
        self.register_birth()  # type: ignore[no-untyped-call]
        self.set_state(WorkerStatus.IDLE)

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Short, since heartbeats go on while a job runs."""
        return HEARTBEAT_TTL_SECONDS

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """The next job, or None when told to stop or, with `timeout=None` (burst), when the queue is empty."""
        with self._turn:
            while not self._stopping.is_set():
                with suppress(DequeueTimeout):
                    return Queue.dequeue_any(
                        self.queues,
                        timeout and POP_SECONDS,
                        connection=self.connection,
                        job_class=self.job_class,
                        serializer=self.serializer,
                    )
        return None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run `job` here, and let heartbeats know of it."""
        self._job = job
        try:
            super().execute_job(job, queue)
        finally:
            self._job = None

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Within a pipeline, as RQ does it; alone, nothing: the process sends it for all."""
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)

    def send_heartbeat(self, pipeline: Pipeline) -> None:
        """Renew this worker's record, its job's and its execution's."""
        self.heartbeat(HEARTBEAT_TTL_SECONDS, pipeline=pipeline)
        job, execution = self._job, self.execution
        if job is not None and execution is not None:
            execution.heartbeat(job.started_job_registry, HEARTBEAT_TTL_SECONDS, pipeline=pipeline)
            job.heartbeat(now(), HEARTBEAT_TTL_SECONDS, pipeline=pipeline, xx=True)
