"""The job that erases a tenant: all that it has goes, in whatever state, nothing new comes meanwhile, and a job that
was cut off is done again to the end."""

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus
from rq.timeouts import TimerDeathPenalty

from app.core.contract import INGEST_QUEUE, AnswerJob, EraseJob, IngestJob, SearchJob, Webhook
from app.core.documents import collections, operations
from app.core.documents.catalog import Catalog
from app.core.documents.collections import CollectionSettings
from app.core.documents.files import DocumentStore, StorageUnavailableError, open_store
from app.core.documents.operations import Quota
from app.core.queue.answers import answers_key, answers_prefix
from app.core.queue.batches import BatchRecord, BatchStore, FileRecord
from app.core.queue.conversations import conversation_key, conversations_key, deleted_key
from app.core.queue.erasing import TenantBeingErasedError, erasing_key
from app.core.queue.producer import JobNotStoppableError, webhook_key
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from ingest import erase_job
from ingest.jobs import index_document
from tests.integration.app.test_isolation import batch_of
from tests.integration.ingest.test_ingest_jobs import uploaded
from tests.support import pdfs
from tests.support.acting import ActingWorker, answer
from tests.support.api import serving
from tests.support.contents import everything_in
from tests.support.credentials import api_key, bearer
from tests.support.documents import add_document
from tests.support.queue import JobQueue, on_valkey
from worker.index.catalog_repair import repair
from worker.index.vector_index import VectorIndex, open_index
from worker.resources import end

WORD = "zqquokkawort"
COUNTED = ("jobs", "batches", "documents", "chunks", "conversations", "answers", "files")


