"""Ending what a thread waits for: a job that is cancelled, or has run too long, leaves its model call at once.

A thread that waits for the network hears of nothing, so its connection is shut under it: the read ends, the
client raises, and the provider sees that nobody listens any more.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class InterruptedCallError(ConnectionError):
    """The job was told to end."""


class Shuttable(Protocol):
    """What a thread waits for, and another can end."""

    def shut(self) -> None:
        """End all waiting for it, now and later."""


class Calls:
    """The calls of one thread, which any other may end. Not known by the thread's number: the next thread gets it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Shuttable | None = None
        self._is_interrupted = False

    def interrupt(self) -> None:
        """End the call that the thread waits in, and every one that it begins, until `reset`."""
        with self._lock:
            self._is_interrupted = True
            if self._waiting is not None:
                self._waiting.shut()

    @property
    def is_interrupted(self) -> bool:
        """Whether the thread's calls were ended, since `reset`."""
        return self._is_interrupted

    def reset(self) -> None:
        """Let the thread call again."""
        with self._lock:
            self._is_interrupted = False

    @contextmanager
    def waiting(self, connection: Shuttable) -> Iterator[None]:
        """While the thread waits for `connection`, `interrupt` ends that. Raises `InterruptedCallError`."""
        with self._lock:
            if self._is_interrupted:
                raise InterruptedCallError
            self._waiting = connection
        try:
            yield
        finally:
            with self._lock:
                self._waiting = None


class _Own(threading.local):
    def __init__(self) -> None:
        self.calls = Calls()


_own = _Own()


def own_calls() -> Calls:
    """Those of the calling thread."""
    return _own.calls
