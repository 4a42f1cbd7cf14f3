"""OpenAI's files and batches, as Valkey knows them: their records, their lists, and what must be one step.

    rag:file:acme/file-1          a file's record, in JSON; its bytes are in the store of documents' files
    rag:files:acme                a sorted set: the tenant's files by when they were made, in microseconds
    rag:file-bytes:acme           what they have in all
    rag:files-expiring            every tenant's files ("acme/file-1") by when they go
    rag:batch:acme/batch_1        a hash: the record, in JSON, and when the batch was cancelled
    rag:batches:acme              a sorted set: the tenant's batches, as its files
    rag:batches-open              every tenant's batches that are not over ("acme/batch_1") by when they were made
    rag:batch-lines:acme/batch_1  a hash: the lines that are being answered, by number
    rag:batch-parts:acme/batch_1  a list: the names of the pieces of its output and error file so far
    rag:batch-lock:acme/batch_1   the API process that brings it on

A `/` stands in no tenant's name and in no id. See docs/decisions/batches.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Any, Literal, TypeVar
from uuid import uuid4

from pydantic import Field, ValidationError
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.contract import Filename, Frozen, Label
from app.core.errors import Limit, LimitReachedError
from app.core.queue.batch_keys import (
    batch_key,
    batches_key,
    file_bytes_key,
    file_key,
    files_key,
    lines_key,
    lock_key,
    parts_key,
)
from app.core.queue.erasing import TenantBeingErasedError, erasing_key
from app.core.queue.scripts import BEYOND_MAXMEMORY

KEEP_SECONDS = 30 * 86_400
"""How long files and ended batches are kept, as OpenAI keeps batch files."""
KEEP_SECONDS_MIN = 3600
"""The least that a client may ask for, as OpenAI has it."""
WINDOW_SECONDS = 86_400
"""A batch's completion window: OpenAI knows one, "24h"."""
FILES_MAX = 10_000
"""Of one tenant."""
OPEN_MAX = 100
"""Batches of one tenant that are not over."""
LINES_MAX = 50_000
INPUT_BYTES_MAX = 200 * 2**20
"""OpenAI's limits of a batch."""
CUSTOM_ID_MAX_CHARACTERS = 512
ERRORS_MAX = 100
"""Wrong lines of a file that are told."""
RECORD_BYTES_MAX = 256 << 10
"""Of a record: twice a batch with `ERRORS_MAX` errors. What is longer is none of ours."""
SPENT_MAX = 64

FILE_ID = re.compile(r"file-[0-9a-f]{32}")
BATCH_ID = re.compile(r"batch_[0-9a-f]{32}")

Endpoint = Literal["/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/chat"]
BatchStatus = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelled"]
Ending = Literal["completed", "expired", "cancelled", "failed"]
OVER: frozenset[BatchStatus] = frozenset({"failed", "completed", "expired", "cancelled"})

OPEN_BATCHES = "rag:batches-open"
EXPIRING = "rag:files-expiring"

Seconds = int


class FileNotFoundHereError(Exception):
    """The tenant has no such file, or it has expired."""


class BatchNotFoundError(Exception):
    """The tenant has no such batch, or it has expired."""


class FileRecord(Frozen):
    """A file of OpenAI's Files API. Times are seconds since 1970."""

    id: str = Field(pattern=FILE_ID.pattern)
    filename: Filename
    bytes: int = Field(ge=0)
    created_at: Seconds
    expires_at: Seconds
    purpose: Literal["batch", "batch_output"] = "batch"


class LineError(Frozen):
    """What is wrong with a line of a batch's file; `line` counts from 1, None for the file as a whole."""

    code: str = Field(max_length=64)
    message: str = Field(max_length=512)
    line: int | None = None
    param: str | None = Field(None, max_length=64)


class BatchRecord(Frozen):
    """A batch: what was asked for, by whom, and how far it is. Times are seconds since 1970.

    `line` and `offset` are how many lines were begun, and where the next one stands in the file. `ending` is what the
    batch will be when what is begun has ended.
    """

    id: str = Field(pattern=BATCH_ID.pattern)
    endpoint: Endpoint
    input_file_id: str = Field(pattern=FILE_ID.pattern)
    metadata: dict[str, str] | None = Field(None, max_length=16)
    created_at: Seconds
    expires_at: Seconds
    keep_seconds: Seconds = KEEP_SECONDS
    asker: Label
    tokens: str | None = Field(None, max_length=SPENT_MAX)
    weight: int = Field(1, ge=1, le=100)
    base_url: str = Field("", max_length=2048)

    status: BatchStatus = "validating"
    ending: Ending | None = None
    ending_at: Seconds | None = None
    total: int = Field(0, ge=0)
    completed: int = Field(0, ge=0)
    failed: int = Field(0, ge=0)
    line: int = Field(0, ge=0)
    offset: int = Field(0, ge=0)
    errors: tuple[LineError, ...] = Field((), max_length=ERRORS_MAX)
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: Seconds | None = None
    finalizing_at: Seconds | None = None
    completed_at: Seconds | None = None
    failed_at: Seconds | None = None
    expired_at: Seconds | None = None
    cancelled_at: Seconds | None = None


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """A batch as it is kept: its record, the record's bytes, and when somebody cancelled it."""

    record: BatchRecord
    raw: bytes
    cancelling_at: Seconds | None


