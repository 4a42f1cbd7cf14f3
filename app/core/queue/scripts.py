"""Steps of the producer's side that must be one step in Valkey, on RQ's own keys (rq 2.12) and ours."""

from app.core.queue.lines import LINES
from app.core.queue.outbox import CANCELED, ENDED, NOW
from app.core.queue.turns import FORGET
from app.core.queue.usage import USED

BEYOND_MAXMEMORY = "redis.call('DEL', 'rag:nothing')\n"
"""Begins a script that must not be refused when Valkey's memory is full, since it ends, frees or keeps alive what was
taken before: Valkey refuses a first write that may need memory, but lets a script that has written end its work."""

RAISING = """
local function moment()
  local now = redis.call('TIME')
  return now[1] * 1000000 + now[2]
end
local function raise(key)
  local last = redis.pcall('GET', key)
  local next = moment()
  if type(last) == 'string' and (tonumber(last) or 0) >= next then next = tonumber(last) + 1 end
  redis.call('SET', key, string.format('%.0f', next))
end
"""
"""For scripts: `moment()`, the time in microseconds, and `raise(key)` of a version."""

WRITING_SECONDS_MAX = 900
"""A write that takes longer is taken for a dead one's: the largest document's takes a minute."""
ANSWER_BYTES_MAX = 64 << 10
"""Of one kept answer: one in a thousand is longer, and is made anew."""

VERSION = (
    RAISING
    + f"""
local function version(all, own, changing)
  local since = moment() - {WRITING_SECONDS_MAX} * 1000000
  local writers = redis.pcall('ZCOUNT', changing, string.format('%.0f', since), '+inf')
  if type(writers) ~= 'number' or writers > 0 then return false end
  local first, second = redis.pcall('GET', all), redis.pcall('GET', own)
  if type(first) ~= 'string' or type(second) ~= 'string' then return '' end
  return first .. '/' .. second
end
"""
)
"""For scripts that read what is kept: the version now; '' when there is none yet, false while a change runs."""

LOOKING = (
    VERSION
    + f"""
local function look(all, own, changing, answer)
  local now = version(all, own, changing)
  if not now or now == '' then return {{now}} end
  local kept = redis.pcall('HMGET', answer, 'version', 'answer')
  if kept.err or kept[1] ~= now or not kept[2] or #kept[2] > {ANSWER_BYTES_MAX + 100} then return {{now}} end
  return {{now, kept[2]}}
end
"""
)
"""For scripts that look for a kept answer: the version, as `VERSION` has it, and the answer when there is one."""

COUNT_BATCH = 1_000
COUNT_MILLISECONDS = 1_000
"""How long a count of a queue's jobs by tenant is used, at least."""
COUNTED_A_MILLISECOND = 4
"""So many jobs make a count last a millisecond longer. Each takes Valkey 2.5 microseconds: 1 % of its time."""

ROOM = (
    LINES
    + f"""
local function count(queue, scheduled, counts, prefix)
  local found, total, lines = {{}}, 0, lines_of(queue)
  local sets = {{scheduled, lines.line, lines.low}}
  local places = {{{{queue, 'LLEN', 'LRANGE'}}}}
  for _, set in ipairs(sets) do places[#places + 1] = {{set, 'ZCARD', 'ZRANGE'}} end
  for _, from in ipairs(places) do
    for start = 0, redis.call(from[2], from[1]) - 1, {COUNT_BATCH} do
      for _, id in ipairs(redis.call(from[3], from[1], start, start + {COUNT_BATCH} - 1)) do
        local tenant = redis.pcall('HGET', prefix .. id, 'tenant')
        if type(tenant) ~= 'string' then tenant = '' end
        found[tenant], total = (found[tenant] or 0) + 1, total + 1
      end
    end
  end
  redis.call('HSET', counts, '*', total)
  for tenant, waiting in pairs(found) do redis.call('HSET', counts, tenant, waiting) end
  redis.call('PEXPIRE', counts, math.max({COUNT_MILLISECONDS}, math.floor(total / {COUNTED_A_MILLISECOND})))
end
local function depth(queue)
  local high, low = waiting(queue)
  return redis.call('LLEN', queue) + high + low
end
local function has_share(queue, scheduled, counts, prefix, share, tenant, more)
  if depth(queue) + redis.call('ZCARD', scheduled) < share then return true end
  if redis.call('EXISTS', counts) == 0 then count(queue, scheduled, counts, prefix) end
  if tonumber(redis.call('HGET', counts, tenant) or '0') >= share then return false end
  redis.call('HINCRBY', counts, tenant, more)
  return true
end
"""
)
"""For scripts that put jobs on a queue: `depth(queue)`, how many wait for their turn there, and `has_share`, whether
`tenant` may have `more` jobs wait there, now or for a retry.

While fewer jobs wait than one tenant may have, nobody can have too many, and nothing is counted. Beyond, what waits
is counted by each job's own record, and counted anew every second or so: whoever takes a job away need not say so.
Below, nothing may be written: after a write Valkey lets a script go on that is to be refused at its maxmemory."""

