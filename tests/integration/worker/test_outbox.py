"""Every job that has ended stands in the outbox, whoever ended it, and each of the outbox's readers sees it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.utils import current_timestamp

from app.core.contract import DEFAULT_TENANT, QUERY_QUEUE, AnswerJob
from app.core.queue import outbox
from app.core.queue.connections import connect, connect_async
from app.core.queue.outbox import OPEN, OUTBOX, cursor_key, lock_key
from app.core.queue.producer import JobQueue
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.jobs.outbox import Reader, Sweep
from tests.support import ROOT
from tests.support.model_server import ModelServer
from tests.support.processes import PATIENCE_SECONDS, wait_until
from worker.concurrent import ConcurrentWorker
from worker.resources import end
from worker.runtime.recovery import recover


@pytest.fixture
def settings(valkey: Redis, valkey_url: str, qdrant_url: str, handbook: str) -> Iterator[Settings]:
    yield Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        worker_concurrency=2,
        max_attempts=1,
    )
    end()


def api(settings: Settings, act: Callable[[AsyncRedis, JobQueue], Awaitable[Any]]) -> Any:
    """What `act` returns, given what the API has."""

    async def run() -> Any:
        assert settings.redis_url
        url = settings.redis_url.get_secret_value()
        async with connect_async(url) as valkey, aclosing(JobQueue(valkey, settings)) as queue:
            return await act(valkey, queue)

    return asyncio.run(run())


def submitted(settings: Settings) -> str:
    job = api(settings, lambda _, queue: queue.submit(AnswerJob(query="When does the harbour open?")))
    return str(job.job_id)


def swept(settings: Settings) -> None:
    api(settings, lambda valkey, _: Sweep(valkey, keep_seconds=settings.result_ttl_seconds).step())


def entries(valkey: Redis) -> list[str]:
    found: Any = valkey.xrange(OUTBOX)
    return [fields[b"job"].decode() for _, fields in found]


def queue_of(valkey: Redis) -> Queue:
    return Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)


def our_worker(settings: Settings) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=settings).work(burst=True)


def stock_worker(valkey: Redis) -> None:
    SimpleWorker([QUERY_QUEUE], connection=valkey, serializer=PlainSerializer).work(burst=True)


def spoilt(valkey: Redis, job_id: str, data: bytes = b"no pickle") -> None:
    valkey.hset(Job.key_for(job_id), "data", data)


# Each of these ends the job.


def worker_finishes(valkey: Redis, settings: Settings, job_id: str) -> None:
    our_worker(settings)


def worker_fails(valkey: Redis, settings: Settings, job_id: str) -> None:
    our_worker(settings.model_copy(update={"qdrant_url": "http://127.0.0.1:9"}))


def worker_cannot_read_it(valkey: Redis, settings: Settings, job_id: str) -> None:
    valkey.hset(Job.key_for(job_id), mapping={"created_at": "no time", "data": b"no pickle"})
    our_worker(settings)


def recovery_fails_it(valkey: Redis, settings: Settings, job_id: str) -> None:
    valkey.lrem(f"rq:queue:{QUERY_QUEUE}", 0, job_id)
    valkey.hset(Job.key_for(job_id), "status", "started")
    valkey.zadd(queue_of(valkey).started_job_registry.key, {f"{job_id}:gone": 1})
    recover(queue_of(valkey))


def cancelled_while_it_waits(valkey: Redis, settings: Settings, job_id: str) -> None:
    api(settings, lambda _, queue: queue.cancel(job_id, tenant=DEFAULT_TENANT))


def stock_worker_finishes(valkey: Redis, settings: Settings, job_id: str) -> None:
    stock_worker(valkey)


def stock_worker_fails(valkey: Redis, settings: Settings, job_id: str) -> None:
    spoilt(valkey, job_id, PlainSerializer.dumps(("worker.jobs.answer_question", None, ({},), {})))
    stock_worker(valkey)


def stock_worker_cannot_read_it(valkey: Redis, settings: Settings, job_id: str) -> None:
    spoilt(valkey, job_id)
    stock_worker(valkey)


def cancelled_by_rqs_own_tools(valkey: Redis, settings: Settings, job_id: str) -> None:
    Job.fetch(job_id, connection=valkey, serializer=PlainSerializer).cancel()


def rqs_own_clean_up_fails_it(valkey: Redis, settings: Settings, job_id: str) -> None:
    valkey.lrem(f"rq:queue:{QUERY_QUEUE}", 0, job_id)
    valkey.hset(Job.key_for(job_id), "status", "started")
    registry = StartedJobRegistry(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    valkey.zadd(registry.key, {f"{job_id}:gone": 1})
    registry.cleanup()


ENDERS = [
    worker_finishes,
    worker_fails,
    worker_cannot_read_it,
    recovery_fails_it,
    cancelled_while_it_waits,
    stock_worker_finishes,
    stock_worker_fails,
    stock_worker_cannot_read_it,
    cancelled_by_rqs_own_tools,
    rqs_own_clean_up_fails_it,
]


@pytest.mark.parametrize("ends", ENDERS, ids=lambda ends: ends.__name__)
def test_whoever_ends_a_job_it_stands_in_the_outbox_once(
    valkey: Redis, settings: Settings, ends: Callable[[Redis, Settings, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", settings.qdrant_url or "")
    monkeypatch.setenv("QDRANT_COLLECTION", settings.qdrant_collection)
    job_id = submitted(settings)
    swept(settings)
    assert entries(valkey) == []
    ends(valkey, settings, job_id)
    swept(settings)
    swept(settings)
    assert entries(valkey) == [job_id]
    assert valkey.scard(OPEN) == 0


def stopped_by_our_worker(valkey: Redis, settings: Settings, job_id: str, model: ModelServer) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        worker = ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=settings)
        thread = Thread(target=worker.work)
        thread.start()
        model.wait_until(lambda stats: stats["in_flight"] == 1)
        cancelled_while_it_waits(valkey, settings, job_id)
        wait_until(lambda: Job.fetch(job_id, connection=valkey).get_status() == "canceled", "it is stopped")
        worker.stop()
        thread.join(PATIENCE_SECONDS)
    records = [key for key in valkey.keys("rq:worker:*") if valkey.type(key) == b"hash"]
    assert [valkey.hget(key, "failed_job_count") for key in records if valkey.hexists(key, "failed_job_count")] == []


def stopped_by_a_stock_worker(valkey: Redis, settings: Settings, job_id: str, model: ModelServer) -> None:
    assert settings.redis_url
    url = settings.redis_url.get_secret_value()
    command = [str(Path(sys.executable).with_name("rq")), "worker", "--burst", QUERY_QUEUE]
    about = {
        "RQ_JOB_CLASS": "worker.OwnJob",
        "REDIS_URL": url,
        "QDRANT_URL": settings.qdrant_url or "",
        "QDRANT_COLLECTION": settings.qdrant_collection,
        "OPENAI_BASE_URL": settings.openai_base_url or "",
        "OPENAI_API_KEY": "none",
        "CHAT_MODEL": settings.chat_model or "",
    }
    with subprocess.Popen(command, env=os.environ | about, cwd=ROOT) as process:
        model.wait_until(lambda stats: stats["in_flight"] == 1)
        cancelled_while_it_waits(valkey, settings, job_id)
        process.wait(PATIENCE_SECONDS)
    assert Job.fetch(job_id, connection=valkey).get_status() == "stopped"


@pytest.mark.parametrize("stops", [stopped_by_our_worker, stopped_by_a_stock_worker])
def test_a_running_job_that_is_stopped_is_counted_as_canceled(
    valkey: Redis, settings: Settings, model: ModelServer, stops: Callable[[Redis, Settings, str, ModelServer], None]
) -> None:
    slow = settings.model_copy(update={"openai_base_url": model.url, "chat_model": "test-ttft=30s"})
    model.reset()
    job_id = submitted(slow)
    stops(valkey, slow, job_id, model)
    swept(slow)
    assert entries(valkey) == [job_id]
    assert_canceled(valkey, slow, job_id)


@pytest.mark.parametrize("cancels", [cancelled_while_it_waits, cancelled_by_rqs_own_tools])
def test_a_waiting_job_that_is_cancelled_is_counted_as_canceled(
    valkey: Redis, settings: Settings, cancels: Callable[[Redis, Settings, str], None]
) -> None:
    job_id = submitted(settings)
    cancels(valkey, settings, job_id)
    swept(settings)
    assert_canceled(valkey, settings, job_id)


def assert_canceled(valkey: Redis, settings: Settings, job_id: str) -> None:
    """It stands there alone, for as long as its record is kept."""
    counts = api(settings, lambda _, queue: queue.count(QUERY_QUEUE))
    assert counts == {"queued": 0, "started": 0, "scheduled": 0, "finished": 0, "failed": 0, "canceled": 1}
    assert Job.fetch(job_id, connection=valkey, serializer=PlainSerializer).is_canceled
    registry = queue_of(valkey).canceled_job_registry
    assert registry.get_job_ids() == [job_id]
    kept: Any = valkey.ttl(Job.key_for(job_id))
    assert 0 < kept <= settings.result_ttl_seconds
    assert abs(float(cast(Any, valkey.zscore(registry.key, job_id))) - (current_timestamp() + kept)) <= 2
    recover(queue_of(valkey))
    assert registry.get_job_ids() == [job_id]
    valkey.zadd(registry.key, {job_id: current_timestamp() - 1})
    recover(queue_of(valkey))
    assert registry.get_job_ids() == []


def test_a_hostile_record_stops_no_sweep(valkey: Redis, settings: Settings) -> None:
    hostile, plain = submitted(settings), submitted(settings)
    valkey.set("rq:canceled:x", "no set")
    valkey.set("rq:failed:x", "no set")
    for job_id, queue in ((hostile, "x"), (plain, QUERY_QUEUE)):
        valkey.hset(Job.key_for(job_id), mapping={"status": "stopped", "origin": queue})
    swept(settings)
    assert sorted(entries(valkey)) == sorted([hostile, plain])


def test_a_running_job_that_is_cancelled_stands_there_when_it_has_stopped(valkey: Redis, settings: Settings) -> None:
    job_id = submitted(settings)
    valkey.lrem(f"rq:queue:{QUERY_QUEUE}", 0, job_id)
    valkey.hset(Job.key_for(job_id), "status", "started")
    api(settings, lambda _, queue: queue.cancel(job_id, tenant=DEFAULT_TENANT))
    swept(settings)
    assert entries(valkey) == []
    valkey.hset(Job.key_for(job_id), "status", "stopped")
    swept(settings)
    assert entries(valkey) == [job_id]


def test_a_retry_or_a_job_that_is_put_back_is_no_end(valkey: Redis, settings: Settings) -> None:
    patient = settings.model_copy(update={"max_attempts": 2, "qdrant_url": "http://127.0.0.1:9"})
    job_id = submitted(patient)
    our_worker(patient)
    swept(patient)
    assert entries(valkey) == []
    assert valkey.sismember(OPEN, job_id)


def test_a_job_that_is_sent_back_ends_again(valkey: Redis, settings: Settings) -> None:
    job_id = submitted(settings)
    worker_fails(valkey, settings, job_id)
    api(settings, lambda _, queue: queue.requeue(job_id, tenant=DEFAULT_TENANT))
    assert valkey.sismember(OPEN, job_id)
    our_worker(settings)
    assert entries(valkey) == [job_id, job_id]


@pytest.mark.parametrize("gone", ["deleted", "expired"])
def test_a_job_that_is_gone_is_nobodys_news(valkey: Redis, settings: Settings, gone: str) -> None:
    job_id = submitted(settings)
    if gone == "deleted":
        api(settings, lambda _, queue: queue.delete(job_id, tenant=DEFAULT_TENANT))
        assert valkey.scard(OPEN) == 0
    else:
        valkey.delete(Job.key_for(job_id))
    swept(settings)
    assert (entries(valkey), valkey.scard(OPEN)) == ([], 0)


# Readers


@pytest.fixture
def two_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("app.core.queue.outbox", "app.jobs.outbox"):
        monkeypatch.setattr(f"{module}.READERS", ("webhooks", "another"))


def read(settings: Settings, name: str, act: Callable[[Sequence[str]], Awaitable[None]]) -> int:
    return int(api(settings, lambda valkey, _: Reader(name, valkey, act).read()))


def into(seen: list[str]) -> Callable[[Sequence[str]], Awaitable[None]]:
    async def act(job_ids: Sequence[str]) -> None:
        seen.extend(job_ids)

    return act


async def failing(job_ids: Sequence[str]) -> None:
    raise RuntimeError("the reader's own trouble")


def ended(valkey: Redis, *job_ids: str) -> None:
    for job_id in job_ids:
        valkey.xadd(OUTBOX, {"job": job_id})


@pytest.mark.usefixtures("two_readers")
def test_each_reader_sees_every_entry_once_and_in_order(valkey: Redis, settings: Settings) -> None:
    one: list[str] = []
    other: list[str] = []
    ended(valkey, "a", "b")
    assert read(settings, "webhooks", into(one)) == 2
    ended(valkey, "c")
    assert read(settings, "webhooks", into(one)) == 1
    assert read(settings, "another", into(other)) == 3
    assert one == other == ["a", "b", "c"]


@pytest.mark.usefixtures("two_readers")
def test_a_reader_that_fails_is_given_the_same_again_and_holds_nobody_back(valkey: Redis, settings: Settings) -> None:
    ended(valkey, "a")
    with pytest.raises(RuntimeError):
        read(settings, "another", failing)
    seen: list[str] = []
    assert read(settings, "webhooks", into(seen)) == 1
    ended(valkey, "b")
    assert read(settings, "another", into(seen)) == 2
    assert seen == ["a", "a", "b"]


@pytest.mark.usefixtures("two_readers")
def test_an_entry_goes_when_all_have_read_it_and_not_before(valkey: Redis, settings: Settings) -> None:
    ended(valkey, *"abc")
    read(settings, "webhooks", into([]))
    assert entries(valkey) == ["a", "b", "c"]
    read(settings, "another", into([]))
    assert entries(valkey) == ["c"]  # the last one read stays, as the cursor's own


def test_one_process_reads_at_a_time_and_another_goes_on_where_a_dead_one_stopped(
    valkey: Redis, settings: Settings
) -> None:
    ended(valkey, "a")
    valkey.set(lock_key("webhooks"), "a process that died", px=200)
    seen: list[str] = []
    assert read(settings, "webhooks", into(seen)) == 0
    wait_until(lambda: read(settings, "webhooks", into(seen)) == 1, "the dead process's lock is over")
    assert seen == ["a"]
    assert not valkey.exists(lock_key("webhooks"))


def test_a_reader_that_took_too_long_leaves_the_lock_and_the_cursor_to_the_next(
    valkey: Redis, settings: Settings
) -> None:
    async def slow(job_ids: Sequence[str]) -> None:
        valkey.set(lock_key("webhooks"), "the next one")

    ended(valkey, "a")
    assert read(settings, "webhooks", slow) == 0
    assert valkey.get(cursor_key("webhooks")) is None
    assert valkey.get(lock_key("webhooks")) == b"the next one"


def test_more_entries_than_a_batch_are_read_in_one_go(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.outbox.BATCH", 2)
    ended(valkey, *"abcde")
    seen: list[str] = []
    assert read(settings, "webhooks", into(seen)) == 5
    assert seen == [*"abcde"]


def test_cursors_are_ordered_as_numbers() -> None:
    assert outbox.earliest([b"10-2", b"9-3", b"10-10"]) == "9-3"
    assert outbox.earliest([b"10-2", b"10-10"]) == "10-2"
    assert outbox.earliest([b"10-2", None]) == "0-0"
