"""A job's event log: a Valkey stream, published as it grows.

An event's sequence number is the stream's own id, `0-N`: N counts from 1 and has no gaps. Number 0 is `job.queued`,
which is read from the job's record and stored nowhere. An entry has the event's type `t`, its data `d`, and `at`,
when it happened, in milliseconds since 1970: for a job's timeline, and not for the stream's clients. What became of a
job stands in its record alone: the log only says `ended`, so that whoever follows it reads the record then.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson

MAX_EVENTS = 4096
"""Bound of one job's log; the oldest go first. An answer of 60 s, written every 40 ms, has 1,500."""

NO_EVENT = 0
"""What comes before a log's first event."""


class EventType(StrEnum):
    """What is written to the log, in the words that a client of the stream sees; `ended` it never sees."""

    STARTED = "job.started"
    RETRIEVED = "retrieval.completed"
    DELTA = "answer.delta"
    ENDED = "ended"


APPEND = """
local now = redis.call('TIME')
local at = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '0-*', 't', ARGV[1], 'd', ARGV[2], 'at', at)
redis.call('EXPIRE', KEYS[1], ARGV[4])
local n = string.sub(id, 3)
redis.call('PUBLISH', KEYS[1], n .. ' ' .. ARGV[1] .. ' ' .. ARGV[2])
return tonumber(n)
"""
"""KEYS: log. ARGV: type, data as JSON, bound, seconds to keep it. The event's number.

What is published, on a channel named as the log, is the event itself: "N type data"."""


def log_key(job_id: str) -> str:
    """The key of a job's log, which is also its channel's name."""
    return f"rag:events:{job_id}"


def encode(data: Mapping[str, Any]) -> bytes:
    """An event's data as one line of JSON."""
    return orjson.dumps(dict(data))
