"""/v1/responses: a question's job as a response, in the background or waited for, streamed and resumed."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Path, Query, Response

from app.core.errors import Limit
from app.core.event_log import Event
from app.core.queue.questions import question_of
from app.core.queue.records import JobView
from app.jobs.streams import NOT_BEGUN, PING, EventStream
from app.request_headers import ClientTask, IdempotencyKey
from app.routes import job_actions
from app.routes.jobs import EVENT_NUMBER_MAX
from app.routes.openai.chains import Chain, chain_to, stored
from app.routes.openai.conversations import in_conversation, name_of
from app.routes.openai.errors import OpenAIError, OpenAIRoute, error_responses
from app.routes.openai.jobs import Asking, AskingDep
from app.routes.openai.notes import ResponseNote
from app.routes.openai.questions import asked_by_response, collection_of
from app.routes.openai.response_events import ResponseEvents, StreamEvent
from app.routes.openai.response_objects import ResponseMaker
from app.routes.openai.schemas import (
    InputItemList,
    InputMessage,
    InputText,
    ResponseDeleted,
    ResponseObject,
    ResponseRequest,
    stream_or_json,
)
from app.routes.openai.turns import instructions_in
from app.routes.waiting import wait_for_end

router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

INPUT_ITEMS_MAX = 100
"""OpenAI's own limit of a page."""

ResponseId = Annotated[str, Path(description="The id that POST /v1/responses gave")]


@router.post(
    "/responses",
    response_model=ResponseObject,
    responses=stream_or_json("The response; with `stream`, its events")
    | error_responses(400, 401, 403, 404, 413, 415, 429, 503),
)
async def create_response(
    body: ResponseRequest,
    asking: AskingDep,
    idempotency_key: IdempotencyKey = None,
    x_openwebui_task: ClientTask = None,
) -> Response:
    """Answer `input` from the documents of the collection that `model` names.

    With `background`, and when the answer takes longer than the service waits, the response comes back as `queued` or
    `in_progress`: retrieve it later. With `stream`, its events come as they happen. A client that leaves before the
    end stops the response, unless it sent `background`, `store` or an Idempotency-Key. `previous_response_id`
    continues the chain of responses that ends with it: its last six turns are read, and it may fork. `conversation`
    names one that is kept, which begins with its first question.
    """
    collection, asked = collection_of(body.model), asked_by_response(body, x_openwebui_task)
    previous = body.previous_response_id
    chain = await chain_to(asking, previous) if previous is not None else Chain()
    asked = replace(asked.after(chain.turns), is_stored=body.store is not False)
    conversation = name_of(body.conversation) if body.conversation is not None else None
    if conversation is not None:
        asked = await in_conversation(asking, asked, conversation)
    note = ResponseNote(
        model=body.model,
        background=bool(body.background),
        metadata=body.metadata or {},
        chain=chain.job_ids,
        conversation=conversation,
        instructions=instructions_in([], body.instructions),
        is_stored=asked.is_stored,
    )
    if body.stream or not body.background:
        asking.hold(Limit.STREAMS if body.stream else Limit.WAITS)
    taken = await asking.submit(asked, collection, idempotency_key, service_tier=body.service_tier)
    if taken.is_replay:
        note = await asking.notes.get(taken.job_id)
    else:
        await asking.notes.put(taken.job_id, note)
    view = await asking.view(taken.job_id)
    maker = ResponseMaker(note, asking.base_url)
    headers = {"Idempotent-Replayed": "true"} if taken.is_replay else {}
    forgets = not note.is_stored and idempotency_key is None  # else it may be asked for again
    on_left = asking.on_left(taken, store=body.store or body.background, key=idempotency_key, forgets=forgets)
    if body.stream:
        frames = _frames(ResponseEvents(view, maker), asking, view.job_id, after=NOT_BEGUN, forgets=forgets)
        return EventStream(frames, headers, on_left=on_left)
    if not body.background:
        view = await asking.wait(view, asking.api.settings.job_timeout_seconds, on_left)
    if forgets:
        await asking.forget(view)
    return _json(maker.make(view), headers)


