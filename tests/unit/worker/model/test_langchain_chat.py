"""Answers of other providers: Anthropic's and Ollama's own packages over HTTP, and a package made up on the way."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from types import ModuleType
from typing import Any

import pytest
from langchain.chat_models.base import _get_chat_model_creator
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from tests.support.documents import HANDBOOK
from tests.support.scripted_server import Body, Reply, ScriptedServer, anthropic_events, ollama_lines
from worker.answer.pipeline import Completion, answer
from worker.model.opening import ChatClient, open_chat_model
from worker.runtime.interrupts import own_calls
from worker.vectors import Hit

Script = Callable[[Body], Reply]
SSE = {"content-type": "text/event-stream"}
SLOW_SECONDS = 5.0
ASKED = [{"role": "user", "content": "Is it so?"}]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, script: Script, model: str = "anthropic:claude-test", **settings: Any
) -> Iterator[tuple[ScriptedServer, ChatClient]]:
    with closing(ScriptedServer(script)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with closing(open_chat_model(Settings(chat_model=model, **settings))) as client:
            yield server, client


def ask(model: ChatClient) -> tuple[list[str], Completion]:
    """What was told, piece by piece, and the whole."""
    told: list[str] = []
    return told, model.complete(ASKED, told.append)


def failed(model: ChatClient) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        ask(model)
    return raised.value


def says(*texts: str, **more: Any) -> Script:
    return lambda _: Reply(200, anthropic_events(*texts, **more), SSE)


def test_anthropics_answer_comes_in_pieces_with_its_model_and_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, says("Yes, ", "indeed", ".")) as (server, model):
        told, whole = ask(model)
    assert told == ["Yes, ", "indeed", "."]
    assert whole == Completion("Yes, indeed.", "claude-test-1", "end_turn", input_tokens=7, output_tokens=3)
    assert server.paths == ["/v1/messages"]
    assert server.headers[0]["authorization"] == "Bearer sk-test"
    asked = server.bodies[0]
    assert (asked["model"], asked["stream"]) == ("claude-test", True)
    assert asked["messages"] == ASKED


def test_ollamas_answer_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    script: Script = lambda _: Reply(200, ollama_lines("Yes, ", "indeed."), {})  # noqa: E731
    with serving(monkeypatch, script, "ollama:qwen3:4b") as (server, model):
        told, whole = ask(model)
    assert told == ["Yes, ", "indeed."]
    assert (whole.text, whole.finish_reason, whole.input_tokens, whole.output_tokens) == (
        "Yes, indeed.",
        "stop",
        7,
        2,
    )
    assert (server.paths, server.bodies[0]["model"]) == (["/api/chat"], "qwen3:4b")


def test_a_piece_is_told_before_the_next_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()

    def pieces() -> Iterator[bytes]:
        for event in anthropic_events("first", "second"):
            if b"second" in event:
                assert may_go_on.wait(SLOW_SECONDS)
            yield event

    with serving(monkeypatch, lambda _: Reply(200, pieces(), SSE)) as (_, model):
        whole = model.complete(
            [{"role": "user", "content": "?"}], lambda text: may_go_on.set() if text == "first" else None
        )
    assert whole.text == "firstsecond"


def test_an_answer_of_another_provider_is_cited_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    hit = Hit("d", "handbook.pdf", 1, 0, HANDBOOK[0], 1.0)
    with serving(monkeypatch, says("The harbour opens at six ", "in winter [1].")) as (server, model):
        given = answer("When does it open?", search=lambda _: [hit], complete=model.complete)
    assert (given.mode, given.grounded, given.model) == ("model", True, "claude-test-1")
    assert [(citation.filename, citation.page) for citation in given.citations] == [("handbook.pdf", 1)]
    assert HANDBOOK[0] in server.bodies[0]["messages"][0]["content"]
    assert "sources" in str(server.bodies[0]["system"])


def refuses(status: int, kind: str, **headers: str) -> Script:
    body = b'{"type":"error","error":{"type":"%s","message":"m"}}' % kind.encode()
    return lambda _: Reply(status, [body], {"content-type": "application/json", **headers})


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", ErrorCode.MODEL_REJECTED),
        (401, "authentication_error", ErrorCode.MODEL_AUTH_FAILED),
        (403, "permission_error", ErrorCode.MODEL_AUTH_FAILED),
        (404, "not_found_error", ErrorCode.MODEL_REJECTED),
        (413, "request_too_large", ErrorCode.MODEL_REJECTED),
        (429, "rate_limit_error", ErrorCode.MODEL_RATE_LIMITED),
        (500, "api_error", ErrorCode.MODEL_UNAVAILABLE),
        (529, "overloaded_error", ErrorCode.MODEL_UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("name", ["anthropic:claude-test", "ollama:m"])
def test_a_refusal_has_a_code_and_is_not_tried_again_here(
    monkeypatch: pytest.MonkeyPatch, name: str, status: int, kind: str, code: ErrorCode
) -> None:
    with serving(monkeypatch, refuses(status, kind), name) as (server, model):
        assert failed(model).code is code
    assert len(server.bodies) == 1


def test_the_time_that_a_provider_asks_for_reaches_the_job_and_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, Mapping[str, str]]] = []
    with closing(ScriptedServer(refuses(429, "rate_limit_error", **{"retry-after": "7"}))) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        model = open_chat_model(
            Settings(chat_model="anthropic:c"), on_response=lambda status, headers: told.append((status, headers))
        )
        assert failed(model).retry_after_seconds == 7
    assert told == [(429, {"retry-after": "7.000"})]


def test_an_error_within_the_stream_has_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n'
    events = [*anthropic_events("half")[:4], error]
    with serving(monkeypatch, lambda _: Reply(200, events, SSE)) as (_, model):
        assert failed(model).code is ErrorCode.MODEL_UNAVAILABLE


def test_a_stream_that_is_cut_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def pieces() -> Iterator[bytes]:
        yield from anthropic_events("half")[:4]
        raise ConnectionError

    with serving(monkeypatch, lambda _: Reply(200, pieces(), SSE)) as (_, model):
        assert failed(model).code is ErrorCode.MODEL_UNAVAILABLE


def test_a_refusal_to_answer_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, says("I can't", stop_reason="refusal")) as (_, model):
        assert failed(model).code is ErrorCode.CONTENT_FILTERED


@pytest.mark.parametrize("name", ["anthropic:claude-test", "ollama:m"])
def test_a_provider_that_is_nowhere_has_a_code(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    assert failed(open_chat_model(Settings(chat_model=name))).code is ErrorCode.MODEL_UNAVAILABLE


PINGS = anthropic_events("a")[:3], b'event: ping\ndata: {"type": "ping"}\n\n'
WORDS: tuple[list[bytes], bytes] = [], ollama_lines("word ")[0]


@pytest.mark.parametrize(("name", "begin", "more"), [("anthropic:claude-test", *PINGS), ("ollama:m", *WORDS)])
def test_a_call_that_never_ends_is_left_after_the_models_time_out(
    monkeypatch: pytest.MonkeyPatch, name: str, begin: list[bytes], more: bytes
) -> None:
    """However alive it looks: the clients' own time-outs count from one piece to the next."""
    is_over = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield from begin
        while not is_over.wait(0.02):
            yield more

    with serving(monkeypatch, lambda _: Reply(200, pieces(), SSE), name, model_timeout_seconds=0.3) as (_, model):
        began = time.monotonic()
        code = failed(model).code
        is_over.set()
    assert code is ErrorCode.MODEL_TIMEOUT
    assert time.monotonic() - began < 2


