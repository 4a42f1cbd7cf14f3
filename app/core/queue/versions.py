"""The version of each collection's content, in Valkey: whatever changes it raises it, and is not done while it does.

A version is a moment in microseconds, so that one that was lost and made anew is none that ever was. It is raised
before a change and after it; between the two the collection has none, and nothing that is kept of it is found or
kept. A writer that died leaves its mark, which is given up after `WRITING_SECONDS_MAX`.

    rag:version                     of all collections at once, raised when the index may have changed unseen
    rag:version:acme/manuals        of one collection
    rag:changing:acme/manuals       who changes it now, by when that began
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from redis import Redis

from app.core.logging import get_logger
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.scripts import BEYOND_MAXMEMORY, RAISING, WRITING_SECONDS_MAX

OF_ALL = "rag:version"

Place = tuple[str, str]
"""A tenant and its collection."""

log = get_logger(__name__)

BEGIN = f"""{BEYOND_MAXMEMORY}{RAISING}
for i = 1, #KEYS, 2 do
  redis.pcall('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', string.format('%.0f', moment() - ARGV[2] * 1000000))
  if type(redis.pcall('ZADD', KEYS[i + 1], string.format('%.0f', moment()), ARGV[1])) ~= 'number' then
    redis.call('DEL', KEYS[i + 1])
    redis.call('ZADD', KEYS[i + 1], string.format('%.0f', moment()), ARGV[1])
  end
  redis.call('EXPIRE', KEYS[i + 1], ARGV[2])
  raise(KEYS[i])
end
"""
"""KEYS: version and changes of each collection. ARGV: who changes them, seconds after which that is given up."""

END = f"""{BEYOND_MAXMEMORY}{RAISING}
for i = 1, #KEYS, 2 do
  raise(KEYS[i])
  redis.pcall('ZREM', KEYS[i + 1], ARGV[1])
end
"""
"""KEYS: as `BEGIN`'s. ARGV: who has changed them."""

RAISE = f"""{BEYOND_MAXMEMORY}{RAISING}
for _, key in ipairs(KEYS) do raise(key) end
"""
"""KEYS: versions."""

MAKE = f"""{RAISING}
for _, key in ipairs(KEYS) do
  if type(redis.pcall('GET', key)) ~= 'string' then raise(key) end
end
"""
"""KEYS: versions, which are made where they are not there."""


def version_key(tenant: str, collection: str) -> str:
    """The key of a collection's version. No name has a slash in it."""
    return f"{OF_ALL}:{tenant}/{collection}"


def changing_key(tenant: str, collection: str) -> str:
    """The key of who changes a collection now."""
    return f"rag:changing:{tenant}/{collection}"


def version_keys(tenant: str, collection: str) -> tuple[str, str, str]:
    """The keys that `VERSION` takes."""
    return OF_ALL, version_key(tenant, collection), changing_key(tenant, collection)


def raise_all(connection: "Redis") -> None:
    """Whatever was kept of any collection is out of date. Raises `VALKEY_UNAVAILABLE`."""
    connection.eval(RAISE, 1, OF_ALL)


class Versions:
    """Raises versions for what writes the index. Safe to share between threads.

    `must_tell`: a change that can't be told of is not made, and `VALKEY_UNAVAILABLE` is raised; else it is made all
    the same, as `python -m ingest` does without Valkey, and `--repair` makes up for it.
    """

    def __init__(self, connection: "Redis", *, must_tell: bool) -> None:
        self._connection = connection
        self._must_tell = must_tell

    @contextmanager
    def changing(self, places: Iterable[Place]) -> Iterator[None]:
        """Around a change of these collections."""
        keys = [key for place in sorted(set(places)) for key in (version_key(*place), changing_key(*place))]
        writer = uuid4().hex
        self._tell(BEGIN, keys, writer, WRITING_SECONDS_MAX)
        try:
            yield
        finally:  # a change that failed may have changed something
            self._tell(END, keys, writer)

    def raise_all(self) -> None:
        """Whatever was kept of any collection is out of date."""
        self._tell(RAISE, [OF_ALL])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _tell(self, script: str, keys: list[str], *arguments: str | int) -> None:
        try:
            self._connection.eval(script, len(keys), *keys, *arguments)
        except VALKEY_UNAVAILABLE as error:
            if self._must_tell:
                raise
            log.warning("valkey_unavailable", during="version", reason=type(error).__name__)
