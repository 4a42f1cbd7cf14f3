"""The manners of answering by LangChain's clients: whatever a model does, thoughts are no answer and silence is none.

`test_model_manners` has the table, over our own client. Here LangChain's reads the same bytes, as it does for every
provider whose package is made from OpenAI's client; Anthropic's and Ollama's own formats have a table of their own.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from types import ModuleType
from typing import Any

import pytest
from langchain.chat_models.base import _get_chat_model_creator
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from tests.integration.worker.test_model_manners import ANSWER, QUESTION, SECRET, TABLE, WHOLE_DIFFERS, Outcome
from tests.support.model_manners import THOUGHT
from tests.support.model_server import ModelServer
from tests.support.scripted_server import Reply, ScriptedServer, anthropic_events, ollama_lines
from worker.answer.pipeline import Answer, Complete, answer
from worker.model.manners import MannerlyModel
from worker.model.opening import open_chat_model
from worker.vectors import Hit

HITS = [
    Hit(
        document_id="d",
        filename="f.pdf",
        page=1,
        chunk_index=1,
        text="The harbour opens at six in winter.",
        score=1.0,
    )
]

LESS_SEEN: Mapping[str, Outcome] = {
    "no_choices": ErrorCode.MODEL_UNAVAILABLE,
    "error_object_400": ErrorCode.MODEL_UNAVAILABLE,
    "error_rate": ErrorCode.MODEL_UNAVAILABLE,
    "x_gzip": ErrorCode.MODEL_UNAVAILABLE,
}
DIFFERS: Mapping[str, Mapping[str, Outcome]] = {
    "streamed": {**LESS_SEEN, "finish_never_and_no_done": "stop", "gzip_cut": "stop"},
    "whole": LESS_SEEN,
}
"""Where OpenAI's client tells less than ours reads: that a stream was cut behind its text, and what an error in a 200
is. None of it shows a thought, or gives an answer that is none."""


@contextmanager
def opened(monkeypatch: pytest.MonkeyPatch, made: type[ChatOpenAI], name: str) -> Iterator[Complete]:
    """A model called `name` of a provider whose package has `made` for its chat model."""
    package = ModuleType("langchain_cohere")
    package.ChatCohere = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "langchain_cohere", package)
    _get_chat_model_creator.cache_clear()
    try:
        with closing(open_chat_model(Settings(_env_file=None, chat_model=f"cohere:{name}"))) as client:
            yield MannerlyModel(client.complete, name).complete
    finally:
        _get_chat_model_creator.cache_clear()


def come_to(complete: Complete) -> tuple[Outcome, Answer | None]:
    """What an answer comes to, as the table of `test_model_manners` says it; nobody has been told a thought."""
    told: list[str] = []
    try:
        given = answer(QUESTION, search=lambda _: HITS, complete=complete, on_delta=told.append, on_again=told.clear)
    except ServiceError as error:
        return error.code, None
    finally:
        assert SECRET not in "".join(told)
    assert (given.text, "".join(told)) == (ANSWER, ANSWER)
    return given.finish_reason, given


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("way", ["streamed", "whole"])
@pytest.mark.parametrize("name", TABLE)
def test_a_manner_comes_to_the_same_by_langchains_client(
    monkeypatch: pytest.MonkeyPatch, model: ModelServer, name: str, way: str
) -> None:
    class Made(ChatOpenAI):
        def __init__(self, **options: Any) -> None:
            whole = {"disable_streaming": way == "whole", "stream_usage": True}
            super().__init__(base_url=model.url, api_key=SecretStr("x"), **whole, **options)

    wanted = WHOLE_DIFFERS.get(name, TABLE[name]) if way == "whole" else TABLE[name]
    with opened(monkeypatch, Made, f"test-manner={name}") as complete:
        assert come_to(complete)[0] == DIFFERS[way].get(name, wanted)


Block = tuple[dict[str, Any], list[dict[str, Any]]]
"""Anthropic's: how a content block begins, and its deltas."""

