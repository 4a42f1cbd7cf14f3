"""What can be asked of the catalog: each operation is one script's call, made here and run by either `Catalog`.

A record is a hash of JSON values, so that one field changes without a read; a sorted set for the tenant, and one for
each collection, holds the ids in the order in which they came; a set for each file holds the documents that use it.
Every change is one script: no reader sees half of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, Unpack, cast

import orjson
from pydantic import TypeAdapter, ValidationError

from app.core.contract import is_label
from app.core.documents import scripts
from app.core.documents.records import AT_WORK, Changes, DocumentError, DocumentRecord, DocumentStatus, Page
from app.core.errors import Limit, LimitReachedError
from app.core.logging import get_logger
from app.core.queue.batch_keys import file_bytes_key
from app.core.queue.erasing import TenantBeingErasedError, erasing_key

PAGE_LIMIT_MAX = 1_000
REMOVAL_SECONDS = 60
"""How long a process may take to remove a file: for no longer are documents with the same bytes refused."""

T = TypeVar("T")

log = get_logger(__name__)

_CHANGES = TypeAdapter(Changes)


class FileBusyError(Exception):
    """A file with these bytes is just being removed: no document can be put on it. Try again in a moment."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One script's call, and how its reply is read."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[str | bytes | int]
    read: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may have: so many documents, of so many MiB in all."""

    documents: int
    mib: int


def put(tenant: str, record: DocumentRecord, *, quota: Quota | None = None) -> Operation[DocumentRecord | None]:
    """Add a document, or a new version of it, which keeps its `created_at`; what was replaced, if anything.

    The bytes of a replaced version are the caller's to remove: see `begin_removal`. Doing it raises `FileBusyError`,
    `TenantBeingErasedError`, and `LimitReachedError` when the tenant would have more than its `quota`.
    """
    document = record.document_id
    keys = [
        _record_key(tenant, document),
        order_key(tenant),
        order_key(tenant, record.collection),
        _users_key(tenant, record.sha256),
        _removal_key(tenant, record.sha256),
        _stored_key(tenant),
        erasing_key(tenant),
        *_tallies(tenant),
        file_bytes_key(tenant),
    ]
    limits = (quota.documents, quota.mib * 2**20) if quota is not None else ("", "")
    arguments = [document, _users_key(tenant, ""), *limits, record.size_bytes, record_prefix(tenant)]
    fields = _flat(record.model_dump(mode="json"))
    return Operation(scripts.PUT, keys, [*arguments, *fields], lambda reply: _replaced(reply, quota))


def update(
    tenant: str, document_id: str, *, if_sha256: str | None = None, **changes: Unpack[Changes]
) -> Operation[bool]:
    """Change fields of a document, and its `updated_at`. False when it was deleted: it does not come back.

    With `if_sha256`, False also when the document has other bytes by now: a job's work that a newer upload has
    overtaken. Raises pydantic's `ValidationError` for values that no record may have.
    """
    expected = orjson.dumps(if_sha256) if if_sha256 is not None else b""
    keys = [_record_key(tenant, document_id), *_tallies(tenant), order_key(tenant)]
    return Operation(scripts.UPDATE, keys, [document_id, expected, *_flat(_checked(changes))], bool)


def job_ended(tenant: str, document_id: str, *, job_id: str, error: DocumentError) -> Operation[bool]:
    """The job that was to index the document has ended: unless the record knows, it has failed with `error`.

    False when it knows, or when another job is the document's by now.
    """
    return _of_job(tenant, document_id, job_id, AT_WORK, {"status": DocumentStatus.FAILED, "error": error})


def job_sent_back(tenant: str, document_id: str, *, job_id: str) -> Operation[bool]:
    """The job that failed to index the document waits again, and the document with it. False as of `job_ended`."""
    failed = frozenset({DocumentStatus.FAILED})
    return _of_job(tenant, document_id, job_id, failed, {"status": DocumentStatus.QUEUED, "error": None})


def _of_job(
    tenant: str, document_id: str, job_id: str, from_any: frozenset[DocumentStatus], changes: Changes
) -> Operation[bool]:
    states = [orjson.dumps(state) for state in sorted(from_any)]
    fields = list(_flat(_checked(changes)))
    arguments = [orjson.dumps(job_id), len(states), *states, *fields]
    return Operation(scripts.UPDATE_OF_JOB, [_record_key(tenant, document_id)], arguments, bool)


def get(tenant: str, document_id: str) -> Operation[DocumentRecord | None]:
    """The document, if the tenant has it."""
    return Operation(scripts.GET, [_record_key(tenant, document_id)], [], _parsed)


def delete(tenant: str, document_id: str) -> Operation[DocumentRecord | None]:
    """Forget a document; what it was. Its bytes are the caller's to remove: see `begin_removal`."""
    keys = [_record_key(tenant, document_id), order_key(tenant), _stored_key(tenant), *_tallies(tenant)]
    return Operation(scripts.DELETE, keys, [document_id, order_key(tenant, ""), _users_key(tenant, "")], _parsed)