REPLAY = """
if ARGV[3] ~= '' then
  local kept = redis.call('HMGET', KEYS[3], 'fingerprint', 'job_id', 'position', 'expires_at')
  if kept[1] and redis.call('EXISTS', ARGV[5] .. kept[2]) == 1 then
    if kept[1] ~= ARGV[3] then return {'conflict'} end
    return {'replay', kept[2], kept[3], kept[4]}
  end
end
"""
"""Begins a script that takes a request with a key: what was sent before is not taken again."""

REMEMBER = """
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[3], 'fingerprint', ARGV[3], 'job_id', ARGV[2], 'position', position, 'expires_at', ARGV[6])
  redis.call('EXPIRE', KEYS[3], ARGV[4])
end
if ARGV[7] ~= '' then
  local hook = cjson.decode(ARGV[7])
  redis.call('HSET', KEYS[5], 'url', hook.url, 'secret', hook.secret)
  redis.call('EXPIRE', KEYS[5], ARGV[4])
end
"""
"""Ends a script that takes a request: its key and webhook are kept. Both use the keys and arguments of `SUBMIT`."""

SUBMIT = (
    ROOM
    + USED
    + LOOKING
    + """
if redis.call('EXISTS', KEYS[9]) == 1 then return {'erasing'} end
"""
    + REPLAY
    + """
if KEYS[13] ~= '' then
  local found = look(KEYS[10], KEYS[11], KEYS[12], KEYS[13])
  if found[2] then return {'kept', found[1], found[2]} end
end
if ARGV[10] ~= '' then
  local tokens = used(KEYS, 14, ARGV[11])
  if tokens >= tonumber(ARGV[10]) then return {'spent', tokens} end
end
local before, most, share = depth(KEYS[2]), tonumber(ARGV[1]), tonumber(ARGV[8])
if share < most and not has_share(KEYS[2], KEYS[7], KEYS[8], ARGV[5], share, ARGV[9], before < most and 1 or 0) then
  return {'share', share}
end
if before >= most then return {'full', before} end
redis.call('HSET', KEYS[1], unpack(ARGV, 12))
if redis.call('HEXISTS', KEYS[1], 'session') == 1 then
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'asked', string.format('%.0f', now[1] * 1000000 + now[2]))
end
redis.call('SADD', KEYS[4], KEYS[2])
redis.call('SADD', KEYS[6], ARGV[2])
enter(KEYS[2], ARGV[2], KEYS[1])
local position = place_of(KEYS[2], ARGV[2]) + 1
"""
    + REMEMBER
    + """
return {'queued', ARGV[2], position, ARGV[6]}
"""
)
"""KEYS: job, queue, idempotency, RQ's set of queues, webhook, open jobs, scheduled, counts of the queue, the mark
of the tenant's erasing, those of the version, the kept answer or '', then the days of the asker's budget. ARGV:
most that may wait, job id, fingerprint or '', seconds to keep key and webhook, prefix of job keys, when the
answer expires, webhook as JSON or '', most that may wait of one tenant, tenant, tokens of the asker's budget or
'', the asker's name, then the job's fields and values. What became of it: 'queued' or 'replay' with id,
position and expiry; 'kept' with version and answer, which the job is to be given instead; 'conflict' (the key
was used with another body); 'full' with the depth; 'share' with the tenant's; 'spent' with the tokens that are
used; 'erasing' while the tenant is being erased."""

