"""Steps of the catalog of documents that must be one step in Valkey.

They go on when its memory is full: what is then refused is the job of a new document.
"""

from app.core.queue.scripts import BEYOND_MAXMEMORY, RAISING

STORED_SECONDS = 3600
"""How long the size of a tenant's documents is kept before it is counted anew, from their records."""
COUNTED_SECONDS = 86_400
"""How long what is counted of its collections is."""
COUNT_BATCH = 2_000
"""Records that are counted in one step: some 35 ms of Valkey's, on two busy cores."""
SAID_BYTES_MAX = 64 << 10
"""Of what is said of a collection: its longest texts, with each character escaped, are 31 KiB."""

OF_RECORD = """
local function of_record(key)
  local of = redis.pcall('HMGET', key, 'collection', 'chunks')
  if type(of[1]) ~= 'string' then return nil, 0 end
  local chunks = string.match(of[2] or '', '^%d+$')
  return string.sub(of[1], 2, -2), chunks and #chunks <= 15 and tonumber(chunks) or 0
end
"""
"""For scripts that count: the collection and the chunks of a record."""

TALLY = f"""{OF_RECORD}
local function tally(names, chunks, order, record, id, sign)
  local to, place = redis.pcall('HGET', chunks, ''), redis.call('ZSCORE', order, id)
  if type(to) ~= 'string' or not place or tonumber(place) > (tonumber(to) or 0) then return end
  local name, more = of_record(record)
  if not name then return end
  local counted, named = redis.pcall('HINCRBY', chunks, name, sign * more), redis.pcall('ZADD', names, 0, name)
  if type(counted) ~= 'number' or type(named) ~= 'number' then redis.call('DEL', names) end
end
"""
"""For scripts that change a record: takes it out of what is counted, before, with -1, and puts it in, after, with 1;
unless its place in the tenant's order is yet to be counted. What can't be counted so is counted anew."""

PUT = (
    BEYOND_MAXMEMORY
    + TALLY
    + """
if redis.call('EXISTS', KEYS[7]) == 1 then return 'erasing' end
if redis.call('EXISTS', KEYS[5]) == 1 then return 'busy' end
local is_new = not redis.call('ZSCORE', KEYS[2], ARGV[1])
local most_documents, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
if most_documents and is_new and redis.call('ZCARD', KEYS[2]) >= most_documents then return 'documents' end
if most_bytes and redis.call('EXISTS', KEYS[6]) == 0 then
  local stored = 0
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    stored = stored + (tonumber(redis.call('HGET', ARGV[6] .. id, 'size_bytes') or '') or 0)
  end
  redis.call('SET', KEYS[6], string.format('%.0f', stored), 'EX', STORED_SECONDS)
end
if redis.call('EXISTS', KEYS[6]) == 1 then
  local more = ARGV[5] - (tonumber(redis.call('HGET', KEYS[1], 'size_bytes') or '') or 0)
  local files = tonumber(redis.pcall('GET', KEYS[10]) or '') or 0
  if most_bytes and more > 0 and redis.call('GET', KEYS[6]) + files + more > most_bytes then return 'bytes' end
  redis.call('INCRBY', KEYS[6], string.format('%.0f', more))
end
local old = redis.call('HGETALL', KEYS[1])
local created = redis.call('HGET', KEYS[1], 'created_at')
local sha256 = redis.call('HGET', KEYS[1], 'sha256')
if sha256 then redis.call('SREM', ARGV[2] .. string.sub(sha256, 2, -2), ARGV[1]) end
tally(KEYS[8], KEYS[9], KEYS[2], KEYS[1], ARGV[1], -1)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 7))
if created and string.match(created, '^"%d%d%d%d%-%d%d%-%d%dT[%d:.+Z-]+"$') then
  redis.call('HSET', KEYS[1], 'created_at', created)
end
redis.call('SADD', KEYS[4], ARGV[1])
local place = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not place then
  local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  place = tonumber(last[2] or 0) + 1
end
redis.call('ZADD', KEYS[2], place, ARGV[1])
redis.call('ZADD', KEYS[3], place, ARGV[1])
tally(KEYS[8], KEYS[9], KEYS[2], KEYS[1], ARGV[1], 1)
return old
""".replace("STORED_SECONDS", str(STORED_SECONDS))
)
"""KEYS: record, tenant's order, collection's order, users of the file, the file's removal, size of the tenant's
documents, the mark of the tenant's erasing, names and chunks of its collections. ARGV: document id, prefix of the
users' keys, how many documents the tenant may have or '', how many bytes or '', the document's, prefix of the
records' keys, then the record's fields and values. The old record; or 'erasing', 'busy', 'documents' or 'bytes'.

The size is kept while it is needed, and changed with each record; it is counted anew now and then."""

