"""Documents as the API has them: a record in the catalog, a file in the store, and a job that indexes it.

The steps are ordered so that a process that dies between two of them leaves nothing that the next upload, the next
DELETE or `python -m ingest --repair` does not set right.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool
from redis.asyncio import Redis

from app.core.contract import INGEST_QUEUE, DeleteJob, IngestJob
from app.core.documents import operations
from app.core.documents.catalog import AsyncCatalog
from app.core.documents.files import DocumentStore, StorageUnavailableError
from app.core.documents.ids import document_id
from app.core.documents.records import DocumentRecord, DocumentStatus, Page, new_record
from app.core.logging import get_logger
from app.core.queue.producer import Idempotency, IdempotencyConflictError, JobNotFoundError, JobQueue
from app.core.settings import Settings
from app.documents.uploads import ReceivedFile

log = get_logger(__name__)


class DocumentNotFoundError(Exception):
    """The tenant has no such document."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where documents go, and on whose request."""

    tenant: str
    collection: str
    request_id: str | None = None
    weight: int = 1


class Documents:
    """Adds, shows and removes documents. Methods raise `VALKEY_UNAVAILABLE`; those that change something also
    `QueueFullError`, `QueueShareError`, `FileBusyError` and `StorageUnavailableError`. `store` has the files."""

    def __init__(self, valkey: "Redis", store: DocumentStore, queue: JobQueue, settings: Settings) -> None:
        self._valkey = valkey
        self._catalog = AsyncCatalog(valkey)
        self.store = store
        self._queue = queue
        self._settings = settings
        quota = operations.Quota(settings.tenant_max_documents, settings.tenant_max_stored_mb)
        self._quota = quota if settings.has_credentials else None

    async def check_room(self, tenant: str) -> None:
        """Raise as `JobQueue.check_room` while no document can be taken: better before an upload than after it."""
        await self._queue.check_room(INGEST_QUEUE, tenant=tenant)

    async def is_replay(self, place: Place, files: Sequence[ReceivedFile], idempotency: Idempotency) -> bool:
        """Whether this request was made before under this key.

        Raises `IdempotencyConflictError` when the key was used with another one.
        """
        request = [place.tenant, place.collection, [(file.filename, file.draft.sha256) for file in files]]
        fingerprint = hashlib.sha256(json.dumps(request).encode()).hexdigest()
        seconds = self._settings.result_ttl_seconds
        first = await self._valkey.set(idempotency.place, fingerprint, nx=True, get=True, ex=seconds)
        if first is not None and first != fingerprint.encode():
            raise IdempotencyConflictError
        return first is not None

    async def add(self, place: Place, file: ReceivedFile, *, is_replay: bool = False) -> DocumentRecord:
        """Keep a file that has no refusal, and put its indexing on the queue; the document as it now is.

        With `is_replay`, a document with these bytes is returned as it is. Raises `LimitReachedError` when the tenant
        would have more than it may.
        """
        assert file.format is not None
        job = _ingest_job(place, file)
        record = new_record(job, size_bytes=file.draft.size, media_type=file.format.media_type)
        if is_replay:
            standing = await self._catalog.do(operations.get(place.tenant, record.document_id))
            if standing is not None and standing.sha256 == record.sha256 and standing.job_id is not None:
                return standing
        put = operations.put(place.tenant, record, quota=self._quota)
        replaced = await self._catalog.do(put)  # nobody removes the bytes now
        try:
            await run_in_threadpool(file.draft.keep, place.tenant)
            job_id = (await self._queue.submit(job, weight=place.weight)).job_id
        except Exception:
            await self._put_back(place.tenant, record, replaced)
            raise
        is_wanted = await self._catalog.do(
            operations.update(place.tenant, record.document_id, if_sha256=record.sha256, job_id=job_id)
        )
        if not is_wanted:  # deleted or replaced by another request since; its job will find that out, too
            await self._remove_unused_file(place.tenant, record.sha256)
        if replaced is not None and replaced.sha256 != record.sha256:
            await self._remove_unused_file(place.tenant, replaced.sha256)
        created_at = replaced.created_at if replaced is not None else record.created_at
        return record.model_copy(update={"job_id": job_id, "created_at": created_at})

    async def get(self, tenant: str, document: str) -> DocumentRecord:
        """The document. Raises `DocumentNotFoundError`."""
        with suppress(ValueError):  # an id that can be no document's
            if (record := await self._catalog.do(operations.get(tenant, document))) is not None:
                return record
        raise DocumentNotFoundError

    async def list(self, tenant: str, *, collection: str | None, after: int | None, limit: int) -> Page:
        """The tenant's documents, the newest first."""
        return await self._catalog.do(operations.page(tenant, collection=collection, after=after, limit=limit))

    async def remove(self, tenant: str, document: str, *, request_id: str | None = None, weight: int = 1) -> None:
        """Forget a document and its file at once; its chunks leave the index by a job.

        The catalog forgets it first, so that a job which is just indexing it learns that it is overtaken. Raises
        `DocumentNotFoundError`.
        """
        record = await self.get(tenant, document)
        await self._catalog.do(operations.delete(tenant, document))
        job = DeleteJob(tenant=tenant, collection=record.collection, document_id=document, request_id=request_id)
        try:
            await self._queue.submit(job, weight=weight)
        except Exception:
            await self._catalog.do(operations.put(tenant, record))
            raise
        if record.status is DocumentStatus.QUEUED and record.job_id is not None:
            with suppress(JobNotFoundError):
                await self._queue.cancel(record.job_id, tenant=tenant)
        await self._remove_unused_file(tenant, record.sha256)

    async def _put_back(self, tenant: str, record: DocumentRecord, replaced: DocumentRecord | None) -> None:
        """Undo `put`, unless another request has changed the document since."""
        standing = await self._catalog.do(operations.get(tenant, record.document_id))
        if standing is not None and (standing.sha256, standing.job_id) == (record.sha256, None):
            if replaced is not None:
                await self._catalog.do(operations.put(tenant, replaced))
            else:
                await self._catalog.do(operations.delete(tenant, record.document_id))
        await self._remove_unused_file(tenant, record.sha256)

    async def _remove_unused_file(self, tenant: str, sha256: str) -> None:
        """A store that is unavailable keeps the file: nothing names it any more, and nobody waits for that."""
        if not await self._catalog.do(operations.begin_removal(tenant, sha256)):
            return
        try:
            await run_in_threadpool(self.store.delete, tenant, sha256)
        except StorageUnavailableError:
            log.warning("file_not_removed", tenant=tenant, sha256=sha256)
        finally:
            await self._catalog.do(operations.end_removal(tenant, sha256))


def _ingest_job(place: Place, file: ReceivedFile) -> IngestJob:
    assert file.filename is not None
    return IngestJob(
        tenant=place.tenant,
        collection=place.collection,
        document_id=document_id(place.tenant, place.collection, file.filename),
        filename=file.filename,
        sha256=file.draft.sha256,
        request_id=place.request_id,
    )
