"""The catalog of documents in Valkey: what the API shows of each one, from its upload to its last page.

It is a projection of the index, which can be rebuilt from there: a record is a hash of JSON values, so that one field
changes without a read; a sorted set for the tenant, and one for each collection, holds the ids in the order in which
they came; a set for each file holds the documents that use it. Every change is one script: no reader sees half of it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar, Unpack, cast

import orjson
from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter, ValidationError, with_config
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from typing_extensions import TypedDict

from app.core.contract import Filename, Frozen, Label, Sha256
from app.core.documents import scripts
from app.core.formats import MediaType
from app.core.logging import get_logger

TITLE_CHARACTERS_MAX = 500
MISSING_PAGES_MAX = 20_000
PAGE_LIMIT_MAX = 1_000
REMOVAL_SECONDS = 60
"""How long a process may take to remove a file: for no longer are documents with the same bytes refused."""

LABEL = re.compile(r"[A-Za-z0-9_.:-]{1,128}")

Title = Annotated[str, StringConstraints(max_length=TITLE_CHARACTERS_MAX)]
Count = Annotated[int, Field(ge=0)]
MissingPages = Annotated[tuple[int, ...], Field(max_length=MISSING_PAGES_MAX)]

T = TypeVar("T")

log = get_logger(__name__)


class DocumentStatus(StrEnum):
    """Where a document is on its way into the index. A new version of an indexed one starts over."""

    QUEUED = "queued"
    PARSING = "parsing"
    EMBEDDING = "embedding"
    INDEXED = "indexed"
    FAILED = "failed"


class DocumentError(Frozen):
    """Why a document failed: a closed code, and a sentence fit for the public."""

    code: str = Field(pattern=r"^[a-z_]{1,64}$")
    message: str = Field(max_length=1_000)


class DocumentRecord(Frozen):
    """What the catalog knows of a document. Pages count from 1; `pages` and `chunks` are 0 until known."""

    document_id: Label
    collection: Label
    filename: Filename
    title: Title = ""
    sha256: Sha256
    size_bytes: Count
    media_type: MediaType
    status: DocumentStatus = DocumentStatus.QUEUED
    error: DocumentError | None = None
    pages: Count = 0
    pages_done: Count = 0
    chunks: Count = 0
    missing_pages: MissingPages = ()
    created_at: AwareDatetime
    updated_at: AwareDatetime
    job_id: Label | None = None


@with_config(extra="forbid")
class Changes(TypedDict, total=False):
    """What `update` may change. Other bytes are another version of the document: that is `put`."""

    filename: Filename
    title: Title
    status: DocumentStatus
    error: DocumentError | None
    pages: Count
    pages_done: Count
    chunks: Count
    missing_pages: MissingPages
    job_id: Label | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, the newest first. `next` is what `after` must be for those that follow; None: no more."""

    documents: tuple[DocumentRecord, ...]
    next: int | None


class FileBusyError(Exception):
    """A file with these bytes is just being removed: no document can be put on it. Try again in a moment."""


