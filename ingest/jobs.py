"""The jobs of the ingestion queue: a stored file's way into the index, and a document's way out of it.

A document's jobs run one after the other. The catalog says which bytes are wanted now: a job whose upload was
replaced or deleted since gives way, so that nothing comes back.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from time import monotonic, sleep
from typing import Any, Literal, Unpack
from uuid import uuid4

import structlog
from redis import Redis
from rq import get_current_job
from rq.job import Job

from app.core.contract import DeleteJob, IngestJob, IngestResult, Stage
from app.core.documents.catalog import Catalog, Changes, DocumentError, DocumentStatus
from app.core.documents.files import DocumentStore, open_store
from app.core.errors import ErrorCode, ServiceError
from app.core.logging import configure_logging, get_logger
from app.core.queue.producer import VALKEY_AWAY, connect
from app.core.services import redis_url
from app.core.settings import Settings
from ingest.boundary import boundary, is_told_to_end, note
from ingest.chunking.splitter import Splitter
from ingest.indexing.embedder import Embedder, open_budget
from ingest.indexing.writer import Target, Writer, parse
from ingest.reading.pool import ReaderPool
from ingest.sync.naming import naming_of
from worker.index.vector_index import Document, VectorIndex, open_index

WAIT_FOR_OTHER_SECONDS = 60.0
"""How long a job holds its thread while another one of the same document runs; then it is tried again later."""
WAIT_POLL_SECONDS = 0.25

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process makes once and every ingestion job shares."""

    settings: Settings
    connection: "Redis"
    index: VectorIndex
    store: DocumentStore
    reader: ReaderPool
    splitter: Splitter
    writer: Writer

    def close(self) -> None:
        """Close every connection and end the children that parse; jobs must have ended."""
        self.writer.close()
        self.reader.__exit__(None, None, None)
        self.index.close()
        self.connection.close()


def open_resources(settings: Settings) -> Resources:
    """Make them. Opens no connection. Raises `ConfigurationError` when there is no Qdrant or Valkey to go to."""
    connection, index = connect(redis_url(settings)), open_index(settings)
    return Resources(
        settings=settings,
        connection=connection,
        index=index,
        store=open_store(settings),
        reader=ReaderPool(use_ocr=settings.ocr),
        splitter=Splitter(settings.chunk_size, settings.chunk_overlap),
        writer=Writer(index, Embedder(index, open_budget(connection, settings)).embed),
    )


_lock = Lock()
_shared: Resources | None = None


def shared() -> Resources:
    """The process's resources, made from the environment by the first job."""
    global _shared
    with _lock:
        if _shared is None:
            settings = Settings()
            if not structlog.is_configured():  # under RQ's own command
                configure_logging(settings)
            _shared = open_resources(settings)
        return _shared


def close_shared() -> None:
    """Let go of the process's resources."""
    global _shared
    with _lock:
        if _shared is not None:
            _shared.close()
        _shared = None