def test_an_ended_job_leaves_the_call_at_once_and_the_provider_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = own_calls()

    def endless() -> Iterator[bytes]:
        events = anthropic_events("word ")
        yield from events[:3]
        for _ in range(500):
            yield events[3]
            time.sleep(0.01)

    with serving(monkeypatch, lambda _: Reply(200, endless(), SSE)) as (server, model):
        threading.Timer(0.2, calls.interrupt).start()
        began = time.monotonic()
        try:
            assert failed(model).code is ErrorCode.MODEL_UNAVAILABLE
        finally:
            calls.reset()
        assert time.monotonic() - began < 1.5
        assert server.was_left.wait(SLOW_SECONDS)


class Made(BaseChatModel):
    """A provider's model that does as the test says; its package stands for any that we do not have."""

    model: str
    timeout: float | None = None
    max_retries: int = 2
    says: Any = None

    @property
    def _llm_type(self) -> str:
        return "made"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(str(messages[0].content)))])


class Streamed(Made):
    """One that streams what `script` gives."""

    script: Any = None

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for message in type(self).model_fields["script"].default():
            yield ChatGenerationChunk(message=message)


def opened(monkeypatch: pytest.MonkeyPatch, made: type[BaseChatModel], **settings: Any) -> ChatClient:
    """The client of `cohere:m`, whose package has `made` for its chat model."""
    package = ModuleType("langchain_cohere")
    package.ChatCohere = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "langchain_cohere", package)
    _get_chat_model_creator.cache_clear()
    try:
        return open_chat_model(Settings(chat_model="cohere:m", **settings))
    finally:
        _get_chat_model_creator.cache_clear()


