"""The jobs of the ingestion queue: a stored file's way into the index, and a document's way out of it.

A document's jobs run one after the other. The catalog says which bytes are wanted now: a job whose upload was
replaced or deleted since gives way, so that nothing comes back.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from time import monotonic, perf_counter, sleep, time
from typing import Any, Literal, Unpack
from uuid import uuid4

from rq.job import Job

from app.core.contract import DeleteJob, IngestJob, IngestResult, Stage
from app.core.documents import operations
from app.core.documents.catalog import Catalog
from app.core.documents.records import Changes, DocumentError, DocumentStatus
from app.core.errors import ErrorCode, ServiceError
from app.core.logging import get_logger
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.locks import take_lock
from app.core.tracing.process import tracing
from ingest.failures import document_error, failure_of_document
from ingest.indexing.writer import Target, parse
from ingest.resources import Ingestion, open_ingestion
from ingest.sync.naming import naming_of
from worker.index.vector_index import Document, VectorIndex
from worker.resources import shared
from worker.runtime.boundary import Failure, boundary, is_told_to_end, note
from worker.runtime.measures import measures
from worker.runtime.retries import Backoff

BACKOFF = Backoff(base_seconds=2.0, max_seconds=60.0)

WAIT_FOR_OTHER_SECONDS = 60.0
"""How long a job holds its thread while another one of the same document runs; then it is tried again later."""
WAIT_POLL_SECONDS = 0.25

log = get_logger(__name__)


def prepare() -> None:
    """Open what this module's jobs share. Raises `ConfigurationError` when there is no Qdrant or Valkey to go to."""
    shared(open_ingestion)


def index_document(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Index the stored file of the `IngestJob` in `payload`; returns an `IngestResult` as plain data.

    Raises `JobFailedError` when it can't; the job's metadata and the catalog then hold the code.
    """
    progress: Progress | None = None

    def on_failed(failure: Failure | None, *, is_tried_again: bool) -> None:
        if progress is not None:
            progress.failed(document_error(failure), is_tried_again=is_tried_again)
            if failure is not None and not is_tried_again:
                measures().document("failed", job.filename)

    with boundary("ingest", payload, backoff=BACKOFF, classify=failure_of_document, on_failed=on_failed) as record:
        job = IngestJob.model_validate(payload)
        resources = shared(open_ingestion)
        progress = Progress(job, record, Catalog(resources.connection))
        with _alone(resources, job, record):
            began = perf_counter()
            try:
                result = _index(job, resources, progress)
            except OvertakenError as error:
                if error.is_deleted:
                    _delete(resources.index, job)
                status: Literal["unchanged", "deleted"] = "deleted" if error.is_deleted else "unchanged"
                result = IngestResult(document_id=job.document_id, status=status)
            measures().document(result.status, job.filename, pages=result.pages, ran=perf_counter() - began)
            return result.model_dump(mode="json")


def delete_document(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Delete the chunks of the document in the `DeleteJob` in `payload`, unless it was uploaded again since."""
    with boundary("delete", payload, backoff=BACKOFF, classify=failure_of_document) as record:
        job = DeleteJob.model_validate(payload)
        resources = shared(open_ingestion)
        with _alone(resources, job, record):
            is_back = Catalog(resources.connection).do(operations.get(job.tenant, job.document_id)) is not None
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
        self._began: dict[str, int] = {}

    def parsing(self) -> None:
        """The file is being read."""
        note(self._record, **self._stage(Stage.PARSING))
        self._update(status=DocumentStatus.PARSING, error=None, pages_done=0)

    def embedding(self, document: Document, pages_done: int) -> None:
        """All pages are read, and so many are embedded."""
        note(self._record, **self._stage(Stage.EMBEDDING), pages=document.pages, pages_done=pages_done)
        self._update(status=DocumentStatus.EMBEDDING, pages=document.pages, pages_done=pages_done)

    def _stage(self, stage: Stage) -> dict[str, object]:
        """What the record has of the stage: its name, and when each stage of this attempt began."""
        self._began.setdefault(stage.value, int(time() * 1000))
        return {"stage": stage.value, "stages": dict(self._began)}

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
            if self._catalog.do(operations.update(job.tenant, job.document_id, if_sha256=job.sha256, **changes)):
                return
            standing = self._catalog.do(operations.get(job.tenant, job.document_id))
        except VALKEY_UNAVAILABLE as error:  # the catalog is a projection, which is repaired later
            log.warning("valkey_unavailable", during="progress", reason=type(error).__name__)
            return
        raise OvertakenError(is_deleted=standing is None)


def _index(job: IngestJob, resources: Ingestion, progress: Progress) -> IngestResult:
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
    with tracing().step("index document") as step:
        with resources.store.local_path(job.tenant, job.sha256) as path:
            parsed = parse(path, target, resources.reader, resources.splitter)
        step.set("rag.document.pages", parsed.document.pages)
        step.set("rag.document.chunks", len(parsed.chunks))
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
def _alone(resources: Ingestion, job: IngestJob | DeleteJob, record: Job | None) -> Iterator[None]:
    """While no other job of this document runs. A job that is run again after its worker's death is the same job."""
    connection = resources.connection
    key = f"rag:ingest:{job.tenant}/{job.document_id}"
    holder = record.id if record is not None else uuid4().hex
    seconds = resources.settings.ingest_timeout_seconds
    give_up = monotonic() + WAIT_FOR_OTHER_SECONDS
    while not take_lock(connection, key, holder, seconds=seconds) and connection.get(key) != holder.encode():
        if monotonic() > give_up:
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE)
        sleep(WAIT_POLL_SECONDS)
    try:
        yield
    finally:
        with suppress(*VALKEY_UNAVAILABLE):  # it expires
            if connection.get(key) == holder.encode():
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
