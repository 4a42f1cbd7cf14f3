"""OpenAI's protocol, spoken by the official SDK as it is: completions, responses and models over the same queue."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import ResponseStreamEvent
from redis import Redis

from app.core.contract import DEFAULT_TENANT, QUERY_QUEUE, AnswerResult, Usage
from app.core.documents import operations
from app.core.documents.catalog import Catalog
from app.core.documents.records import DocumentRecord
from app.core.errors import ErrorCode
from app.core.events import EventType, log_key
from app.core.formats import MediaType
from app.core.settings import Settings
from app.routes.openai import HISTORY_BYTES_MAX
from app.routes.openai.client_tasks import TASK_HEADER
from tests.support.acting import QUEUE_KEY, ActingWorker, answer
from tests.support.api import serving
from tests.support.credentials import api_key
from tests.support.processes import wait_until
from tests.support.queue import waiting

USER: Any = [{"role": "user", "content": "When does the harbour open?"}]
ANSWER = answer("At six. [1]", pages=[3], usage=Usage(input_tokens=40, output_tokens=4))


@pytest.fixture(scope="module")
def settings(valkey_url: str) -> Settings:
    return Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9")


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[str]:
    with serving(settings) as url:
        yield f"{url}/v1"


@contextmanager
def sdk(url: str, key: str = "none") -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key=key, max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture
def client(api: str, valkey: Redis) -> Iterator[OpenAI]:
    """The SDK's client of the service, whose Valkey is empty."""
    with sdk(api) as client:
        yield client


@pytest.fixture
def worker(valkey: Redis) -> ActingWorker:
    return ActingWorker(valkey)


