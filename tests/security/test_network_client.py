"""Whoever can reach the port, without a key: bytes that never end, silence, and connections by the hundred."""

import asyncio
import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

import app.server
from app.connections import HEADER_BYTES_MAX, LINGER_BYTES_MAX, Limits
from app.core.settings import Settings
from app.embedded.ports import free_port
from app.server import HttpProtocol
from tests.acceptance.conftest import environment, start
from tests.support.api import serving, serving_app
from tests.support.processes import wait_until

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
KERNEL_BYTES = 16 * 1024 * 1024
"""What the buffers of both ends may hold of what nobody has read."""
PATIENCE = 20.0


class Hasty(HttpProtocol):
    """Everything as it is, in a tenth of the time."""

    limits = Limits(header_seconds=0.6, body_seconds=0.6, write_seconds=0.6, linger_seconds=0.5, sweep_seconds=0.05)


class Raw:
    """A connection of bytes."""

    def __init__(self, url: str, source: str = "127.0.0.1") -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE, source_address=(source, 0))

    def send(self, data: bytes) -> bool:
        """False when the server has hung up."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def read(self) -> bytes:
        """Everything until the server closes; fails when it does not."""
        received = b""
        try:
            while data := self.socket.recv(65_536):
                received += data
        except ConnectionError:
            pass
        return received

    def read_some(self, size: int = 65_536) -> bytes:
        return self.socket.recv(size)

    def has_answer(self) -> bool:
        """Or its end."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def is_open(self) -> bool:
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def settings_of(valkey_url: str, **more: Any) -> Settings:
    return Settings(redis_url=SecretStr(valkey_url), qdrant_url="http://127.0.0.1:9", **more)


@pytest.fixture
def api(valkey_url: str, valkey: object) -> Iterator[str]:
    with serving(settings_of(valkey_url)) as url:
        yield url


@pytest.fixture
def hasty(valkey_url: str, valkey: object) -> Iterator[str]:
    with serving(settings_of(valkey_url), Hasty) as url:
        yield url


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    found: dict[str, Any] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % found["status"])
    return found


def is_served(url: str) -> bool:
    return httpx.get(f"{url}/healthz", timeout=PATIENCE).is_success


def address_of(header_bytes: int, lines: int = 3) -> bytes:
    """A GET of exactly so many bytes and so many header lines."""
    start = GET + b"".join(b"X-%d: y\r\n" % number for number in range(lines - 2))
    return start + b"Long: " + b"x" * (header_bytes - len(start) - len(b"Long: \r\n\r\n")) + b"\r\n\r\n"


# -- Headers without end

TOO_LARGE: dict[str, Callable[[], Iterator[bytes]]] = {
    "one line": lambda: iter([GET + b"Long: ", *[b"x" * 65_536] * 3200]),
    "many lines": lambda: iter([GET, *[b"X-Header: value\r\n" * 4096] * 3200]),
    "the address": lambda: iter([b"GET /", *[b"x" * 65_536] * 3200]),
    "a name": lambda: iter([GET, *[b"x" * 65_536] * 3200]),
    "in small pieces": lambda: iter([GET + b"Long: ", *[b"x" * 1000] * 4000]),
    "of a second request": lambda: iter([GET + b"\r\n" + GET + b"Long: ", *[b"x" * 65_536] * 3200]),
    "201 lines": lambda: iter([address_of(8000, 201)]),
    "a byte more than 64 KiB": lambda: iter([address_of(HEADER_BYTES_MAX + 1)]),
}


@pytest.mark.parametrize("shape", TOO_LARGE)
def test_a_header_too_large_is_a_431_long_before_its_end(api: str, shape: str) -> None:
    """Of 200 MB a client gets rid of what fits in buffers; what was parsed has its end in tests/unit/app."""
    sent = 0
    with Raw(api) as client:
        for piece in TOO_LARGE[shape]():
            if not client.send(piece):
                break
            sent += len(piece)
        answer = client.read()
    if shape == "of a second request":
        answer = answer[answer.rindex(b"HTTP/1.1 ") :]
        if answer.startswith(b"HTTP/1.1 200"):  # the first was still being served: then there is nothing but the end
            answer = b""
    assert sent < KERNEL_BYTES
    assert not answer or problem(answer)["type"] == "urn:problem:headers-too-large"
    assert answer or shape == "of a second request"
    assert is_served(api)


