"""From the collection that is searched to one with our model's vectors: what is there, what lacks, the swap.

How nothing is lost to a kill or to those who write meanwhile: `docs/decisions/reembedding.md`.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from re import escape, fullmatch
from typing import Any

from app.core.index_notes import MADE_FOR
from app.core.logging import get_logger
from worker.http.generations import FOLLOWING, Generation, aliases_of, find
from worker.http.qdrant import NotFoundError
from worker.index.points import Document, Point, chunk_of, document_of, scrolled
from worker.index.vector_index import SCROLL_PAGE, WRITE_BATCH, VectorIndex, finish_swap, record_id
from worker.vectors import DENSE, METADATA, SPARSE, TEXT

POINTS_PAGE = 256
"""Chunks in one read, with their words and terms: far below what Qdrant's answers may have."""

log = get_logger(__name__)


class Migration:
    """Copies documents from `old` to `new`, and puts `new` in the place of `old`. Safe to share between threads.

    Its methods raise `ServiceError` as `VectorIndex` does, and `NotFoundError` when another process has swapped.
    """

    def __init__(self, index: VectorIndex, old: Generation, new: Generation) -> None:
        self._http = index.http
        self._name = index.name
        self.old = old
        self.new = new

    def missing(self) -> list[Document]:
        """The documents that `new` lacks, or has otherwise."""
        there = {record_id(document): document for document in self._documents(self.new)}
        return [document for document in self._documents(self.old) if there.get(record_id(document)) != document]

    def drop_gone(self) -> int:
        """Delete from `new` the documents that are no longer in `old`; how many."""
        standing = {record_id(document) for document in self._documents(self.old)}
        gone = [document for document in self._documents(self.new) if record_id(document) not in standing]
        # Asked again: one that was written after the first look is first in `old`, and then in `new`.
        gone = [document for document in gone if self.standing(document) is None]
        for document in gone:
            self._drop(document)
        return len(gone)

    def standing(self, document: Document) -> Document | None:
        """The document's record as `old` has it now."""
        return self._record(self.old, document)

    def is_copied(self, document: Document) -> bool:
        """Whether `new` has the document by now."""
        return self._record(self.new, document) == document

    def read(self, document: Document) -> list[Point]:
        """The document's chunks in `old`, in order, with their payload and terms."""
        where = _of(document, version=document.version)
        request = {"filter": where, "limit": POINTS_PAGE, "with_payload": True, "with_vector": [SPARSE]}
        points = list(self._scrolled(self.old, request))
        return sorted(points, key=lambda point: int(point["payload"][METADATA]["chunk_index"]))

    def copy(self, document: Document, points: Sequence[Point], dense: Sequence[Sequence[float]] | None) -> bool:
        """Write the chunks that `read` gave, chunk 0 last; False when the document has changed since and is to be
        read again."""
        copies = (
            _with_vector(points[at], dense[at] if dense is not None else None) for at in reversed(range(len(points)))
        )
        while batch := list(islice(copies, WRITE_BATCH)):
            self._http.put(f"{self.new.path}/points?wait=true", {"points": batch})
        standing = self.standing(document)
        if standing is None:  # whoever deleted it may have done so in `new` before we wrote
            self._drop(document)
        return standing in (None, document)

    def swap(self) -> None:
        """Put `new` in the place of `old`, and delete that: in one step, or `new` is found between the two."""
        aliases = aliases_of(self._http)
        if self._name in aliases:
            self._http.name(self._name, self.new.name, instead_of=frozenset({self._name, self._name + FOLLOWING}))
            self._http.delete(self.old.path)
        else:  # a plain collection has the name, which only its end sets free
            self._http.delete(self.old.path)
            finish_swap(self._http, self._name, self.new)

    def _documents(self, collection: Generation) -> Iterator[Document]:
        where = {"must": [{"key": f"{METADATA}.chunk_index", "match": {"value": 0}}]}
        request = {"filter": where, "limit": SCROLL_PAGE, "with_payload": [f"{METADATA}.document"]}
        for point in self._scrolled(collection, request):
            if (document := document_of(point)) is None:
                continue
            if point["id"] == record_id(document):
                yield document
            else:
                log.warning("document_record_misplaced", point_id=point["id"])

    def _record(self, collection: Generation, document: Document) -> Document | None:
        body = {"ids": [record_id(document)], "with_payload": [f"{METADATA}.document"]}
        found: list[Point] = self._http.post(f"{collection.path}/points", body)
        return document_of(found[0]) if found else None

    def _drop(self, document: Document) -> None:
        """Delete this writing of the document from `new`, and none that came after it."""
        where = _of(document, version=document.version)
        when = {"gte": document.ingested_at, "lte": document.ingested_at}
        where["must"].append({"key": f"{METADATA}.ingested_at", "range": when})
        self._http.post(f"{self.new.path}/points/delete?wait=true", {"filter": where})

    def _scrolled(self, collection: Generation, request: dict[str, Any]) -> Iterator[Point]:
        return scrolled(lambda page: self._http.post(f"{collection.path}/points/scroll", page), request)


