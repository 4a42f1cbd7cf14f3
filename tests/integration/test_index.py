"""The index behaves the same on the embedded Qdrant and on qdrant-client's own local mode."""

import warnings
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from langchain_core.embeddings import Embeddings
from qdrant_client import QdrantClient

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Fusion, Settings
from tests.support.documents import HANDBOOK, WordEmbeddings, add_document
from worker.index import Hit, VectorIndex, open_index


@pytest.fixture(params=["embedded", "memory"])
def client(request: pytest.FixtureRequest) -> Iterator[QdrantClient]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect")  # in the local mode, true and harmless
        if request.param == "memory":
            client = QdrantClient(":memory:")
        else:
            client = QdrantClient(url=request.getfixturevalue("qdrant_url"), check_compatibility=False)
        yield client
        client.close()


@pytest.fixture(params=[None, WordEmbeddings()], ids=["bm25", "hybrid"])
def index(client: QdrantClient, request: pytest.FixtureRequest) -> VectorIndex:
    return make_index(client, f"t{uuid4().hex}", request.param)


def make_index(
    client: QdrantClient, name: str, embeddings: Embeddings | None, model: str = "words", fusion: Fusion = Fusion.DBSF
) -> VectorIndex:
    return VectorIndex(client, name, embeddings=embeddings, embedding_model=model, fusion=fusion)


def find(index: VectorIndex, query: str, **more: object) -> list[Hit]:
    options: dict[str, object] = {"tenant": "default", "collection": "default", "top_k": 5} | more
    return index.search(query, **options)  # type: ignore[arg-type]


def test_a_question_finds_its_page_first(index: VectorIndex) -> None:
    add_document(index, *HANDBOOK)
    found = find(index, "When does the harbour open in winter?")
    assert (found[0].filename, found[0].page, found[0].text) == ("handbook.pdf", 1, HANDBOOK[0])
    assert len(find(index, "harbour boat", top_k=1)) == 1


def test_before_anything_is_indexed_nothing_is_found(index: VectorIndex) -> None:
    assert find(index, "harbour") == []
    assert list(index.documents(tenant="default", collection="default")) == []


def test_a_question_about_something_else_finds_nothing(index: VectorIndex) -> None:
    add_document(index, *HANDBOOK)
    assert find(index, "zork blorf") == []


def test_tenants_collections_and_documents_are_kept_apart(index: VectorIndex) -> None:
    add_document(index, "The harbour of tenant A.", tenant="a", document_id="a1")
    add_document(index, "The harbour of tenant B.", tenant="b", document_id="b1")
    add_document(index, "The harbour of B's other shelf.", tenant="b", collection="other", document_id="b2")
    assert {hit.document_id for hit in find(index, "harbour", tenant="a")} == {"a1"}
    assert {hit.document_id for hit in find(index, "harbour", tenant="b", collection="other")} == {"b2"}
    assert find(index, "harbour", tenant="b", document_ids=["a1"]) == []
    assert {hit.document_id for hit in find(index, "harbour", tenant="b", document_ids=["b1", "a1"])} == {"b1"}
    assert find(index, "harbour", tenant="nobody") == []


def test_writing_twice_changes_nothing(index: VectorIndex) -> None:
    add_document(index, *HANDBOOK)
    add_document(index, *HANDBOOK)
    assert len(find(index, "harbour boat")) == 2


def test_a_new_version_stands_beside_the_old_one_until_that_is_deleted(index: VectorIndex) -> None:
    add_document(index, *HANDBOOK)
    add_document(index, "The harbour opens at seven.", version="v2")
    assert {"The harbour opens at seven.", HANDBOOK[0]} <= {hit.text for hit in find(index, "harbour")}
    index.delete(tenant="default", collection="default", document_id="handbook", except_version="v2")
    assert [hit.text for hit in find(index, "harbour")] == ["The harbour opens at seven."]
    assert [d.version for d in index.documents(tenant="default", collection="default")] == ["v2"]


def test_a_deleted_document_is_gone(index: VectorIndex) -> None:
    add_document(index, *HANDBOOK)
    add_document(index, "Another harbour.", document_id="other")
    index.delete(tenant="default", collection="default", document_id="handbook")
    assert [d.document_id for d in index.documents(tenant="default", collection="default")] == ["other"]
    assert {hit.document_id for hit in find(index, "harbour")} == {"other"}


def test_the_catalog_pages_through_many_documents(index: VectorIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.index.SCROLL_PAGE", 3)
    for n in range(8):
        add_document(index, f"Page of {n}", f"Second page of {n}", document_id=f"d{n}")
    assert {d.document_id for d in index.documents(tenant="default", collection="default")} == {
        f"d{n}" for n in range(8)
    }


@pytest.mark.parametrize("fusion", list(Fusion))
def test_each_fusion_finds_the_page(client: QdrantClient, fusion: Fusion) -> None:
    index = make_index(client, f"t{uuid4().hex}", WordEmbeddings(), fusion=fusion)
    add_document(index, *HANDBOOK)
    assert find(index, "When is a boat washed?")[0].page == 2


@pytest.mark.parametrize("other", [None, "another"])
def test_another_embedding_model_is_an_error_and_never_silence(client: QdrantClient, other: str | None) -> None:
    name = f"t{uuid4().hex}"
    add_document(make_index(client, name, WordEmbeddings()), *HANDBOOK)
    index = make_index(client, name, WordEmbeddings() if other else None, model=other or "")
    for act in (lambda: find(index, "harbour"), index.ensure):
        with pytest.raises(ServiceError) as caught:
            act()
        assert caught.value.code is ErrorCode.INDEX_MISMATCH


def test_two_processes_may_create_the_collection_at_once(client: QdrantClient) -> None:
    name = f"t{uuid4().hex}"
    first, second = make_index(client, name, None), make_index(client, name, None)
    assert find(first, "x") == find(second, "x") == []
    first.ensure()
    second._verified = False
    second.ensure()
    add_document(second, *HANDBOOK)
    assert find(first, "harbour")


def test_qdrant_away_is_a_code_that_a_retry_may_help() -> None:
    index = open_index(Settings(qdrant_url="http://127.0.0.1:9"))
    with closing(index), pytest.raises(ServiceError) as caught:
        find(index, "harbour")
    assert caught.value.code is ErrorCode.INDEX_UNAVAILABLE
