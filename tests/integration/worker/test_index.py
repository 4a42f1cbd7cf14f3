"""What is written into the index, on the embedded Qdrant."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from qdrant_client import QdrantClient

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from tests.support.documents import HANDBOOK, WordEmbeddings, add_document
from worker.http.generations import Generation
from worker.http.writing import WritingHttp
from worker.index.vector_index import INDEXED_FIELDS, Chunk, Document, VectorIndex, Version, open_index
from worker.vectors import document_vector

WHERE: dict[str, Any] = {"tenant": "default", "collection": "default"}


@pytest.fixture
def http(qdrant_url: str) -> Iterator[WritingHttp]:
    with closing(WritingHttp(qdrant_url, api_key=None, timeout_seconds=10)) as http:
        yield http


@pytest.fixture
def name() -> str:
    return f"t{uuid4().hex}"


@pytest.fixture
def index(http: WritingHttp, name: str) -> VectorIndex:
    return VectorIndex(http, name)


@pytest.fixture
def client(qdrant_url: str) -> Iterator[QdrantClient]:
    with closing(QdrantClient(url=qdrant_url, check_compatibility=False)) as client:
        yield client


def _with_model(http: WritingHttp, name: str, model: str = "words") -> VectorIndex:
    return VectorIndex(http, name, embeddings=WordEmbeddings, embedding_model=model)


def _documents(index: VectorIndex) -> list[Document]:
    return list(index.documents(**WHERE))


def _chunk(number: int, **changes: Any) -> Chunk:
    made = Chunk(
        tenant="default",
        collection="default",
        document_id="d",
        version="v",
        filename="d.pdf",
        sha256="0" * 64,
        page=number + 1,
        chunk_index=number,
        text=f"Chunk {number}.",
        ingested_at="2026-11-21T10:00:00+00:00",
    )
    return replace(made, **changes)


def _document(chunks: int, **changes: Any) -> Document:
    made = Document(
        tenant="default",
        collection="default",
        document_id="d",
        version="v",
        filename="d.pdf",
        source="/in/d.pdf",
        sha256="0" * 64,
        pages=chunks,
        chunks=chunks,
        missing_pages=(2, 3),
        ingested_at="2026-11-21T10:00:00+00:00",
        title="A Title",
        size_bytes=5,
    )
    return replace(made, **changes)


def test_a_point_carries_all_that_a_search_shows_and_filters_by(
    index: VectorIndex, client: QdrantClient, name: str
) -> None:
    index.ensure()
    chunk = _chunk(0, last_page=2, heading="Rain", title="A Title")
    index.write(_document(1), [chunk])
    (point,) = client.retrieve(name, [chunk.point_id], with_vectors=True)
    assert point.payload is not None
    metadata = point.payload["metadata"]
    assert point.payload["text"] == "Chunk 0."
    assert {key: metadata[key] for key in ("page", "last_page", "heading", "title", "filename")} == {
        "page": 1,
        "last_page": 2,
        "heading": "Rain",
        "title": "A Title",
        "filename": "d.pdf",
    }
    assert isinstance(point.vector, dict)
    assert set(point.vector["sparse"].indices) == set(document_vector(chunk.embedded).indices)  # type: ignore[union-attr]
    assert set(client.get_collection(name).payload_schema) == {f"metadata.{field}" for field in INDEXED_FIELDS}


def test_a_collection_of_an_older_version_gets_the_indexes_that_it_lacks(
    index: VectorIndex, http: WritingHttp, client: QdrantClient, name: str
) -> None:
    index.ensure()
    client.delete_payload_index(name, "metadata.page")
    VectorIndex(http, name).ensure()
    assert "metadata.page" in client.get_collection(name).payload_schema


def test_before_anything_is_indexed_there_is_nothing(index: VectorIndex) -> None:
    assert _documents(index) == []
    assert index.chunk_counts(**WHERE) == {}
    assert list(index.documents(**WHERE, document_id="d")) == []
    index.delete(**WHERE, document_id="d")


def test_a_record_is_read_as_it_was_written(index: VectorIndex) -> None:
    index.ensure()
    index.write(_document(1), [_chunk(0)])
    assert _documents(index) == list(index.documents(**WHERE, document_id="d")) == [_document(1)]


def test_a_record_that_is_none_is_passed_over(index: VectorIndex, client: QdrantClient, name: str) -> None:
    index.ensure()
    index.write(_document(1), [_chunk(0)])
    client.set_payload(name, {"document": "hostile"}, points=[_chunk(0).point_id], key="metadata")
    assert _documents(index) == []


def test_writing_twice_changes_nothing(index: VectorIndex) -> None:
    add_document(index, *HANDBOOK)
    add_document(index, *HANDBOOK)
    assert index.chunk_counts(**WHERE) == {"handbook": 2}


def test_of_each_document_the_record_is_written_last(
    index: VectorIndex, http: WritingHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when many go into one write: whatever is cut off, a record's chunks are all there."""
    index.ensure()
    monkeypatch.setattr("worker.index.vector_index.WRITE_BATCH", 2)
    written: list[tuple[str, int]] = []
    monkeypatch.setattr(
        http,
        "put",
        lambda _, body: written.extend(
            (point["payload"]["metadata"]["document_id"], point["payload"]["metadata"]["chunk_index"])
            for point in body["points"]
        ),
    )
    versions = [
        Version(_document(count, document_id=id_), [_chunk(n, document_id=id_) for n in range(count)])
        for id_, count in (("a", 3), ("b", 2))
    ]
    index.write_many(versions)
    assert written == [("a", 2), ("a", 1), ("a", 0), ("b", 1), ("b", 0)]


