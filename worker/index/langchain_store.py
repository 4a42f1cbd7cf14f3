"""Our collection as a LangChain vector store: for a chain, an agent or an evaluation beside the service.

The service itself searches through `worker.retrieval.search`, whose imports are a tenth of this one's.
"""

from collections.abc import Sequence
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import httpx
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings
from langchain_qdrant import SparseVector as LangchainSparseVector
from qdrant_client import QdrantClient, models

from app.core.contract import DEFAULT_COLLECTION, DEFAULT_TENANT
from app.core.loopback import names_loopback
from app.core.proxies import proxy_for
from app.core.qdrant_addresses import addresses
from app.core.services import qdrant_server
from app.core.settings import Settings
from worker.model.choice import settled
from worker.model.embeddings import ClosableEmbeddings, open_embeddings
from worker.vectors import DENSE, METADATA, SPARSE, TEXT, SparseVector, document_vector, query_vector


class Bm25(SparseEmbeddings):
    """BM25's term weights, as the index has them."""

    def embed_documents(self, texts: list[str]) -> list[LangchainSparseVector]:
        """Term-frequency weights of each text."""
        return [_plain(document_vector(text)) for text in texts]

    def embed_query(self, text: str) -> LangchainSparseVector:
        """Weight 1 for each distinct term."""
        return _plain(query_vector(text))


class Dense(Embeddings):
    """The service's embedding model as LangChain has them."""

    def __init__(self, model: ClosableEmbeddings) -> None:
        self._model = model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, in order."""
        return self._model.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self._model.embed_query(text)


class ReadOnlyError(Exception):
    """The store only reads: documents come in through the API or `python -m ingest`, which keep catalog and files."""


class _Nodes(httpx.BaseTransport):
    """Sends to the first node of a cluster that can be reached."""

    def __init__(self, first: str, others: Sequence[str]) -> None:
        self._nodes = [(httpx.URL(url), httpx.HTTPTransport(proxy=proxy_for(url))) for url in (first, *others)]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the first that gives one. Raises what the last of them does."""
        path = request.url.raw_path[len(self._nodes[0][0].raw_path.rstrip(b"/")) :]
        for turn, (node, transport) in enumerate(self._nodes, start=1):
            request.url = node.copy_with(raw_path=node.raw_path.rstrip(b"/") + path)
            request.headers["Host"] = node.netloc.decode()
            try:
                return transport.handle_request(request)
            except httpx.TransportError:
                if turn == len(self._nodes):
                    raise
        raise AssertionError("there is one node at least")

    def close(self) -> None:
        """Close the connections to all of them."""
        for _, transport in self._nodes:
            transport.close()


class ScopedClient:
    """The part of `QdrantClient` that a `QdrantVectorStore` reads with, confined to one tenant's collection.

    Whatever filter a search has, its chunks are those of the scope. Writes raise `ReadOnlyError`.
    """

    def __init__(self, client: QdrantClient, *, tenant: str, collection: str) -> None:
        self._client = client
        self._scope = [
            models.FieldCondition(key=f"{METADATA}.{name}", match=models.MatchValue(value=value))
            for name, value in {"tenant": tenant, "collection": collection}.items()
        ]

    def query_points(
        self, collection_name: str, *, query_filter: models.Filter | None = None, **options: Any
    ) -> models.QueryResponse:
        """As `QdrantClient.query_points`, within the scope. Qdrant hands the filter down to each `prefetch`."""
        return self._client.query_points(collection_name, query_filter=self._within(query_filter), **options)

    def retrieve(self, collection_name: str, ids: Sequence[Any], **options: Any) -> list[models.Record]:
        """As `QdrantClient.retrieve`, without the points that are not of the scope."""
        wanted = self._within(models.Filter(must=[models.HasIdCondition(has_id=list(ids))]))
        records, _ = self._client.scroll(collection_name, scroll_filter=wanted, limit=max(1, len(ids)), **options)
        return records

    def get_collection(self, collection_name: str) -> models.CollectionInfo:
        """As `QdrantClient.get_collection`: langchain-qdrant looks at the vectors before it searches by one."""
        return self._client.get_collection(collection_name)

    def upsert(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to write."""
        raise ReadOnlyError

    delete = upsert

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _within(self, wanted: models.Filter | None) -> models.Filter:
        return models.Filter(must=[*self._scope, *([wanted] if wanted is not None else [])])


def open_vector_store(
    settings: Settings,
    *,
    tenant: str = DEFAULT_TENANT,
    collection: str = DEFAULT_COLLECTION,
    client: QdrantClient | None = None,
    embeddings: Embeddings | None = None,
) -> QdrantVectorStore:
    """A store that reads one tenant's collection as `settings` say: hybrid with an embedding model, else BM25.

    What another tenant or collection holds does not exist for it, whatever filter or ids it is given. It only reads.
    Opens no connection, but where the embedding model is to be chosen, which may raise `ServiceError`. Raises
    `ConfigurationError` when there is no Qdrant to go to.
    """
    if embeddings is None and (ours := open_embeddings(settled(settings))) is not None:
        embeddings = Dense(ours)
    scoped = ScopedClient(client or open_client(settings), tenant=tenant, collection=collection)
    return QdrantVectorStore(
        cast(QdrantClient, scoped),
        settings.qdrant_collection,
        embedding=embeddings,
        retrieval_mode=RetrievalMode.HYBRID if embeddings is not None else RetrievalMode.SPARSE,
        vector_name=DENSE,
        content_payload_key=TEXT,
        metadata_payload_key=METADATA,
        sparse_embedding=Bm25(),
        sparse_vector_name=SPARSE,
        validate_embeddings=False,
        validate_collection_config=False,
    )


def open_client(settings: Settings) -> QdrantClient:
    """qdrant-client for the Qdrant of `settings`. Opens no connection; raises as `open_vector_store` does."""
    nodes, key = qdrant_server(settings)
    url, *others = addresses(nodes)
    transport = _Nodes(url, others) if others else httpx.HTTPTransport(proxy=proxy_for(url))
    if key is not None and names_loopback(urlsplit(url).hostname or ""):
        # As a header: qdrant-client would warn of a connection that is not encrypted, and this one leaves no machine.
        headers = {"api-key": key}
        return QdrantClient(url=url, headers=headers, check_compatibility=False, transport=transport)
    return QdrantClient(url=url, api_key=key, check_compatibility=False, transport=transport)


def _plain(vector: SparseVector) -> LangchainSparseVector:
    return LangchainSparseVector(indices=list(vector.indices), values=list(vector.values))
