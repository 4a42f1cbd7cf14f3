"""Collections of documents: what is said of each one, how much it holds, and its version.

A collection is there when it has documents, or when something was said of it, before its first document too. What is
said stands in one hash of the tenant. Names and chunks are counted once a day from the catalog, and kept up with
each change of it (`scripts.TALLY`), so that no list reads every document; and it is counted in steps of some
milliseconds, so that nobody waits for it.

    rag:collections:acme           what is said, by name, as JSON
    rag:collection-names:acme      a sorted set: the names, for pages in their order
    rag:collection-chunks:acme     a hash: chunks in the index, by name
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from app.core.contract import TOP_K_MAX, Frozen, Instructions, is_label
from app.core.documents import scripts
from app.core.documents.catalog import AsyncCatalog
from app.core.documents.operations import Operation, chunks_key, names_key, order_key, record_prefix
from app.core.errors import Limit, LimitReachedError
from app.core.logging import get_logger
from app.core.queue.erasing import TenantBeingErasedError, erasing_key
from app.core.queue.versions import OF_ALL, version_key

DESCRIBED_MAX = 1_000
"""Collections of one tenant of which something is said: some 5 MB of Valkey's memory, 25 at the very most."""
TITLE_MAX_CHARACTERS = 200
DESCRIPTION_MAX_CHARACTERS = 1_000
_VERSION = re.compile(r"[0-9]{1,20}")

T = TypeVar("T")

log = get_logger(__name__)


class CollectionNotFoundError(Exception):
    """The tenant has no document in such a collection, and has said nothing of it."""


def _text_of(characters: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=characters)


class CollectionSettings(Frozen):
    """What is said of a collection. Its `instructions` stand below the rules in the prompt, never in their place."""

    title: Annotated[str, _text_of(TITLE_MAX_CHARACTERS)] | None = Field(None, description="What people call it")
    description: Annotated[str, _text_of(DESCRIPTION_MAX_CHARACTERS)] | None = Field(
        None, description="What is in it"
    )
    instructions: Instructions | None = Field(
        None, description="What answers from it should be like: added to the service's own rules, which hold"
    )
    top_k: int | None = Field(
        None, ge=1, le=TOP_K_MAX, description="Chunks to retrieve where a question does not say; unset: TOP_K"
    )


NOTHING_SAID = CollectionSettings()


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection. `version` changes with its content and with what is said of it; None: nobody has asked it yet."""

    name: str
    documents: int
    chunks: int
    version: str | None
    settings: CollectionSettings


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """Some collections in the order of their names. `next` is what `after` must be for those that follow."""

    collections: tuple[Collection, ...]
    next: str | None


def page(tenant: str, *, after: str, limit: int) -> Operation[CollectionPage | None]:
    """Up to `limit` of the tenant's collections whose names come after `after`; fewer where some have gone.

    None while documents are still being counted: it is to be done again, see `counted`.
    """
    keys, prefixes = _reading(tenant)
    arguments = [*prefixes, f"({after}", limit + 1]
    return Operation(scripts.COLLECTIONS, keys, arguments, lambda reply: _page(reply, limit))


def get(tenant: str, name: str) -> Operation[Collection | None]:
    """The collection. Doing it raises `CollectionNotFoundError`. None as of `page`."""
    if not is_label(name):
        raise CollectionNotFoundError(name)
    keys, prefixes = _reading(tenant)
    return Operation(scripts.COLLECTION, keys, [*prefixes, name], lambda reply: _found(reply, name))


async def counted(catalog: AsyncCatalog, operation: Operation[T | None]) -> T:
    """Do `operation` until all is counted. Each step leaves Valkey to others for a moment."""
    while (found := await catalog.do(operation)) is None:
        pass
    return found


def put(tenant: str, name: str, settings: CollectionSettings) -> Operation[bool]:
    """Say `settings` of the collection, in place of what was said before; whether there was none of this name.

    What was answered from it before is not given again. Doing it raises `TenantBeingErasedError`, and
    `LimitReachedError` when something is said of `DESCRIBED_MAX` collections.
    """
    keys = [
        collections_key(tenant),
        version_key(tenant, name),
        names_key(tenant),
        order_key(tenant, name),
        erasing_key(tenant),
    ]
    said = settings.model_dump_json(exclude_none=True)
    return Operation(scripts.PUT_COLLECTION, keys, [name, said, DESCRIBED_MAX], _is_new)


def settings_of(tenant: str, name: str) -> Operation[CollectionSettings]:
    """What is said of the collection, for whoever answers from it."""
    return Operation(scripts.SETTINGS_OF, [collections_key(tenant)], [name], _settings)


def collections_key(tenant: str) -> str:
    """The key of what is said of a tenant's collections."""
    return f"rag:collections:{tenant}"


def _reading(tenant: str) -> tuple[list[str], list[str | bytes | int]]:
    """The keys of the scripts that read, and the first of their arguments."""
    keys = [names_key(tenant), chunks_key(tenant), collections_key(tenant), order_key(tenant), OF_ALL]
    return keys, [order_key(tenant, ""), version_key(tenant, ""), record_prefix(tenant)]


def _page(reply: Any, limit: int) -> CollectionPage | None:
    if reply == 0:
        return None
    looked, rows = reply
    names = [_text(name) for name in looked]
    collections = tuple(_collection(row) for row in rows if is_label(_text(row[0])))
    return CollectionPage(collections, names[limit - 1] if len(names) > limit else None)


def _found(reply: Any, name: str) -> Collection | None:
    if reply == 0:
        return None
    if not reply:
        raise CollectionNotFoundError(name)
    return _collection(reply)


def _collection(row: Sequence[Any]) -> Collection:
    name, documents, chunks, of_all, own, said = row
    return Collection(
        name=_text(name),
        documents=documents,
        chunks=int(chunks) if chunks.isdigit() else 0,
        version=_version(_text(of_all), _text(own)),
        settings=_settings(said),
    )


def _version(of_all: str, own: str) -> str | None:
    """Both counters: that of all collections at once, and the collection's own."""
    first, second = (part if _VERSION.fullmatch(part) else "" for part in (of_all, own))
    return f"{first or 0}-{second or 0}" if first or second else None


def _settings(said: bytes | None) -> CollectionSettings:
    if not said:
        return NOTHING_SAID
    try:
        return CollectionSettings.model_validate_json(said)
    except ValidationError as error:
        log.warning("collection_record_broken", reason=type(error).__name__)
        return NOTHING_SAID


def _is_new(reply: bytes) -> bool:
    if reply == b"erasing":
        raise TenantBeingErasedError
    if reply == b"many":
        raise LimitReachedError(Limit.COLLECTIONS, DESCRIBED_MAX)
    return reply == b"new"


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
