"""A network that can be pulled out: a relay of bytes between a client and a server on this machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread

CHUNK_BYTES = 65_536
PATIENCE_SECONDS = 1.0
"""For a request that is to be turned away: browsers open connections that they never use."""


class Cable:
    """Relays to `port` from `self.port` until it is cut: then all that was open ends, and what comes ends at once."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        self._pairs: list[Thread] = []
        self._is_cut = False
        self._reply = b""
        self.turned_away = 0

    def cut(self, reply: bytes = b"") -> None:
        """Pull it out. With a `reply`, somebody on the way says that to whatever comes, as a gateway does."""
        with self._lock:
            self._is_cut, self._reply = True, reply
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Put it in again."""
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        """Cut it for good."""
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # which ends `accept`
        self._listener.close()
        for pair in self._pairs:
            pair.join()

    def serve(self) -> None:
        """Take connections until it is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                _turn_away(client, self._reply)
                self.turned_away += 1
                return
            try:
                server = socket.create_connection(self._to)
            except OSError:
                client.close()
                return
            self._open |= {client, server}
            pair = Thread(target=self._join, args=(client, server))
            self._pairs.append(pair)
            pair.start()

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        back = Thread(target=_relay, args=(server, client))
        back.start()
        _relay(client, server)
        back.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()


def _turn_away(client: socket.socket, reply: bytes) -> None:
    with client, suppress(OSError):
        if reply:
            client.settimeout(PATIENCE_SECONDS)
            client.recv(CHUNK_BYTES)
            client.sendall(reply)


def _relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def cable(port: int) -> Iterator[Cable]:
    """A cable to the server at `port` of this machine."""
    laid = Cable(port)
    Thread(target=laid.serve).start()
    try:
        yield laid
    finally:
        laid.close()
