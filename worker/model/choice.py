"""Which embedding model, where a server is given and no model: the index's, one chosen before, or one that it lists.

Chosen where it is clear, once for a process, and said in one line of its log; else words alone are searched, and that
line says what to set. A server that is away decides nothing: who needs the model then gets its error, and asks again.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson

from app.core.chosen_model import BYTES_MAX, is_name, key_of, read
from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.logging import get_logger
from app.core.overview import place
from app.core.services import qdrant_server, redis_url
from app.core.settings import AUTO, OPENAI_EMBEDDINGS, Settings
from worker.http.generations import find_generations
from worker.http.qdrant import BadRequestError, NotFoundError, QdrantHttp
from worker.http.wire import pieces
from worker.model.completion_stream import BYTE_ORDER_MARK
from worker.model.openai_wire import OpenAiWire
from worker.model.provider_errors import StatusError

if TYPE_CHECKING:  # a run that has no Valkey should not wait for its client
    from redis import Redis

TIMEOUT_SECONDS = 5.0
"""For the list of models: a question may wait for it, once."""
AGAIN_SECONDS = 5.0
"""How long what failed is not tried again: many questions would wait one after the other."""
LIST_BYTES_MAX = 8 << 20
"""Of a list of models: OpenRouter's, the longest known, has a tenth of that."""
NAMES_READ = 5_000
NAMES_SHOWN = 5

_PASSING = frozenset({408, 429, 502, 503, 504})
"""Statuses that say nothing about what a server lists. Any other but 200: it has no list for us."""
_STATED = ("type", "kind", "mode", "task", "model_type", "capabilities")
"""Where servers say what a model is for: Together, LM Studio, Fireworks, LiteLLM, Xinference, Infinity, Azure."""
_EMBEDS = re.compile(r"embed|feature.extraction|sentence.similarity", re.IGNORECASE)
_OTHER = re.compile(
    r"chat|complet|generat|llm|vlm|language|rerank|classif|moderation|image|vision|audio|speech|transcri|tts|video",
    re.IGNORECASE,
)
_EMBEDS_BY_NAME = re.compile(
    r"embed|(?<![a-z0-9])(bge|gte|e5|mpnet|labse|voyage)(?![a-z0-9])|minilm|sentence.?t5", re.IGNORECASE
)
_OTHER_BY_NAME = re.compile(r"rerank|cross.?encoder|ms.?marco|colbert|splade|clip|siglip|vision|image", re.IGNORECASE)
_FOR_CODE = re.compile(r"code|codestral", re.IGNORECASE)
_VERSION = re.compile(r"[-:@](\d[\w.-]*|v\d[\w.-]*|latest)", re.IGNORECASE)
"""Behind a model's name, what makes it another name of the same."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as its server lists it. `embeds` is what the server says of it, None when it says nothing."""

    name: str
    embeds: bool | None


def is_to_choose(settings: Settings) -> bool:
    """Whether the embedding model is still to be chosen."""
    return settings.embedding_model == AUTO


def settled(settings: Settings) -> Settings:
    """`settings` with the embedding model that was named or chosen. Raises as `Choice.model` does."""
    if not is_to_choose(settings):
        return settings
    return settings.model_copy(update={"embedding_model": choice_of(settings).model() or None})


@lru_cache(maxsize=8)
def choice_of(settings: Settings) -> "Choice":
    """The one choice of this process under `settings`."""
    return Choice(settings)


