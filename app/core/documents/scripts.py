"""Steps of the catalog of documents that must be one step in Valkey.

They go on when its memory is full: what is then refused is the job of a new document.
"""

from app.core.queue.scripts import BEYOND_MAXMEMORY

STORED_SECONDS = 3600
"""How long the size of a tenant's documents is kept before it is counted anew, from their records."""

PUT = (
    BEYOND_MAXMEMORY
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
  if most_bytes and more > 0 and redis.call('GET', KEYS[6]) + more > most_bytes then return 'bytes' end
  redis.call('INCRBY', KEYS[6], string.format('%.0f', more))
end
local old = redis.call('HGETALL', KEYS[1])
local created = redis.call('HGET', KEYS[1], 'created_at')
local sha256 = redis.call('HGET', KEYS[1], 'sha256')
if sha256 then redis.call('SREM', ARGV[2] .. string.sub(sha256, 2, -2), ARGV[1]) end
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
return old
""".replace("STORED_SECONDS", str(STORED_SECONDS))
)
"""KEYS: record, tenant's order, collection's order, users of the file, the file's removal, size of the tenant's
documents, the mark of the tenant's erasing. ARGV: document id, prefix of the users' keys, how many documents the
tenant may have or '', how many bytes or '', the document's, prefix of the records' keys, then the record's fields and
values. The old record; or 'erasing', 'busy', 'documents' or 'bytes'.

The size is kept while it is needed, and changed with each record; it is counted anew now and then."""

UPDATE = (
    BEYOND_MAXMEMORY
    + """
local sha256 = redis.call('HGET', KEYS[1], 'sha256')
if not sha256 or (ARGV[1] ~= '' and sha256 ~= ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
"""
)
"""KEYS: record. ARGV: the hash that it must have or nothing, then fields and values. 1 when it was there."""

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

DELETE = """
local old = redis.call('HGETALL', KEYS[1])
local collection = redis.call('HGET', KEYS[1], 'collection')
local sha256 = redis.call('HGET', KEYS[1], 'sha256')
local size = tonumber(redis.call('HGET', KEYS[1], 'size_bytes') or '')
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if collection then redis.call('ZREM', ARGV[2] .. string.sub(collection, 2, -2), ARGV[1]) end
if sha256 then redis.call('SREM', ARGV[3] .. string.sub(sha256, 2, -2), ARGV[1]) end
if size and redis.call('EXISTS', KEYS[3]) == 1 then redis.call('DECRBY', KEYS[3], string.format('%.0f', size)) end
return old
"""
"""KEYS: record, tenant's order, size of the tenant's documents. ARGV: document id, prefix of the collections' orders,
prefix of the users' keys. The record that was there. (Labels and hashes are JSON strings without escapes: all but
their quotes.)"""

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
