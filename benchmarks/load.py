"""Clients for benchmarks of the API, as thin as they can be: one event loop, raw HTTP/1.1 over many connections."""

import asyncio
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, time
from typing import cast
from urllib.parse import urlsplit

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_JOB_ID = re.compile(rb'"job_id": ?"([\w-]+)"')
_SENT = re.compile(rb'"at":(\d+\.\d+)')

OK, ACCEPTED = 200, 202
WAIT_SECONDS = 60
"""As long as a client may have the API wait for a result."""


@dataclass(slots=True)
class Rate:
    """Requests a second, their latencies in seconds, and how many answers had each status."""

    per_second: float
    latencies: list[float]
    statuses: dict[int, int]


@dataclass(slots=True)
class Follow:
    """What attached clients saw: seconds from each delta's writing to its arrival, and how many were cut off."""

    delays: list[float] = field(default_factory=list)
    answered: int = 0
    lost: int = 0


def request(method: str, url: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def hammer(url: str, requests: Sequence[bytes], *, seconds: float, connections: int = 32) -> Rate:
    """Send `requests` in turn over and over, each connection one at a time."""
    return uvloop.run(_hammer(url, requests, seconds, connections))


async def _hammer(url: str, requests: Sequence[bytes], seconds: float, connections: int) -> Rate:
    rate = Rate(0, [], {})
    end = perf_counter() + seconds
    began = perf_counter()
    await asyncio.gather(*(_one(url, requests, number, end, rate) for number in range(connections)))
    rate.per_second = len(rate.latencies) / (perf_counter() - began)
    return rate


async def _one(url: str, requests: Sequence[bytes], number: int, end: float, rate: Rate) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        while (began := perf_counter()) < end:
            status, _ = await _exchange(reader, writer, requests[number % len(requests)])
            number += 1
            rate.latencies.append(perf_counter() - began)
            rate.statuses[status] = rate.statuses.get(status, 0) + 1
    finally:
        writer.close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> tuple[int, bytes]:
    """Status and body of what is answered to a request."""
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    found = _LENGTH.search(head)
    body = await reader.readexactly(int(found[1]) if found else 0)
    return int(head[9:12]), body


class UnexpectedAnswerError(Exception):
    """A client was answered what it can't go on from; the message says what."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where a client asks: the service's URL, whom it trusts there, its own address on this machine, its key."""

    url: str
    tls: ssl.SSLContext | None
    address: str
    headers: dict[str, str]


async def ask_on(door: Door, question: bytes, answered: list[float]) -> None:
    """Ask and wait for the answer, over one connection, again and again, until cancelled.

    Adds to `answered` how long each took, from POST to result. Raises `UnexpectedAnswerError` when a question is not
    taken, or its job has not finished well.
    """
    parts = urlsplit(door.url)
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port, ssl=door.tls, local_addr=(door.address, 0)
    )
    asking = request("POST", door.url, "/chat", question, **door.headers)
    try:
        while True:
            began = perf_counter()
            status, told = await _exchange(reader, writer, asking)
            job_id = _JOB_ID.search(told)
            if status != ACCEPTED or job_id is None:
                raise UnexpectedAnswerError(f"POST /chat: {status} {told!r}")
            path = f"/result/{job_id[1].decode()}?wait={WAIT_SECONDS}"
            while status == ACCEPTED:
                status, told = await _exchange(reader, writer, request("GET", door.url, path, b"", **door.headers))
            if status != OK or b'"status":"finished"' not in told:
                raise UnexpectedAnswerError(f"GET /result: {status} {told!r}")
            answered.append(perf_counter() - began)
    finally:
        writer.transport.abort()  # at once: a farewell by TLS would outlive the loop


class _Follower(asyncio.Protocol):
    """One client that stays attached and notes when each delta comes."""

    def __init__(self, request: bytes, seen: Follow) -> None:
        self._request = request
        self._seen = seen
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        moment = time()
        for sent in _SENT.findall(data):
            self._seen.delays.append(moment - float(sent))
        self._seen.answered += data.count(b"HTTP/1.1 200")

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen.lost += 1


async def attach(url: str, requests: Sequence[bytes], seen: Follow, *, at_once: int = 200) -> list[asyncio.Transport]:
    """Open a connection for each request, `at_once` at a time; returns when each is open."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    transports: list[asyncio.Transport] = []
    for start in range(0, len(requests), at_once):
        made = await asyncio.gather(
            *(
                loop.create_connection(partial(_Follower, one, seen), parts.hostname or "", parts.port or 80)
                for one in requests[start : start + at_once]
            )
        )
        transports += [transport for transport, _ in made]
    return transports