CHECK_ROOM = (
    ROOM
    + """
if redis.call('EXISTS', KEYS[4]) == 1 then return {'erasing', 0} end
local most, share = tonumber(ARGV[2]), tonumber(ARGV[3])
if share < most and not has_share(KEYS[1], KEYS[2], KEYS[3], ARGV[1], share, ARGV[4], 0) then
  return {'share', share}
end
local before = depth(KEYS[1])
return {before >= most and 'full' or 'room', before}
"""
)
"""KEYS: queue, scheduled, counts of the queue, the mark of the tenant's erasing. ARGV: prefix of job keys, most that
may wait, most of one tenant, tenant. Whether a job would be taken: 'room', or why not, as `SUBMIT` says it."""

VIEW = (
    LINES
    + """
local job = redis.call('HMGET', KEYS[1],
  'status', 'origin', 'meta', 'enqueued_at', 'started_at', 'ended_at', 'retries_left')
local status = job[1]
if not status then return false end
local more = false
if status == 'queued' then
  more = place_of('rq:queue:' .. (job[2] or ''), ARGV[1]) or false
elseif status == 'started' then
  more = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
elseif status == 'finished' or status == 'failed' then
  more = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
end
local bytes = 0
local function count(values)
  for _, value in ipairs(values) do
    if type(value) == 'table' then count(value) elseif value then bytes = bytes + #value end
  end
end
count(job)
if type(more) == 'table' then count(more) end
if bytes > tonumber(ARGV[2]) then return false end
return {job, more}
"""
)
"""KEYS: job, results, event log. ARGV: job id, most bytes of a record that is ours. The record's fields, and what its
status makes interesting: its place in the queue from 0, its last event, or its last result."""

CANCEL = (
    BEYOND_MAXMEMORY
    + LINES
    + ENDED
    + CANCELED
    + """
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'queued' or status == 'scheduled' or status == 'deferred' then
  leave(KEYS[2], ARGV[1], KEYS[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('HSET', KEYS[1], 'ended_at', ARGV[2])
  canceled(KEYS[1], ARGV[1], KEYS[7], ARGV[3])
  if redis.call('TYPE', KEYS[4]).ok == 'string' then redis.call('DEL', KEYS[4]) end
  local id = redis.call('XADD', KEYS[4], '0-*', 't', 'ended', 'd', '{}')
  redis.call('EXPIRE', KEYS[4], ARGV[3])
  redis.call('PUBLISH', KEYS[4], string.sub(id, 3) .. ' ended {}')
  ended(KEYS[5], KEYS[6], ARGV[1])
elseif status == 'started' then
  redis.call('HSET', KEYS[1], 'stop_requested', '1')
  local worker = redis.call('HGET', KEYS[1], 'worker_name')
  if worker then redis.call('PUBLISH', ARGV[4] .. worker, ARGV[5]) end
end
return status
"""
)
"""KEYS: job, queue, scheduled, event log, open jobs, outbox, canceled. ARGV: job id, time, seconds to keep it, prefix
of the workers' channels, RQ's stop command. The status that it had."""

