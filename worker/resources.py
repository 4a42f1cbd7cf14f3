"""What a worker process makes once and every job shares: the index and the model, with their connection pools."""

from dataclasses import dataclass
from threading import Lock

from app.core.settings import Settings
from worker.index import VectorIndex, open_index
from worker.pipeline import Complete


@dataclass(frozen=True, slots=True)
class Resources:
    """A worker's clients. `complete` is None when answers are extractive."""

    settings: Settings
    index: VectorIndex
    complete: Complete | None


_lock = Lock()
_shared: Resources | None = None


def open_resources(settings: Settings) -> Resources:
    """Make the clients. Opens no connection. Raises `ConfigurationError` when there is no Qdrant to go to."""
    complete = None
    if settings.has_chat_model:
        from worker.llm import ChatModel  # a second of imports that a worker without a model need not spend

        complete = ChatModel(settings).complete
    return Resources(settings, open_index(settings), complete)


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
            _shared = open_resources(Settings())
        return _shared
