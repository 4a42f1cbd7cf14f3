"""The writing side of the vector index: one Qdrant collection whose points are chunks.

`worker.retrieval.search` reads it.

Named vectors: `dense` (when an embedding model is set) and `sparse` (BM25, to which Qdrant adds the IDF). The payload
is LangChain's layout, so that any `QdrantVectorStore` reads it: the chunk's words under `text`, the rest under
`metadata`. The collection's own metadata records the embedding model.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain, islice
from threading import Lock
from typing import TYPE_CHECKING, Any

import orjson

from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.services import qdrant_server, redis_url
from app.core.settings import Settings
from worker.http.qdrant import BadRequestError, NotFoundError, QdrantHttp
from worker.index.points import Chunk, Document, Version, document_of, points_of
from worker.vectors import DENSE, EMBEDDING_MODEL, METADATA, SPARSE, dense_size, point_id

if TYPE_CHECKING:  # seconds of imports that a run which finds nothing to do must not spend
    from app.core.queue.versions import Place, Versions
    from worker.model.embeddings import ClosableEmbeddings

WRITE_BATCH = 256
"""Chunks in one write: large enough to amortise the request, small enough to stay far below Qdrant's 32 MiB."""
SCROLL_PAGE = 2_000
DOCUMENTS_MAX = 1_000_000
"""Of one collection, in a count of chunks by document."""

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

    return VectorIndex(
        http,
        settings.qdrant_collection,
        embeddings=embeddings if settings.embedding_model else None,
        embedding_model=settings.embedding_model,
        versions=_versions(settings, must_tell=must_tell),
    )


def _versions(settings: Settings, *, must_tell: bool) -> "Versions | None":
    try:
        address = redis_url(settings)
    except ConfigurationError:  # `python -m ingest` while nothing runs: the service's start looks at the index anew
        return None
    from app.core.queue.connections import connect  # a run that has no Valkey should not wait for its client
    from app.core.queue.versions import Versions

    return Versions(connect(address), must_tell=must_tell)


class WritingHttp(QdrantHttp):
    """Qdrant's REST API for writes as well; each may be sent twice, as a read may.

    qdrant-client checks each point of a request with pydantic, which costs more than all the rest of a write.
    """

    def put(self, path: str, body: Any) -> Any:
        """The `result` of a PUT; raises as `post` does."""
        return self._result(path, *self._ask("PUT", path, orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)))


