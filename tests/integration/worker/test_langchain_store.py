"""The index as a LangChain vector store, on the embedded Qdrant: what it finds, and that it sees one tenant alone."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.documents import Document
from langchain_qdrant import QdrantVectorStore
from qdrant_client import QdrantClient, models

from app.core.settings import Settings
from tests.support import ROOT
from tests.support.documents import HANDBOOK, WordEmbeddings, add_document
from worker.http.writing import WritingHttp
from worker.index.langchain_store import ReadOnlyError, open_vector_store
from worker.index.vector_index import VectorIndex

QUESTION = "When is a boat washed?"
SECRET = "The boat is washed at midnight by the other tenant."
PAGE = (ROOT / "docs" / "langchain.md").read_text()


@pytest.fixture
def http(qdrant_url: str) -> Iterator[WritingHttp]:
    with closing(WritingHttp(qdrant_url, api_key=None, timeout_seconds=10)) as http:
        yield http


@pytest.fixture(params=[True, False], ids=["hybrid", "BM25"])
def has_model(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def open_index(http: WritingHttp, name: str, has_model: bool) -> VectorIndex:
    if has_model:
        return VectorIndex(http, name, embeddings=WordEmbeddings, embedding_model="words")
    return VectorIndex(http, name)


@pytest.fixture
def filled(http: WritingHttp, has_model: bool) -> str:
    """A Qdrant collection with the handbook of one tenant, and another tenant's and another collection's page."""
    name = f"t{uuid4().hex}"
    index = open_index(http, name, has_model)
    add_document(index, *HANDBOOK)
    add_document(index, SECRET, tenant="another", filename="secret.pdf")
    add_document(index, SECRET, collection="another", filename="secret.pdf")
    return name


@pytest.fixture
def client(qdrant_url: str) -> Iterator[QdrantClient]:
    with closing(QdrantClient(url=qdrant_url, check_compatibility=False)) as client:
        yield client


@pytest.fixture
def open_store(filled: str, client: QdrantClient, has_model: bool) -> Callable[..., QdrantVectorStore]:
    def opened(**scope: str) -> QdrantVectorStore:
        embeddings = WordEmbeddings() if has_model else None
        return open_vector_store(Settings(qdrant_collection=filled), client=client, embeddings=embeddings, **scope)

    return opened


ALL = models.Filter(should=[models.FieldCondition(key="metadata.page", range=models.Range(gte=0))])
READS: dict[str, Callable[[QdrantVectorStore], list[Document]]] = {
    "similarity_search": lambda store: store.similarity_search(QUESTION, k=50),
    "with a filter": lambda store: store.similarity_search(QUESTION, k=50, filter=ALL),
    "with_score": lambda store: [found for found, _ in store.similarity_search_with_score(QUESTION, k=50)],
    "a filter taken away": lambda store: store.similarity_search(QUESTION, k=50, query_filter=None),
    "above a score": lambda store: store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"k": 50, "score_threshold": 0.0}
    ).invoke(QUESTION),
    "retriever": lambda store: store.as_retriever(search_kwargs={"k": 50}).invoke(QUESTION),
    "retriever with a filter": lambda store: store.as_retriever(search_kwargs={"k": 50, "filter": ALL}).invoke(
        QUESTION
    ),
}


@pytest.mark.parametrize("has_model", [False], indirect=True)
def test_the_page_runs(filled: str, qdrant_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    settings = Settings(_env_file=None, qdrant_url=qdrant_url, qdrant_collection=filled)
    names: dict[str, Any] = {}
    exec(code.replace("Settings()", "SETTINGS"), {"SETTINGS": settings}, names)
    assert "harbour" in capsys.readouterr().out
    assert names["found"][0].metadata["page"] == 1


def test_the_page_names_every_field_that_is_there(open_store: Callable[..., QdrantVectorStore]) -> None:
    [listed] = re.findall(r"`metadata` holds: (.*?)\. A document's chunk 0", PAGE, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", listed))
    found = open_store().similarity_search("boat harbour", k=50)
    assert {found.metadata["chunk_index"] for found in found} == {0, 1}
    of_langchain = {"_id", "_collection_name"}
    for one in found:
        record = {"document"} if one.metadata["chunk_index"] == 0 else set()
        assert set(one.metadata) - of_langchain == named | record


VECTOR = WordEmbeddings().embed_query(QUESTION)
DENSE_READS: dict[str, Callable[[QdrantVectorStore], list[Document]]] = {
    "mmr": lambda store: store.max_marginal_relevance_search(QUESTION, k=50, fetch_k=50),
    "mmr with a filter": lambda store: store.max_marginal_relevance_search(QUESTION, k=50, fetch_k=50, filter=ALL),
    "mmr by vector": lambda store: store.max_marginal_relevance_search_by_vector(VECTOR, k=50, fetch_k=50),
    "mmr retriever": lambda store: store.as_retriever(
        search_type="mmr", search_kwargs={"k": 50, "fetch_k": 50}
    ).invoke(QUESTION),
    "by vector": lambda store: store.similarity_search_by_vector(VECTOR, k=50),
    "by vector with a filter": lambda store: store.similarity_search_by_vector(VECTOR, k=50, filter=ALL),
}
"""Searches of the dense vectors, which an index of BM25 alone has not."""


@pytest.mark.parametrize("has_model", [True], indirect=True)
@pytest.mark.parametrize("read", DENSE_READS)
def test_searches_by_dense_vectors_find_only_the_scope(
    open_store: Callable[..., QdrantVectorStore], read: str
) -> None:
    search = DENSE_READS[read]
    assert {found.page_content for found in search(open_store())} == set(HANDBOOK)
    assert [found.page_content for found in search(open_store(tenant="another"))] == [SECRET]
    assert search(open_store(tenant="nobody")) == []


@pytest.mark.filterwarnings("ignore:Relevance scores must be between")  # BM25's go above 1, as the page says
@pytest.mark.parametrize("read", READS)
def test_whatever_is_asked_only_the_scope_is_found(open_store: Callable[..., QdrantVectorStore], read: str) -> None:
    documents = READS[read](open_store())
    assert HANDBOOK[1] in {found.page_content for found in documents}
    assert {(found.metadata["tenant"], found.metadata["collection"]) for found in documents} == {
        ("default", "default")
    }
    assert [found.page_content for found in READS[read](open_store(tenant="another"))] == [SECRET]
    assert READS[read](open_store(tenant="nobody")) == []


def test_others_chunks_do_not_crowd_out_ones_own(
    open_store: Callable[..., QdrantVectorStore], http: WritingHttp, filled: str, has_model: bool
) -> None:
    add_document(
        open_index(http, filled, has_model),
        *[QUESTION] * 40,
        tenant="crowd",
        document_id="crowd",
        filename="crowd.pdf",
    )
    (found,) = open_store().similarity_search(QUESTION, k=1)
    assert found.page_content == HANDBOOK[1]


def test_an_id_of_another_tenant_finds_nothing(open_store: Callable[..., QdrantVectorStore]) -> None:
    (secret,) = open_store(tenant="another").similarity_search(QUESTION, k=1)
    (own,) = open_store().similarity_search(QUESTION, k=1)
    ids = [secret.metadata["_id"], own.metadata["_id"]]
    assert [found.page_content for found in open_store().get_by_ids(ids)] == [own.page_content]


def test_nothing_is_written_through_it(open_store: Callable[..., QdrantVectorStore]) -> None:
    store = open_store()
    (own,) = store.similarity_search(QUESTION, k=1)
    with pytest.raises(ReadOnlyError):
        store.add_texts(["more"])
    with pytest.raises(ReadOnlyError):
        store.delete([own.metadata["_id"]])
    assert store.similarity_search(QUESTION, k=1) == [own]