@pytest.fixture(autouse=True)
def _services(qdrant_url: str, valkey_url: str, valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("QDRANT_COLLECTION", f"test-{uuid4().hex}")
    yield
    end()


@pytest.fixture
def store() -> DocumentStore:
    return open_store(Settings())


@pytest.fixture
def index() -> Iterator[VectorIndex]:
    with closing(open_index(Settings())) as index:
        yield index


@pytest.fixture
def queue(valkey: Redis) -> JobQueue:
    return JobQueue(valkey, Settings())


class Worker(SimpleWorker):
    death_penalty_class = TimerDeathPenalty


def work(valkey: Redis) -> None:
    """What waits on the ingestion queue is done, as a stock worker does it."""
    queue = Queue(INGEST_QUEUE, connection=valkey, serializer=PlainSerializer)
    Worker([queue], connection=valkey, serializer=PlainSerializer).work(burst=True)


def erase(valkey: Redis, queue: JobQueue, tenant: str = "acme") -> Job:
    """Erase the tenant on the operator's behalf; the job as it then is."""
    job_id = queue.submit(EraseJob(erased=tenant)).job_id
    work(valkey)
    return Job.fetch(job_id, connection=valkey, serializer=PlainSerializer)


def erased(job: Job) -> dict[str, int]:
    assert job.get_status() is JobStatus.FINISHED, job.latest_result()
    value: Any = job.return_value()
    counts: dict[str, int] = value["erased"]
    return counts


def fill(valkey: Redis, store: DocumentStore, index: VectorIndex, tenant: str) -> None:
    """A document with its file and the picture of a page, and one that is indexed in another collection."""
    uploaded_file = store.put_file(tenant, io.BytesIO(WORD.encode()))[0]
    store.put_picture(tenant, uploaded_file, 1, 900, b"picture")
    record = uploaded(Catalog(valkey), store, WORD.encode())
    found = Catalog(valkey).do(operations.get("default", record.document_id))
    assert found is not None
    Catalog(valkey).do(operations.delete("default", record.document_id))
    Catalog(valkey).do(operations.put(tenant, found, quota=Quota(100, 100)))
    add_document(index, WORD, "More.", tenant=tenant)
    add_document(index, WORD, tenant=tenant, collection="second", document_id="d2")


def add_batch(valkey: Redis, store: DocumentStore, tenant: str) -> None:
    """A batch with its file, as a client makes them, and a line of it on its way."""
    file_id = f"file-{'1' * 32}"
    with store.draft() as draft:
        draft.write(WORD.encode())
        store.keep_batch_file(draft, tenant, file_id)
    file = FileRecord(id=file_id, filename=WORD, bytes=5, created_at=1, expires_at=2**33)
    batch = BatchRecord(
        id=f"batch_{'1' * 32}",
        endpoint="/chat",
        input_file_id=file_id,
        metadata={WORD: WORD},
        created_at=1,
        expires_at=2**33,
        asker="anna",
    )

    async def put(connection: AsyncRedis) -> None:
        await BatchStore(connection).put_file(tenant, file)
        await BatchStore(connection).put(tenant, batch)
        kept = await BatchStore(connection).get(tenant, batch.id)
        await BatchStore(connection).save(tenant, kept, batch, parts=["a part"], begun={1: WORD})

    on_valkey(Settings(), put)


def test_jobs_in_every_state_are_removed_and_nobody_elses(valkey: Redis, queue: JobQueue) -> None:
    hook = Webhook.model_validate({"url": f"https://example.com/{WORD}"})
    acting, states = ActingWorker(valkey), {}
    for state in ("finished", "failed", "stopped", "expired"):
        states[state] = queue.submit(AnswerJob(query=f"{WORD}?", tenant="acme"), webhook=hook).job_id
        assert acting.take() == states[state]
        acting.start(states[state])
    acting.finish(states["finished"], answer(WORD))
    valkey.hset(Job.key_for(states["failed"]), "status", JobStatus.FAILED.value)
    acting.stop(states["stopped"])
    valkey.delete(Job.key_for(states["expired"]))  # its webhook outlives it
    states["waits for a retry"] = queue.submit(AnswerJob(query=f"{WORD}?", tenant="acme")).job_id
    assert acting.take() == states["waits for a retry"]
    valkey.hset(Job.key_for(states["waits for a retry"]), "status", JobStatus.SCHEDULED.value)
    valkey.zadd("rq:scheduled:rag_queries", {states["waits for a retry"]: 9e9})
    states["waits"] = queue.submit(SearchJob(query=WORD, tenant="acme")).job_id
    others = queue.submit(AnswerJob(query="theirs", tenant="other"), webhook=hook).job_id

    counts = erased(erase(valkey, queue))

    assert counts["jobs"] == len(states) - 1, "the expired one is none"
    left = everything_in(valkey)
    assert [state for state, job_id in states.items() if f"rq:job:{job_id}".encode() in left] == []
    assert left.count(WORD.encode()) == 1, "the other tenant's webhook has it, and nothing else"
    assert queue.view(others, tenant="other").position == 1
    assert valkey.exists(webhook_key(others)) == 1


def test_every_store_is_emptied_for_the_tenant_alone(
    valkey: Redis, queue: JobQueue, store: DocumentStore, index: VectorIndex
) -> None:
    fill(valkey, store, index, "acme")
    fill(valkey, store, index, "other")
    valkey.hset(answers_prefix("acme") + "a" * 64, "answer", WORD)
    valkey.zadd(answers_key("acme"), {"a" * 64: 1})
    valkey.hset(answers_prefix("other") + "a" * 64, "answer", WORD)
    for tenant in ("acme", "other"):
        valkey.hset(conversation_key(tenant, "s1"), "title", WORD)
        valkey.zadd(conversations_key(tenant), {"s1": 1})
        valkey.set(deleted_key(tenant, "s2"), 1)
        add_batch(valkey, store, tenant)
        Catalog(valkey).do(collections.put(tenant, "manuals", CollectionSettings(instructions=WORD)))
        Catalog(valkey).do(collections.page(tenant, after="", limit=10))  # which counts
    told = erased(erase(valkey, queue))
    assert told == {
        "jobs": 0, "batches": 1, "documents": 1, "chunks": 3, "conversations": 1, "answers": 1, "files": 3,
    }  # fmt: skip
    assert valkey.exists(conversation_key("other", "s1"), conversations_key("other"), deleted_key("other", "s2")) == 3
    assert valkey.exists(answers_prefix("other") + "a" * 64)
    assert Catalog(valkey).do(collections.settings_of("other", "manuals")).instructions == WORD
    assert list(index.documents(tenant="acme")) == []
    assert len(list(index.documents(tenant="other"))) == 2
    assert list(Catalog(valkey).all("acme")) == []
    assert len(list(Catalog(valkey).all("other"))) == 1
    root = Settings().data_dir / "documents"
    assert not (root / "acme").exists()
    assert len([path for path in (root / "other").rglob("*") if path.is_file()]) == 3
    assert valkey.zcard("rag:batches-open") == valkey.zcard("rag:files-expiring") == 1, "the other tenant's"
    left = [key for key in valkey.scan_iter() if b"acme" in key]
    assert left == [], "a key of a store that is not in the table"
    assert repair(index, valkey) >= 0
    assert list(Catalog(valkey).all("acme")) == [], "nothing is left of which it could be made again"


def test_it_is_done_again_to_no_effect(valkey: Redis, queue: JobQueue, index: VectorIndex) -> None:
    add_document(index, WORD, tenant="acme")
    assert erased(erase(valkey, queue))["chunks"] == 1
    assert set(erased(erase(valkey, queue)).values()) == {0}


def test_an_index_that_is_not_there_yet_has_nothing_to_erase(valkey: Redis, queue: JobQueue) -> None:
    assert erased(erase(valkey, queue, "nobody")) == dict.fromkeys(COUNTED, 0)


def test_an_index_of_another_embedding_model_is_erased_too(
    valkey: Redis, queue: JobQueue, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_document(index, WORD, tenant="acme")
    monkeypatch.setenv("EMBEDDING_MODEL", "another")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert erased(erase(valkey, queue))["chunks"] == 1


def test_a_job_that_was_cut_off_goes_on_and_tells_all_that_was_erased(
    valkey: Redis,
    queue: JobQueue,
    store: DocumentStore,
    index: VectorIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(valkey, store, index, "acme")
    delete_tenant, calls = DocumentStore.delete_tenant, []

    def away_once(self: DocumentStore, tenant: str) -> int:
        calls.append(tenant)
        if len(calls) == 1:
            raise StorageUnavailableError
        return delete_tenant(self, tenant)

    monkeypatch.setattr(DocumentStore, "delete_tenant", away_once)
    job = erase(valkey, queue)
    assert job.get_status() is JobStatus.SCHEDULED
    assert valkey.get(erasing_key("acme")) == job.id.encode(), "half erased, the tenant is kept out"
    with pytest.raises(TenantBeingErasedError):
        queue.submit(SearchJob(query="?", tenant="acme"))
    valkey.zadd("rq:scheduled:rag_ingest", {job.id: 0})
    assert queue.enqueue_due() == 1
    work(valkey)
    assert erased(Job.fetch(job.id, connection=valkey, serializer=PlainSerializer)) == {
        "jobs": 0,
        "batches": 0,
        "documents": 1,
        "chunks": 3,
        "conversations": 0,
        "answers": 0,
        "files": 2,
    }
    assert not valkey.exists(erasing_key("acme"))


def test_a_job_that_fails_for_good_lets_the_tenant_in_again(
    valkey: Redis, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(erase_job, "STORES", {"jobs": broken})
    assert erase(valkey, queue).get_status() is JobStatus.FAILED
    assert not valkey.exists(erasing_key("acme"))


def test_running_jobs_are_told_to_stop_and_waited_for(
    valkey: Redis, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not stop makes the attempt fail, to be tried again: what still runs could write."""
    monkeypatch.setattr(erase_job, "STOP_SECONDS", 0.1)
    acting = ActingWorker(valkey)
    running = queue.submit(AnswerJob(query=WORD, tenant="acme")).job_id
    assert acting.take() == running
    acting.start(running)
    job = erase(valkey, queue)
    assert job.get_status() is JobStatus.SCHEDULED
    assert valkey.hget(Job.key_for(running), "stop_requested") == b"1"
    acting.stop(running)
    valkey.zadd("rq:scheduled:rag_ingest", {job.id: 0})
    queue.enqueue_due()
    work(valkey)
    assert erased(Job.fetch(job.id, connection=valkey, serializer=PlainSerializer))["jobs"] == 1
    assert WORD.encode() not in everything_in(valkey)


def test_it_is_not_stopped(queue: JobQueue) -> None:
    job_id = queue.submit(EraseJob(erased="acme")).job_id
    with pytest.raises(JobNotStoppableError):
        queue.cancel(job_id, tenant="default")


def test_while_a_tenant_is_erased_nothing_of_its_is_taken_by_any_way(
    valkey: Redis, valkey_url: str, queue: JobQueue, index: VectorIndex, tmp_path: Path
) -> None:
    key, entry = api_key("anna", tenant="acme", role="admin")
    other_key, other_entry = api_key("otto", tenant="other", role="admin")
    failed = queue.submit(AnswerJob(query="?", tenant="acme")).job_id
    valkey.hset(Job.key_for(failed), "status", JobStatus.FAILED.value)
    file = {"files": ("notes.txt", b"Some words.", "text/plain")}
    without_a_job = {
        ("POST", f"/jobs/{failed}/requeue"): None,
        ("POST", f"/jobs/{failed}/feedback"): {"rating": "up"},
        ("POST", "/v1/conversations"): {},
        ("POST", "/v1/files"): None,
        ("POST", "/v1/batches"): batch_of(f"file-{'0' * 32}"),
        ("PUT", "/collections/manuals"): {},
    }
    log = f"sqlite:///{tmp_path}/history.sqlite3"
    settings = Settings(redis_url=valkey_url, api_keys=f"{entry},{other_entry}", database_url=log)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:

        def statuses(key: str) -> list[int]:
            response = {"model": "rag-queue", "input": "?", "background": True}
            chat = {"model": "rag-queue", "messages": [{"role": "user", "content": "?"}]}
            answers = (
                client.post("/chat", json={"query": "?"}, headers=bearer(key)),
                client.post("/search", json={"query": "?"}, headers=bearer(key)),
                client.post(
                    "/v1/responses",
                    json=response,
                    headers=bearer(key),
                ),
                client.post("/documents", files=file, headers=bearer(key)),
            )
            if key != other_key:
                assert client.post("/v1/chat/completions", json=chat, headers=bearer(key)).status_code == 409
                for path, body in without_a_job.items():
                    assert client.request(*path, json=body, headers=bearer(key)).status_code == 409, path
                assert answers[0].json()["type"].endswith("tenant-being-erased")
            return [answer.status_code for answer in answers]

        valkey.set(erasing_key("acme"), "a job")
        assert statuses(key) == [409, 409, 409, 409]
        assert statuses(other_key) == [202, 202, 200, 202]
        add_document(index, WORD, tenant="acme")
        repair(index, valkey)
        assert list(Catalog(valkey).all("acme")) == [], "no repair brings back what is being erased"
        valkey.delete(erasing_key("acme"))
        assert client.post("/chat", json={"query": "?"}, headers=bearer(key)).status_code == 202


def test_who_is_not_of_the_tenant_erases_nothing(valkey: Redis, valkey_url: str) -> None:
    keys = {
        name: api_key(name, tenant=tenant, role=role)
        for name, tenant, role in (
            ("asker", "acme", "ask"),
            ("loader", "acme", "ingest"),
            ("owner", "acme", "admin"),
            ("stranger", "other", "admin"),
            ("operator", "default", "admin"),
            ("operators-asker", "default", "ask"),
        )
    }
    settings = Settings(redis_url=valkey_url, api_keys=",".join(entry for _, entry in keys.values()))
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        found = {
            name: client.delete("/tenants/acme", headers=bearer(key)).status_code for name, (key, _) in keys.items()
        }
        assert found == {
            "asker": 403, "loader": 403, "owner": 202, "stranger": 404, "operator": 202, "operators-asker": 403,
        }  # fmt: skip
        wrong = client.delete("/tenants/a%20b", headers=bearer(keys["operator"][0]))
        assert wrong.status_code == 404
        nobody = client.delete("/tenants/nobody", headers=bearer(keys["stranger"][0])).content
        assert nobody == client.delete("/tenants/acme", headers=bearer(keys["stranger"][0])).content


def test_a_document_whose_indexing_went_on_is_not_brought_back(
    valkey: Redis, queue: JobQueue, store: DocumentStore, index: VectorIndex, tmp_path: Path
) -> None:
    """A job that was read from the queue before the erasing, and is run after it, finds that it is not wanted."""
    content = pdfs.make_pdf(tmp_path / "otter.pdf", [WORD]).read_bytes()
    sha256 = store.put_file("acme", io.BytesIO(content))[0]
    late = IngestJob(tenant="acme", document_id="d1", filename="otter.pdf", sha256=sha256)
    erased(erase(valkey, queue))
    result = index_document(late.model_dump(mode="json"))
    assert result["status"] == "deleted"
    assert list(index.documents(tenant="acme")) == []
