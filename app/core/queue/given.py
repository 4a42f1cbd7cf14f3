"""A kept answer becomes a job that has ended: its record, result, events and outbox, in one step, as a worker's end
would leave them. Nobody has to take it off a queue, and whatever is asked of a job may be asked of it.
"""

from datetime import datetime
from typing import Any

from rq.job import JobStatus as RqStatus
from rq.utils import utcformat

from app.core.contract import AnswerResult
from app.core.events import EventType, encode
from app.core.packed_log import Told, pack
from app.core.queue.outbox import ENDED
from app.core.queue.pipelined import Argument
from app.core.queue.records import result_fields
from app.core.queue.scripts import REMEMBER, REPLAY, VERSION

FINISH = (
    ENDED
    + """
local function finish(keys, id, name, value, seconds)
  redis.call('XADD', keys.results, 'MAXLEN', '~', 10, '*', 'type', 1, name, value)
  redis.call('EXPIRE', keys.results, seconds)
  redis.call('ZADD', keys.finished, redis.call('TIME')[1] + seconds, id)
  redis.call('EXPIRE', keys.job, seconds)
  ended(keys.open, keys.outbox, id)
end
"""
)
"""For scripts that end a job with an answer that nobody has to make, which `name` and `value` are
(`app.core.queue.records.result_fields`). Its events are the caller's to write."""

GIVE = (
    VERSION
    + FINISH
    + """
if redis.call('EXISTS', KEYS[15]) == 1 then return {'erasing'} end
"""
    + REPLAY
    + """
if version(KEYS[11], KEYS[12], KEYS[13]) ~= ARGV[1] then return {'stale'} end
if redis.pcall('HGET', KEYS[14], 'version') ~= ARGV[1] then return {'stale'} end
redis.call('HSET', KEYS[1], unpack(ARGV, 12))
redis.call('SADD', KEYS[4], KEYS[2])
local keys = {job = KEYS[1], open = KEYS[6], outbox = KEYS[7], results = KEYS[8], log = KEYS[9], finished = KEYS[10]}
redis.call('SET', KEYS[9], ARGV[11], 'EX', ARGV[10])
finish(keys, ARGV[2], ARGV[8], ARGV[9], tonumber(ARGV[10]))
local position = 1
"""
    + REMEMBER
    + """
return {'given', ARGV[2], position, ARGV[6]}
"""
)
"""KEYS: job, queue, idempotency, RQ's set of queues, webhook, open jobs, outbox, results, log, finished, those of the
version, the answer, the mark of the tenant's erasing. ARGV: the version that the answer has, job id, fingerprint or
'', seconds to keep key and webhook, prefix of job keys, when the answer expires, webhook as JSON or '', the result's
name and value, seconds to keep it, its packed log, then the job's fields and values.
What became of it, as `SUBMIT` says it; 'stale' when the answer is not to be given any more."""


def told(result: AnswerResult, moment: datetime) -> bytes:
    """The packed log of a job that is given an answer: it has begun, said all of it, and ended."""
    at = round(moment.timestamp() * 1000)
    events: list[Told] = [
        (EventType.STARTED, encode({"attempt": 1}), at),
        (EventType.DELTA, result.answer, at),
        (EventType.ENDED, encode({}), at),
    ]
    packed = pack(events)
    assert packed is not None, "a kept answer is short"
    return packed


def whole(result: AnswerResult) -> bytes:
    """Data of the event that tells all of an answer at once."""
    return encode({"text": result.answer})


def stored(result: AnswerResult) -> list[Argument]:
    """Name and value of the result, in the entry that a job's results have."""
    [(name, value)] = result_fields(result.model_dump(mode="json")).items()
    return [name, value]


def finished_fields(moment: datetime) -> dict[str, Any]:
    """Fields of a job that began and ended at once."""
    at = utcformat(moment)
    return {"status": RqStatus.FINISHED.value, "started_at": at, "ended_at": at}