def test_a_new_version_stands_beside_the_old_one_until_that_is_deleted(index: VectorIndex) -> None:
    add_document(index, *HANDBOOK)
    add_document(index, "The harbour opens at seven.", version="v2")
    old, new = sorted(_documents(index), key=lambda document: document.version)
    assert (old.version, new.version) == ("v1", "v2")
    assert index.chunk_counts(**WHERE) == {"handbook": 3}
    index.delete(**WHERE, document_id="handbook", keep=new)
    assert _documents(index) == [new]
    assert index.chunk_counts(**WHERE) == {"handbook": 1}


def test_what_a_longer_attempt_at_the_same_version_left_is_deleted(index: VectorIndex) -> None:
    index.ensure()
    index.write(_document(4), [_chunk(n) for n in range(4)])
    index.write(_document(2), [_chunk(n) for n in range(2)])
    index.delete(**WHERE, document_id="d", keep=_document(2))
    assert index.chunk_counts(**WHERE) == {"d": 2}


def test_only_what_was_ingested_before_a_time_is_swept(index: VectorIndex) -> None:
    index.ensure()
    index.write(_document(2), [_chunk(0), _chunk(1, ingested_at="2026-11-21T12:00:00+00:00")])
    index.delete(**WHERE, document_id="d", before="2026-11-21T11:00:00+00:00")
    assert index.chunk_counts(**WHERE) == {"d": 1}


def test_a_renamed_document_keeps_its_chunks_and_takes_the_name(
    index: VectorIndex, client: QdrantClient, name: str
) -> None:
    index.ensure()
    index.write(_document(2), [_chunk(n) for n in range(2)])
    renamed = index.rename(_document(2), filename="e.pdf", source="/in/e.pdf")
    assert _documents(index) == [renamed] == [_document(2, filename="e.pdf", source="/in/e.pdf")]
    points, _ = client.scroll(name)
    assert {point.payload["metadata"]["filename"] for point in points if point.payload} == {"e.pdf"}
    assert {point.payload["text"] for point in points if point.payload} == {"Chunk 0.", "Chunk 1."}


def test_a_deleted_document_is_gone_and_no_other(index: VectorIndex) -> None:
    add_document(index, *HANDBOOK)
    add_document(index, "Another harbour.", document_id="other")
    add_document(index, "Another tenant's harbour.", tenant="other")
    add_document(index, "Another collection's harbour.", collection="other")
    index.delete(**WHERE, document_id="handbook")
    left = {(document.tenant, document.collection, document.document_id) for document in index.documents()}
    assert left == {
        ("default", "default", "other"),
        ("other", "default", "handbook"),
        ("default", "other", "handbook"),
    }


