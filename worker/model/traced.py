"""Calls to models as steps of a trace; where nothing is traced, the calls themselves, with nothing around them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from app.core.settings import Settings
from app.core.tracing.process import tracing
from app.core.tracing.traces import Traces
from worker.answer.pipeline import Complete, Completion, OnText
from worker.answer.prompt import Message
from worker.runtime.model_names import model_name

if TYPE_CHECKING:
    from worker.model.embeddings import QuestionEmbeddings
    from worker.model.vectors import Vectors

Rerank = Callable[[str, Sequence[str]], list[float] | None]


def traced_chat(complete: Complete, settings: Settings) -> Complete:
    """`complete`, each call of it a step."""
    traces = tracing()
    if not traces.is_on:
        return complete
    name = model_name(settings.chat_model, "chat_models")

    def completed(messages: Sequence[Message], on_text: OnText) -> Completion:
        with traces.chat(name.provider, name.model) as call:
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
    name = model_name(settings.embedding_model or "", "embeddings")
    return _TracedEmbeddings(model, traces, name.provider, name.model)


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
