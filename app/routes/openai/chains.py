"""What was said before a response that continues another: `previous_response_id`.

Each response keeps the names of those before it, `TURNS_READ` at most, in its note: a chain may fork, and each branch
has its own. Nothing of what they say is copied: questions and answers are read from their jobs when they are asked
for, so that what has been deleted or has expired is in no turn any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.contract import TURNS_READ, AnswerJob, AnswerResult, EarlierTurn
from app.core.queue.producer import JobNotFoundError
from app.core.queue.questions import asked
from app.core.queue.records import JobView
from app.routes.openai.errors import OpenAIError
from app.routes.openai.jobs import Asking
from app.routes.openai.notes import ResponseNote
from app.routes.openai.response_objects import ID_PREFIX
from app.routes.openai.turns import turn_of

PARAM = "previous_response_id"


@dataclass(frozen=True, slots=True)
class Chain:
    """The jobs of the responses before a response, the oldest first, and what was said in them."""

    job_ids: tuple[str, ...] = ()
    turns: tuple[EarlierTurn, ...] = ()


async def stored(asking: Asking, response_id: str) -> tuple[JobView, ResponseNote] | None:
    """The job and the note of a response; None when there is none, it is another tenant's, or not stored."""
    if not response_id.startswith(ID_PREFIX):
        return None
    try:
        view = await asking.view(response_id.removeprefix(ID_PREFIX))
    except JobNotFoundError:
        return None
    note = await asking.notes.get(view.job_id)
    return (view, note) if note.is_stored else None


async def chain_to(asking: Asking, response_id: str) -> Chain:
    """The chain that ends with the response `response_id`, which is to be continued.

    Raises `OpenAIError` (400, as OpenAI answers) when there is none, or it is another tenant's, or not stored.
    """
    found = await stored(asking, response_id)
    if found is None:
        raise _not_found()
    last, note = found
    views = [*(view for view in await _views(asking, note.chain) if view is not None), last]
    whole = (*note.chain, last.job_id)
    first = whole[0] if len(whole) <= TURNS_READ else None
    jobs = await asked(asking.api.valkey, [view.job_id for view in views])
    told = [_turns(view, job, is_first=view.job_id == first) for view, job in zip(views, jobs, strict=True)]
    return Chain(whole[-TURNS_READ:], tuple(turn for turns in told for turn in turns)[-TURNS_READ:])


async def _views(asking: Asking, job_ids: Sequence[str]) -> list[JobView | None]:
    return await asking.api.queue.views(job_ids, tenant=asking.principal.tenant) if job_ids else []


def _turns(view: JobView, job: AnswerJob | None, *, is_first: bool) -> tuple[EarlierTurn, ...]:
    """What a response was asked and has answered by now, behind what the first of all was told to come before it.

    Nothing when its question is gone, or it was no question. What the others were told is what the chain has said,
    some of which may have been deleted since.
    """
    if job is None:
        return ()
    answer = view.result.answer if isinstance(view.result, AnswerResult) else ""
    return (*(job.turns if is_first else ()), turn_of(job.query, answer))


def _not_found() -> OpenAIError:
    message = "Previous response not found: there is none of this id, it was not stored, or it has expired."
    return OpenAIError(400, message, param=PARAM, code="previous_response_not_found")
