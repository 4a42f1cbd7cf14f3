"""When a collection's indexes are built, and how: a journal of the writes meanwhile, and a child process."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections import deque
from pathlib import Path

import qdrant_edge as q

from app.core.child_environment import for_store
from app.embedded.qdrant.edge.writes import Write
from app.embedded.qdrant.lines import reason_of

log = logging.getLogger(__name__)

QUIET_SECONDS = 2.0  # without writes, before indexes are built
MIN_CHANGED_POINTS = 5_000  # scanning fewer takes less than half a millisecond
MIN_CHANGED_SHARE = 0.1  # of a collection's points
BUSY_CHANGED_POINTS = 20_000  # build indexes even while writes go on
JOURNAL_LIMIT_POINTS = 30_000  # written while indexes are built, some 4 kB each, before we give up and wait for quiet


class Changes:
    """The `points` written since indexes were built, which searches scan; how many there are says when to build.

    With `wait_for_quiet`, no number of them is reason enough while writes go on.
    """

    def __init__(self, unindexed: int) -> None:
        self.points = unindexed
        self.wait_for_quiet = False
        self._last_write = time.monotonic()

    def note(self, write: Write) -> None:
        """Count `write`, which is about to be done."""
        self.points += write.points
        self._last_write = time.monotonic()

    def are_many(self, held: int) -> bool:
        """Whether a collection of `held` points is slower for them."""
        return self.points >= max(MIN_CHANGED_POINTS, MIN_CHANGED_SHARE * held)

    def are_due(self, held: int) -> bool:
        """Whether now is a good time to build indexes in a collection of `held` points."""
        is_quiet = time.monotonic() - self._last_write >= QUIET_SECONDS
        is_long = self.points >= BUSY_CHANGED_POINTS and not self.wait_for_quiet
        return self.are_many(held) and (is_quiet or is_long)


class Journal:
    """The writes to a shard while indexes are built on its copy, to be done there too; false when there are none."""

    def __init__(self) -> None:
        self._operations: deque[q.UpdateOperation] = deque()
        self._points = 0

    def __bool__(self) -> bool:
        return bool(self._operations)

    def note(self, write: Write) -> bool:
        """Keep `write` for the copy. False when there are more than the copy will ever catch up with."""
        self._operations.append(write.operation)
        self._points += write.points
        return self._points <= JOURNAL_LIMIT_POINTS

    def replay_next(self, copy: q.EdgeShard) -> None:
        """Do the oldest of them on `copy`."""
        # What failed on the shard (a point that is not there) fails on its copy.
        with contextlib.suppress(Exception):
            copy.update(self._operations.popleft())


OPTIMIZE, REWRITE = "app.embedded.qdrant.optimize", "app.embedded.qdrant.rewrite"
"""What a child does with a shard: build its indexes, or write it anew without what was deleted, and build them."""
UNFINISHED = ".new"
"""Behind a shard's name: one that is being written anew."""


async def build_indexes(path: Path, program: str = OPTIMIZE) -> bool:
    """Run `program` on the shard at `path` in a child process; False when that failed."""
    # It gets none of our own streams: outliving us, it would keep them open. Nor our key.
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program, str(path)),
        env=for_store(os.environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await child.communicate()
        if child.returncode:
            reason = reason_of(said.decode(errors="replace"))
            log.error("index_build_failed", extra={"exit_code": child.returncode, "reason": reason})
        return child.returncode == 0
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