def index_document(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Index the stored file of the `IngestJob` in `payload`; returns an `IngestResult` as plain data.

    Raises `JobFailedError` when it can't; the job's metadata and the catalog then hold the code.
    """
    record = get_current_job()
    progress: Progress | None = None

    def on_failed(failure: DocumentError, is_tried_again: bool) -> None:
        if progress is not None:
            progress.failed(failure, is_tried_again=is_tried_again)

    with boundary(record, "ingest", on_failed):
        job = IngestJob.model_validate(payload)
        structlog.contextvars.bind_contextvars(request_id=job.request_id)
        resources = shared()
        progress = Progress(job, record, Catalog(resources.connection))
        with _alone(resources, job, record):
            try:
                return _index(job, resources, progress).model_dump(mode="json")
            except OvertakenError as error:
                if error.is_deleted:
                    _delete(resources.index, job)
                status: Literal["unchanged", "deleted"] = "deleted" if error.is_deleted else "unchanged"
                return IngestResult(document_id=job.document_id, status=status).model_dump(mode="json")


def delete_document(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Delete the chunks of the document in the `DeleteJob` in `payload`, unless it was uploaded again since."""
    record = get_current_job()
    with boundary(record, "delete", lambda *_: None):
        job = DeleteJob.model_validate(payload)
        structlog.contextvars.bind_contextvars(request_id=job.request_id)
        resources = shared()
        with _alone(resources, job, record):
            is_back = Catalog(resources.connection).get(job.tenant, job.document_id) is not None
            if not is_back:
                _delete(resources.index, job)
        result = IngestResult(document_id=job.document_id, status="unchanged" if is_back else "deleted")
        return result.model_dump(mode="json")


class OvertakenError(Exception):
    """The document was replaced by a newer upload, or deleted, while the job waited or ran."""

    def __init__(self, *, is_deleted: bool) -> None:
        super().__init__("deleted" if is_deleted else "replaced")
        self.is_deleted = is_deleted


class ToldToEndError(Exception):
    """The worker wants the job to leave."""


class Progress:
    """Tells the job's record and the catalog how far a document is.

    Raises `OvertakenError` when the document is not wanted any more, and `ToldToEndError` before it is written.
    """

    def __init__(self, job: IngestJob, record: Job | None, catalog: Catalog) -> None:
        self._job = job
        self._record = record
        self._catalog = catalog

    def parsing(self) -> None:
        """The file is being read."""
        note(self._record, stage=Stage.PARSING.value)
        self._update(status=DocumentStatus.PARSING, error=None, pages_done=0)

    def embedding(self, document: Document, pages_done: int) -> None:
        """All pages are read, and so many are embedded."""
        note(self._record, stage=Stage.EMBEDDING.value, pages=document.pages, pages_done=pages_done)
        self._update(status=DocumentStatus.EMBEDDING, pages=document.pages, pages_done=pages_done)

    def indexed(self, document: Document) -> None:
        """The document stands in the index."""
        note(self._record, pages=document.pages, pages_done=document.pages)
        self._update(
            status=DocumentStatus.INDEXED,
            error=None,
            title=document.title,
            pages=document.pages,
            pages_done=document.pages,
            chunks=document.chunks,
            missing_pages=document.missing_pages,
        )

    def failed(self, error: DocumentError, *, is_tried_again: bool) -> None:
        """The attempt failed."""
        with suppress(OvertakenError):
            if is_tried_again:
                self._update(status=DocumentStatus.QUEUED)
            else:
                self._update(status=DocumentStatus.FAILED, error=error)

    def _update(self, **changes: Unpack[Changes]) -> None:
        job = self._job
        if is_told_to_end(self._record) and changes["status"] in (DocumentStatus.PARSING, DocumentStatus.EMBEDDING):
            raise ToldToEndError
        try:
            if self._catalog.update(job.tenant, job.document_id, if_sha256=job.sha256, **changes):
                return
            standing = self._catalog.get(job.tenant, job.document_id)
        except VALKEY_AWAY as away:  # the catalog is a projection, which is repaired later
            log.warning("valkey_away", during="progress", reason=type(away).__name__)
            return
        raise OvertakenError(is_deleted=standing is None)


def _index(job: IngestJob, resources: Resources, progress: Progress) -> IngestResult:
    progress.parsing()
    naming = naming_of(resources.settings, job.collection, tenant=job.tenant)
    version = naming.version(job.sha256)
    if (known := _standing(resources.index, job, version)) is not None:
        progress.indexed(known)
        return _result(known, "unchanged")
    target = Target(
        tenant=job.tenant,
        collection=job.collection,
        document_id=job.document_id,
        version=version,
        filename=job.filename,
        source=job.source or "",
        sha256=job.sha256,
    )
    with resources.store.local_path(job.tenant, job.sha256) as path:
        parsed = parse(path, target, resources.reader, resources.splitter)
    progress.embedding(parsed.document, 0)
    (document,) = resources.writer.write(
        [parsed],
        on_embedded=lambda done: progress.embedding(parsed.document, parsed.chunks[done - 1].page),
    )
    resources.writer.drop_others(document)
    progress.indexed(document)
    return _result(document, "indexed")


def _standing(index: VectorIndex, job: IngestJob, version: str) -> Document | None:
    """The document as it is indexed, when it is this version and nothing else, and whole."""
    where: dict[str, Any] = {"tenant": job.tenant, "collection": job.collection, "document_id": job.document_id}
    found = list(index.documents(**where))
    if len(found) != 1 or found[0].version != version or found[0].filename != job.filename:
        return None
    is_whole = index.chunk_counts(**where).get(job.document_id) == found[0].chunks
    return found[0] if is_whole else None


@contextmanager
def _alone(resources: Resources, job: IngestJob | DeleteJob, record: Job | None) -> Iterator[None]:
    """While no other job of this document runs. A job that is run again after its worker's death is the same job."""
    connection = resources.connection
    key = f"rag:ingest:{job.tenant}:{job.document_id}"
    holder = (record.id if record is not None else uuid4().hex).encode()
    seconds = resources.settings.ingest_timeout_seconds
    give_up = monotonic() + WAIT_FOR_OTHER_SECONDS
    while not connection.set(key, holder, nx=True, ex=seconds) and connection.get(key) != holder:
        if monotonic() > give_up:
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE)
        sleep(WAIT_POLL_SECONDS)
    try:
        yield
    finally:
        with suppress(*VALKEY_AWAY):  # it expires
            if connection.get(key) == holder:
                connection.delete(key)


def _delete(index: VectorIndex, job: IngestJob | DeleteJob) -> None:
    index.delete(tenant=job.tenant, collection=job.collection, document_id=job.document_id)


def _result(document: Document, status: Literal["indexed", "unchanged"]) -> IngestResult:
    return IngestResult(
        document_id=document.document_id,
        status=status,
        pages=document.pages,
        chunks=document.chunks,
        missing_pages=document.missing_pages,
    )
