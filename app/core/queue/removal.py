"""The removal of what a tenant has in Valkey, for the job that erases it: all its jobs, and keys by their names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from redis import Redis
from rq.job import Job
from rq.job import JobStatus as RqStatus

from app.core.contract import EraseJob
from app.core.queue.producer import OWN_KEYS, cancel_call, delete_call
from app.core.queue.records import KINDS
from app.core.queue.scripts import BEYOND_MAXMEMORY, CANCEL, DELETE
from app.core.settings import Settings

SCAN_BATCH = 1_000
"""Keys that one step looks at, some milliseconds of Valkey's."""
REMOVE_BATCH = 50
"""Jobs that are removed in one round trip: each is looked for among those that wait."""
POLL_SECONDS = 0.25

OWN_JOBS = """
local own = {}
for i = 3, #ARGV do
  local record = redis.pcall('HMGET', ARGV[i], 'tenant', 'description', 'origin')
  if record[1] == ARGV[1] and record[2] ~= ARGV[2] then own[#own + 1] = {ARGV[i], record[3] or ''} end
end
return own
"""
"""ARGV: tenant, a kind that is left out, keys of records. Key and queue of the tenant's jobs of all other kinds."""

DELETE_LEFT = (
    BEYOND_MAXMEMORY
    + """
local deleted = 0
for i = 3, #ARGV do
  if redis.call('EXISTS', ARGV[2] .. string.sub(ARGV[i], #ARGV[1] + 1)) == 0 then
    deleted = deleted + redis.call('DEL', ARGV[i])
  end
end
return deleted
"""
)
"""ARGV: what the keys begin with before a job's id, prefix of job keys, keys. Deletes those whose job is gone."""


class JobsStillRunError(Exception):
    """A job of the tenant's has not stopped in time."""


@dataclass(frozen=True, slots=True)
class _Own:
    """A job of the tenant's, and the queue that its record names."""

    job_id: str
    queue: str


def remove_jobs(connection: "Redis", settings: Settings, tenant: str, *, patience_seconds: float) -> int:
    """Stop and remove every job of `tenant` but those that erase tenants, with all that it has; how many.

    Each is stopped first, so that whoever follows it hears of its end. Those that run are waited for, all together
    for `patience_seconds`; then `JobsStillRunError` is raised, and calling it again goes on. It looks until it finds
    none: the end of a job may just have brought about the delivery of its news.

    What is left of jobs whose records have expired goes, too, whoever's they were: it does not say.
    """
    give_up, removed = monotonic() + patience_seconds, 0
    while own := _own_jobs(connection, tenant):
        running = []
        for start in range(0, len(own), REMOVE_BATCH):
            batch = own[start : start + REMOVE_BATCH]
            running += (left := _removed(connection, settings, tenant, batch))
            removed += len(batch) - len(left)
        while running := _still_running(connection, running):
            if monotonic() > give_up:
                raise JobsStillRunError
            sleep(POLL_SECONDS)
    for key in OWN_KEYS:
        for keys in _scan(connection, f"{key('')}*"):
            connection.eval(DELETE_LEFT, 0, key(""), Job.redis_job_namespace_prefix, *keys)
    return removed


def delete_keys(connection: "Redis", *patterns: str) -> int:
    """Delete every key that fits one of `patterns`, as Valkey's SCAN has them; how many."""
    return sum(int(connection.delete(*keys)) for pattern in patterns for keys in _scan(connection, pattern))


def _own_jobs(connection: "Redis", tenant: str) -> list[_Own]:
    prefix, found = Job.redis_job_namespace_prefix, {}
    for keys in _scan(connection, f"{prefix}*"):
        answer: Any = connection.eval(OWN_JOBS, 0, tenant, KINDS[EraseJob].name, *keys)
        for key, queue in answer:
            job_id = key.decode(errors="replace").removeprefix(prefix)
            found[job_id] = _Own(job_id, queue.decode(errors="replace"))
    return list(found.values())


def _removed(connection: "Redis", settings: Settings, tenant: str, own: Sequence[_Own]) -> list[_Own]:
    """Stop and remove these jobs; those that are left, as they run."""
    with connection.pipeline(transaction=False) as pipeline:
        for job in own:
            for script, (keys, args) in (
                (CANCEL, cancel_call(job.job_id, job.queue, settings)),
                (
                    DELETE,
                    delete_call(job.job_id, job.queue, tenant, has_chat_log=False),
                ),  # the tenant is, as a whole
            ):
                pipeline.eval(script, len(keys), *keys, *args)
        answers = pipeline.execute()
    return [job for job, is_gone in zip(own, answers[1::2], strict=True) if not is_gone]


def _still_running(connection: "Redis", jobs: Sequence[_Own]) -> list[_Own]:
    with connection.pipeline(transaction=False) as pipeline:
        for job in jobs:
            pipeline.hget(Job.key_for(job.job_id), "status")
        statuses = pipeline.execute()
    started = RqStatus.STARTED.value.encode()
    return [job for job, status in zip(jobs, statuses, strict=True) if status == started]


def _scan(connection: "Redis", pattern: str) -> Iterator[list[bytes]]:
    """Every key that fits and was there all the time, in batches; some may come twice."""
    cursor: Any = "0"
    while cursor != 0:
        answer: Any = connection.scan(cursor, match=pattern, count=SCAN_BATCH)
        cursor, keys = answer
        if keys:
            yield keys