TEXT: Block = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": each} for each in ANSWER])
THINKING: Block = (
    {"type": "thinking", "thinking": "", "signature": ""},
    [{"type": "thinking_delta", "thinking": THOUGHT}, {"type": "signature_delta", "signature": "c2ln"}],
)
HIDDEN_THINKING: Block = ({"type": "redacted_thinking", "data": "c2ln"}, [])
CALL: Block = (
    {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
    [{"type": "input_json_delta", "partial_json": "{}"}],
)


def anthropic(*blocks: Block, reason: str | None = "end_turn") -> Reply:
    """An answer as Anthropic streams it, of these blocks."""
    first, *_, delta, stop = anthropic_events(stop_reason=reason or "")
    events: list[tuple[str, dict[str, Any]]] = []
    for index, (begins, deltas) in enumerate(blocks):
        events.append(("content_block_start", {"index": index, "content_block": begins}))
        events += [("content_block_delta", {"index": index, "delta": each}) for each in deltas]
        events.append(("content_block_stop", {"index": index}))
    framed = [f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode() for name, data in events]
    return Reply(200, [first, *framed, delta, stop], {"content-type": "text/event-stream"})


def ollama(*messages: dict[str, Any], **ending: Any) -> Reply:
    """An answer as Ollama streams it, of these messages; in `ending`, None leaves a field out."""
    said = [{"model": "m", "message": {"role": "assistant", **each}, "done": False} for each in messages]
    last = json.loads(ollama_lines()[-1]) | ending
    whole = [*said, {name: value for name, value in last.items() if value is not None}]
    return Reply(200, [json.dumps(line).encode() + b"\n" for line in whole])


def letters(text: str) -> list[dict[str, Any]]:
    return [{"content": each} for each in text]


NO_ANSWER = ErrorCode.MODEL_NO_ANSWER
NATIVE: Mapping[str, tuple[str, Reply, Outcome]] = {
    "Anthropic's text": ("anthropic:claude-test", anthropic(TEXT), "stop"),
    "Anthropic's thinking": ("anthropic:claude-test", anthropic(THINKING, TEXT), "stop"),
    "Anthropic's hidden thinking": ("anthropic:claude-test", anthropic(HIDDEN_THINKING, TEXT), "stop"),
    "Anthropic's text and call": ("anthropic:claude-test", anthropic(TEXT, CALL, reason="tool_use"), "stop"),
    "Anthropic's call alone": ("anthropic:claude-test", anthropic(CALL, reason="tool_use"), NO_ANSWER),
    "Anthropic's thinking alone": ("anthropic:claude-test", anthropic(THINKING, reason="max_tokens"), NO_ANSWER),
    "Anthropic's nothing": ("anthropic:claude-test", anthropic(), NO_ANSWER),
    "Anthropic's end at its limit": ("anthropic:claude-test", anthropic(TEXT, reason="max_tokens"), "length"),
    "Anthropic's refusal": ("anthropic:claude-test", anthropic(TEXT, reason="refusal"), ErrorCode.CONTENT_FILTERED),
    "Ollama's text": ("ollama:m", ollama(*letters(ANSWER)), "stop"),
    "Ollama's thinking": ("ollama:m", ollama({"content": "", "thinking": THOUGHT}, *letters(ANSWER)), "stop"),
    "Ollama's marked thinking": ("ollama:m", ollama(*letters(f"<think>{THOUGHT}</think>{ANSWER}")), "stop"),
    "Ollama's unmarked thinking": ("ollama:m", ollama(*letters(f"{THOUGHT}</think>{ANSWER}")), "stop"),
    "Ollama's thinking alone": ("ollama:m", ollama({"content": "", "thinking": THOUGHT}), NO_ANSWER),
    "Ollama's call alone": (
        "ollama:m",
        ollama({"content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}),
        NO_ANSWER,
    ),
    "Ollama's nothing": ("ollama:m", ollama(), NO_ANSWER),
    "Ollama's no counts": (
        "ollama:m",
        ollama(*letters(ANSWER), prompt_eval_count=None, eval_count=None),
        "stop",
    ),
    "Ollama's end at its limit": ("ollama:m", ollama(*letters(ANSWER), done_reason="length"), "length"),
    "Ollama's one piece": ("ollama:m", ollama({"content": ANSWER}), "stop"),
}


@pytest.mark.filterwarnings("ignore:Received unexpected tool content block:UserWarning")
@pytest.mark.parametrize("name", NATIVE)
def test_a_providers_own_manner_comes_to_the_same(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    chat_model, reply, wanted = NATIVE[name]
    with closing(ScriptedServer(lambda _: reply)) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with closing(open_chat_model(Settings(_env_file=None, chat_model=chat_model))) as client:
            assert come_to(MannerlyModel(client.complete, chat_model).complete)[0] == wanted
