"""Conversations: list, read, delete. POST /chat keeps one under its `session_id`."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi import Query as QueryParameter

from app.auth.dependencies import AdmittedRoute, Asker
from app.core.contract import is_label
from app.core.queue.conversations import ConversationNotFoundError, Conversations, KeptTurn
from app.core.queue.producer import JobNotFoundError
from app.dependencies import ApiDep
from app.routes.links import links_for
from app.schemas import ConversationList, ConversationSummary, ConversationView, problem_responses

LIST_LIMIT_MAX = 100

router = APIRouter(tags=["conversations"], route_class=AdmittedRoute)

SessionId = Annotated[str, Path(description="The `session_id` of its questions")]


@router.get("/conversations", responses=problem_responses(401, 403, 422, 429, 503))
async def list_conversations(
    principal: Asker,
    api: ApiDep,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX, description="Conversations at most")] = 50,
    cursor: Annotated[
        str | None, QueryParameter(pattern=r"^[0-9]{1,16}$", description="A page's `next_cursor`")
    ] = None,
) -> ConversationList:
    """The tenant's conversations, the latest used first, a page at a time."""
    after = int(cursor) if cursor is not None else None
    page = await Conversations(api.valkey).list(principal.tenant, after=after, limit=limit)
    return ConversationList(
        conversations=[ConversationSummary.of(conversation) for conversation in page.conversations],
        next_cursor=str(page.next) if page.next is not None else None,
    )


@router.get("/conversations/{session_id}", responses=problem_responses(401, 403, 404, 429, 503))
async def conversation(request: Request, session_id: SessionId, principal: Asker, api: ApiDep) -> ConversationView:
    """What was asked and answered, the oldest first: the last 50 turns, or 64 kB of them."""
    found = await Conversations(api.valkey).get(principal.tenant, session_id)
    return ConversationView.of_turns(found, await links_for(request, principal))


@router.delete(
    "/conversations/{session_id}",
    status_code=204,
    response_class=Response,  # which names no type of a body that is not there
    responses=problem_responses(401, 403, 404, 429, 503),
)
async def delete_conversation(session_id: SessionId, principal: Asker, api: ApiDep) -> None:
    """Remove what was asked and answered, with the jobs of it, from the chat log too. What is still being answered is
    not kept.
    """
    if api.chat_log is not None and is_label(session_id):  # it may hold what has expired here
        await api.chat_log.erase_conversation(principal.tenant, session_id)
    conversations = Conversations(api.valkey)
    turns: tuple[KeptTurn, ...] = ()
    with suppress(ConversationNotFoundError):  # its first question may be on its way
        turns = (await conversations.get(principal.tenant, session_id)).turns
    await conversations.delete(principal.tenant, session_id)
    for turn in turns:
        with suppress(JobNotFoundError):  # it has expired
            await api.queue.delete(turn.job_id, tenant=principal.tenant)
