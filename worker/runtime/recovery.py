"""Jobs of workers that died are given to others. Any worker process may look for them, at any time."""

from contextlib import suppress

from redis.client import Pipeline
from redis.exceptions import ResponseError
from rq import Queue, worker_registration
from rq.defaults import DEFAULT_FAILURE_TTL
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.registry import CanceledJobRegistry, DeferredJobRegistry, FailedJobRegistry, FinishedJobRegistry
from rq.utils import as_text, current_timestamp, now, parse_composite_key, utcformat
from rq.worker.base import BaseWorker, WorkerStatus
from structlog.contextvars import bound_contextvars

from app.core.logging import get_logger, job_context
from app.core.queue.locks import take_lock
from worker.runtime import scripts
from worker.runtime.ending import Endings, Outcome
from worker.runtime.measures import measures
from worker.runtime.own_job import OwnJob

LEASE_SECONDS = 10
"""RQ's lock lasts a quarter of an hour; a process that dies with it must not stop everybody's maintenance."""
UNSTARTED_SECONDS = 10
"""From the queue into a worker takes milliseconds; what takes so long was popped by a worker that died."""
UNREADABLE_SECONDS = 3600
"""How long a record is kept that RQ can't read."""
LOST = "the worker died (AbandonedJobError)"

log = get_logger(__name__)


def recover(queue: Queue) -> None:
    """RQ's maintenance of `queue`, by one process at a time, with jobs put back in one step each."""
    if not take_lock(queue.connection, queue.registry_cleaning_key, "1", seconds=LEASE_SECONDS):
        return
    _put_back_lost(queue)
    _return_unstarted(queue)
    for registry in (FinishedJobRegistry, FailedJobRegistry, DeferredJobRegistry):
        registry(queue.name, connection=queue.connection, serializer=queue.serializer).cleanup()
    canceled = CanceledJobRegistry(queue.name, connection=queue.connection, serializer=queue.serializer)
    queue.connection.zremrangebyscore(canceled.key, 0, current_timestamp())  # RQ keeps them for ever
    worker_registration.clean_worker_registry(queue)
    queue.release_maintenance_lock()  # type: ignore[no-untyped-call]


def _put_back_lost(queue: Queue) -> None:
    """Running jobs whose heartbeats have stopped: back to the queue while retries are left, else failed."""
    moment = current_timestamp()
    wip = queue.started_job_registry.key
    for entry in queue.connection.zrangebyscore(wip, 0, moment):
        execution = as_text(entry)  # type: ignore[arg-type]  # without scores, entries are bytes
        job_id, _ = parse_composite_key(execution)
        keys = (Job.key_for(job_id), wip, queue.key)
        outcome = queue.connection.eval(scripts.PUT_BACK, len(keys), *keys, execution, job_id, 1, moment)
        with bound_contextvars(**_context(queue, job_id)):
            log.warning("job_lost", outcome=as_text(outcome))
            if outcome == b"put back":
                measures().job_recovered(queue.name)
            if outcome == b"exhausted":
                _fail(queue, job_id, execution)


def _fail(queue: Queue, job_id: str, execution: str) -> None:
    try:
        job = OwnJob.fetch(job_id, connection=queue.connection, serializer=queue.serializer)
    except NoSuchJobError:
        queue.connection.zrem(queue.started_job_registry.key, execution)
        return
    except Exception as error:  # a hostile record makes RQ raise nearly anything
        log.warning("record_not_understood", reason=type(error).__name__)
        fail_unreadable(queue, job_id, execution)
        return

    def record(pipeline: Pipeline) -> None:
        pipeline.zrem(queue.started_job_registry.key, execution)
        job.ended_at = now()
        job.set_status(RqStatus.FAILED, pipeline=pipeline)
        job._handle_failure(LOST, pipeline)

    endings = Endings(queue.connection)
    keep_seconds = job.failure_ttl or DEFAULT_FAILURE_TTL
    outcome = endings.write(job_id, endings.recorded(record), keep_seconds=keep_seconds)
    if outcome is not Outcome.ENDED_ELSEWHERE:
        measures().job_failed(queue.name)
    if outcome is Outcome.WRITTEN_AND_AWAITED:
        queue.enqueue_dependents(job)


def fail_unreadable(queue: Queue, job_id: str, execution: str, worker: str = "") -> None:
    """Fail a job whose record RQ can't read, by the few fields that any record has."""
    registry = queue.failed_job_registry

    def record(pipeline: Pipeline) -> None:
        pipeline.zrem(queue.started_job_registry.key, execution)
        pipeline.hset(Job.key_for(job_id), mapping={"status": RqStatus.FAILED.value, "ended_at": utcformat(now())})
        pipeline.expire(Job.key_for(job_id), UNREADABLE_SECONDS)
        pipeline.zadd(registry.key, {job_id: current_timestamp() + UNREADABLE_SECONDS})
        if worker:
            pipeline.hset(f"{BaseWorker.redis_worker_namespace_prefix}{worker}", "state", WorkerStatus.IDLE.value)

    endings = Endings(queue.connection)
    if (
        endings.write(job_id, endings.recorded(record), keep_seconds=UNREADABLE_SECONDS)
        is not Outcome.ENDED_ELSEWHERE
    ):
        measures().job_failed(queue.name)


def _return_unstarted(queue: Queue) -> None:
    """Jobs between the queue and a worker that died before it had written its name on them."""
    between = queue.intermediate_queue
    for job_id in between.get_job_ids():
        between.set_first_seen(job_id)
        seen = between.get_first_seen(job_id)
        if seen is None or (now() - seen).total_seconds() < UNSTARTED_SECONDS:
            continue
        keys = (between.key, Job.key_for(job_id), queue.key)
        if queue.connection.eval(scripts.RETURN_UNSTARTED, len(keys), *keys, job_id):
            measures().job_recovered(queue.name)
        queue.connection.delete(between.get_first_seen_key(job_id))
        with bound_contextvars(**_context(queue, job_id)):
            log.warning("job_returned")


def _context(queue: Queue, job_id: str) -> dict[str, str]:
    """What lines about the job have, by its record; whatever stands there, the other jobs must go on."""
    names, about = ("tenant", "request_id"), {}
    with suppress(ResponseError):
        about = dict(zip(names, queue.connection.hmget(Job.key_for(job_id), names), strict=True))
    return job_context(job_id, about)
