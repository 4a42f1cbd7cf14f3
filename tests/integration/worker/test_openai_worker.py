"""OpenAI's protocol from end to end: the official SDK, the API, a real worker, a real index and a model over HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from openai import OpenAI
from pydantic import SecretStr
from redis import Redis

from app.core.contract import QUERY_QUEUE
from app.core.queue.connections import connect
from app.core.settings import Settings
from tests.support.acting import QUEUE_KEY
from tests.support.api import serving
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from worker.concurrent import ConcurrentWorker
from worker.resources import end

QUESTION = "When does the harbour open in winter?"


@pytest.fixture
def settings(valkey_url: str, qdrant_url: str, handbook: str, model: ModelServer) -> Iterator[Settings]:
    yield Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        worker_concurrency=2,
        openai_base_url=model.url,
        chat_model="test-gap=20ms",
    )
    end()


@pytest.fixture
def client(settings: Settings, valkey: Redis) -> Iterator[OpenAI]:
    with (
        serving(settings) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client,
    ):
        yield client


def work(settings: Settings) -> None:
    """Work the queue until it is empty."""
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=settings).work(burst=True)


def test_a_background_response_is_the_models_answer_with_its_citations(client: OpenAI, settings: Settings) -> None:
    created = client.responses.create(model="rag-queue", input=QUESTION, background=True)
    assert created.status == "queued"
    work(settings)
    response = client.responses.retrieve(created.id)
    assert response.status == "completed"
    message: Any = response.output[0]
    [text] = message.content
    first = text.annotations[0]
    assert text.text[first.start_index : first.end_index] == "[1]"
    assert first.title == "handbook.pdf, page 1"
    assert response.usage is not None
    assert response.usage.total_tokens > 0
    events = list(client.responses.retrieve(created.id, stream=True))
    assert events[-1].type == "response.completed"
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == response.output_text


def test_a_streamed_completion_is_the_same_answer(client: OpenAI, settings: Settings, valkey: Redis) -> None:
    def read() -> tuple[str, int]:
        stream = client.chat.completions.create(
            model="rag-queue", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        deltas = [chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content]
        return "".join(deltas), len(deltas)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        wait_until(lambda: valkey.llen(QUEUE_KEY), "the question waits")
        work(settings)
        text, pieces = reading.result(60)
    assert "[1]" in text
    assert pieces > 1


TASK = (
    "### Task:\nGive this chat a title, in JSON.\n### Chat History:\n"
    f"<chat_history>\nUSER: {QUESTION}\nASSISTANT: The harbour opens at six in winter. [1]\n</chat_history>"
)


def done(client: OpenAI, settings: Settings, valkey: Redis) -> tuple[str, dict[str, Any]]:
    """What comes of a client's task, and the job's result."""
    created = client.responses.create(model="rag-queue", input=TASK, background=True)
    work(settings)
    job_id = created.id.removeprefix("resp_")
    result = httpx.get(f"{str(client.base_url).removesuffix('/v1/')}/result/{job_id}").json()["result"]
    return client.responses.retrieve(created.id).output_text, result


def test_a_clients_task_is_done_by_the_model_without_any_source(
    client: OpenAI, settings: Settings, valkey: Redis, model: ModelServer
) -> None:
    asked = settings.model_copy(update={"chat_model": "test-echo"})
    text, result = done(client, asked, valkey)
    assert "You have no documents and no sources" in text
    assert QUESTION in text
    assert "<source" not in text
    assert (result["mode"], result["grounded"], result["citations"]) == ("task", False, [])
    assert result["usage"]["input_tokens"] > 0
    assert result["timings_ms"]["retrieval"] == 0
    usage = httpx.get(f"{str(client.base_url).removesuffix('/v1/')}/usage").json()
    assert usage["total"]["input_tokens"] == result["usage"]["input_tokens"]


def test_without_a_model_a_clients_task_comes_to_nothing(client: OpenAI, settings: Settings, valkey: Redis) -> None:
    text, result = done(client, settings.model_copy(update={"openai_base_url": None}), valkey)
    assert (text, result["mode"], result["model"], result["answer"]) == ("", "task", None, "")


def test_earlier_messages_reach_the_model(client: OpenAI, settings: Settings, valkey: Redis) -> None:
    asked: Any = [
        {"role": "user", "content": "Does the harbour have a warden?"},
        {"role": "assistant", "content": "It has, at the northern pier."},
        {"role": "user", "content": QUESTION},
    ]
    created = client.responses.create(
        model="rag-queue", input=asked, instructions="Answer as a pilot would.", background=True
    )
    work(settings.model_copy(update={"chat_model": "test-echo"}))
    text = client.responses.retrieve(created.id).output_text
    assert "Does the harbour have a warden?" in text
    assert "at the northern pier" in text
    assert text.index("nothing else") < text.index("Answer as a pilot would.") < text.index("has, at")
