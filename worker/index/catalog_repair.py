"""The catalog as a projection of the index: a document's record for the API, and the repair of all of them."""

from datetime import UTC, datetime
from typing import Any

from redis import Redis
from rq.job import Job
from rq.job import JobStatus as RqStatus

from app.core.contract import DEFAULT_TENANT
from app.core.documents import operations
from app.core.documents.catalog import Catalog
from app.core.documents.operations import FileBusyError
from app.core.documents.records import AT_WORK, JOB_LOST, Changes, DocumentError, DocumentRecord, DocumentStatus
from app.core.formats import by_name_or_pdf
from app.core.logging import get_logger
from app.core.queue.erasing import TenantBeingErasedError
from app.core.queue.versions import raise_all
from worker.index.vector_index import Document, VectorIndex

NOT_INDEXED = DocumentError(
    code="not_indexed", message="The index does not hold this document any more. Upload or ingest it again."
)
OVER = frozenset({RqStatus.FINISHED, RqStatus.FAILED, RqStatus.STOPPED, RqStatus.CANCELED})

log = get_logger(__name__)


def indexed_record(document: Document) -> DocumentRecord:
    """What the catalog says of an indexed document. Raises `ValueError` when the index holds what it must not."""
    now = datetime.now(UTC)
    return DocumentRecord(
        document_id=document.document_id,
        collection=document.collection,
        filename=document.filename,
        title=document.title,
        sha256=document.sha256,
        size_bytes=document.size_bytes,
        media_type=by_name_or_pdf(document.filename).media_type,
        status=DocumentStatus.INDEXED,
        pages=document.pages,
        pages_done=document.pages,
        chunks=document.chunks,
        missing_pages=document.missing_pages,
        created_at=datetime.fromisoformat(document.ingested_at),
        updated_at=now,
    )


def is_shown(record: DocumentRecord | None, document: Document) -> bool:
    """Whether the catalog shows the document as the index has it, or what became of a newer version of it."""
    if record is None:
        return False
    if record.status is DocumentStatus.FAILED and record.sha256 != document.sha256:
        return True
    is_same = (record.sha256, record.filename, record.chunks) == (
        document.sha256,
        document.filename,
        document.chunks,
    )
    return record.status in AT_WORK or (record.status is DocumentStatus.INDEXED and is_same)


def repair(index: VectorIndex, connection: "Redis") -> int:
    """Bring the catalog to match the index and the queue; how many records were changed.

    Documents that the index lost are kept as failed, since their files may be here still, and so are those whose job
    died without a word. Raises `ServiceError`, or what redis-py raises when Valkey is unavailable.
    """
    raise_all(connection)  # the index may have changed while no Valkey heard of it
    catalog = Catalog(connection)
    indexed: dict[str, set[str]] = {DEFAULT_TENANT: set()}
    repaired = 0
    for document in index.documents():
        indexed.setdefault(document.tenant, set()).add(document.document_id)
        repaired += _show(document, catalog, connection)
    for tenant, ids in indexed.items():
        for record in catalog.all(tenant):
            if record.status is DocumentStatus.INDEXED and record.document_id not in ids:
                repaired += _fail(catalog, tenant, record, NOT_INDEXED)
            elif _is_abandoned(record, connection) and _still(catalog, tenant, record):
                repaired += _fail(catalog, tenant, record, JOB_LOST)
    return repaired


def _still(catalog: Catalog, tenant: str, record: DocumentRecord) -> bool:
    """Whether the record is as it was: its job may have ended well since it was read."""
    return catalog.do(operations.get(tenant, record.document_id)) == record


def _show(document: Document, catalog: Catalog, connection: "Redis") -> bool:
    """Whether the document had to be written into the catalog."""
    record = catalog.do(operations.get(document.tenant, document.document_id))
    is_left_behind = _is_abandoned(record, connection) and record is not None and record.sha256 == document.sha256
    if is_shown(record, document) and not is_left_behind:
        return False
    try:
        catalog.do(operations.put(document.tenant, indexed_record(document)))
    except (ValueError, FileBusyError, TenantBeingErasedError) as error:
        log.warning("document_not_shown", document_id=document.document_id, reason=type(error).__name__)
        return False
    return True


def _fail(catalog: Catalog, tenant: str, record: DocumentRecord, error: DocumentError) -> bool:
    changes: Changes = {"status": DocumentStatus.FAILED, "error": error}
    return catalog.do(operations.update(tenant, record.document_id, if_sha256=record.sha256, **changes))


def _is_abandoned(record: DocumentRecord | None, connection: "Redis") -> bool:
    """Whether the job that is to index the document has ended, and the record does not know."""
    if record is None or record.status not in AT_WORK or record.job_id is None:
        return False
    status: Any = connection.hget(Job.key_for(record.job_id), "status")
    return status is None or status.decode(errors="replace") in OVER
