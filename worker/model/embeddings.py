"""The embedding model: for chunks LangChain's client, for a question one lean call."""

from threading import Lock
from typing import TYPE_CHECKING, Protocol

import orjson

from app.core.providers import provider_of
from app.core.settings import Settings
from worker.http.wire import pieces
from worker.model.openai_wire import NO_KEY, OpenAiWire

if TYPE_CHECKING:
    from langchain_openai import OpenAIEmbeddings

BATCH_SIZE = 128
"""Texts in one request; providers take up to 2,048, local servers much less."""


class ClosableEmbeddings(Protocol):
    """The methods of LangChain's `Embeddings`, and an end to it; their class takes 0.2 s of CPU to import."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, in order."""

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""

    def close(self) -> None:
        """Close the connections; no call may be in flight."""


class QuestionEmbeddings(ClosableEmbeddings, Protocol):
    """What a question needs beside."""

    def embed_few(self, texts: list[str]) -> list[list[float]]:
        """A vector for each of some dozens of texts, in order: one call, tried once, while a question waits."""


def open_embeddings(settings: Settings) -> QuestionEmbeddings | None:
    """The client of EMBEDDING_MODEL, or None when retrieval is BM25 alone. Opens no connection.

    Ours for OpenAI's protocol, LangChain's for every other provider. Raises `ConfigurationError` when the provider's
    package is not installed, or does not start as it is configured.
    """
    model = settings.embedding_model
    if not model:
        return None
    if provider := provider_of(model, "embeddings"):
        from worker.model.langchain_embeddings import LangchainEmbeddings  # takes a second, and few need it

        return LangchainEmbeddings(settings, model, provider)
    return ProviderEmbeddings(settings, model)


class ProviderEmbeddings:
    """Any server that speaks OpenAI's protocol. Its methods raise `ServiceError` with one of the model's codes.

    Chunks are embedded by LangChain's client, which tries again. A question is one lean call that is tried once: its
    job goes back to the queue instead.
    """

    def __init__(self, settings: Settings, model: str) -> None:
        self._model = model
        self._key = settings.openai_api_key
        self._url = settings.embedding_base_url or settings.openai_base_url
        self._timeout_seconds = settings.model_timeout_seconds
        self._wire = OpenAiWire(self._url, self._key, timeout_seconds=self._timeout_seconds)
        self._opening = Lock()
        self._batches: OpenAIEmbeddings | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._batches is not None and self._batches.http_client is not None:
            self._batches.http_client.close()
        self._wire.close()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, in order."""
        from worker.model.langchain_errors import classified

        with classified():
            return self._opened_batches().embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        [vector] = self.embed_few([text])
        return vector

    def embed_few(self, texts: list[str]) -> list[list[float]]:
        """A vector for each of some dozens of texts, in order: one call, tried once."""
        with self._wire.post("/embeddings", {"model": self._model, "input": texts}) as response:
            found = orjson.loads(b"".join(pieces(response)))["data"]
            return [[float(number) for number in item["embedding"]] for _, item in zip(texts, found, strict=True)]

    def _opened_batches(self) -> "OpenAIEmbeddings":
        with self._opening:
            if self._batches is None:
                self._batches = self._langchains()
            return self._batches

    def _langchains(self) -> "OpenAIEmbeddings":
        # Imported here: it takes a second that a question need not spend.
        from langchain_openai import OpenAIEmbeddings

        from worker.model.http_clients import http_clients

        return OpenAIEmbeddings(
            model=self._model,
            openai_api_base=self._url,
            openai_api_key=self._key or NO_KEY,
            request_timeout=self._timeout_seconds,
            max_retries=2,
            chunk_size=BATCH_SIZE,
            # Else it downloads a tokenizer's table at run time and sends token ids, which compatible servers refuse.
            check_embedding_ctx_length=False,
            **http_clients(self._url),
        )
