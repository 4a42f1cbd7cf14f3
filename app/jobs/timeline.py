"""A job's way through the service: its steps and when they were, from its record and its event log."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from rq.job import Job

from app.core.contract import Stage
from app.core.events import MAX_EVENTS, EventType, log_key
from app.core.packed_log import PACKED_BYTES_MAX, Run, unpack
from app.core.queue.records import JobView, moment_of, time_of

STEPS_MAX = 200
"""Of a log: what has more was sent back again and again, and its latest go unsaid."""
ENTRIES_MAX = 2 * MAX_EVENTS
TIME_BYTES_MAX = 32

READ = """
local record = redis.pcall('HMGET', KEYS[1], 'created_at', 'requeued_at')
if record.err then record = {} end
for n, value in ipairs(record) do
  if value and #value > tonumber(ARGV[3]) then record[n] = false end
end
if redis.call('TYPE', KEYS[2]).ok == 'string' then
  local packed = redis.call('STRLEN', KEYS[2]) <= tonumber(ARGV[8]) and redis.call('GET', KEYS[2]) or ''
  return {record[1] or '', record[2] or '', packed}
end
local steps, looked, from, is_silent = {}, 0, '-', true
while looked < tonumber(ARGV[1]) and #steps < tonumber(ARGV[2]) do
  local entries = redis.pcall('XRANGE', KEYS[2], from, '+', 'COUNT', 512)
  if entries.err or #entries == 0 then break end
  for _, entry in ipairs(entries) do
    local fields = {}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    local kind, at = fields.t or '', fields.at or ''
    local is_word = kind == ARGV[5]
    if kind == ARGV[4] then is_silent = true end
    if #at < 17 and (kind == ARGV[4] or kind == ARGV[6] or kind == ARGV[7] or (is_word and is_silent)) then
      steps[#steps + 1] = {kind, at}
    end
    if is_word then is_silent = false end
  end
  looked, from = looked + #entries, '(' .. entries[#entries][1]
end
return {record[1] or '', record[2] or '', steps}
"""
"""KEYS: job, event log. ARGV: most entries to look at, most steps, most bytes of a time, then the types of event that
begin an attempt, are a word, and say that it has retrieved and ended, and most bytes of a packed log. When the job
was made and sent back, and the type and time of each step: of the words the first of each attempt; or the packed
log."""

_NAMES = {
    EventType.STARTED.value: "started",
    EventType.RETRIEVED.value: "retrieved",
    EventType.DELTA.value: "first_word",
    EventType.ENDED.value: "failed",  # of a job that was sent back; how it ended at last stands in its record
}
_NAMED = (EventType.STARTED, EventType.DELTA, EventType.RETRIEVED, EventType.ENDED)
_ORDER = ("queued", "started", "retrieved", "parsing", "embedding", "first_word", "finished", "failed", "stopped")
"""Of steps at the same time."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, when it was, and the attempt that it belongs to, 0 before the first."""

    name: str
    at: datetime
    attempt: int


async def steps_of(valkey: Redis, view: JobView) -> Sequence[Step]:
    """The steps of the job in `view`, in their order; those whose times are known. Raises `VALKEY_UNAVAILABLE`.

    A job that was sent back is queued again, and its attempts count anew.
    """
    created, requeued, events = await valkey.register_script(READ)(
        keys=[Job.key_for(view.job_id), log_key(view.job_id)],
        args=[ENTRIES_MAX, STEPS_MAX, TIME_BYTES_MAX, *_NAMED, PACKED_BYTES_MAX],
    )
    if isinstance(events, bytes):
        events = list(islice(_steps_in(unpack(events)), STEPS_MAX))
    sent_back = _time(requeued)
    found = [*_from_record(view, created, sent_back), *_from_log(events, sent_back)]
    started = [at for name, at in found if name == "started"]
    if view.started_at is not None and not started:  # a worker that keeps no log
        found.append(("started", view.started_at))
    return list(_counted(sorted(found, key=lambda step: (step[1], _ORDER.index(step[0])))))


def _from_record(view: JobView, created: bytes, sent_back: datetime | None) -> Iterator[tuple[str, datetime]]:
    for at in (_time(created), sent_back):
        if at is not None:
            yield "queued", at
    for stage, at in view.stages.items():
        if stage in (Stage.PARSING, Stage.EMBEDDING):
            yield stage, at
    if view.ended_at is not None:
        yield view.status.value, view.ended_at


def _steps_in(runs: Iterable[Run]) -> Iterator[tuple[bytes, bytes]]:
    """Type and time of each step of a packed log, as the script has those of a stream."""
    is_silent = True
    for run in runs:
        if run.type is EventType.STARTED:
            is_silent = True
        if run.type is not EventType.DELTA or is_silent:
            yield run.type.value.encode(), str(run.at).encode()
        if run.type is EventType.DELTA:
            is_silent = False


def _from_log(events: Sequence[Any], sent_back: datetime | None) -> Iterator[tuple[str, datetime]]:
    for kind, at in events:
        moment, name = moment_of(int(at)) if at.isdigit() else None, kind.decode()
        if moment is None or (name == EventType.ENDED and (sent_back is None or moment >= sent_back)):
            continue
        yield _NAMES[name], moment


def _counted(steps: Sequence[tuple[str, datetime]]) -> Iterator[Step]:
    attempt = 0
    for name, at in steps:
        if name == "queued":
            attempt = 0
        elif name == "started":
            attempt += 1
        yield Step(name, at, attempt)


def _time(value: bytes) -> datetime | None:
    try:
        return time_of(value)
    except ValueError:
        return None
