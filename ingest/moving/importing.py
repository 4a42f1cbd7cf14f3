"""`python -m ingest import`: an archive's documents into this index, catalog and file store.

The whole archive is read first, and checked to its last byte, so that a damaged one changes nothing. Then each
document is written as ingestion does it, its record last: a run that is killed leaves whole documents, and the next
one passes over them.
"""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, TYPE_CHECKING

from app.core.documents import collections, operations
from app.core.documents.catalog import Catalog
from app.core.documents.files import DocumentStore, StorageUnavailableError, StoredFileNotFoundError, open_store
from app.core.documents.operations import FileBusyError
from app.core.errors import ConfigurationError, LimitReachedError
from app.core.index_notes import lacks_vectors_of
from app.core.logging import get_logger
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.erasing import TenantBeingErasedError, erasing_key
from app.core.settings import AUTO, Settings
from ingest.moving.known import is_said, valkey
from ingest.moving.lines import CollectionLine, Head
from ingest.moving.reader import StoredDocument, StoredFile, items, without_vectors
from ingest.sync.own_qdrant import located
from worker.http.generations import Generations
from worker.index.catalog_repair import indexed_record, is_shown
from worker.index.points import Document, Version
from worker.index.vector_index import VectorIndex, open_index_of

if TYPE_CHECKING:
    from redis import Redis

BATCH_CHUNKS = 512
"""Of documents that are written together."""

OnRead = Callable[[int], None]

log = get_logger(__name__)


class MismatchError(Exception):
    """The archive's vectors don't belong in this index. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of an archive is to be imported."""

    tenant: str | None = None
    collection: str | None = None
    vectors: bool = True

    def has(self, tenant: str, collection: str) -> bool:
        """Whether that is wanted."""
        return self.tenant in (None, tenant) and self.collection in (None, collection)


@dataclass(slots=True)
class Imported:
    """What became of an archive's documents, `chunks` of those that were written, and `files` that were not here.

    `newer`: what stands here was ingested later, and is left. `erasing`: their tenant is just being erased.
    """

    embedding_model: str = ""
    written: int = 0
    unchanged: int = 0
    newer: int = 0
    erasing: int = 0
    chunks: int = 0
    files: int = 0
    collections: int = 0
    has_valkey: bool = True
    lacks_vectors: bool = False
    not_shown: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """Of an archive that was read to its end: its head; the files of wanted documents, by tenant and hash."""

    head: Head
    files: frozenset[tuple[str, str]]


def check(stream: IO[bytes], wanted: Wanted, *, on_read: OnRead) -> Checked:
    """Read the whole archive and change nothing. Raises `ArchiveError`."""
    head, files = None, set()
    for item in items(stream, on_read=on_read):
        match item:
            case Head():
                head = item
            case StoredDocument(document=document) if wanted.has(document.tenant, document.collection):
                files.add((document.tenant, document.sha256))
    assert head is not None  # else `items` has raised
    return Checked(head, frozenset(files))


def import_all(
    settings: Settings, stream: IO[bytes], checked: Checked, wanted: Wanted, *, on_read: OnRead
) -> Imported:
    """Import what is `wanted` of an archive that was checked.

    Raises `MismatchError`, `ArchiveError`, `ServiceError`, `QdrantStartError` or `ConfigurationError`.
    """
    head = checked.head
    has_vectors = wanted.vectors and head.dimension is not None
    model, size = (head.embedding_model, head.dimension) if has_vectors else ("", None)
    with ExitStack() as stack:
        found = stack.enter_context(located(settings))
        assert found is not None  # only a dry run makes none
        connection = stack.enter_context(valkey(settings))
        index = stack.enter_context(closing(open_index_of(found, model, size)))
        words = stack.enter_context(closing(open_index_of(found, "", None)))
        _check_model(settings, index.generations(), model, size)
        index.ensure()
        work = _Import(index, words, connection, open_store(settings), wanted, checked.files)
        try:
            for item in items(stream, on_read=on_read):
                work.take(item)
            work.flush()
        except VALKEY_UNAVAILABLE as error:
            raise ConfigurationError("Valkey can't be reached any more, or has no memory left") from error
        current = index.generations().current
        model_here = settings.embedding_model if settings.embedding_model not in (None, AUTO) else model
        work.done.lacks_vectors = current is not None and lacks_vectors_of(model_here or "", current.metadata)
        work.done.embedding_model = model
        return work.done


def _check_model(settings: Settings, found: Generations, model: str, size: int | None) -> None:
    """Raise unless vectors of `model` belong into this index, or into one that is to be made."""
    of_archive = f"vectors of {model}, {size} numbers each" if size is not None else "no vectors"
    if found.following is not None:
        raise MismatchError(
            "this index is just being re-embedded: let `python -m ingest --reembed` come to its end, then import"
        )
    if size is None:
        return
    alone = "or import with --without-vectors, and make them anew with `python -m ingest --reembed`"
    configured = settings.embedding_model
    if configured not in (None, AUTO, model):
        raise MismatchError(
            f"the archive has {of_archive}, and EMBEDDING_MODEL is {configured}: set EMBEDDING_MODEL={model}, {alone}"
        )
    current = found.current
    if current is not None and (current.model, current.dense_size) != (model, size):
        of_index = f"vectors of {current.model}, {current.dense_size} numbers each" if current.dense_size else "none"
        raise MismatchError(
            f"the archive has {of_archive}, and the index here has {of_index}: set EMBEDDING_MODEL={model}, run "
            f"`python -m ingest --reembed` and import then, {alone}"
        )


