"""Identical questions of one tenant that are asked at once share one answer: one is asked, the others wait for it.

The first that a worker takes leads, by a lease in Valkey. Who finds that another leads is put aside, among RQ's
scheduled jobs, and holds no thread; there its wait has an end, too, so that nothing that happens to the leader can
make it wait for more than `WAIT_SECONDS`: then it is taken anew. A leader that has its answer ends with it those that
wait. One that has none (it failed, was cancelled, was put back) gives its place to
the first of them. A lease holds only while its job runs: whoever finds a killed worker's job makes way for the next.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from time import time

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.utils import now, utcformat

from app.core.contract import QUERY_QUEUE, AnswerResult
from app.core.events import EventType
from app.core.logging import get_logger
from app.core.queue.answers import answers_prefix
from app.core.queue.given import FINISH, stored, whole
from app.core.queue.outbox import OPEN, OUTBOX
from app.core.queue.scripts import ANSWER_BYTES_MAX, BEYOND_MAXMEMORY
from worker.runtime.measures import measures

WAIT_SECONDS = 30
"""How long a question is put aside at most. A leader that is killed is found dead in half of that."""
BATCH = 50
"""Questions that one step ends: two milliseconds of Valkey's."""
WAITS_FOR = "waits_for"
"""The field of a job's record that says which lease it was put aside for."""

_LEAD = f"""{BEYOND_MAXMEMORY}
local leader = redis.pcall('GET', KEYS[1])
if type(leader) == 'string' and leader ~= ARGV[1] then
  if redis.pcall('HGET', 'rq:job:' .. leader, 'status') == 'started' then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
local kept = redis.pcall('HMGET', KEYS[2], 'version', 'answer')
if not kept.err and kept[1] == ARGV[3] and kept[2] and #kept[2] <= {ANSWER_BYTES_MAX} then return kept[2] end
return 1
"""
"""KEYS: lease, the kept answer. ARGV: job id, seconds after which it is forgotten, version. 0 when another job leads;
when this one does, 1, or the answer that was kept since somebody looked for it: the last leader had it."""

_NEXT = f"""{BEYOND_MAXMEMORY}
local leader = redis.pcall('GET', KEYS[1])
if ARGV[1] ~= '' then
  if leader ~= ARGV[1] then return 0 end
  redis.call('DEL', KEYS[1])
elseif type(leader) == 'string' and redis.pcall('HGET', 'rq:job:' .. leader, 'status') == 'started' then
  return 0
end
while true do
  local found = redis.pcall('ZPOPMIN', KEYS[2])
  local id = not found.err and found[1]
  if not id then return 0 end
  local job = 'rq:job:' .. id
  local state = redis.pcall('HMGET', job, 'status', '{WAITS_FOR}')
  if state[1] == 'scheduled' and state[2] == KEYS[1] then
    redis.call('ZREM', KEYS[4], id)
    redis.call('HDEL', job, '{WAITS_FOR}')
    redis.call('HSET', job, 'status', 'queued')
    redis.call('LPUSH', KEYS[3], id)
    return 1
  end
end
"""
"""KEYS: lease, those that wait, queue, scheduled. ARGV: the job that gives its lease up, or '' when nobody may have
it. The first that waits goes back to the queue, before all others, unless somebody leads; 1 when one did."""

_SHARE = (
    BEYOND_MAXMEMORY
    + FINISH
    + f"""
local function tell(log, event, data)
  local now = redis.call('TIME')
  local at = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  local number = redis.call('XADD', log, '0-*', 't', event, 'd', data, 'at', at)
  redis.call('PUBLISH', log, string.sub(number, 3) .. ' ' .. event .. ' ' .. data)
end
if ARGV[1] ~= '' and redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
local found = redis.pcall('ZPOPMIN', KEYS[2], {BATCH})
if found.err then return {{0, 0}} end
local shared = 0
for i = 1, #found, 2 do
  local id = found[i]
  local job = 'rq:job:' .. id
  local state = redis.pcall('HMGET', job, 'status', '{WAITS_FOR}', 'tenant')
  if state[1] == 'scheduled' and state[2] == KEYS[1] and state[3] == ARGV[2] then
    redis.call('ZREM', KEYS[3], id)
    redis.call('HDEL', job, '{WAITS_FOR}')
    redis.call('HSET', job, 'status', 'finished', 'ended_at', ARGV[3], 'kept', ARGV[4])
    local keys = {{job = job, open = KEYS[5], outbox = KEYS[6], results = 'rq:results:' .. id,
      log = 'rag:events:' .. id, finished = KEYS[4]}}
    tell(keys.log, '{EventType.DELTA}', ARGV[7])
    tell(keys.log, '{EventType.ENDED}', '{{}}')
    redis.call('EXPIRE', keys.log, ARGV[8])
    finish(keys, id, ARGV[5], ARGV[6], tonumber(ARGV[8]))
    shared = shared + 1
  end
end
return {{#found, shared}}
"""
)
"""KEYS: lease, those that wait, scheduled, finished, open jobs, outbox. ARGV: the job that has led, tenant, time, the
kept answer's hash, the result's name and value, data of the event that is its only piece, seconds to keep it. How
many places were looked at, twice over, and how many jobs have ended with the answer."""

