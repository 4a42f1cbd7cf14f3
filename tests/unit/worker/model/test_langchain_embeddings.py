"""Vectors of other providers: Ollama's own package over HTTP, and a package made up on the way."""

import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import ModuleType
from typing import Any

import pytest
from langchain.embeddings.base import _get_embeddings_class_creator
from langchain_core.embeddings import Embeddings

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from tests.support.scripted_server import Body, Reply, ScriptedServer
from worker.model.embeddings import ClosableEmbeddings, open_embeddings
from worker.model.langchain_embeddings import BATCH_SIZE


def vectors(body: Body) -> Reply:
    """A vector for each text: its length."""
    found = ",".join(f"[{len(text)},0.5]" for text in body["input"])
    return Reply(200, [b'{"model":"m","embeddings":[%s]}' % found.encode()], {"content-type": "application/json"})


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, reply: Any = vectors, **settings: Any
) -> Iterator[tuple[ScriptedServer, ClosableEmbeddings]]:
    with closing(ScriptedServer(reply)) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        model = open_embeddings(Settings(embedding_model="ollama:m:v1", **settings))
        assert model is not None
        with closing(model):
            yield server, model


def test_ollama_embeds_a_question_and_texts_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch) as (server, model):
        assert model.embed_query("why?") == [4.0, 0.5]
        assert model.embed_documents(["a", "bbb"]) == [[1.0, 0.5], [3.0, 0.5]]
    assert [body["model"] for body in server.bodies] == ["m:v1", "m:v1"]


def test_many_texts_go_in_calls_of_a_size_that_every_provider_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["x" * (n % 7 + 1) for n in range(2 * BATCH_SIZE + 1)]
    with serving(monkeypatch) as (server, model):
        assert [vector[0] for vector in model.embed_documents(texts)] == [len(text) for text in texts]
        assert model.embed_documents([]) == []
    assert [len(body["input"]) for body in server.bodies] == [BATCH_SIZE, BATCH_SIZE, 1]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_too_much_for_one_call_goes_in_halves_from_then_on(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    said = b"" if status == 413 else b'{"error":"batch size 8 > maximum allowed batch size 3"}'

    def few(body: Body) -> Reply:
        return vectors(body) if len(body["input"]) <= 3 else Reply(status, [said])

    with serving(monkeypatch, few) as (server, model):
        for _ in range(2):
            assert [vector[0] for vector in model.embed_documents(["a", "bb", "ccc", "d", "ee"])] == [1, 2, 3, 1, 2]
    assert [len(body["input"]) for body in server.bodies] == [5, 3, 2, 3, 2]


@pytest.mark.parametrize("number", [b"null", b"1e300"])
def test_what_is_no_vector_is_an_error(monkeypatch: pytest.MonkeyPatch, number: bytes) -> None:
    reply = Reply(200, [b'{"model":"m","embeddings":[[%s,1]]}' % number], {"content-type": "application/json"})
    with serving(monkeypatch, lambda _: reply) as (_, model), pytest.raises(ServiceError) as raised:
        model.embed_query("why?")
    assert raised.value.code is ErrorCode.MODEL_UNAVAILABLE


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(401), ErrorCode.MODEL_AUTH_FAILED),
        (Reply(404), ErrorCode.MODEL_REJECTED),
        (Reply(429), ErrorCode.MODEL_RATE_LIMITED),
        (Reply(500), ErrorCode.MODEL_UNAVAILABLE),
        (Reply(200, [b"<html>"]), ErrorCode.MODEL_UNAVAILABLE),
        (Reply(200, [b'{"model":"m","embeddings":[]}']), ErrorCode.MODEL_UNAVAILABLE),
    ],
)
def test_what_is_not_embedded_has_a_code_and_is_not_tried_again_here(
    monkeypatch: pytest.MonkeyPatch, reply: Reply, code: ErrorCode
) -> None:
    with serving(monkeypatch, lambda _: reply) as (server, model):
        for call in (lambda: model.embed_query("why?"), lambda: model.embed_documents(["a", "b"])):
            with pytest.raises(ServiceError) as raised:
                call()
            assert raised.value.code is code
    assert len(server.bodies) == 2


class Made(Embeddings):
    """A provider's model that hangs and has no time-out; its package stands for any that we do not have."""

    let_go = threading.Event()

    def __init__(self, model: str) -> None:
        pass

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.let_go.wait(5)
        return [[1.0] for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def test_a_client_without_a_time_out_of_its_own_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("langchain_cohere")
    package.CohereEmbeddings = Made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "langchain_cohere", package)
    _get_embeddings_class_creator.cache_clear()
    model = open_embeddings(Settings(embedding_model="cohere:m", model_timeout_seconds=0.2))
    _get_embeddings_class_creator.cache_clear()
    assert model is not None
    with pytest.raises(ServiceError) as raised:
        model.embed_query("why?")
    Made.let_go.set()
    assert raised.value.code is ErrorCode.MODEL_TIMEOUT
