"""Calls to models as steps of a trace; where nothing is traced, the calls themselves, with nothing around them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from app.core.providers import OPENAI, provider_of
from app.core.settings import Settings
from app.core.tracing.process import tracing
from app.core.tracing.traces import Traces
from worker.answer.pipeline import Complete, Completion, OnText
from worker.answer.prompt import Message

if TYPE_CHECKING:
    from worker.model.embeddings import QuestionEmbeddings
    from worker.model.vectors import Vectors

Rerank = Callable[[str, Sequence[str]], list[float] | None]

PROVIDERS = {
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
"""What the convention's `gen_ai.provider.name` calls providers that LangChain calls otherwise."""


def traced_chat(complete: Complete, settings: Settings) -> Complete:
    """`complete`, each call of it a step."""
    traces = tracing()
    if not traces.is_on:
        return complete
    provider, model = _named(settings.chat_model, provider_of(settings.chat_model, "chat_models"))

    def completed(messages: Sequence[Message], on_text: OnText) -> Completion:
        with traces.chat(provider, model) as call:
            has_begun = False

            def heard(text: str) -> None:
                nonlocal has_begun
                if not has_begun:
                    has_begun = True
                    call.chunk()
                on_text(text)

            answer = complete(messages, heard)
            call.answered(answer.model, answer.input_tokens, answer.output_tokens, answer.finish_reason)
            if call.wants_content:
                call.said(messages, answer.text)
            return answer

    return completed


def traced_embeddings(model: "QuestionEmbeddings", settings: Settings) -> "QuestionEmbeddings":
    """`model`, each of its calls a step."""
    traces = tracing()
    if not traces.is_on:
        return model
    name = settings.embedding_model or ""
    return _TracedEmbeddings(model, traces, *_named(name, provider_of(name, "embeddings")))


def traced_rerank(rerank: Rerank, settings: Settings) -> Rerank:
    """`rerank`, each call of it a step."""
    traces = tracing()
    if not traces.is_on:
        return rerank

    def reranked(question: str, texts: Sequence[str]) -> list[float] | None:
        with traces.rerank(settings.rerank_model) as call:
            scores = rerank(question, texts)
            if scores is None:
                call.failed("rerank_failed")
            return scores

    return reranked


class _TracedEmbeddings:
    def __init__(self, model: "QuestionEmbeddings", traces: Traces, provider: str, name: str) -> None:
        self._model = model
        self._traces = traces
        self._provider, self._name = provider, name
        self.close = model.close

    @property
    def batch_size(self) -> int:
        return self._model.batch_size

    def embed_documents(self, texts: list[str]) -> "Vectors":
        with self._traces.embeddings(self._provider, self._name):
            return self._model.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        with self._traces.embeddings(self._provider, self._name):
            return self._model.embed_query(text)

    def embed_few(self, texts: list[str]) -> "Vectors":
        with self._traces.embeddings(self._provider, self._name):
            return self._model.embed_few(texts)


def _named(model: str, provider: str | None) -> tuple[str, str]:
    """The provider as the convention has it, and the model without it."""
    if provider is None:
        return OPENAI, model.removeprefix(f"{OPENAI}:")
    return PROVIDERS.get(provider, provider), model.removeprefix(f"{provider}:")
