"""What an embedding model's manner comes to, for documents, for questions and for texts: one table for all manners.

The jobs are the real ones, with Valkey, Qdrant, and a model's server over HTTP that has the manner.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr
from qdrant_client import QdrantClient
from redis import Redis

from app.core.contract import EmbedJob, SearchJob
from app.core.documents import operations
from app.core.documents.catalog import Catalog
from app.core.documents.files import open_store
from app.core.documents.ids import document_id
from app.core.documents.records import DocumentStatus
from app.core.errors import ErrorCode
from app.core.settings import Settings
from ingest.indexing import embedder
from ingest.jobs import index_document
from tests.integration.ingest.test_ingest_jobs import uploaded
from tests.support import pdfs
from tests.support.embedding_manners import EMBEDDING_MANNERS, REFUSALS
from tests.support.model_server import ModelServer
from worker.http.writing import WritingHttp
from worker.index.vector_index import VectorIndex, open_index
from worker.jobs import embed_texts, search_documents
from worker.model.embeddings import ProviderEmbeddings
from worker.resources import end
from worker.runtime.retries import JobFailedError

NAME = "shore.pdf"
SHORE = document_id("default", "default", NAME)
PAGES = [
    "Otters sleep in groups.",
    "Herons wait for fish.",
    "The harbour opens at six.",
    "Gulls steal bread.",
    "Boats are washed on Mondays.",
    "Nets are mended in the loft.",
    "The lighthouse was built of granite.",
]
QUESTION = "What do herons wait for?"
TEXTS = ("otters", "herons", "the harbour", "gulls", "boats")
SOUND = "test-dims=8"

Outcome = ErrorCode | None
"""None: the vectors are those that the server means."""
OK = None
UNAVAILABLE, MISMATCH = ErrorCode.MODEL_UNAVAILABLE, ErrorCode.INDEX_MISMATCH


class Says(NamedTuple):
    """What is said of a document, of a question, and of some texts."""

    document: Outcome
    question: Outcome
    texts: Outcome


SOUND_VECTORS: list[tuple[dict[int, list[float]], Any]] = []
"""A sound server's, of the document's chunks and of the texts; made once."""


def every(outcome: Outcome) -> Says:
    return Says(outcome, outcome, outcome)


MANY_ONLY = Says(UNAVAILABLE, OK, UNAVAILABLE)
"""What does not matter for one vector."""

TABLE: dict[str, Says] = {
    **{f"most_{name}": every(OK) for name in REFUSALS},
    "most_words": every(OK),
    "most_in_200": MANY_ONLY,
    "no_base64": every(OK),
    "base64": every(OK),
    "bare": every(OK),
    "gzip": every(OK),
    "zlib": every(OK),
    "bom": every(OK),
    "reversed": every(OK),
    "no_index": every(OK),
    "null_index": every(OK),
    "same_index": every(OK),
    "some_indexes": MANY_ONLY,
    "index_from_1": every(OK),
    "text_index": MANY_ONLY,
    "one_too_few": every(UNAVAILABLE),
    "one_too_many": every(UNAVAILABLE),
    "longer": Says(MISMATCH, MISMATCH, OK),
    "shorter": Says(MISMATCH, MISMATCH, OK),
    "no_data": every(UNAVAILABLE),
    "null_data": every(UNAVAILABLE),
    "empty_data": every(UNAVAILABLE),
    "null_body": every(UNAVAILABLE),
    "empty_body": every(UNAVAILABLE),
    "list_body": every(UNAVAILABLE),
    "null_items": every(UNAVAILABLE),
    "no_vectors": every(UNAVAILABLE),
    "null_vectors": every(UNAVAILABLE),
    "empty_vectors": every(UNAVAILABLE),
    "nested_vectors": every(OK),
    "null": every(UNAVAILABLE),
    "nan": every(UNAVAILABLE),
    "nan_text": every(UNAVAILABLE),
    "nan_base64": every(UNAVAILABLE),
    "huge": every(UNAVAILABLE),
    "bad_base64": every(UNAVAILABLE),
    "cut_base64": every(UNAVAILABLE),
    "uneven": Says(UNAVAILABLE, MISMATCH, UNAVAILABLE),
    "html": every(UNAVAILABLE),
    "gzip_cut": every(UNAVAILABLE),
    "error_object": every(UNAVAILABLE),
    "error_object_400": every(ErrorCode.MODEL_REJECTED),
    "error": every(UNAVAILABLE),
    "error_rate": every(ErrorCode.MODEL_RATE_LIMITED),
    "error_key": every(ErrorCode.MODEL_AUTH_FAILED),
}


THROUGH_THE_QUEUE = ("most_tei", "most_openai", "most_nginx", "most_in_200")
SMALL = [name for name in TABLE if name.startswith("most_") and name not in THROUGH_THE_QUEUE]
"""Servers that take few texts at once: their words differ, which matters to nobody, so the client alone is tried."""


@pytest.fixture(scope="module")
def shore(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = pdfs.make_pdf(tmp_path_factory.mktemp("pdf") / NAME, PAGES)
    return path.read_bytes()


@pytest.fixture
def serve(
    valkey: Redis, valkey_url: str, qdrant_url: str, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Settings]]:
    """Makes the model of a name this process's, with a collection that was made under that name by a sound one."""
    monkeypatch.setattr(embedder, "WAIT_SECONDS_MAX", 0.001)

    def serve(name: str) -> Settings:
        end()
        stated = {
            "REDIS_URL": valkey_url,
            "QDRANT_URL": qdrant_url,
            "QDRANT_COLLECTION": f"t{uuid4().hex}",
            "OPENAI_BASE_URL": model.url,
            "EMBEDDING_MODEL": name,
        }
        for variable, value in stated.items():
            monkeypatch.setenv(variable, value)
        settings = Settings()
        http = WritingHttp(qdrant_url, api_key=None, timeout_seconds=10)
        index = VectorIndex(
            http,
            settings.qdrant_collection,
            embeddings=lambda: ProviderEmbeddings(settings, SOUND),
            embedding_model=name,
        )
        with closing(index):
            index.ensure()
        return settings

    yield serve
    end()


