"""What else follows the index when a Valkey runs: the catalog that the API shows, and the files that it serves.

Both are projections: their absence never fails an ingest, and `python -m ingest --repair` brings the catalog back.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.contract import IngestJob
from app.core.documents import operations
from app.core.errors import ErrorCode
from app.core.formats import by_name_or_pdf
from app.core.logging import get_logger
from app.core.settings import Settings
from ingest.reading.files import open_regular
from ingest.reading.reasons import FileError, Reason
from worker.index.vector_index import Document

if TYPE_CHECKING:
    from redis import Redis

    from app.core.documents.catalog import Catalog
    from app.core.documents.files import DocumentStore
    from app.core.documents.records import DocumentRecord

log = get_logger(__name__)


def open_mirror(connection: "Redis", settings: Settings, *, tenant: str, collection: str) -> "Mirror | None":
    """The mirror, or None when Valkey does not answer."""
    from app.core.documents.catalog import Catalog
    from app.core.documents.files import open_store
    from app.core.queue.connections import VALKEY_UNAVAILABLE

    catalog = Catalog(connection)
    try:
        known = {record.document_id: record for record in catalog.all(tenant, collection=collection)}
    except VALKEY_UNAVAILABLE as error:
        log.warning("valkey_unavailable", during="ingest", reason=type(error).__name__)
        return None
    return Mirror(catalog, open_store(settings), tenant, known)


class Mirror:
    """Keeps catalog and store in step with what was done to the index. Safe to share between threads."""

    def __init__(
        self, catalog: "Catalog", store: "DocumentStore", tenant: str, known: "dict[str, DocumentRecord]"
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._tenant = tenant
        self._known = known

    def shows(self, document: Document) -> bool:
        """Whether the catalog had the document as it stands, when the run began."""
        from worker.index.catalog_repair import is_shown

        return is_shown(self._known.get(document.document_id), document)

    def indexed(self, document: Document, path: Path) -> None:
        """The document is indexed from the file at `path`, a real path."""
        self._try(lambda: self._put(document, path))

    def queued(self, job: IngestJob, path: Path, job_id: str) -> Reason | ErrorCode | None:
        """Keep the file at `path` for the worker that runs `job`; why that is not possible, if so."""
        from app.core.documents.files import StorageUnavailableError
        from app.core.documents.operations import FileBusyError
        from app.core.documents.records import new_record
        from app.core.queue.erasing import TenantBeingErasedError

        try:
            sha256, size_bytes = self._keep(path)
            if sha256 != job.sha256:
                self._drop_unused(sha256)
                return Reason.CHANGED
            media_type = by_name_or_pdf(job.filename).media_type
            record = new_record(job, size_bytes=size_bytes, media_type=media_type, job_id=job_id)
            self._put_record(record)
        except FileError as error:
            return error.reason
        except OSError:
            return Reason.UNREADABLE
        except (StorageUnavailableError, FileBusyError, TenantBeingErasedError) as error:
            log.warning("file_not_kept", document_id=job.document_id, reason=type(error).__name__)
            return ErrorCode.INTERNAL
        return None

    def deleted(self, document_id: str) -> None:
        """The document is no longer in the index."""
        self._try(lambda: self._delete(document_id))

    def _keep(self, path: Path) -> tuple[str, int]:
        with open_regular(path) as opened:
            return self._store.put_file(self._tenant, opened)

    def _put(self, document: Document, path: Path) -> None:
        from worker.index.catalog_repair import indexed_record

        sha256, size_bytes = self._keep(path)
        if sha256 != document.sha256:  # it has changed since; the next run brings both in step
            self._drop_unused(sha256)
            return
        self._put_record(indexed_record(replace(document, size_bytes=size_bytes)))

    def _put_record(self, record: "DocumentRecord") -> None:
        replaced = self._catalog.do(operations.put(self._tenant, record))
        if replaced is not None and replaced.sha256 != record.sha256:
            self._drop_unused(replaced.sha256)

    def _delete(self, document_id: str) -> None:
        record = self._catalog.do(operations.delete(self._tenant, document_id))
        if record is not None:
            self._drop_unused(record.sha256)

    def _drop_unused(self, sha256: str) -> None:
        if self._catalog.do(operations.begin_removal(self._tenant, sha256)):
            try:
                self._store.delete(self._tenant, sha256)
            finally:
                self._catalog.do(operations.end_removal(self._tenant, sha256))

    def _try(self, act: Callable[[], None]) -> None:
        from app.core.documents.files import StorageUnavailableError
        from app.core.documents.operations import FileBusyError
        from app.core.queue.connections import VALKEY_UNAVAILABLE
        from app.core.queue.erasing import TenantBeingErasedError

        busy = (FileBusyError, TenantBeingErasedError)
        try:
            act()
        except (*VALKEY_UNAVAILABLE, *busy, StorageUnavailableError, FileError, OSError, ValueError) as error:
            log.warning("document_not_shown", reason=type(error).__name__)
