"""POST /v1/embeddings, from OpenAI's own SDK through the queue and a worker to the embedding model and back."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import SecretStr
from redis import Redis

from app.core.contract import EMBED_TEXTS_MAX, QUERY_MAX_CHARACTERS, EmbedJob
from app.core.errors import ErrorCode
from app.core.settings import Settings
from tests.integration.worker.test_worker import working
from tests.support.api import serving
from tests.support.model_server import ModelServer
from worker.jobs import embed_texts
from worker.resources import Process, begin, end
from worker.runtime.retries import JobFailedError

MODEL = "text-embedding-3-small"
KEYS = {"api_key": "none", "max_retries": 0, "timeout": 60}


@pytest.fixture(scope="module")
def settings(valkey_url: str, qdrant_url: str, model: ModelServer) -> Settings:
    return Settings(
        redis_url=SecretStr(valkey_url), qdrant_url=qdrant_url, embedding_model=MODEL, openai_base_url=model.url
    )


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[OpenAI]:
    with serving(settings) as url, working(settings), OpenAI(base_url=f"{url}/v1", **KEYS) as client:  # type: ignore[arg-type]
        yield client
    end()


@pytest.fixture(scope="module")
def direct(model: ModelServer) -> Iterator[OpenAI]:
    """The SDK's client of the model itself."""
    with OpenAI(base_url=model.url, **KEYS) as client:  # type: ignore[arg-type]
        yield client


@pytest.mark.parametrize("form", ["float", "base64"])
@pytest.mark.parametrize("texts", ["harbour", ["harbour"], ["harbour", "Wie tief?", "x" * QUERY_MAX_CHARACTERS]])
def test_vectors_are_the_models_own_in_the_order_of_the_texts(
    client: OpenAI, direct: OpenAI, form: Any, texts: str | list[str]
) -> None:
    ours = client.embeddings.create(model=MODEL, input=texts, encoding_format=form)
    its = direct.embeddings.create(model=MODEL, input=texts, encoding_format=form)
    assert [each.index for each in ours.data] == [each.index for each in its.data]
    for our, its_own in zip(ours.data, its.data, strict=True):
        if form == "float":
            assert our.embedding == pytest.approx(its_own.embedding, abs=1e-6)
        else:
            assert isinstance(our.embedding, str)
    assert ours.model == MODEL
    default = client.embeddings.create(model=MODEL, input=texts)  # base64 on the wire, floats from the SDK
    assert default.data[0].embedding == pytest.approx(
        direct.embeddings.create(model=MODEL, input=texts).data[0].embedding
    )


def test_nothing_of_its_job_is_left(client: OpenAI, settings: Settings) -> None:
    assert settings.redis_url
    with Redis.from_url(settings.redis_url.get_secret_value()) as valkey:
        before = {*valkey.scan_iter("rq:job:*"), *valkey.scan_iter("rq:results:*")}
        client.embeddings.create(model=MODEL, input="harbour")
        assert {*valkey.scan_iter("rq:job:*"), *valkey.scan_iter("rq:results:*")} <= before


def test_as_many_texts_as_a_job_takes(client: OpenAI) -> None:
    texts = [f"text {number}" for number in range(EMBED_TEXTS_MAX)]
    assert len(client.embeddings.create(model=MODEL, input=texts).data) == EMBED_TEXTS_MAX


@pytest.mark.parametrize(
    "asked",
    [
        {"input": ["x"] * (EMBED_TEXTS_MAX + 1)},
        {"input": "x" * (QUERY_MAX_CHARACTERS + 1)},
        {"input": ""},
        {"input": ["x", ""]},
        {"input": []},
        {"input": [1, 2, 3]},
        {"input": [[1, 2], [3]]},
        {"input": "x", "dimensions": 8},
        {"input": "x", "encoding_format": "int8"},
    ],
    ids=str,
)
def test_what_is_not_done_is_refused(client: OpenAI, asked: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/embeddings", body={"model": MODEL, **asked}, cast_to=object)
    assert caught.value.code in ("unsupported_parameter", "invalid_value")


@pytest.mark.parametrize("name", ["rag-queue", "another", ""])
def test_another_model_is_not_found(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model=name, input="x")
    assert caught.value.code == "model_not_found"


def test_the_model_is_listed_and_answers_no_question(client: OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=MODEL, input="x")


def test_without_an_embedding_model_there_is_none(settings: Settings) -> None:
    without = settings.model_copy(update={"embedding_model": None})
    with serving(without) as url, OpenAI(base_url=f"{url}/v1", **KEYS) as client:  # type: ignore[arg-type]
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model=MODEL, input="x")
        assert [model.id for model in client.models.list()] == ["rag-queue"]


def test_a_worker_with_another_model_gives_no_vectors(settings: Settings) -> None:
    end()
    begin(Process(settings))
    try:
        with pytest.raises(JobFailedError, match=ErrorCode.INDEX_MISMATCH.value):
            embed_texts(EmbedJob(texts=("x",), model="another").model_dump(mode="json"))
    finally:
        end()
