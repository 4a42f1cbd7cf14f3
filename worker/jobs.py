"""The jobs of the questions' queue: a payload is checked, answered or searched for, and the result is plain data."""

import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from time import perf_counter, sleep
from typing import Any

from rq.job import Job

from app.core.contract import (
    AnswerJob,
    AnswerResult,
    EmbedJob,
    EmbedResult,
    Retrieval,
    SearchHit,
    SearchJob,
    SearchResult,
    TaskJob,
    Timings,
    Usage,
    page_url,
)
from app.core.documents.catalog import Catalog
from app.core.documents.collections import NOTHING_SAID, CollectionSettings, settings_of
from app.core.errors import ErrorCode, ServiceError
from app.core.events import EventType
from app.core.logging import content
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.tracing.process import tracing
from worker.answer import task
from worker.answer.follow_up import leans_on_past
from worker.answer.pipeline import answer
from worker.conversation import Understood, keep, past, understood
from worker.resources import Answering, open_answering, shared
from worker.runtime.boundary import PutBackError, boundary
from worker.runtime.budget import Budget
from worker.runtime.event_writer import DirectEvents, Events, NoEvents
from worker.runtime.intake import TakenJob
from worker.runtime.kept import KeptAnswer
from worker.runtime.measures import measures
from worker.runtime.retries import Backoff, retries_used
from worker.runtime.spending import spend
from worker.vectors import Hit

BACKOFF = Backoff(base_seconds=1.0, max_seconds=30.0)

HELD_SECONDS = 0.5
"""How long a stock worker keeps a job for which the budget has no room: else it would take it again at once."""


def prepare() -> None:
    """Open what this module's jobs share. Raises `ConfigurationError` when there is no Qdrant to go to."""
    shared(open_answering)


