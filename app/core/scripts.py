"""State changes of a job that must be one step in Valkey, on RQ's own keys (rq 2.12).

Each runs as a Lua script, so that two processes can't both make a change that only one may make.
"""

CLAIM = """
if redis.call('HGET', KEYS[1], 'status') ~= 'queued' then return 0 end
redis.call('HSET', KEYS[1], 'status', 'started', 'worker_name', ARGV[2])
redis.call('HSET', KEYS[1], 'started_at', ARGV[1], 'last_heartbeat', ARGV[1])
return 1
"""
"""KEYS: job. ARGV: time, worker. 1 when the job was waiting and is now the caller's; 0 when it was cancelled, or is
someone else's."""

CANCEL = """
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'queued' or status == 'scheduled' or status == 'deferred' then
  redis.call('LREM', KEYS[2], 0, ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('HSET', KEYS[1], 'status', 'canceled', 'ended_at', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
elseif status == 'started' then
  redis.call('HSET', KEYS[1], 'stop_requested', '1')
end
return status
"""
"""KEYS: job, queue, scheduled. ARGV: job id, time, seconds to keep it. The status that it had."""

ENQUEUE_DUE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(due) do
  redis.call('ZREM', KEYS[1], id)
  local job = ARGV[4] .. id
  if redis.call('HGET', job, 'status') == 'scheduled' then
    redis.call('HSET', job, 'status', 'queued', 'enqueued_at', ARGV[2])
    redis.call('RPUSH', KEYS[2], id)
  end
end
return #due
"""
"""KEYS: scheduled, queue. ARGV: now as a number, now as RQ writes it, how many at most, prefix of job keys."""

PUT_BACK = """
local alive_until = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not alive_until then return 'not running' end
if tonumber(alive_until) > tonumber(ARGV[4]) then return 'alive' end
if redis.call('HGET', KEYS[1], 'status') == 'started' then
  if ARGV[3] == '1' then
    if tonumber(redis.call('HGET', KEYS[1], 'retries_left') or '0') < 1 then return 'exhausted' end
    redis.call('HINCRBY', KEYS[1], 'retries_left', -1)
  end
  redis.call('HSET', KEYS[1], 'status', 'queued')
  redis.call('LPUSH', KEYS[3], ARGV[2])
end
redis.call('ZREM', KEYS[2], ARGV[1])
return 'put back'
"""
"""KEYS: job, wip, queue. ARGV: execution, job id, 1 when it counts as an attempt, when it must have fallen silent.

Gives a running job back to the queue, before all others. What became of it: "exhausted" leaves it to be failed."""

RETURN_UNSTARTED = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[2], 'status') == 'queued' then redis.call('LPUSH', KEYS[3], ARGV[1]) end
return 1
"""
"""KEYS: intermediate queue, job, queue. ARGV: job id. Gives back a job that was popped and never started."""
