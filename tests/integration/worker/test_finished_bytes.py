"""What a finished question takes of Valkey's memory; and that its stream is what it was while it ran."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue
from rq.job import Job

from app.core.contract import ANSWER_JOB, QUERY_QUEUE
from app.core.event_log import READ_BATCH
from app.core.events import log_key
from app.core.queue.outbox import OPEN
from app.core.queue.records import RUNNING_FIELDS
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from benchmarks.memory import AIM_BYTES, MODEL, PAGES, QUESTION, by_pattern
from tests.integration.worker.test_worker import working
from tests.support.api import serving
from tests.support.documents import add_document
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.sse import ServerSentEvent, events_of
from worker.index.vector_index import open_index
from worker.resources import end

QUESTIONS = 4
SHARED_BYTES = 144
"""Of a question, in the outbox and in RQ's list of those that have finished, as `make bench-memory` measures it."""


@pytest.fixture(scope="module")
def lighthouse(qdrant_url: str) -> str:
    """A collection with the benchmark's pages."""
    settings = Settings(_env_file=None, qdrant_url=qdrant_url, qdrant_collection=f"t{uuid4().hex}")
    with closing(open_index(settings)) as index:
        add_document(index, *PAGES, document_id="lighthouse", filename="lighthouse.pdf")
    return settings.qdrant_collection


@pytest.fixture
def settings(
    valkey: Redis, valkey_url: str, qdrant_url: str, lighthouse: str, model: ModelServer
) -> Iterator[Settings]:
    yield Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=lighthouse,
        openai_base_url=model.url,
        chat_model=MODEL,
        answer_cache_ttl_seconds=0,
        worker_concurrency=QUESTIONS,
    )
    end()


@pytest.fixture
def api(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def ask(api: httpx.Client) -> str:
    return str(api.post("/chat", json={"query": QUESTION}).raise_for_status().json()["job_id"])


def stream(api: httpx.Client, job_id: str, after: int | None = None) -> list[ServerSentEvent]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with api.stream("GET", f"/stream/{job_id}", headers=headers) as response:
        return list(events_of(response.iter_lines()))


def responses(api: httpx.Client, job_id: str, after: int | None = None) -> list[dict[str, Any]]:
    params: dict[str, Any] = {"stream": "true"} | ({} if after is None else {"starting_after": after})
    with api.stream("GET", f"/v1/responses/resp_{job_id}", params=params) as response:
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    return [orjson.loads(line) for line in lines]


def test_a_finished_question_takes_three_kilobytes(api: httpx.Client, settings: Settings, valkey: Redis) -> None:
    before = set(valkey.scan_iter())
    with working(settings):
        ids = [ask(api) for _ in range(QUESTIONS)]
        wait_until(lambda: not valkey.scard(OPEN), "all are answered")
    own = [key for key in set(valkey.scan_iter()) - before if any(job_id.encode() in key for job_id in ids)]
    found = {row.pattern: row.bytes for row in by_pattern(valkey, own, QUESTIONS)}
    assert set(found) == {"rq:job:ID", "rq:results:ID", "rag:events:ID"}
    assert sum(found.values()) < AIM_BYTES - SHARED_BYTES, found
    check_by_rq(valkey, ids[0])


def check_by_rq(client: Redis, job_id: str) -> None:
    """RQ's tools find a job that has finished, and no result that their reader stumbles over."""
    valkey: Any = client
    for serializer in (None, PlainSerializer):
        job = Job.fetch(job_id, valkey, serializer=serializer)
        assert (job.get_status(), job.return_value(), job.func_name) == ("finished", None, ANSWER_JOB)
        assert job.args[0]["query"] == QUESTION
        assert (job.timeout, job.worker_name is not None) == (None, True)
    assert job_id in Queue(QUERY_QUEUE, connection=valkey).finished_job_registry.get_job_ids()
    assert not set(RUNNING_FIELDS) & {field.decode() for field in valkey.hgetall(Job.key_for(job_id))}


def test_its_stream_is_what_it_was_while_it_ran_from_whatever_number_on(
    api: httpx.Client, settings: Settings, valkey: Redis
) -> None:
    with working(settings):
        job_id = ask(api)
        live = stream(api, job_id)
    assert valkey.type(log_key(job_id)) == b"string"
    names = [event.event for event in live]
    assert names[:3] == ["job.queued", "job.started", "retrieval.completed"]
    assert names[3:] == ["answer.delta"] * (len(names) - 4) + ["answer.completed"]
    assert len(names) > 20, "word by word"
    assert [event.id for event in live] == list(range(len(live)))
    late = stream(api, job_id)
    assert late[0].event == "job.queued"
    assert late[1:] == live[1:]
    for after in (0, 1, 2, 3, 10, len(live) - 3, len(live) - 2, len(live) - 1, len(live), READ_BATCH):
        assert stream(api, job_id, after) == [event for event in live if event.id > after], after
    whole = responses(api, job_id)
    assert [event["sequence_number"] for event in whole[:2]] == [0, 1]
    assert "".join(event.get("delta", "") for event in whole) == live[-1].data["result"]["answer"]
    for number in (0, 5, 12, whole[-2]["sequence_number"]):
        assert responses(api, job_id, number) == [event for event in whole if event["sequence_number"] > number]


def test_a_kept_answer_is_packed_at_once(settings: Settings, valkey: Redis) -> None:
    keeping = settings.model_copy(update={"answer_cache_ttl_seconds": 60, "chat_model": "test"})
    with serving(keeping) as url, httpx.Client(base_url=url, timeout=30) as api:
        with working(keeping):
            stream(api, ask(api))
        job_id = ask(api)
        frames = stream(api, job_id)
    assert valkey.type(log_key(job_id)) == b"string"
    assert [frame.event for frame in frames] == ["job.queued", "job.started", "answer.delta", "answer.completed"]
    assert frames[-1].data["result"]["cached"] == "exact"
