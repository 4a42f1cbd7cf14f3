"""State changes of a job that must be one step in Valkey, on RQ's own keys (rq 2.12).

Each runs as a Lua script, so that two processes can't both make a change that only one may make.
"""

from app.core.queue.lines import LINES
from app.core.queue.outbox import ENDED
from app.core.queue.scripts import BEYOND_MAXMEMORY
from app.core.queue.turns import TURNED
from app.core.queue.usage import SPENT

_EVENTS = """
local function add(log, limit, id, event, data, at)
  local entry = {log, 'MAXLEN', '~', limit, id, 't', event, 'd', data, 'at', at}
  local done = redis.pcall('XADD', unpack(entry))
  if type(done) == 'table' and string.find(done.err, 'WRONGTYPE', 1, true) then
    redis.call('DEL', log)
    done = redis.pcall('XADD', unpack(entry))
  end
  return done
end
local function record(log, limit, keep, first, from, count)
  local n = first
  for i = from, from + 3 * count - 3, 3 do
    local done = add(log, limit, '0-' .. n, ARGV[i], ARGV[i + 1], ARGV[i + 2])
    if type(done) ~= 'table' then
      redis.call('PUBLISH', log, n .. ' ' .. ARGV[i] .. ' ' .. ARGV[i + 1])
    elseif not string.find(done.err, 'equal or smaller', 1, true) then
      return redis.error_reply(done.err)
    end
    n = n + 1
  end
  if count > 0 then redis.call('EXPIRE', log, keep) end
end
"""
"""Appends events that have their numbers already; those that are in the log are left as they are, so that a worker
which does not know whether its write came through may write again. The packed log of a job whose state somebody has
put back by hand makes room for what comes."""

PASS_MOST = 500
"""Jobs that one step passes over at most: half a millisecond of Valkey's."""

TAKE = (
    LINES
    + """
local popped = ARGV[1]
for i = 4, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    if popped ~= '' and redis.call('LREM', KEYS[2], 1, popped) == 1 then redis.call('LPUSH', KEYS[1], popped) end
    return false
  end
end
local taken, passed, running, most = {}, 0, {}, tonumber(ARGV[7])
local workers = 9 + 2 * ARGV[8]
for i = 9, workers - 1, 2 do running[ARGV[i]] = tonumber(ARGV[i + 1]) end
local pass_most = most > 0 and math.min(tonumber(redis.call('LLEN', KEYS[1])) + 1, PASS_MOST) or 0
for i = workers, #ARGV, 2 do
  local worker, execution, id, job, status = ARGV[i], ARGV[i + 1]
  repeat
    if popped ~= '' then
      id, popped = popped, ''
      redis.call('LREM', KEYS[2], 1, id)
    else
      id = redis.call('LPOP', KEYS[1])
      if not id then
        feed(KEYS[1])
        id = redis.call('LPOP', KEYS[1])
      end
    end
    if not id then return {passed, taken} end
    job = 'rq:job:' .. id
    status = redis.call('HGET', job, 'status')
    if most > 0 and status == 'queued' then
      local tenant = redis.call('HGET', job, 'tenant') or ''
      local places = running[tenant] or 0
      if places < most then
        running[tenant] = places + 1
      else
        redis.call('RPUSH', KEYS[1], id)
        status, passed = 'passed', passed + 1
        if passed >= pass_most then return {passed, taken} end
      end
    end
  until status == 'queued'
  redis.call('HSET', job, 'status', 'started', 'worker_name', worker)
  redis.call('HSET', job, 'started_at', ARGV[2], 'last_heartbeat', ARGV[2])
  redis.call('PERSIST', job)

  local running, alive_until = 'rq:execution:' .. id .. ':' .. execution, ARGV[3] + ARGV[4]
  redis.call('HSET', running, 'id', execution, 'worker_name', worker)
  redis.call('HSET', running, 'created_at', ARGV[3], 'last_heartbeat', ARGV[3])
  redis.call('EXPIRE', running, ARGV[4])
  redis.call('ZADD', 'rq:executions:' .. id, alive_until + 60, execution)
  redis.call('EXPIRE', 'rq:executions:' .. id, ARGV[4] + 60)
  redis.call('ZADD', KEYS[3], alive_until, id .. ':' .. execution)
  redis.call('HSET', 'rq:worker:' .. worker, 'state', 'busy', 'current_job', id)

  local left = tonumber(redis.call('HGET', job, 'retries_left') or '') or 0
  redis.call('HSETNX', job, 'retries_given', left)
  local data = '{"attempt":' .. math.max(0, redis.call('HGET', job, 'retries_given') - left) + 1 .. '}'
  local log = 'rag:events:' .. id
  local at = string.format('%.0f', ARGV[3] * 1000)
  local event = redis.pcall('XADD', log, 'MAXLEN', '~', ARGV[5], '0-*', 't', 'job.started', 'd', data, 'at', at)
  if type(event) ~= 'string' then  -- as `add` has it
    redis.call('DEL', log)
    event = redis.call('XADD', log, '0-*', 't', 'job.started', 'd', data, 'at', at)
  end
  redis.call('EXPIRE', log, ARGV[6])
  local n = string.sub(event, 3)
  redis.call('PUBLISH', log, n .. ' job.started ' .. data)

  taken[#taken + 1] = {id, tonumber(n), redis.call('HGETALL', job)}
end
feed(KEYS[1])
return {passed, taken}
""".replace("PASS_MOST", str(PASS_MOST))
)
"""KEYS: queue, intermediate queue, wip, then keys that hold everybody back while they are there. ARGV: a job that
stands in the intermediate queue already or '', now as RQ writes it, now as a number, seconds until the first
heartbeat is due, bound of a log, seconds to keep it, how many jobs of one tenant may run here at once (0: any), how
many tenants have some, each such tenant and how many, then worker and execution for each job wanted.

Takes waiting jobs for these workers and starts them as RQ does (`Execution.create`, `Job.prepare_for_execution`), so
that nobody else has them and a cancelled one never runs. How many jobs of tenants that have too many were put behind
all others; and for each job taken its id, the number of its event, and its record. False when something holds them
back."""

