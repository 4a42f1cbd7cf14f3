"""What `GET /models` says about the settings: a wrong base URL, key or model name, found before the first question.

Only what is sure is found. A server that has no such list, or whose list we don't understand, has no fault.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from app.core.errors import ErrorCode, ServiceError
from app.core.model_findings import ModelRole, Problem
from app.core.providers import provider_of
from app.core.settings import AUTO, Settings
from worker.http.wire import pieces
from worker.model.completion_stream import BYTE_ORDER_MARK
from worker.model.openai_wire import OPENAI_URL, OpenAiWire
from worker.model.provider_errors import StatusError

TIMEOUT_SECONDS = 5.0
"""For each request. Nobody waits for it."""
NAMES_SHOWN = 5
NAMES_READ = 5_000
NAME_CHARACTERS_MAX = 100
GATEWAY = frozenset({502, 503, 504})
"""Statuses by which a proxy says that it could not reach the server."""
SERVES_ANY_NAME = "llamacpp"
"""`owned_by` of llama.cpp's server, which answers for its one model whatever name it is asked for."""

_NOT_OURS_TO_LIST = re.compile(rb"scope|permission", re.IGNORECASE)
"""How OpenAI refuses a restricted key the list alone: it may be good for all else."""
_UNSAFE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Server:
    """A server of OpenAI's protocol, and the models that it is asked for."""

    url: str
    models: dict[ModelRole, str]

    @property
    def address(self) -> str:
        """The URL without credentials and query, for a log."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a model, in words for the operator's log."""

    role: ModelRole
    problem: Problem
    words: str


def servers_of(settings: Settings, *, asks: Sequence[ModelRole] = tuple(ModelRole)) -> list[Server]:
    """The servers of the models in use, of those that `asks` names; each server once."""
    named: dict[str, dict[ModelRole, str]] = {}
    for role, model, url in _in_use(settings):
        if role in asks:
            named.setdefault(url, {})[role] = model
    return [Server(url, models) for url, models in named.items()]


def _in_use(settings: Settings) -> Iterator[tuple[ModelRole, str, str]]:
    """The models that are asked over OpenAI's protocol; AUTO is the one that is still to be chosen."""
    chat, embedding, url = settings.chat_model, settings.embedding_model, settings.openai_base_url or OPENAI_URL
    if settings.has_chat_model and provider_of(chat, "chat_models") is None:
        yield ModelRole.CHAT, chat, url
    if embedding and not settings.embeds_here and provider_of(embedding, "embeddings") is None:
        yield ModelRole.EMBEDDING, embedding, settings.embedding_base_url or url


def check(server: Server, settings: Settings) -> list[Finding]:
    """What is wrong at `server`, by one request where nothing is. Raises as `OpenAiWire` does."""
    with closing(OpenAiWire(server.url, settings.openai_api_key, timeout_seconds=TIMEOUT_SECONDS)) as wire:
        answer = _asked(wire, "/models")
        if isinstance(answer, list):
            return list(_unknown(wire, server.models, answer))
        problem, words = answer or (None, "")
        if answer is None and not server.url.endswith("/v1") and _is_there(wire, "/v1/models"):
            problem, words = Problem.NO_V1, f"set the base URL to {server.address}/v1"
        return [Finding(role, problem, words) for role in server.models] if problem is not None else []


def _asked(wire: OpenAiWire, path: str) -> list[Any] | tuple[Problem, str] | None:
    """The list of models, what is wrong, or None when the answer is neither."""
    try:
        with wire.get(path) as response:
            return _list_in(b"".join(pieces(response)))
    except StatusError as error:
        return _meant_by(error)
    except ServiceError as error:
        cause = _first(error)
        is_away = error.code is ErrorCode.MODEL_TIMEOUT or isinstance(cause, OSError | HTTPException)
        # The cause's class alone: its words may hold an address with its credentials.
        return (Problem.UNREACHABLE, f"it cannot be reached ({type(cause).__name__})") if is_away else None


def _meant_by(error: StatusError) -> tuple[Problem, str] | None:
    if error.status in GATEWAY:
        return Problem.UNREACHABLE, f"it cannot be reached (status {error.status})"
    if error.status in (401, 403) and not _NOT_OURS_TO_LIST.search(error.said):
        return Problem.KEY_REFUSED, f"it refused the key (status {error.status}): is OPENAI_API_KEY right?"
    return None


def _first(error: BaseException) -> BaseException:
    """What it all began with."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _list_in(content: bytes) -> list[Any] | None:
    """The models' list: OpenAI's, or a bare one, as Together's."""
    try:
        body = orjson.loads(content.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        return None
    data = body.get("data") if isinstance(body, dict) else body
    return data if isinstance(data, list) else None


def _is_there(wire: OpenAiWire, path: str) -> bool:
    answer = _asked(wire, path)
    return isinstance(answer, list) or (answer is not None and answer[0] is Problem.KEY_REFUSED)


def _unknown(wire: OpenAiWire, models: dict[ModelRole, str], listed: list[Any]) -> Iterator[Finding]:
    """The models that are neither listed nor found by name: some servers list only a part of what they serve."""
    items = [item for item in listed[:NAMES_READ] if isinstance(item, dict) and isinstance(item.get("id"), str)]
    if not items or any(item.get("owned_by") == SERVES_ANY_NAME for item in items):
        return
    names = [item["id"][:NAME_CHARACTERS_MAX] for item in items]
    known = {form for name in names for form in _forms(name)}
    for role, model in models.items():
        if model != AUTO and model.lower() not in known and not _is_found(wire, model):
            shown = ", ".join(_UNSAFE.sub("?", name) for name in get_close_matches(model, names, NAMES_SHOWN, 0.0))
            words = f"it has no model {_UNSAFE.sub('?', model)} ({role.upper()}), but {shown}"
            yield Finding(role, Problem.UNKNOWN_MODEL, words)


def _forms(name: str) -> Iterator[str]:
    """What a model may be asked for as: Ollama's without `:latest`, Gemini's without `models/`."""
    lowered = name.lower()
    yield lowered
    yield lowered.removesuffix(":latest")
    yield lowered.removeprefix("models/")


def _is_found(wire: OpenAiWire, model: str) -> bool:
    """Whether the server knows the model by name; also when that can't be said."""
    try:
        with wire.get(f"/models/{quote(model, safe='/:')}") as response:
            b"".join(pieces(response))
    except StatusError as error:
        return error.status not in (400, 404, 405)
    except ServiceError:
        return True
    return True
