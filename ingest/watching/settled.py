"""Which files of a folder a round is about: those that are new or changed, and are not being written just now."""

from collections.abc import Callable, Iterable
from time import time

from ingest.reading.files import File
from ingest.reading.reasons import Reason
from ingest.sync.report import Outcome, Status

QUIET_SECONDS = 2.0
"""A file that was written to within this time is perhaps not whole."""
AGAIN = frozenset({Reason.CHANGED, Reason.UNREADABLE})
"""Why a file failed that may be another time without any change of it."""

Look = tuple[int, int]
"""A file's size and time of change, in nanoseconds."""


class Settled:
    """Remembers the files of one folder as they were when they were last worked on, and when they were last seen.

    `quiet_seconds` is 0 where each file has its name once it is whole.
    """

    def __init__(self, now: Callable[[], float] = time, *, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._now = now
        self._quiet_seconds = quiet_seconds
        self._done: dict[str, Look] = {}
        self._seen: dict[str, tuple[Look, float]] = {}
        self.waits = False
        """Whether a file is left for the next look."""

    def changed(self, files: Iterable[File]) -> list[File]:
        """Those to work on."""
        self.waits = False
        now, seen, changed = self._now(), {}, []
        for file in files:
            try:
                status = file.real.stat()
            except OSError:  # gone again
                continue
            look = (status.st_size, status.st_mtime_ns)
            before, since = self._seen.get(file.source, (None, now))
            seen[file.source] = (look, since if before == look else now)
            if self._done.get(file.source) == look:
                continue
            is_quiet = (
                now - status.st_mtime >= self._quiet_seconds
            )  # another machine's clock may be ahead: then by looks
            if is_quiet or now - seen[file.source][1] >= self._quiet_seconds:
                changed.append(file)
            else:
                self.waits = True
        self._seen = seen
        return changed

    def gone(self, files: Iterable[File]) -> bool:
        """Whether a file that was worked on is no longer among `files`."""
        return bool(self._done.keys() - {file.source for file in files})

    def worked_on(self, files: Iterable[File], outcomes: Iterable[Outcome]) -> None:
        """What became of them: only what may end otherwise without a change has another turn."""
        over = {outcome.source for outcome in outcomes if _is_over(outcome)}
        for file in files:
            if file.source in over and file.source in self._seen:
                self._done[file.source] = self._seen[file.source][0]

    def forget_gone(self, files: Iterable[File]) -> None:
        """They have been pruned, or are nobody's."""
        there = {file.source for file in files}
        self._done = {source: look for source, look in self._done.items() if source in there}


def _is_over(outcome: Outcome) -> bool:
    if outcome.status is not Status.FAILED:
        return True
    code = outcome.failure.code if outcome.failure is not None else None
    return isinstance(code, Reason) and code not in AGAIN
