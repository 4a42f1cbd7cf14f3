"""The chat model of any server that speaks OpenAI's chat completions.

The request is a few lines of JSON and the answer is read as it comes, over `worker.http.wire`: see
docs/decisions/model-client.md.
"""

import re
from collections.abc import Sequence
from http.client import HTTPResponse
from typing import Any

from app.core.settings import Settings
from worker.answer.pipeline import Completion, OnText
from worker.answer.prompt import Message
from worker.http.wire import OnResponse, pieces
from worker.model.completion_stream import CompletionReader
from worker.model.openai_wire import OpenAiWire
from worker.model.provider_errors import StatusError

PATH = "/chat/completions"

_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
_WAYS: tuple[dict[str, Any], ...] = (_STREAMED, {"stream": True}, {"stream": False})
"""How to ask, the best first: some servers refuse `stream_options`, some models are not streamed to everybody."""
_REFUSALS = (400, 404, 422)
_DEVELOPER = re.compile(r"^o\d")
"""OpenAI's reasoning models, which call the role of the rules "developer" (its model spec, "Roles")."""


class ChatModel:
    """Completes a conversation. Opens no connection before the first; safe to share between threads."""

    def __init__(self, settings: Settings, *, on_response: OnResponse | None = None) -> None:
        self._name = settings.chat_model
        self._way = 0
        self._wire = OpenAiWire(
            settings.openai_base_url,
            settings.openai_api_key,
            timeout_seconds=settings.model_timeout_seconds,
            on_response=on_response,
        )

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def complete(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        """The model's answer; `on_text` is given each piece of it. Raises `ServiceError`: one of the model's codes.

        The whole call takes MODEL_TIMEOUT_SECONDS at most.
        """
        asked = {"model": self._name, "messages": [_as_the_model_knows_it(self._name, each) for each in messages]}
        way: int | None = self._way
        while way is not None:
            try:
                with self._wire.post(PATH, asked | _WAYS[way]) as response:
                    self._way = way
                    return _read(response, on_text, self._name)
            except StatusError as error:
                if (way := _next_way(error, way)) is None:
                    raise
        raise AssertionError("the last way has no next")


def _as_the_model_knows_it(name: str, message: Message) -> Message:
    return message | {"role": "developer"} if message["role"] == "system" and _DEVELOPER.match(name) else message


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


def _next_way(error: StatusError, way: int) -> int | None:
    """How to ask for the same once more, when it was the way of asking that the server refuses."""
    if error.status in _REFUSALS and b"stream" in error.said and way + 1 < len(_WAYS):
        return way + 1 if b"stream_options" in error.said else len(_WAYS) - 1
    return None
