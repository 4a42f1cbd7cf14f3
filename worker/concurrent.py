"""Many RQ workers in one process: a question is one slow network call, and a thread is enough to wait for it.

Each thread is a real RQ worker in Valkey, so that `rq info` and the dashboards see it. What a stock worker does for
itself is done once for all of them: one thread renews heartbeats, one does maintenance, one listens for commands, one
takes jobs off each queue, and one writes what running jobs tell. See docs/decisions/threads.md.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext, suppress
from importlib import import_module
from time import monotonic
from types import FrameType
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError
from rq import Queue
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.worker import SimpleWorker
from rq.worker.base import DequeueStrategy

from app.core.contract import INGEST_QUEUE, PAGE_QUEUE, QUERY_QUEUE, WEBHOOK_QUEUE
from app.core.errors import ServiceError
from app.core.logging import get_logger
from app.core.overview import overview
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.producer import enqueue_due
from app.core.queue.records import KINDS
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.core.tracing import process
from app.core.version import VERSION
from worker.runtime.budget import Budget, Limits
from worker.runtime.event_writer import EventWriter
from worker.runtime.health import Health
from worker.runtime.intake import Intake
from worker.runtime.own_job import OwnJob
from worker.runtime.own_page import served
from worker.runtime.recovery import recover
from worker.runtime.rq_thread import HEARTBEAT_TTL_SECONDS, Ending, ThreadWorker

HEARTBEAT_SECONDS = 3
MAINTENANCE_SECONDS = 5
DUE_SECONDS = 0.5
"""How often to look for retries that are due."""
LISTEN_SECONDS = 0.25
"""How long one wait for commands lasts: what the end of the process has to wait for at most."""
SIGNAL_SECONDS = 0.5
"""How long the main thread waits at once. One that waits without an end misses a signal that came while it was about
to, behind the interpreter's lock: nothing wakes it then, and the process is killed when its grace is over."""
RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 2.0
PAGES_AT_ONCE = 1
"""Looks at pages: one takes 20 to 200 ms of a core, and has a child of its own."""

log = get_logger(__name__)


def concurrency(queue: str, settings: Settings) -> int:
    """How many jobs of `queue` one process runs at once."""
    own = {
        INGEST_QUEUE: settings.ingest_concurrency,
        WEBHOOK_QUEUE: settings.webhook_concurrency,
        PAGE_QUEUE: PAGES_AT_ONCE,
    }
    return own.get(queue, settings.worker_concurrency)


def _job_modules(queues: Iterable[str]) -> list[str]:
    """Where the functions of the jobs on `queues` are; each has `prepare()`, which opens what they share."""
    return sorted({kind.function.rpartition(".")[0] for kind in KINDS.values() if kind.queue in queues})


