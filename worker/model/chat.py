"""The chat model, behind LangChain's `ChatOpenAI`: any server that speaks OpenAI's protocol.

LangChain makes the request, with each model's quirks, and OpenAI's client its address, headers and errors; the bytes
go over `worker.http.wire`, and the answer is read as it comes. See docs/decisions/model-client.md.
"""

from collections.abc import Sequence
from http.client import HTTPResponse
from typing import Any

import openai
from langchain_core.messages import BaseMessage
from langchain_openai import ChatOpenAI

from app.core.settings import Settings
from worker.answer.pipeline import Completion, OnText
from worker.http.wire import OnResponse, pieces
from worker.model.completion_stream import CompletionReader
from worker.model.embeddings import NO_KEY
from worker.model.http_clients import http_clients
from worker.model.openai_wire import OpenAiWire, classified

PATH = "/chat/completions"

_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
_WAYS: tuple[dict[str, Any], ...] = (_STREAMED, {"stream": True}, {"stream": False})
"""How to ask, the best first: some servers refuse `stream_options`, some models are not streamed to everybody."""
_REFUSALS = (400, 404, 422)


class ChatModel:
    """Completes a conversation. Safe to share between threads."""

    def __init__(self, settings: Settings, *, on_response: OnResponse | None = None) -> None:
        clients = http_clients(settings.openai_base_url)
        self._client = clients["http_client"]
        self._model = ChatOpenAI(
            model=settings.chat_model,
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key or NO_KEY,
            timeout=settings.model_timeout_seconds,
            max_retries=0,  # a failed call goes back to the queue instead of holding its worker
            **clients,
        )
        self._way = 0
        self._wire = OpenAiWire(
            self._model.root_client, timeout_seconds=settings.model_timeout_seconds, on_response=on_response
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._wire.close()

    def complete(self, messages: Sequence[BaseMessage], on_text: OnText) -> Completion:
        """The model's answer; `on_text` is given each piece of it. Raises `ServiceError`: one of the model's codes.

        The whole call takes MODEL_TIMEOUT_SECONDS at most.
        """
        with classified():
            if self._model._use_responses_api({}):  # a few models speak nothing else
                return self._complete_by_langchain(messages, on_text)
            return self._complete(messages, on_text)

    def _complete(self, messages: Sequence[BaseMessage], on_text: OnText) -> Completion:
        way: int | None = self._way
        while way is not None:
            payload = self._model._get_request_payload(list(messages), **_WAYS[way])
            try:
                with self._wire.post(PATH, payload) as response:
                    self._way = way
                    return _read(response, on_text, self._model.model_name)
            except openai.APIStatusError as error:
                if (way := _next_way(error, way)) is None:
                    raise
        raise AssertionError("the last way has no next")

    def _complete_by_langchain(self, messages: Sequence[BaseMessage], on_text: OnText) -> Completion:
        reply = self._model.invoke(list(messages))
        on_text(reply.text)
        usage = reply.usage_metadata
        return Completion(
            text=reply.text,
            model=str(reply.response_metadata.get("model_name") or self._model.model_name),
            input_tokens=usage["input_tokens"] if usage else 0,
            output_tokens=usage["output_tokens"] if usage else 0,
        )


def _read(response: HTTPResponse, on_text: OnText, model_name: str) -> Completion:
    reader = CompletionReader()
    for piece in pieces(response):
        if text := reader.feed(piece):
            on_text(text)
    is_streamed = reader.is_stream
    completion = reader.finish()
    if not is_streamed:
        on_text(completion.text)
    completion.model = completion.model or model_name
    return completion


def _next_way(error: openai.APIStatusError, way: int) -> int | None:
    """How to ask for the same once more, when it was the way of asking that the server refuses."""
    said = f"{error.param} {error.message} {error.body}"
    if error.status_code in _REFUSALS and "stream" in said and way + 1 < len(_WAYS):
        return way + 1 if "stream_options" in said else len(_WAYS) - 1
    return None
