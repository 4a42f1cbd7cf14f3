"""A worker process's numbers for Prometheus: the families of `app.core.metrics` moved by what `measures` is told.

Every label is a setting, an enumeration or the queue that the process serves; and what comes from elsewhere as a
number is bounded, so that no answer fails by being counted.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import cached_property
from time import perf_counter
from typing import Any, Literal

from app.core.errors import ErrorCode, ServiceError
from app.core.formats import by_name
from app.core.metrics.families import WorkerFamilies
from app.core.prices import cost
from app.core.settings import Prices
from worker.runtime.interrupts import own_calls
from worker.runtime.measures import (
    Asked,
    Became,
    Cache,
    Call,
    DocumentOutcome,
    Measures,
    OnText,
    Stage,
    WebhookOutcome,
)

ENDS: tuple[Became, ...] = ("finished", "failed", "stopped")
"""What a job does once."""
INTERRUPTED = "interrupted"
"""`error_type` of a call whose job was told to end, or had run too long: no fault of the model's."""
OTHER = "_OTHER"
"""OpenTelemetry's word for an error that has no name (semantic conventions, `error.type`)."""
SECONDS_MAX = 7 * 86_400.0
"""A job's record may say that it was enqueued in the year 1."""
TOKENS_MAX = 2**30
"""A server may say that it has counted any number."""


class _Children(dict[tuple[str, ...], Callable[[float], None]]):
    """What moves a family's children, by their labels: Prometheus's own look-up takes longer than the counting."""

    def __init__(self, family: Any, act: str) -> None:
        super().__init__()
        self._family = family
        self._act = act

    def __missing__(self, labels: tuple[str, ...]) -> Callable[[float], None]:
        move: Callable[[float], None] = getattr(self._family.labels(*labels), self._act)
        self[labels] = move
        return move


class Counting(Measures):
    """Counts into `families`, for the queues that the process serves. `prices` are MODEL_PRICES."""

    def __init__(self, families: WorkerFamilies, queues: Iterable[str], prices: Prices | None) -> None:
        self._families = families
        self._prices = prices
        self._calls: dict[Asked, _CallNumbers] = {}
        self._jobs = _Children(families.jobs, "inc")
        self._job_wait = _Children(families.job_wait, "observe")
        self._job_seconds = _Children(families.job_seconds, "observe")
        self._job_retries = _Children(families.job_retries, "inc")
        self._jobs_recovered = _Children(families.jobs_recovered, "inc")
        self._jobs_active = _Children(families.jobs_active, "inc")
        self._retrieval_seconds = _Children(families.retrieval_seconds, "observe")
        self._answers = _Children(families.answers, "inc")
        self._citations = _Children(families.citations, "inc")
        self._budget_wait = families.budget_wait.observe
        self._cache_requests = _Children(families.cache_requests, "inc")
        self._ingest_documents = _Children(families.ingest_documents, "inc")
        self._ingest_pages = families.ingest_pages.inc
        self._ingest_seconds = _Children(families.ingest_seconds, "observe")
        self._webhooks = _Children(families.webhooks, "inc")
        for queue in queues:  # shown as 0 before the first: Prometheus sees no rise in what appears as 1
            _ = self._jobs_active[(queue,)], self._jobs_recovered[(queue,)]
            _ = [self._jobs[queue, end] for end in ENDS]

    def job_began(self, queue: str) -> None:
        """As `Measures` has it."""
        self._jobs_active[(queue,)](1)

    def job_ended(self, queue: str, became: Became, *, waited: float, ran: float, reason: object = None) -> None:
        """As `Measures` has it. A `reason` that is no `ErrorCode`'s value is an internal error."""
        self._jobs_active[(queue,)](-1)
        labels = (queue, became)
        self._job_wait[labels](min(max(0.0, waited), SECONDS_MAX))
        self._job_seconds[labels](ran)
        if became in ENDS:
            self._jobs[labels](1)
        elif became == "retried":
            self._job_retries[queue, _code(reason)](1)

    def job_failed(self, queue: str) -> None:
        """As `Measures` has it."""
        self._jobs[queue, "failed"](1)

    def job_recovered(self, queue: str) -> None:
        """As `Measures` has it."""
        self._jobs_recovered[(queue,)](1)

    def budget_waited(self, seconds: float) -> None:
        """As `Measures` has it."""
        self._budget_wait(min(max(0.0, seconds), SECONDS_MAX))

    def stage(self, stage: Stage) -> AbstractContextManager[None]:
        """As `Measures` has it; a stage that fails has taken its time as well."""
        return _Timed(self._retrieval_seconds[(stage,)])

    def answered(self, mode: Literal["model", "extractive"], *, grounded: bool, kept: int, dropped: int) -> None:
        """As `Measures` has it."""
        self._answers[mode, "true" if grounded else "false"](1)
        if kept:
            self._citations[("kept",)](kept)
        if dropped:
            self._citations[("dropped",)](dropped)

    def model_call(self, asked: Asked) -> Call:
        """As `Measures` has it."""
        return _Counted(self.numbers_of(asked))

    def cache(self, cache: Cache, *, is_hit: bool) -> None:
        """As `Measures` has it."""
        self._cache_requests[cache, "hit" if is_hit else "miss"](1)

    def document(self, outcome: DocumentOutcome, filename: str, *, pages: int = 0, ran: float = 0.0) -> None:
        """As `Measures` has it: pages and time are those of documents that were indexed, not of those that stand."""
        self._ingest_documents[(outcome,)](1)
        if outcome == "indexed":
            self._ingest_pages(pages)
            self._ingest_seconds[(_kind(filename),)](ran)

    def webhook(self, outcome: WebhookOutcome) -> None:
        """As `Measures` has it."""
        self._webhooks[(outcome,)](1)

    def numbers_of(self, asked: Asked) -> "_CallNumbers":
        """Where such calls are counted."""
        found = self._calls.get(asked)
        if found is None:
            found = self._calls.setdefault(asked, _CallNumbers(self._families, asked, self._prices))
        return found