class VectorIndex:
    """Writes chunks, and lists what is there. Safe to share between threads.

    `embeddings` makes the embedding model's client when it is first needed; None: BM25 alone. Every method raises
    `ServiceError`: INDEX_UNAVAILABLE without Qdrant, INDEX_MISMATCH when the collection was made with another
    embedding model, or one of the model's codes when embedding fails. `versions` hears of each change of a
    collection's content, of all that change it here.
    """

    def __init__(
        self,
        http: "WritingHttp",
        collection: str,
        *,
        embeddings: "Callable[[], ClosableEmbeddings | None] | None" = None,
        embedding_model: str | None = None,
        versions: "Versions | None" = None,
    ) -> None:
        self._http = http
        self._versions = versions
        self._collection = collection
        self._path = f"/collections/{collection}"
        self._make_embeddings = embeddings
        self._embedding_model = embedding_model if embeddings is not None else None
        self._embeddings: ClosableEmbeddings | None = None
        self._ensuring = Lock()
        self._opening = Lock()
        self._dense_size: int | None = None
        self._is_verified = False
        self._is_ensured = False

    @property
    def has_model(self) -> bool:
        """Whether chunks have vectors of an embedding model; else retrieval is BM25 alone."""
        return self._make_embeddings is not None

    def close(self) -> None:
        """Close the connections to Qdrant and to the embedding model."""
        self._http.close()
        if self._versions is not None:
            self._versions.close()
        if self._embeddings is not None:
            self._embeddings.close()

    def ensure(self) -> None:
        """Create the collection, with its vectors and payload indexes, or what it lacks of them."""
        with self._ensuring:
            if self._is_ensured:
                return
            if (info := self._info()) is None:
                self._create()
                info = self._info() or {}
            there = info.get("payload_schema", {})
            for field, schema in INDEXED_FIELDS.items():
                if f"{METADATA}.{field}" not in there:
                    body = {"field_name": f"{METADATA}.{field}", "field_schema": schema}
                    self._put("/index?wait=true", body)
            self._is_ensured = True

    @property
    def batch_size(self) -> int:
        """How many texts `embed` sends in one request to the embedding model, as far as is known."""
        return self._opened_embeddings().batch_size

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]] | None:
        """The texts' dense vectors, or None when retrieval is BM25 alone."""
        if self._make_embeddings is None or not texts:
            return None
        import numpy

        vectors = self._opened_embeddings().embed_documents(list(texts))
        if len(vectors[0]) != self._dense_size and self._info() is not None and len(vectors[0]) != self._dense_size:
            raise ServiceError(ErrorCode.INDEX_MISMATCH)  # the model's name has been given to another one
        return numpy.asarray(vectors, dtype=numpy.float32)  # type: ignore[return-value]  # an eighth of the memory

    def write(
        self, document: Document, chunks: Sequence[Chunk], dense: Sequence[Sequence[float]] | None = None
    ) -> None:
        """Write one document, with the vectors that `embed` gave for its chunks."""
        self.write_many([Version(document, chunks, dense)])

    def write_many(self, versions: Sequence[Version]) -> None:
        """Write documents, of each the chunk 0 with its record last."""
        points = chain.from_iterable(map(points_of, versions))
        with self._changing((each.document.tenant, each.document.collection) for each in versions):
            while batch := list(islice(points, WRITE_BATCH)):
                self._put("/points?wait=true", {"points": batch})

    def documents(
        self, *, tenant: str | None = None, collection: str | None = None, document_id: str | None = None
    ) -> Iterator[Document]:
        """The records of the documents that have been written to the end, of all that there are or as narrowed.

        One that was being updated when its writer was killed comes with both versions.
        """
        if not self._exists():
            return
        where = _where(tenant=tenant, collection=collection, document_id=document_id, chunk_index=0)
        request = {"filter": where, "limit": SCROLL_PAGE, "with_payload": [f"{METADATA}.document"]}
        while True:
            page = self._post("/points/scroll", request)
            found = map(document_of, page["points"])
            yield from (document for document in found if document is not None)
            if (offset := page.get("next_page_offset")) is None:
                return
            request["offset"] = offset

    def chunk_counts(self, *, tenant: str, collection: str, document_id: str | None = None) -> dict[str, int]:
        """How many chunks each document has, whole or not."""
        if not self._exists():
            return {}
        where = _where(tenant=tenant, collection=collection, document_id=document_id)
        request = {"key": f"{METADATA}.document_id", "limit": DOCUMENTS_MAX, "exact": True, "filter": where}
        hits = self._post("/facet", request)["hits"]
        return {hit["value"]: hit["count"] for hit in hits}

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
        if not self._exists():
            return
        where = _where(tenant=tenant, collection=collection, document_id=document_id)
        if keep is not None:
            kept = [_is("version", keep.version), _is_below("chunk_index", keep.chunks)]
            where["must_not"] = [{"must": kept}]
        if before is not None:
            where["must"].append(_is_below("ingested_at", before))
        with self._changing([(tenant, collection)]):
            self._post("/points/delete?wait=true", {"filter": where})

    def rename(self, document: Document, *, filename: str, source: str) -> Document:
        """Let `document` stand for a file of another name; its record last, so that a killed call is repeated."""
        where = _where(tenant=document.tenant, collection=document.collection, document_id=document.document_id)
        changed = {"payload": {"filename": filename}, "key": METADATA, "filter": where}
        first = point_id(
            tenant=document.tenant,
            collection=document.collection,
            document_id=document.document_id,
            version=document.version,
            chunk_index=0,
        )
        record = {
            "payload": {"filename": filename, "source": source},
            "key": f"{METADATA}.document",
            "points": [first],
        }
        with self._changing([(document.tenant, document.collection)]):
            self._post("/points/payload?wait=true", changed)
            self._post("/points/payload?wait=true", record)
        return replace(document, filename=filename, source=source)

    def _changing(self, places: "Iterable[Place]") -> AbstractContextManager[None]:
        """Around every change of what these collections hold: what was answered from them is out of date."""
        return self._versions.changing(places) if self._versions is not None else nullcontext()

    def _post(self, path: str, body: Any) -> Any:
        with self._doubting():
            return self._http.post(self._path + path, body)

    def _put(self, path: str, body: Any) -> Any:
        with self._doubting():
            return self._http.put(self._path + path, body)

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        """When Qdrant refuses, look again next time: the collection may be gone, or made anew with another model."""
        try:
            yield
        except NotFoundError as error:
            self._is_verified = self._is_ensured = False
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error
        except BadRequestError as error:
            known = self._dense_size
            self._is_verified = self._is_ensured = False
            self._info()  # the collection may have been made anew
            code = ErrorCode.INTERNAL if self._dense_size == known else ErrorCode.INDEX_MISMATCH
            raise ServiceError(code) from error

    def _create(self) -> None:
        """As Qdrant's API has it; qdrant-client, which would say the same, takes over a second to import."""
        dense = {}
        if self._make_embeddings is not None:
            size = len(self._opened_embeddings().embed_query("the size of a vector"))
            dense[DENSE] = {"size": size, "distance": "Cosine"}
        wanted = {
            "vectors": dense,
            "sparse_vectors": {SPARSE: {"modifier": "idf"}},
            "metadata": {EMBEDDING_MODEL: self._embedding_model or ""},
        }
        try:
            self._http.put(self._path, wanted)
        except BadRequestError as error:
            if self._info() is None:  # else another process was first
                raise ServiceError(ErrorCode.INTERNAL) from error

    def _exists(self) -> bool:
        return self._is_verified or self._info() is not None

    def _info(self) -> dict[str, Any] | None:
        """The collection's description, made with our embedding model; None when there is no collection."""
        try:
            info: dict[str, Any] = self._http.get(self._path)
        except NotFoundError:
            return None
        metadata = info["config"].get("metadata") or {}
        if metadata.get(EMBEDDING_MODEL, "") != (self._embedding_model or ""):
            raise ServiceError(ErrorCode.INDEX_MISMATCH)
        self._dense_size = dense_size(info)
        self._is_verified = True
        return info

    def _opened_embeddings(self) -> "ClosableEmbeddings":
        assert self._make_embeddings is not None
        if self._embeddings is None:
            with self._opening:
                if self._embeddings is None:
                    self._embeddings = self._make_embeddings()
        assert self._embeddings is not None
        return self._embeddings


def _where(**wanted: str | int | Sequence[str] | None) -> dict[str, Any]:
    """A filter on payload fields: equal to a value, or any of several; fields that are None do not count."""
    return {"must": [_is(field, value) for field, value in wanted.items() if value is not None]}


def _is(field: str, value: str | int | Sequence[str]) -> dict[str, Any]:
    is_one = isinstance(value, str | int)
    return {"key": f"{METADATA}.{field}", "match": {"value": value} if is_one else {"any": value}}


def _is_below(field: str, value: str | int) -> dict[str, Any]:
    return {"key": f"{METADATA}.{field}", "range": {"lt": value}}
