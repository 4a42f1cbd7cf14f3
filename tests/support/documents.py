"""Chunks and embeddings for tests of index and worker."""

from langchain_core.embeddings import Embeddings

from app.core.contract import DEFAULT_COLLECTION, DEFAULT_TENANT
from worker.index.vector_index import Chunk, Document, VectorIndex
from worker.vectors import terms

HANDBOOK = (
    "The harbour opens at six in winter. Dogs stay outside.",
    "Every boat is washed after rowing. The warranty lasts two years.",
)


SIZE = 1021
"""Prime and large: few words share a place."""


class WordEmbeddings(Embeddings):
    """Deterministic vectors in which texts that share words are near each other."""

    batch_size = 1_000

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector = [0.0] * SIZE
        for term in terms(text):
            vector[term % SIZE] += 1.0
        return vector if any(vector) else [1.0] + [0.0] * (SIZE - 1)

    def close(self) -> None:
        """It holds nothing."""


def add_document(
    index: VectorIndex,
    *pages: str,
    filename: str = "handbook.pdf",
    document_id: str = "handbook",
    version: str = "v1",
    tenant: str = DEFAULT_TENANT,
    collection: str = DEFAULT_COLLECTION,
) -> None:
    """Index one chunk a page, as ingest does."""
    chunks = [
        Chunk(tenant, collection, document_id, version, filename, "0" * 64, n + 1, n, text, "2026-11-21T00:00:00Z")
        for n, text in enumerate(pages)
    ]
    record = Document(
        tenant,
        collection,
        document_id,
        version,
        filename,
        filename,
        "0" * 64,
        len(pages),
        len(pages),
        (),
        "2026-11-21T00:00:00Z",
    )
    index.ensure()
    index.write(record, chunks, index.embed(pages))