STAMP = """
local function add_to(key, id)
  local now = redis.call('TIME')
  local at, last = now[1] * 1000000 + now[2], redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  if last[2] and tonumber(last[2]) >= at then at = tonumber(last[2]) + 1 end
  redis.call('ZADD', key, 'NX', string.format('%.0f', at), id)
end
"""

PUT_FILE = f"""
if redis.call('EXISTS', KEYS[5]) == 1 or (KEYS[7] ~= '' and redis.call('EXISTS', KEYS[7]) == 0) then return 'gone' end
if redis.call('EXISTS', KEYS[1]) == 1 then return 'ok' end
local most = tonumber(ARGV[6])
if most then
  local documents = tonumber(redis.pcall('GET', KEYS[6]) or '') or 0
  local files = tonumber(redis.pcall('GET', KEYS[3]) or '') or 0
  if redis.call('ZCARD', KEYS[2]) >= {FILES_MAX} then return 'files' end
  if documents + files + ARGV[4] > most then return 'bytes' end
end
{STAMP}
redis.call('SET', KEYS[1], ARGV[1])
add_to(KEYS[2], ARGV[2])
redis.call('INCRBY', KEYS[3], ARGV[4])
redis.call('ZADD', KEYS[4], ARGV[5], ARGV[3])
return 'ok'
"""
"""KEYS: record, the tenant's files, their bytes, all that expire, the mark of a tenant that is being erased, the
bytes of its documents, the batch that the file is of, or nothing. ARGV: record, id, member, bytes, when it expires,
how many bytes there may be in all, or nothing."""

DELETE_FILE = (
    BEYOND_MAXMEMORY
    + """
local record = redis.pcall('GET', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[2])
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
local is_read, read = pcall(cjson.decode, record)
local bytes = is_read and type(read) == 'table' and tonumber(read.bytes) or 0
if tonumber(redis.pcall('DECRBY', KEYS[3], string.format('%.0f', bytes))) == 0 then redis.call('DEL', KEYS[3]) end
return 1
"""
)
"""KEYS: record, the tenant's files, their bytes, all that expire. ARGV: id, member."""

PUT_BATCH = f"""
if redis.call('EXISTS', KEYS[4]) == 1 then return 'gone' end
if redis.call('EXISTS', KEYS[5]) == 0 then return 'no file' end
local own = 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  if string.sub(member, 1, #ARGV[4]) == ARGV[4] then own = own + 1 end
end
if own >= {OPEN_MAX} then return 'open' end
{STAMP}
redis.call('HSET', KEYS[1], 'record', ARGV[1])
add_to(KEYS[2], ARGV[2])
add_to(KEYS[3], ARGV[3])
return 'ok'
"""
"""KEYS: batch, the tenant's batches, all that are open, the mark of a tenant that is being erased, the input file.
ARGV: record, id, member, what the tenant's members begin with."""

CANCEL_BATCH = (
    BEYOND_MAXMEMORY
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSETNX', KEYS[1], 'cancelling_at', ARGV[1]) end
"""
)

SAVE = (
    BEYOND_MAXMEMORY
    + """
if redis.call('HGET', KEYS[1], 'record') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'record', ARGV[2])
local i = 3
for _ = 1, tonumber(ARGV[i]) do
  i = i + 1
  redis.call('HDEL', KEYS[2], ARGV[i])
end
i = i + 1
for _ = 1, tonumber(ARGV[i]) do
  i = i + 1
  redis.call('RPUSH', KEYS[3], ARGV[i])
