"""OpenAI's models that speak the Responses API and nothing else, asked by LangChain's `ChatOpenAI` as a whole."""

import re
from collections.abc import Sequence

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from worker.answer.endings import is_withheld
from worker.answer.pipeline import Completion, OnText
from worker.answer.prompt import Message

MAY_NEED_IT = re.compile(r"codex|gpt-[5-9][.\d]*-(?!mini|nano|chat)")
"""Names of which LangChain is asked whether it is one of these: asking takes a second, and few have such a name."""


def needs_responses_api(model: str) -> bool:
    """Whether `model` speaks the Responses API alone, by LangChain's knowledge."""
    if not MAY_NEED_IT.search(model):
        return False
    from langchain_openai.chat_models.base import _model_prefers_responses_api

    return _model_prefers_responses_api(model)


class ResponsesModel:
    """Completes a conversation, which is told in one piece. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        from langchain_openai import ChatOpenAI

        from worker.model.http_clients import http_clients
        from worker.model.openai_wire import NO_KEY

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

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def complete(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        """The model's answer, given to `on_text` as well. Raises `ServiceError`: one of the model's codes."""
        from worker.model.langchain_errors import classified

        with classified():
            reply = self._model.invoke(list(messages))
        said = reply.response_metadata
        reason = (said.get("incomplete_details") or {}).get("reason") or said.get("status")
        if is_withheld(reason):
            raise ServiceError(ErrorCode.CONTENT_FILTERED)
        on_text(reply.text)
        usage = reply.usage_metadata
        return Completion(
            text=reply.text,
            model=str(said.get("model_name") or self._model.model_name),
            finish_reason=reason,
            input_tokens=usage["input_tokens"] if usage else 0,
            output_tokens=usage["output_tokens"] if usage else 0,
        )
