"""The embedding model of any provider that LangChain has a package for: Cohere, Google, Mistral, Ollama, others."""

from collections.abc import Callable, Generator

from langchain.embeddings import init_embeddings
from langchain.embeddings.base import _BUILTIN_PROVIDERS

from app.core.settings import Settings
from worker.model.batches import Batches
from worker.model.bounded import read_within
from worker.model.langchain_client import open_client
from worker.model.vectors import Vectors, checked
from worker.runtime.measures import Asked, measures
from worker.runtime.model_names import model_name

BATCH_SIZE = 96
"""Texts in one call at first, which MODEL_TIMEOUT_SECONDS bounds: as many as Cohere takes."""


class LangchainEmbeddings:
    """Embeds by LangChain's client of `provider`. Safe to share between threads.

    Its methods raise `ServiceError` with one of the model's codes, and try nothing again: that is the job's part, and
    the ingest's.
    """

    def __init__(self, settings: Settings, model: str, provider: str) -> None:
        self._timeout_seconds = settings.model_timeout_seconds
        self._batches = Batches(BATCH_SIZE)
        self._asked = Asked("embeddings", model_name(model, "embeddings"))
        self._model = open_client(
            "EMBEDDING_MODEL",
            model,
            init_embeddings,
            registry=_BUILTIN_PROVIDERS,
            provider=provider,
            timeout_seconds=settings.model_timeout_seconds,
        )

    def close(self) -> None:
        """Do nothing: LangChain's clients have no end, and Anthropic's share their connections with one another."""

    @property
    def batch_size(self) -> int:
        """As `Batches` has found it."""
        return self._batches.size

    def embed_documents(self, texts: list[str]) -> Vectors:
        """A vector for each text, in order."""
        return self._batches.embed(
            texts, lambda batch: self._called(len(batch), lambda: self._model.embed_documents(list(batch)))
        )

    def embed_few(self, texts: list[str]) -> Vectors:
        """A vector for each of some dozens of texts, in order."""
        return self.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        [vector] = self._called(1, lambda: [self._model.embed_query(text)])
        return vector

    def _called(self, count: int, call: Callable[[], Vectors]) -> Vectors:
        """What `call` gives, when it is `count` vectors."""
        got: list[Vectors] = []

        def read() -> Generator[Vectors, None, None]:
            yield [list(map(float, vector)) for vector in call()]  # some packages give numpy's

        with measures().model_call(self._asked):
            read_within(self._timeout_seconds, read, got.append)
            return checked(got[0], count)