class Catalog:
    """The catalog for workers and ingest. Every method raises what redis-py raises when Valkey is unavailable."""

    def __init__(self, connection: "Redis") -> None:
        self._connection = connection

    def put(self, tenant: str, record: DocumentRecord) -> DocumentRecord | None:
        """Add a document, or a new version of it, which keeps its `created_at`; what was replaced, if anything.

        The bytes of a replaced version are the caller's to remove: see `begin_removal`. Raises `FileBusyError`.
        """
        return self._do(_put(tenant, record))

    def update(
        self, tenant: str, document_id: str, *, if_sha256: str | None = None, **changes: Unpack[Changes]
    ) -> bool:
        """Change fields of a document, and its `updated_at`. False when it was deleted: it does not come back.

        With `if_sha256`, False also when the document has other bytes by now: a job's work that a newer upload has
        overtaken.
        """
        return self._do(_update(tenant, document_id, if_sha256, changes))

    def get(self, tenant: str, document_id: str) -> DocumentRecord | None:
        """The document, if the tenant has it."""
        return self._do(_get(tenant, document_id))

    def delete(self, tenant: str, document_id: str) -> DocumentRecord | None:
        """Forget a document; what it was. Its bytes are the caller's to remove: see `begin_removal`."""
        return self._do(_delete(tenant, document_id))

    def list(self, tenant: str, *, collection: str | None = None, after: int | None = None, limit: int = 100) -> Page:
        """Up to `limit` documents, the newest first; fewer when records are broken. `after` is a page's `next`."""
        return self._do(_list(tenant, collection, after, limit))

    def all(self, tenant: str, *, collection: str | None = None) -> Iterator[DocumentRecord]:
        """Every document, the newest first."""
        page = self.list(tenant, collection=collection)
        yield from page.documents
        while page.next is not None:
            page = self.list(tenant, collection=collection, after=page.next)
            yield from page.documents

    def begin_removal(self, tenant: str, sha256: str) -> bool:
        """Whether no document uses these bytes, so that the caller must remove them now, then call `end_removal`.

        Until then, and for no longer than `REMOVAL_SECONDS`, `put` of a document with these bytes is refused.
        """
        return self._do(_begin_removal(tenant, sha256))

    def end_removal(self, tenant: str, sha256: str) -> None:
        """The bytes are removed, or are left where they are."""
        self._do(_end_removal(tenant, sha256))

    def _do(self, call: "_Call[T]") -> T:
        return call.read(self._connection.eval(call.script, len(call.keys), *call.keys, *call.arguments))


