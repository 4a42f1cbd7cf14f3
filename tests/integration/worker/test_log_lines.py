"""Every line about a job says whose it is, of whatever kind the job is and whoever runs it, loses it or ends it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from app.core.contract import (
    QUERY_QUEUE,
    QUEUES,
    AnswerJob,
    DeleteJob,
    EmbedJob,
    EraseJob,
    IngestJob,
    PageJob,
    SearchJob,
    TaskJob,
    WebhookJob,
)
from app.core.queue.connections import connect
from app.core.queue.producer import add_to_queue
from app.core.queue.records import KINDS, Payload
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.support.queue import JobQueue, take_off
from worker.concurrent import ConcurrentWorker
from worker.resources import end
from worker.runtime import recovery
from worker.runtime.own_job import OwnJob

Line = dict[str, Any]

WHOSE: dict[str, Any] = {"tenant": "acme", "request_id": "r-1"}
PAYLOADS: dict[type, Payload] = {
    AnswerJob: AnswerJob(query="When does the harbour open?", **WHOSE),
    TaskJob: TaskJob(task="A title.", **WHOSE),
    SearchJob: SearchJob(query="harbour", **WHOSE),
    EmbedJob: EmbedJob(texts=("harbour",), model="none", **WHOSE),
    IngestJob: IngestJob(document_id="d1", filename="f.pdf", sha256="0" * 64, **WHOSE),
    DeleteJob: DeleteJob(document_id="d1", **WHOSE),
    EraseJob: EraseJob(erased="acme", **WHOSE),
    WebhookJob: WebhookJob(job_id="j-1", **WHOSE),
    PageJob: PageJob(document_id="d1", filename="f.pdf", sha256="0" * 64, page=1, **WHOSE),
}
RQS_OWN = {"rq.worker", "rq.queue", "rq.job"}


@pytest.fixture
def settings(valkey: Redis, valkey_url: str, qdrant_url: str, handbook: str, tmp_path: Path) -> Iterator[Settings]:
    yield Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        data_dir=tmp_path,
        worker_concurrency=2,
        max_attempts=1,
    )
    end()


def lines(capsys: pytest.CaptureFixture[str]) -> list[Line]:
    written = capsys.readouterr().err.splitlines()
    return [json.loads(line) for line in written if line.startswith("{")]


def own_worker(settings: Settings) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        ConcurrentWorker(QUEUES, connection=connection, settings=settings).work(burst=True)


def stock_worker(settings: Settings) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        worker = SimpleWorker(QUEUES, connection=connection, serializer=PlainSerializer, job_class=OwnJob)
        worker.work(burst=True, logging_level="ERROR")


def test_every_kind_of_job_is_here() -> None:
    assert set(PAYLOADS) == set(KINDS)


@pytest.mark.parametrize("work", [own_worker, stock_worker])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_line_from_its_start_to_its_end_says_whose_it_is(
    kind: type, work: Any, valkey: Redis, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    for name, value in settings.model_dump(include={"qdrant_url", "qdrant_collection", "data_dir"}).items():
        monkeypatch.setenv(name.upper(), str(value))  # for the stock worker
    assert settings.redis_url
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    with valkey.pipeline(transaction=True) as pipeline:
        add_to_queue(pipeline, "j-1-webhook" if kind is WebhookJob else "j-1", PAYLOADS[kind], settings)
        pipeline.execute()
    work(settings)
    found = lines(capsys)
    about = [line for line in found if "job_id" in line or line["event"].startswith("job_")]
    assert {"job_started"} < {line["event"] for line in about} <= {
        "job_started", "job_done", "job_failed", "webhook_dropped", "document_told", "tenant_erased"
    }  # fmt: skip
    for line in about:
        assert {name: line.get(name) for name in ("job_id", "request_id", "tenant")} == {"job_id": "j-1"} | WHOSE
    others = [line for line in found if line not in about]
    assert not [line for line in others if "request_id" in line or "tenant" in line], "it ends with the job"


def test_a_worker_forgets_whose_its_last_job_was(
    settings: Settings, valkey: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    with valkey.pipeline(transaction=True) as pipeline:
        add_to_queue(pipeline, "j-1", PAYLOADS[AnswerJob], settings)
        add_to_queue(pipeline, "j-2", AnswerJob(query="harbour"), settings)
        pipeline.execute()
    own_worker(settings.model_copy(update={"worker_concurrency": 1}))
    found = lines(capsys)
    assert [line["event"] for line in found if line.get("request_id") == "r-1"] == ["job_started", "job_done"]
    second = [line for line in found if line.get("job_id") == "j-2"]
    assert [(line["event"], line["tenant"]) for line in second] == [
        ("job_started", "default"),
        ("job_done", "default"),
    ]


def test_the_line_of_a_job_that_is_put_on_the_queue_says_where(
    settings: Settings, valkey: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    for payload in PAYLOADS.values():
        JobQueue(valkey, settings).submit(payload)
        [line] = [line for line in lines(capsys) if line["event"] == "job_enqueued"]
        assert {"kind": KINDS[type(payload)].name, "queue": KINDS[type(payload)].queue}.items() <= line.items()
        assert valkey.exists(Job.key_for(line["job_id"]))


def test_a_lost_and_a_returned_job_say_whose_they_are(
    settings: Settings, valkey: Redis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    with valkey.pipeline(transaction=True) as pipeline:
        add_to_queue(pipeline, "j-1", PAYLOADS[AnswerJob], settings)
        add_to_queue(pipeline, "j-2", PAYLOADS[AnswerJob], settings)
        pipeline.execute()
    take_off(valkey, QUERY_QUEUE, "j-1")  # and j-2 is the next
    valkey.hset(Job.key_for("j-1"), "status", "started")
    valkey.zadd(queue.started_job_registry.key, {"j-1:dead": 1})
    valkey.lmove(queue.key, queue.intermediate_queue_key, "LEFT", "LEFT")
    monkeypatch.setattr(recovery, "UNSTARTED_SECONDS", 0)
    recovery.recover(queue)
    found = {line["event"]: line for line in lines(capsys) if line["event"] in ("job_lost", "job_returned")}
    assert {"job_id": "j-1", **WHOSE}.items() <= found["job_lost"].items()
    assert {"job_id": "j-2", **WHOSE}.items() <= found["job_returned"].items()


def test_a_record_that_cannot_be_read_says_whose_it_was_if_it_can(
    settings: Settings, valkey: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    with valkey.pipeline(transaction=True) as pipeline:
        add_to_queue(pipeline, "j-1", PAYLOADS[AnswerJob], settings)
        pipeline.execute()
    valkey.hset(Job.key_for("j-1"), mapping={"data": b"\x80\x04nonsense"})
    own_worker(settings)
    [line] = [line for line in lines(capsys) if line["event"] == "record_not_understood"]
    assert {"job_id": "j-1", **WHOSE}.items() <= line.items()
