"""Answers questions: takes jobs off the queue, retrieves from Qdrant, calls the model."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """What `rq worker` names, `-w worker.ConcurrentWorker -j worker.OwnJob`; who needs the index imports no RQ."""
    if name == "ConcurrentWorker":
        from worker.concurrent import ConcurrentWorker

        return ConcurrentWorker
    if name == "OwnJob":
        import_module("worker.jobs")  # before RQ's own worker forks, which it does for each job
        from app.core.tracing import process

        process.prepare()
        from worker.runtime.own_job import OwnJob

        return OwnJob
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
