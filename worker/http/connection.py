"""Kept HTTP/1.1 connections whose requests go out in one write; the answers are read by `http.client`.

`http.client.HTTPConnection` writes the head and then the body: two system calls here, and the other side wakes twice.
"""

import re
import select
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from time import monotonic
from urllib.parse import urlsplit

from app.core.errors import ConfigurationError
from app.core.socket_waits import limit_waits
from worker.http.headers import Response
from worker.http.proxy import AUTHENTICATION_REQUIRED, Proxy, ProxyRefusedError

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, within the whole request's time."""
LOST = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What reading or writing raises when the other side has left."""
UNSAFE = re.compile(r"[^\x21-\x7e]")
"""What would end a request's first line, or not be understood there."""
UNSAFE_IN_HEADERS = re.compile(r"[^\x20-\x7e]")


class Server:
    """Where requests go, and what they all say.

    The environment is asked once, here, for the proxy that they go through. Raises `ConfigurationError` for a header
    that HTTP does not take, and for a proxy that we can't use.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.host = (parts.hostname or "").encode("idna").decode("ascii")
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = parts.port or (80 if self.tls is None else 443)
        self.path = parts.path.rstrip("/")
        self.proxy = Proxy.of(url)
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = f"{name}:{self.port}"
        said = self.authority if parts.port else name
        own = {"Host": said, "Accept-Encoding": "identity"}
        if self.proxy is not None and self.tls is None:  # it reads our requests, and must find the server in them
            self.path = f"http://{said}{self.path}"
            own |= self.proxy.headers
        lines = [f"{name}: {value}" for name, value in {**own, **headers}.items()]
        if any(UNSAFE_IN_HEADERS.search(line) for line in lines):
            raise ConfigurationError(f"a key for {self.host} has a character in it that no header takes")
        self.headers = "".join(f"{line}\r\n" for line in lines)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that a connection is opened to: the proxy's, if there is one."""
        return (self.host, self.port) if self.proxy is None else (self.proxy.host, self.proxy.port)

    def head(self, method: str, path: str, length: int) -> bytes:
        """The lines before a body of `length` bytes."""
        target = self.path + path
        if UNSAFE.search(target):
            raise ValueError("a request's path holds a space, a control character, or one that is not ASCII")
        return f"{method} {target} HTTP/1.1\r\n{self.headers}Content-Length: {length}\r\n\r\n".encode("ascii")


class NoAnswerError(ConnectionError):
    """The other side has left before anything of an answer came."""


class Connection:
    """For one thread at a time, but for `shut`. Opens with its first request."""

    def __init__(self, server: Server, timeout_seconds: float) -> None:
        self._server = server
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._is_shut = False
        self.sock: socket.socket | None = None
        self._response: Response | None = None

    def request(self, method: str, path: str, body: bytes) -> HTTPResponse:
        """The response, its body still to be read. Raises `OSError` and `HTTPException`.

        A server may close a kept connection just as we send. Then nothing of an answer comes, and the request goes
        out once more over a new one, as curl does it (RFC 9112, 9.3.1). It is not repeated when a part of an answer
        has come, when the connection was new, or after `shut`. Each wait takes the connection's `timeout_seconds` at
        most.
        """
        give_up = monotonic() + self._timeout_seconds
        is_kept = self.sock is not None
        self.connect(self._timeout_seconds)
        try:
            return self._exchange(method, path, body)
        except NoAnswerError:
            if not is_kept or self._is_shut:
                raise
        self.close()
        self.connect(give_up - monotonic())
        return self._exchange(method, path, body)

    def connect(self, seconds: float) -> None:
        """Open it within so many seconds, unless it is. Raises `OSError`."""
        if self.sock is not None:
            return
        if seconds <= 0:
            raise TimeoutError
        tls = self._server.tls
        try:
            plain = self._reach(min(CONNECT_SECONDS, seconds))
            if tls is not None:
                self._start_tls(plain, tls).settimeout(self._timeout_seconds)
            else:
                limit_waits(plain, self._timeout_seconds)
        except BaseException:
            self.close()
            raise

    def shut(self) -> None:
        """End all reads and writes, whichever thread is in them, for good."""
        with self._lock:
            self._is_shut = True
            if self.sock is not None:
                with suppress(OSError):  # the other side was first
                    # A TLS socket's own would forget its session meanwhile.
                    socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    @property
    def is_broken(self) -> bool:
        """Whether the other side has closed it, or spoken unasked, while it lay idle."""
        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    @property
    def is_reusable(self) -> bool:
        """Whether the last answer was read to its end, and leaves the connection open."""
        response = self._response
        return response is not None and response.isclosed() and not response.will_close

    def close(self) -> None:
        """Close it, if it is open, and the response with it."""
        with self._lock:
            for held in (self._response, self.sock):
                if held is not None:
                    held.close()
            self._response = self.sock = None

    def _exchange(self, method: str, path: str, body: bytes) -> HTTPResponse:
        assert self.sock is not None
        self._response = response = Response(self.sock, method=method)
        with suppress(*LOST):  # an answer may have come before the whole request was out
            _send(self.sock, self._server.head(method, path, len(body)) + body)
        if not _has_come(response):
            raise NoAnswerError
        response.begin()
        if response.status == AUTHENTICATION_REQUIRED and self._server.proxy is not None:
            refusal = ProxyRefusedError(response.status)
            self._server.proxy.report(refusal)
            raise refusal
        return response

    def _reach(self, seconds: float) -> socket.socket:
        """A connection on which the server itself listens, or begins TLS."""
        server = self._server
        try:
            plain = socket.create_connection(server.address, seconds)
            self._hold(plain)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if server.proxy is not None and server.tls is not None:
                server.proxy.open_tunnel(plain, server.authority)
        except (OSError, HTTPException) as error:
            if server.proxy is not None and not self._is_shut:
                server.proxy.report(error)
            raise
        return plain

    def _start_tls(self, plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        tls = context.wrap_socket(plain, server_hostname=self._server.host, do_handshake_on_connect=False)
        self._hold(tls)  # before the handshake, which `shut` must be able to end
        tls.do_handshake()
        return tls

    def _hold(self, sock: socket.socket) -> None:
        with self._lock:
            self.sock = sock
            if self._is_shut:
                raise ConnectionAbortedError


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
    except BlockingIOError as error:
        raise TimeoutError from error


def _has_come(response: HTTPResponse) -> bool:
    """Waits for the answer's first byte; False when there will be none."""
    try:
        return bool(response.fp.peek(1))
    except LOST:
        return False


def plain_headers(response: HTTPResponse) -> dict[str, str]:
    """The headers, their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


class Connections:
    """Kept connections to one server. Opens none before the first request; safe to share between threads.

    They lie on a stack: as many as are in use at once are opened, and the warmest is taken first.
    """

    def __init__(self, server: Server, timeout_seconds: float) -> None:
        self._server = server
        self._timeout_seconds = timeout_seconds
        self._idle: deque[Connection] = deque()

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection for one request; kept when all goes well and the answer is read to its end."""
        connection = self._take()
        is_kept = False
        try:
            yield connection
            is_kept = connection.is_reusable
        finally:
            if is_kept:
                self._idle.append(connection)
            else:  # what is left of an answer would stand before the next
                connection.close()

    def close(self) -> None:
        """Close the connections that no request uses."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _take(self) -> Connection:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not connection.is_broken:
                    return connection
                connection.close()
        return Connection(self._server, self._timeout_seconds)
