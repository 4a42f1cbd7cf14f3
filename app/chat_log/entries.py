"""What the log keeps of an ended question: a plain function from a job's record to a row.

Whatever stands in a record is hostile until it was checked: texts lose what a database refuses, numbers are bounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.core.contract import QUERY_QUEUE, AnswerJob, AnswerResult, is_label
from app.core.prices import cost
from app.core.queue.records import KINDS, JobView, Record
from app.core.settings import Prices

MODEL_CHARACTERS_MAX = 256
ANSWER_CHARACTERS_MAX = 200_000
"""Some fifty times what a model writes."""
CITED_CHARACTERS_MAX = 4_000
"""Of each text of a citation: ten times what is quoted."""
COUNT_MAX = 10**12
"""Of tokens: what is more is no count of ours, and columns end at 2**63."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A question that has ended, and what people said of its answer. Times are in UTC, money is in US dollars.

    `cached` is how the answer was found without asking the model: `exact`, or None. `error` is the code of
    `app.core.errors`. Of question, answer and citations None where CHAT_LOG_CONTENT is off.
    """

    job_id: str
    tenant: str
    session_id: str | None
    collection: str | None
    status: str
    enqueued_at: datetime
    started_at: datetime | None
    ended_at: datetime
    model: str | None
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    mode: str | None
    grounded: bool | None
    cached: str | None
    error: str | None
    question: str | None
    answer: str | None
    citations: Sequence[Mapping[str, Any]] | None
    rating: str | None = None
    comment: str | None = None
    expected: str | None = None
    rated_at: datetime | None = None


def is_question(record: Record) -> bool:
    """Whether the record is of a question that has ended, and says whose it is."""
    is_ours = record.queue == QUERY_QUEUE and record.meta.get("kind") == KINDS[AnswerJob].name
    return is_ours and record.status.is_terminal and is_label(str(record.tenant))


def entry_of(
    record: Record, view: JobView, job: AnswerJob | None, *, prices: Prices | None, has_content: bool
) -> Entry:
    """The row of an ended question: its record, what a client may know of it, and what was asked."""
    job = job if job is not None and job.tenant == record.tenant else None  # else it is none of our making
    result = view.result if isinstance(view.result, AnswerResult) else None
    ended_at = view.ended_at or datetime.now(UTC)
    tokens = (_count(result.usage.input_tokens), _count(result.usage.output_tokens)) if result else (0, 0)
    model = clean(result.model, MODEL_CHARACTERS_MAX) if result and result.model else None
    return Entry(
        job_id=record.job_id,
        tenant=str(record.tenant),
        session_id=job.session_id if job else None,
        collection=job.collection if job else None,
        status=view.status.value,
        enqueued_at=view.enqueued_at or ended_at,
        started_at=view.started_at,
        ended_at=ended_at,
        model=model,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        cost_usd=cost(prices, model, *tokens) if model else None,
        mode=result.mode if result else None,
        grounded=result.grounded if result else None,
        cached=_cached(result),
        error=view.error.code.value if view.error else None,
        question=clean(job.query) if job and has_content else None,
        answer=clean(result.answer, ANSWER_CHARACTERS_MAX) if result and has_content else None,
        citations=_citations(result) if result and has_content else None,
    )


def clean(text: str, characters_max: int | None = None) -> str:
    """`text` without what PostgreSQL has no place for: NUL, and halves of surrogate pairs; cut at the limit."""
    return text[:characters_max].encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _citations(result: AnswerResult) -> list[dict[str, Any]]:
    return [
        {
            name: clean(value, CITED_CHARACTERS_MAX) if isinstance(value, str) else value
            for name, value in citation.model_dump(mode="json").items()
        }
        for citation in result.citations
    ]


def _cached(result: AnswerResult | None) -> str | None:
    cached: object = result.cached if result else None
    return cached if isinstance(cached, str) else "exact" if cached else None


def _count(number: int) -> int:
    return min(number, COUNT_MAX)
