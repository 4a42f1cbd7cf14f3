"""The chat model of any provider that LangChain has a package for: Anthropic, Google, Mistral, Ollama and others."""

from collections.abc import Generator, Sequence

from langchain.chat_models import init_chat_model
from langchain.chat_models.base import _BUILTIN_PROVIDERS
from langchain_core.messages import BaseMessage

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from worker.answer.endings import is_withheld
from worker.answer.pipeline import Completion, OnText
from worker.answer.prompt import Message
from worker.http.wire import OnResponse
from worker.model.bounded import read_within
from worker.model.langchain_client import open_client

TOO_MANY_REQUESTS = 429
REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason")
"""What the packages call the reason why an answer ended, in a message's `response_metadata`."""


class LangchainChatModel:
    """Completes a conversation by LangChain's client of `provider`. Safe to share between threads."""

    def __init__(self, settings: Settings, provider: str, *, on_response: OnResponse | None = None) -> None:
        self._timeout_seconds = settings.model_timeout_seconds
        self._name = settings.chat_model.removeprefix(f"{provider}:")
        self._on_response = on_response
        self._model = open_client(
            "CHAT_MODEL",
            settings.chat_model,
            init_chat_model,
            registry=_BUILTIN_PROVIDERS,
            provider=provider,
            timeout_seconds=settings.model_timeout_seconds,
        )

    def close(self) -> None:
        """Do nothing: LangChain's clients have no end, and Anthropic's share their connections with one another."""

    def complete(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        """The model's answer; `on_text` is given each piece of it. Raises `ServiceError`: one of the model's codes.

        The whole call takes MODEL_TIMEOUT_SECONDS at most. Ended before, the provider is read no further than to its
        next piece.
        """
        completion = Completion()
        texts: list[str] = []

        def read() -> Generator[BaseMessage, None, None]:
            yield from self._model.stream(list(messages))

        def take(piece: BaseMessage) -> None:
            _note(completion, piece)
            if text := str(piece.text):
                texts.append(text)
                on_text(text)

        try:
            read_within(self._timeout_seconds, read, take)
        except ServiceError as error:
            self._heed(error)
            raise
        return self._checked(completion, "".join(texts))

    def _checked(self, completion: Completion, text: str) -> Completion:
        if is_withheld(completion.finish_reason):
            raise ServiceError(ErrorCode.CONTENT_FILTERED)
        if not text and completion.finish_reason is None:
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
        completion.text = text
        completion.model = completion.model or self._name
        return completion

    def _heed(self, error: ServiceError) -> None:
        """Tell the model's budget how long the provider asks everybody to wait."""
        if self._on_response is not None and error.code is ErrorCode.MODEL_RATE_LIMITED:
            seconds = error.retry_after_seconds or 0.0
            self._on_response(TOO_MANY_REQUESTS, {"retry-after": f"{seconds:.3f}"})


def _note(completion: Completion, piece: BaseMessage) -> None:
    """What a piece says beside its text; its counts add up to the answer's, by LangChain's convention."""
    said = piece.response_metadata
    names = (said.get("model_name"), said.get("model"))
    completion.model = next((name for name in names if isinstance(name, str) and name), completion.model)
    reasons = (said.get(name) for name in REASONS)
    completion.finish_reason = next((str(reason) for reason in reasons if reason), completion.finish_reason)
    if usage := getattr(piece, "usage_metadata", None):
        completion.input_tokens += usage["input_tokens"]
        completion.output_tokens += usage["output_tokens"]
