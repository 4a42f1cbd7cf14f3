"""LangChain's vector store works on the embedded Qdrant as it does in local mode."""

from qdrant_client import QdrantClient

from tests.support.qdrant_points import DENSE, NAMES, SPARSE


def test_langchains_hybrid_search_works_unchanged(client: QdrantClient) -> None:
    from langchain_core.embeddings import Embeddings
    from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings
    from langchain_qdrant import SparseVector as LangchainSparse
    from qdrant_edge import Bm25

    class Letters(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[float(text.count(letter)) + 0.1 for letter in "aeio"] for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    class Words(SparseEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[LangchainSparse]:
            vectors = [Bm25().embed_document(text) for text in texts]
            return [LangchainSparse(indices=vector.indices, values=vector.values) for vector in vectors]

        def embed_query(self, text: str) -> LangchainSparse:
            vector = Bm25().embed_query(text)
            return LangchainSparse(indices=vector.indices, values=vector.values)

    name = next(NAMES)
    client.create_collection(name, vectors_config=DENSE, sparse_vectors_config={"langchain-sparse": SPARSE})
    store = QdrantVectorStore(client, name, Letters(), retrieval_mode=RetrievalMode.HYBRID, sparse_embedding=Words())
    texts = ["the net income of Acme rose", "a cat sat on the mat", "rain in Spain stays on the plain"]
    keys = store.add_texts(texts, metadatas=[{"n": n} for n in range(3)])
    found = store.similarity_search_with_score("net income", k=2)
    assert found[0][0].page_content == texts[0]
    assert found[0][0].metadata["n"] == 0
    store.delete(keys[:1])
    assert texts[0] not in [document.page_content for document in store.similarity_search("net income", k=3)]
