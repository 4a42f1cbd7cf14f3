"""Reading from a client that cannot be told to stop: bounded in time, and left at once when the job is to end.

A provider's client keeps its sockets to itself, and its time-out counts from one piece to the next, if it has one. So
it reads in a thread of its own, and the job's thread waits on a pair of sockets, which a deadline or a cancelled job
may shut as it would the connection itself (`worker.runtime.interrupts`).
"""

import socket
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from time import monotonic
from typing import Generic, TypeVar

from app.core.errors import ErrorCode, ServiceError
from worker.model.langchain_errors import service_error
from worker.runtime.interrupts import InterruptedCallError, own_calls

Item = TypeVar("Item")
WAKE = b"."
WAKES_MAX = 4096
"""Wake-ups taken in one read; there is one for each item, and they carry nothing."""


class _Wait:
    """The wait for a socket, which another thread may end."""

    def __init__(self, awaited: socket.socket) -> None:
        self._awaited = awaited

    def shut(self) -> None:
        """Wake whoever waits for it."""
        with suppress(OSError):  # it is closed already
            self._awaited.shutdown(socket.SHUT_RDWR)


def read_within(
    seconds: float, make: Callable[[], Generator[Item, None, None]], on_item: Callable[[Item], object]
) -> None:
    """Give `on_item` each item of `make()` as it comes, in the calling thread.

    Raises `ServiceError`: MODEL_TIMEOUT after `seconds`, MODEL_UNAVAILABLE when the calling thread's calls are
    interrupted, or what the client's own error means. After that the client's call ends by itself: when its next item
    comes, or by the client's time-out.
    """
    give_up = monotonic() + seconds
    near, far = socket.socketpair()
    reader = _Reader(make, far)
    with near:
        try:
            with own_calls().waiting(_Wait(near)):
                reader.start()
                while _woken(near, give_up - monotonic()):
                    reader.hand_over(on_item)
        except InterruptedCallError as error:  # before there was a call
            far.close()
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE) from error
    reader.hand_over(on_item)
    if reader.error is not None:
        raise service_error(reader.error) from reader.error
    if not reader.is_done:
        raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)


def _woken(near: socket.socket, seconds_left: float) -> bool:
    """Wait for the reader; False when it has ended, or `near` was shut."""
    if seconds_left <= 0:
        raise ServiceError(ErrorCode.MODEL_TIMEOUT)
    near.settimeout(seconds_left)
    try:
        return bool(near.recv(WAKES_MAX))
    except TimeoutError as error:
        raise ServiceError(ErrorCode.MODEL_TIMEOUT) from error


class _Reader(threading.Thread, Generic[Item]):
    """Reads all items, and writes a byte to `far` for each; stops when nobody takes them any more."""

    def __init__(self, make: Callable[[], Generator[Item, None, None]], far: socket.socket) -> None:
        super().__init__(name="model-reader", daemon=True)  # a process does not wait for a call that was given up
        self._make = make
        self._far = far
        self._items: deque[Item] = deque()
        self.error: Exception | None = None
        self.is_done = False

    def hand_over(self, on_item: Callable[[Item], object]) -> None:
        """Pass on what has come, in the job's thread."""
        while self._items:
            on_item(self._items.popleft())

    def run(self) -> None:
        """Read to the end, to an error, or until the other side has closed."""
        with self._far:
            try:
                with closing(self._make()) as items:
                    for item in items:
                        self._items.append(item)
                        self._far.sendall(WAKE)
                self.is_done = True
            except Exception as error:  # whatever a provider's client raises: the job's thread says what it means
                self.error = error