def test_the_records_of_many_documents_are_paged_through(index: VectorIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.index.vector_index.SCROLL_PAGE", 3)
    for n in range(8):
        add_document(index, f"Page of {n}", f"Second page of {n}", document_id=f"d{n}")
    assert {document.document_id for document in _documents(index)} == {f"d{n}" for n in range(8)}


@pytest.mark.parametrize("model", [None, "another"])
def test_into_vectors_of_another_model_chunks_are_written_without(
    http: WritingHttp, client: QdrantClient, name: str, model: str | None
) -> None:
    """They are found by words, and the collection says that some lack vectors."""
    add_document(_with_model(http, name), *HANDBOOK)
    index = _with_model(http, name, model) if model else VectorIndex(http, name)
    add_document(index, "A late page.", document_id="late")
    assert {document.document_id for document in _documents(index)} == {"handbook", "late"}
    points, _ = client.scroll(name, with_vectors=True)
    without = {point.payload["metadata"]["document_id"] for point in points if "dense" not in point.vector}  # type: ignore[index, operator]
    assert without == {"late"}
    found = index.generations().current
    assert found is not None
    assert (found.model, found.lacks_vectors) == ("words", True)
    index.delete(**WHERE, document_id="handbook")
    assert {document.document_id for document in _documents(index)} == {"late"}


def test_a_new_index_is_named_by_an_alias(index: VectorIndex, client: QdrantClient, name: str) -> None:
    index.ensure()
    named = {alias.alias_name: alias.collection_name for alias in client.get_aliases().aliases}
    assert named[name] == f"{name}-1"


def test_a_collection_of_that_name_is_the_index_as_well(http: WritingHttp, client: QdrantClient, name: str) -> None:
    """As an earlier release has made it."""
    http.put(f"/collections/{name}", {"vectors": {}, "sparse_vectors": {"sparse": {"modifier": "idf"}}})
    index = VectorIndex(http, name)
    add_document(index, *HANDBOOK)
    assert [document.document_id for document in _documents(index)] == ["handbook"]
    assert client.get_collection(name).points_count == len(HANDBOOK)
    assert name not in {alias.alias_name for alias in client.get_aliases().aliases}


def test_two_processes_may_create_the_collection_at_once(
    http: WritingHttp, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = VectorIndex(http, name), VectorIndex(http, name)
    create = second._create

    def late() -> Generation:
        first.ensure()
        return create()

    monkeypatch.setattr(second, "_create", late)
    second.ensure()
    add_document(second, *HANDBOOK)
    assert len(_documents(first)) == 1


def test_vectors_of_another_length_are_not_taken_for_an_absent_index(http: WritingHttp, name: str) -> None:
    index = _with_model(http, name)
    index.ensure()
    with pytest.raises(ServiceError) as caught:
        index.write(_document(1), [_chunk(0)], [[1.0, 2.0]])
    assert caught.value.code is ErrorCode.INDEX_MISMATCH


def test_qdrant_unavailable_is_a_code_that_a_retry_may_help() -> None:
    with (
        closing(open_index(Settings(qdrant_url="http://127.0.0.1:9"))) as index,
        pytest.raises(ServiceError) as caught,
    ):
        index.ensure()
    assert caught.value.code is ErrorCode.INDEX_UNAVAILABLE


def test_what_a_run_without_changes_imports_is_light() -> None:
    """No client library, and no LangChain: together they take two seconds to import."""
    heavy = {"qdrant_client", "redis", "langchain_core", "openai", "numpy", "pypdf", "pypdfium2"}
    code = f"import sys, ingest.__main__, ingest.chunking.splitter; print(*({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_collection_that_was_deleted_under_a_worker_is_made_again(
    index: VectorIndex, client: QdrantClient, name: str
) -> None:
    """The first write says that the index is away, so that its job is tried again."""
    add_document(index, *HANDBOOK)
    client.delete_collection(f"{name}-1")
    with pytest.raises(ServiceError) as caught:
        add_document(index, *HANDBOOK)
    assert caught.value.code is ErrorCode.INDEX_UNAVAILABLE
    add_document(index, *HANDBOOK)
    assert len(_documents(index)) == 1