@contextmanager
def working(act: Callable[[str], None], worker: ActingWorker) -> Iterator[None]:
    """Meanwhile the worker takes the next question, and `act` plays what happens to it."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: act(worker.take()))
        yield
        done.result(30)


def answering(worker: ActingWorker) -> Callable[[str], None]:
    def act(job_id: str) -> None:
        worker.wait_for_client(job_id)
        worker.start(job_id)
        worker.append(job_id, EventType.RETRIEVED, hits=[])
        worker.say(job_id, "At ", "six. ", "[1]")
        worker.finish(job_id, ANSWER)

    return act


# ------------------------------------------------------------------------------------------- models


def test_each_collection_is_a_model(client: OpenAI, valkey: Redis) -> None:
    put_document(valkey, DEFAULT_TENANT, "manuals")
    assert client.models.retrieve("rag-queue:manuals").id == "rag-queue:manuals"


def test_the_default_collection_is_one_without_documents_too(client: OpenAI, worker: ActingWorker) -> None:
    assert [model.id for model in client.models.list()] == ["rag-queue"]
    assert client.models.retrieve("rag-queue").id == "rag-queue"
    client.responses.create(model="rag-queue", input="?", background=True)
    assert worker.payload(worker.take()).collection == "default"


def test_a_collection_that_has_documents_is_listed_to_its_tenant_alone(client: OpenAI, valkey: Redis) -> None:
    for tenant, collection in ((DEFAULT_TENANT, "manuals"), (DEFAULT_TENANT, "default"), ("other", "secret")):
        put_document(valkey, tenant, collection)
    assert [model.id for model in client.models.list()] == ["rag-queue", "rag-queue:manuals"]


def put_document(valkey: Redis, tenant: str, collection: str) -> None:
    moment = datetime.now(UTC)
    record = DocumentRecord(
        document_id=f"d-{collection}",
        collection=collection,
        filename="a.pdf",
        sha256="0" * 64,
        size_bytes=1,
        media_type=MediaType.PDF,
        created_at=moment,
        updated_at=moment,
    )
    Catalog(valkey).do(operations.put(tenant, record))


NAMES = ["gpt-4.1", "rag-queue:no such", "rag-queue.x", "rag-queues", "rag-queue:nope", "rag-queue:secret"]


@pytest.mark.parametrize("name", NAMES)
def test_another_model_is_not_found(client: OpenAI, valkey: Redis, name: str) -> None:
    put_document(valkey, "other", "secret")
    asking: list[Callable[[], object]] = [
        lambda: client.models.retrieve(name),
        lambda: client.chat.completions.create(model=name, messages=USER),
        lambda: client.chat.completions.create(model=name, messages=USER, stream=True),
        lambda: client.responses.create(model=name, input="?"),
        lambda: client.responses.create(model=name, input="?", background=True),
    ]
    for ask in asking:
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert not valkey.exists(QUEUE_KEY), "a question of no model is no job"


def test_a_collection_whose_last_document_is_gone_is_no_model(client: OpenAI, valkey: Redis) -> None:
    put_document(valkey, DEFAULT_TENANT, "manuals")
    Catalog(valkey).do(operations.delete(DEFAULT_TENANT, "d-manuals"))
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("rag-queue:manuals")


def test_a_model_asks_its_collection(client: OpenAI, valkey: Redis, worker: ActingWorker) -> None:
    put_document(valkey, DEFAULT_TENANT, "manuals")
    client.responses.create(model="rag-queue:manuals", input="?", background=True)
    assert worker.payload(worker.take()).collection == "manuals"


# --------------------------------------------------------------------------------- chat completions


def test_a_completion_is_the_answer_with_its_citations(client: OpenAI, worker: ActingWorker, api: str) -> None:
    with working(answering(worker), worker):
        completion = client.chat.completions.create(model="rag-queue", messages=USER)
    [choice] = completion.choices
    assert (choice.message.content, choice.finish_reason) == ("At six. [1]", "stop")
    assert choice.message.content is not None
    assert choice.message.annotations is not None
    [annotation] = choice.message.annotations
    cited = annotation.url_citation
    assert choice.message.content[cited.start_index : cited.end_index] == "[1]"
    assert cited.url == f"{api.removesuffix('/v1')}/documents/d1/file#page=3"
    assert cited.title == "handbook.pdf, page 3"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.total_tokens) == (40, 44)


def test_the_last_message_of_the_user_is_the_question(client: OpenAI, worker: ActingWorker) -> None:
    asked = []

    def act(job_id: str) -> None:
        asked.append(worker.payload(job_id).query)
        answering(worker)(job_id)

    conversation: Any = [
        {"role": "system", "content": "Speak like a pirate."},
        {"role": "user", "content": "What is it called?"},
        {"role": "assistant", "content": "The harbour. [1]"},
        {"role": "user", "content": [{"type": "text", "text": "When does it"}, {"type": "text", "text": "open?"}]},
    ]
    with working(act, worker):
        client.chat.completions.create(model="rag-queue", messages=conversation)
    assert asked == ["When does it\nopen?"]


TASK = "### Task:\nGive this chat a title.\n### Chat History:\n<chat_history>\nUSER: When?\n</chat_history>"


def doing(worker: ActingWorker, result: AnswerResult) -> Callable[[str], None]:
    """A task is done, which is checked to be one."""

    def act(job_id: str) -> None:
        assert worker.task(job_id).task == TASK
        worker.wait_for_client(job_id)
        worker.start(job_id)
        worker.finish(job_id, result)

    return act


DONE = answer('{"title": "Opening"}', mode="task", usage=Usage(input_tokens=40, output_tokens=4))


def test_a_clients_own_prompt_is_a_task_and_no_question(client: OpenAI, worker: ActingWorker) -> None:
    with working(doing(worker, DONE), worker):
        completion = client.chat.completions.create(
            model="rag-queue", messages=[{"role": "user", "content": TASK}], max_completion_tokens=1000
        )
    [choice] = completion.choices
    assert choice.message.content == '{"title": "Opening"}'
    assert choice.message.annotations == []
    assert choice.message.refusal is None
    assert completion.usage is not None
    assert completion.usage.total_tokens == 44


def test_a_task_is_streamed_where_a_client_streams_it(client: OpenAI, worker: ActingWorker) -> None:
    with working(doing(worker, DONE), worker):
        stream = client.chat.completions.create(
            model="rag-queue", messages=[{"role": "user", "content": TASK}], stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == '{"title": "Opening"}'


@pytest.mark.parametrize("is_streamed", [False, True])
def test_without_a_model_a_task_is_refused_with_an_empty_answer(
    client: OpenAI, worker: ActingWorker, *, is_streamed: bool
) -> None:
    asking: Any = {"model": "rag-queue", "messages": [{"role": "user", "content": TASK}]}
    with working(doing(worker, answer("", mode="task", model=None)), worker):
        if is_streamed:
            deltas = [chunk.choices[0].delta for chunk in client.chat.completions.create(**asking, stream=True)]
            content = "".join(delta.content or "" for delta in deltas)
            refusal = "".join(delta.refusal or "" for delta in deltas)
        else:
            message = client.chat.completions.create(**asking).choices[0].message
            content, refusal = message.content or "", message.refusal or ""
    assert (content, "need a model" in refusal) == ("", True)


def test_a_task_by_responses_has_the_prompt_as_its_input(client: OpenAI, worker: ActingWorker) -> None:
    with working(doing(worker, DONE), worker):
        response = client.responses.create(model="rag-queue", input=TASK)
    assert response.output_text == '{"title": "Opening"}'
    [item] = client.responses.input_items.list(response.id)
    assert item.model_dump()["content"][0]["text"] == TASK


def test_a_task_that_open_webui_names_is_one(client: OpenAI, worker: ActingWorker, api: str) -> None:
    body = {"model": "rag-queue", "messages": USER, "stream": True}
    with httpx.stream("POST", f"{api}/chat/completions", json=body, headers={TASK_HEADER: "emoji_generation"}):
        assert worker.task(worker.take()).task == "When does the harbour open?"


def test_files_that_open_webui_puts_before_a_question_are_not_asked(client: OpenAI, worker: ActingWorker) -> None:
    files = f"### Task:\nRespond to the query.\n<context>\n{'word ' * 5_000}</context>\nWhen does it open?"
    client.responses.create(model="rag-queue", input=files, background=True)
    assert worker.payload(worker.take()).query == "When does it open?"


def test_a_streamed_completion_comes_as_it_is_written(client: OpenAI, worker: ActingWorker) -> None:
    written = threading.Event()

    def act(job_id: str) -> None:
        worker.wait_for_client(job_id)
        worker.start(job_id)
        worker.say(job_id, "At ")
        assert written.wait(30)
        worker.say(job_id, "six. [1]")
        worker.finish(job_id, ANSWER)

    with working(act, worker):
        chunks = []
        stream = client.chat.completions.create(
            model="rag-queue", messages=USER, stream=True, stream_options={"include_usage": True}
        )
        for chunk in stream:
            chunks.append(chunk)
            if chunk.choices and chunk.choices[0].delta.content == "At ":
                written.set()
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "At six. [1]"
    [annotation] = deltas[-2].annotations  # type: ignore[attr-defined]
    assert annotation["url_citation"]["start_index"] == 8
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 44
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_sdks_own_accumulation_of_a_stream_is_the_answer(client: OpenAI, worker: ActingWorker) -> None:
    with (
        working(answering(worker), worker),
        client.chat.completions.stream(model="rag-queue", messages=USER) as stream,
    ):
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == "At six. [1]"


def test_an_answer_without_deltas_is_streamed_at_the_end(client: OpenAI, worker: ActingWorker) -> None:
    def act(job_id: str) -> None:
        worker.finish(job_id, ANSWER)

    with working(act, worker):
        stream = client.chat.completions.create(model="rag-queue", messages=USER, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "At six. [1]"


def test_an_answer_begun_again_with_the_same_words_goes_on(client: OpenAI, worker: ActingWorker) -> None:
    def act(job_id: str) -> None:
        worker.start(job_id)
        worker.say(job_id, "At s")
        worker.start(job_id, attempt=2)
        worker.say(job_id, "At", " six. ", "[1]")
        worker.finish(job_id, ANSWER)

    with working(act, worker):
        stream = client.chat.completions.create(model="rag-queue", messages=USER, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "At six. [1]"


def test_an_answer_begun_again_with_other_words_ends_the_stream(client: OpenAI, worker: ActingWorker) -> None:
    def act(job_id: str) -> None:
        worker.start(job_id)
        worker.say(job_id, "Wel")
        worker.start(job_id, attempt=2)
        worker.say(job_id, "At six. [1]")

    with working(act, worker), pytest.raises(openai.APIError, match="begun again"):
        list(client.chat.completions.create(model="rag-queue", messages=USER, stream=True))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ErrorCode.MODEL_RATE_LIMITED, openai.RateLimitError),
        (ErrorCode.MODEL_TIMEOUT, openai.InternalServerError),
        (ErrorCode.MODEL_AUTH_FAILED, openai.InternalServerError),
    ],
)
def test_a_failed_job_is_the_sdks_own_exception(
    client: OpenAI, worker: ActingWorker, code: ErrorCode, error: type[openai.APIStatusError]
) -> None:
    with working(lambda job_id: worker.fail(job_id, code), worker), pytest.raises(error):
        client.chat.completions.create(model="rag-queue", messages=USER)
    with working(lambda job_id: worker.fail(job_id, code), worker), pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="rag-queue", messages=USER, stream=True))


def test_what_the_provider_refuses_finishes_as_filtered(client: OpenAI, worker: ActingWorker) -> None:
    def refuse(job_id: str) -> None:
        worker.fail(job_id, ErrorCode.CONTENT_FILTERED)

    with working(refuse, worker):
        completion = client.chat.completions.create(model="rag-queue", messages=USER)
    assert completion.choices[0].finish_reason == "content_filter"
    assert completion.choices[0].message.refusal
    with working(refuse, worker):
        response = client.responses.create(model="rag-queue", input="?")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "content_filter"


# ---------------------------------------------------------------------------------------- responses


def test_a_background_response_is_queued_at_once_and_retrieved_later(client: OpenAI, worker: ActingWorker) -> None:
    created = client.responses.create(
        model="rag-queue", input="When?", background=True, metadata={"topic": "harbour"}
    )
    assert (created.status, created.background, created.output) == ("queued", True, [])
    job_id = worker.take()
    assert created.id == f"resp_{job_id}"
    worker.start(job_id)
    assert client.responses.retrieve(created.id).status == "in_progress"
    worker.finish(job_id, ANSWER)
    response = client.responses.retrieve(created.id)
    assert (response.status, response.output_text) == ("completed", "At six. [1]")
    assert (response.model, response.metadata) == ("rag-queue", {"topic": "harbour"})
    assert response.created_at == created.created_at
    content: Any = response.output[0]
    [annotation] = content.content[0].annotations
    assert annotation.type == "url_citation"
    assert annotation.url.endswith("/documents/d1/file#page=3")
    assert response.usage is not None
    assert response.usage.total_tokens == 44


def test_the_input_items_of_a_response_are_its_question(client: OpenAI, worker: ActingWorker) -> None:
    created = client.responses.create(model="rag-queue", input=" Wann öffnet der Hafen? ", background=True)
    for is_answered in (False, True):
        if is_answered:
            worker.finish(worker.take(), ANSWER)
        [item] = list(client.responses.input_items.list(created.id))
        assert item.type == "message"
        assert item.content[0].text == "Wann öffnet der Hafen?"  # type: ignore[union-attr]
    page = client.responses.input_items.list(created.id, order="asc", limit=1)
    assert (page.first_id, page.last_id, page.has_more) == (item.id, item.id, False)  # type: ignore[attr-defined]
    assert list(client.responses.input_items.list(created.id, after=str(item.id))) == []
    for wrong in ({"limit": 0}, {"limit": 101}, {"order": "up"}):
        with pytest.raises(openai.BadRequestError):
            client.responses.input_items.list(created.id, extra_query=wrong)


def test_input_items_go_with_their_response(client: OpenAI, worker: ActingWorker) -> None:
    created = client.responses.create(model="rag-queue", input="When?", background=True)
    client.responses.delete(created.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.input_items.list(created.id)


@pytest.mark.parametrize("data", [b"", b"x", b"\x80\x05N.", b"x" * 2**21])
def test_input_that_is_none_of_ours_is_no_item(client: OpenAI, valkey: Redis, data: bytes) -> None:
    created = client.responses.create(model="rag-queue", input="When?", background=True)
    valkey.hset(f"rq:job:{created.id[5:]}", "data", data)
    assert list(client.responses.input_items.list(created.id)) == []


def test_a_response_is_waited_for(client: OpenAI, worker: ActingWorker) -> None:
    conversation: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "When?"}]},
    ]
    with working(answering(worker), worker):
        response = client.responses.create(model="rag-queue", input=conversation, instructions="Be kind.")
    assert (response.status, response.output_text) == ("completed", "At six. [1]")


def test_a_streamed_response_has_every_event_in_order(client: OpenAI, worker: ActingWorker) -> None:
    with working(answering(worker), worker):
        events = list(client.responses.create(model="rag-queue", input="When?", stream=True))
    assert [event.type for event in events] == [
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "At six. [1]"


def test_the_sdks_own_accumulation_of_a_response_is_the_answer(client: OpenAI, worker: ActingWorker) -> None:
    with working(answering(worker), worker), client.responses.stream(model="rag-queue", input="When?") as stream:
        response = stream.get_final_response()
    assert response.output_text == "At six. [1]"


def shown(events: list[ResponseStreamEvent]) -> list[dict[str, Any]]:
    return [event.to_dict() for event in events]


def test_a_stream_resumes_after_any_event_on_any_replica(
    client: OpenAI, worker: ActingWorker, settings: Settings
) -> None:
    created = client.responses.create(model="rag-queue", input="When?", background=True)
    with working(answering(worker), worker):
        whole = shown(list(client.responses.retrieve(created.id, stream=True)))
    with serving(settings) as url, sdk(f"{url}/v1") as replica:
        for index, event in enumerate(whole):
            after = event["sequence_number"]
            resumed = replica.responses.retrieve(created.id, stream=True, starting_after=after)
            rest = shown(list(resumed))
            assert [_placeless(event) for event in rest] == [_placeless(event) for event in whole[index + 1 :]]


def _placeless(event: dict[str, Any]) -> str:
    """The event without the address of the replica that gave it."""
    return re.sub(r"127\.0\.0\.1:\d+", "HERE", repr(event))


def test_a_stream_that_broke_goes_on_where_it_was(client: OpenAI, worker: ActingWorker) -> None:
    first = client.responses.create(model="rag-queue", input="When?", background=True, stream=True)
    job_id = worker.take()
    worker.start(job_id)
    worker.say(job_id, "At ")
    seen = []
    for event in first:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    first.close()
    worker.say(job_id, "six. [1]")
    rest = client.responses.retrieve(f"resp_{job_id}", stream=True, starting_after=seen[-1].sequence_number)
    second = next(rest)
    assert second.type == "response.output_text.delta"
    assert second.delta == "six. [1]"
    worker.finish(job_id, ANSWER)
    assert list(rest)[-1].type == "response.completed"


def test_an_answer_begun_again_with_other_words_is_a_message_of_its_own(client: OpenAI, worker: ActingWorker) -> None:
    def act(job_id: str) -> None:
        worker.start(job_id)
        worker.say(job_id, "Ah ")
        worker.start(job_id, attempt=2)
        worker.say(job_id, "A", "t six. [1]")
        worker.finish(job_id, ANSWER)

    with working(act, worker):
        events = list(client.responses.create(model="rag-queue", input="When?", stream=True))
    deltas = [(e.output_index, e.delta) for e in events if e.type == "response.output_text.delta"]
    assert deltas == [(0, "Ah "), (1, "A"), (1, "t six. [1]")]
    done: list[Any] = [event.item for event in events if event.type == "response.output_item.done"]
    assert [item.status for item in done] == ["incomplete", "completed"]
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "At six. [1]"
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))


def test_a_waiting_response_is_cancelled(client: OpenAI, worker: ActingWorker) -> None:
    created = client.responses.create(model="rag-queue", input="When?", background=True)
    assert client.responses.cancel(created.id).status == "cancelled"
    assert client.responses.cancel(created.id).status == "cancelled"
    assert len(waiting(worker.valkey, QUERY_QUEUE)) == 0
    events = list(client.responses.retrieve(created.id, stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.status == "cancelled"


def test_a_running_response_is_cancelled_when_its_worker_has_stopped(client: OpenAI, worker: ActingWorker) -> None:
    created = client.responses.create(model="rag-queue", input="When?", background=True)
    job_id = worker.take()
    worker.start(job_id)

    def stop() -> None:
        wait_until(lambda: worker.valkey.hget(f"rq:job:{job_id}", "stop_requested"), "it is to stop")
        worker.stop(job_id)

    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(stop)
        assert client.responses.cancel(created.id).status == "cancelled"
        stopped.result(30)


def test_a_failed_response_says_why(client: OpenAI, worker: ActingWorker) -> None:
    created = client.responses.create(model="rag-queue", input="When?", background=True)
    worker.fail(worker.take(), ErrorCode.MODEL_RATE_LIMITED)
    response = client.responses.retrieve(created.id)
    assert response.status == "failed"
    assert response.error is not None
    assert response.error.code == "rate_limit_exceeded"
    assert response.error.type == "model_rate_limited"
    events = list(client.responses.retrieve(created.id, stream=True))
    assert events[-1].type == "response.failed"


def test_a_deleted_response_leaves_nothing(client: OpenAI, worker: ActingWorker, valkey: Redis) -> None:
    created = client.responses.create(model="rag-queue", input="?", background=True, metadata={"a": "b"})
    job_id = worker.take()
    worker.start(job_id)
    worker.finish(job_id, ANSWER)
    client.responses.delete(created.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(created.id)
    assert list(valkey.scan_iter(f"*{job_id}*")) == []


@pytest.mark.parametrize("response_id", ["resp_unknown", "unknown", "resp_", "resp_*"])
def test_there_is_no_such_response(client: OpenAI, response_id: str) -> None:
    for call in (client.responses.retrieve, client.responses.cancel, client.responses.delete):
        with pytest.raises(openai.NotFoundError):
            call(response_id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response_id, stream=True)


def test_a_search_is_no_response(client: OpenAI, api: str) -> None:
    search = httpx.post(f"{api.removesuffix('/v1')}/search", json={"query": "harbour"}).raise_for_status()
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(f"resp_{search.json()['job_id']}")


def test_a_question_asked_elsewhere_is_a_response_too(client: OpenAI, worker: ActingWorker, api: str) -> None:
    asked = httpx.post(f"{api.removesuffix('/v1')}/chat", json={"query": "When?"}).raise_for_status()
    worker.finish(worker.take(), ANSWER)
    assert client.responses.retrieve(f"resp_{asked.json()['job_id']}").output_text == "At six. [1]"


def test_an_idempotency_key_gives_the_same_response(client: OpenAI, valkey: Redis) -> None:
    def create(text: str, topic: str) -> openai.types.responses.Response:
        headers = {"Idempotency-Key": "k1"}
        return client.responses.create(
            model="rag-queue", input=text, background=True, metadata={"topic": topic}, extra_headers=headers
        )

    first, second = create("When?", "a"), create("When?", "b")
    assert (first.id, first.metadata) == (second.id, second.metadata)
    assert len(waiting(valkey, QUERY_QUEUE)) == 1
    with pytest.raises(openai.BadRequestError) as caught:
        create("Where?", "a")
    assert caught.value.code == "idempotency_key_reused"


def test_hostile_events_and_notes_break_nothing(client: OpenAI, worker: ActingWorker, valkey: Redis) -> None:
    created = client.responses.create(model="rag-queue", input="When?", background=True)
    job_id = worker.take()
    valkey.set(f"rag:response:{job_id}", b'{"metadata": {"a": 1}, "model": []}')
    worker.start(job_id)
    for data in ('{"text": 7}', '{"other": "x"}', "[]", "no json"):
        valkey.xadd(log_key(job_id), {"t": "answer.delta", "d": data}, id="0-*")
    worker.finish(job_id, ANSWER)
    assert client.responses.retrieve(created.id).model == "rag-queue"
    events = list(client.responses.retrieve(created.id, stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "At six. [1]"


# ------------------------------------------------------------------------------------------- errors


SURROGATE = rb'{"model": "rag-queue", "input": "\ud800", "messages": [{"role": "user", "content": "\ud800"}]}'
UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"logprobs": True}, "logprobs"),
    ({"tool_choice": "required", "tools": []}, "tool_choice"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ({"messages": [{"role": "user", "content": "  "}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": "x" * 8001}]}, "messages[0].content"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
        "messages[0].content[0]",
    ),
    ({"messages": "no list"}, "messages"),
]


@pytest.mark.parametrize(("request_", "param"), UNSUPPORTED)
def test_a_completion_that_would_be_wrong_is_refused(
    client: OpenAI, valkey: Redis, request_: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "rag-queue", "messages": USER} | request_)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert len(waiting(valkey, QUERY_QUEUE)) == 0


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "../conv"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True, "store": False}, "store"),
        ({"text": {"format": {"type": "json_object"}}}, "text"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0]",
        ),
        ({"input": " "}, "input"),
        ({"metadata": {"secret": 1}}, "metadata"),
        ({"metadata": {"x" * 65: "y"}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ],
)
def test_a_response_that_would_be_wrong_is_refused(
    client: OpenAI, valkey: Redis, request_: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": "rag-queue", "input": "?", **request_})
    assert caught.value.param == param
    assert "secret" not in caught.value.message
    assert len(waiting(valkey, QUERY_QUEUE)) == 0


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'"model"', "application/json", 400),
        (b"", "application/json", 400),
        (b"model=rag-queue", "text/plain", 415),
        (b'{"model": "' + b"x" * (HISTORY_BYTES_MAX + 1) + b'"}', "application/json", 413),
        (SURROGATE, "application/json", 400),
    ],
    ids=["broken", "string", "empty", "text", "large", "surrogate"],
)
def test_a_body_that_is_no_request_is_refused(
    api: str, path: str, content: bytes, media_type: str, status: int
) -> None:
    response = httpx.post(api + path, content=content, headers={"Content-Type": media_type})
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert "xxx" not in response.text


def test_what_changes_no_answer_is_ignored(client: OpenAI, worker: ActingWorker) -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
    with working(answering(worker), worker):
        completion = client.chat.completions.create(
            model="rag-queue",
            messages=USER,
            temperature=0.2,
            max_tokens=10,
            seed=1,
            user="u",
            tools=[tool],
            tool_choice="auto",
            stop=["x"],
            response_format={"type": "text"},
        )
    assert completion.choices[0].message.content == "At six. [1]"


def test_a_full_queue_says_when_to_come_back(valkey: Redis, settings: Settings) -> None:
    small = settings.model_copy(update={"max_queue_depth": 1})
    with serving(small) as url, sdk(f"{url}/v1") as client:
        client.responses.create(model="rag-queue", input="?", background=True)
        for create in (
            lambda: client.responses.create(model="rag-queue", input="?", background=True),
            lambda: client.chat.completions.create(model="rag-queue", messages=USER, stream=True),
        ):
            with pytest.raises(openai.InternalServerError) as caught:
                create()
            assert (caught.value.status_code, caught.value.code) == (503, "queue_full")
            assert caught.value.response.headers["retry-after"]


def test_an_answer_that_takes_too_long_is_a_timeout_that_is_not_sent_again(
    valkey: Redis, settings: Settings, worker: ActingWorker
) -> None:
    hasty = settings.model_copy(update={"job_timeout_seconds": 1})
    with serving(hasty) as url, OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=2) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="rag-queue", messages=USER)
        assert caught.value.status_code == 504
        assert client.responses.create(model="rag-queue", input="?").status == "queued"
    assert len(waiting(valkey, QUERY_QUEUE)) == 2


@pytest.fixture
def guarded(valkey: Redis, settings: Settings) -> Iterator[tuple[str, dict[str, str]]]:
    """The API with keys: its URL, and a key for each name."""
    keys = {
        "ada": api_key("ada", tenant="acme"),
        "eve": api_key("eve", tenant="other"),
        "slow": api_key("slow", tenant="acme", rate="1/minute"),
    }
    entries = tuple(entry for _, entry in keys.values())
    with serving(settings.model_copy(update={"api_keys": entries})) as url:
        yield f"{url}/v1", {name: key for name, (key, _) in keys.items()}


def test_a_wrong_key_is_an_authentication_error(guarded: tuple[str, dict[str, str]]) -> None:
    url, _ = guarded
    with sdk(url, "rag_wrong") as client:
        for call in (
            lambda: client.models.list(),
            lambda: client.chat.completions.create(model="rag-queue", messages=USER),
            lambda: client.responses.retrieve("resp_1"),
        ):
            with pytest.raises(openai.AuthenticationError) as caught:
                call()
            assert caught.value.code == "invalid_api_key"
            assert "www-authenticate" in caught.value.response.headers


def test_a_rate_is_a_rate_limit_error(guarded: tuple[str, dict[str, str]]) -> None:
    url, keys = guarded
    with sdk(url, keys["slow"]) as client:
        client.models.list()
        with pytest.raises(openai.RateLimitError) as caught:
            client.models.list()
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after"]) > 0


def test_another_tenants_response_does_not_exist(guarded: tuple[str, dict[str, str]]) -> None:
    url, keys = guarded
    with sdk(url, keys["ada"]) as ada, sdk(url, keys["eve"]) as eve:
        created = ada.responses.create(model="rag-queue", input="?", background=True)
        assert ada.responses.retrieve(created.id).status == "queued"
        for call in (eve.responses.retrieve, eve.responses.cancel, eve.responses.delete):
            with pytest.raises(openai.NotFoundError):
                call(created.id)
        with pytest.raises(openai.NotFoundError):
            eve.responses.retrieve(created.id, stream=True)


def test_without_valkey_it_is_unavailable() -> None:
    settings = Settings(redis_url="redis://127.0.0.1:9/0", qdrant_url="http://127.0.0.1:9")
    with serving(settings) as url, sdk(f"{url}/v1") as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="rag-queue", messages=USER)
        assert caught.value.code == "queue_unavailable"


# -------------------------------------------------------------------------------------------- async


async def converse(url: str) -> tuple[str, str, str]:
    async with AsyncOpenAI(base_url=url, api_key="x", max_retries=0, timeout=30) as client:
        stream = await client.chat.completions.create(model="rag-queue", messages=USER, stream=True)
        streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        response = await client.responses.create(model="rag-queue", input="When?", background=True)
        events = [event.type async for event in await client.responses.retrieve(response.id, stream=True)]
        retrieved = await client.responses.retrieve(response.id)
        return streamed, retrieved.output_text, events[-1]


def test_the_async_client_speaks_it_too(api: str, worker: ActingWorker) -> None:
    def act() -> None:
        for _ in range(2):
            answering(worker)(worker.take())

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(act)
        spoken = asyncio.run(converse(api))
        done.result(30)
    assert spoken == ("At six. [1]", "At six. [1]", "response.completed")
