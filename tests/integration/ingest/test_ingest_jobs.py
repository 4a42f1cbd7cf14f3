"""The ingestion queue's jobs, run by RQ itself on a real Valkey, a real index and a real store."""

import io
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from rq import Queue, SimpleWorker, get_current_job
from rq.job import Job, JobStatus

from app.core.contract import DELETE_JOB, INGEST_JOB, INGEST_QUEUE, DeleteJob, IngestJob
from app.core.documents import operations
from app.core.documents.catalog import Catalog
from app.core.documents.files import DocumentStore, open_store
from app.core.documents.ids import document_id
from app.core.documents.records import DocumentRecord, DocumentStatus
from app.core.formats import MediaType
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from ingest import jobs
from ingest.__main__ import main
from ingest.indexing.writer import parse
from tests.support import pdfs
from tests.support.model_server import ModelServer
from worker.index.catalog_repair import repair
from worker.index.vector_index import Document, VectorIndex, open_index
from worker.resources import end

NAME = "otter.pdf"
OTTER = document_id("default", "default", NAME)


@pytest.fixture(autouse=True)
def _services(qdrant_url: str, valkey_url: str, valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("QDRANT_COLLECTION", f"test-{uuid4().hex}")
    yield
    end()


@pytest.fixture
def catalog(valkey: Redis) -> Catalog:
    return Catalog(valkey)


@pytest.fixture
def store() -> DocumentStore:
    return open_store(Settings())


@pytest.fixture
def index() -> Iterator[VectorIndex]:
    with closing(open_index(Settings())) as index:
        yield index


@pytest.fixture
def otter(tmp_path: Path) -> Path:
    return pdfs.make_pdf(tmp_path / NAME, ["Otters sleep in groups.", "They hold hands."], title="Otters")


def uploaded(catalog: Catalog, store: DocumentStore, content: bytes, name: str = NAME) -> IngestJob:
    """What the API does before it puts the job on the queue."""
    now, sha256 = datetime.now(UTC), store.put_file("default", io.BytesIO(content))[0]
    record = DocumentRecord(
        document_id=document_id("default", "default", name),
        collection="default",
        filename=name,
        sha256=sha256,
        size_bytes=len(content),
        media_type=MediaType.PDF,
        created_at=now,
        updated_at=now,
    )
    catalog.do(operations.put("default", record))
    return IngestJob(document_id=record.document_id, filename=name, sha256=sha256)


def _run(valkey: Redis, function: str, payload: IngestJob | DeleteJob, *, retries: int = 0) -> Job:
    """Put the job on the queue, and work it off as a stock worker does."""
    queue = Queue(INGEST_QUEUE, connection=valkey, serializer=PlainSerializer)
    job = queue.enqueue(function, payload.model_dump(mode="json"), meta={"retries": retries})
    if retries:
        job.retries_left = retries
        job.save()
    SimpleWorker([queue], connection=valkey, serializer=PlainSerializer).work(burst=True)
    job.refresh()  # type: ignore[no-untyped-call]
    return job


def _documents(index: VectorIndex) -> list[Document]:
    return list(index.documents(tenant="default", collection="default"))


def _result(job: Job) -> dict[str, Any]:
    assert job.get_status() is JobStatus.FINISHED, job.latest_result()
    value = job.return_value()
    assert isinstance(value, dict)
    return value


def test_a_stored_file_is_indexed_and_the_catalog_says_so(
    valkey: Redis, catalog: Catalog, store: DocumentStore, index: VectorIndex, otter: Path
) -> None:
    job = _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()))
    assert _result(job) == {
        "document_id": OTTER,
        "status": "indexed",
        "pages": 2,
        "chunks": 2,
        "missing_pages": [],
    }
    assert (job.meta["stage"], job.meta["pages"], job.meta["pages_done"]) == ("embedding", 2, 2)
    record = catalog.do(operations.get("default", OTTER))
    assert record is not None
    assert (record.status, record.pages, record.pages_done, record.chunks) == (DocumentStatus.INDEXED, 2, 2, 2)
    (document,) = _documents(index)
    assert (document.document_id, document.filename, document.source) == (OTTER, NAME, "")


def test_the_same_bytes_again_are_not_read_again(
    valkey: Redis,
    catalog: Catalog,
    store: DocumentStore,
    otter: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()))
    monkeypatch.setattr("ingest.jobs.parse", None)  # would fail when called
    job = _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()))
    assert _result(job)["status"] == "unchanged"
    record = catalog.do(operations.get("default", OTTER))
    assert record is not None
    assert (record.status, record.chunks) == (DocumentStatus.INDEXED, 2)


def test_a_new_version_replaces_the_old_one(
    valkey: Redis, catalog: Catalog, store: DocumentStore, index: VectorIndex, otter: Path
) -> None:
    _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()))
    pdfs.make_pdf(otter, ["Otters eat urchins."])
    _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()))
    assert [document.chunks for document in _documents(index)] == [1]
    assert index.chunk_counts(tenant="default", collection="default") == {OTTER: 1}


