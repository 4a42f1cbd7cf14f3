"""The producer's side of the queue: the only file outside the worker that knows RQ.

RQ's job in Valkey is the one record of a job's state; this file reads it and never keeps a copy.
"""

import pickle
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from pydantic import ValidationError
from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from rq import Queue, worker_registration
from rq import Retry as RqRetry
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.utils import now, utcformat

from app.core import scripts
from app.core.contract import ANSWER_JOB, QUERY_QUEUE, AnswerJob, AnswerResult, JobStatus, Stage
from app.core.errors import ErrorCode, JobError
from app.core.serializer import PlainSerializer
from app.core.settings import Settings

CONNECT_TIMEOUT_SECONDS = 2.0
COMMAND_TIMEOUT_SECONDS = 5.0
"""Longest wait for Valkey's answer to a command that does not block."""
HEALTH_CHECK_INTERVAL_SECONDS = 30

DUE_BATCH = 1000
"""Retries put on the queue in one step."""

VALKEY_AWAY = (RedisConnectionError, RedisTimeoutError)
"""What redis-py raises when Valkey can't be reached or is still loading its file."""

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""The characters that RQ allows in a job's id."""

_STATUS = {
    RqStatus.CREATED: JobStatus.QUEUED,
    RqStatus.QUEUED: JobStatus.QUEUED,
    RqStatus.DEFERRED: JobStatus.QUEUED,
    RqStatus.SCHEDULED: JobStatus.QUEUED,
    RqStatus.STARTED: JobStatus.STARTED,
    RqStatus.FINISHED: JobStatus.FINISHED,
    RqStatus.FAILED: JobStatus.FAILED,
    RqStatus.STOPPED: JobStatus.STOPPED,
    RqStatus.CANCELED: JobStatus.STOPPED,
}

_LOST = ("AbandonedJobError", "Work-horse terminated", "stuck in intermediate queue")
"""What RQ writes into a job's record when its worker died."""


class QueueFullError(Exception):
    """The queue is at MAX_QUEUE_DEPTH. `depth` is how many questions wait."""

    def __init__(self, depth: int) -> None:
        super().__init__(f"{depth} questions are waiting")
        self.depth = depth


class JobNotFoundError(Exception):
    """No job has this id, or it has expired."""


