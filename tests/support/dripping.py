"""A server that keeps whoever calls it waiting: it takes a connection and lets a byte out now and then."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from time import sleep

DRIP_SECONDS = 0.2
"""Far within the time-out of a single read."""

Drip = Callable[[socket.socket], None]


def _send(connection: socket.socket, *parts: bytes) -> None:
    """Let each byte of `parts` out by itself, and then spaces of a header that never ends."""
    for byte in chain(b"".join(parts), repeat(0x78)):
        sleep(DRIP_SECONDS)
        connection.sendall(bytes([byte]))


def _read_slowly(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    while connection.recv(64):
        sleep(DRIP_SECONDS)


DRIPS: Mapping[str, Drip] = {
    "says nothing": lambda connection: sleep(60),
    "drips the first line": lambda connection: _send(connection, b"HTTP/1.1 2"),
    "drips headers": lambda connection: _send(connection, b"HTTP/1.1 200 OK\r\nx: "),
    "drips what is no HTTP": lambda connection: _send(connection, b"\x16\x03\x01\x40\x00"),
    "reads slowly": _read_slowly,
}


@contextmanager
def dripping(how: str = "drips headers") -> Iterator[tuple[int, list[socket.socket]]]:
    """Such a server: its port, and the connections that it has taken."""
    drip, taken = DRIPS[how], list[socket.socket]()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def keep(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            drip(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                taken.append(connection)
                threading.Thread(target=keep, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], taken
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in taken:
            with suppress(OSError):
                connection.close()