@dataclass(slots=True)
class _Batch:
    documents: list[StoredDocument] = field(default_factory=list)
    chunks: int = 0


class _Import:
    def __init__(
        self,
        index: VectorIndex,
        words: VectorIndex,
        connection: "Redis | None",
        store: DocumentStore,
        wanted: Wanted,
        files: frozenset[tuple[str, str]],
    ) -> None:
        self.done = Imported(has_valkey=connection is not None)
        self._index = index
        self._words = words
        self._connection = connection
        self._catalog = Catalog(connection) if connection is not None else None
        self._store = store
        self._wanted = wanted
        self._files = files
        self._there: dict[tuple[str, str, str], list[Document]] = {}
        for document in index.documents(tenant=wanted.tenant, collection=wanted.collection):
            self._there.setdefault(_key(document), []).append(document)
        self._batch = _Batch()

    def take(self, item: object) -> None:
        """Do what the next item of the archive wants."""
        match item:
            case CollectionLine() if self._wanted.has(item.tenant, item.name):
                self._say(item)
            case StoredFile() if (item.tenant, item.sha256) in self._files and not self._is_erased(item.tenant):
                self._keep(item)
            case StoredDocument() if self._wanted.has(item.document.tenant, item.document.collection):
                self._add(item)

    def flush(self) -> None:
        """Write what is collected, and show it."""
        batch, self._batch = self._batch, _Batch()
        for index, stored in ((self._index, _with_vectors(batch)), (self._words, _without_vectors(batch))):
            if stored:
                index.write_many([Version(each.document, each.chunks, each.dense, each.sparse) for each in stored])
        for each in batch.documents:
            document = each.document
            if self._there.get(_key(document)):
                tenant, collection, document_id = _key(document)
                self._index.delete(tenant=tenant, collection=collection, document_id=document_id, keep=document)
            self._there[_key(document)] = [document]
            self._show(each)
        self.done.written += len(batch.documents)
        self.done.chunks += batch.chunks

    def _add(self, stored: StoredDocument) -> None:
        document = stored.document
        if self._is_erased(document.tenant):
            self.done.erasing += 1
            return
        there = self._there.get(_key(document), [])
        if document in there:
            self.done.unchanged += 1
            self._show(stored)
        elif any(_moment(one) > _moment(document) for one in there):
            self.done.newer += 1
        else:
            self._batch.documents.append(stored if self._wanted.vectors else without_vectors(stored))
            self._batch.chunks += len(stored.chunks)
            if self._batch.chunks >= BATCH_CHUNKS:
                self.flush()

    def _say(self, line: CollectionLine) -> None:
        """What is said of a collection, where nothing is said of it here."""
        if self._connection is None or self._catalog is None or self._is_erased(line.tenant):
            return
        if not is_said(self._connection, line.tenant, line.name):
            try:
                self._catalog.do(collections.put(line.tenant, line.name, line.settings))
            except (TenantBeingErasedError, LimitReachedError) as error:
                log.warning("collection_not_said", collection=line.name, reason=type(error).__name__)
            else:
                self.done.collections += 1

    def _keep(self, file: StoredFile) -> None:
        """Keep the file, unless it is here. No document shows it before its record does."""
        try:
            try:
                if self._store.size(file.tenant, file.sha256) == file.size_bytes:
                    return
            except StoredFileNotFoundError:
                pass
            with self._store.draft() as draft:
                for block in file.blocks:
                    draft.write(block)
                assert draft.sha256 == file.sha256  # `blocks` has looked
                draft.keep(file.tenant)
            self.done.files += 1
        except StorageUnavailableError as error:
            raise ConfigurationError("the store of documents can't be written: look at DOCUMENTS_URL") from error

    def _show(self, stored: StoredDocument) -> None:
        if self._catalog is None:
            return
        document = stored.document
        if is_shown(self._catalog.do(operations.get(document.tenant, document.document_id)), document):
            return
        try:
            record = indexed_record(document)
            if stored.line.created_at is not None:
                record = record.model_copy(update={"created_at": stored.line.created_at})
            self._catalog.do(operations.put(document.tenant, record))
        except (ValueError, FileBusyError, TenantBeingErasedError) as error:
            log.warning("document_not_shown", document_id=document.document_id, reason=type(error).__name__)
            self.done.not_shown += 1

    def _is_erased(self, tenant: str) -> bool:
        if self._connection is None:
            return False
        return bool(self._connection.exists(erasing_key(tenant)))


def _moment(document: Document) -> datetime:
    return datetime.fromisoformat(document.ingested_at)


def _key(document: Document) -> tuple[str, str, str]:
    return document.tenant, document.collection, document.document_id


def _with_vectors(batch: _Batch) -> list[StoredDocument]:
    return [stored for stored in batch.documents if stored.dense is not None]


def _without_vectors(batch: _Batch) -> list[StoredDocument]:
    return [stored for stored in batch.documents if stored.dense is None]