IF_STARTED = (
    BEYOND_MAXMEMORY
    + ENDED
    + SPENT
    + TURNED
    + _EVENTS
    + """
local state = redis.call('HMGET', KEYS[1], 'status', 'worker_name')
if state[1] ~= 'started' then return 0 end
local limit, keep, first, count = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local is_own = state[2] == ARGV[1]
if is_own then
  local failed = record(KEYS[2], limit, keep, first, 9, count)
  if failed then return failed end
end
local i = 9 + 3 * count
while i <= #ARGV do
  local size = tonumber(ARGV[i])
  redis.call(unpack(ARGV, i + 1, i + size))
  i = i + size + 1
end
if ARGV[6] == '1' then
  local now = redis.call('TIME')
  local at = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  local id = add(KEYS[2], limit, '0-*', 'ended', '{}', at)
  redis.call('PUBLISH', KEYS[2], string.sub(id, 3) .. ' ended {}')
  if is_own and ARGV[8] ~= '' and id == '0-' .. first + count then
    redis.call('SET', KEYS[2], ARGV[8], 'EX', keep)
  else
    redis.call('EXPIRE', KEYS[2], keep)
  end
  ended(KEYS[4], KEYS[5], ARGV[7])
  spent(KEYS[1])
  redis.call('HDEL', KEYS[1], 'spent')
  turned(KEYS[1], ARGV[7])
end
return 1 + redis.call('EXISTS', KEYS[3])
"""
)
"""KEYS: job, log, dependents, open jobs, outbox. ARGV: the worker that has run it, bound of the log, seconds to keep
it, number of the first event, how many, 1 when the job is over, job id, the packed log with its end or '',
the events (type, data and when), then commands, each behind its length.

Runs RQ's own commands in one step, and only when the job has not ended meanwhile: then 1, or 2 when other jobs wait
for this one's end; else 0."""

RECORD = (
    BEYOND_MAXMEMORY
    + _EVENTS
    + """
local i = 2
for k = 1, #KEYS, 2 do
  local worker, keep, first, count = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local state = redis.call('HMGET', KEYS[k], 'status', 'worker_name')
  if state[1] == 'started' and state[2] == worker then
    local failed = record(KEYS[k + 1], ARGV[1], keep, first, i + 4, count)
    if failed then return failed end
  end
  i = i + 4 + 3 * count
end
"""
)
"""KEYS: job and log for each job. ARGV: bound of a log; then for each job the worker that runs it, seconds to keep
its log, number of the first event, how many, and the events (type, data and when).

Appends the events of running jobs; those of a job that is another worker's by now are dropped."""

PUT_BACK = (
    BEYOND_MAXMEMORY
    + """
local alive_until = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not alive_until then return 'not running' end
if tonumber(alive_until) > tonumber(ARGV[4]) then return 'alive' end
local became = 'ended'
if redis.call('HGET', KEYS[1], 'status') == 'started' then
  became = 'put back'
  if ARGV[3] == '1' then
    if tonumber(redis.call('HGET', KEYS[1], 'retries_left') or '0') < 1 then return 'exhausted' end
    redis.call('HINCRBY', KEYS[1], 'retries_left', -1)
  end
  redis.call('HSET', KEYS[1], 'status', 'queued')
  redis.call('LPUSH', KEYS[3], ARGV[2])
end
redis.call('ZREM', KEYS[2], ARGV[1])
return became
"""
)
"""KEYS: job, wip, queue. ARGV: execution, job id, 1 when it counts as an attempt, when it must have fallen silent.

Gives a running job back to the queue, before all others. What became of it: "exhausted" leaves it to be failed,
"ended" is one that was over already."""

RETURN_UNSTARTED = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[2], 'status') == 'queued' then redis.call('LPUSH', KEYS[3], ARGV[1]) end
return 1
"""
"""KEYS: intermediate queue, job, queue. ARGV: job id. Gives back a job that was popped and never started."""
