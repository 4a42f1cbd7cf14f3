"""Who is next: jobs wait in lines by tenant, so that one tenant's flood makes no other wait.

RQ's own list is kept short, and any RQ worker may take from it. What does not fit waits in a sorted set of ours, in
the order of self-clocked fair queueing (S. J. Golestani, INFOCOM 1994): a job's tag is 1/weight above its tenant's
last one, or above that of the job that has left last, whichever is more, and the smallest tag leaves first. So each
tenant that waits has its turn, as often as its weight says, and the place of a job is its rank.

What is asked at low priority waits in a set of its own: behind all others, but every tenth job that leaves is one of
those. Whoever changes the list fills it: a submission, a worker that takes, and every half second any process.

    rag:line:QUEUE        waiting jobs by their tags
    rag:line:QUEUE:low    those of low priority
    rag:turns:QUEUE       a hash, there while anybody waits: where the clock of each set stands ("at n"), each
                          tenant's last tag and how many it has there ("last n:acme", "many n:acme"), and how many
                          have left since the last one of low priority ("since")

See docs/decisions/fair-queue.md.
"""

from typing import Literal

from app.core.contract import INGEST_QUEUE, PAGE_QUEUE, QUERY_QUEUE

Priority = Literal["normal", "low"]

LINED = frozenset({QUERY_QUEUE, INGEST_QUEUE, PAGE_QUEUE})
"""The queues that have lines: those of what tenants ask for. Webhooks hold each tenant to a share of the workers."""
LOW: Literal["low"] = "low"
WEIGHT_MAX = 100
PRIORITY_FIELD = "priority"
WEIGHT_FIELD = "weight"
"""Fields of a job's record, where they are not the usual ones."""
WORKERS_A_PLACE = 4
"""RQ's list holds one job for so many workers: what they take within a fraction of a model's call. Who comes new
waits behind it, so that it must be short; what RQ's own workers take in half a second must be in it, and each takes
some two seconds for a job."""
HIGH_IN_A_ROW = 9
FEED_MAX = 1_000
"""Jobs that one step looks at, some five milliseconds of Valkey's: those that RQ's tools have removed are dropped."""