def index_file(valkey: Redis, content: bytes, name: str = NAME) -> None:
    """Index the file as the queue's job does; raises `JobFailedError`."""
    job = uploaded(Catalog(valkey), open_store(Settings()), content, name)
    index_document(job.model_dump(mode="json"))


def search() -> list[Any]:
    job = SearchJob(query=QUESTION, tenant="default", collection="default", top_k=3)
    hits: list[Any] = search_documents(job.model_dump(mode="json"))["hits"]
    return hits


def embed(name: str) -> Any:
    return embed_texts(EmbedJob(texts=TEXTS, model=name).model_dump(mode="json"))["vectors"]


def stored(settings: Settings) -> dict[int, list[float]]:
    assert settings.qdrant_url
    with closing(QdrantClient(url=settings.qdrant_url, check_compatibility=False)) as client:
        points, _ = client.scroll(settings.qdrant_collection, with_vectors=["dense"], limit=100)
    return {point.payload["metadata"]["chunk_index"]: point.vector["dense"] for point in points}  # type: ignore[index, call-overload, misc]


def code_of(act: Callable[[], object]) -> Outcome:
    try:
        act()
    except JobFailedError as error:
        return ErrorCode(str(error).partition(":")[0])
    return None


def test_every_manner_is_in_the_table() -> None:
    assert set(TABLE) == set(EMBEDDING_MANNERS)


