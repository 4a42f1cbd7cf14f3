"""The vector index: one Qdrant collection whose points are chunks.

Named vectors: `dense` (when an embedding model is set) and `sparse` (BM25, to which Qdrant adds the IDF). The payload
is LangChain's layout, so that any `QdrantVectorStore` reads it: the chunk's words under `text`, the rest under
`metadata`. The collection's own metadata records the embedding model.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

import httpx
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore, RetrievalMode
from langchain_qdrant.sparse_embeddings import SparseEmbeddings, SparseVector
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse
from qdrant_edge import Bm25

from app.core.errors import ErrorCode, ServiceError
from app.core.services import qdrant_url
from app.core.settings import Fusion, Settings
from worker.embeddings import ProviderEmbeddings, open_embeddings

DENSE = "dense"
SPARSE = "sparse"
TEXT = "text"
METADATA = "metadata"

PREFETCH_FACTOR = 10
"""Each half of a hybrid search offers this many times `top_k`: fusion ranks well only what both offer deeply."""
PREFETCH_MIN = 50
WRITE_BATCH = 256
"""Chunks in one write: large enough to amortise the request, small enough to stay far below Qdrant's 32 MiB."""
SCROLL_PAGE = 512
POOL_CONNECTIONS = 16
"""A search takes milliseconds: few connections serve many threads, and httpx looks at each for each request."""
DENSE_FLOOR = 0.1
"""Cosine below which a chunk that shares no word with the question is not about it."""

POINT_NAMESPACE = UUID("7f1e2b1c-30a5-4c0e-9a27-5f3d2f0f9a10")

