"""Ending what a thread waits for: a job that is cancelled, or has run too long, leaves its model call at once.

A thread that waits for the network hears of nothing, so its socket is shut down under it: the read ends, the
client raises, and the provider sees that nobody listens any more.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_lock = threading.Lock()
_waiting: dict[int, socket.socket] = {}
"""The socket that each thread reads from, by the thread's identifier."""
_interrupted: set[int] = set()


class InterruptedCallError(ConnectionError):
    """The job was told to end."""


def interrupt(thread_id: int) -> None:
    """End the call that the thread waits in, and every one that it begins, until it calls `reset`."""
    with _lock:
        _interrupted.add(thread_id)
        if (waiting := _waiting.get(thread_id)) is not None:
            shut(waiting)


def reset() -> None:
    """Let the calling thread call again."""
    with _lock:
        _interrupted.discard(threading.get_ident())


@contextmanager
def interruptible(connection: socket.socket) -> Iterator[None]:
    """While the calling thread reads from `connection`, `interrupt` ends that. Raises `InterruptedCallError`."""
    thread_id = threading.get_ident()
    with _lock:
        if thread_id in _interrupted:
            raise InterruptedCallError
        _waiting[thread_id] = connection
    try:
        yield
    finally:
        with _lock:
            del _waiting[thread_id]


def shut(connection: socket.socket) -> None:
    """End all reads and writes of `connection`, whichever thread is in them."""
    with suppress(OSError):  # the other side was first
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # a TLS socket's own would forget its session meanwhile
