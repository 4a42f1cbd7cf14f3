"""All that Valkey holds, as a test reads it that looks for what must not be there."""

import zlib
from typing import Any

from redis import Redis

from app.core.queue.outbox import lock_key

LOCKS = lock_key("").encode()


def everything_in(valkey: Redis) -> bytes:
    """Every key and value, those of RQ unpacked, one a line; not the locks that are held for a moment."""
    parts: list[bytes] = []
    keys: Any = valkey.scan_iter()
    for key in keys:
        if key.startswith(LOCKS):
            continue
        parts += [key, *(_plain(value) for value in _values(valkey, key))]
    return b"\n".join(parts)


def _values(client: Redis, key: bytes) -> list[bytes]:
    valkey: Any = client
    match valkey.type(key):
        case b"string":
            return [valkey.get(key)]
        case b"hash":
            return [part for pair in valkey.hgetall(key).items() for part in pair]
        case b"list":
            return list(valkey.lrange(key, 0, -1))
        case b"set":
            return list(valkey.smembers(key))
        case b"zset":
            return list(valkey.zrange(key, 0, -1))
        case b"stream":
            return [part for _, fields in valkey.xrange(key) for pair in fields.items() for part in pair]
        case b"none":  # it has expired meanwhile
            return []
        case kind:
            raise AssertionError(f"a {kind!r} is not read here")


def _plain(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value