INDEXED_FIELDS: dict[str, models.PayloadSchemaType | models.KeywordIndexParams] = {
    "tenant": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    "collection": models.PayloadSchemaType.KEYWORD,
    "document_id": models.PayloadSchemaType.KEYWORD,
    "version": models.PayloadSchemaType.KEYWORD,
    "chunk_index": models.PayloadSchemaType.INTEGER,
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one page. `text` is the page's own words; `page` counts from 1, `chunk_index` from 0.

    `version` names the bytes, parser, splitter and embedding model that the chunk was made with: two versions of one
    document stand side by side until the old one is deleted.
    """

    tenant: str
    collection: str
    document_id: str
    version: str
    filename: str
    sha256: str
    page: int
    chunk_index: int
    text: str
    ingested_at: str

    @property
    def point_id(self) -> str:
        """The same for the same chunk, so that writing twice changes nothing."""
        name = f"{self.tenant}\n{self.collection}\n{self.document_id}\n{self.version}\n{self.chunk_index}"
        return str(uuid5(POINT_NAMESPACE, name))


@dataclass(frozen=True, slots=True)
class Document:
    """A document's record. It stands with chunk 0, which is written last: without it the document does not exist."""

    tenant: str
    collection: str
    document_id: str
    version: str
    filename: str
    source: str
    sha256: str
    pages: int
    chunks: int
    missing_pages: tuple[int, ...]
    ingested_at: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found; `score` is comparable within one search only."""

    document_id: str
    filename: str
    page: int
    chunk_index: int
    text: str
    score: float


class Bm25Embeddings(SparseEmbeddings):
    """BM25 term weights by Qdrant's own tokenizer; the server's IDF modifier completes the formula."""

    def __init__(self) -> None:
        self._bm25 = Bm25()

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        """Term-frequency weights of each text."""
        return [_sparse(self._bm25.embed_document(text)) for text in texts]

    def embed_query(self, text: str) -> SparseVector:
        """Weight 1 for each distinct term."""
        return _sparse(self._bm25.embed_query(text))


def open_index(settings: Settings) -> "VectorIndex":
    """The configured index. Opens no connection. Raises `ConfigurationError` when there is no Qdrant to go to."""
    client = QdrantClient(
        url=qdrant_url(settings),
        api_key=settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None,
        timeout=settings.qdrant_timeout_seconds,
        check_compatibility=False,  # it would ask the server while the client is made
        # The client keeps no connection alive to a local address unless it is told to.
        limits=httpx.Limits(max_connections=POOL_CONNECTIONS, max_keepalive_connections=POOL_CONNECTIONS),
    )
    return VectorIndex(
        client,
        settings.qdrant_collection,
        embeddings=open_embeddings(settings),
        embedding_model=settings.embedding_model,
        fusion=settings.fusion,
    )


class VectorIndex:
    """Writes and finds chunks. Safe to share between threads.

    Every method raises `ServiceError`: INDEX_UNAVAILABLE when Qdrant is away, INDEX_MISMATCH when the collection was
    made with another embedding model, or one of the model's codes when embedding fails.
    """

    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        *,
        embeddings: Embeddings | None = None,
        embedding_model: str | None = None,
        fusion: Fusion = Fusion.DBSF,
    ) -> None:
        self._client = client
        self._collection = collection
        self._embeddings = embeddings
        self._embedding_model = embedding_model if embeddings is not None else None
        self._sparse = Bm25Embeddings()
        self._fusion = models.FusionQuery(fusion=models.Fusion(fusion.value))
        self._store = QdrantVectorStore(
            client,
            collection,
            embedding=embeddings,
            retrieval_mode=RetrievalMode.HYBRID if embeddings is not None else RetrievalMode.SPARSE,
            vector_name=DENSE,
            content_payload_key=TEXT,
            metadata_payload_key=METADATA,
            sparse_embedding=self._sparse,
            sparse_vector_name=SPARSE,
            validate_embeddings=False,
            validate_collection_config=False,  # `_exists` does, without embedding a dummy text
        )
        self._verified = False

    def close(self) -> None:
        """Close the connections to Qdrant and to the embedding model."""
        self._client.close()
        if isinstance(self._embeddings, ProviderEmbeddings):
            self._embeddings.close()

    def search(
        self,
        query: str,
        *,
        tenant: str,
        collection: str,
        top_k: int,
        document_ids: Iterable[str] | None = None,
    ) -> list[Hit]:
        """The `top_k` chunks that fit `query` best, best first; none when none is about it or nothing is indexed."""
        with _classified():
            if not self._exists():
                return []
            where = _where(tenant=tenant, collection=collection, document_id=document_ids)
            depth = top_k if self._embeddings is None else max(PREFETCH_MIN, PREFETCH_FACTOR * top_k)
            found = self._store.similarity_search_with_score(query, depth, filter=where, hybrid_fusion=self._fusion)
            hits = [_hit(document.page_content, document.metadata, score) for document, score in found[:top_k]]
            if not hits or self._embeddings is None or shares_terms(query, (hit.text for hit in hits)):
                return hits
            return hits if self._is_near(query, where) else []

    def ensure(self) -> None:
        """Create the collection, with its vectors and payload indexes, unless it is there."""
        with _classified():
            if self._exists():
                return
            try:
                self._create()
            except UnexpectedResponse as error:
                if error.status_code != httpx.codes.CONFLICT:  # another process was first
                    raise
            for field, schema in INDEXED_FIELDS.items():
                self._client.create_payload_index(self._collection, f"{METADATA}.{field}", field_schema=schema)

    def embed(self, texts: Sequence[str]) -> list[list[float]] | None:
        """The texts' dense vectors, or None when retrieval is BM25 alone."""
        if self._embeddings is None:
            return None
        return self._embeddings.embed_documents(list(texts))

    def write(self, document: Document, chunks: Sequence[Chunk], dense: Sequence[Sequence[float]] | None) -> None:
        """Write a document's chunks, with the vectors that `embed` gave for them; chunk 0 and its record last."""
        with _classified():
            points = [self._point(chunk, dense[i] if dense else None) for i, chunk in enumerate(chunks)]
            points[0].payload[METADATA]["document"] = asdict(document)  # type: ignore[index]
            last_first = points[::-1]
            for start in range(0, len(points), WRITE_BATCH):
                self._client.upsert(self._collection, last_first[start : start + WRITE_BATCH], wait=True)

    def documents(self, *, tenant: str, collection: str) -> Iterator[Document]:
        """The records of the documents that are whole."""
        with _classified():
            if not self._exists():
                return
            offset: Any = None
            while True:
                page, offset = self._client.scroll(
                    self._collection,
                    scroll_filter=_where(tenant=tenant, collection=collection, chunk_index=0),
                    limit=SCROLL_PAGE,
                    offset=offset,
                    with_payload=[f"{METADATA}.document"],
                )
                for point in page:
                    record = (point.payload or {})[METADATA]["document"]
                    yield Document(**record | {"missing_pages": tuple(record["missing_pages"])})
                if offset is None:
                    return

    def delete(self, *, tenant: str, collection: str, document_id: str, except_version: str | None = None) -> None:
        """Delete a document, or its versions other than `except_version`."""
        with _classified():
            where = _where(tenant=tenant, collection=collection, document_id=document_id)
            if except_version is not None:
                where.must_not = [_matches("version", except_version)]
            self._client.delete(self._collection, models.FilterSelector(filter=where), wait=True)

    def _point(self, chunk: Chunk, dense: Sequence[float] | None) -> models.PointStruct:
        sparse = self._sparse.embed_documents([chunk.text])[0]
        vector: dict[str, Any] = {SPARSE: models.SparseVector(indices=sparse.indices, values=sparse.values)}
        if dense is not None:
            vector[DENSE] = list(dense)
        metadata = asdict(chunk)
        return models.PointStruct(
            id=chunk.point_id, vector=vector, payload={TEXT: metadata.pop("text"), METADATA: metadata}
        )

    def _create(self) -> None:
        dense = {}
        if self._embeddings is not None:
            size = len(self._embeddings.embed_query("the size of a vector"))
            dense[DENSE] = models.VectorParams(size=size, distance=models.Distance.COSINE)
        self._client.create_collection(
            self._collection,
            vectors_config=dense,
            sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            metadata={"embedding_model": self._embedding_model or ""},
        )

    def _exists(self) -> bool:
        """Whether the collection is there, and made with our embedding model."""
        if self._verified:
            return True
        try:
            config = self._client.get_collection(self._collection).config
        except UnexpectedResponse as error:
            if error.status_code == httpx.codes.NOT_FOUND:
                return False
            raise
        except ValueError as error:  # the local client's 404
            if "not found" in str(error):
                return False
            raise
        if (config.metadata or {}).get("embedding_model", "") != (self._embedding_model or ""):
            raise ServiceError(ErrorCode.INDEX_MISMATCH)
        self._verified = True
        return True

    def _is_near(self, query: str, where: models.Filter) -> bool:
        """Whether any chunk means what the question means, though they share no word (another language, say)."""
        assert self._embeddings is not None
        nearest = self._client.query_points(
            self._collection,
            query=self._embeddings.embed_query(query),
            using=DENSE,
            query_filter=where,
            limit=1,
            score_threshold=DENSE_FLOOR,
            with_payload=False,
        )
        return bool(nearest.points)


def terms(text: str) -> frozenset[int]:
    """The distinct terms of `text` as BM25 sees them: stemmed, lower-cased, without stop words, hashed."""
    return frozenset(_query_encoder().embed_query(text).indices)


def shares_terms(query: str, texts: Iterable[str]) -> bool:
    """Whether any of `texts` holds a term of `query`."""
    wanted = terms(query)
    return any(wanted & terms(text) for text in texts)


@lru_cache(maxsize=1)
def _query_encoder() -> Bm25:
    return Bm25()


def _sparse(vector: Any) -> SparseVector:
    return SparseVector(indices=vector.indices, values=vector.values)


def _hit(text: str, metadata: dict[str, Any], score: float) -> Hit:
    return Hit(
        document_id=metadata["document_id"],
        filename=metadata["filename"],
        page=metadata["page"],
        chunk_index=metadata["chunk_index"],
        text=text,
        score=score,
    )


def _where(**fields: Any) -> models.Filter:
    """A filter on payload fields: equal to a value, or any of several; fields that are None do not count."""
    return models.Filter(must=[_matches(field, value) for field, value in fields.items() if value is not None])


def _matches(field: str, value: Any) -> models.FieldCondition:
    single = isinstance(value, str | int)
    match = models.MatchValue(value=value) if single else models.MatchAny(any=list(value))
    return models.FieldCondition(key=f"{METADATA}.{field}", match=match)


@contextmanager
def _classified() -> Iterator[None]:
    """Turn the libraries' exceptions into codes; the original stays the cause, for the log."""
    try:
        yield
    except UnexpectedResponse as error:
        status = error.status_code or 500
        is_ours = 400 <= status < 500 and status not in (408, 429)
        raise ServiceError(ErrorCode.INTERNAL if is_ours else ErrorCode.INDEX_UNAVAILABLE) from error
    except (ResponseHandlingException, ApiException, httpx.HTTPError) as error:
        raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error
