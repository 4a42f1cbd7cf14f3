"""The embedding model that runs in this process: one of fastembed's, by ONNX on the CPU (the extra `local`).

A process has each model once, whoever asks for it: questions and ingestion share its memory and its threads.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.providers import local_model
from app.core.settings import Settings
from worker.model.vectors import Vectors, checked
from worker.runtime.interrupts import own_calls
from worker.runtime.measures import Asked, measures
from worker.runtime.model_names import model_name

if TYPE_CHECKING:
    from fastembed import TextEmbedding
    from numpy import ndarray

BATCH_SIZE = 16
"""Texts in one run. A model's memory grows with it, its speed hardly; and what is cancelled ends after its run."""
POLL_SECONDS = 0.2
"""Between two looks whether a job that waits for its turn is to end."""

NOT_INSTALLED = "EMBEDDING_MODEL=local needs fastembed: pip install 'rag-queue[local]'"


class LocalEmbeddings:
    """Embeds in this process; a question and a passage each by the model's own method for it. For several threads.

    A question never waits for ingestion: each kind has its turn, one run at once, so that a worker's other threads
    get a core too. Its methods raise `ServiceError`: MODEL_UNAVAILABLE when the model can't be loaded or the job is
    told to end, MODEL_TIMEOUT after MODEL_TIMEOUT_SECONDS of waiting for a turn.
    """

    def __init__(self, settings: Settings, model: str) -> None:
        """Raises `ConfigurationError` when fastembed or the folder is missing, or it knows no such model."""
        if find_spec("fastembed") is None:
            raise ConfigurationError(NOT_INSTALLED)
        from worker.model.local_session import session_of

        self._wait_seconds = settings.model_timeout_seconds
        self._asked = Asked("embeddings", model_name(model, "embeddings"))
        self._session = session_of(local_model(model) or "", settings.local_model_path, settings.data_dir / "models")

    def close(self) -> None:
        """Do nothing: the model is the process's."""

    @property
    def batch_size(self) -> int:
        """How many texts go in one run."""
        return BATCH_SIZE

    def embed_documents(self, texts: list[str]) -> Vectors:
        """A vector for each passage, in order."""
        return self._runs(texts, self._session.passages_turn, lambda model, batch: model.passage_embed(batch))

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        [vector] = self._runs([text], self._session.questions_turn, lambda model, batch: model.query_embed(batch))
        return vector

    def embed_few(self, texts: list[str]) -> Vectors:
        """A vector for each of some dozens of passages, while a question waits."""
        return self._runs(texts, self._session.questions_turn, lambda model, batch: model.passage_embed(batch))

    def _runs(
        self, texts: list[str], turn: Lock, run: "Callable[[TextEmbedding, list[str]], Iterable[ndarray]]"
    ) -> Vectors:
        vectors: Vectors = []
        with measures().model_call(self._asked):
            model = self._session.model()
            for start in range(0, len(texts), BATCH_SIZE):
                with self._taken(turn):
                    vectors += [vector.tolist() for vector in run(model, texts[start : start + BATCH_SIZE])]
            return checked(vectors, len(texts))

    @contextmanager
    def _taken(self, turn: Lock) -> Iterator[None]:
        give_up = monotonic() + self._wait_seconds
        while not own_calls().is_interrupted:
            if turn.acquire(timeout=POLL_SECONDS):
                try:
                    yield
                finally:
                    turn.release()
                return
            if monotonic() > give_up:
                raise ServiceError(ErrorCode.MODEL_TIMEOUT)
        raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