@pytest.mark.parametrize(("size", "lines"), [(HEADER_BYTES_MAX, 3), (8000, 200)])
def test_a_header_as_large_as_allowed_is_served(api: str, size: int, lines: int) -> None:
    with Raw(api) as client:
        client.send(address_of(size, lines))
        assert client.read_some().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("start", [b"0\r\nLong: ", b"5;"])
def test_trailers_and_extensions_without_end_are_refused(api: str, start: bytes) -> None:
    sent = 0
    with Raw(api) as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + start)
        while client.send(b"x" * 65_536) and sent < 4 * KERNEL_BYTES:
            sent += 65_536
        client.read()
    assert sent < KERNEL_BYTES
    assert is_served(api)


def test_ten_thousand_requests_at_once_are_not_kept_in_memory(api: str) -> None:
    with Raw(api) as client:
        client.send((GET + b"\r\n") * 10_000)
        answers = client.read().count(b"HTTP/1.1 200")
    assert 1 <= answers <= 100


# -- Silence

SILENT: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "half a header": (GET, b""),
    "a header that is dripped": (GET + b"Long: ", b"x"),
    "empty lines": (b"\r\n", b"\r\n"),
    "half a body": (POST + b"Content-Length: 1000\r\n\r\n{", b""),
    "a body that is dripped": (POST + b"Content-Length: 1000\r\n\r\n{", b" "),
    "a chunk's extension that is dripped": (POST + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x"),
    "half a header after a request": (GET + b"\r\n" + GET, b""),
}