class Choice:
    """The embedding model of a server that was given without one. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._known: str | None = None
        self._failed: tuple[float, ServiceError] | None = None

    @property
    def known(self) -> str | None:
        """The model, "" when words alone are searched, None before that is settled."""
        return self._known

    def model(self) -> str:
        """The model's name, "" for words alone.

        Raises `ServiceError`: MODEL_UNAVAILABLE, MODEL_TIMEOUT or MODEL_RATE_LIMITED when the server does not say now
        what it has, INDEX_UNAVAILABLE when Qdrant does not say what the index has.
        """
        if self._known is not None:
            return self._known
        with self._lock:
            if self._known is None:
                if self._failed is not None and monotonic() - self._failed[0] < AGAIN_SECONDS:
                    raise ServiceError(self._failed[1].code) from self._failed[1]
                try:
                    self._known = self._made()
                except ServiceError as error:
                    self._failed = monotonic(), error
                    raise
            return self._known

    def _made(self) -> str:
        settings = self._settings
        listed = _listed(settings)
        noted = _noted(settings) if listed else None
        if noted is not None and not _is_among(noted, listed):
            noted = None
        with closing(_Shared(settings)) as shared:
            kept = shared.read()
            if kept is not None and listed is not None and not _is_among(kept, listed):
                kept = None
            name = noted or kept or clear_choice(listed or (), settings)
            if name is None:
                shared.forget()
                _say_what_to_set(listed, settings)
                return ""
            name = shared.agree(name, is_first=noted is None and kept is None, among=listed)
        how = "the index has its vectors" if noted else "chosen before" if kept else "the server lists it"
        log.info("embedding_model_chosen", model=name, server=place(settings.embedding_url), because=how)
        return name


class _Shared:
    """What the processes have agreed on, in Valkey; without it each chooses for itself, by the same rules."""

    def __init__(self, settings: Settings) -> None:
        self._key = key_of(settings)
        self._connection: Redis | None = None
        try:
            address = redis_url(settings)
        except ConfigurationError:  # `python -m ingest` while nothing runs
            return
        from app.core.queue.connections import connect

        self._connection = connect(address)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def read(self) -> str | None:
        with _forgiven():
            if self._connection is not None:
                found: Any = self._connection.getrange(self._key, 0, BYTES_MAX)
                return read(found)
        return None

    def agree(self, name: str, *, is_first: bool, among: "list[Listed] | None") -> str:
        """Tell the others of `name`; gives theirs, if somebody was first."""
        with _forgiven():
            if self._connection is None or self._connection.set(self._key, name, nx=is_first):
                return name
            theirs = self.read()
            if theirs is not None and (among is None or _is_among(theirs, among)):
                return theirs
            self._connection.set(self._key, name)
        return name

    def forget(self) -> None:
        """What was chosen once is there no longer."""
        with _forgiven():
            if self._connection is not None:
                self._connection.delete(self._key)


@contextmanager
def _forgiven() -> Iterator[None]:
    """Without Valkey's word, or its memory, the choice is this process's own."""
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        log.warning("valkey_unavailable", during="choice", reason=type(error).__name__)


def _noted(settings: Settings) -> str | None:
    """The model whose vectors the index has; None without any."""
    try:
        url, key = qdrant_server(settings)
    except ConfigurationError:
        return None
    with closing(QdrantHttp(url, api_key=key, timeout_seconds=settings.qdrant_timeout_seconds)) as http:
        try:
            current = find_generations(http, settings.qdrant_collection).current
        except (BadRequestError, NotFoundError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error
    return current.model if current is not None and is_name(current.model) else None


def _listed(settings: Settings) -> list[Listed] | None:
    """The models of the server; None when it has no list that we understand."""
    with closing(
        OpenAiWire(settings.embedding_url, settings.openai_api_key, timeout_seconds=TIMEOUT_SECONDS)
    ) as wire:
        try:
            with wire.get("/models") as response:
                content = bytearray()
                for piece in pieces(response):
                    content += piece
                    if len(content) > LIST_BYTES_MAX:
                        return None
        except StatusError as error:
            if error.status in _PASSING:
                raise
            return None
    return read_list(bytes(content))


def read_list(content: bytes) -> list[Listed] | None:
    """The models in the answer to `GET /models`: OpenAI's form, or a bare list, as Together's."""
    try:
        body = orjson.loads(content.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        return None
    items = body.get("data") if isinstance(body, dict) else body
    if not isinstance(items, list):
        return None
    models = (item for item in items[:NAMES_READ] if isinstance(item, dict) and is_name(item.get("id")))
    return [Listed(item["id"], _stated(item)) for item in models]


def _stated(item: Mapping[str, Any]) -> bool | None:
    """Whether the server says that the model embeds; None when it does not say what it is for."""
    words = [word for field in _STATED for word in _words(item.get(field))]
    if any(_EMBEDS.search(word) for word in words):
        return True
    return False if any(_OTHER.search(word) for word in words) else None


def _words(value: object) -> Iterator[str]:
    """A word, several, or those of a table that are true."""
    match value:
        case str():
            yield value[:100]
        case list():
            yield from (word[:100] for word in value[:50] if isinstance(word, str))
        case dict():
            yield from (name[:100] for name, is_so in list(value.items())[:50] if is_so is True)
            yield from _words(value["type"]) if isinstance(value.get("type"), str) else ()


def clear_choice(listed: Iterable[Listed], settings: Settings) -> str | None:
    """The one model of a list that is to embed; None when there is none, or several that are as good.

    Never CHAT_MODEL, and never one that ranks. A server that was given for embeddings alone may call its one model
    as it likes.
    """
    chat = set(_forms(settings.chat_model))
    others = [each for each in listed if chat.isdisjoint(_forms(each.name)) and not _OTHER_BY_NAME.search(each.name)]
    names = embedding_names(others)
    if not names and settings.embedding_base_url is not None and len(others) == 1 and others[0].embeds is None:
        return others[0].name
    if OPENAI_EMBEDDINGS in names:
        return OPENAI_EMBEDDINGS
    names = [name for name in names if not _FOR_CODE.search(name)] or names
    names = [name for name in names if not any(_is_version_of(name, other) for other in names)]
    return names[0] if len(names) == 1 else None


def embedding_names(listed: Iterable[Listed]) -> list[str]:
    """The models that embed, each once: by what the server says of each, else by its name."""
    found = {
        each.name
        for each in listed
        if not _OTHER_BY_NAME.search(each.name)
        and (each.embeds if each.embeds is not None else _EMBEDS_BY_NAME.search(each.name))
    }
    return sorted(found)


def _is_version_of(name: str, other: str) -> bool:
    return name != other and name.startswith(other) and _VERSION.fullmatch(name[len(other) :]) is not None


def _is_among(name: str, listed: Iterable[Listed] | None) -> bool:
    forms = set(_forms(name))
    return any(not forms.isdisjoint(_forms(each.name)) for each in listed or ())


def _forms(name: str) -> Iterator[str]:
    """What a model may be asked for as: Ollama's without `:latest`, Gemini's without `models/`."""
    lowered = name.lower()
    yield lowered
    yield lowered.removesuffix(":latest")
    yield lowered.removeprefix("models/")


def _say_what_to_set(listed: list[Listed] | None, settings: Settings) -> None:
    if listed is None:
        found = "the server gives no list of its models"
        todo = "set EMBEDDING_MODEL to its embedding model, or to none; is its address right, which ends in /v1?"
    elif names := embedding_names(listed):
        found = f"it lists several: {', '.join(names[:NAMES_SHOWN])}"
        todo = "set EMBEDDING_MODEL to one of them, or to none"
    else:
        found = "it lists none that is known to embed"
        todo = "set EMBEDDING_MODEL to one that does, or to none; another server's needs EMBEDDING_BASE_URL too"
    server = place(settings.embedding_url)
    log.warning("embedding_model_not_chosen", server=server, found=found, todo=todo, retrieval="words")
