"""The conversation that a question is asked in: what was said before, what it means by that, and its turn in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rq.job import Job

from app.core.contract import AnswerJob, AnswerResult, EarlierTurn, Usage
from app.core.errors import ServiceError
from app.core.logging import get_logger
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.conversation_scripts import KEEP
from app.core.queue.conversations import as_earlier, earlier_turns, turn_fields
from app.core.settings import Settings
from worker.answer.pipeline import Complete
from worker.answer.standalone import rewriting, rewritten, with_words
from worker.runtime.intake import TakenJob

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Understood:
    """A question in its conversation: how it reads by itself, None where it does as it is, and what that has cost."""

    turns: Sequence[EarlierTurn] = ()
    standalone: str | None = None
    usage: Usage = field(default_factory=Usage)


def past(job: AnswerJob, record: Job | None, settings: Settings) -> Sequence[EarlierTurn]:
    """What was said before: by who asks, or else kept here. Without Valkey nothing is known, which is no failure."""
    if job.turns or job.session_id is None or record is None:
        return job.turns
    try:
        asked: Any = record.connection.hget(record.key, "asked")
        keep = settings.conversation_ttl_seconds
        kept = earlier_turns(record.connection, job.tenant, job.session_id, asked=asked, keep_seconds=keep)
    except VALKEY_UNAVAILABLE as error:
        log.warning("valkey_unavailable", during="conversation", reason=type(error).__name__)
        return ()
    return [as_earlier(turn) for turn in kept]


def understood(question: str, turns: Sequence[EarlierTurn], rewrite: Complete | None) -> Understood:
    """What `question`, which leans on `turns`, means after them: put in other words by the model, if it can."""
    usage = Usage()
    if rewrite is not None:
        try:
            said = rewrite(rewriting(question, turns), lambda _: None)
        except ServiceError as error:
            log.info("follow_up_not_rewritten", reason=error.code.value)
        else:
            usage = Usage(input_tokens=said.input_tokens, output_tokens=said.output_tokens)
            if (alone := rewritten(said.text, question, turns)) is not None:
                return Understood(turns, alone if alone != question else None, usage)
            log.info("follow_up_not_rewritten", reason="not_a_question")
    return Understood(turns, with_words(question, turns), usage)


def keep(job: AnswerJob, record: Job | None, result: AnswerResult, settings: Settings) -> None:
    """Have the turn kept with the job's end. Under RQ's own worker, which writes that itself, it is kept now."""
    if job.session_id is None or record is None:
        return
    fields = turn_fields(job.query, result, keep_seconds=settings.conversation_ttl_seconds)
    if isinstance(record, TakenJob):
        record.turn = fields
        return
    try:
        record.connection.eval(KEEP, 1, record.key, record.id, *fields.values())
    except VALKEY_UNAVAILABLE as error:
        log.warning("valkey_unavailable", during="conversation", reason=type(error).__name__)
