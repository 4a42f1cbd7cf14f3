"""Texts to an embedding model in as few requests as its server takes: how many texts that is, only it knows.

Servers limit a request's texts (Hugging Face's to 32, Cohere's to 96, OpenAI's to 2,048) or its tokens (OpenAI's to
300,000), each says so in words of its own, and none tells before. So whatever a server refuses is sent in halves.
"""

from collections.abc import Callable, Sequence

from app.core.errors import ErrorCode, ServiceError
from app.core.logging import get_logger
from worker.model.provider_errors import RefusedError
from worker.model.vectors import Vectors

USUAL_CHARACTERS = 2_000
"""A text's, about: a chunk or a statement has no more. Of longer ones a refusal says little about their number."""
ABOUT_THE_REQUEST = frozenset({400, 413, 422})
"""Statuses with which servers refuse what is too much for one request."""

log = get_logger(__name__)


class Batches:
    """Sends texts, `size` in a request at first, and remembers how many the server took. For several threads."""

    def __init__(self, size: int) -> None:
        self._size = size

    @property
    def size(self) -> int:
        """How many texts go in one request, as far as is known."""
        return self._size

    def embed(self, texts: Sequence[str], call: Callable[[Sequence[str]], Vectors]) -> Vectors:
        """A vector for each text, in order. Raises what `call` raises for a text alone, or for another reason."""
        vectors: Vectors = []
        size = self._size
        while len(vectors) < len(texts):
            batch = texts[len(vectors) : len(vectors) + size]
            try:
                vectors += call(batch)
            except ServiceError as error:
                if len(batch) == 1 or not _may_be_too_much(error):
                    raise
                size = (len(batch) + 1) // 2
        if size < self._size and sum(map(len, texts)) <= USUAL_CHARACTERS * len(texts):
            log.info("embedding_batches_smaller", texts=size)
            self._size = size
        return vectors


def _may_be_too_much(error: ServiceError) -> bool:
    if error.code is ErrorCode.CONTEXT_TOO_LONG:
        return True
    is_about_it = isinstance(error, RefusedError) and error.status in ABOUT_THE_REQUEST
    return is_about_it and error.code is ErrorCode.MODEL_REJECTED
