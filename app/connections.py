"""The open connections of a server: how many there may be, whose, and which of them have taken too long."""

import json
import logging
import resource
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import Protocol

from app.core.loopback import is_loopback, one_client

HEADER_BYTES_MAX = 64 * 1024
"""Of one request's header, its first line and every line end included. Eight times what nginx takes of a line."""
HEADER_LINES_MAX = 200
"""Twice what Apache takes."""
HEADER_SECONDS = 10.0
"""From a connection's opening, or from the first byte of a further request, to the end of the header."""
BODY_SECONDS = 20.0
"""Of silence that a body may begin or go on with, as Apache's."""
WRITE_SECONDS = 60.0
"""Of silence in which a client takes nothing of what is written to it."""
BYTES_PER_SECOND_MIN = 1024
"""Slower than a modem of 1990; whoever is slower, on either way, only means to stay."""
LINGER_SECONDS = 2.0
LINGER_BYTES_MAX = 256 * 1024
"""How long, and how much, a client whose request is refused may go on sending: an answer is lost when its connection
is closed before all that has come was read."""
PIPELINE_MAX = 64
"""Requests that wait on one connection for the one before them: each costs 3 KB, and 18 bytes to send."""
RETRY_SECONDS = 5
SWEEP_SECONDS = 1.0
"""Between two looks at all connections; deadlines are as exact. One timer for them all: one for each request would be
a percent of what a request costs."""

DESCRIPTORS_MAX = 65_536
"""Raised to at most: some programs, started as children, walk over all that they could have."""
DESCRIPTORS_KEPT = 256
"""For what is no client: Valkey, files of uploads, children. A quarter where there are few."""

log = logging.getLogger(__name__)  # the embedded Qdrant has no structlog


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may cost; see the constants. Tests have others."""

    header_bytes: int = HEADER_BYTES_MAX
    header_lines: int = HEADER_LINES_MAX
    header_seconds: float = HEADER_SECONDS
    body_seconds: float = BODY_SECONDS
    write_seconds: float = WRITE_SECONDS
    bytes_per_second: float = BYTES_PER_SECOND_MIN
    linger_seconds: float = LINGER_SECONDS
    linger_bytes: int = LINGER_BYTES_MAX
    pipeline: int = PIPELINE_MAX
    sweep_seconds: float = SWEEP_SECONDS


@dataclass(frozen=True, slots=True)
class Rejection:
    """An answer for a client whose request does not reach the application, in the form of `app.problems`."""

    status: int
    kind: str
    detail: str
    retry_after_seconds: int | None = None

    def response(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The whole response, with the server's own `headers`."""
        title = HTTPStatus(self.status).phrase
        problem = {"type": f"urn:problem:{self.kind}", "title": title, "status": self.status, "detail": self.detail}
        body = json.dumps(problem, separators=(",", ":")).encode()
        own = (
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            *([(b"retry-after", str(self.retry_after_seconds).encode())] if self.retry_after_seconds else []),
        )
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in (*headers, *own))
        return f"HTTP/1.1 {self.status} {title}\r\n".encode() + lines + b"\r\n" + body


HEADERS_TOO_LARGE = Rejection(
    431,
    "headers-too-large",
    f"The header is longer than {HEADER_BYTES_MAX // 1024} KiB or has more than {HEADER_LINES_MAX} lines.",
)
TOO_SLOW = Rejection(408, "request-timeout", "The request did not come in time.")
TOO_MANY_OF_ADDRESS = Rejection(
    429, "too-many-connections", "Your address has too many open connections. Close some.", RETRY_SECONDS
)
TOO_MANY = Rejection(503, "connections-exhausted", "Too many connections are open. Come back later.", RETRY_SECONDS)
REJECTIONS = (HEADERS_TOO_LARGE, TOO_SLOW, TOO_MANY_OF_ADDRESS, TOO_MANY)


class Connection(Protocol):
    """A connection, as far as its server's `Connections` know it."""

    address: str | None
    """Whose it is counted as; None when it is not."""
    is_yielding: bool
    """Whether it is among those that are closed when another needs the place."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is being served, nor on its way to the client."""

    def look(self, now: float) -> None:
        """End it if it has taken too long. `now` is in seconds."""

    def abort(self) -> None:
        """End it at once."""


