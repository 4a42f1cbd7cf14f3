"""Readers of the outbox of ended jobs (`app.core.queue.outbox`): each at its own pace, none in another's way."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from rq.job import Job

from app.core.queue.outbox import (
    ADVANCE,
    OPEN,
    OPTIONAL,
    OUTBOX,
    READERS,
    RELEASE,
    START,
    SWEEP,
    cursor_key,
    earliest,
    lock_key,
)

BATCH = 500
"""Entries that a reader is given at once."""
LOCK_MILLISECONDS = 30_000
"""One process reads for a reader at a time; one that dies meanwhile is waited for so long."""
SWEEP_COUNT = 2_000
"""Open jobs looked at in one step, a millisecond of Valkey's: all of a full queue within five."""

Act = Callable[[Sequence[str]], Awaitable[None]]
"""What a reader does with the ids of jobs that have ended, in the order of their ends."""


class Reader:
    """Gives the outbox to `act`, each entry at least once, by one process at a time.

    An entry counts as read when `act` has returned; one that raises is given the same entries again.
    """

    def __init__(self, name: str, valkey: Redis, act: Act) -> None:
        assert name in READERS or name in OPTIONAL, "entries are kept for the readers that are named there"
        self._name = name
        self._valkey = valkey
        self._act = act
        self._holder = uuid4().hex
        self._advance = valkey.register_script(ADVANCE)
        self._release = valkey.register_script(RELEASE)

    async def read(self) -> int:
        """Read to the end; how many entries. 0 while another process reads.

        Raises as `act` does, or one of `VALKEY_UNAVAILABLE`.
        """
        await self.count_in()
        lock = lock_key(self._name)
        if not await self._valkey.set(lock, self._holder, nx=True, px=LOCK_MILLISECONDS):
            return 0
        try:
            return await self._read_on()
        finally:
            await self._release(keys=[lock], args=[self._holder])

    async def count_in(self) -> None:
        """Of an optional reader: entries are kept for it from now on, and as long as it is heard of.

        For who can't read yet. Raises one of `VALKEY_UNAVAILABLE`.
        """
        seconds = OPTIONAL.get(self._name)
        if seconds is None:
            return
        cursor = cursor_key(self._name)
        if not await self._valkey.expire(cursor, seconds):
            await self._valkey.set(cursor, START, nx=True, ex=seconds)

    async def _read_on(self) -> int:
        count = 0
        cursor: Any = await self._valkey.get(cursor_key(self._name)) or START.encode()
        while entries := await self._after(cursor):
            await self._act([fields[b"job"].decode(errors="replace") for _, fields in entries if b"job" in fields])
            cursor = entries[-1][0]
            if not await self._advance(
                keys=[lock_key(self._name), cursor_key(self._name)], args=[self._holder, LOCK_MILLISECONDS, cursor]
            ):
                break  # we took so long that another process has gone on from where we began
            count += len(entries)
        if count:
            await _forget_what_all_have_read(self._valkey)
        return count

    async def _after(self, cursor: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
        found: Any = await self._valkey.xrange(OUTBOX, min=b"(" + cursor, count=BATCH)
        return list(found)


class Sweep:
    """Finds open jobs that RQ's own workers and tools have ended, and puts them into the outbox.

    Those that were stopped are counted as canceled, and kept for `keep_seconds`.
    """

    def __init__(self, valkey: Redis, *, keep_seconds: int) -> None:
        self._valkey = valkey
        self._keep_seconds = keep_seconds
        self._sweep = valkey.register_script(SWEEP)
        self._cursor = 0

    async def step(self) -> int:
        """Look at the next `SWEEP_COUNT` open jobs; how many had ended. Raises one of `VALKEY_UNAVAILABLE`."""
        self._cursor, ids = await self._valkey.sscan(OPEN, self._cursor, count=SWEEP_COUNT)
        if not ids:
            return 0
        return int(
            await self._sweep(keys=[OPEN, OUTBOX], args=[Job.redis_job_namespace_prefix, self._keep_seconds, *ids])
        )


async def _forget_what_all_have_read(valkey: Redis) -> None:
    cursors: Any = await valkey.mget([cursor_key(reader) for reader in (*READERS, *OPTIONAL)])
    optional = [cursor for cursor in cursors[len(READERS) :] if cursor is not None]
    await valkey.xtrim(OUTBOX, minid=earliest([*cursors[: len(READERS)], *optional]), approximate=False)
