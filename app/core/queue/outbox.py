"""The outbox of ended jobs: a stream in Valkey with an entry for every job that has ended, whoever ended it.

What follows from a job's end reads it: webhooks, the catalog of documents, and the queues' history. Our workers,
their recovery and `cancel` append the entry in the step that ends the job. RQ's own workers know nothing of it: their
jobs stay in the set of open ones, which the API looks through. See docs/decisions/outbox.md.
"""

from collections.abc import Iterable

OUTBOX = "rag:ended"
"""The stream. An entry's only field, `job`, is the job's id: what became of it stands in its record."""
OPEN = "rag:open"
"""The set of jobs that are not in the outbox yet."""
ENTRIES_MAX = 1_000_000
"""Beyond, the oldest go unread: some 80 MB, should no API process run for days."""
READERS = ("webhooks", "documents", "history")
"""All that read it, by name. An entry is kept until each of them has."""
OPTIONAL = {"chat_log": 7 * 86_400}
"""Readers that only some installations have, and for how many seconds one that is away is waited for: they count
from the first time that they read. A reader that is gone for good holds nothing back after that."""

START = "0-0"
"""The cursor of a reader that has read nothing."""

ENDED = f"""
local function ended(open, outbox, job)
  redis.call('SREM', open, job)
  redis.call('XADD', outbox, 'MAXLEN', '~', {ENTRIES_MAX}, '*', 'job', job)
end
"""
"""For scripts that end a job: it is open no more, and stands in the outbox."""

CANCELED = """
local function canceled(job, id, registry, seconds)
  redis.call('HSET', job, 'status', 'canceled')
  redis.call('EXPIRE', job, seconds)
  redis.pcall('ZADD', registry, redis.call('TIME')[1] + seconds, id)
end
"""
"""For scripts that cancel a job: it stands among its queue's canceled ones until its record goes, as RQ's registries
of finished and failed jobs have it. RQ itself keeps a canceled job and its entry for ever."""

NOW = """
local function now()
  local time = redis.call('TIME')
  return string.format('%d.%06d', time[1], time[2])
end
"""
"""For scripts that note when something was: seconds since 1970, by Valkey's clock, with six digits."""

SWEEP = f"""
{ENDED}
{CANCELED}
local over = {{finished = true, failed = true, stopped = true, canceled = true}}
local found = 0
for i = 3, #ARGV do
  local job = ARGV[1] .. ARGV[i]
  local state = redis.call('HMGET', job, 'status', 'origin')
  if not state[1] then
    redis.call('SREM', KEYS[1], ARGV[i])
  elseif over[state[1]] and redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 then
    if state[2] and (state[1] == 'stopped' or state[1] == 'canceled') then
      redis.pcall('ZREM', 'rq:failed:' .. state[2], ARGV[i])
      canceled(job, ARGV[i], 'rq:canceled:' .. state[2], ARGV[2])
    end
    ended(KEYS[1], KEYS[2], ARGV[i])
    found = found + 1
  end
end
return found
"""
"""KEYS: open, outbox. ARGV: prefix of job keys, seconds to keep a canceled job, ids of open jobs. Appends those that
have ended; how many. RQ's own workers count a job that is stopped as failed: it is put among the canceled ones."""

ADVANCE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'KEEPTTL')
return 1
"""
"""KEYS: reader's lock, reader's cursor. ARGV: who holds the lock, milliseconds to hold it on, the last entry that was
read. 0 when the lock is another's by now."""

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
"""KEYS: reader's lock. ARGV: who holds it."""


def cursor_key(reader: str) -> str:
    """The key of the cursor: the id of the last entry that `reader` has read."""
    return f"{OUTBOX}:cursor:{reader}"


def lock_key(reader: str) -> str:
    """The key of the lock: the one process that reads for `reader` holds it."""
    return f"{OUTBOX}:lock:{reader}"


def earliest(cursors: Iterable[bytes | None]) -> str:
    """The cursor that is behind all others; entries before it have been read by everyone."""
    return min((cursor.decode() if cursor else START for cursor in cursors), key=_order)


def _order(entry: str) -> tuple[int, int]:
    """A stream's ids are milliseconds and a number, and not ordered as text."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)