log = get_logger(__name__)


class WaitError(Exception):
    """Another job is being answered that asks the same; `waiting` says how to put this one aside."""

    def __init__(self, waiting: "Waiting") -> None:
        super().__init__(waiting.lease)
        self.waiting = waiting


class Waiting:
    """Those of a tenant that ask one question now, of one version of its collection: `mark` names them."""

    def __init__(self, connection: "Redis", job: Job, tenant: str, mark: str, version: bytes) -> None:
        self._connection = connection
        self._job = job
        self._tenant = tenant
        self._mark = mark
        self._version = version
        self.lease = f"rag:asking:{tenant}/{mark}/{version.decode()}"
        self._waiting = f"{self.lease}:waiting"
        self._queue, self._scheduled = f"rq:queue:{QUERY_QUEUE}", f"rq:scheduled:{QUERY_QUEUE}"

    @contextmanager
    def leading(self, *, seconds: int) -> Iterator[object]:
        """Around the making of the answer; what is kept of it by now. Raises `WaitError` when another makes it."""
        found: object = None
        with self._forgiving("lead"):
            key = answers_prefix(self._tenant) + self._mark
            found = self._connection.eval(_LEAD, 2, self.lease, key, self._job.id, seconds, self._version)
        if found == 0:
            raise WaitError(self)
        try:
            yield found
        finally:
            with self._forgiving("give_up_lead"):
                self._next(self._job.id)

    def share(self, result: AnswerResult, mark: str, *, seconds: int) -> None:
        """End all that wait with the answer, which is kept under `mark`.

        Who finds the lease gone, and is not put aside yet, does not wait.
        """
        keys = (self.lease, self._waiting, self._scheduled, f"rq:finished:{QUERY_QUEUE}", OPEN, OUTBOX)
        with self._forgiving("share"):
            looked_at, total = 1, 0
            while looked_at:
                given = (self._job.id, self._tenant, utcformat(now()), mark, *stored(result), whole(result), seconds)
                looked_at, shared = self._connection.eval(_SHARE, len(keys), *keys, *given)
                total += shared
            for _ in range(total):
                measures().cache("in_flight", is_hit=True)
            if total:
                log.info("answer_shared", jobs=total)

    def put_aside(self, pipeline: Pipeline) -> None:
        """Put into `pipeline` what makes the running job one that waits."""
        due = ceil(time()) + WAIT_SECONDS
        pipeline.hset(self._job.key, mapping={"status": RqStatus.SCHEDULED.value, WAITS_FOR: self.lease})
        pipeline.zadd(self._scheduled, {self._job.id: due})
        pipeline.zadd(self._waiting, {self._job.id: time()})
        pipeline.expire(self._waiting, 4 * WAIT_SECONDS)

    def settle(self) -> None:
        """After `put_aside`: the leader may have come to its end before, and seen nobody wait."""
        with self._forgiving("settle"):
            self._next("")

    def _next(self, leader: str) -> None:
        keys: Sequence[str] = (self.lease, self._waiting, self._queue, self._scheduled)
        self._connection.eval(_NEXT, len(keys), *keys, leader)

    @contextmanager
    def _forgiving(self, during: str) -> Iterator[None]:
        """Sharing saves work and is never needed: who waits is taken anew in `WAIT_SECONDS`."""
        with suppress(RedisError):
            try:
                yield
            except RedisError as error:
                log.warning("not_shared", during=during, reason=type(error).__name__)
                raise
