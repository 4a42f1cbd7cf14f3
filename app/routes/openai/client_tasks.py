"""Prompts that chat clients write themselves, told from a user's questions: titles, tags, follow-ups, search terms.

Clients send them to the chat's own model, as if the user had asked. Nothing of the protocol says so: they are known
by how they begin, and by the chat that they carry. In doubt it is a question: see docs/decisions/client-tasks.md.
"""

import re
from collections.abc import Sequence

from app.core.contract import TASK_MAX_CHARACTERS

TASK_HEADER = "X-OpenWebUI-Task"
"""Open WebUI sends it where its operator has entered it as a connection's header, `{{TASK}}`."""
LEFT_OUT = "\n…\n"

INSTRUCTING = ("system", "developer")
_NAMED = re.compile(r"(?:TASKS\.)?[a-z_]{0,40}(?:_generation|function_calling)", re.IGNORECASE)
"""Open WebUI's names of its tasks (its `constants.py`); a chat's own turn has none."""
_TEMPLATE = re.compile(r"\s*#{1,6} ?Task:", re.IGNORECASE)
"""How Open WebUI's templates begin: of tasks, and the one that puts files of its own before a user's question."""
_HISTORY_END, _CONTEXT_END = "</chat_history>", "</context>"
_OF_THE_TEMPLATE = re.compile(r"\s*(?:[<#]|\Z)")
"""What of a task may stand behind the chat: another part of its template, or nothing. No question begins so."""
_USER_QUERY = re.compile(r"<user_query>(.*)</user_query>", re.DOTALL)
_CHORE = re.compile(
    r"""\s*(?:
    (?:please[ ])?(?:generate|provide|write|create|suggest)[ ]an?[ ][^\n.?]{0,60}\btitle\b[^\n?]{0,60}
        \b(?:the|this|our)[ ](?:chat|conversation)\b
    |based[ ]on[ ]the[ ]chat[ ]history,[ ]give[ ]this[ ]conversation[ ]a[ ](?:name|title)\b
    |analyze[ ]this[ ]conversation[ ]and[ ]provide\b
    |your[ ]task[ ]is[ ]to[ ]reflect[ ]the[ ]speaker's[ ]likely[ ]facial[ ]expression\b
    |you[ ]have[ ]been[ ]provided[ ]with[ ]a[ ]set[ ]of[ ]responses[ ]from[ ]various[ ]models\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""Titles by LibreChat, NextChat and n8n; by Chatbox; by LibreChat's agents; Open WebUI's emoji and merged answers."""
_CHORE_OF_SYSTEM = re.compile(
    r"""\s*(?:
    available[ ]tools:
    |you[ ]are[ ]an[ ]assistant[ ]skilled[ ]in[ ]conversation\.[ ]you[ ]need[ ]to[ ]summari[sz]e\b
    |summari[sz]e[ ](?:the|this|our)[ ](?:chat|conversation|discussion)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""Which of its own tools Open WebUI is to call; titles by Cherry Studio; what NextChat keeps of a long chat."""

Said = tuple[str, str]
"""A message's role and text."""


def task_of(said: Sequence[Said], header: str | None = None) -> str | None:
    """The task that a client gives in the messages `said`; None when the user asks something there.

    `header` is TASK_HEADER's value. What is too long is cut in its middle.
    """
    if not said or not (_is_named(header) or _is_chore(said)):
        return None
    return _cut(_prompt(said))


def question_in(text: str) -> str:
    """The user's words in a message into which Open WebUI has put files of its own, which are no sources here."""
    if _TEMPLATE.match(text) is None or _CONTEXT_END not in text:
        return text
    rest = text.rpartition(_CONTEXT_END)[2]
    inner = _USER_QUERY.search(rest)
    return (inner[1] if inner else rest).strip() or text


def _is_named(header: str | None) -> bool:
    return header is not None and _NAMED.fullmatch(header.strip()) is not None


def _is_chore(said: Sequence[Said]) -> bool:
    (first_role, first), (last_role, last) = said[0], said[-1]
    if last_role in INSTRUCTING and len(said) > 1 and _CHORE_OF_SYSTEM.match(last):
        return True
    if first_role in INSTRUCTING and (_CHORE.match(first) or _CHORE_OF_SYSTEM.match(first)):
        return True
    return last_role == "user" and (_CHORE.match(last) is not None or _is_template(last))


def _is_template(text: str) -> bool:
    if _TEMPLATE.match(text) is None or _HISTORY_END not in text:
        return False
    behind = text.rpartition(_HISTORY_END)[2]
    return _OF_THE_TEMPLATE.match(behind) is not None and _CONTEXT_END not in behind


def _prompt(said: Sequence[Said]) -> str:
    """Instruction, chat, and the message that comes last, in one text: few clients send more than the last."""
    *earlier, (_, last) = said
    rules = [text for role, text in earlier if role in INSTRUCTING]
    chat = [f"{role.upper()}: {text}" for role, text in earlier if role not in INSTRUCTING]
    history = ["<chat_history>", *chat, "</chat_history>"] if chat else []
    return "\n\n".join([*rules, *(["\n".join(history)] if history else []), last])


def _cut(text: str) -> str:
    """Clients say at the beginning or at the end what is to be done."""
    text = text.strip()
    if len(text) <= TASK_MAX_CHARACTERS:
        return text
    kept = (TASK_MAX_CHARACTERS - len(LEFT_OUT)) // 2
    return f"{text[:kept]}{LEFT_OUT}{text[-kept:]}"
