"""A job's event log, read back from Valkey in either of its forms."""

from typing import Any

import orjson
from redis import Redis

from app.core.events import log_key
from app.core.packed_log import unpack

Event = tuple[str, dict[str, Any]]


def log_of(valkey: Redis, job_id: str) -> list[Event]:
    """The job's events, whose numbers have no gap."""
    client: Any = valkey
    key = log_key(job_id)
    if client.type(key) == b"string":
        return [(run.type.value, orjson.loads(data)) for run in unpack(client.get(key)) for data in run.each()]
    entries = client.xrange(key)
    assert [entry_id.decode() for entry_id, _ in entries] == [f"0-{n}" for n in range(1, len(entries) + 1)]
    return [(fields[b"t"].decode(), orjson.loads(fields[b"d"])) for _, fields in entries]
