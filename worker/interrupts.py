"""Ending what a thread waits for: a job that is cancelled, or has run too long, leaves its model call at once.

A thread that waits for the network hears of nothing, so its socket is shut down under it: the read ends, the
client raises, and the provider sees that nobody listens any more.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore2
import httpx2

OnResponse = Callable[[httpx2.Response], None]

_lock = threading.Lock()
_waiting: dict[int, socket.socket] = {}
"""The socket that each thread reads from, by the thread's identifier."""
_interrupted: set[int] = set()


def interrupt(thread_id: int) -> None:
    """End the read that the thread waits in, and every one that it begins, until it calls `reset`."""
    with _lock:
        _interrupted.add(thread_id)
        if (waiting := _waiting.get(thread_id)) is not None:
            with suppress(OSError):  # the other side was first
                waiting.shutdown(socket.SHUT_RDWR)


def reset() -> None:
    """Let the calling thread read again."""
    with _lock:
        _interrupted.discard(threading.get_ident())


def interruptible_client(timeout_seconds: float, *, on_response: OnResponse | None = None) -> httpx2.Client:
    """An HTTP client for OpenAI's library whose reads `interrupt` can end; `on_response` sees each response."""
    hooks = {"response": [on_response]} if on_response is not None else {}
    return httpx2.Client(transport=_TransportPerThread(), timeout=timeout_seconds, event_hooks=hooks)


class _TransportPerThread(httpx2.BaseTransport):
    """A connection for each thread: one pool for all looks at every connection, twice for each request.

    With 256 threads that took more time than all else together.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._ssl_context = httpx2.create_ssl_context()
        self._transports: list[httpx2.HTTPTransport] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` over the calling thread's connection."""
        transport: httpx2.HTTPTransport | None = getattr(self._local, "transport", None)
        if transport is None:
            transport = self._local.transport = self._make()
        return transport.handle_request(request)

    def close(self) -> None:
        """Close the connections of all threads."""
        for transport in self._transports:
            transport.close()

    def _make(self) -> httpx2.HTTPTransport:
        transport = httpx2.HTTPTransport(verify=self._ssl_context)
        transport.close()
        # httpx2 takes no network backend itself; a test holds that this stays so.
        transport._pool = httpcore2.ConnectionPool(ssl_context=self._ssl_context, network_backend=_Backend())
        with _lock:
            self._transports.append(transport)
        return transport


@contextmanager
def _interruptible(connection: socket.socket | None) -> Iterator[None]:
    if connection is None:
        yield
        return
    thread_id = threading.get_ident()
    with _lock:
        if thread_id in _interrupted:
            raise httpcore2.ReadError("the job was told to end")
        _waiting[thread_id] = connection
    try:
        yield
    finally:
        with _lock:
            del _waiting[thread_id]


class _Backend(httpcore2.NetworkBackend):
    """httpcore's own backend, its streams watched."""

    def __init__(self) -> None:
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _interruptible(self._stream.get_extra_info("socket")):
            return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
        return _Stream(self._stream.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
