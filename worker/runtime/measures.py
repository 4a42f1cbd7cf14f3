"""What a worker process can count, told where it happens; nothing is counted unless `count_by` was given what counts.

RQ calls a job's function with nothing but its payload, and what is told comes from every layer: so it belongs to the
process. `worker.runtime.counting` counts for Prometheus.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, Self

from app.core.errors import ErrorCode
from worker.runtime.model_names import ModelName

Became = Literal["finished", "failed", "stopped", "retried", "put_back", "lost"]
"""What became of an attempt at a job; the first three are a job's end. Lost: the job had ended meanwhile, or its end
could not be written."""
Stage = Literal["embed", "search", "rerank"]
Operation = Literal["chat", "embeddings", "rerank"]
Cache = Literal["filenames", "pictures", "exact", "semantic", "in_flight"]
DocumentOutcome = Literal["indexed", "unchanged", "deleted", "failed"]
WebhookOutcome = Literal["delivered", "refused", "dropped", "failed"]
OnText = Callable[[str], object]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A kind of call to a model: `operation` as OpenTelemetry's GenAI conventions have it, and who is asked.

    One for all calls of a client, known by its identity.
    """

    operation: Operation
    name: ModelName


class Call:
    """One call to a model: a context, which an error that leaves it ends as failed."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """The call has ended, with `error` if there is one."""

    def heard(self, on_text: OnText) -> OnText:
        """`on_text`, and the time of the first piece is known."""
        return on_text

    def spent(self, input_tokens: int, output_tokens: int = 0) -> None:
        """So many tokens, as the server counts them; 0 where it does not."""

    def failed(self, code: ErrorCode) -> None:
        """It has failed, though no error says so."""


_CALL = Call()
_STAGE: AbstractContextManager[None] = nullcontext()


class Measures:
    """What can be told, by events. Counts nothing itself. Safe to share between threads; times are in seconds."""

    def job_began(self, queue: str) -> None:
        """An attempt at a job of `queue` runs."""

    def job_ended(self, queue: str, became: Became, *, waited: float, ran: float, reason: object = None) -> None:
        """That attempt is over. `waited` is from when it could have begun; `reason` is why it is tried again."""

    def job_failed(self, queue: str) -> None:
        """A job has failed outside an attempt: its record is none of ours, or its last worker is gone."""

    def job_recovered(self, queue: str) -> None:
        """A job of a worker that is gone was put back on its queue."""

    def budget_waited(self, seconds: float) -> None:
        """A question has its turn in the model's budget, after so long."""

    def stage(self, stage: Stage) -> AbstractContextManager[None]:
        """A context in which a stage of retrieval runs."""
        return _STAGE

    def answered(self, mode: Literal["model", "extractive"], *, grounded: bool, kept: int, dropped: int) -> None:
        """An answer was given; so many of the model's citations passed their check, and so many did not."""

    def model_call(self, asked: Asked) -> Call:
        """A call to a model, as the context to make it in."""
        return _CALL

    def cache(self, cache: Cache, *, is_hit: bool) -> None:
        """Something was looked for in a cache."""

    def document(self, outcome: DocumentOutcome, filename: str, *, pages: int = 0, ran: float = 0.0) -> None:
        """The indexing of a document has ended."""

    def webhook(self, outcome: WebhookOutcome) -> None:
        """An attempt to deliver a webhook has ended."""


_NOTHING = Measures()
_measures = _NOTHING


def measures() -> Measures:
    """What counts in this process."""
    return _measures


def count_by(measures: Measures | None) -> None:
    """From now on, let `measures` count; None: nothing is counted."""
    global _measures
    _measures = measures or _NOTHING
