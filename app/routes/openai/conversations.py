"""/v1/conversations: the conversations that are kept here, in OpenAI's shapes. See `app.core.queue.conversations`.

A conversation begins with its first question, under whatever name that has: what `create` gives is a name that nobody
has used. So it is there to be read and deleted from then on, by GET /conversations/{session_id} as well.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

from fastapi import APIRouter, Path, Query

from app.core.contract import TURNS_READ, is_label
from app.core.queue.conversations import Conversation, ConversationNotFoundError, Conversations
from app.core.queue.erasing import check_not_erased
from app.routes.links import whole_links_for
from app.routes.openai.citations import annotations
from app.routes.openai.errors import OpenAIError, OpenAIRoute, error_responses, unsupported
from app.routes.openai.jobs import Asking, AskingDep
from app.routes.openai.questions import Asked
from app.routes.openai.response_objects import message_name, message_of
from app.routes.openai.schemas import (
    ConversationDeleted,
    ConversationItemList,
    ConversationObject,
    ConversationRequest,
    InputMessage,
    InputText,
    OutputMessage,
    OutputText,
    ResponseAnnotation,
)
from app.routes.openai.turns import turn_of

router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

ID_PREFIX = "conv_"
ITEMS_MAX = 100
"""OpenAI's own limit of a page, and all that 50 turns are."""

ConversationId = Annotated[str, Path(description="`conversation` of its responses, `session_id` of POST /chat")]


@router.post("/conversations", responses=error_responses(400, 401, 403, 409, 413, 415, 429, 503))
async def create_conversation(body: ConversationRequest, asking: AskingDep) -> ConversationObject:
    """A name for a conversation, which begins with the first response that has it as `conversation`."""
    if body.items:
        raise unsupported("items", "A conversation begins with its first question: send the items as its `input`.")
    if body.metadata:
        raise unsupported("metadata", "A conversation has no metadata; a response has.")
    await check_not_erased(asking.api.valkey, asking.principal.tenant)
    return ConversationObject(id=f"{ID_PREFIX}{uuid4().hex}", created_at=int(datetime.now(UTC).timestamp()))


@router.get("/conversations/{conversation_id}", responses=error_responses(401, 403, 404, 429, 503))
async def retrieve_conversation(conversation_id: ConversationId, asking: AskingDep) -> ConversationObject:
    """The conversation, once a question was asked in it."""
    found = await conversation_of(asking, conversation_id)
    return ConversationObject(
        id=found.session_id, created_at=int(found.created_at.timestamp() if found.created_at else 0)
    )


@router.delete("/conversations/{conversation_id}", responses=error_responses(401, 403, 404, 429, 503))
async def delete_conversation(conversation_id: ConversationId, asking: AskingDep) -> ConversationDeleted:
    """Remove what was asked and answered. Its responses are kept until they expire."""
    try:
        await Conversations(asking.api.valkey).delete(asking.principal.tenant, conversation_id)
    except ConversationNotFoundError:
        raise _not_found() from None
    return ConversationDeleted(id=conversation_id)


@router.get("/conversations/{conversation_id}/items", responses=error_responses(400, 401, 403, 404, 429, 503))
async def list_conversation_items(
    conversation_id: ConversationId,
    asking: AskingDep,
    limit: Annotated[int, Query(ge=1, le=ITEMS_MAX, description="Items at most")] = 20,
    order: Annotated[Literal["asc", "desc"], Query(description="desc: the latest first")] = "desc",
    after: Annotated[str | None, Query(max_length=256, description="The id of the last item that you have")] = None,
) -> ConversationItemList:
    """What was asked and answered, a message each."""
    found = await conversation_of(asking, conversation_id)
    items = await _items(asking, found)
    if order == "desc":
        items.reverse()
    ids = [item.id for item in items]
    rest = items[ids.index(after) + 1 :] if after in ids else items
    page = rest[:limit]
    return ConversationItemList(
        data=page,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=len(rest) > limit,
    )


async def conversation_of(asking: Asking, conversation_id: str) -> Conversation:
    """Raises `OpenAIError` (404) when there is no such conversation, or it is another tenant's."""
    try:
        return await Conversations(asking.api.valkey).get(asking.principal.tenant, conversation_id)
    except ConversationNotFoundError:
        raise _not_found() from None


def name_of(given: object) -> str:
    """The name that a request's `conversation` is, an id or an object that has it. Raises `OpenAIError` (400)."""
    name = given.get("id") if isinstance(given, dict) else given
    if not isinstance(name, str) or not is_label(name):
        message = "conversation: a name of at most 128 letters, digits, `_`, `.`, `:` and `-`."
        raise OpenAIError(400, message, param="conversation", code="invalid_value")
    return name


async def in_conversation(asking: Asking, asked: Asked, name: str) -> Asked:
    """`asked` in the conversation `name`. What is not stored is told what is kept there, and is not kept itself."""
    if asked.is_stored:
        return replace(asked, turns=(), session_id=name)
    try:
        kept = (await conversation_of(asking, name)).turns
    except OpenAIError:  # it has not begun
        kept = ()
    return replace(asked, turns=tuple(turn_of(each.turn.question, each.turn.answer) for each in kept[-TURNS_READ:]))


async def _items(asking: Asking, conversation: Conversation) -> list[InputMessage | OutputMessage]:
    """Its messages, the oldest first."""
    links = await whole_links_for(asking.request, asking.principal)
    items: list[InputMessage | OutputMessage] = []
    for kept in conversation.turns:
        cited = [links.followed(citation) for citation in kept.turn.citations]
        found = annotations(kept.turn.answer, cited, asking.base_url)
        text = OutputText(
            text=kept.turn.answer, annotations=[ResponseAnnotation(**citation.model_dump()) for citation in found]
        )
        asked = InputMessage(id=f"msg_{kept.job_id}_input", content=[InputText(text=kept.turn.question)])
        items += [asked, message_of(message_name(kept.job_id), "completed", text)]
    return items


def _not_found() -> OpenAIError:
    message = "There is no such conversation: nothing was asked in it, or it has expired."
    return OpenAIError(404, message, param="conversation_id", code="not_found")
