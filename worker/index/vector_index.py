"""The writing side of the vector index: one Qdrant collection whose points are chunks, and at times its successor.

`worker.retrieval.search` reads it.

Named vectors: `dense` (when an embedding model is set) and `sparse` (BM25, to which Qdrant adds the IDF). The payload
is LangChain's layout, so that any `QdrantVectorStore` reads it: the chunk's words under `text`, the rest under
`metadata`. The collection's own metadata records the embedding model.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain, count, islice
from threading import Lock
from typing import TYPE_CHECKING, Any

from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.index_notes import EMBEDDING_MODEL, LACKS_VECTORS, MADE_FOR
from app.core.services import qdrant_server, redis_url
from app.core.settings import AUTO, Settings
from worker.http.generations import (
    FOLLOWING,
    Generation,
    Generations,
    aliases_of,
    find,
    find_generations,
    names_of,
)
from worker.http.qdrant import BadRequestError, NotFoundError
from worker.http.writing import WritingHttp
from worker.index.points import Chunk, Document, Version, document_of, points_of, scrolled
from worker.layout import PLAIN, Layout, layout_of
from worker.vectors import DENSE, METADATA, SPARSE, point_id

if TYPE_CHECKING:  # seconds of imports that a run which finds nothing to do must not spend
    from app.core.queue.versions import Place, Versions
    from worker.model.embeddings import ClosableEmbeddings

WRITE_BATCH = 256
"""Chunks in one write: large enough to amortise the request, small enough to stay far below Qdrant's 32 MiB."""
SCROLL_PAGE = 2_000
DOCUMENTS_MAX = 1_000_000
"""Of one collection, in a count of chunks by document."""
CHANGE_ATTEMPTS = 5
"""Of a change that finds other collections afterwards than before: a migration begins and ends once."""

INDEXED_FIELDS: dict[str, dict[str, Any]] = {
    "tenant": {"type": "keyword", "is_tenant": True},
    "collection": {"type": "keyword"},
    "document_id": {"type": "keyword"},
    "filename": {"type": "keyword"},
    "page": {"type": "integer"},
    "last_page": {"type": "integer"},
    "chunk_index": {"type": "integer"},
    "ingested_at": {"type": "datetime"},
}
"""What searches filter by, and what finds documents and their records. Each costs a tenth of a write's time."""

__all__ = ["Chunk", "Document", "VectorIndex", "Version", "open_index"]


def open_index(settings: Settings, *, must_tell: bool = False) -> "VectorIndex":
    """The configured index, which tells Valkey of its changes if there is one (`must_tell`: or makes none).

    Opens no connection. Raises `ConfigurationError` when there is no Qdrant to go to.
    """
    url, key = qdrant_server(settings)
    http = WritingHttp(url, api_key=key, timeout_seconds=settings.qdrant_timeout_seconds)

    def embeddings() -> "ClosableEmbeddings | None":
        from worker.model.embeddings import open_embeddings

        return open_embeddings(settings)

    model: str | Callable[[], str] | None = settings.embedding_model
    if model == AUTO:
        from worker.model.choice import choice_of

        model = choice_of(settings).model
    return VectorIndex(
        http,
        settings.qdrant_collection,
        embeddings=embeddings if model else None,
        embedding_model=model,
        versions=_versions(settings, must_tell=must_tell),
        layout=layout_of(settings),
    )


def open_index_of(settings: Settings, model: str, size: int | None) -> "VectorIndex":
    """The configured index, for chunks that come with their vectors: of `model`, so long; no model is asked.

    Without a size they are found by words alone. Raises as `open_index`.
    """
    url, key = qdrant_server(settings)
    http = WritingHttp(url, api_key=key, timeout_seconds=settings.qdrant_timeout_seconds)
    embeddings = (lambda: _ReadyVectors(size)) if size is not None else None
    versions = _versions(settings, must_tell=False)
    name = settings.qdrant_collection
    return VectorIndex(http, name, embeddings=embeddings, embedding_model=model, versions=versions)


