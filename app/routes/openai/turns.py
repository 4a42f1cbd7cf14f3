"""A conversation as its client tells it: what the user asked before and what was answered, and how answers should be.

What is no text (images, files, calls of tools and what they gave) is passed over: the question is what counts, and
turns only help to understand it.
"""

from collections.abc import Iterable

from app.core.contract import (
    INSTRUCTIONS_MAX_CHARACTERS,
    QUERY_MAX_CHARACTERS,
    TURN_ANSWER_MAX_CHARACTERS,
    TURNS_READ,
    EarlierTurn,
)
from app.routes.openai.client_tasks import INSTRUCTING, Said, question_in


def turns_in(said: Iterable[Said]) -> tuple[EarlierTurn, ...]:
    """The last `TURNS_READ` turns of these messages, the oldest first; what is too long in them is cut.

    A turn is a message of the user's with all that the assistant said before the next; what an assistant says before
    any question belongs to none.
    """
    turns: list[tuple[str, list[str]]] = []
    for role, text in said:
        if role == "user" and (question := question_in(_whole(text))):
            turns.append((question, []))
        elif role == "assistant" and turns:
            turns[-1][1].append(_whole(text))
    return tuple(turn_of(question, "\n".join(filter(None, answers))) for question, answers in turns[-TURNS_READ:])


def instructions_in(said: Iterable[Said], first: str | None = None) -> str | None:
    """What system and developer messages say, behind `first`; None when that is nothing.

    What is too long is cut: clients put their users' whole profiles there, and a chat should not fail for it.
    """
    told = [first or "", *(text for role, text in said if role in INSTRUCTING)]
    return "\n\n".join(filter(None, map(_whole, told)))[:INSTRUCTIONS_MAX_CHARACTERS].strip() or None


def turn_of(question: str, answer: str) -> EarlierTurn:
    """One turn, within its bounds."""
    return EarlierTurn(question=question[:QUERY_MAX_CHARACTERS], answer=answer[:TURN_ANSWER_MAX_CHARACTERS])


def _whole(text: str) -> str:
    """`text` without halves of characters, which JSON can spell and nothing can store."""
    return text.encode(errors="ignore").decode().strip()