def begin(index: VectorIndex) -> Migration | None:
    """Make the collection that is to follow, or go on with the one that was begun; None when there is no need.

    One process at a time. Raises as `VectorIndex` does, also when the embedding model is not there to be asked.
    """
    index.ensure()
    found, size = index.generations(), index.vector_size()
    old = found.current
    if old is None or _has_vectors(old, index, size):
        return None
    new = found.following
    if new is not None and not _has_vectors(new, index, size):  # begun for yet another model
        index.http.delete(new.path)
        new = None
    if new is None:
        new = _made(index, old)
    index.add_indexes(new)
    return Migration(index, old, new)


def remove_leftovers(index: VectorIndex) -> None:
    """Delete the collections of ours that no name stands for: a kill came between a swap and its last act."""
    aliases = aliases_of(index.http)
    for name in _collections(index):
        if name != index.name and name not in aliases.values():
            left = find(index.http, name)
            if left is not None and left.metadata.get(MADE_FOR) == index.name:
                log.info("collection_left_behind_deleted", collection=name)
                index.http.delete(left.path)


def _has_vectors(collection: Generation, index: VectorIndex, size: int | None) -> bool:
    """Whether each chunk of the collection has a vector of our model, or is to have one."""
    is_ours = (collection.model, collection.dense_size) == (index.embedding_model, size)
    return is_ours and not collection.lacks_vectors


def _made(index: VectorIndex, old: Generation) -> Generation:
    remove_leftovers(index)
    numbers = [int(name.rpartition("-")[2]) for name in _collections(index) if name != index.name]
    name = f"{index.name}-{max(numbers, default=0) + 1}"
    index.create(name)
    index.http.name(index.name + FOLLOWING, name, instead_of=frozenset())
    made = find(index.http, name)
    if made is None:
        raise NotFoundError(name)
    log.info("migration_begun", collection=name, of=old.name)
    return made


def _collections(index: VectorIndex) -> list[str]:
    """The names of all collections that may be, or have been, this index."""
    names = [str(each["name"]) for each in index.http.get("/collections")["collections"]]
    return [name for name in names if fullmatch(rf"{escape(index.name)}(-\d{{1,9}})?", name)]


def _of(document: Document, **more: str) -> dict[str, Any]:
    wanted = {
        "tenant": document.tenant,
        "collection": document.collection,
        "document_id": document.document_id,
        **more,
    }
    return {"must": [{"key": f"{METADATA}.{field}", "match": {"value": value}} for field, value in wanted.items()]}


def _with_vector(point: Point, dense: Sequence[float] | None) -> Point:
    vectors = {SPARSE: point["vector"][SPARSE]} if SPARSE in (point.get("vector") or {}) else {}
    if dense is not None:
        vectors[DENSE] = dense
    return {"id": point["id"], "vector": vectors, "payload": point["payload"]}


def text_to_embed(point: Point) -> str:
    """What the embedding model is given of a chunk that `Migration.read` gave."""
    try:
        return chunk_of(point).embedded
    except (KeyError, TypeError):  # none of our making, and not to stand in the way of all others
        return str(point["payload"].get(TEXT) or point["id"])