@pytest.mark.parametrize("kind", SILENT)
def test_who_says_nothing_more_is_let_go_while_those_who_wait_for_us_are_not(hasty: str, kind: str) -> None:
    with httpx.Client(base_url=hasty, timeout=PATIENCE) as http:
        job_id = http.post("/chat", json={"query": "?"}).json()["job_id"]
    start_, more = SILENT[kind]
    with Raw(hasty) as stream, Raw(hasty) as poll, Raw(hasty) as silent:
        stream.send(b"GET /stream/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % job_id.encode())
        poll.send(b"GET /result/%s?wait=30 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % job_id.encode())
        assert stream.read_some().startswith(b"HTTP/1.1 200")
        began = monotonic()
        silent.send(start_)
        while more and not silent.has_answer() and monotonic() - began < PATIENCE:
            silent.send(more)
            sleep(0.05)
        answer = silent.read()
        assert monotonic() - began < PATIENCE / 2
        if kind == "half a header after a request":
            assert answer.startswith(b"HTTP/1.1 200")
            answer = answer[answer.rindex(b"HTTP/1.1 ") :]
        assert problem(answer)["status"] == 408 if answer else kind == "nothing"
        sleep(1)
        assert poll.is_open()
        assert stream.is_open()


def test_an_honest_slow_upload_is_taken(hasty: str) -> None:
    """50 KB a second, for longer than a silence may last."""
    body = b'{"query": "?"}'
    with Raw(hasty) as client:
        padding = 100_000
        client.send(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (padding + len(body)))
        for _ in range(20):
            assert client.send(b" " * (padding // 20))
            sleep(0.1)
        client.send(body)
        assert client.read().startswith(b"HTTP/1.1 202")


def test_a_client_that_reads_nothing_is_cut_off_and_its_application_told() -> None:
    has_ended = threading.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        has_left = asyncio.create_task(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not has_left.done():
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            await asyncio.sleep(0)
        has_ended.set()

    with serving_app(endless, Hasty, lifespan="off") as url, Raw(url) as reader, Raw(url) as idler:
        reader.send(GET + b"\r\n")
        idler.send(GET + b"\r\n")
        began = monotonic()
        while not has_ended.is_set():
            assert monotonic() - began < PATIENCE
            assert reader.read_some()
        assert reader.read_some()


# -- Connections by the hundred


def test_one_address_has_so_many_connections_and_another_is_served(
    valkey_url: str, valkey: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.server, "counted_as", lambda host, exempt: host)  # the tests' own address is exempt
    with (
        serving(settings_of(valkey_url, address_connections_max=20)) as url,
        ExitStack() as stack,
    ):
        held = [stack.enter_context(Raw(url, "127.0.0.2")) for _ in range(20)]
        with Raw(url, "127.0.0.2") as one_more:
            assert problem(one_more.read())["type"] == "urn:problem:too-many-connections"
        assert all(client.is_open() for client in held)
        assert is_served(url)
        held[0].socket.close()
        with Raw(url, "127.0.0.2") as next_one:
            sleep(0.1)
            next_one.send(GET + b"\r\n")
            assert next_one.read_some().startswith(b"HTTP/1.1 200")


def test_the_machines_own_programs_are_not_counted(valkey_url: str, valkey: object) -> None:
    """5,000 streams from loopback are one of the benchmarks."""
    with serving(settings_of(valkey_url, address_connections_max=1)) as url, ExitStack() as stack:
        held = [stack.enter_context(Raw(url)) for _ in range(50)]
        for client in held:
            client.send(GET + b"\r\n")
        assert all(client.read_some().startswith(b"HTTP/1.1 200") for client in held)


@contextmanager
def uvicorn_with(tmp_path: Path, valkey_url: str, *limit: str, **more: str) -> Iterator[str]:
    """uvicorn's command as the image runs it."""
    port = free_port(0)
    variables = environment(
        tmp_path / "data", REDIS_URL=valkey_url, QDRANT_URL="http://127.0.0.1:9",
        UVICORN_HTTP="app.server:HttpProtocol", **more,
    )  # fmt: skip
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:from_environment", "--port", str(port)]
    log = tmp_path / "uvicorn.log"
    with log.open("w") as output:
        process = subprocess.Popen([*limit, *command], cwd=tmp_path, env=variables, stderr=output, stdout=output)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), "uvicorn answers")
        yield url
        assert "headers_and_time_unlimited" not in log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return is_served(url)
    except httpx.HTTPError:
        return False


def test_400_silent_connections_at_256_descriptors_lock_nobody_out(tmp_path: Path, valkey_url: str) -> None:
    limit = ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh"]
    with uvicorn_with(tmp_path, valkey_url, *limit) as url, ExitStack() as stack:
        with httpx.Client(base_url=url, timeout=PATIENCE) as http:
            job_id = http.post("/chat", json={"query": "?"}).json()["job_id"]
        with Raw(url) as stream:
            stream.send(b"GET /stream/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % job_id.encode())
            assert stream.read_some().startswith(b"HTTP/1.1 200")
            silent = [stack.enter_context(Raw(url)) for _ in range(400)]
            began = monotonic()
            assert is_served(url)
            assert monotonic() - began < 5, "it was served only when the silent ones had been let go"
            wait_until(lambda: sum(client.is_open() for client in silent) <= 192, "the oldest have made room")
            assert stream.is_open()


# -- Every server

LONG = GET + b"Long: " + b"x" * (HEADER_BYTES_MAX + LINGER_BYTES_MAX // 2)


def _python_m_app(tmp_path: Path, valkey_url: str, qdrant_url: str, stack: ExitStack) -> str:
    service = start(tmp_path)
    stack.callback(lambda: service.stop())
    return service.services.http_url


SERVERS: dict[str, Callable[[Path, str, str, ExitStack], str]] = {
    "python -m app": _python_m_app,
    "the image": lambda folder, valkey, _, stack: stack.enter_context(uvicorn_with(folder, valkey)),
    "the embedded Qdrant": lambda _, __, qdrant, ___: qdrant,
}


@pytest.mark.parametrize("name", SERVERS)
def test_every_server_of_ours_ends_a_header(name: str, tmp_path: Path, valkey_url: str, qdrant_url: str) -> None:
    with ExitStack() as stack:
        url = SERVERS[name](tmp_path, valkey_url, qdrant_url, stack)
        with Raw(url) as client:
            client.send(LONG)
            assert problem(client.read())["type"] == "urn:problem:headers-too-large"
        assert is_served(url)


# -- As today


def test_http_1_0_with_a_key_and_expect_work_as_ever(valkey_url: str, valkey: object) -> None:
    from app.auth.api_keys import make_key
    from app.auth.principals import Role

    key, entry = make_key(name="n", tenant="t", role=Role.ASK, rate=None)
    with serving(settings_of(valkey_url, api_keys=str(entry))) as url:
        body = b'{"query": "?"}'
        with Raw(url) as client:
            client.send(POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"X-API-Key: %s\r\n" % key.encode())
            client.send(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            assert client.read().startswith(b"HTTP/1.1 202")
        with Raw(url) as client:
            client.send(POST + b"X-API-Key: %s\r\nExpect: 100-continue\r\n" % key.encode())
            client.send(b"Content-Length: %d\r\n\r\n" % len(body))
            assert client.read_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(body)
            assert client.read_some().startswith(b"HTTP/1.1 202")