class ConcurrentWorker(SimpleWorker):
    """Runs WORKER_CONCURRENCY RQ workers as threads; takes the arguments of `rq.worker.BaseWorker`.

    Usable as `rq worker -w worker.ConcurrentWorker rag_queries`. It is no worker in Valkey itself. With `health` its
    page is served already.
    """

    def __init__(
        self, *args: Any, settings: Settings | None = None, health: Health | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs | {"serializer": PlainSerializer, "job_class": OwnJob})
        self._settings = settings
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._workers: dict[str, ThreadWorker] = {}
        self._has_worked = False
        self._health = health or Health()
        self._is_served = health is not None

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

        Raises `ConfigurationError` when there is no Qdrant to go to, or METRICS_PORT is taken.
        """
        self._settings = settings = self._settings or Settings()
        with nullcontext() if self._is_served else served(settings, self.queue_names(), self._health):
            return self._work(settings, burst=burst)

    def _work(self, settings: Settings, *, burst: bool) -> bool:
        from worker.resources import Process, begin, end  # imports that `rq info` and the like need not wait for

        process.start(process.WORKER)
        self._budget = Budget(self.connection, Limits.of(settings), lease_seconds=HEARTBEAT_TTL_SECONDS)
        begin(Process(settings, on_response=self._budget.heed, may_ask=self._budget.spend_request))
        if self._health.port is not None:
            log.info("metrics_served", host=settings.metrics_host, port=self._health.port)
        for module in _job_modules(self.queue_names()):  # before any thread starts, so that no job waits for imports
            import_module(module).prepare()
        if threading.current_thread() is threading.main_thread():
            self._install_signal_handlers()  # type: ignore[no-untyped-call]
        events = EventWriter(self.connection)
        intakes = {queue.name: self._intake(queue, settings, events, burst=burst) for queue in self.queues}
        threads = [
            threading.Thread(
                target=self._keep_worker,
                args=(intakes, queue, f"{self.name}.{queue}.{number}", burst),
                name=f"{queue} {number}",
            )
            for queue in self.queue_names()
            for number in range(concurrency(queue, settings))
        ]
        for thread in threads:
            thread.start()
        upkeep = {
            HEARTBEAT_SECONDS: self._send_heartbeats,
            MAINTENANCE_SECONDS: self._maintain,
            DUE_SECONDS: self._enqueue_due,
        }
        lasting = [
            threading.Thread(target=self._listen, daemon=True, name="listen"),
            *(
                threading.Thread(target=self._every, args=pair, daemon=True, name=pair[1].__name__.strip("_"))
                for pair in upkeep.items()
            ),
        ]
        background = [*lasting, threading.Thread(target=self._repair_catalog, args=(settings,), daemon=True)]
        for thread in background:
            thread.start()
        others = (*lasting, events.thread, *(intake.thread for intake in intakes.values()))
        self._health.opened(threads, others, self._stopping, may_leave=burst)
        # Nobody waits for it at the end: it may be waiting for a model's server.
        threading.Thread(target=self._check_models, args=(settings,), daemon=True).start()
        threading.Thread(target=self._watch_index, args=(settings,), daemon=True).start()
        at_once = {name: concurrency(name, settings) for name in self.queue_names()}
        log.info("worker_started", version=VERSION, concurrency=at_once, **overview(settings))
        for thread in threads:
            while thread.is_alive():
                thread.join(SIGNAL_SECONDS)
        self._health.closed()
        self._finished.set()
        for thread in background:
            thread.join()
        for intake in intakes.values():
            intake.close()
        events.close()
        end()
        process.stop()
        log.info("worker_stopped")
        return self._has_worked

    def _intake(self, queue: Queue, settings: Settings, events: EventWriter, *, burst: bool) -> Intake:
        """Questions keep to the model's budget; what else is served calls no chat model."""
        budget = self._budget
        if queue.name != QUERY_QUEUE:
            budget = Budget(self.connection, Limits(), lease_seconds=HEARTBEAT_TTL_SECONDS, calls_the_model=False)
        return Intake(
            queue,
            budget,
            events,
            self._stopping,
            lease_seconds=HEARTBEAT_TTL_SECONDS,
            keep_seconds=settings.result_ttl_seconds,
            # Whose servers hang for as long as they may leaves places for others.
            tenant_most=max(1, settings.webhook_concurrency // 2) if queue.name == WEBHOOK_QUEUE else 0,
            burst=burst,
        )

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """First signal: take no new job, let running ones finish within their grace. Second: end at once."""
        if self._stopping.is_set():
            log.warning("worker_ends_at_once", running=sum(worker.is_busy for worker in self._workers.values()))
            for worker in list(self._workers.values()):
                with suppress(RedisError):  # then its silence tells, a little later
                    worker.put_back()
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
            log.warning("grace_is_over", running=sum(worker.is_busy for worker in self._workers.values()))
            for worker in list(self._workers.values()):
                worker.end_job(Ending.PUT_BACK)

    def _keep_worker(self, intakes: dict[str, Intake], queue: str, name: str, burst: bool) -> None:
        """One thread's life: a worker that works until told to stop, and a new one when Valkey was unavailable."""
        wait = RECONNECT_SECONDS_MIN
        while not self._stopping.is_set():
            worker_name = f"{name}.{uuid4().hex[:8]}"
            worker = ThreadWorker(queue, worker_name, self.connection, intakes[queue])
            self._workers[name] = worker
            began = monotonic()
            try:
                self._has_worked |= worker.work(burst=burst)
            except VALKEY_UNAVAILABLE as error:
                log.warning("valkey_unavailable", worker=name, reason=type(error).__name__)
            del self._workers[name]
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
                log.warning("valkey_unavailable", during=act.__name__.strip("_"), reason=type(error).__name__)
            except Exception:  # what stands in Valkey may be hostile, and the next time must come
                log.exception("upkeep_failed", during=act.__name__.strip("_"))

    def _send_heartbeats(self) -> None:
        """Renew every worker of this process, and what they run, in one round trip; end what was told to stop."""
        with self.connection.pipeline(transaction=False) as pipeline:
            asked = [(worker, worker.send_heartbeat(pipeline)) for worker in list(self._workers.values())]
            pipeline.ping()  # also where no worker is registered, as after Valkey's absence
            answers = pipeline.execute()
        self._health.heard()
        for worker, asked_at in asked:
            if asked_at is not None and answers[asked_at[1]] is not None:
                worker.stop_job(asked_at[0])

    def _maintain(self) -> None:
        for queue in self.queues:
            recover(queue)

    def _enqueue_due(self) -> None:
        for queue in self.queues:
            enqueue_due(queue)

    def _repair_catalog(self, settings: Settings) -> None:
        """Bring the documents that the API shows to match the index, once, where documents are indexed."""
        if INGEST_QUEUE not in self.queue_names():
            return
        from worker.index.catalog_repair import repair
        from worker.index.vector_index import open_index

        try:
            with closing(open_index(settings)) as index:
                log.info("catalog_checked", repaired=repair(index, self.connection))
        except (ServiceError, RedisError) as error:
            log.warning("catalog_not_checked", reason=type(error).__name__)

    def _check_models(self, settings: Settings) -> None:
        """Ask for the models that the settings name, and say what is wrong."""
        from worker.model.check_at_start import check_models

        check_models(settings, self.connection, self.queue_names(), self._finished)

    def _watch_index(self, settings: Settings) -> None:
        """Look whether the index has vectors of the embedding model, and show when it has not."""
        from worker.index.index_watch import watch_index

        watch_index(settings, self.connection, self.queue_names(), self._finished)

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
                log.warning("valkey_unavailable", during="listen", reason=type(error).__name__)
                self._finished.wait(RECONNECT_SECONDS_MAX)

    def _obey(self, message: dict[str, Any]) -> None:
        try:
            command = json.loads(message["data"])
            match command:
                case {"command": "stop-job", "job_id": str(job_id)}:
                    for worker in list(self._workers.values()):
                        worker.stop_job(job_id)
                case {"command": "shutdown"}:
                    self.stop()
        except ValueError:
            log.warning("command_not_understood")