UPDATE = (
    BEYOND_MAXMEMORY
    + TALLY
    + """
local sha256 = redis.call('HGET', KEYS[1], 'sha256')
if not sha256 or (ARGV[2] ~= '' and sha256 ~= ARGV[2]) then return 0 end
tally(KEYS[2], KEYS[3], KEYS[4], KEYS[1], ARGV[1], -1)
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
tally(KEYS[2], KEYS[3], KEYS[4], KEYS[1], ARGV[1], 1)
return 1
"""
)
"""KEYS: record, names and chunks of the tenant's collections, tenant's order. ARGV: document id, the hash that it
must have or nothing, then fields and values. 1 when it was there."""

UPDATE_OF_JOB = (
    BEYOND_MAXMEMORY
    + """
local record = redis.call('HMGET', KEYS[1], 'job_id', 'status')
if record[1] ~= ARGV[1] then return 0 end
for i = 3, 2 + ARGV[2] do
  if record[2] == ARGV[i] then
    redis.call('HSET', KEYS[1], unpack(ARGV, 3 + ARGV[2]))
    return 1
  end
end
return 0
"""
)
"""KEYS: record. ARGV: the job that it must have, how many states, the states of which it must have one, then fields
and values. 1 when it was so."""

GET = "return redis.call('HGETALL', KEYS[1])"
"""KEYS: record."""

DELETE = (
    BEYOND_MAXMEMORY
    + TALLY
    + """
local old = redis.call('HGETALL', KEYS[1])
local collection = redis.call('HGET', KEYS[1], 'collection')
local sha256 = redis.call('HGET', KEYS[1], 'sha256')
local size = tonumber(redis.call('HGET', KEYS[1], 'size_bytes') or '')
tally(KEYS[4], KEYS[5], KEYS[2], KEYS[1], ARGV[1], -1)
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if collection then redis.call('ZREM', ARGV[2] .. string.sub(collection, 2, -2), ARGV[1]) end
if sha256 then redis.call('SREM', ARGV[3] .. string.sub(sha256, 2, -2), ARGV[1]) end
if size and redis.call('EXISTS', KEYS[3]) == 1 then redis.call('DECRBY', KEYS[3], string.format('%.0f', size)) end
return old
"""
)
"""KEYS: record, tenant's order, size of the tenant's documents, names and chunks of its collections. ARGV:
document id, prefix of the collections' orders, prefix of the users' keys. The record that was there. (Labels and
hashes are JSON strings without escapes: all but their quotes.)"""

LIST = """
local order = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local page = {}
for i = 1, #order, 2 do
  page[#page + 1] = {order[i], order[i + 1], redis.call('HGETALL', ARGV[3] .. order[i])}
end
return page
"""
"""KEYS: order. ARGV: from which place down, how many, prefix of the records' keys. Id, place and record of each."""

IS_THERE = "return redis.call('EXISTS', KEYS[1])"
"""KEYS: order. 1 when it has a document: Valkey keeps no empty set."""

BEGIN_REMOVAL = (
    BEYOND_MAXMEMORY
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[2], '1', 'EX', ARGV[1])
return 1
"""
)
"""KEYS: users of the file, the file's removal. ARGV: seconds. 1 when nothing uses the file."""

END_REMOVAL = "return redis.call('DEL', KEYS[1])"
"""KEYS: the file's removal."""