def test_a_file_that_cannot_be_read_fails_at_once_with_its_reason(
    valkey: Redis, catalog: Catalog, store: DocumentStore, tmp_path: Path
) -> None:
    scan = pdfs.scanned_pdf(tmp_path / "scan.pdf").read_bytes()
    job = _run(valkey, INGEST_JOB, uploaded(catalog, store, scan), retries=3)
    assert job.get_status() is JobStatus.FAILED
    assert job.meta["error"] == "document_unreadable"
    record = catalog.do(operations.get("default", OTTER))
    assert record is not None
    assert record.error is not None
    assert (record.status, record.error.code) == (DocumentStatus.FAILED, "no_text")


def test_an_absent_index_is_tried_again_and_the_document_waits(
    valkey: Redis, catalog: Catalog, store: DocumentStore, otter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:9")
    job = _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()), retries=3)
    assert job.get_status() is JobStatus.SCHEDULED
    record = catalog.do(operations.get("default", OTTER))
    assert record is not None
    assert record.status is DocumentStatus.QUEUED


def test_a_job_whose_upload_was_replaced_or_deleted_gives_way(
    valkey: Redis, catalog: Catalog, store: DocumentStore, index: VectorIndex, otter: Path
) -> None:
    old = uploaded(catalog, store, otter.read_bytes())
    uploaded(catalog, store, pdfs.make_pdf(otter, ["Otters eat urchins."]).read_bytes())
    assert _result(_run(valkey, INGEST_JOB, old))["status"] == "unchanged"
    catalog.do(operations.delete("default", OTTER))
    assert _result(_run(valkey, INGEST_JOB, old))["status"] == "deleted"
    assert _documents(index) == []
    assert catalog.do(operations.get("default", OTTER)) is None


def test_a_document_deleted_while_it_is_written_does_not_come_back(
    valkey: Redis,
    catalog: Catalog,
    store: DocumentStore,
    index: VectorIndex,
    otter: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = VectorIndex.write_many

    def deleted_meanwhile(*arguments: Any) -> None:
        write(*arguments)
        catalog.do(operations.delete("default", OTTER))

    monkeypatch.setattr(VectorIndex, "write_many", deleted_meanwhile)
    job = _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()))
    assert _result(job)["status"] == "deleted"
    assert index.chunk_counts(tenant="default", collection="default") == {}


def test_a_deleted_document_leaves_the_index_unless_it_was_uploaded_again(
    valkey: Redis, catalog: Catalog, store: DocumentStore, index: VectorIndex, otter: Path
) -> None:
    _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()))
    delete = DeleteJob(document_id=OTTER)
    assert _result(_run(valkey, DELETE_JOB, delete))["status"] == "unchanged"
    assert len(_documents(index)) == 1
    catalog.do(operations.delete("default", OTTER))
    assert _result(_run(valkey, DELETE_JOB, delete))["status"] == "deleted"
    assert _documents(index) == []


def test_a_job_waits_for_another_of_its_document_and_goes_on_when_it_is_the_same_job_again(
    valkey: Redis, catalog: Catalog, store: DocumentStore, otter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "WAIT_FOR_OTHER_SECONDS", 0.0)
    valkey.set(f"rag:ingest:default/{OTTER}", "another job", ex=60)
    job = _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()), retries=1)
    assert job.get_status() is JobStatus.SCHEDULED
    valkey.set(f"rag:ingest:default/{OTTER}", job.id, ex=60)
    queue = Queue(INGEST_QUEUE, connection=valkey, serializer=PlainSerializer)
    queue.enqueue_job(job)
    SimpleWorker([queue], connection=valkey, serializer=PlainSerializer).work(burst=True)
    assert job.get_status(refresh=True) is JobStatus.FINISHED
    assert not valkey.exists(f"rag:ingest:default/{OTTER}")


def test_a_payload_that_is_none_fails_with_a_code(valkey: Redis) -> None:
    queue = Queue(INGEST_QUEUE, connection=valkey, serializer=PlainSerializer)
    job = queue.enqueue(INGEST_JOB, {"sha256": "../../etc/passwd"})
    SimpleWorker([queue], connection=valkey, serializer=PlainSerializer).work(burst=True)
    job.refresh()  # type: ignore[no-untyped-call]
    assert (job.get_status(), job.meta["error"]) == (JobStatus.FAILED, "payload_invalid")


def test_pages_are_counted_while_they_are_embedded(
    valkey: Redis,
    catalog: Catalog,
    store: DocumentStore,
    otter: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.model.embeddings.BATCH_SIZE", 1)
    monkeypatch.setenv("EMBEDDING_MODEL", "test-dims=8")
    seen: list[int] = []
    monkeypatch.setattr(jobs.Progress, "embedding", lambda _self, _document, pages_done: seen.append(pages_done))
    with ModelServer() as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        _result(_run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes())))
    assert seen == [0, 1, 2]