class _CallNumbers:
    """The numbers of calls of one kind; each is shown from when there is something to say."""

    def __init__(self, families: WorkerFamilies, asked: Asked, prices: Prices | None) -> None:
        self._families = families
        name = asked.name
        self._labels = labels = (asked.operation, name.provider, name.model)
        self._seconds = _Children(families.model_seconds, "observe")
        self._tokens = _Children(families.model_tokens, "observe")
        self._ended, self._input, self._output = (*labels, ""), (*labels, "input"), (*labels, "output")
        self._prices = prices
        self._setting = name.setting

    @cached_property
    def _first_chunk(self) -> Callable[[float], None]:
        return self._families.model_first_chunk.labels(*self._labels).observe

    @cached_property
    def _cost(self) -> Callable[[float], None]:
        return self._families.cost.labels(self._labels[-1]).inc

    def ended(self, error_type: str, *, ran: float, first: float | None, tokens: tuple[int, int]) -> None:
        """A call has taken so long, and so long until its first piece; `tokens` are the prompt's and the answer's."""
        self._seconds[(*self._labels, error_type) if error_type else self._ended](ran)
        if first is not None:
            self._first_chunk(first)
        prompt, answer = tokens
        if prompt:
            self._tokens[self._input](prompt)
        if answer:
            self._tokens[self._output](answer)
        if self._prices and (prompt or answer):
            paid = cost(self._prices, self._setting, prompt, answer)
            if paid is not None:
                self._cost(paid)


class _Timed:
    """A context whose time is observed, however it ends."""

    __slots__ = ("_began", "_observe")

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._observe(perf_counter() - self._began)


class _Counted(Call):
    """A call that is counted when it ends."""

    __slots__ = ("_began", "_error_type", "_first", "_numbers", "_tokens")

    def __init__(self, numbers: _CallNumbers) -> None:
        self._numbers = numbers
        self._began = perf_counter()
        self._first: float | None = None
        self._error_type = ""
        self._tokens = (0, 0)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        error_type = self._error_type if error is None else _error_type(error)
        if error_type and own_calls().is_interrupted:
            error_type = INTERRUPTED
        ran = perf_counter() - self._began
        self._numbers.ended(error_type, ran=ran, first=self._first, tokens=self._tokens)

    def heard(self, on_text: OnText) -> OnText:
        """As `Call` has it."""

        def hear(piece: str) -> object:
            if self._first is None:
                self._first = perf_counter() - self._began
            return on_text(piece)

        return hear

    def spent(self, input_tokens: int, output_tokens: int = 0) -> None:
        """As `Call` has it."""
        self._tokens = (_bounded(input_tokens), _bounded(output_tokens))

    def failed(self, code: ErrorCode) -> None:
        """As `Call` has it."""
        self._error_type = code.value


def _bounded(count: int) -> int:
    return min(max(0, count), TOKENS_MAX)


def _error_type(error: BaseException) -> str:
    return error.code.value if isinstance(error, ServiceError) else OTHER


def _code(reason: object) -> str:
    """`reason`, when it is one of the codes: it stood in a record."""
    try:
        return ErrorCode(str(reason)).value
    except ValueError:
        return ErrorCode.INTERNAL.value


def _kind(filename: str) -> str:
    """A file's kind by its name, among those that are read: `pdf`, `docx`."""
    known = by_name(filename)
    return known.suffixes[0].removeprefix(".") if known is not None else "other"