def streaming(script: Callable[[], Iterator[BaseMessage]]) -> type[BaseChatModel]:
    class Scripted(Streamed):
        pass

    Scripted.model_fields["script"].default = script
    return Scripted


def test_a_model_that_does_not_stream_answers_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    told, whole = ask(opened(monkeypatch, Made))
    assert (told, whole.text, whole.model) == (["Is it so?"], "Is it so?", "m")


def test_text_in_blocks_is_read_and_thinking_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def script() -> Iterator[BaseMessage]:
        yield AIMessageChunk(content=[{"type": "thinking", "thinking": "Hmm."}])
        yield AIMessageChunk(content=[{"type": "text", "text": "Yes."}], response_metadata={"stopReason": "end_turn"})

    told, whole = ask(opened(monkeypatch, streaming(script)))
    assert (told, whole.text, whole.finish_reason) == (["Yes."], "Yes.", "end_turn")


@pytest.mark.parametrize(
    "reason",
    [
        "content_filter",
        "refusal",
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "guardrail_intervened",
    ],
)
@pytest.mark.parametrize("key", ["finish_reason", "stop_reason", "stopReason", "done_reason"])
def test_an_answer_that_is_held_back_is_told_as_such(monkeypatch: pytest.MonkeyPatch, key: str, reason: str) -> None:
    def script() -> Iterator[BaseMessage]:
        yield AIMessageChunk(content="Half an", response_metadata={key: reason})

    assert failed(opened(monkeypatch, streaming(script))).code is ErrorCode.CONTENT_FILTERED


def test_an_empty_answer_without_a_reason_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        failed(opened(monkeypatch, streaming(lambda: iter([AIMessageChunk(content="")])))).code
        is ErrorCode.MODEL_UNAVAILABLE
    )


def test_a_client_without_a_time_out_of_its_own_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def script() -> Iterator[BaseMessage]:
        let_go.wait(SLOW_SECONDS)
        yield AIMessageChunk(content="late")

    model = opened(monkeypatch, streaming(script), model_timeout_seconds=0.2)
    try:
        assert failed(model).code is ErrorCode.MODEL_TIMEOUT
    finally:
        let_go.set()


def test_what_fails_where_the_pieces_go_is_not_laid_at_the_models_door(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise ValueError("Valkey")

    with pytest.raises(ValueError, match="Valkey"):
        opened(monkeypatch, Made).complete(ASKED, refuse)
