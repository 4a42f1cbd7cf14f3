"""The embedding model that is chosen, opened by the first call that needs it."""

from threading import Lock

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from worker.model.choice import choice_of, settled
from worker.model.embeddings import QuestionEmbeddings, open_embeddings
from worker.model.vectors import Vectors


class ChosenEmbeddings:
    """The client of the chosen model. Opens nothing before it is needed; safe to share between threads.

    Its methods raise `ServiceError`: as `Choice.model` does before there is one, else one of the model's codes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: QuestionEmbeddings | None = None
        self._opening = Lock()

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.close()

    @property
    def batch_size(self) -> int:
        """As the model's own client has found it."""
        return self._model().batch_size

    def embed_documents(self, texts: list[str]) -> Vectors:
        """A vector for each text, in order."""
        return self._model().embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self._model().embed_query(text)

    def embed_few(self, texts: list[str]) -> Vectors:
        """The same of some dozens of texts, while a question waits."""
        return self._model().embed_few(texts)

    def _model(self) -> QuestionEmbeddings:
        choice_of(self._settings).model()  # not while others wait for the lock
        with self._opening:
            if self._opened is None:
                self._opened = open_embeddings(settled(self._settings))
        if self._opened is None:  # words alone: nobody asks then
            raise ServiceError(ErrorCode.INTERNAL)
        return self._opened
