"""A kept HTTP/1.1 connection whose requests go out in one write; the answers are read by `http.client`.

`http.client.HTTPConnection` writes the head and then the body: two system calls here, and the other side wakes twice.
"""

import re
import select
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPResponse
from urllib.parse import urlsplit

from app.core.errors import ConfigurationError

UNSAFE = re.compile(r"[^\x21-\x7e]")
"""What would end a request's first line, or not be understood there."""
UNSAFE_IN_HEADERS = re.compile(r"[^\x20-\x7e]")


class Server:
    """Where requests go, and what they all say. Raises `ConfigurationError` for a header that HTTP does not take."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.host = (parts.hostname or "").encode("idna").decode("ascii")
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = parts.port or (80 if self.tls is None else 443)
        self.path = parts.path.rstrip("/")
        name = f"[{self.host}]" if ":" in self.host else self.host
        own = {"Host": f"{name}:{parts.port}" if parts.port else name, "Accept-Encoding": "identity"}
        lines = [f"{name}: {value}" for name, value in {**own, **headers}.items()]
        if any(UNSAFE_IN_HEADERS.search(line) for line in lines):
            raise ConfigurationError(f"a key for {self.host} has a character in it that no header takes")
        self.headers = "".join(f"{line}\r\n" for line in lines)

    def head(self, method: str, path: str, length: int) -> bytes:
        """The lines before a body of `length` bytes."""
        target = self.path + path
        if UNSAFE.search(target):
            raise ValueError("a request's path holds a space, a control character, or one that is not ASCII")
        return f"{method} {target} HTTP/1.1\r\n{self.headers}Content-Length: {length}\r\n\r\n".encode("ascii")


class Connection:
    """For one thread at a time. Not open before `connect`; closed, it may be opened again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.sock: socket.socket | None = None
        self._response: HTTPResponse | None = None

    def connect(self, timeout_seconds: float) -> None:
        """Open it, unless it is. Raises `OSError`."""
        if self._response is not None and self._response.will_close:
            self.close()
        if self.sock is not None:
            return
        server = self._server
        plain = socket.create_connection((server.host, server.port), timeout_seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = server.tls.wrap_socket(plain, server_hostname=server.host) if server.tls else plain
        except BaseException:
            plain.close()
            raise

    def send(self, method: str, path: str, body: bytes) -> HTTPResponse:
        """The response, its body still to be read. Raises `OSError` and `HTTPException`."""
        assert self.sock is not None, "connect first"
        self.sock.sendall(self._server.head(method, path, len(body)) + body)
        self._response = response = HTTPResponse(self.sock, method=method)
        response.begin()
        return response

    @property
    def is_broken(self) -> bool:
        """Whether the other side has closed it, or spoken unasked, while it lay idle."""
        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close it, if it is open, and the response with it."""
        for held in (self._response, self.sock):
            if held is not None:
                held.close()
        self._response = self.sock = None