@dataclass(frozen=True, slots=True)
class JobView:
    """What a client may know of a job. Times are in UTC; `position` counts from 1 and is None once started."""

    job_id: str
    status: JobStatus
    position: int | None
    attempt: int
    stage: Stage | None
    enqueued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    result: AnswerResult | None
    error: JobError | None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A question that the queue has taken. `position` counts from 1."""

    job_id: str
    position: int
    expires_at: datetime


def connect(redis_url: str, **options: Any) -> "Redis":
    """A pooled, lazy client of Valkey with every time-out stated; `options` go to `redis.Redis.from_url`."""
    stated: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_timeout": COMMAND_TIMEOUT_SECONDS,
        "health_check_interval": HEALTH_CHECK_INTERVAL_SECONDS,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries=2),
    }
    return Redis.from_url(redis_url, **stated | options)


class JobQueue:
    """Puts questions on the queue and reads what became of them."""

    def __init__(self, connection: "Redis", settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._queue = Queue(QUERY_QUEUE, connection=connection, serializer=PlainSerializer)

    def workers_alive(self) -> int:
        """How many RQ workers serve the queue and have been heard of lately. Raises one of `VALKEY_AWAY`."""
        with self._connection.pipeline(transaction=False) as pipeline:
            for key in worker_registration.get_keys(self._queue):
                pipeline.exists(key)
            return sum(pipeline.execute())

    def depth(self) -> int:
        """How many questions wait."""
        return int(self._connection.llen(self._queue.key))

    def submit(self, job: AnswerJob) -> Enqueued:
        """Put a question on the queue; once this returns, it is not lost.

        Raises `QueueFullError`, or one of `VALKEY_AWAY`.
        """
        depth = self.depth()
        if depth >= self._settings.max_queue_depth:
            raise QueueFullError(depth)
        retries = self._settings.max_attempts - 1
        record = self._queue.enqueue_call(
            ANSWER_JOB,
            args=(job.model_dump(mode="json"),),
            job_id=uuid4().hex,
            description="question",
            timeout=self._settings.job_timeout_seconds,
            result_ttl=self._settings.result_ttl_seconds,
            failure_ttl=self._settings.failure_ttl_seconds,
            # Also RQ's own clean-up, which stock workers run, gives a lost job back while retries are left.
            retry=RqRetry(max=retries, enqueue_at_front=True) if retries else None,
            meta={"tenant": job.tenant, "retries": retries},
        )
        assert record.enqueued_at is not None
        return Enqueued(
            job_id=record.id,
            position=depth + 1,
            expires_at=record.enqueued_at + timedelta(seconds=self._settings.result_ttl_seconds),
        )

    def view(self, job_id: str, *, tenant: str) -> JobView:
        """The job's state now.

        Raises `JobNotFoundError` when there is none or it is another tenant's, or one of `VALKEY_AWAY`.
        """
        record = self._fetch_of(tenant, job_id)
        status = _STATUS[record.get_status(refresh=False)]
        return JobView(
            job_id=record.id,
            status=status,
            position=self._position(record) if status is JobStatus.QUEUED else None,
            attempt=_attempt(record, status),
            stage=_stage(record) if status is JobStatus.STARTED else None,
            enqueued_at=record.enqueued_at,
            started_at=record.started_at,
            ended_at=record.ended_at if status.is_terminal else None,
            **self._outcome(record, status),
        )

    def cancel(self, job_id: str, *, tenant: str) -> JobView:
        """Stop a job: one that waits never runs, one that runs leaves its model call. One that has ended stays so.

        Returns the job's state now: a running one is stopped a moment later. Raises as `view` does.
        """
        record = self._fetch_of(tenant, job_id)
        keys = [record.key, self._queue.key, self._queue.scheduled_job_registry.key]
        ended_at = utcformat(now())
        was = self._connection.eval(
            scripts.CANCEL, len(keys), *keys, record.id, ended_at, self._settings.result_ttl_seconds
        )
        if was == b"started":
            with suppress(InvalidJobOperation, NoSuchJobError):  # its worker has not said its name, or it has ended
                send_stop_job_command(self._connection, record.id, serializer=PlainSerializer)
        return self.view(job_id, tenant=tenant)

    def enqueue_due(self) -> int:
        """Put jobs whose retry is due on the queue; how many."""
        return enqueue_due(self._queue)

    def _fetch_of(self, tenant: str, job_id: str) -> Job:
        record = self._fetch(job_id)
        if record.origin != QUERY_QUEUE or _plain(record.meta).get("tenant") != tenant:
            raise JobNotFoundError(job_id)
        return record

    def _fetch(self, job_id: str) -> Job:
        if not JOB_ID.fullmatch(job_id):
            raise JobNotFoundError(job_id)
        try:
            return Job.fetch(job_id, connection=self._connection, serializer=PlainSerializer)
        except (NoSuchJobError, ValueError, UnicodeDecodeError) as error:
            raise JobNotFoundError(job_id) from error

    def _position(self, record: Job) -> int | None:
        place = self._connection.lpos(self._queue.key, record.id)
        return int(place) + 1 if isinstance(place, int) else None

    def _outcome(self, record: Job, status: JobStatus) -> dict[str, Any]:
        if status is JobStatus.FINISHED:
            try:
                latest = record.latest_result()
                return {"result": AnswerResult.model_validate(latest and latest.return_value), "error": None}
            except (ValidationError, pickle.UnpicklingError):
                return {"result": None, "error": JobError.of(ErrorCode.PAYLOAD_INVALID)}
        if status is JobStatus.FAILED:
            return {"result": None, "error": JobError.of(_failure(record))}
        return {"result": None, "error": None}


def enqueue_due(queue: Queue) -> int:
    """Put the jobs of `queue` whose retry is due on it; how many. Any process may, at any time."""
    keys = (queue.scheduled_job_registry.key, queue.key)
    moment = now()
    arguments = (moment.timestamp(), utcformat(moment), DUE_BATCH, Job.redis_job_namespace_prefix)
    return int(queue.connection.eval(scripts.ENQUEUE_DUE, len(keys), *keys, *arguments))


def _plain(meta: Any) -> Mapping[str, Any]:
    return meta if isinstance(meta, dict) else {}


def _attempt(record: Job, status: JobStatus) -> int:
    """How many times the job has been started, this time included: the retries that are gone tell."""
    retries = _plain(record.meta).get("retries", 0)
    used = retries - (record.retries_left or 0) if isinstance(retries, int) else 0
    return max(0, used) + (status is not JobStatus.QUEUED)


def _stage(record: Job) -> Stage:
    """What the worker noted; it begins with retrieval and notes nothing of that."""
    stage = _plain(record.meta).get("stage")
    return Stage(stage) if stage in set(Stage) else Stage.RETRIEVAL


def _failure(record: Job) -> ErrorCode:
    """The code that the worker recorded; for a job whose worker could not, what RQ's record tells."""
    code = _plain(record.meta).get("error")
    if code in set(ErrorCode):
        return ErrorCode(code)
    latest = record.latest_result()
    trace = (latest and latest.exc_string) or ""
    if any(mark in trace for mark in _LOST):
        return ErrorCode.WORKER_LOST
    if "JobTimeoutException" in trace:
        return ErrorCode.JOB_TIMEOUT
    return ErrorCode.INTERNAL
