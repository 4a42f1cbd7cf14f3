"""Time limits for jobs that run in threads: one watchdog thread for all of them.

RQ's own `TimerDeathPenalty` starts a thread for each job and leaves an exception pending when a job ends at the same
moment as its limit; this one does neither.
"""

import ctypes
import heapq
import threading
from itertools import count
from time import monotonic
from typing import Any, Protocol, Self

from rq.timeouts import BaseDeathPenalty, BaseTimeoutException

from worker.runtime.interrupts import Shuttable, own_calls

COMPACT_AT = 256
"""Deadlines of ended jobs that may lie around: a limit is minutes, and jobs take seconds."""

_raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc


class _Timed(Protocol):
    """Something that has a deadline."""

    is_over: bool

    def interrupt(self) -> None:
        """The time has come; not asked again."""


class _Watchdog:
    """Wakes at the next deadline and interrupts the thread whose limit it is."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: list[tuple[float, int, _Timed]] = []
        self._tie = count()
        self._over = 0
        self._thread: threading.Thread | None = None

    def add(self, deadline: _Timed, at: float) -> None:
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            heapq.heappush(self._deadlines, (at, next(self._tie), deadline))
            if self._deadlines[0][2] is deadline:
                self._changed.notify()

    def forget(self) -> None:
        """One of the deadlines does not matter any more; they are thrown out when they are many."""
        with self._changed:
            self._over += 1
            if self._over > COMPACT_AT and 2 * self._over > len(self._deadlines):
                self._deadlines = [entry for entry in self._deadlines if not entry[2].is_over]
                heapq.heapify(self._deadlines)
                self._over = 0

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._deadlines or self._deadlines[0][0] > monotonic():
                    self._changed.wait(self._deadlines[0][0] - monotonic() if self._deadlines else None)
                deadline = heapq.heappop(self._deadlines)[2]
            deadline.interrupt()


_watchdog = _Watchdog()


class Deadline(BaseDeathPenalty):
    """RQ's death penalty for a thread: raises `exception` in it after `timeout` seconds.

    A call to the model ends at once; any other that blocks outside Python ends by its client's own time-out.
    """

    def __init__(self, timeout: float, exception: type[BaseException] = BaseTimeoutException, **kwargs: Any) -> None:
        super().__init__(timeout, exception, **kwargs)  # type: ignore[no-untyped-call]
        self._thread_id = threading.get_ident()
        self._calls = own_calls()
        self._lock = threading.Lock()
        self.is_over = False
        self._has_fired = False

    def setup_death_penalty(self) -> None:
        """Start the clock; a limit of 0 or less is none."""
        if self._timeout > 0:
            _watchdog.add(self, monotonic() + self._timeout)

    def cancel_death_penalty(self) -> None:
        """Stop the clock, and take back an exception that has not been delivered yet."""
        with self._lock:
            self.is_over = True
            if self._has_fired:
                _raise_in_thread(ctypes.c_ulong(self._thread_id), None)
        _watchdog.forget()

    def interrupt(self) -> None:
        """Raise the exception in the job's thread, unless the job is over."""
        with self._lock:
            if not self.is_over:
                self._has_fired = True
                _raise_in_thread(ctypes.c_ulong(self._thread_id), ctypes.py_object(self._exception))
                self._calls.interrupt()


class CallLimit:
    """A context in which a call over `connection` lasts so many seconds at most, however slowly it trickles.

    Then the connection is shut, and `has_fired` tells why the read has failed.
    """

    def __init__(self, connection: Shuttable, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._lock = threading.Lock()
        self.is_over = False
        self.has_fired = False

    def interrupt(self) -> None:
        """Shut the connection, unless the call is over."""
        with self._lock:
            if not self.is_over:
                self.has_fired = True
                self._connection.shut()

    def __enter__(self) -> Self:
        _watchdog.add(self, monotonic() + self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.is_over = True
        _watchdog.forget()