def answer_question(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the `AnswerJob` in `payload`; returns an `AnswerResult` as plain data.

    Raises `JobFailedError` when it can't; the job's metadata then holds the code.
    """
    told: dict[str, Any] = {}
    with boundary("answer", payload, backoff=BACKOFF, told=told) as record, ExitStack() as making:
        job = AnswerJob.model_validate(payload)
        ways: list[Retrieval] = []
        tracing().converse(job.session_id)
        resources = shared(open_answering)
        turns = past(job, record, resources.settings)
        is_follow_up = bool(turns) and leans_on_past(job.query)
        if is_follow_up:  # what it means is known once the model was asked for it
            making.enter_context(_turn(record, resources.budget))
        meant = understood(job.query, turns, resources.rewrite) if is_follow_up else Understood(turns)
        kept = _kept(record, job, meant, resources)
        making.enter_context(kept.making())
        if (again := kept.found) is not None:
            told |= {"cached": again.cached, **content(resources.settings, question=job.query, answer=again.answer)}
            spend(resources.settings.chat_model, meant.usage.input_tokens, meant.usage.output_tokens)
            result = _given_again(record, again, meant, kept.looked_ms)
            keep(job, record, result, resources.settings)
            return result.model_dump(mode="json")
        with nullcontext() if is_follow_up else _turn(record, resources.budget):
            events = _events(record)
            said = _said(record, job)
            given = answer(
                job.query,
                search=lambda question: _searched(
                    resources, job.model_copy(update={"query": question}), said, ways.append, kept.vector_of(question)
                ),
                complete=resources.complete,
                embed=resources.searcher.embed_few,
                on_retrieved=lambda hits: events.add(EventType.RETRIEVED, {"hits": [_shown(hit) for hit in hits]}),
                on_delta=events.delta,
                on_again=lambda: events.add(EventType.STARTED, {"attempt": _attempt(record)}),
                turns=meant.turns,
                standalone=meant.standalone,
                instructions=_instructions(resources, said, job),
            )
            usage = _sum(given.usage, meant.usage)
            spend(resources.settings.chat_model, usage.input_tokens, usage.output_tokens, answers=1)
            if resources.budget is not None:
                with suppress(*VALKEY_UNAVAILABLE):  # an answer that is paid for is worth more than its count
                    resources.budget.spend_tokens(usage.input_tokens + usage.output_tokens)
        if isinstance(events, DirectEvents):
            events.flush()
        measures().answered(given.mode, grounded=given.grounded, kept=given.kept, dropped=given.dropped)
        timings = _timings(record, kept.looked_ms + given.retrieval_ms, given.generation_ms)
        told |= _shown_ms(timings) | {
            "mode": given.mode,
            "model": given.model,
            "grounded": given.grounded,
            "citations": len(given.citations),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            **content(resources.settings, question=job.query, answer=given.text),
        }
        result = AnswerResult(
            answer=given.text,
            mode=given.mode,
            grounded=given.grounded,
            citations=given.citations,
            model=given.model,
            usage=usage,
            finish_reason=given.finish_reason,
            standalone_question=meant.standalone,
            retrieval=ways[-1] if ways else None,
            timings_ms=timings,
        )
        keep(job, record, result, resources.settings)
        kept.made(result)
        return result.model_dump(mode="json")


def _kept(record: Job | None, job: AnswerJob, meant: Understood, resources: Answering) -> KeptAnswer:
    """The answer that is kept of the question as it reads by itself, whatever conversation it is asked in.

    One that was given after others is not kept: the model was told those, too.
    """
    alone = job
    if job.session_id is not None:
        alone = job.model_copy(update={"session_id": None, "turns": (), "query": meant.standalone or job.query})
    return KeptAnswer(
        record,
        alone,
        resources.settings,
        *((resources.semantic_cache.wording,) if resources.semantic_cache is not None else ()),
        is_shared=job.session_id is None,
        keeps=job.session_id is None or not meant.turns,
    )


def _given_again(record: Job | None, result: AnswerResult, meant: Understood, looked_ms: float) -> AnswerResult:
    """A kept answer, told to whoever watches; it was looked for by its meaning for so long."""
    events = _events(record)
    events.delta(result.answer)
    if isinstance(events, DirectEvents):
        events.flush()
    own = {"standalone_question": meant.standalone, "usage": meant.usage}
    return result.model_copy(update=own | {"timings_ms": _timings(record, looked_ms, 0.0)})


def _said(record: Job | None, job: SearchJob) -> CollectionSettings:
    """What is said of the collection that is asked. Raises `ServiceError`: no answer is right without it.

    It is read after the collection's version, so that an answer of a former saying is not kept for the new one.
    """
    if record is None:
        return NOTHING_SAID
    try:
        return Catalog(record.connection).do(settings_of(job.tenant, job.collection))
    except VALKEY_UNAVAILABLE as error:
        raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error


def _instructions(resources: Answering, said: CollectionSettings, job: AnswerJob) -> dict[str, str]:
    """What the model is told beside the rules, by whose it is."""
    told = {
        "operator": resources.settings.answer_instructions,
        "collection": said.instructions,
        "caller": job.instructions,
    }
    return {whose: text for whose, text in told.items() if text is not None}


def do_task(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Have the model do the `TaskJob` in `payload`; returns an `AnswerResult` as plain data. Raises as above."""
    told: dict[str, Any] = {}
    with boundary("task", payload, backoff=BACKOFF, told=told) as record:
        job = TaskJob.model_validate(payload)
        resources = shared(open_answering)
        with _turn(record, resources.budget):
            events = _events(record)
            done = task.do(
                job.task,
                complete=resources.complete,
                on_delta=events.delta,
                on_again=lambda: events.add(EventType.STARTED, {"attempt": _attempt(record)}),
            )
            spend(resources.settings.chat_model, done.usage.input_tokens, done.usage.output_tokens)
            if resources.budget is not None:
                with suppress(*VALKEY_UNAVAILABLE):  # what is paid for is worth more than its count
                    resources.budget.spend_tokens(done.usage.input_tokens + done.usage.output_tokens)
        if isinstance(events, DirectEvents):
            events.flush()
        timings = _timings(record, 0.0, done.generation_ms)
        told |= _shown_ms(timings) | {
            "model": done.model,
            "input_tokens": done.usage.input_tokens,
            "output_tokens": done.usage.output_tokens,
            **content(resources.settings, question=job.task, answer=done.text),
        }
        return AnswerResult(
            answer=done.text,
            mode="task",
            grounded=False,
            citations=(),
            model=done.model,
            usage=done.usage,
            finish_reason=done.finish_reason,
            timings_ms=timings,
        ).model_dump(mode="json")


def search_documents(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Search as the `SearchJob` in `payload` asks; returns a `SearchResult` as plain data. Raises as above."""
    told: dict[str, Any] = {}
    with boundary("search", payload, backoff=BACKOFF, told=told) as record:
        job = SearchJob.model_validate(payload)
        _events(record)
        began = perf_counter()
        resources = shared(open_answering)
        ways: list[Retrieval] = []
        hits = _search(resources, job, _said(record, job), ways.append)
        timings = _timings(record, (perf_counter() - began) * 1000, 0.0)
        told |= _shown_ms(timings) | {"hits": len(hits), **content(resources.settings, question=job.query)}
        found = tuple(_whole(hit) for hit in hits)
        retrieval = ways[-1] if ways else None
        return SearchResult(hits=found, retrieval=retrieval, timings_ms=timings).model_dump(mode="json")


def embed_texts(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Embed the texts of the `EmbedJob` in `payload`; returns an `EmbedResult` as plain data. Raises as above."""
    with boundary("embed", payload, backoff=BACKOFF):
        job = EmbedJob.model_validate(payload)
        resources = shared(open_answering)
        if resources.searcher.embedding_model != job.model or (embed := resources.searcher.embed_few) is None:
            raise ServiceError(ErrorCode.INDEX_MISMATCH)
        return EmbedResult(vectors=tuple(map(_packed, embed(list(job.texts))))).model_dump(mode="json")


def _packed(vector: Sequence[float]) -> str:
    """In base64 of 32-bit floats: a fifth of what they take as numbers on the queue."""
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _searched(
    resources: Answering,
    job: AnswerJob,
    said: CollectionSettings,
    on_retrieval: Callable[[Retrieval], None],
    vector: Sequence[float] | None,
) -> list[Hit]:
    """What is found, and for a model what stands around it. `vector` is the question's, if it was made."""
    hits = _search(resources, job, said, on_retrieval, vector)
    if resources.complete is None:
        return hits
    return resources.searcher.joined(hits, tenant=job.tenant, collection=job.collection)


def _search(
    resources: Answering,
    job: SearchJob,
    said: CollectionSettings,
    on_retrieval: Callable[[Retrieval], None],
    vector: Sequence[float] | None = None,
) -> list[Hit]:
    top_k = job.top_k or said.top_k or resources.settings.top_k
    with tracing().retrieval(job.collection, top_k) as step:
        step.asked(job.query)
        return resources.searcher.search(
            job.query,
            tenant=job.tenant,
            collection=job.collection,
            top_k=top_k,
            filters=job.filters,
            on_retrieval=on_retrieval,
            vector=vector,
        )


def _shown(hit: Hit) -> dict[str, Any]:
    """What the stream tells of a hit before there is an answer: where it stands, not what it says."""
    return {
        "document_id": hit.document_id,
        "filename": hit.filename,
        "page": hit.page,
        "score": hit.score,
    }


def _whole(hit: Hit) -> SearchHit:
    last_page = hit.last_page if hit.last_page != hit.page else None
    url = page_url(hit.document_id, hit.page)
    return SearchHit(
        **_shown(hit), last_page=last_page, page_label=hit.page_label, heading=hit.heading, text=hit.text, url=url
    )


def _events(record: Job | None) -> Events:
    if isinstance(record, TakenJob):
        return record.events
    return DirectEvents(record, attempt=_attempt(record)) if record is not None else NoEvents()


def _attempt(record: Job | None) -> int:
    """The attempt that runs, counted from 1."""
    return retries_used(record) + 1 if record is not None else 1


@contextmanager
def _turn(record: Job | None, budget: Budget | None) -> Iterator[None]:
    """A stock worker's place in the model's budget; our own workers ask before they take a job."""
    if record is None or budget is None:
        yield
        return
    if not budget.begin(record.id):
        sleep(HELD_SECONDS)
        raise PutBackError("over_budget")
    try:
        yield
    finally:
        with suppress(*VALKEY_UNAVAILABLE):  # the lease ends by itself
            budget.release(record.id)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens, output_tokens=one.output_tokens + other.output_tokens
    )


def _timings(record: Job | None, retrieval_ms: float, generation_ms: float) -> Timings:
    queued = _queued_ms(record)
    return Timings(
        queued=queued,
        retrieval=retrieval_ms,
        generation=generation_ms,
        total=queued + retrieval_ms + generation_ms,
    )


def _shown_ms(timings: Timings) -> dict[str, float]:
    """For the log: where the time went, but for the sum."""
    return {
        "queued_ms": round(timings.queued, 1),
        "retrieval_ms": round(timings.retrieval, 1),
        "generation_ms": round(timings.generation, 1),
    }


def _queued_ms(record: Job | None) -> float:
    if record is None or record.enqueued_at is None:
        return 0.0
    started = record.started_at or datetime.now(UTC)
    return max(0.0, (started - record.enqueued_at).total_seconds() * 1000)
