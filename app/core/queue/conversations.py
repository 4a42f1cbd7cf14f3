"""Conversations: what a tenant asked under one `session_id`, and what was answered, kept in Valkey.

A conversation is one hash, by tenant and id. Each of its turns is a field that begins with when it was asked, by
Valkey's clock, and ends with its job's id: so two questions at once are both kept, in the order of asking, and a job
that is run twice has one turn. The worker writes a turn into its job's record, and the script that ends the job moves
it here, in the same step. See docs/decisions/conversations.md.

    rag:conversation:acme/s1            the hash: turns, title, when it was begun and used
    rag:conversations:acme              a sorted set: the tenant's conversations by when they were used
    rag:conversation-deleted:acme/s1    when it was deleted: a job that was asked before writes nothing

A `/` stands in no tenant's name and in no id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field, ValidationError
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.contract import (
    CITATIONS_MAX,
    QUERY_MAX_CHARACTERS,
    TURN_ANSWER_MAX_CHARACTERS,
    TURNS_READ,
    AnswerResult,
    Citation,
    EarlierTurn,
    Frozen,
    is_label,
)
from app.core.queue import conversation_scripts as scripts
from app.core.queue.records import moment_of
from app.core.queue.turns import TURN_BYTES_MAX, TURNS_MAX

TITLE_CHARACTERS = 200


class ConversationNotFoundError(Exception):
    """No conversation of the tenant has this id, or it has expired."""


class Turn(Frozen):
    """A question of a conversation, and its answer, cut to what is kept of it."""

    question: str = Field(max_length=QUERY_MAX_CHARACTERS)
    standalone_question: str | None = Field(None, max_length=QUERY_MAX_CHARACTERS)
    answer: str = Field(max_length=TURN_ANSWER_MAX_CHARACTERS)
    citations: tuple[Citation, ...] = Field((), max_length=CITATIONS_MAX)


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """A turn, the job that it is of, and when it was asked (UTC)."""

    job_id: str
    asked_at: datetime
    turn: Turn


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as it is kept. Its `title` is the beginning of its first question; times are in UTC."""

    session_id: str
    title: str
    turn_count: int
    created_at: datetime | None
    used_at: datetime | None
    turns: tuple[KeptTurn, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Some of a tenant's conversations, the latest used first; `next` is where the next ones begin, if there are."""

    conversations: Sequence[Conversation]
    next: int | None


class Conversations:
    """The conversations, for one API process. Its methods raise `VALKEY_UNAVAILABLE`."""

    def __init__(self, valkey: "AsyncRedis") -> None:
        self._valkey = valkey

    async def list(self, tenant: str, *, after: int | None, limit: int) -> ConversationPage:
        """Up to `limit` conversations of the tenant, those that were used before `after` (microseconds)."""
        start = "+inf" if after is None else f"({after}"
        rows: Any = await self._valkey.eval(scripts.LIST, 1, conversations_key(tenant), start, str(limit), tenant)
        found = [_listed(*row) for row in rows]
        return ConversationPage(found, int(rows[-1][1]) if len(rows) == limit else None)

    async def get(self, tenant: str, session_id: str) -> Conversation:
        """The conversation with its turns, the oldest first. Raises `ConversationNotFoundError`."""
        if not is_label(session_id):
            raise ConversationNotFoundError(session_id)
        key = conversation_key(tenant, session_id)
        answer: Any = await self._valkey.eval(scripts.READ, 1, key, "", str(TURNS_MAX), "")
        if not answer:
            raise ConversationNotFoundError(session_id)
        said, rows = answer
        turns = _turns(rows)
        title = _title(said[0]) or (turns[0].turn.question[:TITLE_CHARACTERS] if turns else "")
        return Conversation(session_id, title, len(turns), _time(said[1]), _time(said[2]), turns)

    async def delete(self, tenant: str, session_id: str) -> None:
        """Remove it, for good: what was asked in it and is answered later is not kept, its first question neither.

        Raises `ConversationNotFoundError`.
        """
        if not is_label(session_id):
            raise ConversationNotFoundError(session_id)
        keys = (conversation_key(tenant, session_id), conversations_key(tenant), deleted_key(tenant, session_id))
        if not await self._valkey.eval(scripts.REMOVE, len(keys), *keys, session_id):
            raise ConversationNotFoundError(session_id)


def earlier_turns(
    valkey: "Redis", tenant: str, session_id: str, *, asked: bytes | None, keep_seconds: int
) -> tuple[Turn, ...]:
    """The latest turns that were asked before `asked` (a record's field), the oldest first, for a worker.

    The conversation is kept for `keep_seconds` from now on. Raises `VALKEY_UNAVAILABLE`.
    """
    before = f"t:{asked.decode(errors='replace').rjust(16, '0')}" if asked else ""
    key = conversation_key(tenant, session_id)
    answer: Any = valkey.eval(scripts.READ, 1, key, before, TURNS_READ, keep_seconds)
    return tuple(kept.turn for kept in _turns(answer[1])) if answer else ()


def turn_fields(question: str, result: AnswerResult, *, keep_seconds: int) -> dict[str, str]:
    """The fields of a job's record that `scripts.TURNED` makes a turn of."""
    turn = Turn(
        question=question,
        standalone_question=result.standalone_question,
        answer=result.answer[:TURN_ANSWER_MAX_CHARACTERS],
        citations=result.citations,
    )
    title = " ".join(question.split())[:TITLE_CHARACTERS]
    return {"turn": _fitted(turn), "turn_title": title, "turn_seconds": str(keep_seconds)}


def _fitted(turn: Turn) -> str:
    """`turn` within its limit of bytes: without its last citations, then with less of its answer, then of all."""
    while len((text := turn.model_dump_json(exclude_defaults=True)).encode()) > TURN_BYTES_MAX:
        if turn.citations:
            turn = turn.model_copy(update={"citations": turn.citations[: len(turn.citations) // 2]})
        elif len(turn.answer) > len(turn.question):
            turn = turn.model_copy(update={"answer": turn.answer[: len(turn.answer) // 2]})
        else:
            shorter = turn.question[: len(turn.question) // 2]
            turn = turn.model_copy(update={"question": shorter, "standalone_question": None})
    return text


def as_earlier(turn: Turn) -> EarlierTurn:
    """What a question that follows it is answered in the light of."""
    return EarlierTurn(question=turn.standalone_question or turn.question or "?", answer=turn.answer)


def conversation_key(tenant: str, session_id: str) -> str:
    """The key of a conversation."""
    return f"rag:conversation:{tenant}/{session_id}"


def deleted_key(tenant: str, session_id: str) -> str:
    """The key of when it was deleted."""
    return f"rag:conversation-deleted:{tenant}/{session_id}"


def conversations_key(tenant: str) -> str:
    """The key of the tenant's conversations by when they were used."""
    return f"rag:conversations:{tenant}"


def _listed(session_id: bytes, used: bytes, turns: int, said: Sequence[bytes | None]) -> Conversation:
    oldest = _turn(said[3]) if len(said) > 3 else None
    title = _title(said[0]) or (oldest.question[:TITLE_CHARACTERS] if oldest else "")
    return Conversation(session_id.decode(errors="replace"), title, turns, _time(said[1]), _time(used))


def _turns(rows: Sequence[Sequence[bytes]]) -> tuple[KeptTurn, ...]:
    """The turns in a script's answer, turned round; what is none of ours is passed over."""
    found = []
    for field, value in reversed(rows):
        _, asked, job_id = (*field.split(b":", 2), b"", b"")[:3]
        asked_at, turn = _time(asked), _turn(value)
        if asked_at is not None and turn is not None:
            found.append(KeptTurn(job_id.decode(errors="replace"), asked_at, turn))
    return tuple(found)


def _turn(value: bytes | None) -> Turn | None:
    try:
        return Turn.model_validate_json(value or b"")
    except ValidationError:
        return None


def _title(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")[:TITLE_CHARACTERS]


def _time(microseconds: bytes | None) -> datetime | None:
    """The time that is so many microseconds after 1970; None for what is none."""
    return moment_of(int(microseconds) // 1000) if microseconds and microseconds.isdigit() else None
