"""The proxy between us and a server: a tunnel through it for TLS (RFC 9110, 9.3.6), a header for it otherwise."""

import base64
import socket
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Self
from urllib.parse import unquote, urlsplit

from app.core.errors import ConfigurationError
from app.core.logging import get_logger
from app.core.proxies import proxy_for, shown

AUTHENTICATION_REQUIRED = 407
"""The one status that no server sends, only a proxy."""

log = get_logger(__name__)


class ProxyRefusedError(ConnectionError):
    """The proxy has not let us through; `status` is what it answered."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. `headers` are what it asks of whoever comes through it: user and password, if it has any."""

    host: str
    port: int
    name: str
    headers: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> Self | None:
        """The proxy for calls to `url`, by the environment; None when there is none. Raises `ConfigurationError`."""
        found = proxy_for(url)
        if found is None:
            return None
        parts = urlsplit(found)
        if parts.scheme != "http":  # for a server with TLS it would be TLS within TLS, which `ssl` does not do
            raise ConfigurationError(f"the proxy {shown(found)} must be an http:// one")
        headers = {}
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            headers["Proxy-Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
        return cls(parts.hostname or "", parts.port or 80, shown(found), headers)

    def open_tunnel(self, connection: socket.socket, authority: str) -> None:
        """Have the proxy connect us to `authority`, a host and port. Raises `OSError` and `HTTPException`."""
        lines = [f"{name}: {value}\r\n" for name, value in {"Host": authority, **self.headers}.items()]
        connection.sendall(f"CONNECT {authority} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("ascii"))
        answer = HTTPResponse(connection, method="CONNECT")
        try:
            answer.begin()
        finally:
            answer.close()
        if not 200 <= answer.status < 300:
            raise ProxyRefusedError(answer.status)

    def report(self, error: Exception) -> None:
        """Log that a call has failed at the proxy, not at the server; it is named without user and password."""
        status = error.status if isinstance(error, ProxyRefusedError) else None
        log.warning("proxy_failed", proxy=self.name, reason=type(error).__name__, status=status)
