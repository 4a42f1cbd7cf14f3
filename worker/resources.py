"""What a worker process makes once and all jobs share, each part opened only where a queue that is served needs it.

RQ calls a job's function by its name and gives it nothing but the payload, so what jobs share belongs to the process.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import RLock
from typing import Protocol, TypeVar, cast

import structlog
from rq import get_current_job

from app.core.errors import ErrorCode, ServiceError
from app.core.logging import configure_logging
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.settings import Settings
from worker.answer.pipeline import Complete, Completion, OnText
from worker.answer.prompt import Message
from worker.http.wire import OnResponse
from worker.retrieval.search import Searcher, open_searcher
from worker.retrieval.semantic_cache import SemanticCache, open_semantic_cache
from worker.runtime.budget import Budget, Limits
from worker.runtime.measures import Asked, measures
from worker.runtime.model_names import model_name


@dataclass(frozen=True, slots=True)
class Process:
    """What resources are made from.

    `on_response` is told of each answer of the chat model's server, before it is read; None where nobody keeps the
    model's budget for the jobs: under RQ's own worker. `may_ask` counts a call beside the one that a job was taken
    for, and says whether the budget has room for it.
    """

    settings: Settings
    on_response: OnResponse | None = None
    may_ask: Callable[[], bool] = lambda: True


class Closing(Protocol):
    """A resource that can be closed when jobs have ended."""

    def close(self) -> None:
        """Close every connection."""


Opened = TypeVar("Opened", bound=Closing)

REWRITE_SECONDS = 2.0
"""Longest wait for a follow-up in other words: who has asked waits for that before anything is searched for."""

_lock = RLock()
_process: Process | None = None
_opened: dict[Callable[[Process], Closing], Closing] = {}


def begin(process: Process) -> None:
    """From now on, make resources from `process`."""
    global _process
    with _lock:
        if not structlog.is_configured():  # under RQ's own command; structlog's default would print local variables
            configure_logging(process.settings)
        _process = process


def this_process() -> Process:
    """What `begin` was given; else the environment's settings, as under RQ's own worker."""
    with _lock:
        if _process is None:
            begin(Process(Settings()))
        assert _process is not None
        return _process


def shared(make: Callable[[Process], Opened]) -> Opened:
    """The resource that `make` makes: one for this process, made by the first call."""
    found = _opened.get(make)
    if found is None:
        with _lock:
            found = _opened.get(make)
            if found is None:
                found = _opened[make] = make(this_process())
    return cast(Opened, found)


def end() -> None:
    """Close all that was made, and forget the settings; jobs must have ended."""
    global _process
    with _lock:
        while _opened:
            _opened.popitem()[1].close()
        _process = None


@dataclass(frozen=True, slots=True)
class Answering:
    """What questions and searches need. `complete` is None when answers are extractive, and so is `rewrite`, which
    puts a follow-up in other words: the same model, but not for longer than `REWRITE_SECONDS`.

    `budget` is what a job itself must ask before it calls the model: a stock worker's, when there is a limit.
    `semantic_cache` is None where it is off.
    """

    settings: Settings
    searcher: Searcher
    complete: Complete | None
    rewrite: Complete | None = None
    closing: tuple[Callable[[], None], ...] = ()
    budget: Budget | None = None
    semantic_cache: SemanticCache | None = None

    def close(self) -> None:
        """Close every connection; jobs must have ended."""
        for close in (self.searcher.close, *self.closing):
            close()


def open_answering(process: Process) -> Answering:
    """Make the index's and the model's clients. Opens no connection.

    Raises `ConfigurationError` when there is no Qdrant to go to, or the model's provider has no package here.
    """
    settings = process.settings
    budget = _budget_of_stock_worker(settings) if process.on_response is None else None
    searcher = open_searcher(settings)
    cache = open_semantic_cache(settings, searcher.question_vector)
    closing = (cache.close,) if cache is not None else ()
    if not settings.has_chat_model:
        return Answering(settings, searcher, complete=None, closing=closing, budget=budget, semantic_cache=cache)
    from worker.model.manners import MannerlyModel
    from worker.model.opening import open_chat_model  # its imports are for a worker that has a model
    from worker.model.traced import traced_chat

    heed = budget.heed if budget is not None else process.on_response
    may_ask = budget.spend_request if budget is not None else process.may_ask

    def opened(settings: Settings) -> tuple[Complete, Callable[[], None]]:
        model = open_chat_model(settings, on_response=heed)
        calling = traced_chat(_measured(model.complete, settings.chat_model), settings)
        return MannerlyModel(calling, settings.chat_model).complete, model.close

    seconds = min(REWRITE_SECONDS, settings.model_timeout_seconds)
    complete, close = opened(settings)
    rewrite, close_rewriting = opened(settings.model_copy(update={"model_timeout_seconds": seconds}))
    return Answering(
        settings,
        searcher,
        complete,
        rewrite=_within_budget(rewrite, may_ask),
        closing=(close, close_rewriting, *closing),
        budget=budget,
        semantic_cache=cache,
    )


def _within_budget(complete: Complete, may_ask: Callable[[], bool]) -> Complete:
    """`complete`, a call that nobody has asked the budget for: without room for it, `ServiceError`."""

    def completed(messages: Sequence[Message], on_text: OnText) -> Completion:
        with suppress(*VALKEY_UNAVAILABLE):  # what cannot be counted is not held back
            if not may_ask():
                raise ServiceError(ErrorCode.MODEL_RATE_LIMITED)
        return complete(messages, on_text)

    return completed


def _measured(complete: Complete, name: str) -> Complete:
    """`complete` of the model that the settings call `name`, each call of it measured."""
    asked = Asked("chat", model_name(name, "chat_models"))

    def completed(messages: Sequence[Message], on_text: OnText) -> Completion:
        with measures().model_call(asked) as call:
            completion = complete(messages, call.heard(on_text))
            call.spent(completion.input_tokens, completion.output_tokens)
            return completion

    return completed


def _budget_of_stock_worker(settings: Settings) -> Budget | None:
    """Our own workers ask the budget before they take a job; under RQ's own, the job itself must."""
    record, limits = get_current_job(), Limits.of(settings)
    if record is None or limits == Limits():
        return None
    # Nobody renews the lease, so it lasts as long as a job may.
    return Budget(record.connection, limits, lease_seconds=settings.job_timeout_seconds)