COUNT = f"""{BEYOND_MAXMEMORY}{OF_RECORD}
local function is_counted(names, chunks, said, order, prefix)
  local to = redis.pcall('HGET', chunks, '')
  if redis.call('TYPE', names).ok ~= 'zset' or type(to) ~= 'string' then
    redis.call('DEL', names, chunks)
    to = '-inf'
    redis.call('ZADD', names, 0, '')
    for _, name in ipairs(redis.pcall('HKEYS', said)) do redis.call('ZADD', names, 0, name) end
    redis.call('HSET', chunks, '', to)
    redis.call('EXPIRE', names, {COUNTED_SECONDS})
    redis.call('EXPIRE', chunks, {COUNTED_SECONDS})
  end
  if to == '+inf' then return true end
  local found = redis.pcall('ZRANGEBYSCORE', order, '(' .. to, '+inf', 'WITHSCORES', 'LIMIT', 0, {COUNT_BATCH})
  for i = 1, #found, 2 do
    local name, more = of_record(prefix .. found[i])
    if name then
      redis.call('ZADD', names, 0, name)
      redis.pcall('HINCRBY', chunks, name, more)
    end
  end
  local is_whole = #found < 2 * {COUNT_BATCH}
  redis.call('HSET', chunks, '', is_whole and '+inf' or found[#found])
  return is_whole
end
local function short(value, most) return type(value) == 'string' and #value <= most and value or '' end
local function shown(name)
  local documents = redis.pcall('ZCARD', ARGV[1] .. name)
  if type(documents) ~= 'number' then documents = 0 end
  local said = short(redis.pcall('HGET', KEYS[3], name), {SAID_BYTES_MAX})
  if documents == 0 and said == '' then return false end
  local chunks = short(redis.pcall('HGET', KEYS[2], name), 20)
  local of_all, own = redis.pcall('GET', KEYS[5]), redis.pcall('GET', ARGV[2] .. name)
  return {{name, documents, chunks, short(of_all, 20), short(own, 20), said}}
end
if not is_counted(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[3]) then return 0 end
"""
"""Begins a script that reads collections. KEYS: names and chunks, what is said, tenant's order, version of all. ARGV:
prefix of the collections' orders, prefix of their versions, prefix of the records' keys. Of each: name, documents,
chunks, both versions, what is said.

Once a day every record is read, in steps: 0 when more are to be counted, so that the script is to be run again. The
field '' of the chunks is the place up to which they are counted, in the order in which documents came."""

COLLECTIONS = (
    COUNT
    + """
local looked, found = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[4], '+', 'LIMIT', 0, ARGV[5]), {}
for i = 1, math.min(#looked, ARGV[5] - 1) do
  local row = shown(looked[i])
  if row then found[#found + 1] = row end
end
return {looked, found}
"""
)
"""KEYS and ARGV as of `COUNT`, then ARGV: after which name, '(...', and one more than are shown. The names that were
looked at, and those of them that are there."""

COLLECTION = COUNT + "return shown(ARGV[4])"
"""KEYS and ARGV as of `COUNT`, then ARGV: its name. False when there is none."""

SETTINGS_OF = f"""
local said = redis.pcall('HGET', KEYS[1], ARGV[1])
return type(said) == 'string' and #said <= {SAID_BYTES_MAX} and said
"""
"""KEYS: what is said of the tenant's collections. ARGV: a name."""

PUT_COLLECTION = (
    RAISING
    + """
if redis.call('EXISTS', KEYS[5]) == 1 then return 'erasing' end
local kind, is_said = redis.call('TYPE', KEYS[1]).ok, false
if kind == 'hash' then
  is_said = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
  if not is_said and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 'many' end
elseif kind ~= 'none' then
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
raise(KEYS[2])
if redis.call('TYPE', KEYS[3]).ok == 'zset' then redis.call('ZADD', KEYS[3], 0, ARGV[1]) end
return not is_said and redis.call('EXISTS', KEYS[4]) == 0 and 'new' or 'known'
"""
)
"""KEYS: what is said of the tenant's collections, the collection's version, names of the tenant's collections, the
collection's order, the mark of the tenant's erasing. ARGV: its name, what is said, of how many at most. 'new' or
'known', or 'erasing' or 'many'. What is said is refused when Valkey's memory is full, before anything is written."""
