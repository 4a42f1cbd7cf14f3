"""Answers questions: takes jobs off the queue, retrieves from Qdrant, calls the model."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`worker.ConcurrentWorker`, as `rq worker -w` names it, without importing RQ for those who need the index."""
    if name == "ConcurrentWorker":
        from worker.concurrent import ConcurrentWorker

        return ConcurrentWorker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
