"""Answers questions: takes jobs off the queue, retrieves from Qdrant, calls the model."""

from typing import Any


def __getattr__(name: str) -> Any:
    """What `rq worker` names, `-w worker.ConcurrentWorker -j worker.OwnJob`; who needs the index imports no RQ."""
    if name == "ConcurrentWorker":
        from worker.concurrent import ConcurrentWorker

        return ConcurrentWorker
    if name == "OwnJob":
        from worker.runtime.own_job import OwnJob

        return OwnJob
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