LINES = f"""
local function lines_of(queue)
  local name = string.sub(queue, 10)
  return {{line = 'rag:line:' .. name, low = 'rag:line:' .. name .. ':low', turns = 'rag:turns:' .. name,
    workers = 'rq:workers:' .. name}}
end
local function tagged(turns, field)
  local value = tonumber(redis.call('HGET', turns, field) or '')
  return value and value >= 0 and value < 2^53 and value or 0
end
local function whose(tenant)
  return type(tenant) == 'string' and #tenant <= 128 and tenant or ''
end
local function line_up(queue, id, job)
  local lines, record = lines_of(queue), redis.call('HMGET', job, 'tenant', '{WEIGHT_FIELD}', '{PRIORITY_FIELD}')
  local is_low = record[3] == '{LOW}'
  local class, weight = is_low and 'l' or 'n', tonumber(record[2] or '')
  if not (weight and weight >= 1 and weight <= {WEIGHT_MAX}) then weight = 1 end
  local owner = class .. ':' .. whose(record[1])
  local tag = math.max(tagged(lines.turns, 'at ' .. class), tagged(lines.turns, 'last ' .. owner)) + 1 / weight
  tag = string.format('%.17g', tag)
  if redis.call('ZADD', is_low and lines.low or lines.line, tag, id) == 1 then
    redis.call('HSET', lines.turns, 'last ' .. owner, tag)
    redis.call('HINCRBY', lines.turns, 'many ' .. owner, 1)
  end
end
local function has_left(lines, class, tenant)
  local owner = class .. ':' .. whose(tenant)
  if redis.call('HINCRBY', lines.turns, 'many ' .. owner, -1) < 1 then
    redis.call('HDEL', lines.turns, 'many ' .. owner, 'last ' .. owner)
  end
end
local function waiting(queue)
  local lines = lines_of(queue)
  return redis.call('ZCARD', lines.line), redis.call('ZCARD', lines.low)
end
local function room_in(queue, lines)
  local workers = redis.pcall('SCARD', lines.workers)
  if type(workers) ~= 'number' then workers = 0 end
  return math.max(1, math.ceil(workers / {WORKERS_A_PLACE})) - redis.call('LLEN', queue)
end
local function feed(queue)
  local lines, high, low = lines_of(queue), waiting(queue)
  if high + low == 0 then return end
  local room = room_in(queue, lines)
  if room < 1 then return end
  local since = tagged(lines.turns, 'since')
  for _ = 1, {FEED_MAX} do
    local is_low = high == 0 or (low > 0 and since >= {HIGH_IN_A_ROW})
    local class, popped = is_low and 'l' or 'n', redis.call('ZPOPMIN', is_low and lines.low or lines.line)
    local record = redis.pcall('HMGET', 'rq:job:' .. popped[1], 'status', 'tenant')
    if record[1] == 'queued' then
      redis.call('RPUSH', queue, popped[1])
      room = room - 1
    end
    redis.call('HSET', lines.turns, 'at ' .. class, popped[2])
    has_left(lines, class, record[2])
    if is_low then low, since = low - 1, 0 else high, since = high - 1, since + 1 end
    if high + low == 0 then
      redis.call('DEL', lines.turns)
      return
    end
    if room == 0 then break end
  end
  redis.call('HSET', lines.turns, 'since', low > 0 and since or 0)
end
local function place_of(queue, id)
  local at = redis.call('LPOS', queue, id)
  if at then return at end
  local lines, high, low = lines_of(queue), waiting(queue)
  local since, before = tagged(lines.turns, 'since'), redis.call('LLEN', queue)
  at = redis.call('ZRANK', lines.line, id)
  if at then return before + at + math.min(low, math.floor((since + at) / {HIGH_IN_A_ROW})) end
  at = redis.call('ZRANK', lines.low, id)
  return at and before + at + math.min(high, math.max(0, {HIGH_IN_A_ROW} * (at + 1) - since))
end
local function enter(queue, id, job)
  local high, low = waiting(queue)
  if high + low == 0 and room_in(queue, lines_of(queue)) > 0 then
    redis.call('RPUSH', queue, id)
    return
  end
  line_up(queue, id, job)
  feed(queue)
end
local function leave(queue, id, job)
  if redis.call('LREM', queue, 0, id) > 0 then return end
  local lines = lines_of(queue)
  for class, key in pairs({{n = lines.line, l = lines.low}}) do
    if redis.call('ZREM', key, id) == 1 then
      has_left(lines, class, redis.call('HGET', job, 'tenant'))
      local high, low = waiting(queue)
      if high + low == 0 then redis.call('DEL', lines.turns) end
    end
  end
end
"""
"""For scripts: `enter(queue, id, job)` puts a job that is queued by its record onto RQ's list, if that has room and
nobody waits, else into its tenant's line; `line_up` into the line in any case. `leave` takes it off the queue,
wherever it waits there. `feed(queue)` fills RQ's list. `place_of(queue, id)` counts the jobs before one, nil for one
that does not wait; `waiting(queue)` those in lines, of usual and of low priority."""

SINCE = """
local function since(queue, prefix)
  local ids = redis.pcall('LRANGE', queue, 0, 63)
  local first = redis.pcall('ZRANGE', 'rag:line:' .. string.sub(queue, 10), 0, 0)
  if ids.err then ids = {} end
  if not first.err then ids[#ids + 1] = first[1] end
  for _, id in ipairs(ids) do
    local record = redis.pcall('HMGET', prefix .. id, 'priority', 'enqueued_at')
    if not record.err and record[1] ~= 'low' then return record[2] end
  end
  return false
end
"""
"""For scripts: when the job was enqueued that is next, of those that are not of low priority, which may have to wait
for long. It reads alone."""

OLDEST = (
    SINCE
    + """
return since(KEYS[1], ARGV[1])
"""
)
"""KEYS: queue. ARGV: prefix of job keys. As `SINCE` says."""

FEED = (
    LINES
    + """
feed(KEYS[1])
"""
)
"""KEYS: queue. Fills RQ's list."""

ENTER = (
    LINES
    + """
enter(KEYS[1], ARGV[1], KEYS[2])
"""
)
"""KEYS: queue, job. ARGV: job id. Puts a job, queued by its record, behind its tenant's others."""


def line_keys(queue: str) -> tuple[str, str]:
    """The keys of the sets in which jobs of `queue` wait for their turn: of usual and of low priority."""
    return f"rag:line:{queue}", f"rag:line:{queue}:{LOW}"
