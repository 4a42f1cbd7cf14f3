"""What our worker leaves in Valkey is what RQ's own would leave, but for what a finished job has no use for."""

from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue, Retry, SimpleWorker
from rq.job import Job
from rq.suspension import resume, suspend

from app.core.contract import DEFAULT_TENANT, QUERY_QUEUE
from app.core.documents.catalog import Catalog
from app.core.queue.connections import connect
from app.core.queue.records import RUNNING_FIELDS
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.integration.worker.test_worker import working
from tests.support import jobs
from tests.support.processes import wait_until
from worker.concurrent import ConcurrentWorker
from worker.runtime.ending import Endings, Outcome

OURS = {"retries_given"}
"""What we add to RQ's record."""
NOT_KEPT = {"worker_name", "execution_id", "execution_started_at", "execution_ended_at"}
"""What RQ keeps with a result, and we do not: the record has the worker's name, the log the rest."""


@pytest.fixture
def settings(valkey_url: str, qdrant_url: str) -> Settings:
    return Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        worker_concurrency=1,
    )


@pytest.fixture(autouse=True)
def jobs_for_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs.allow(monkeypatch)


@pytest.fixture
def queue(valkey: Redis) -> Queue:
    return Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)


def by_ours(settings: Settings) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=settings).work(burst=True)


def by_stock(settings: Settings) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        SimpleWorker([QUERY_QUEUE], connection=connection, serializer=PlainSerializer).work(burst=True)


def left_behind(queue: Queue, job: Job) -> dict[str, Any]:
    """What stands in Valkey once the job is done with, as far as it does not differ from run to run."""
    valkey: Any = queue.connection
    name = queue.name
    record = {field.decode(): value for field, value in valkey.hgetall(job.key).items() if field.decode() not in OURS}
    results = [sorted(map(bytes.decode, fields)) for _, fields in valkey.xrevrange(f"rq:results:{job.id}")]
    if record["status"] == b"finished":
        for field in RUNNING_FIELDS:
            record.pop(field, None)
        results = [[field for field in fields if field not in NOT_KEPT] for fields in results]
    return {
        "fields": sorted(record),
        "kept": {
            field: record.get(field) for field in ("status", "retries_left", "timeout", "origin", "description")
        },
        "meta": PlainSerializer.loads(record["meta"]) if "meta" in record else {},
        "job expires": rounded(valkey.ttl(job.key)),
        "results expire": rounded(valkey.ttl(f"rq:results:{job.id}")),
        "results": results,
        "registries": [
            registry
            for registry in ("wip", "finished", "failed", "scheduled", "deferred", "canceled")
            if valkey.zcard(f"rq:{registry}:{name}")
        ],
        "executions": valkey.exists(f"rq:executions:{job.id}"),
        "queue": [valkey.llen(queue.key), valkey.llen(queue.intermediate_queue_key)],
    }


def rounded(seconds: int) -> int:
    return round(seconds, -1)


def finishes(queue: Queue) -> Job:
    return queue.enqueue_call("tests.support.jobs.spin", args=({"seconds": 0},), result_ttl=600, meta={"tenant": "t"})


def fails(queue: Queue) -> Job:
    return queue.enqueue_call("tests.support.jobs.fail", args=({},), failure_ttl=600)


def fails_for_the_last_time(queue: Queue) -> Job:
    return queue.enqueue_call("tests.support.jobs.fail", args=({},), failure_ttl=600, retry=Retry(max=2))


def is_tried_later(queue: Queue) -> Job:
    return queue.enqueue_call(
        "tests.support.jobs.fail", args=({"retry_in_seconds": 300},), failure_ttl=600, retry=Retry(max=2)
    )


def names_no_function(queue: Queue) -> Job:
    return queue.enqueue_call("tests.support.jobs.nothing", args=({},), failure_ttl=600)


@pytest.mark.parametrize("enqueue", [finishes, fails, fails_for_the_last_time, is_tried_later, names_no_function])
def test_a_job_that_ends_leaves_what_it_leaves_under_a_stock_worker(
    queue: Queue, settings: Settings, enqueue: Callable[[Queue], Job]
) -> None:
    left = []
    for work in (by_stock, by_ours):
        queue.connection.flushall()
        job = enqueue(queue)
        work(settings)
        left.append(left_behind(queue, job))
    assert left[1] == left[0]


