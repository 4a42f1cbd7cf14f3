"""The last hour of each queue, from real jobs of a real worker: counted once, told by any replica."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis
from rq.job import Job
from rq.utils import utcformat

from app.core.contract import DEFAULT_TENANT, QUERY_QUEUE, QUEUES, AnswerJob
from app.core.queue import outbox
from app.core.queue.connections import connect
from app.core.queue.outbox import OUTBOX
from app.core.settings import Settings
from app.jobs.histogram import BUCKETS
from app.jobs.history import KEEP_SECONDS, History, QueueHistory, minute_key
from app.jobs.outbox import Reader
from tests.support.api import serving
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.queue import JobQueue, on_valkey
from worker.concurrent import ConcurrentWorker
from worker.resources import end


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


def read(settings: Settings) -> int:
    """What an API process does every second."""
    return int(on_valkey(settings, lambda valkey: Reader("history", valkey, History(valkey).ended).read()))


def told(settings: Settings, queue: str = QUERY_QUEUE) -> QueueHistory:
    found = on_valkey(settings, lambda valkey: History(valkey).of(queue, 60))
    assert isinstance(found, QueueHistory)
    return found


def totals(settings: Settings) -> dict[str, int]:
    history = told(settings)
    return {name: sum(minute[name] for minute in history.counts) for name in history.counts[0]}


def work(settings: Settings, *questions: str) -> list[str]:
    """Have a real worker answer them; their jobs."""
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        queue = JobQueue(connection, settings)
        asked = [queue.submit(AnswerJob(query=question)).job_id for question in questions]
        ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=settings).work(burst=True)
    return asked


def test_an_answer_counts_with_its_tokens_and_times(settings: Settings, model: ModelServer) -> None:
    with_model = settings.model_copy(update={"openai_base_url": model.url, "chat_model": "test"})
    work(with_model, "When does the harbour open?", "Who washes the boats?")
    assert read(settings) == 2
    found, history = totals(settings), told(settings)
    assert (found["finished"], found["failed"], found["stopped"], found["retries"]) == (2, 0, 0, 0)
    assert found["input_tokens"] > 0
    assert found["output_tokens"] > 0
    assert (sum(history.waiting), sum(history.whole)) == (2, 2)


def test_what_fails_and_what_is_stopped_counts_as_that(settings: Settings, valkey: Redis) -> None:
    work(settings.model_copy(update={"qdrant_url": "http://127.0.0.1:9", "max_attempts": 1}), "one")
    end()
    queue = JobQueue(valkey, settings)
    queue.cancel(queue.submit(AnswerJob(query="two")).job_id, tenant=DEFAULT_TENANT)
    read(settings)
    found, history = totals(settings), told(settings)
    assert (found["finished"], found["failed"], found["stopped"]) == (0, 1, 1)
    assert sum(history.whole) == 1, "how long a stopped one took says nothing"


def test_a_running_job_that_is_stopped_counts(settings: Settings, valkey: Redis) -> None:
    with ModelServer(knobs="ttft=60s") as slow:
        stated = settings.model_copy(update={"openai_base_url": slow.url, "chat_model": "test"})
        queue = JobQueue(valkey, stated)
        job_id = queue.submit(AnswerJob(query="When does the harbour open?")).job_id

        def run() -> None:
            assert stated.redis_url
            with connect(stated.redis_url.get_secret_value()) as connection:
                ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=stated).work(burst=True)

        thread = Thread(target=run)
        thread.start()
        slow.wait_until(lambda stats: stats["in_flight"] == 1)
        queue.cancel(job_id, tenant=DEFAULT_TENANT)
        thread.join()
    read(settings)
    assert totals(settings)["stopped"] == 1


def test_retries_are_counted_with_the_end(settings: Settings, valkey: Redis) -> None:
    [job_id] = work(settings, "When does the harbour open?")
    valkey.hset(Job.key_for(job_id), mapping={"retries_given": 9, "retries_left": 6})
    read(settings)
    assert totals(settings)["retries"] == 3


def test_the_same_end_given_twice_counts_once(settings: Settings, valkey: Redis) -> None:
    [job_id] = work(settings, "When does the harbour open?")
    read(settings)
    valkey.xadd(OUTBOX, {"job": job_id})
    assert read(settings) == 1
    valkey.delete(outbox.cursor_key("history"))
    valkey.xadd(OUTBOX, {"job": job_id})
    read(settings)
    assert totals(settings)["finished"] == 1


def test_a_job_that_was_sent_back_counts_at_each_end(settings: Settings, valkey: Redis) -> None:
    [job_id] = work(settings.model_copy(update={"qdrant_url": "http://127.0.0.1:9"}), "When does the harbour open?")
    end()
    read(settings)
    JobQueue(valkey, settings).requeue(job_id, tenant=DEFAULT_TENANT)
    work(settings)
    read(settings)
    found = totals(settings)
    assert (found["failed"], found["finished"]) == (1, 1)


def test_a_job_that_is_gone_leaves_no_record_of_itself(settings: Settings, valkey: Redis) -> None:
    valkey.xadd(OUTBOX, {"job": "gone"})
    valkey.set(Job.key_for("text"), "no record")
    valkey.xadd(OUTBOX, {"job": "text"})
    assert read(settings) == 2
    assert not valkey.exists(Job.key_for("gone"))
    assert totals(settings)["finished"] == 0


def test_counts_are_kept_a_little_over_an_hour(settings: Settings, valkey: Redis) -> None:
    work(settings, "When does the harbour open?")
    read(settings)
    [key] = valkey.keys("rag:history:*")
    assert 3600 < KEEP_SECONDS - 5 <= valkey.ttl(key) <= KEEP_SECONDS


def test_it_is_written_also_at_maxmemory(settings: Settings, valkey: Redis) -> None:
    [job_id] = work(settings, "When does the harbour open?")
    valkey.config_set("maxmemory", 1)
    try:
        on_valkey(settings, lambda valkey: History(valkey).ended([job_id]))
        assert totals(settings)["finished"] == 1
    finally:
        valkey.config_set("maxmemory", 0)


@pytest.mark.parametrize("plant", [
    lambda valkey, key: valkey.set(key, "text"),
    lambda valkey, key: valkey.rpush(key, "a", "b"),
    lambda valkey, key: valkey.hset(key, mapping={f"f{n}": n for n in range(10_000)}),
    lambda valkey, key: valkey.hset(key, mapping={
        "finished": "-7", "failed": "1e300", "stopped": "9" * 400, "retries": "nan", "input_tokens": "0x10",
        "output_tokens": "1.5", "w0": "-1", "w99": "5", "w": "1", "t-1": "3", "t0.5": "2", "t1e1": "4", "<b>": "9",
    }),
])  # fmt: skip
def test_a_hostile_minute_is_nothing_and_the_others_are_told(
    settings: Settings, valkey: Redis, plant: Callable[[Redis, str], object]
) -> None:
    now = datetime.now(UTC)
    plant(valkey, minute_key(QUERY_QUEUE, now))
    history = told(settings)
    assert [sum(minute.values()) for minute in history.counts] == [0] * 60
    assert (sum(history.waiting), sum(history.whole)) == (0, 0)
    [job_id] = work(settings, "When does the harbour open?")
    valkey.hset(Job.key_for(job_id), "ended_at", utcformat(now))
    read(settings)
    assert len(told(settings).waiting) == BUCKETS


def test_a_restart_and_a_second_replica_tell_the_same(settings: Settings) -> None:
    with ExitStack() as replicas:
        urls = [replicas.enter_context(serving(settings)) for _ in range(2)]
        work(settings, "When does the harbour open?")
        for url in urls:
            wait_until(lambda url=url: finished(url) == 1, "it is counted")  # type: ignore[misc]
        one, other = (history(url) for url in urls)
        assert one == other
    with serving(settings) as url:
        assert finished(url) == 1


def history(url: str) -> Any:
    """The questions' queue, without the times of minutes, which go on."""
    answer = httpx.get(f"{url}/queues/history").raise_for_status().json()["queues"][0]
    return answer | {"minutes": [m for m in answer["minutes"] if m["finished"]]}


def finished(url: str) -> int:
    return sum(minute["finished"] for minute in history(url)["minutes"])


def test_the_history_is_by_minute_with_percentiles(settings: Settings) -> None:
    with serving(settings) as url:
        assert httpx.get(f"{url}/queues/history", params={"minutes": 61}).status_code == 422
        work(settings, "When does the harbour open?")
        wait_until(lambda: finished(url) == 1, "it is counted")
        answer = httpx.get(f"{url}/queues/history", params={"minutes": 5}).json()
    names = [queue["name"] for queue in answer["queues"]]
    assert names == list(QUEUES)
    questions, documents, *_ = answer["queues"]
    assert len(questions["minutes"]) == 5
    assert questions["minutes"] == sorted(questions["minutes"], key=lambda minute: minute["at"])
    assert 0 < questions["total_ms"]["p50"] <= questions["total_ms"]["p95"] < 60_000
    assert documents["waiting_ms"] == {"p50": None, "p95": None}