@router.get(
    "/responses/{response_id}",
    response_model=ResponseObject,
    responses=stream_or_json("The response; with `stream`, its events")
    | error_responses(400, 401, 403, 404, 429, 503),
)
async def retrieve_response(
    response_id: ResponseId,
    asking: AskingDep,
    stream: bool = False,
    starting_after: Annotated[
        int, Query(ge=NOT_BEGUN, le=EVENT_NUMBER_MAX, description="`sequence_number` of the last event that you have")
    ] = NOT_BEGUN,
) -> Response:
    """The response as it is now; with `stream`, its events from the first or after the one that you name."""
    if stream:
        asking.hold(Limit.STREAMS)
    view, note = await _found(asking, response_id)
    maker = ResponseMaker(note, asking.base_url)
    if stream:
        return EventStream(_frames(ResponseEvents(view, maker), asking, view.job_id, after=starting_after))
    return _json(maker.make(view))


@router.post(
    "/responses/{response_id}/cancel",
    response_model=ResponseObject,
    responses=error_responses(401, 403, 404, 429, 503),
)
async def cancel_response(response_id: ResponseId, asking: AskingDep) -> Response:
    """Stop a response, in the background or not. Idempotent: one that has ended is returned as it is."""
    view, note = await _found(asking, response_id)
    view = await job_actions.stop(view.job_id, asking.principal, asking.api)
    view = await wait_for_end(view, job_actions.STOP_SECONDS, asking.principal, asking.api)
    return _json(ResponseMaker(note, asking.base_url).make(view))


@router.delete("/responses/{response_id}", responses=error_responses(401, 403, 404, 409, 429, 503))
async def delete_response(response_id: ResponseId, asking: AskingDep) -> ResponseDeleted:
    """Remove the response with its question and its events. One that is in progress is stopped first."""
    view = await _view(asking, response_id)
    await job_actions.remove(view.job_id, asking.principal, asking.api)
    await asking.notes.delete(view.job_id)
    return ResponseDeleted(id=response_id)


@router.get("/responses/{response_id}/input_items", responses=error_responses(400, 401, 403, 404, 429, 503))
async def list_input_items(
    response_id: ResponseId,
    asking: AskingDep,
    limit: Annotated[int, Query(ge=1, le=INPUT_ITEMS_MAX, description="Items at most")] = 20,
    order: Annotated[Literal["asc", "desc"], Query(description="Of one item there is one order")] = "desc",
    after: Annotated[str | None, Query(max_length=256, description="The id of the last item that you have")] = None,
) -> InputItemList:
    """What the response answers: the question as it was asked, without what was said before it."""
    view = await _view(asking, response_id)
    question = await question_of(asking.api.valkey, view.job_id, tenant=asking.principal.tenant)
    item = InputMessage(id=f"msg_{view.job_id}_input", content=[InputText(text=question or "")])
    items = [item] if question is not None and after != item.id else []
    end = item.id if items else None
    return InputItemList(data=items, first_id=end, last_id=end)


async def _view(asking: Asking, response_id: str) -> JobView:
    """The response's job. Raises as `_found`."""
    view, _ = await _found(asking, response_id)
    return view


async def _found(asking: Asking, response_id: str) -> tuple[JobView, ResponseNote]:
    """The response's job and note. Raises `OpenAIError` (404) as `stored` gives none."""
    found = await stored(asking, response_id)
    if found is None:
        message = "There is no such response, or it has expired."
        raise OpenAIError(404, message, param="response_id", code="not_found")
    return found


def _json(response: ResponseObject, headers: dict[str, str] | None = None) -> Response:
    return Response(response.model_dump_json(), 200, headers, media_type="application/json")


async def _frames(
    events: ResponseEvents, asking: Asking, job_id: str, *, after: int, forgets: bool = False
) -> AsyncGenerator[bytes, None]:
    """The events that come after number `after`, framed. `forgets`: the job is removed behind the last."""
    if begun := _framed(events.begin(), after):
        yield begun
    async with aclosing(asking.follow(job_id)) as batches:
        async for batch in batches:
            if batch is None:
                yield PING
            elif frames := _framed(_given(events, batch), after):
                yield frames
            if forgets and isinstance(batch, JobView):
                await asking.forget(batch)


def _given(events: ResponseEvents, batch: Sequence[Event] | JobView) -> list[StreamEvent]:
    if isinstance(batch, JobView):
        return events.end(batch)
    return [given for event in batch for given in events.feed(event)]


def _framed(events: Sequence[StreamEvent], after: int) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
        for event in events
        if event["sequence_number"] > after
    )
