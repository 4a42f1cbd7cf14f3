"""A kept answer becomes a job that has ended: its record, result, events and outbox, in one step, as a worker's end
would leave them. Nobody has to take it off a queue, and whatever is asked of a job may be asked of it.
"""

from base64 import b64encode
from datetime import datetime
from typing import Any

from rq.job import JobStatus as RqStatus
from rq.utils import utcformat

from app.core.contract import AnswerResult
from app.core.events import EventType, encode
from app.core.queue.outbox import ENDED
from app.core.queue.pipelined import Argument
from app.core.queue.scripts import REMEMBER, REPLAY, VERSION
from app.core.serializer import PlainSerializer

FINISH = (
    ENDED
    + f"""
local function finish(keys, id, value, started, delta, seconds)
  local now = redis.call('TIME')
  local at = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  local events = {{
    {{'{EventType.STARTED}', started}}, {{'{EventType.DELTA}', delta}}, {{'{EventType.ENDED}', '{{}}'}},
  }}
  for _, event in ipairs(events) do
    if event[2] ~= '' then
      local number = redis.call('XADD', keys.log, '0-*', 't', event[1], 'd', event[2], 'at', at)
      redis.call('PUBLISH', keys.log, string.sub(number, 3) .. ' ' .. event[1] .. ' ' .. event[2])
    end
  end
  redis.call('EXPIRE', keys.log, seconds)
  redis.call('XADD', keys.results, 'MAXLEN', '~', 10, '*', 'type', 1, 'worker_name', '', 'return_value', value)
  redis.call('EXPIRE', keys.results, seconds)
  redis.call('ZADD', keys.finished, now[1] + seconds, id)
  redis.call('EXPIRE', keys.job, seconds)
  ended(keys.open, keys.outbox, id)
end
"""
)
"""For scripts that end a job with an answer that nobody has to make: `value` as RQ keeps results (`rq.results`)."""

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
finish(keys, ARGV[2], ARGV[8], ARGV[10], ARGV[11], tonumber(ARGV[9]))
local position = 1
"""
    + REMEMBER
    + """
return {'given', ARGV[2], position, ARGV[6]}
"""
)
"""KEYS: job, queue, idempotency, RQ's set of queues, webhook, open jobs, outbox, results, log, finished, those of the
version, the answer, the mark of the tenant's erasing. ARGV: the version that the answer has, job id, fingerprint or
'', seconds to keep key and webhook, prefix of job keys, when the answer expires, webhook as JSON or '', the result,
seconds to keep it, data of the event that it has begun, data of its only piece, then the job's fields and values.
What became of it, as `SUBMIT` says it; 'stale' when the answer is not to be given any more."""


def told(result: AnswerResult, attempt: int = 1) -> list[Argument]:
    """Data of the two events that tell an answer: it has begun, and all of it."""
    return [encode({"attempt": attempt}), encode({"text": result.answer})]


def stored(result: AnswerResult) -> bytes:
    """The result as RQ keeps it."""
    return b64encode(PlainSerializer.dumps(result.model_dump(mode="json")))


def finished_fields(moment: datetime) -> dict[str, Any]:
    """Fields of a job that began and ended at once."""
    at = utcformat(moment)
    return {"status": RqStatus.FINISHED.value, "started_at": at, "ended_at": at}