class AsyncCatalog:
    """The same for the API. Methods do and raise what `Catalog`'s do."""

    def __init__(self, connection: "AsyncRedis") -> None:
        self._connection = connection

    async def put(self, tenant: str, record: DocumentRecord) -> DocumentRecord | None:
        """As `Catalog.put`."""
        return await self._do(_put(tenant, record))

    async def update(
        self, tenant: str, document_id: str, *, if_sha256: str | None = None, **changes: Unpack[Changes]
    ) -> bool:
        """As `Catalog.update`."""
        return await self._do(_update(tenant, document_id, if_sha256, changes))

    async def get(self, tenant: str, document_id: str) -> DocumentRecord | None:
        """As `Catalog.get`."""
        return await self._do(_get(tenant, document_id))

    async def delete(self, tenant: str, document_id: str) -> DocumentRecord | None:
        """As `Catalog.delete`."""
        return await self._do(_delete(tenant, document_id))

    async def list(
        self, tenant: str, *, collection: str | None = None, after: int | None = None, limit: int = 100
    ) -> Page:
        """As `Catalog.list`."""
        return await self._do(_list(tenant, collection, after, limit))

    async def begin_removal(self, tenant: str, sha256: str) -> bool:
        """As `Catalog.begin_removal`."""
        return await self._do(_begin_removal(tenant, sha256))

    async def end_removal(self, tenant: str, sha256: str) -> None:
        """As `Catalog.end_removal`."""
        await self._do(_end_removal(tenant, sha256))

    async def _do(self, call: "_Call[T]") -> T:
        keys = call.keys
        return call.read(await self._connection.eval(call.script, len(keys), *keys, *call.arguments))


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    """One script's call, and how its reply is read: all that the two catalogs share."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[str | bytes | int]
    read: Callable[[Any], T]


_CHANGES = TypeAdapter(Changes)


def _put(tenant: str, record: DocumentRecord) -> "_Call[DocumentRecord | None]":
    document = record.document_id
    keys = [
        _record_key(tenant, document),
        _order_key(tenant),
        _order_key(tenant, record.collection),
        _users_key(tenant, record.sha256),
        _removal_key(tenant, record.sha256),
    ]
    arguments = [document, _users_key(tenant, ""), *_flat(record.model_dump(mode="json"))]
    return _Call(scripts.PUT, keys, arguments, _replaced)


def _update(tenant: str, document: str, if_sha256: str | None, changes: Changes) -> "_Call[bool]":
    checked = _CHANGES.dump_python(_CHANGES.validate_python(changes), mode="json")
    stamped = {**checked, "updated_at": datetime.now(UTC).isoformat()}
    expected = orjson.dumps(if_sha256) if if_sha256 is not None else b""
    return _Call(scripts.UPDATE, [_record_key(tenant, document)], [expected, *_flat(stamped)], bool)


def _get(tenant: str, document: str) -> "_Call[DocumentRecord | None]":
    return _Call(scripts.GET, [_record_key(tenant, document)], [], _parsed)


def _delete(tenant: str, document: str) -> "_Call[DocumentRecord | None]":
    keys = [_record_key(tenant, document), _order_key(tenant)]
    return _Call(scripts.DELETE, keys, [document, _order_key(tenant, ""), _users_key(tenant, "")], _parsed)


def _list(tenant: str, collection: str | None, after: int | None, limit: int) -> "_Call[Page]":
    if not 1 <= limit <= PAGE_LIMIT_MAX:
        raise ValueError(f"limit must be from 1 to {PAGE_LIMIT_MAX}, not {limit}")
    start = "+inf" if after is None else f"({after}"
    arguments: list[str | bytes | int] = [start, limit + 1, _record_key(tenant, "")]
    return _Call(scripts.LIST, [_order_key(tenant, collection)], arguments, lambda reply: _page(reply, limit))


def _begin_removal(tenant: str, sha256: str) -> "_Call[bool]":
    return _Call(
        scripts.BEGIN_REMOVAL, [_users_key(tenant, sha256), _removal_key(tenant, sha256)], [REMOVAL_SECONDS], bool
    )


def _end_removal(tenant: str, sha256: str) -> "_Call[bool]":
    return _Call(scripts.END_REMOVAL, [_removal_key(tenant, sha256)], [], bool)


def _replaced(reply: Any) -> DocumentRecord | None:
    if reply == b"busy":
        raise FileBusyError
    return _parsed(reply)


def _page(reply: Sequence[tuple[bytes, bytes, Any]], limit: int) -> Page:
    shown = reply[:limit]
    records = (_parsed(fields) for _, _, fields in shown)
    return Page(
        documents=tuple(record for record in records if record is not None),
        next=int(shown[-1][1]) if len(reply) > limit else None,
    )


def _parsed(reply: Any) -> DocumentRecord | None:
    """The record in a reply to HGETALL; None when there is none, or when what is there is no record."""
    flat = cast(Sequence[bytes], reply)
    if not flat:
        return None
    try:
        fields = {flat[i].decode(): orjson.loads(flat[i + 1]) for i in range(0, len(flat), 2)}
        return DocumentRecord.model_validate(fields)
    except (ValidationError, orjson.JSONDecodeError, UnicodeDecodeError) as error:
        log.warning("document_record_broken", reason=type(error).__name__)
        return None


def _flat(fields: dict[str, Any]) -> Iterator[str | bytes]:
    for name, value in fields.items():
        yield name
        yield orjson.dumps(value)


def _record_key(tenant: str, document: str) -> str:
    return f"rag:document:{_label(tenant)}/{_label(document)}"


def _order_key(tenant: str, collection: str | None = None) -> str:
    key = f"rag:documents:{_label(tenant)}"
    return key if collection is None else f"{key}/{_label(collection)}"


def _users_key(tenant: str, sha256: str) -> str:
    return f"rag:files:{_label(tenant)}/{_label(sha256)}"


def _removal_key(tenant: str, sha256: str) -> str:
    return f"rag:removals:{_label(tenant)}/{_label(sha256)}"


def _label(text: str) -> str:
    """`text` when it is a label or nothing; keys are unambiguous since no label holds a slash."""
    if text and not LABEL.fullmatch(text):
        raise ValueError("not a label")
    return text