REQUEUE = (
    ROOM
    + """
if redis.call('HGET', KEYS[1], 'status') ~= 'failed' then return {'not failed'} end
if redis.call('EXISTS', KEYS[7]) == 1 then return {'erasing'} end
local most, share = tonumber(ARGV[6]), tonumber(ARGV[7])
if share < most and not has_share(KEYS[2], KEYS[5], KEYS[6], ARGV[5], share, ARGV[8], 1) then
  return {'share', share}
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[1], 'started_at', 'ended_at', 'exc_info', 'worker_name', 'stop_requested')
redis.call('HSET', KEYS[1], 'status', 'queued', 'enqueued_at', ARGV[2], 'meta', ARGV[3], 'retries_left', ARGV[4])
redis.call('HSET', KEYS[1], 'requeued_at', ARGV[2])
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[4], ARGV[1])
enter(KEYS[2], ARGV[1], KEYS[1])
return {'queued'}
"""
)
"""KEYS: job, queue, failed, open jobs, scheduled, counts of the queue, the mark of the tenant's erasing. ARGV: job
id, time, metadata, retries, prefix of job keys, most that may wait, most of one tenant, tenant. 'queued' when the job
had failed and now waits again, else 'not failed', 'share' or 'erasing'."""

DELETE = (
    BEYOND_MAXMEMORY
    + LINES
    + NOW
    + FORGET
    + """
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'started' then return 0 end
pcall(forget, KEYS[1], ARGV[1])
local kept = redis.pcall('HGET', KEYS[1], 'kept')
if type(kept) == 'string' and #kept == 64 then redis.call('DEL', ARGV[3] .. kept) end
leave(KEYS[2], ARGV[1], KEYS[1])
redis.call('SREM', KEYS[3], ARGV[1])
for i = 4, 7 do redis.call('ZREM', KEYS[i], ARGV[1]) end
redis.call('DEL', KEYS[1], unpack(KEYS, 8, #KEYS - 1))
if ARGV[2] == '1' then redis.call('ZADD', KEYS[#KEYS], now(), ARGV[1]) end
return 1
"""
)
"""KEYS: job, queue, open jobs, scheduled, failed, finished, canceled, then what else the job has, and at last the
jobs that a chat log is to erase. ARGV: job id, 1 where there is one, what the keys of the tenant's kept answers begin
with. 0 while it runs. The answer that came of the job, or that it was given, is kept no more, nor
is its turn in a conversation."""

OWN_FAILED = """
local ids = redis.call('ZREVRANGE', KEYS[1], ARGV[3], ARGV[3] + ARGV[4] - 1)
local own = {}
for _, id in ipairs(ids) do
  local tenant = redis.pcall('HGET', ARGV[1] .. id, 'tenant')
  if tenant == ARGV[2] or not tenant then own[#own + 1] = id end
end
return {#ids, own}
"""
"""KEYS: failed. ARGV: prefix of job keys, tenant, from which place, how many. How many there were, and those of the
tenant or of nobody."""

OWN = """
local own = {}
for i = 3, #ARGV do
  if redis.pcall('HGET', ARGV[1] .. ARGV[i], 'tenant') == ARGV[2] then own[#own + 1] = ARGV[i] end
end
return own
"""
"""ARGV: prefix of job keys, tenant, ids. Those of the tenant."""

ENQUEUE_DUE = (
    LINES
    + """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(due) do
  redis.call('ZREM', KEYS[1], id)
  local job = ARGV[4] .. id
  if redis.call('HGET', job, 'status') == 'scheduled' then
    redis.call('HSET', job, 'status', 'queued', 'enqueued_at', ARGV[2])
    if ARGV[5] == '1' then line_up(KEYS[2], id, job) else redis.call('RPUSH', KEYS[2], id) end
  end
end
feed(KEYS[2])
return #due
"""
)
"""KEYS: scheduled, queue. ARGV: now as a number, now as RQ writes it, how many at most, prefix of job keys, 1 where
jobs wait in lines. Fills RQ's list, too."""

RUN = (
    BEYOND_MAXMEMORY
    + """
local answers, i = {}, 1
while i <= #ARGV do
  local size = tonumber(ARGV[i])
  answers[#answers + 1] = redis.call(unpack(ARGV, i + 1, i + size))
  i = i + size + 1
end
return answers
"""
)
"""ARGV: commands, each behind its length. Runs them in one step, also when Valkey's memory is full; their answers."""
