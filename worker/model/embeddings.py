"""The embedding model: of a server that speaks OpenAI's protocol by our calls, of others by LangChain's."""

from collections.abc import Sequence
from typing import Protocol

from app.core.providers import local_model, provider_of
from app.core.settings import AUTO, Settings
from worker.http.wire import pieces
from worker.model.batches import Batches
from worker.model.openai_wire import OpenAiWire
from worker.model.traced import traced_embeddings
from worker.model.vectors import Vectors, read_vectors
from worker.runtime.measures import Asked, measures
from worker.runtime.model_names import model_name
from worker.runtime.spending import spend

BATCH_SIZE = 128
"""Texts in one request at first: as few more would save little, and a refused one costs its sending."""


class ClosableEmbeddings(Protocol):
    """The methods of LangChain's `Embeddings`, and an end to it; their class takes 0.2 s of CPU to import."""

    @property
    def batch_size(self) -> int:
        """How many texts go in one request, as far as is known."""

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

    Ours for OpenAI's protocol and for EMBEDDING_MODEL=local, LangChain's for every other provider; where the model is
    to be chosen, the first call chooses it. Raises `ConfigurationError` when the package that one needs is not
    installed, or does not start as it is configured.
    """
    model = settings.embedding_model
    if not model:
        return None
    if model == AUTO:
        from worker.model.chosen_embeddings import ChosenEmbeddings

        return ChosenEmbeddings(settings)
    if local_model(model):
        from worker.model.local_embeddings import LocalEmbeddings  # as does this

        return traced_embeddings(LocalEmbeddings(settings, model), settings)
    if provider := provider_of(model, "embeddings"):
        from worker.model.langchain_embeddings import LangchainEmbeddings  # takes a second, and few need it

        return traced_embeddings(LangchainEmbeddings(settings, model, provider), settings)
    return traced_embeddings(ProviderEmbeddings(settings, model), settings)


class ProviderEmbeddings:
    """Any server that speaks OpenAI's protocol. Its methods raise `ServiceError` with one of the model's codes."""

    def __init__(self, settings: Settings, model: str) -> None:
        self._model = model
        self._asked = Asked("embeddings", model_name(model, "embeddings"))
        url, seconds = settings.embedding_url, settings.model_timeout_seconds
        self._wire = OpenAiWire(url, settings.openai_api_key, timeout_seconds=seconds)
        self._batches = Batches(BATCH_SIZE)

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    @property
    def batch_size(self) -> int:
        """As `Batches` has found it."""
        return self._batches.size

    def embed_documents(self, texts: list[str]) -> Vectors:
        """A vector for each text, in order: each request is sent once, and what a server finds too much in halves."""
        return self._batches.embed(texts, self._called)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        [vector] = self._called([text])
        return vector

    def embed_few(self, texts: list[str]) -> Vectors:
        """The same of some dozens of texts, while a question waits."""
        return self._batches.embed(texts, self._called)

    def _called(self, texts: Sequence[str]) -> Vectors:
        """One request. It asks for plain numbers, the protocol's default: some servers know no base64."""
        asked = {"model": self._model, "input": texts}
        with measures().model_call(self._asked) as call, self._wire.post("/embeddings", asked) as response:

            def on_tokens(tokens: int) -> None:
                call.spent(tokens)
                spend(self._model, tokens)

            return read_vectors(b"".join(pieces(response)), len(texts), on_tokens)
