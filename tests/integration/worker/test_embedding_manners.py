"""What a server's manner of giving vectors comes to, for documents and for a question: one table for all manners.

The index and the client are the service's own, Qdrant is real, and the model's server has the manner, over HTTP.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr

from app.core.contract import DEFAULT_COLLECTION, DEFAULT_TENANT
from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from ingest.indexing.embedder import Embedder
from tests.support.documents import HANDBOOK, add_document
from tests.support.embedding_manners import EMBEDDING_MANNERS
from tests.support.model_server import ModelServer, embed
from worker.index.vector_index import VectorIndex, open_index
from worker.model.batches import Batches
from worker.model.embeddings import ProviderEmbeddings, open_embeddings
from worker.retrieval.search import Searcher, open_searcher

DIMS = 16
TEXTS = [f"The boat number {number} is washed with fresh water after rowing." for number in range(9)]
QUESTION = "When does the harbour open in winter?"

Outcome = str | ErrorCode
RIGHT = "right"
UNAVAILABLE = ErrorCode.MODEL_UNAVAILABLE

TABLE: dict[str, tuple[Outcome, Outcome]] = {
    "texts_413": (RIGHT, RIGHT),
    "texts_400": (RIGHT, RIGHT),
    "texts_422": (RIGHT, RIGHT),
    "texts_cohere": (RIGHT, RIGHT),
    "tokens_openai": (RIGHT, RIGHT),
    "tokens_voyage": (RIGHT, RIGHT),
    "tokens_context": (RIGHT, RIGHT),
    "tokens_500": (RIGHT, RIGHT),
    "nothing_fits": (ErrorCode.CONTEXT_TOO_LONG, ErrorCode.CONTEXT_TOO_LONG),
    "reversed": (RIGHT, RIGHT),
    "from_one": (RIGHT, RIGHT),
    "index_missing": (RIGHT, RIGHT),
    "index_zero": (RIGHT, RIGHT),
    "index_twice": (UNAVAILABLE, RIGHT),
    "index_gap": (UNAVAILABLE, RIGHT),
    "index_words": (UNAVAILABLE, RIGHT),
    "base64": (RIGHT, RIGHT),
    "nested": (RIGHT, RIGHT),
    "by_token": (UNAVAILABLE, UNAVAILABLE),
    "base64_cut": (UNAVAILABLE, UNAVAILABLE),
    "no_base64": (UNAVAILABLE, UNAVAILABLE),
    "null": (UNAVAILABLE, UNAVAILABLE),
    "null_within": (UNAVAILABLE, UNAVAILABLE),
    "words": (UNAVAILABLE, UNAVAILABLE),
    "no_number": (UNAVAILABLE, UNAVAILABLE),
    "infinite": (UNAVAILABLE, UNAVAILABLE),
    "empty": (UNAVAILABLE, UNAVAILABLE),
    "uneven": (UNAVAILABLE, ErrorCode.INDEX_MISMATCH),
    "other_size": (ErrorCode.INDEX_MISMATCH, ErrorCode.INDEX_MISMATCH),
    "one_less": (UNAVAILABLE, UNAVAILABLE),
    "one_more": (UNAVAILABLE, UNAVAILABLE),
    "none": (UNAVAILABLE, UNAVAILABLE),
    "no_list": (UNAVAILABLE, UNAVAILABLE),
    "error": (UNAVAILABLE, UNAVAILABLE),
    "error_rate": (ErrorCode.MODEL_RATE_LIMITED, ErrorCode.MODEL_RATE_LIMITED),
    "nothing": (UNAVAILABLE, UNAVAILABLE),
    "bom": (RIGHT, RIGHT),
    "gzip": (RIGHT, RIGHT),
    "html": (UNAVAILABLE, UNAVAILABLE),
    "cut": (UNAVAILABLE, UNAVAILABLE),
}
"""What comes of some documents' chunks, and of one question."""


@dataclass(frozen=True)
class Service:
    """The index of a model whose server has a manner, made when it had none yet."""

    index: VectorIndex
    searcher: Searcher
    settings: Settings


