"""Reading a job's event log (`app.core.events`). What is read is checked: it goes to clients as it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis as AsyncRedis

from app.core.events import EventType, log_key
from app.core.packed_log import PACKED_BYTES_MAX, Run, unpack

READ_BATCH = 512
EVENT_BYTES_MAX = 1 << 20
"""Of one event's data; the largest of ours, what a search has found, is some 10 kB."""

READ = """
if redis.call('TYPE', KEYS[1]).ok ~= 'string' then
  return redis.call('XRANGE', KEYS[1], '(0-' .. ARGV[1], '+', 'COUNT', ARGV[2])
end
return redis.call('STRLEN', KEYS[1]) <= tonumber(ARGV[3]) and redis.call('GET', KEYS[1]) or {}
"""
"""KEYS: log. ARGV: the number to begin after, how many entries, most bytes of a packed log. The entries of a stream,
or a packed log whole."""

LAST = """
if redis.call('TYPE', KEYS[1]).ok ~= 'string' then return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1) end
return redis.call('STRLEN', KEYS[1]) <= tonumber(ARGV[1]) and redis.call('GET', KEYS[1]) or {}
"""
"""KEYS: log. ARGV: most bytes of a packed log. The last entry of a stream, or a packed log whole."""

_TYPES = {event_type.value.encode(): event_type for event_type in EventType}


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a job. `data` is a JSON object on one line; `n` counts from 1 and has no gaps."""

    n: int
    type: EventType
    data: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a log: its events, and the number of its last entry, 0 when there is none."""

    events: list[Event]
    last: int


async def read_log(valkey: "AsyncRedis", job_id: str, *, after: int) -> Page:
    """The next `READ_BATCH` entries after number `after`, or all of a packed log; what is no event of ours is left
    out."""
    entries: Any = await valkey.eval(READ, 1, log_key(job_id), after, READ_BATCH, PACKED_BYTES_MAX)
    if isinstance(entries, bytes):
        events = _after(after, unpack(entries))
        return Page(events, events[-1].n if events else 0)
    found = [_from_entry(entry_id, fields) for entry_id, fields in entries]
    return Page([event for event in found if event is not None], _number(entries[-1][0]) if entries else 0)


async def end_number(valkey: "AsyncRedis", job_id: str) -> int:
    """The number of the last event of a job that has ended; a stock worker's log lacks its end."""
    entries: Any = await valkey.eval(LAST, 1, log_key(job_id), PACKED_BYTES_MAX)
    if isinstance(entries, bytes):
        return sum(run.count for run in unpack(entries)) or 1
    if not entries:
        return 1
    entry_id, flat = entries[0]
    is_whole = _fields(flat).get(b"t") == EventType.ENDED.value.encode()
    return _number(entry_id) + (0 if is_whole else 1)


def from_message(message: bytes) -> Event | None:
    """The event that was published, as "N type data"; None when it is none of ours."""
    number, _, rest = message.partition(b" ")
    name, _, data = rest.partition(b" ")
    return _event(number, name, data)


def _after(after: int, runs: Iterable[Run]) -> list[Event]:
    """The events of a packed log after number `after`."""
    found: list[Event] = []
    number = 0
    for run in runs:
        if number + run.count > after:
            numbered = enumerate(run.each(), start=number + 1)
            found += [Event(n, run.type, data) for n, data in numbered if n > after and len(data) <= EVENT_BYTES_MAX]
        number += run.count
    return found


def _from_entry(entry_id: bytes, flat: list[bytes]) -> Event | None:
    fields = _fields(flat)
    return _event(entry_id.partition(b"-")[2], fields.get(b"t", b""), fields.get(b"d", b""))


def _fields(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=False))


def _number(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[2])


def _event(number: bytes, name: bytes, data: bytes) -> Event | None:
    event_type = _TYPES.get(name)
    if event_type is None or not number.isdigit() or b"\n" in data or b"\r" in data or len(data) > EVENT_BYTES_MAX:
        return None
    try:
        return Event(int(number), event_type, data) if isinstance(orjson.loads(data), dict) else None
    except orjson.JSONDecodeError:
        return None