def test_the_command_fills_catalog_and_store_and_prune_empties_them(
    catalog: Catalog, store: DocumentStore, otter: Path, tmp_path: Path
) -> None:
    heron = pdfs.make_pdf(tmp_path / "heron.pdf", ["Herons wait."])
    assert main([str(tmp_path)]) == 0
    records = {record.filename: record for record in catalog.all("default")}
    assert set(records) == {NAME, "heron.pdf"}
    assert records[NAME].status is DocumentStatus.INDEXED
    with store.open("default", records[NAME].sha256) as file:
        assert file.read() == otter.read_bytes()
    otter.unlink()
    heron.rename(tmp_path / "grey heron.pdf")
    assert main([str(tmp_path), "--prune"]) == 0
    (left,) = catalog.all("default")
    assert (left.filename, left.document_id) == ("grey heron.pdf", records["heron.pdf"].document_id)
    assert not store.exists("default", records[NAME].sha256)


def test_what_the_catalog_lacks_is_shown_by_the_next_run_without_reading_a_page(
    catalog: Catalog, store: DocumentStore, otter: Path, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([str(otter)]) == 0
    valkey.flushall()
    monkeypatch.setattr("ingest.sync.apply.parse", None)  # would fail when called
    assert main([str(otter)]) == 0
    (record,) = catalog.all("default")
    assert (record.filename, record.pages) == (NAME, 2)


def test_repair_brings_the_catalog_back_from_the_index(
    catalog: Catalog, index: VectorIndex, otter: Path, valkey: Redis
) -> None:
    assert main([str(otter)]) == 0
    (before,) = catalog.all("default")
    valkey.flushall()
    assert main(["--repair"]) == 0
    (after,) = catalog.all("default")
    assert after.model_dump(exclude={"updated_at", "created_at"}) == before.model_dump(
        exclude={"updated_at", "created_at"}
    )
    assert repair(index, valkey) == 0
    index.delete(tenant="default", collection="default", document_id=after.document_id)
    pdfs.make_pdf(otter.with_name("heron.pdf"), ["Herons wait."])
    assert main([str(otter.with_name("heron.pdf"))]) == 0
    assert repair(index, valkey) == 1
    lost = catalog.do(operations.get("default", after.document_id))
    assert lost is not None
    assert lost.error is not None
    assert (lost.status, lost.error.code) == (DocumentStatus.FAILED, "not_indexed")


@pytest.mark.parametrize("is_indexed", [True, False])
def test_repair_ends_what_a_lost_job_left_unfinished(
    valkey: Redis, catalog: Catalog, store: DocumentStore, index: VectorIndex, otter: Path, is_indexed: bool
) -> None:
    """The index tells how: a worker may die between its last write and its last word."""
    payload = uploaded(catalog, store, otter.read_bytes())
    queue = Queue(INGEST_QUEUE, connection=valkey, serializer=PlainSerializer)
    waiting = queue.enqueue(INGEST_JOB, payload.model_dump(mode="json"))
    catalog.do(operations.update("default", OTTER, job_id=waiting.id))
    assert repair(index, valkey) == 0
    waiting.delete()
    if is_indexed:
        _run(valkey, INGEST_JOB, payload)
        catalog.do(operations.update("default", OTTER, status=DocumentStatus.EMBEDDING, chunks=0))
    assert repair(index, valkey) == 1
    record = catalog.do(operations.get("default", OTTER))
    assert record is not None
    assert record.status is (DocumentStatus.INDEXED if is_indexed else DocumentStatus.FAILED)
    assert record.chunks == (2 if is_indexed else 0)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_job_that_is_told_to_end_leaves_before_it_writes(
    valkey: Redis,
    catalog: Catalog,
    store: DocumentStore,
    index: VectorIndex,
    otter: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_cancelled: bool,
) -> None:
    """Cancelled, the document has failed; put back by a worker that stops, it waits."""

    def told_meanwhile(*arguments: Any) -> Any:
        record = get_current_job()
        assert record is not None
        record.is_told_to_end = True  # type: ignore[attr-defined]
        if is_cancelled:
            valkey.hset(record.key, "stop_requested", "1")
        return parse(*arguments)

    monkeypatch.setattr(jobs, "parse", told_meanwhile)
    _run(valkey, INGEST_JOB, uploaded(catalog, store, otter.read_bytes()))
    assert _documents(index) == []
    record = catalog.do(operations.get("default", OTTER))
    assert record is not None
    assert record.status is (DocumentStatus.FAILED if is_cancelled else DocumentStatus.QUEUED)
    assert (record.error.code if record.error else None) == ("stopped" if is_cancelled else None)
