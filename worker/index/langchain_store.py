"""Our collection as a LangChain vector store: for a chain, an agent or an evaluation beside the service.

The service itself searches through `worker.retrieval.search`, whose imports are a tenth of this one's.
"""

import httpx
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings
from langchain_qdrant import SparseVector as LangchainSparseVector
from qdrant_client import QdrantClient, models

from app.core.contract import DEFAULT_COLLECTION, DEFAULT_TENANT
from app.core.proxies import proxy_for
from app.core.services import qdrant_url
from app.core.settings import Settings
from worker.model.embeddings import open_embeddings
from worker.vectors import DENSE, METADATA, SPARSE, TEXT, SparseVector, document_vector, query_vector


class Bm25(SparseEmbeddings):
    """BM25's term weights, as the index has them."""

    def embed_documents(self, texts: list[str]) -> list[LangchainSparseVector]:
        """Term-frequency weights of each text."""
        return [_plain(document_vector(text)) for text in texts]

    def embed_query(self, text: str) -> LangchainSparseVector:
        """Weight 1 for each distinct term."""
        return _plain(query_vector(text))


def open_vector_store(
    settings: Settings, *, client: QdrantClient | None = None, embeddings: Embeddings | None = None
) -> QdrantVectorStore:
    """A store that searches as `settings` say: hybrid with an embedding model, else BM25.

    It sees every tenant's chunks: give each search `where(tenant=..., collection=...)` as its filter. Opens no
    connection. Raises `ConfigurationError` when there is no Qdrant to go to.
    """
    dense = embeddings or open_embeddings(settings)
    return QdrantVectorStore(
        client or _open_client(settings),
        settings.qdrant_collection,
        embedding=dense,
        retrieval_mode=RetrievalMode.HYBRID if dense is not None else RetrievalMode.SPARSE,
        vector_name=DENSE,
        content_payload_key=TEXT,
        metadata_payload_key=METADATA,
        sparse_embedding=Bm25(),
        sparse_vector_name=SPARSE,
        validate_embeddings=False,
        validate_collection_config=False,
    )


def where(*, tenant: str = DEFAULT_TENANT, collection: str = DEFAULT_COLLECTION) -> models.Filter:
    """The filter that confines a search to one tenant's collection."""
    fields = {"tenant": tenant, "collection": collection}
    return models.Filter(
        must=[
            models.FieldCondition(key=f"{METADATA}.{name}", match=models.MatchValue(value=value))
            for name, value in fields.items()
        ]
    )


def _open_client(settings: Settings) -> QdrantClient:
    url = qdrant_url(settings)
    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    transport = httpx.HTTPTransport(proxy=proxy_for(url))
    return QdrantClient(url=url, api_key=key, check_compatibility=False, transport=transport)


def _plain(vector: SparseVector) -> LangchainSparseVector:
    return LangchainSparseVector(indices=list(vector.indices), values=list(vector.values))
