"""A job's way through the service, of real jobs that a real worker has run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue
from rq.job import Job

from app.core.contract import INGEST_QUEUE, QUERY_QUEUE
from app.core.events import log_key
from app.core.queue.connections import connect
from app.core.queue.producer import enqueue_due
from app.core.settings import Settings
from tests.support.api import serving
from tests.support.contents import everything_in
from tests.support.model_server import ModelServer
from worker.concurrent import ConcurrentWorker
from worker.resources import end

QUESTION = "When does the harbour open in winter?"


@pytest.fixture
def settings(
    valkey: Redis, valkey_url: str, qdrant_url: str, handbook: str, model: ModelServer, tmp_path: Path
) -> Iterator[Settings]:
    yield Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        data_dir=tmp_path,
        openai_base_url=model.url,
        chat_model="test",
        worker_concurrency=2,
    )
    end()


@pytest.fixture
def api(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def work(settings: Settings, queue: str = QUERY_QUEUE) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        ConcurrentWorker([queue], connection=connection, settings=settings).work(burst=True)


def ask(api: httpx.Client) -> str:
    return str(api.post("/chat", json={"query": QUESTION}).raise_for_status().json()["job_id"])


def timeline(api: httpx.Client, job_id: str) -> Any:
    return api.get(f"/jobs/{job_id}/timeline").raise_for_status().json()


def names(told: Any) -> list[str]:
    return [step["name"] for step in told["steps"]]


def test_an_answers_steps_are_in_their_order_with_the_waits_between(api: httpx.Client, settings: Settings) -> None:
    job_id = ask(api)
    assert names(timeline(api, job_id)) == ["queued"]
    work(settings)
    told = timeline(api, job_id)
    assert names(told) == ["queued", "started", "retrieved", "first_word", "finished"]
    assert [step["attempt"] for step in told["steps"]] == [0, 1, 1, 1, 1]
    assert told["steps"][0]["since_ms"] is None
    assert all(0 <= step["since_ms"] < 60_000 for step in told["steps"][1:])
    assert (told["queue"], told["kind"], told["status"], told["attempt"]) == (QUERY_QUEUE, "answer", "finished", 1)


def test_the_question_is_told_to_its_tenant_and_stands_in_no_log(
    api: httpx.Client, settings: Settings, valkey: Redis, capfd: pytest.CaptureFixture[str]
) -> None:
    job_id = ask(api)
    work(settings)
    assert timeline(api, job_id)["question"] == QUESTION
    assert QUESTION not in "".join(capfd.readouterr())
    assert valkey.hget(Job.key_for(job_id), "description") == b"answer"
    assert not [line for line in everything_in(valkey).splitlines() if QUESTION.encode() in line and b"rag:" in line]


def test_a_document_is_read_and_then_indexed(api: httpx.Client, settings: Settings) -> None:
    sent = api.post("/documents", files={"files": ("notes.txt", b"Boats are varnished in autumn.", "text/plain")})
    job_id = sent.json()["documents"][0]["job_id"]
    work(settings.model_copy(update={"qdrant_collection": f"t{uuid4().hex}"}), INGEST_QUEUE)
    told = timeline(api, job_id)
    assert names(told) == ["queued", "started", "parsing", "embedding", "finished"]
    assert (told["queue"], told["question"]) == (INGEST_QUEUE, None)


def test_each_attempt_has_its_steps(api: httpx.Client, settings: Settings, valkey: Redis) -> None:
    job_id = ask(api)
    work(settings.model_copy(update={"chat_model": "test-error500"}))
    end()
    valkey.zadd(f"rq:scheduled:{QUERY_QUEUE}", {job_id: 1}, xx=True)  # its retry is due
    enqueue_due(Queue(QUERY_QUEUE, connection=valkey))
    work(settings)
    told = timeline(api, job_id)
    assert [(step["name"], step["attempt"]) for step in told["steps"]] == [
        ("queued", 0),
        ("started", 1),
        ("retrieved", 1),
        ("started", 2),
        ("retrieved", 2),
        ("first_word", 2),
        ("finished", 2),
    ]


def test_a_job_that_was_sent_back_is_queued_again(api: httpx.Client, settings: Settings) -> None:
    job_id = ask(api)
    work(settings.model_copy(update={"chat_model": "test-error401"}))
    end()
    told = timeline(api, job_id)
    assert names(told) == ["queued", "started", "retrieved", "failed"]
    assert told["error"]["code"] == "model_auth_failed"
    api.post(f"/jobs/{job_id}/requeue").raise_for_status()
    work(settings)
    told = timeline(api, job_id)
    again = ["queued", "started", "retrieved", "first_word", "finished"]
    assert names(told) == ["queued", "started", "retrieved", "failed", *again]
    assert [step["attempt"] for step in told["steps"]] == [0, 1, 1, 1, 0, 1, 1, 1, 1]


def test_a_stopped_job_ends_with_that(api: httpx.Client) -> None:
    job_id = ask(api)
    api.post(f"/jobs/{job_id}/cancel").raise_for_status()
    assert names(timeline(api, job_id)) == ["queued", "stopped"]


def test_what_is_hostile_in_a_log_or_a_record_is_left_out(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    valkey.hset(Job.key_for(job_id), "created_at", "x" * 10_000)
    for at in ("", "-1", "9" * 16, "1e5", "\xff", "0"):
        valkey.xadd(log_key(job_id), {"t": "job.started", "d": "{}", "at": at}, id="0-*")
    valkey.xadd(log_key(job_id), {"t": "<script>", "at": "1764000000000"}, id="0-*")
    told = timeline(api, job_id)
    assert [(step["name"], step["at"]) for step in told["steps"]] == [("started", "1970-01-01T00:00:00Z")]
    valkey.delete(log_key(job_id))
    valkey.set(log_key(job_id), "text")
    assert timeline(api, job_id)["steps"] == []


def test_a_long_log_has_its_first_word_alone(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    with valkey.pipeline() as pipeline:
        pipeline.xadd(log_key(job_id), {"t": "job.started", "d": "{}", "at": "1764000000000"}, id="0-*")
        for number in range(3_000):
            event: dict[Any, Any] = {"t": "answer.delta", "d": '{"text":"a"}', "at": str(1764000000100 + number)}
            pipeline.xadd(log_key(job_id), event, id="0-*")
        pipeline.execute()
    steps = timeline(api, job_id)["steps"]
    assert [(step["name"], step["since_ms"]) for step in steps[:2]] == [("started", None), ("first_word", 100.0)]
    assert len([step for step in steps if step["name"] == "first_word"]) == 1