@pytest.fixture
def service(
    request: pytest.FixtureRequest, qdrant_url: str, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    monkeypatch.setattr("ingest.indexing.embedder.WAIT_SECONDS_BASE", 0.001)
    plain = Settings(
        _env_file=None,
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        openai_base_url=model.url,
        embedding_model=f"test-dims={DIMS}",
    )
    settings = plain.model_copy(update={"embedding_model": f"test-dims={DIMS}-manner={request.param}"})
    with closing(open_index(settings)) as index, closing(open_searcher(settings)) as searcher:
        index._embeddings = open_embeddings(plain)
        add_document(index, *HANDBOOK)
        index._embeddings.close()  # type: ignore[union-attr]
        index._embeddings = None
        model.reset()
        yield Service(index, searcher, settings)


def code_of(act: Callable[[], object]) -> ErrorCode:
    with pytest.raises(ServiceError) as raised:
        act()
    return raised.value.code


def test_every_manner_is_in_the_table() -> None:
    assert set(TABLE) == set(EMBEDDING_MANNERS)


@pytest.mark.parametrize("service", EMBEDDING_MANNERS, indirect=True)
def test_what_comes_of_documents(service: Service, request: pytest.FixtureRequest, model: ModelServer) -> None:
    expected = TABLE[request.node.callspec.params["service"]][0]
    embedder = Embedder(service.index)
    if expected is not RIGHT:
        assert code_of(lambda: embedder.embed(TEXTS)) is expected
        sent = {UNAVAILABLE: 3, ErrorCode.MODEL_RATE_LIMITED: 6, ErrorCode.CONTEXT_TOO_LONG: 5}.get(expected, 1)
        assert model.stats()["requests"] == sent
        return
    found = embedder.embed(TEXTS)
    assert found is not None
    for text, vector in zip(TEXTS, found, strict=True):
        assert list(vector) == pytest.approx(list(embed(text, DIMS)), abs=1e-6)


@pytest.mark.parametrize("service", EMBEDDING_MANNERS, indirect=True)
def test_what_comes_of_a_question(service: Service, request: pytest.FixtureRequest, model: ModelServer) -> None:
    expected = TABLE[request.node.callspec.params["service"]][1]

    def search() -> list[str]:
        hits = service.searcher.search(QUESTION, tenant=DEFAULT_TENANT, collection=DEFAULT_COLLECTION, top_k=1)
        return [hit.text for hit in hits]

    if expected is RIGHT:
        assert search() == [HANDBOOK[0]]
    else:
        assert code_of(search) is expected
    assert model.stats()["requests"] == 1, "its job is tried again, not the call"


@pytest.mark.parametrize("service", ["gzip"], indirect=True)
def test_the_vectors_are_those_that_langchain_would_have(service: Service) -> None:
    stated = service.settings
    theirs = OpenAIEmbeddings(
        model=stated.embedding_model or "",
        openai_api_base=stated.openai_base_url,
        openai_api_key=SecretStr("none"),
        check_embedding_ctx_length=False,
    )
    found = Embedder(service.index).embed(TEXTS)
    assert found is not None
    for ours, its in zip(found, theirs.embed_documents(TEXTS), strict=True):
        assert list(ours) == pytest.approx(its, abs=1e-6)


@pytest.mark.parametrize("service", ["texts_413", "tokens_500"], indirect=True)
def test_what_a_server_takes_is_remembered(service: Service, model: ModelServer) -> None:
    embedder = Embedder(service.index)
    embedder.embed(TEXTS)
    refused = sum(count for status, count in model.stats()["by_status"].items() if status != "200")
    assert refused > 0
    model.reset()
    embedder.embed(TEXTS)
    assert set(model.stats()["by_status"]) == {"200"}


@pytest.mark.parametrize("service", ["texts_400"], indirect=True)
def test_a_text_that_is_refused_alone_fails_and_nothing_is_remembered_of_it(service: Service) -> None:
    embeddings = open_embeddings(service.settings)
    assert isinstance(embeddings, ProviderEmbeddings)
    with closing(embeddings):
        before = embeddings._batches._size
        assert code_of(lambda: embeddings.embed_documents(["", "a", "b"])) is ErrorCode.MODEL_REJECTED
        assert embeddings._batches._size == before


def test_long_texts_say_nothing_about_how_many_others_fit() -> None:
    """Who sends long texts must not make everybody's batches small."""

    def call(texts: object) -> list[list[float]]:
        assert isinstance(texts, list)
        if sum(map(len, texts)) > 10_000:
            raise ServiceError(ErrorCode.CONTEXT_TOO_LONG)
        return [[float(len(text))] for text in texts]

    batches = Batches(8)
    assert batches.embed(["x" * 5_000] * 8, call) == [[5000.0]] * 8
    assert batches._size == 8
    assert batches.embed(["x" * 1_500] * 8, call) == [[1500.0]] * 8
    assert batches._size == 4


@pytest.mark.parametrize("service", ["bom"], indirect=True)
def test_a_collection_that_was_made_anew_with_other_vectors_is_found_out(service: Service) -> None:
    """By processes that have known it as it was."""
    searched = {"tenant": DEFAULT_TENANT, "collection": DEFAULT_COLLECTION, "top_k": 1}
    assert service.searcher.search(QUESTION, **searched)  # type: ignore[arg-type]
    old = service.settings.embedding_model
    assert old is not None
    larger = service.settings.model_copy(update={"embedding_model": old.replace(f"dims={DIMS}", "dims=32")})
    httpx.delete(f"{service.settings.qdrant_url}{service.index._path}").raise_for_status()
    with closing(open_index(larger)) as index:
        index._embedding_model = old
        add_document(index, *HANDBOOK)
    assert code_of(lambda: service.searcher.search(QUESTION, **searched)) is ErrorCode.INDEX_MISMATCH  # type: ignore[arg-type]
    assert code_of(lambda: add_document(service.index, *HANDBOOK)) is ErrorCode.INDEX_MISMATCH
