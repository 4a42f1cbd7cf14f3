"""What a model's manner of answering comes to in every place that shows an answer: one table for all manners.

A real service throughout: the API, its worker, Valkey, Qdrant, and a model's server over HTTP that has the manner.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import SecretStr

from app.core.contract import QUERY_QUEUE
from app.core.errors import ErrorCode
from app.core.queue.connections import connect
from app.core.settings import Settings
from tests.support.api import serving
from tests.support.model_manners import MANNERS
from tests.support.model_server import ModelServer
from tests.support.sse import events_of
from worker import resources
from worker.concurrent import ConcurrentWorker
from worker.resources import open_answering

QUESTION = "When does the harbour open in winter?"
ANSWER = "The harbour opens at six in winter. [1]"
COMPLETION: Any = {"model": "rag-queue", "messages": [{"role": "user", "content": QUESTION}]}
SECRET = "sEcReT"

Outcome = str | ErrorCode
"""What is to be said: "stop" and "length" with the answer, or the error."""
NO_ANSWER, UNAVAILABLE = ErrorCode.MODEL_NO_ANSWER, ErrorCode.MODEL_UNAVAILABLE

TABLE: dict[str, Outcome] = {
    "null": NO_ANSWER,
    "empty": NO_ANSWER,
    "blank": NO_ANSWER,
    "only_reasoning": NO_ANSWER,
    "only_reasoning_vllm": NO_ANSWER,
    "only_tool_calls": NO_ANSWER,
    "no_choices": NO_ANSWER,
    "length_in_thought": NO_ANSWER,
    "think_cut": NO_ANSWER,
    "think_never_closed": NO_ANSWER,
    "thoughts_alone": NO_ANSWER,
    "error_object": UNAVAILABLE,
    "error_object_400": ErrorCode.MODEL_REJECTED,
    "error_text": UNAVAILABLE,
    "error": UNAVAILABLE,
    "error_rate": ErrorCode.MODEL_RATE_LIMITED,
    "html": UNAVAILABLE,
    "bom": "stop",
    "gzip": "stop",
    "x_gzip": "stop",
    "zlib": "stop",
    "deflate": "stop",
    "gzip_cut": UNAVAILABLE,
    "crlf": "stop",
    "no_space": "stop",
    "no_done": "stop",
    "no_last_newline": "stop",
    "keepalive": "stop",
    "event_names": "stop",
    "parts": "stop",
    "thinking_parts": "stop",
    "reasoning_beside": "stop",
    "reasoning_beside_vllm": "stop",
    "usage_null": "stop",
    "usage_missing": "stop",
    "index_missing": "stop",
    "finish_with_text": "stop",
    "finish_never": "stop",
    "finish_never_and_no_done": UNAVAILABLE,
    "length": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "model_length": "length",
    "length_with_text": "length",
    "safety": ErrorCode.CONTENT_FILTERED,
    "think": "stop",
    "think_lines": "stop",
    "think_empty": "stop",
    "think_unopened": "stop",
    "unopened": "stop",
    "think_unopened_inline": "stop",
    "unopened_and_unlike_thoughts": "stop",
    "thinking": "stop",
    "reasoning": "stop",
    "harmony": "stop",
    "mistral": "stop",
    "kimi": "stop",
    "cohere": "stop",
    "think_and_answer": "stop",
    "im_end": "stop",
    "im_start": "stop",
    "assistant": "stop",
    "eot_id": "stop",
    "s": "stop",
    "inst": "stop",
    "gemma": "stop",
    "deepseek": "stop",
}
WHOLE_DIFFERS: dict[str, Outcome] = {"finish_never_and_no_done": "stop"}
"""An answer in one piece needs no end of its own."""
BEGUN_AGAIN = {"unopened_and_unlike_thoughts"}
"""Whose thoughts do not read like any, and are streamed once in a process: then the answer begins again."""


@dataclass(frozen=True)
class Service:
    """All that answers, with one attempt for a job."""

    client: OpenAI
    http: httpx.Client
    settings: Settings

    def ask(self, model: str) -> tuple[str, dict[str, str]]:
        """Have the question answered by `model`: the job, and the headers with which the same job is asked for."""
        swapped = self.settings.model_copy(update={"chat_model": model})
        before = resources._opened.pop(open_answering)
        resources._opened[open_answering] = open_answering(resources.Process(swapped))
        before.close()
        headers = {"Idempotency-Key": uuid4().hex}
        asked = self.http.post("/chat", json={"query": QUESTION}, headers=headers).raise_for_status()
        return asked.json()["job_id"], headers

    def result(self, job_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(f"/result/{job_id}?wait=30").json()
        return answer

    def streamed(self, job_id: str) -> tuple[str, dict[str, Any], bool]:
        """The answer as its deltas give it, the last event, and whether it was begun again."""
        text, starts = "", 0
        with self.http.stream("GET", f"/stream/{job_id}") as response:
            for event in events_of(response.iter_lines()):
                if event.event == "job.started":
                    text, starts = "", starts + 1
                elif event.event == "answer.delta":
                    text += event.data["text"]
        return text, event.data, starts > 1


@pytest.fixture(scope="module")
def service(valkey_url: str, qdrant_url: str, handbook: str, model: ModelServer) -> Iterator[Service]:
    settings = Settings(
        _env_file=None,
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        worker_concurrency=1,
        max_attempts=1,
        openai_base_url=model.url,
        chat_model="test",
    )
    with (
        working(settings),
        serving(settings) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none") as client,
        httpx.Client(base_url=url, timeout=40) as http,
    ):
        yield Service(client, http, settings)


@contextmanager
def working(settings: Settings) -> Iterator[None]:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        worker = ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=settings)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(worker.work)
            try:
                yield
            finally:
                worker.stop()
                done.result(30)


def test_every_manner_is_in_the_table() -> None:
    assert set(TABLE) == set(MANNERS)


@pytest.mark.parametrize("way", ["streamed", "whole"])
@pytest.mark.parametrize("name", TABLE)
def test_a_manner_comes_to_the_same_everywhere(service: Service, name: str, way: str) -> None:
    wanted = WHOLE_DIFFERS.get(name, TABLE[name]) if way == "whole" else TABLE[name]
    more = "-whole" if way == "whole" else "-gap=1ms" if name in BEGUN_AGAIN else ""
    job_id, headers = service.ask(f"test-manner={name}{more}")
    told = service.result(job_id)
    told_in_stream = service.streamed(job_id)
    if isinstance(wanted, ErrorCode):
        assert told["error"]["code"] == wanted
        assert told_in_stream[0] == "" or wanted in (UNAVAILABLE, ErrorCode.CONTENT_FILTERED)
        assert_no_answer_on_v1(service, job_id, headers, wanted)
    else:
        assert told["error"] is None
        assert (told["result"]["answer"], told["result"]["finish_reason"]) == (ANSWER, wanted)
        text, last, was_begun_again = told_in_stream
        assert text.strip() == ANSWER
        assert last["result"]["finish_reason"] == wanted
        assert was_begun_again == (name in BEGUN_AGAIN and way == "streamed")
        if not was_begun_again:
            assert_answer_on_v1(service, job_id, headers, wanted)


def assert_answer_on_v1(service: Service, job_id: str, headers: dict[str, str], wanted: str) -> None:
    asking: Any = {
        "model": "rag-queue",
        "messages": [{"role": "user", "content": QUESTION}],
        "extra_headers": headers,
    }
    [choice] = service.client.chat.completions.create(**asking).choices
    assert (choice.message.content, choice.finish_reason) == (ANSWER, wanted)
    chunks = list(service.client.chat.completions.create(**asking, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).strip() == ANSWER
    assert chunks[-1].choices[0].finish_reason == wanted
    assert SECRET not in str(chunks)
    response = service.client.responses.retrieve(f"resp_{job_id}")
    assert response.output_text == ANSWER
    assert response.status == ("completed" if wanted == "stop" else "incomplete")
    reason = response.incomplete_details.reason if response.incomplete_details else None
    assert reason == (None if wanted == "stop" else "max_output_tokens")
    events = list(service.client.responses.retrieve(f"resp_{job_id}", stream=True))
    assert events[-1].type == f"response.{response.status}"
    assert SECRET not in str(events)


def assert_no_answer_on_v1(service: Service, job_id: str, headers: dict[str, str], code: ErrorCode) -> None:
    asking: Any = {
        "model": "rag-queue",
        "messages": [{"role": "user", "content": QUESTION}],
        "extra_headers": headers,
    }
    response = service.client.responses.retrieve(f"resp_{job_id}")
    assert response.output_text == ""
    if code is ErrorCode.CONTENT_FILTERED:
        assert service.client.chat.completions.create(**asking).choices[0].finish_reason == "content_filter"
        return
    with pytest.raises(openai.APIStatusError) as raised:
        service.client.chat.completions.create(**asking)
    assert raised.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(openai.APIError):
        list(service.client.chat.completions.create(**asking, stream=True))
    assert response.error is not None
    assert response.error.model_dump()["type"] == code


def test_a_model_that_was_seen_to_think_unmarked_shows_it_once_at_most(service: Service) -> None:
    service.result(service.ask("test-manner=unopened_and_unlike_thoughts-gap=1ms")[0])
    for _ in range(2):
        asked = service.http.post("/chat", json={"query": QUESTION}).raise_for_status()
        text, _, was_begun_again = service.streamed(asked.json()["job_id"])
        assert (text.strip(), was_begun_again) == (ANSWER, False)