class Connections:
    """The open connections of one server, and the one timer that looks at them.

    One address has no more than `per_address`. A new one beyond `places` takes the place of the oldest that has not
    asked anything yet; else of one that waits between two requests.
    """

    def __init__(self, loop: AbstractEventLoop, sweep_seconds: float, *, per_address: float, places: int) -> None:
        self._loop = loop
        self._sweep_seconds = sweep_seconds
        self._per_address = per_address
        self._places = places
        self._open: dict[Connection, None] = {}
        self._yielding: dict[Connection, None] = {}
        self._of_address: dict[str, int] = {}
        self._timer: TimerHandle | None = None
        self._looked_at = 0.0
        self._clock = 0.0
        self._turned_away = 0
        self._has_searched = False

    def add(self, connection: Connection) -> Rejection | None:
        """Take a new connection in, or tell why not."""
        address = connection.address
        of_address = self._of_address.get(address, 0) if address is not None else 0
        if of_address >= self._per_address:
            self._turned_away += 1
            return TOO_MANY_OF_ADDRESS
        if len(self._open) >= self._places and not self._make_room():
            self._turned_away += 1
            return TOO_MANY
        if address is not None:
            self._of_address[address] = of_address + 1
        self._open[connection] = None
        self.may_yield(connection)
        if self._timer is None:
            self._looked_at = self._loop.time()
            self._set_timer()
        return None

    def may_yield(self, connection: Connection) -> None:
        """Nothing of it is served: it can be closed when another needs the place."""
        if connection in self._open:
            connection.is_yielding = True
            self._yielding[connection] = None

    def serve(self, connection: Connection) -> None:
        """It has asked something, and is not closed for another any more."""
        connection.is_yielding = False
        self._yielding.pop(connection, None)

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        if connection not in self._open:
            return
        del self._open[connection]
        self._yielding.pop(connection, None)
        address = connection.address
        if address is not None:
            left = self._of_address[address] - 1
            if left:
                self._of_address[address] = left
            else:
                del self._of_address[address]

    def _make_room(self) -> bool:
        """Close the connection that can best be spared; whether there was one."""
        if not self._yielding and not self._has_searched:
            self._has_searched = True  # once in a sweep: what is asked of every connection costs
            for connection in self._open:
                if connection.is_idle:
                    self.may_yield(connection)
        if not self._yielding:
            return False
        oldest = next(iter(self._yielding))
        self.remove(oldest)
        oldest.abort()
        self._turned_away += 1
        return True

    def _set_timer(self) -> None:
        self._timer = self._loop.call_later(self._sweep_seconds, self._sweep)

    def _sweep(self) -> None:
        """Look at all connections, and again later while there are any.

        Time in which this process did not run is not the clients': a sweep that comes late counts as two.
        """
        now = self._loop.time()
        self._clock += min(now - self._looked_at, 2 * self._sweep_seconds)
        self._looked_at = now
        for connection in tuple(self._open):
            connection.look(self._clock)
        if self._turned_away:
            log.warning("connections_turned_away", extra={"count": self._turned_away})
        self._turned_away = 0
        self._has_searched = False
        self._timer = None
        if self._open:
            self._set_timer()


@lru_cache(maxsize=4096)
def counted_as(host: str, exempt: tuple[str, ...]) -> str | None:
    """As whose a connection from the address `host` counts: an IPv4 address, or an IPv6 client's /64 network.

    None for this machine's own programs, and for proxies, which bring everyone: those within the networks `exempt`.
    """
    client = one_client(host)
    if client is None or is_loopback(host):
        return None
    given = ip_address(host)
    address = getattr(given, "ipv4_mapped", None) or given
    return None if any(address in ip_network(network, strict=False) for network in exempt) else client


def places() -> int:
    """How many connections this process has descriptors for, after raising its limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        soft = DESCRIPTORS_MAX
    return soft - min(DESCRIPTORS_KEPT, soft // 4)
