"""The chat model, behind LangChain's `ChatOpenAI`: any server that speaks OpenAI's protocol."""

from collections.abc import Sequence

from langchain_core.messages import BaseMessage
from langchain_openai import ChatOpenAI

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from worker.embeddings import NO_KEY
from worker.interrupts import OnResponse, interruptible_client
from worker.pipeline import Completion
from worker.provider_errors import PROVIDER_ERRORS, service_error


class ChatModel:
    """Completes a conversation. Safe to share between threads: one HTTP pool."""

    def __init__(self, settings: Settings, *, on_response: OnResponse | None = None) -> None:
        self._client = interruptible_client(settings.model_timeout_seconds, on_response=on_response)
        self._model = ChatOpenAI(
            model=settings.chat_model,
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key or NO_KEY,
            timeout=settings.model_timeout_seconds,
            http_client=self._client,
            max_retries=0,  # a failed call goes back to the queue instead of holding its worker
        )

    def close(self) -> None:
        """Close the pool's connections."""
        self._client.close()

    def complete(self, messages: Sequence[BaseMessage]) -> Completion:
        """The model's answer. Raises `ServiceError` with one of the model's codes."""
        try:
            reply = self._model.invoke(list(messages))
        except PROVIDER_ERRORS as error:
            raise service_error(error) from error
        if reply.response_metadata.get("finish_reason") == "content_filter":
            raise ServiceError(ErrorCode.CONTENT_FILTERED)
        usage = reply.usage_metadata
        return Completion(
            text=reply.text,
            model=str(reply.response_metadata.get("model_name") or self._model.model_name),
            input_tokens=usage["input_tokens"] if usage else 0,
            output_tokens=usage["output_tokens"] if usage else 0,
        )