class _ReadyVectors:
    """In the place of a model whose vectors are there already: it knows their length."""

    batch_size = 0

    def __init__(self, size: int) -> None:
        self._size = size

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError("the vectors are there")

    def embed_query(self, text: str) -> list[float]:
        return [0.0] * self._size

    def close(self) -> None:
        pass


def _versions(settings: Settings, *, must_tell: bool) -> "Versions | None":
    try:
        address = redis_url(settings)
    except ConfigurationError:  # `python -m ingest` while nothing runs: the service's start looks at the index anew
        return None
    from app.core.queue.connections import connect  # a run that has no Valkey should not wait for its client
    from app.core.queue.versions import Versions

    return Versions(connect(address), must_tell=must_tell)


class VectorsNeededError(Exception):
    """A collection for our model's vectors has come to be since it was looked whether there is one."""


class VectorIndex:
    """Writes chunks, and lists what is there. Safe to share between threads.

    `embeddings` makes the embedding model's client when it is first needed; None: BM25 alone. `embedding_model`
    names it, or tells its name where it is chosen, "" for BM25 alone after all, and is asked only where that
    matters. While the vectors of another model are made, every change goes to the collection that is searched and
    to the one that is to follow it; where a collection's vectors are another model's, chunks go without. Its
    methods raise `ServiceError`: INDEX_UNAVAILABLE without Qdrant, INDEX_MISMATCH when a model of the same name
    gives vectors of another length, or one of the model's codes when embedding fails. `versions` hears of each
    change of a collection's content, of all that change it here.
    """

    def __init__(
        self,
        http: "WritingHttp",
        collection: str,
        *,
        embeddings: "Callable[[], ClosableEmbeddings | None] | None" = None,
        embedding_model: "str | Callable[[], str] | None" = None,
        versions: "Versions | None" = None,
        layout: Layout = PLAIN,
    ) -> None:
        self.http = http
        self.name = collection
        self._versions = versions
        self._layout = layout
        self._path = f"/collections/{collection}"
        self._make_embeddings = embeddings
        self._embedding_model = (embedding_model or "") if embeddings is not None else ""
        """Or what gives it."""
        self._embeddings: ClosableEmbeddings | None = None
        self._ensuring = Lock()
        self._opening = Lock()
        self._dense_size: int | None = None
        self._is_ensured = False

    @property
    def has_model(self) -> bool:
        """Whether chunks have vectors of an embedding model; else retrieval is BM25 alone. Raises as that."""
        return self._make_embeddings is not None and bool(self.embedding_model)

    @property
    def embedding_model(self) -> str:
        """Its name; empty for none. Where it is chosen, raises `ServiceError` when its server does not tell now."""
        return self._embedding_model if isinstance(self._embedding_model, str) else self._embedding_model()

    def keeps_vectors(self) -> bool:
        """Whether a chunk's vector of our model would be kept: here, or where the index is being re-embedded."""
        return self._make_embeddings is not None and any(map(self._is_of_ours, self.generations()))

    def _is_of_ours(self, collection: Generation) -> bool:
        """Whether its vectors are our model's. One of words alone is none's, whichever is ours."""
        return bool(collection.model) and collection.model == self.embedding_model

    def close(self) -> None:
        """Close the connections to Qdrant and to the embedding model."""
        self.http.close()
        if self._versions is not None:
            self._versions.close()
        if self._embeddings is not None:
            self._embeddings.close()

    def generations(self) -> Generations:
        """The collection that is searched now, and the one that is made to follow it."""
        return find_generations(self.http, self.name)

    def ensure(self) -> None:
        """Create the collection, with its vectors and payload indexes, or what it lacks of them."""
        with self._ensuring:
            if self._is_ensured:
                return
            if (current := self.generations().current) is None:
                current = self._create()
            finish_swap(self.http, self.name, current)
            self.add_indexes(current)
            self._is_ensured = True

    def add_indexes(self, collection: Generation) -> None:
        """Make the payload indexes that a collection lacks."""
        there = collection.info.get("payload_schema", {})
        for field, schema in INDEXED_FIELDS.items():
            if f"{METADATA}.{field}" not in there:
                body = {"field_name": f"{METADATA}.{field}", "field_schema": schema}
                with self._doubting():
                    self.http.put(f"{collection.path}/index?wait=true", body)

    @property
    def batch_size(self) -> int:
        """How many texts `embed` sends in one request to the embedding model, as far as is known."""
        return self._opened_embeddings().batch_size

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]] | None:
        """The texts' dense vectors, or None when retrieval is BM25 alone."""
        if not texts or not self.has_model:
            return None
        import numpy

        vectors = self._opened_embeddings().embed_documents(list(texts))
        size = len(vectors[0])
        if size != self._dense_size:
            self._check(self.generations(), size)
            self._dense_size = size
        return numpy.asarray(vectors, dtype=numpy.float32)  # type: ignore[return-value]  # an eighth of the memory

    def write(
        self, document: Document, chunks: Sequence[Chunk], dense: Sequence[Sequence[float]] | None = None
    ) -> None:
        """Write one document, with the vectors that `embed` gave for its chunks."""
        self.write_many([Version(document, chunks, dense)])

    def write_many(self, versions: Sequence[Version]) -> None:
        """Write documents, of each the chunk 0 with its record last.

        Raises `VectorsNeededError` when they come without vectors, and there is a collection that wants them.
        """
        size = next((len(version.dense[0]) for version in versions if version.dense is not None), None)

        def write(collection: Generation, all_of_them: Generations) -> None:
            if size is None and self._is_of_ours(collection):
                raise VectorsNeededError
            fits = collection.dense_size == size and (size is None or self._is_of_ours(collection))
            if not fits:
                self._check(all_of_them, size)
                self._note_lack(collection)
            given = versions if fits else [replace(version, dense=None) for version in versions]
            points = chain.from_iterable(map(points_of, given))
            while batch := list(islice(points, WRITE_BATCH)):
                self.http.put(f"{collection.path}/points?wait=true", {"points": batch})

        with self._changing((each.document.tenant, each.document.collection) for each in versions):
            is_written = self._change(write)
        if not is_written:
            self._is_ensured = False
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE)

    def documents(
        self, *, tenant: str | None = None, collection: str | None = None, document_id: str | None = None
    ) -> Iterator[Document]:
        """The records of the documents that have been written to the end, of all that there are or as narrowed.

        One that was being updated when its writer was killed comes with both versions.
        """
        where = _where(tenant=tenant, collection=collection, document_id=document_id, chunk_index=0)
        request = {"filter": where, "limit": SCROLL_PAGE, "with_payload": [f"{METADATA}.document"]}
        found = map(document_of, scrolled(lambda page: self._read("/points/scroll", page), request))
        yield from (document for document in found if document is not None)

    def chunk_counts(self, *, tenant: str, collection: str, document_id: str | None = None) -> dict[str, int]:
        """How many chunks each document has, whole or not."""
        where = _where(tenant=tenant, collection=collection, document_id=document_id)
        request = {"key": f"{METADATA}.document_id", "limit": DOCUMENTS_MAX, "exact": True, "filter": where}
        found = self._read("/facet", request)
        return {hit["value"]: hit["count"] for hit in found["hits"]} if found is not None else {}

    def delete(
        self,
        *,
        tenant: str,
        collection: str,
        document_id: str,
        keep: Document | None = None,
        before: str | None = None,
    ) -> None:
        """Delete a document's chunks: all, or all but those of the version `keep`, or those ingested `before`."""
        where = _where(tenant=tenant, collection=collection, document_id=document_id)
        if keep is not None:
            kept = [_is("version", keep.version), _is_below("chunk_index", keep.chunks)]
            where["must_not"] = [{"must": kept}]
        if before is not None:
            where["must"].append(_is_below("ingested_at", before))
        with self._changing([(tenant, collection)]):
            self._change(lambda one, _: self.http.post(f"{one.path}/points/delete?wait=true", {"filter": where}))

    def delete_tenant(self, tenant: str) -> int:
        """Delete every chunk that the tenant has, in all collections, whatever model has made its vectors; how many.

        Qdrant keeps a deleted chunk's words on disk until it writes their segment anew: it is asked to look for that.
        """
        where = _where(tenant=tenant)
        counts: dict[str, int] = {}

        def delete(one: Generation, _: Generations) -> None:
            found = self.http.post(f"{one.path}/points/count", {"filter": where, "exact": True})["count"]
            counts[one.name] = max(int(found), counts.get(one.name, 0))
            self.http.post(f"{one.path}/points/delete?wait=true", {"filter": where})
            self.http.patch(one.path, {"optimizers_config": {}})

        self._change(delete)
        return max(counts.values(), default=0)  # a chunk is in each collection once

    def is_at_work(self) -> bool:
        """Whether Qdrant is writing segments anew, or soon will be."""
        return any(one.info.get("status") == "yellow" for one in self.generations())

    def rename(self, document: Document, *, filename: str, source: str) -> Document:
        """Let `document` stand for a file of another name; its record last, so that a killed call is repeated."""
        where = _where(tenant=document.tenant, collection=document.collection, document_id=document.document_id)
        changed = {"payload": {"filename": filename}, "key": METADATA, "filter": where}
        record = {
            "payload": {"filename": filename, "source": source},
            "key": f"{METADATA}.document",
            "points": [record_id(document)],
        }

        def change(collection: Generation, _: Generations) -> None:
            self.http.post(f"{collection.path}/points/payload?wait=true", changed)
            self.http.post(f"{collection.path}/points/payload?wait=true", record)

        with self._changing([(document.tenant, document.collection)]):
            self._change(change)
        return replace(document, filename=filename, source=source)

    def tell_swapped(self) -> None:
        """Whatever was answered from any collection is out of date: its chunks are found otherwise now."""
        if self._versions is not None:
            self._versions.raise_all()

    def _changing(self, places: "Iterable[Place]") -> AbstractContextManager[None]:
        """Around every change of what these collections hold: what was answered from them is out of date."""
        return self._versions.changing(places) if self._versions is not None else nullcontext()

    def _read(self, path: str, body: Any) -> Any:
        """What a read of the collection that is searched finds; None when there is none."""
        with self._doubting():
            try:
                return self.http.post(self._path + path, body)
            except NotFoundError:  # there is none, or its name is just being given to its successor
                current = self.generations().current
                return self.http.post(current.path + path, body) if current is not None else None

    def _change(self, change: Callable[[Generation, Generations], object]) -> bool:
        """Make a change in the collection that is searched, then in the one that is to follow; False without any.

        Whoever copies from the one to the other relies on this order, and on this: when we return, no collection has
        come beside or in the place of those that were changed, so that what began before a migration is not lost.
        """
        for _ in range(CHANGE_ATTEMPTS):
            found = self.generations()
            with self._doubting():
                try:
                    for collection in found:
                        change(collection, found)
                except NotFoundError:  # a migration has ended, and the old collection is gone
                    continue
            changed = {collection.name for collection in found}
            if not changed or self._are_all(changed):
                return bool(changed)
        raise ServiceError(ErrorCode.INDEX_UNAVAILABLE)

    def _are_all(self, changed: set[str]) -> bool:
        """Whether no collection has come beside those; in a swap that was cut short, the index's own name is none."""
        return names_of(self.http, self.name) <= changed or {each.name for each in self.generations()} <= changed

    def _check(self, found: Generations, size: int | None) -> None:
        """Raise when the model's name has been given to another one, and nobody makes the vectors of that one."""
        current = found.current
        if size is None or current is None or found.following is not None:
            return
        if self._is_of_ours(current) and current.dense_size != size:
            raise ServiceError(ErrorCode.INDEX_MISMATCH)

    def _note_lack(self, collection: Generation) -> None:
        """Remember that chunks come without the vectors that others have there."""
        if collection.dense_size is not None and not collection.lacks_vectors:
            self.http.patch(collection.path, {"metadata": {LACKS_VECTORS: True}})

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        """When Qdrant refuses, look again next time: the collection may be gone, or made anew with another model."""
        try:
            yield
        except NotFoundError as error:
            self._is_ensured = False
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error
        except BadRequestError as error:
            self._is_ensured = False
            raise ServiceError(ErrorCode.INTERNAL) from error

    def vector_size(self) -> int | None:
        """How long the model's vectors are: it is asked. None without a model."""
        if not self.has_model:
            return None
        return len(self._opened_embeddings().embed_query("the size of a vector"))

    def create(self, name: str) -> None:
        """Create a collection for vectors of our model.

        As Qdrant's API has it; qdrant-client, which would say the same, takes over a second to import. Raises
        `BadRequestError` when there is one.
        """
        dense = {}
        if self.has_model:
            dense[DENSE] = {"size": self.vector_size(), "distance": "Cosine"} | self._layout.dense
        wanted = {
            "vectors": dense,
            "sparse_vectors": {SPARSE: {"modifier": "idf"} | self._layout.sparse},
            **self._layout.collection,
            "metadata": {EMBEDDING_MODEL: self.embedding_model, MADE_FOR: self.name},
        }
        self.http.put(f"/collections/{name}", wanted)
        if self._layout.changes:
            self.http.patch(f"/collections/{name}", self._layout.changes)

    def _create(self) -> Generation:
        """The first collection, and its alias; that of another process which was first."""
        for number in count(1):
            name = f"{self.name}-{number}"
            try:
                self.create(name)
            except BadRequestError as error:
                found = find(self.http, name)
                if found is None:
                    raise ServiceError(ErrorCode.INTERNAL) from error
                if found.metadata.get(MADE_FOR) != self.name:  # another index has that name
                    continue
            break
        with self._doubting():
            self.http.name(self.name, name, instead_of=frozenset())
        if (current := self.generations().current) is None:
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE)
        return current

    def _opened_embeddings(self) -> "ClosableEmbeddings":
        assert self._make_embeddings is not None
        if self._embeddings is None:
            with self._opening:
                if self._embeddings is None:
                    self._embeddings = self._make_embeddings()
        assert self._embeddings is not None
        return self._embeddings


def finish_swap(http: WritingHttp, index: str, current: Generation) -> None:
    """Give `current` the index's name, when a swap was cut short before that."""
    aliases = aliases_of(http)
    if current.name not in (index, aliases.get(index)):
        http.name(index, current.name, instead_of=frozenset({index, index + FOLLOWING} & aliases.keys()))


def record_id(document: Document) -> str:
    """The point that holds a document's record: its chunk 0."""
    return point_id(
        tenant=document.tenant,
        collection=document.collection,
        document_id=document.document_id,
        version=document.version,
        chunk_index=0,
    )


def _where(**wanted: str | int | Sequence[str] | None) -> dict[str, Any]:
    """A filter on payload fields: equal to a value, or any of several; fields that are None do not count."""
    return {"must": [_is(field, value) for field, value in wanted.items() if value is not None]}


def _is(field: str, value: str | int | Sequence[str]) -> dict[str, Any]:
    is_one = isinstance(value, str | int)
    return {"key": f"{METADATA}.{field}", "match": {"value": value} if is_one else {"any": value}}


def _is_below(field: str, value: str | int) -> dict[str, Any]:
    return {"key": f"{METADATA}.{field}", "range": {"lt": value}}
