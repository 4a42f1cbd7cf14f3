"""The last hour of each queue, minute by minute, in Valkey: written by a reader of the outbox of ended jobs.

It is the same whichever API process is asked, and after all of them were restarted. A job counts in the minute in
which it ended, once for each of its ends, however often the outbox gives it. A job that was removed within the second
before it was read is not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from redis.asyncio import Redis
from rq.job import Job

from app.core.queue.records import TOKENS
from app.core.queue.scripts import BEYOND_MAXMEMORY
from app.jobs.ends import FIELDS, MINUTES_MAX, End, end_of, minute_of
from app.jobs.histogram import BUCKETS

KEEP_SECONDS = (MINUTES_MAX + 5) * 60
"""How long a minute's counts are kept: somewhat longer than they are shown, as clocks differ."""
FIELDS_MAX = 2 * BUCKETS + 16
"""Of a minute's hash: one that has more is not ours, and is not read."""

COUNTS = ("finished", "failed", "stopped", "retries", *TOKENS)
"""What is counted of a minute, by name; beside them `w0`, `w1`... and `t0`, `t1`... are the histograms of waiting and
of the whole."""
VALUE_BYTES_MAX = 64
"""Of each field of a record that counts: a time is 27. What is longer is not read."""

FIND = """
local found = {}
for i = 4, 3 + ARGV[3] do
  local record = redis.pcall('HMGET', ARGV[1] .. ARGV[i], unpack(ARGV, 4 + ARGV[3]))
  if record.err then record = {} end
  for n, value in ipairs(record) do
    if value and #value > tonumber(ARGV[2]) then record[n] = false end
  end
  found[i - 3] = record
end
return found
"""
"""ARGV: prefix of job keys, most bytes of a value, how many jobs, their ids, names of fields. These of each
record."""

COUNT = f"""{BEYOND_MAXMEMORY}
local i, counted = 3, 0
while i <= #ARGV do
  local job, ended, size, key = ARGV[1] .. ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local state = redis.pcall('HMGET', job, 'ended_at', 'counted')
  if state[1] == ended and state[2] ~= ended then
    local first = redis.pcall('HINCRBY', key, ARGV[i + 4], ARGV[i + 5])
    if type(first) == 'table' then redis.call('DEL', key) end
    for field = i + (type(first) == 'table' and 4 or 6), i + 3 + size, 2 do
      redis.pcall('HINCRBY', key, ARGV[field], ARGV[field + 1])
    end
    redis.call('EXPIRE', key, ARGV[2])
    redis.call('HSET', job, 'counted', ended)
    counted = counted + 1
  end
  i = i + 4 + size
end
return counted
"""
"""ARGV: prefix of job keys, seconds to keep a minute, then for each job its id, when it ended as its record has it,
how many arguments follow its key, the key of its minute, and fields with what to add to them. Counts each end once;
how many were counted now. What is no hash is replaced."""

READ = """
local found, buckets, minutes = {}, tonumber(ARGV[1]), {}
for i = 3, #ARGV do found[ARGV[i]] = i - 2 end
local histograms = {w = {}, t = {}}
for _, all in pairs(histograms) do for i = 1, buckets do all[i] = 0 end end
local function number(text)
  return #text < 16 and string.find(text, '^%d+$') and tonumber(text) or 0
end
for n, key in ipairs(KEYS) do
  local counts = {}
  for i = 1, #ARGV - 2 do counts[i] = 0 end
  local size = redis.pcall('HLEN', key)
  if type(size) == 'number' and size > 0 and size <= tonumber(ARGV[2]) then
    local pairs = redis.call('HGETALL', key)
    for i = 1, #pairs, 2 do
      local name, value = pairs[i], number(pairs[i + 1])
      if found[name] then
        counts[found[name]] = value
      elseif #name < 4 and string.find(name, '^[wt]%d+$') then
        local all, bucket = histograms[string.sub(name, 1, 1)], tonumber(string.sub(name, 2))
        if all[bucket + 1] then all[bucket + 1] = all[bucket + 1] + value end
      end
    end
  end
  minutes[n] = counts
end
return {minutes, histograms.w, histograms.t}
"""
"""KEYS: a queue's minutes. ARGV: how many buckets, most fields of a minute that is ours, names of counts. The counts
of each minute, and both histograms of all of them; nothing for what is not of our making."""


@dataclass(frozen=True, slots=True)
class QueueHistory:
    """What became of a queue's jobs: `counts` of each minute by name, the oldest first, and two histograms of them
    all.

    `minutes` are their beginnings, in UTC; the last one is not over.
    """

    minutes: Sequence[datetime]
    counts: Sequence[Mapping[str, int]]
    waiting: Sequence[int]
    whole: Sequence[int]


class History:
    """Counts ended jobs, and tells the counts. Methods raise one of `VALKEY_UNAVAILABLE`."""

    def __init__(self, valkey: Redis) -> None:
        self._find = valkey.register_script(FIND)
        self._count = valkey.register_script(COUNT)
        self._read = valkey.register_script(READ)

    async def ended(self, job_ids: Sequence[str]) -> None:
        """Count these jobs, as far as they have ended: two round trips for all."""
        prefix, now = Job.redis_job_namespace_prefix, datetime.now(UTC)
        records = await self._find(args=[prefix, VALUE_BYTES_MAX, len(job_ids), *job_ids, *FIELDS])
        ends = [
            _as_arguments(job_id, end)
            for job_id, record in zip(job_ids, records, strict=True)
            if record and (end := end_of(dict(zip(FIELDS, record, strict=True)), now)) is not None
        ]
        if ends:
            await self._count(args=[prefix, KEEP_SECONDS, *chain.from_iterable(ends)])

    async def of(self, queue: str, minutes: int) -> QueueHistory:
        """The last `minutes` of `queue`, the one that runs among them: one round trip."""
        last = minute_of(datetime.now(UTC))
        starts = [last - timedelta(minutes=back) for back in reversed(range(minutes))]
        rows, waiting, whole = await self._read(
            keys=[minute_key(queue, start) for start in starts], args=[BUCKETS, FIELDS_MAX, *COUNTS]
        )
        counts = [dict(zip(COUNTS, row, strict=True)) for row in rows]
        return QueueHistory(starts, counts, waiting, whole)


def minute_key(queue: str, start: datetime) -> str:
    """The key of a queue's counts of the minute that begins at `start`."""
    return f"rag:history:{queue}:{start:%Y-%m-%dT%H:%M}"


def _as_arguments(job_id: str, end: End) -> list[Any]:
    key = minute_key(end.queue, end.minute)
    return [job_id, end.ended_at, 2 * len(end.counts), key, *chain.from_iterable(end.counts.items())]
