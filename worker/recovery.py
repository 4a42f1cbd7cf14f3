"""Jobs of workers that died are given to others. Any worker process may look for them, at any time."""

from rq import Queue, worker_registration
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.registry import DeferredJobRegistry, FailedJobRegistry, FinishedJobRegistry
from rq.utils import as_text, current_timestamp, now, parse_composite_key

from app.core import scripts
from app.core.logging import get_logger

LEASE_SECONDS = 10
"""RQ's lock lasts a quarter of an hour; a process that dies with it must not stop everybody's maintenance."""
UNSTARTED_SECONDS = 10
"""From the queue into a worker takes milliseconds; what takes so long was popped by a worker that died."""
LOST = "the worker died (AbandonedJobError)"

log = get_logger(__name__)


def recover(queue: Queue) -> None:
    """RQ's maintenance of `queue`, by one process at a time, with jobs put back in one step each."""
    if not queue.acquire_maintenance_lock():
        return
    queue.connection.expire(queue.registry_cleaning_key, LEASE_SECONDS)
    _put_back_lost(queue)
    _return_unstarted(queue)
    for registry in (FinishedJobRegistry, FailedJobRegistry, DeferredJobRegistry):
        registry(queue.name, connection=queue.connection, serializer=queue.serializer).cleanup()
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
        log.warning("job_lost", job_id=job_id, outcome=as_text(outcome))
        if outcome == b"exhausted":
            _fail(queue, job_id, execution)


def _fail(queue: Queue, job_id: str, execution: str) -> None:
    with queue.connection.pipeline() as pipeline:
        pipeline.zrem(queue.started_job_registry.key, execution)
        try:
            job = Job.fetch(job_id, connection=queue.connection, serializer=queue.serializer)
        except NoSuchJobError:
            pipeline.execute()
            return
        job.ended_at = now()
        job.set_status(RqStatus.FAILED, pipeline=pipeline)
        job._handle_failure(LOST, pipeline)
        pipeline.execute()


def _return_unstarted(queue: Queue) -> None:
    """Jobs between the queue and a worker that died before it had written its name on them."""
    between = queue.intermediate_queue
    for job_id in between.get_job_ids():
        between.set_first_seen(job_id)
        seen = between.get_first_seen(job_id)
        if seen is None or (now() - seen).total_seconds() < UNSTARTED_SECONDS:
            continue
        keys = (between.key, Job.key_for(job_id), queue.key)
        queue.connection.eval(scripts.RETURN_UNSTARTED, len(keys), *keys, job_id)
        queue.connection.delete(between.get_first_seen_key(job_id))
        log.warning("job_returned", job_id=job_id)
