"""Which client speaks to the chat model: ours for chat completions, LangChain's for whatever else there is."""

from typing import Protocol

from app.core.providers import provider_of
from app.core.settings import Settings
from worker.answer.pipeline import Complete
from worker.http.wire import OnResponse


class ChatClient(Protocol):
    """A chat model and its connections. Safe to share between threads."""

    @property
    def complete(self) -> Complete:
        """Answers a conversation; raises `ServiceError`: one of the model's codes."""

    def close(self) -> None:
        """Close the connections; no call may be in flight."""


def open_chat_model(settings: Settings, *, on_response: OnResponse | None = None) -> ChatClient:
    """The client of CHAT_MODEL. Opens no connection.

    `on_response` is told of responses' status and headers: of every one by OpenAI's protocol, of other providers'
    those that refuse us for a time. Raises `ConfigurationError` when the provider's package is not installed, or
    does not start as it is configured.
    """
    # Imported here: each takes a second or more, and a worker needs one of them, or none.
    if provider := provider_of(settings.chat_model, "chat_models"):
        from worker.model.langchain_chat import LangchainChatModel

        return LangchainChatModel(settings, provider, on_response=on_response)
    from worker.model.responses_api import ResponsesModel, needs_responses_api

    if needs_responses_api(settings.chat_model):
        return ResponsesModel(settings)
    from worker.model.chat import ChatModel

    return ChatModel(settings, on_response=on_response)