end
for at = i + 1, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]) end
return 1
"""
)
"""KEYS: batch, its lines, its parts. ARGV: the record as it was, and as it is to be; numbers of lines that have
ended, then names of parts, each list behind its length; lines that have begun, by number. 0 when the record has
changed."""

Record = TypeVar("Record", FileRecord, BatchRecord)


class BatchStore:
    """Files' and batches' records, for one API process. Its methods raise `VALKEY_UNAVAILABLE`."""

    def __init__(self, valkey: "AsyncRedis") -> None:
        self._valkey = valkey

    # ------------------------------------------------------------------------------------------ files

    async def put_file(
        self, tenant: str, file: FileRecord, *, bytes_max: int | None = None, batch_id: str | None = None
    ) -> None:
        """Keep the record of a file whose bytes are kept. `batch_id`: what it is the output of.

        Raises `TenantBeingErasedError`, also when that batch is gone, and `LimitReachedError`.
        """
        keys = [
            *_file_keys(tenant, file.id),
            erasing_key(tenant),
            f"rag:stored:{tenant}",
            batch_key(tenant, batch_id) if batch_id else "",
        ]
        arguments: Sequence[Any] = [
            file.model_dump_json(), file.id, member(tenant, file.id), file.bytes, file.expires_at,
            "" if bytes_max is None else bytes_max,
        ]  # fmt: skip
        script = PUT_FILE if batch_id is None else BEYOND_MAXMEMORY + PUT_FILE
        outcome: Any = await self._valkey.eval(script, len(keys), *keys, *arguments)
        match outcome:
            case b"gone":
                raise TenantBeingErasedError
            case b"files":
                raise LimitReachedError(Limit.FILES, FILES_MAX)
            case b"bytes":
                raise LimitReachedError(Limit.STORED_BYTES, (bytes_max or 0) // 2**20)

    async def file(self, tenant: str, file_id: str) -> FileRecord:
        """The file. Raises `FileNotFoundHereError`."""
        raw: Any = await self._valkey.get(file_key(tenant, file_id)) if FILE_ID.fullmatch(file_id) else None
        found = _read(FileRecord, raw)
        if found is None or found.expires_at <= time():
            raise FileNotFoundHereError
        return found

    async def files(self, tenant: str, *, after: str | None, limit: int, newest_first: bool) -> list[FileRecord]:
        """Up to `limit` of the tenant's files, behind the one whose id is `after`."""
        ids = await self._page(files_key(tenant), after, limit, newest_first=newest_first)
        raws: Any = await self._valkey.mget([file_key(tenant, each) for each in ids]) if ids else []
        return [found for raw in raws if (found := _read(FileRecord, raw)) is not None]

    async def delete_file(self, tenant: str, file_id: str) -> bool:
        """Forget a file's record; whether there was one."""
        keys = _file_keys(tenant, file_id)
        return bool(await self._valkey.eval(DELETE_FILE, len(keys), *keys, file_id, member(tenant, file_id)))

    async def expired(self, limit: int) -> list[tuple[str, str]]:
        """Tenants and files whose time is over."""
        found: Any = await self._valkey.zrangebyscore(EXPIRING, "-inf", time(), start=0, num=limit)
        return [owner_of(each) for each in found]

    # ---------------------------------------------------------------------------------------- batches

    async def put(self, tenant: str, batch: BatchRecord) -> None:
        """Take a new batch. Raises `TenantBeingErasedError`, `FileNotFoundHereError`, `LimitReachedError`."""
        keys = [
            batch_key(tenant, batch.id),
            batches_key(tenant),
            OPEN_BATCHES,
            erasing_key(tenant),
            file_key(tenant, batch.input_file_id),
        ]
        arguments = [batch.model_dump_json(), batch.id, member(tenant, batch.id), member(tenant, "")]
        outcome: Any = await self._valkey.eval(PUT_BATCH, len(keys), *keys, *arguments)
        match outcome:
            case b"gone":
                raise TenantBeingErasedError
            case b"no file":
                raise FileNotFoundHereError
            case b"open":
                raise LimitReachedError(Limit.BATCHES, OPEN_MAX)

    async def get(self, tenant: str, batch_id: str) -> KeptBatch:
        """The batch. Raises `BatchNotFoundError`."""
        found = await self._kept(tenant, batch_id) if BATCH_ID.fullmatch(batch_id) else None
        if found is None:
            raise BatchNotFoundError
        return found

    async def _kept(self, tenant: str, batch_id: str) -> KeptBatch | None:
        found: Any = await self._valkey.hmget(batch_key(tenant, batch_id), ["record", "cancelling_at"])
        raw, cancelling = found
        record = _read(BatchRecord, raw)
        at = int(cancelling) if cancelling is not None and cancelling.isdigit() and len(cancelling) < 13 else None
        return None if record is None else KeptBatch(record, raw, at)

    async def newest(self, tenant: str, *, after: str | None, limit: int) -> list[KeptBatch]:
        """Up to `limit` of the tenant's batches, the newest first, behind the one whose id is `after`."""
        ids = await self._page(batches_key(tenant), after, limit, newest_first=True)
        found = [await self._kept(tenant, each) for each in ids]
        if gone := [each for each, kept in zip(ids, found, strict=True) if kept is None]:
            await self._valkey.zrem(batches_key(tenant), *gone)
        return [kept for kept in found if kept is not None]

    async def cancel(self, tenant: str, batch_id: str) -> KeptBatch:
        """Let whoever brings the batch on end it; the batch now. Raises `BatchNotFoundError`."""
        kept = await self.get(tenant, batch_id)
        if kept.record.status in OVER:
            return kept
        await self._valkey.eval(CANCEL_BATCH, 1, batch_key(tenant, batch_id), str(int(time())))
        return await self.get(tenant, batch_id)

    async def open(self) -> list[tuple[str, str]]:
        """Every tenant's batches that are not over, the oldest first."""
        found: Any = await self._valkey.zrange(OPEN_BATCHES, 0, -1)
        return [owner_of(each) for each in found]

    async def save(
        self,
        tenant: str,
        kept: KeptBatch,
        record: BatchRecord,
        *,
        ended: Sequence[int] = (),
        parts: Sequence[str] = (),
        begun: Mapping[int, str] | None = None,
    ) -> KeptBatch | None:
        """Change the record and what goes with it in one step; None when another process has changed it since."""
        raw = record.model_dump_json()
        keys = [batch_key(tenant, record.id), lines_key(tenant, record.id), parts_key(tenant, record.id)]
        lines = [word for number, line in (begun or {}).items() for word in (number, line)]
        arguments = [kept.raw, raw, len(ended), *ended, len(parts), *parts, *lines]
        if not await self._valkey.eval(SAVE, len(keys), *keys, *arguments):
            return None
        return KeptBatch(record, raw.encode(), kept.cancelling_at)

    async def lines(self, tenant: str, batch_id: str) -> dict[int, bytes]:
        """The lines that are being answered, by number, in their order."""
        found: Any = await self._valkey.hgetall(lines_key(tenant, batch_id))
        return {number: found[b"%d" % number] for number in sorted(int(each) for each in found if each.isdigit())}

    async def parts(self, tenant: str, batch_id: str) -> list[str]:
        """The names of the parts of its files, in the order in which they were written."""
        found: Any = await self._valkey.lrange(parts_key(tenant, batch_id), 0, -1)
        return [each.decode(errors="replace") for each in found]

    async def close(self, tenant: str, batch_id: str) -> None:
        """A batch is over: only its record is kept, as long as its files."""
        async with self._valkey.pipeline() as pipeline:
            pipeline.delete(lines_key(tenant, batch_id), parts_key(tenant, batch_id))
            pipeline.expire(batch_key(tenant, batch_id), KEEP_SECONDS)
            pipeline.zrem(OPEN_BATCHES, member(tenant, batch_id))
            await pipeline.execute()

    async def _page(self, key: str, after: str | None, limit: int, *, newest_first: bool) -> list[str]:
        """Ids of a page. Raises nothing for an `after` that is gone: then it is the first page."""
        place = await self._valkey.zscore(key, after) if after is not None else None
        start = "-inf" if place is None else f"({place:.0f}"
        found: Any
        if newest_first:
            start = "+inf" if place is None else start
            found = await self._valkey.zrevrangebyscore(key, start, "-inf", start=0, num=limit)
        else:
            found = await self._valkey.zrangebyscore(key, start, "+inf", start=0, num=limit)
        return [each.decode(errors="replace") for each in found]