def test_a_job_that_runs_is_recorded_as_under_a_stock_worker(queue: Queue, settings: Settings) -> None:
    seen: list[dict[str, Any]] = []
    for work in (by_stock, by_ours):
        queue.connection.flushall()
        job = queue.enqueue_call("tests.support.jobs.running", args=({},), result_ttl=600)
        work(settings)
        result = job.latest_result()
        assert result is not None
        assert result.return_value is not None
        seen.append(result.return_value)
    stock, ours = seen
    assert ours | {"fields": [field for field in ours["fields"] if field not in OURS]} == stock


@pytest.mark.parametrize("enqueue", [finishes, is_tried_later])
def test_an_end_that_valkey_did_not_take_at_once_is_written_once(
    queue: Queue, settings: Settings, enqueue: Callable[[Queue], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = enqueue(queue)
    by_stock(settings)
    undisturbed = left_behind(queue, job)
    queue.connection.flushall()
    write = Endings.write
    tried: list[object] = []

    def flaky(endings: Endings, *args: Any, **kwargs: Any) -> Outcome:
        tried.append(args)
        if len(tried) % 2:
            raise RedisConnectionError
        return write(endings, *args, **kwargs)

    monkeypatch.setattr(Endings, "write", flaky)
    job = enqueue(queue)
    by_ours(settings)
    assert left_behind(queue, job) == undisturbed
    assert len(tried) == 2


def test_jobs_that_depend_on_one_are_taken_when_it_ends_and_refused(queue: Queue, settings: Settings) -> None:
    first = finishes(queue)
    second = queue.enqueue_call("tests.support.jobs.spin", args=({"seconds": 0},), depends_on=first)
    failing = fails(queue)
    third = queue.enqueue_call("tests.support.jobs.spin", args=({"seconds": 0},), depends_on=failing)
    by_ours(settings)
    assert second.get_status() == "failed"
    assert third.get_status() == "deferred"


def test_suspended_workers_take_nothing_until_they_are_resumed(queue: Queue, settings: Settings) -> None:
    suspend(queue.connection)
    job = finishes(queue)
    with working(settings):
        wait_until(lambda: queue.connection.smembers("rq:workers:rag_queries"), "the worker is there")
        assert job.get_status() == "queued"
        assert queue.connection.hget(job.key, "started_at") in (None, b"")
        resume(queue.connection)
        wait_until(lambda: job.get_status() == "finished", "the job is done")


@pytest.mark.parametrize(
    "field", [{"created_at": "yesterday"}, {"timeout": "soon"}, {"retries_left": "many"}, {"origin": b"\xff"}]
)
def test_a_record_that_rq_can_not_read_fails_and_the_next_job_is_done(
    queue: Queue, settings: Settings, field: dict[str, str | bytes]
) -> None:
    broken = finishes(queue)
    for name, value in field.items():
        queue.connection.hset(broken.key, name, value)
    whole = finishes(queue)
    by_ours(settings)
    assert queue.connection.hget(broken.key, "status") == b"failed"
    assert whole.get_status() == "finished"
    assert queue.connection.zcard(queue.started_job_registry.key) == 0


def test_a_queue_is_served_by_threads_of_its_own(valkey: Redis, settings: Settings) -> None:
    both = settings.model_copy(update={"ingest_concurrency": 1})
    busy = Queue("rag_ingest", connection=valkey, serializer=PlainSerializer)
    slow = busy.enqueue_call("tests.support.jobs.spin", args=({"seconds": 2},), timeout=30)
    assert both.redis_url
    with closing(connect(both.redis_url.get_secret_value())) as connection:
        worker = ConcurrentWorker([QUERY_QUEUE, "rag_ingest"], connection=connection, settings=both)
        quick = finishes(Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer))
        worker.work(burst=True)
    assert slow.get_status() == quick.get_status() == "finished"
    ends = {job.id: str(Job.fetch(job.id, valkey, PlainSerializer).ended_at) for job in (quick, slow)}
    assert ends[quick.id] < ends[slow.id]


def test_a_worker_that_indexes_shows_what_the_index_holds(valkey: Redis, settings: Settings, handbook: str) -> None:
    filled = settings.model_copy(update={"qdrant_collection": handbook})
    with working(filled, "rag_ingest"):
        [record] = wait_until(lambda: list(Catalog(valkey).all(DEFAULT_TENANT)), "the handbook is shown")
    assert record.filename == "handbook.pdf"