@pytest.mark.parametrize("name", [name for name in TABLE if name not in SMALL])
def test_a_manner_comes_to_the_same_for_documents_questions_and_texts(
    serve: Callable[[str], Settings], valkey: Redis, shore: bytes, name: str
) -> None:
    says = TABLE[name]
    if not SOUND_VECTORS:
        sound = serve(SOUND)
        index_file(valkey, shore)
        SOUND_VECTORS.append((stored(sound), embed(SOUND)))
        valkey.flushall()
    [(wanted, vectors)] = SOUND_VECTORS
    assert len(wanted) == len(PAGES)

    model = f"{SOUND}-vectors={name}"
    settings = serve(model)
    assert code_of(lambda: index_file(valkey, shore)) == says.document
    record = Catalog(valkey).do(operations.get("default", SHORE))
    assert record is not None
    if says.document is OK:
        assert record.status is DocumentStatus.INDEXED
        found = stored(settings)
        assert {at: pytest.approx(vector) for at, vector in wanted.items()} == found
        assert search()[0]["page"] == 2
    else:
        assert record.status is DocumentStatus.FAILED
        assert record.error is not None
        assert record.error.code == says.document
        assert stored(settings) == {}
    assert code_of(search) == says.question
    assert code_of(lambda: embed(model)) == says.texts
    if says.texts is OK and says.document is OK:
        assert embed(model) == vectors


@pytest.mark.parametrize("name", SMALL)
def test_what_the_server_takes_is_asked_from_then_on(
    serve: Callable[[str], Settings], model: ModelServer, name: str
) -> None:
    texts = [f"word {at} of some" for at in range(17)]
    settings = serve(SOUND)
    with closing(ProviderEmbeddings(settings, SOUND)) as sound:
        wanted = sound.embed_documents(texts)
    with closing(ProviderEmbeddings(settings, f"{SOUND}-vectors={name}")) as embeddings:
        for found, each in zip(embeddings.embed_documents(texts), wanted, strict=True):
            assert found == pytest.approx(each)
        model.reset()
        embeddings.embed_documents(texts)
        embeddings.embed_few(texts)
    stats = model.stats()
    assert set(stats["by_status"]) == {"200"}
    if name != "most_words":
        assert stats["requests"] == 2 * 9


def test_a_collection_made_anew_with_another_length_is_taken_as_it_is(
    serve: Callable[[str], Settings], valkey: Redis, shore: bytes, model: ModelServer, qdrant_url: str
) -> None:
    """By a worker that knew the old one."""
    settings = serve(f"{SOUND}-vectors=longer")
    assert code_of(lambda: index_file(valkey, shore)) is MISMATCH
    assert code_of(search) is MISMATCH
    with closing(QdrantClient(url=qdrant_url, check_compatibility=False)) as client:
        client.delete_collection(f"{settings.qdrant_collection}-1")
    with closing(open_index(settings)) as another:
        another.ensure()
    index_file(valkey, shore)
    assert search()[0]["page"] == 2
    assert {len(vector) for vector in stored(settings).values()} == {16}


def test_the_vectors_are_those_of_langchains_client(serve: Callable[[str], Settings], model: ModelServer) -> None:
    theirs = OpenAIEmbeddings(
        model=SOUND,
        openai_api_base=model.url,
        openai_api_key=SecretStr("none"),
        check_embedding_ctx_length=False,
    )
    with closing(ProviderEmbeddings(serve(SOUND), SOUND)) as ours:
        for our, its in zip(ours.embed_documents(PAGES), theirs.embed_documents(PAGES), strict=True):
            assert our == pytest.approx(its, abs=1e-6)


def test_each_request_is_a_turn_in_the_budget_once_the_size_is_known(
    serve: Callable[[str], Settings], valkey: Redis, shore: bytes, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[int] = []
    embed_in_turn = embedder.Embedder.embed

    def counted(self: embedder.Embedder, texts: Sequence[str]) -> Any:
        turns.append(len(texts))
        return embed_in_turn(self, texts)

    monkeypatch.setattr(embedder.Embedder, "embed", counted)
    serve(f"{SOUND}-vectors=most_tei")
    index_file(valkey, shore)
    turns.clear()
    model.reset()
    for name in ("again.pdf", "and-again.pdf"):
        index_file(valkey, shore, name)
    assert turns == [2, 2, 2, 1] * 2
    assert model.stats()["requests"] == len(turns)
