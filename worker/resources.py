"""What a worker process makes once and every job shares: the index and the model, with their connections."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

import structlog
from rq import get_current_job

from app.core.logging import configure_logging
from app.core.settings import Settings
from worker.answer.pipeline import Complete
from worker.http.wire import OnResponse
from worker.retrieval.search import Searcher, open_searcher
from worker.runtime.budget import Budget, Limits


@dataclass(frozen=True, slots=True)
class Resources:
    """A worker's clients. `complete` is None when answers are extractive.

    `budget` is what a job itself must ask before it calls the model: a stock worker's, when there is a limit.
    """

    settings: Settings
    searcher: Searcher
    complete: Complete | None
    closing: tuple[Callable[[], None], ...] = ()
    budget: Budget | None = None

    def close(self) -> None:
        """Close every connection; jobs must have ended."""
        for close in (self.searcher.close, *self.closing):
            close()


_lock = Lock()
_shared: Resources | None = None


def open_resources(settings: Settings, *, on_response: OnResponse | None = None) -> Resources:
    """Make the clients. Opens no connection. Raises `ConfigurationError` when there is no Qdrant to go to.

    `on_response` is told of each answer of the chat model's server, before it is read.
    """
    if not structlog.is_configured():  # under RQ's own command; structlog's default would print local variables
        configure_logging(settings)
    if not settings.has_chat_model:
        return Resources(settings, open_searcher(settings), complete=None)
    from worker.model.chat import ChatModel  # a second of imports that a worker without a model need not spend

    model = ChatModel(settings, on_response=on_response)
    return Resources(settings, open_searcher(settings), model.complete, closing=(model.close,))


def share(resources: Resources | None) -> None:
    """Let every job of this process use `resources`; None lets go of them."""
    global _shared
    with _lock:
        _shared = resources


def shared() -> Resources:
    """The process's resources; made from the environment when a stock `rq worker` runs the job."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = _open_for_stock_worker(Settings())
        return _shared


def _open_for_stock_worker(settings: Settings) -> Resources:
    record, limits = get_current_job(), Limits.of(settings)
    if record is None or limits == Limits():
        return open_resources(settings)
    # Nobody renews the lease, so it lasts as long as a job may.
    budget = Budget(record.connection, limits, lease_seconds=settings.job_timeout_seconds)
    return replace(open_resources(settings, on_response=budget.heed), budget=budget)
