"""Embedding within the model's budget, and with patience for a provider that asks to slow down."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

from app.core.errors import ErrorCode, ServiceError
from app.core.logging import get_logger
from app.core.settings import Settings
from worker.index.vector_index import VectorIndex

if TYPE_CHECKING:
    from redis import Redis

    from worker.runtime.budget import Budget

ATTEMPTS = {ErrorCode.MODEL_RATE_LIMITED: 6, ErrorCode.MODEL_UNAVAILABLE: 3, ErrorCode.MODEL_TIMEOUT: 3}
"""Sendings of one request that the provider answers so; six are about a minute."""
WAIT_SECONDS_BASE = 1.0
WAIT_SECONDS_MAX = 60.0
TURN_POLL_SECONDS = 0.1
"""Between two questions whether the budget has room."""
CHARACTERS_A_TOKEN = 4
"""A rule of thumb for English; what a request has really cost is not passed on by the client."""
LEASE_EXTRA_SECONDS = 5.0

log = get_logger(__name__)


def open_budget(connection: "Redis", settings: Settings) -> "Budget | None":
    """The budget that all workers share, when one is set."""
    limits = (
        settings.model_max_concurrency,
        settings.model_requests_per_minute,
        settings.model_tokens_per_minute,
    )
    if settings.embedding_model is None or settings.embeds_here or limits == (None, None, None):
        return None
    from worker.runtime.budget import Budget, Limits

    # A lease is not renewed: no request may take longer.
    return Budget(connection, Limits(*limits), lease_seconds=settings.model_timeout_seconds + LEASE_EXTRA_SECONDS)


class Embedder:
    """Embeds texts in one request, when the budget has room for it. Safe to share between threads.

    `stop` ends its waits. Raises what `VectorIndex.embed` raises.
    """

    def __init__(self, index: VectorIndex, budget: "Budget | None" = None) -> None:
        self._index = index
        self._budget = budget
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Wait for nothing any more: a request that would have to wait fails."""
        self._stopping.set()

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]] | None:
        """The texts' dense vectors, or None when retrieval is BM25 alone."""
        for attempt in count():
            try:
                with self._turn(sum(map(len, texts))):
                    return self._index.embed(texts)
            except ServiceError as error:
                if attempt + 1 >= ATTEMPTS.get(error.code, 1):
                    raise
                ceiling = WAIT_SECONDS_BASE * 2**attempt
                asked = error.retry_after_seconds or random.uniform(ceiling / 2, ceiling)  # noqa: S311  spreads load
                if self._stopping.wait(min(asked, WAIT_SECONDS_MAX)):
                    raise
        raise AssertionError("unreachable: each attempt returns, raises or is followed by another")

    @contextmanager
    def _turn(self, characters: int) -> Iterator[None]:
        """Holds one of the budget's places; the request is counted before it, its tokens after."""
        budget = self._budget
        if budget is None:
            yield
            return
        holder = f"ingest:{uuid4().hex}"
        while not budget.begin(holder):
            if self._stopping.wait(TURN_POLL_SECONDS * random.uniform(0.5, 1.5)):  # noqa: S311
                raise ServiceError(ErrorCode.MODEL_RATE_LIMITED)
        try:
            yield
            budget.spend_tokens(characters // CHARACTERS_A_TOKEN)
        finally:
            budget.release(holder)