def new_file_id() -> str:
    """The id of a new file."""
    return f"file-{uuid4().hex}"


def new_batch_id() -> str:
    """The id of a new batch."""
    return f"batch_{uuid4().hex}"


def member(tenant: str, name: str) -> str:
    """A tenant's file or batch among everyone's."""
    return f"{tenant}/{name}"


def owner_of(found: bytes) -> tuple[str, str]:
    """Tenant and id of what `member` gives."""
    tenant, _, name = found.decode(errors="replace").partition("/")
    return tenant, name


def patterns(tenant: str) -> tuple[str, ...]:
    """What fits each key that is a tenant's, as Valkey's SCAN has patterns; the batches' own first."""
    each = (batch_key, file_key, lines_key, parts_key, lock_key)
    return (*(key(tenant, "*") for key in each), files_key(tenant), file_bytes_key(tenant), batches_key(tenant))


def forget_members(connection: "Redis", tenant: str) -> None:
    """Take what is a tenant's out of the sets of everyone's."""
    for key in (OPEN_BATCHES, EXPIRING):
        for found, _ in connection.zscan_iter(key, match=member(tenant, "*")):
            connection.zrem(key, found)


def _file_keys(tenant: str, file_id: str) -> list[str]:
    return [file_key(tenant, file_id), files_key(tenant), file_bytes_key(tenant), EXPIRING]


def _read(model: type[Record], raw: bytes | None) -> Record | None:
    """The record; None for what is none of ours."""
    if raw is None or len(raw) > RECORD_BYTES_MAX:
        return None
    try:
        return model.model_validate_json(raw)
    except ValidationError:
        return None