def page(
    tenant: str, *, collection: str | None = None, after: int | None = None, limit: int = 100
) -> Operation[Page]:
    """Up to `limit` documents, the newest first; fewer when records are broken. `after` is a page's `next`.

    Raises `ValueError` for a limit that is not from 1 to `PAGE_LIMIT_MAX`.
    """
    if not 1 <= limit <= PAGE_LIMIT_MAX:
        raise ValueError(f"limit must be from 1 to {PAGE_LIMIT_MAX}, not {limit}")
    start = "+inf" if after is None else f"({after}"
    arguments: list[str | bytes | int] = [start, limit + 1, record_prefix(tenant)]
    return Operation(scripts.LIST, [order_key(tenant, collection)], arguments, lambda reply: _page(reply, limit))


def has_documents(tenant: str, collection: str) -> Operation[bool]:
    """Whether the tenant has a document in the collection, in whatever state."""
    return Operation(scripts.IS_THERE, [order_key(tenant, collection)], [], bool)


def tenant_patterns(tenant: str) -> tuple[str, ...]:
    """What fits each key that the catalog has of a tenant, as Valkey's SCAN has patterns; the documents' own first.

    No label holds a character that means more there.
    """
    every = f"{order_key(tenant)}/*"
    return (
        f"{_record_key(tenant, '')}*",
        order_key(tenant),
        every,
        _stored_key(tenant),
        *_tallies(tenant),
        f"{_users_key(tenant, '')}*",
        f"{_removal_key(tenant, '')}*",
    )


def begin_removal(tenant: str, sha256: str) -> Operation[bool]:
    """Whether no document uses these bytes, so that the caller must remove them now, then do `end_removal`.

    Until then, and for no longer than `REMOVAL_SECONDS`, `put` of a document with these bytes is refused.
    """
    keys = [_users_key(tenant, sha256), _removal_key(tenant, sha256)]
    return Operation(scripts.BEGIN_REMOVAL, keys, [REMOVAL_SECONDS], bool)


def end_removal(tenant: str, sha256: str) -> Operation[bool]:
    """The bytes are removed, or are left where they are."""
    return Operation(scripts.END_REMOVAL, [_removal_key(tenant, sha256)], [], bool)


def _checked(changes: Changes) -> dict[str, Any]:
    """The fields to write, with the time. Raises pydantic's `ValidationError`."""
    checked = _CHANGES.dump_python(_CHANGES.validate_python(changes), mode="json")
    return {**checked, "updated_at": datetime.now(UTC).isoformat()}


def _replaced(reply: Any, quota: Quota | None) -> DocumentRecord | None:
    if reply == b"erasing":
        raise TenantBeingErasedError
    if reply == b"busy":
        raise FileBusyError
    if quota is not None and reply == b"documents":
        raise LimitReachedError(Limit.DOCUMENTS, quota.documents)
    if quota is not None and reply == b"bytes":
        raise LimitReachedError(Limit.STORED_BYTES, quota.mib)
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


def record_prefix(tenant: str) -> str:
    """What the keys of a tenant's records begin with."""
    return _record_key(tenant, "")


def order_key(tenant: str, collection: str | None = None) -> str:
    """The key of the ids of a tenant's documents, or of those of a collection, in the order in which they came."""
    key = f"rag:documents:{_label(tenant)}"
    return key if collection is None else f"{key}/{_label(collection)}"


def names_key(tenant: str) -> str:
    """The key of the names of a tenant's collections, while they are counted."""
    return f"rag:collection-names:{_label(tenant)}"


def chunks_key(tenant: str) -> str:
    """The key of how many chunks each of them has."""
    return f"rag:collection-chunks:{_label(tenant)}"


def _tallies(tenant: str) -> tuple[str, str]:
    """What changes with each record, and is counted anew now and then."""
    return names_key(tenant), chunks_key(tenant)


def _stored_key(tenant: str) -> str:
    return f"rag:stored:{_label(tenant)}"


def _users_key(tenant: str, sha256: str) -> str:
    return f"rag:files:{_label(tenant)}/{_label(sha256)}"


def _removal_key(tenant: str, sha256: str) -> str:
    return f"rag:removals:{_label(tenant)}/{_label(sha256)}"


def _label(text: str) -> str:
    """`text` when it is a label or nothing; keys are unambiguous since no label holds a slash."""
    if text and not is_label(text):
        raise ValueError("not a label")
    return text
