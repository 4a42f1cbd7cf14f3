"""Reading a job's event log (`app.core.events`). What is read is checked: it goes to clients as it is."""

from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis as AsyncRedis

from app.core.events import EventType, log_key

READ_BATCH = 512
EVENT_BYTES_MAX = 1 << 20
"""Of one event's data; the largest of ours, what a search has found, is some 10 kB."""
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
    """The next `READ_BATCH` entries after number `after`; what is no event of ours is left out."""
    entries: Any = await valkey.xrange(log_key(job_id), min=f"(0-{after}", count=READ_BATCH)
    found = [_from_entry(entry_id, fields) for entry_id, fields in entries]
    return Page([event for event in found if event is not None], _number(entries[-1][0]) if entries else 0)


async def end_number(valkey: "AsyncRedis", job_id: str) -> int:
    """The number of the last event of a job that has ended; a stock worker's log lacks its end."""
    entries: Any = await valkey.xrevrange(log_key(job_id), count=1)
    if not entries:
        return 1
    entry_id, fields = entries[0]
    is_whole = fields.get(b"t") == EventType.ENDED.value.encode()
    return _number(entry_id) + (0 if is_whole else 1)


def from_message(message: bytes) -> Event | None:
    """The event that was published, as "N type data"; None when it is none of ours."""
    number, _, rest = message.partition(b" ")
    name, _, data = rest.partition(b" ")
    return _event(number, name, data)


def _from_entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Event | None:
    return _event(entry_id.partition(b"-")[2], fields.get(b"t", b""), fields.get(b"d", b""))


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
