"""What scripts that end or remove a job do about its turn in a conversation (`app.core.queue.conversations`).

They go on when Valkey's memory is full, and whatever stands in a job's record, a job comes to its end.
"""

TURNS_MAX = 50
BYTES_MAX = 64 * 1024
"""Of a conversation's turns: the oldest go first."""
TURN_BYTES_MAX = 32 * 1024
CONVERSATIONS_MAX = 10_000
"""Of one tenant; beyond, the one that was used least lately goes: 640 MB at the very most."""
FIELDS_MAX = 4 * TURNS_MAX
"""Of a record that is ours, which has `TURNS_MAX` turns and some fields beside them."""

PLACES = """
local function place(tenant, id)
  for _, name in ipairs({tenant, id}) do
    if type(name) ~= 'string' or #name > 128 or not string.find(name, '^[%w_.:-]+$') then return nil end
  end
  return tenant .. '/' .. id
end
local function turn_field(asked, job)
  if type(asked) ~= 'string' or #asked > 16 or not string.find(asked, '^%d+$') then return nil end
  return 't:' .. string.rep('0', 16 - #asked) .. asked .. ':' .. job
end
local function turns_of(key)
  local fields = {}
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.sub(name, 1, 2) == 't:' then fields[#fields + 1] = name end
  end
  table.sort(fields)
  return fields
end
"""
"""Where a conversation stands, and its turns' fields in the order of asking: `t:`, microseconds, the job's id."""

TURNED = f"""
{PLACES}
local function kept(job, id)
  local said = redis.call('HMGET', job, 'turn', 'turn_title', 'turn_seconds', 'tenant', 'session', 'asked')
  if not said[1] then return 0 end
  redis.call('HDEL', job, 'turn', 'turn_title', 'turn_seconds')
  local at, field, seconds = place(said[4], said[5]), turn_field(said[6], id), tonumber(said[3])
  if not (at and field and seconds and seconds >= 1) or #said[1] > {TURN_BYTES_MAX} then return 0 end
  local gone = tonumber(redis.pcall('GET', 'rag:conversation-deleted:' .. at) or '')
  if gone and tonumber(said[6]) <= gone then return 0 end
  local key, index = 'rag:conversation:' .. at, 'rag:conversations:' .. said[4]
  if redis.call('TYPE', key).ok ~= 'hash' then redis.call('DEL', key) end
  if redis.call('TYPE', index).ok ~= 'zset' then redis.call('DEL', index) end
  redis.call('HSET', key, field, said[1])
  local first = redis.call('HGET', key, 'first')
  if not first or field < first then
    redis.call('HSET', key, 'first', field, 'title', said[2] or '', 'created', said[6])
  end
  local fields, bytes, turns = turns_of(key), 0, 0
  for i = #fields, 1, -1 do
    bytes, turns = bytes + redis.call('HSTRLEN', key, fields[i]), turns + 1
    if bytes > {BYTES_MAX} or turns > {TURNS_MAX} then redis.call('HDEL', key, fields[i]) end
  end
  local now = redis.call('TIME')
  local used = now[1] * 1000000 + now[2]
  redis.call('HSET', key, 'used', string.format('%.0f', used))
  redis.call('EXPIRE', key, seconds)
  redis.call('ZADD', index, string.format('%.0f', used), said[5])
  redis.call('EXPIRE', index, seconds)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%.0f', used - seconds * 1000000))
  local beyond = redis.call('ZCARD', index) - {CONVERSATIONS_MAX}
  if beyond > 0 then
    for _, old in ipairs(redis.call('ZRANGE', index, 0, math.min(beyond, 100) - 1)) do
      local there = place(said[4], old)
      if there then redis.call('UNLINK', 'rag:conversation:' .. there) end
      redis.call('ZREM', index, old)
    end
  end
  return 1
end
local function turned(job, id)
  local is_done, number = pcall(kept, job, id)
  return is_done and number or 0
end
"""
"""For scripts that end a job: the turn that its record holds goes into its conversation, unless that was deleted
after the question was asked. The same job's turn, written twice, is one turn."""

FORGET = f"""
{PLACES}
local function forget(job, id)
  local said = redis.call('HMGET', job, 'tenant', 'session', 'asked')
  local at, field = place(said[1], said[2]), turn_field(said[3], id)
  if not (at and field) then return end
  local key = 'rag:conversation:' .. at
  if redis.pcall('HDEL', key, field) ~= 1 then return end
  if redis.call('HGET', key, 'first') == field then redis.call('HDEL', key, 'first', 'title') end
  if #turns_of(key) > 0 then return end
  redis.call('DEL', key)
  redis.pcall('ZREM', 'rag:conversations:' .. said[1], said[2])
end
"""
"""For scripts that remove a job: its turn goes, and a conversation that has no other."""
