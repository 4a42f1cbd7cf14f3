"""`python -m ingest export`: documents with their chunks, vectors and files, from the index into one archive."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import IO

from pydantic import ValidationError

from app.core.documents.files import (
    COPY_BYTES,
    DocumentStore,
    StorageUnavailableError,
    StoredFileNotFoundError,
    open_store,
)
from app.core.errors import ErrorCode, ServiceError
from app.core.logging import get_logger
from app.core.opening import open_real
from app.core.settings import Settings
from ingest.moving.known import Known, known_of, said, valkey
from ingest.moving.lines import DocumentLine, Head
from ingest.moving.reader import Counts
from ingest.moving.writer import ArchiveWriter
from ingest.sync.own_qdrant import located
from worker.http.qdrant import NotFoundError
from worker.index.points import Document, Point
from worker.index.vector_index import open_index_of
from worker.index.whole_points import WholePoints

GROUP_CHUNKS = 1_000
"""Of documents that are read together: some 10 MB of memory."""
GROUP_DOCUMENTS = 200
READ_ATTEMPTS = 5
"""Of a document that changes while it is read."""

OnProgress = Callable[[int, int], None]
"""Is told how many chunks are done, and of how many."""

log = get_logger(__name__)


@dataclass(slots=True)
class Exported:
    """What is in the archive, and what is not: documents that are not indexed, or went while they were read; those
    whose file is not kept. `has_valkey`: whether the catalog and the collections' titles could be asked for."""

    counts: Counts
    embedding_model: str
    has_valkey: bool
    not_indexed: int = 0
    gone: int = 0
    without_file: int = 0


def export(
    settings: Settings, stream: IO[bytes], *, tenant: str | None, collection: str | None, on_progress: OnProgress
) -> Exported:
    """Write the archive to `stream`. Raises `ServiceError`, `QdrantStartError` or `ConfigurationError`."""
    with ExitStack() as stack:
        found = stack.enter_context(located(settings))
        assert found is not None  # only a dry run makes none
        index = stack.enter_context(closing(open_index_of(found, "", None)))
        connection = stack.enter_context(valkey(settings))
        current = index.generations().current
        model = current.model if current is not None and current.dense_size is not None else ""
        dimension = current.dense_size if model and current is not None else None
        head = Head(made_at=datetime.now(UTC), embedding_model=model, dimension=dimension)
        archive = stack.enter_context(ArchiveWriter(stream, head))
        exported = Exported(archive.counts, model, connection is not None)
        known: dict[str, Known] = {}
        documents = _newest(index.documents(tenant=tenant, collection=collection))
        if connection is not None:
            known = {each: known_of(connection, each) for each in sorted({one.tenant for one in documents})}
            exported.not_indexed = sum(one.not_indexed for one in known.values()) if collection is None else 0
            for line in said(connection, tenant=tenant, collection=collection):
                archive.collection(*line)
        if current is not None:
            points = WholePoints(index.http, current)
            work = _Export(archive, points, open_store(settings), known, exported, on_progress)
            try:
                work.run(_in_order(documents, known))
            except NotFoundError as error:  # it has been re-embedded, and another collection has its place
                raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error
        archive.end()
        return exported


class _Export:
    def __init__(
        self,
        archive: ArchiveWriter,
        points: WholePoints,
        store: DocumentStore,
        known: dict[str, Known],
        exported: Exported,
        on_progress: OnProgress,
    ) -> None:
        self._archive = archive
        self._points = points
        self._store = store
        self._known = known
        self._exported = exported
        self._on_progress = on_progress
        self._files: set[tuple[str, str]] = set()

    def run(self, documents: Sequence[Document]) -> None:
        """Write all of them, in their order."""
        total, done = sum(document.chunks for document in documents), 0
        for group in _groups(documents):
            whole = self._points.read(group)
            for document in group:
                points = whole.get(document)
                self._write(document) if points is None else self._put(document, points)
            done += sum(document.chunks for document in group)
            self._on_progress(done, total)

    def _write(self, document: Document) -> None:
        """One that was not whole when it was read: it has changed, or it is gone."""
        for _ in range(READ_ATTEMPTS):
            standing = self._points.standing(document)
            if standing is None:
                break
            points = self._points.read([standing]).get(standing)
            if points is not None:
                self._put(standing, points)
                return
        self._exported.gone += 1

    def _put(self, document: Document, points: Sequence[Point]) -> None:
        created_at = self._known.get(document.tenant, Known()).created_at.get(document.document_id)
        try:
            DocumentLine(**asdict(document), created_at=created_at)
        except ValidationError as error:  # the index holds what it must not, and nobody could import it
            log.warning("document_not_exported", document_id=document.document_id, errors=error.error_count())
            self._exported.gone += 1
            return
        self._put_file(document)
        self._archive.document(document, points, created_at)

    def _put_file(self, document: Document) -> None:
        key = document.tenant, document.sha256
        if key in self._files:
            return
        try:
            with self._store.local_path(*key) as path, open_real(path) as file:
                size, sha256 = _hashed(file)
                if sha256 == document.sha256:  # looked at before the first byte is written
                    file.seek(0)
                    self._archive.file(*key, size, file)
                    self._files.add(key)
                    return
                log.warning("file_not_exported", document_id=document.document_id, reason="damaged")
        except StoredFileNotFoundError:
            pass
        except (StorageUnavailableError, OSError) as error:
            log.warning("file_not_exported", document_id=document.document_id, reason=type(error).__name__)
        self._exported.without_file += 1


def _hashed(file: IO[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while data := file.read(COPY_BYTES):
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()


def _newest(documents: Iterable[Document]) -> list[Document]:
    """Of each document one version: the newest, where an update was killed before the old one was deleted."""
    newest: dict[tuple[str, str, str], Document] = {}
    for document in documents:
        key = document.tenant, document.collection, document.document_id
        if key not in newest or newest[key].ingested_at < document.ingested_at:
            newest[key] = document
    return list(newest.values())


def _in_order(documents: Iterable[Document], known: dict[str, Known]) -> list[Document]:
    """By tenant, in the order in which they came, so that a list of them has it after an import too."""
    places = {tenant: {id_: place for place, id_ in enumerate(one.created_at)} for tenant, one in known.items()}

    def place(document: Document) -> tuple[str, int, str]:
        return document.tenant, places.get(document.tenant, {}).get(document.document_id, -1), document.ingested_at

    return sorted(documents, key=place)


def _groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    group: list[Document] = []
    chunks = 0
    for document in documents:
        if group and (chunks + document.chunks > GROUP_CHUNKS or len(group) >= GROUP_DOCUMENTS):
            yield group
            group, chunks = [], 0
        group.append(document)
        chunks += document.chunks
    if group:
        yield group
