"""Steps of conversations that must be one step in Valkey; see `app.core.queue.conversations`."""

from app.core.queue.scripts import BEYOND_MAXMEMORY
from app.core.queue.turns import BYTES_MAX, FIELDS_MAX, PLACES, TURNED

DELETED_SECONDS = 7 * 86_400
"""How long it is remembered that a conversation was deleted: as long as a failed job may be sent back, by default."""
UNBEGUN_SECONDS = 3600
"""How long, when there was none yet: its first question may wait or run. Anybody may delete what is not there, so it
must cost less than a question does."""

KEEP = f"""{BEYOND_MAXMEMORY}
{TURNED}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'turn', ARGV[2], 'turn_title', ARGV[3], 'turn_seconds', ARGV[4])
return turned(KEYS[1], ARGV[1])
"""
"""KEYS: job. ARGV: its id, the turn, a title, seconds to keep the conversation. Keeps the turn now; 1 when it was."""

READ = f"""{BEYOND_MAXMEMORY}
{PLACES}
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HLEN', KEYS[1]) > {FIELDS_MAX} then return false end
if ARGV[3] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
local fields, found, bytes = turns_of(KEYS[1]), {{}}, 0
for i = #fields, 1, -1 do
  if ARGV[1] == '' or fields[i] < ARGV[1] then
    bytes = bytes + redis.call('HSTRLEN', KEYS[1], fields[i])
    if bytes > {BYTES_MAX} or #found >= tonumber(ARGV[2]) then break end
    found[#found + 1] = {{fields[i], redis.call('HGET', KEYS[1], fields[i])}}
  end
end
return {{redis.call('HMGET', KEYS[1], 'title', 'created', 'used'), found}}
"""
"""KEYS: conversation. ARGV: the field before which turns are wanted or '', how many at most, seconds to keep it from
now on or ''. Its title, and times in microseconds, and the latest turns by field, the latest first; false when there
is none."""

LIST = f"""
{PLACES}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return {{}} end
local found, most, looked = {{}}, tonumber(ARGV[2]), ARGV[1]
for _ = 1, 10 do
  local ids = redis.call('ZREVRANGEBYSCORE', KEYS[1], looked, '-inf', 'WITHSCORES', 'LIMIT', 0, most)
  for i = 1, #ids, 2 do
    looked = '(' .. string.format('%.0f', ids[i + 1])
    local at = place(ARGV[3], ids[i])
    local key = at and 'rag:conversation:' .. at
    if key and redis.call('TYPE', key).ok == 'hash' and redis.call('HLEN', key) <= {FIELDS_MAX} then
      local said, fields = redis.call('HMGET', key, 'title', 'created', 'used'), turns_of(key)
      if not said[1] and fields[1] then said[4] = redis.call('HGET', key, fields[1]) end
      found[#found + 1] = {{ids[i], string.format('%.0f', ids[i + 1]), #fields, said}}
      if #found == most then return found end
    end
  end
  if #ids < 2 * most then break end
end
return found
"""
"""KEYS: the tenant's conversations. ARGV: the score to begin at, '(...' or '+inf', how many at most, tenant. Of each,
the latest used first: id, score, turns, and title with times, as `READ` has them, and where the job of
the title was removed the oldest turn; those that have expired are passed over."""

REMOVE = f"""
local now = redis.call('TIME')
local gone = string.format('%.0f', now[1] * 1000000 + now[2])
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.pcall('SET', KEYS[3], gone, 'EX', math.max({UNBEGUN_SECONDS}, redis.call('TTL', KEYS[3])))
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
redis.call('UNLINK', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], gone, 'EX', {DELETED_SECONDS})
return 1
"""
"""KEYS: conversation, the tenant's conversations, where it is remembered that it was deleted. ARGV: its id. 1 when
there was one. One that is not there may be about to begin; that is not remembered when Valkey's memory is full."""
