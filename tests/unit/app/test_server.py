"""The protocol class on a transport that only notes: what it reads, answers and closes, and when."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.server import ServerState

from app.connections import HEADER_BYTES_MAX, HEADER_LINES_MAX, LINGER_BYTES_MAX, PIPELINE_MAX, Limits
from app.server import HttpProtocol, Stage
from tests.support import ROOT

GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /chat HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
CHUNKED = b"POST /chat HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
EXPECT = b"POST /chat HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n"
OK = [{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]},
      {"type": "http.response.body", "body": b"ok"}]  # fmt: skip
LIMITS = Limits()


class Transport:
    """Notes what is written, and whether it is closed."""

    def __init__(self) -> None:
        self.written = b""
        self.unsent = 0
        self.end: str | None = None
        self.has_ended_writing = False
        self.is_reading = True

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.9", 8000)}.get(name)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: bytes) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended_writing = True

    def is_closing(self) -> bool:
        return self.end is not None

    def close(self) -> None:
        self.end = self.end or "close"

    def abort(self) -> None:
        self.end = "abort"

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    @property
    def status(self) -> int:
        return int(self.written.split()[1])


class Site:
    """A connection to an application that answers when it is told to; `pass_time` is the sweep's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.scopes: list[Any] = []
        self.receives: list[Callable[[], Awaitable[Any]]] = []
        self.answers: list[Callable[[Any], Awaitable[None]]] = []
        self.seen_leaving = False
        self._going: list[asyncio.Event] = []
        config = uvicorn.Config(self._app, interface="asgi3", log_config=None, lifespan="off", proxy_headers=False)
        config.load()
        self.protocol = HttpProtocol(config, ServerState(), {}, loop)
        self.transport = Transport()
        self.protocol.connection_made(self.transport)
        self.now = 0.0
        self.pass_time(0)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.receives.append(receive)
        self.answers.append(send)
        going = asyncio.Event()
        self._going.append(going)
        await going.wait()

    def send(self, data: bytes) -> None:
        self.protocol.data_received(data)
        self.settle()

    def settle(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(asyncio.sleep(0))

    def receive(self, number: int = -1) -> Any:
        """What the application gets; it is there already."""
        return self.loop.run_until_complete(asyncio.wait_for(self.receives[number](), 1))

    def answer(self, number: int = -1, messages: list[Any] = OK) -> None:
        for message in messages:
            self.loop.run_until_complete(self.answers[number](message))
        self._going[number].set()
        self.settle()

    def pass_time(self, seconds: float) -> None:
        """Look, as a sweep a second does."""
        for _ in range(max(int(seconds), 1)):
            self.now += 1
            if self.transport.end is None:
                self.protocol.look(self.now)
        self.settle()

    def stop(self) -> None:
        for going in self._going:
            going.set()
        self.protocol.connection_lost(None)
        self.loop.run_until_complete(asyncio.sleep(0.01))


@pytest.fixture
def site() -> Iterator[Site]:
    with asyncio.Runner() as runner:
        site = Site(runner.get_loop())
        yield site
        site.stop()


def get(size: int, *, lines: int = 3) -> bytes:
    """A GET whose header has this many bytes and lines, beside the first."""
    first = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
    some = b"".join(b"a%d: b\r\n" % number for number in range(lines - 2))
    last = b"long: " + b"x" * (size - len(first) - len(some) - len(b"long: \r\n\r\n")) + b"\r\n\r\n"
    assert len(first + some + last) == size
    return first + some + last


class Counting:
    """The protocol's parser, which notes how many bytes it is fed."""

    def __init__(self, protocol: Any) -> None:
        self._parser = protocol.parser
        protocol.parser = self
        self.fed = 0

    def feed_data(self, data: bytes) -> None:
        self.fed += len(data)
        self._parser.feed_data(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


# -- Headers


@pytest.mark.parametrize("piece", [1 << 20, 65_536, 1000, 17])
@pytest.mark.parametrize(("size", "is_taken"), [(HEADER_BYTES_MAX, True), (HEADER_BYTES_MAX + 1, False)])
def test_a_header_may_have_64_kib_and_not_a_byte_more(site: Site, size: int, is_taken: bool, piece: int) -> None:
    header = get(size)
    for at in range(0, size, piece):
        site.protocol.data_received(header[at : at + piece])
    site.settle()
    assert bool(site.scopes) is is_taken
    assert is_taken or site.transport.status == 431


@pytest.mark.parametrize(("lines", "is_taken"), [(HEADER_LINES_MAX, True), (HEADER_LINES_MAX + 1, False)])
def test_a_header_may_have_200_lines_and_not_one_more(site: Site, lines: int, is_taken: bool) -> None:
    site.send(get(8000, lines=lines))
    assert bool(site.scopes) is is_taken
    assert is_taken or site.transport.status == 431


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nlong: ", b"GET /", b"x", b"GET / HTTP/1.1\r\nlong", b"\r\n"])
def test_of_an_endless_header_64_kib_are_parsed(site: Site, start: bytes) -> None:
    """Be it a value, an address, a method, a name or nothing: what it costs ends there."""
    parser = Counting(site.protocol)
    filler = b"\r\n" if start == b"\r\n" else b"x"
    site.send(start)
    for _ in range(100):
        site.send(filler * (200_000 // len(filler)))
    assert parser.fed <= HEADER_BYTES_MAX
    assert site.transport.status in (400, 431)
    assert site.transport.end
    assert not site.scopes


def test_what_a_refused_client_still_sends_is_dropped_and_the_connection_cut_when_it_is_much(site: Site) -> None:
    site.send(get(HEADER_BYTES_MAX + 1))
    assert site.transport.has_ended_writing
    assert site.transport.end is None
    site.send(b"x" * LINGER_BYTES_MAX)
    assert site.transport.end is None
    site.send(b"x")
    assert site.transport.end == "abort"


def test_a_refused_client_that_stays_is_cut_off(site: Site) -> None:
    site.send(get(HEADER_BYTES_MAX + 1))
    site.pass_time(LIMITS.linger_seconds + 1)
    assert site.transport.end == "abort"


def test_a_header_after_a_large_body_may_be_as_long_as_any_other(site: Site) -> None:
    """How the reads fall on body and header does not matter."""
    header = get(60_000)
    data = POST + b"x" * 100_000 + header
    for at in range(0, len(data), 40_000):
        site.send(data[at : at + 40_000])
        if site.protocol.cycle.body:
            site.receive()
    site.answer(0)
    assert len(site.scopes) == 2


def test_trailers_are_not_headers(site: Site) -> None:
    site.send(CHUNKED + b"1\r\nx\r\n0\r\nx-api-key: secret\r\n\r\n")
    assert site.receive() == {"type": "http.request", "body": b"x", "more_body": False}
    assert [name for name, _ in site.scopes[0]["headers"]] == [b"host", b"transfer-encoding"]
    site.answer()
    site.send(GET)
    assert len(site.scopes) == 2


@pytest.mark.parametrize("start", [b"0\r\nlong: ", b"5;", b"5;a=", b"0\r\nlong"])
def test_what_stands_around_a_body_ends_at_64_kib(site: Site, start: bytes) -> None:
    parser = Counting(site.protocol)
    site.send(CHUNKED + start)
    for _ in range(100):
        site.send(b"x" * 10_000)
    assert parser.fed <= HEADER_BYTES_MAX + 20_000
    assert site.transport.status in (400, 431)
    assert site.receive() == {"type": "http.disconnect"}


def test_ends_of_many_bodies_do_not_add_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpProtocol, "limits", Limits(header_bytes=200))
    for _ in range(100):
        site.protocol.data_received(CHUNKED + b"1\r\nx\r\n")
        site.protocol.data_received(b"0\r\n\r\n")
        site.settle()
        site.answer()
        site.transport.written = b""
    assert site.transport.end is None


# -- Several requests, and what is none


def test_pipelined_requests_are_answered_in_their_order(site: Site) -> None:
    site.send(GET * 3)
    for number in range(3):
        assert len(site.scopes) == number + 1
        site.answer(number)
    assert site.transport.written.count(b"HTTP/1.1 200") == 3
    assert site.transport.end is None


def test_of_very_many_pipelined_requests_some_are_answered_and_the_connection_closed(site: Site) -> None:
    site.send(GET * 10_000)
    assert len(site.protocol.pipeline) == PIPELINE_MAX
    for number in range(PIPELINE_MAX + 1):
        site.answer(number)
    assert site.transport.written.count(b"HTTP/1.1 200") == PIPELINE_MAX + 1
    assert site.transport.end == "close"


@pytest.mark.parametrize("more", [b"nonsense\r\n\r\n", get(HEADER_BYTES_MAX + 1)])
def test_a_request_that_is_served_is_answered_whatever_comes_after_it(site: Site, more: bytes) -> None:
    """Nor does the answer to the other stand in the middle of it."""
    site.send(GET)
    site.send(more)
    assert site.transport.written == b""
    site.answer()
    assert site.transport.written.count(b"HTTP/1.1") == 1
    assert site.transport.end == "close"


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_an_upgrade_is_ignored_and_what_follows_is_not_read_as_a_request(site: Site, protocol: bytes) -> None:
    upgrade = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: " + protocol + b"\r\n\r\n"
    site.send(upgrade)
    site.send(GET)
    site.answer()
    assert len(site.scopes) == 1
    assert site.scopes[0]["type"] == "http"
    assert site.transport.end == "close"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\nhost: x\n\n",
        b"GET / HTTP/1.1\r\nhost: x\nlong: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\rlong: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://[x HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_what_is_not_http_is_a_400_and_reaches_nobody(site: Site, request_: bytes) -> None:
    site.send(request_)
    assert not site.scopes
    assert site.transport.status == 400
    assert site.transport.end == "close"


def test_http_1_0_is_served_and_its_connection_closed(site: Site) -> None:
    site.send(b"GET /healthz HTTP/1.0\r\nx-api-key: k\r\n\r\n")
    assert site.scopes[0]["http_version"] == "1.0"
    assert (b"x-api-key", b"k") in site.scopes[0]["headers"]
    site.answer()
    assert site.transport.status == 200
    assert site.transport.end == "close"


def test_a_body_that_waits_to_be_asked_for_is_asked_for(site: Site) -> None:
    site.send(EXPECT)
    assert site.transport.written == b""
    received = site.loop.create_task(site.receives[0]())  # type: ignore[arg-type,var-annotated]
    site.settle()
    assert site.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    site.send(b"12345")
    assert site.loop.run_until_complete(received)["body"] == b"12345"


# -- Time


def test_a_silent_connection_is_closed_without_a_word(site: Site) -> None:
    site.pass_time(LIMITS.header_seconds - 1)
    assert site.transport.end is None
    site.pass_time(2)
    assert site.transport.end == "close"
    assert site.transport.written == b""


@pytest.mark.parametrize("start", [b"G", GET[:-1], b"\r\n"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_header_that_is_dripped_is_a_408(site: Site, start: bytes, is_first: bool) -> None:
    """Whenever it began; each byte moves nothing."""
    if not is_first:
        site.send(GET)
        site.answer()
        site.pass_time(2)
        site.transport.written = b""
    site.send(start)
    for _ in range(int(LIMITS.header_seconds) + 2):
        site.pass_time(1)
        if start == b"\r\n":
            site.send(b"\r\n")
    assert site.transport.status == 408
    assert site.transport.has_ended_writing


def test_a_connection_between_two_requests_is_closed_at_uvicorns_own_time(site: Site) -> None:
    site.send(GET)
    site.answer()
    site.transport.written = b""
    site.pass_time(site.protocol.timeout_keep_alive)
    assert site.transport.end is None
    site.pass_time(2)
    assert site.transport.end == "close"
    assert site.transport.written == b""


def test_one_that_asks_again_and_again_is_not(site: Site) -> None:
    for _ in range(30):
        site.send(GET)
        site.answer()
        site.pass_time(site.protocol.timeout_keep_alive - 1)
    assert site.transport.end is None


@pytest.mark.parametrize("start", [GET, GET + GET[:5], b"GET / HTTP/1.0\r\n\r\n"])
def test_a_request_that_is_served_has_all_the_time_that_it_takes(site: Site, start: bytes) -> None:
    site.send(start)
    site.pass_time(10_000)
    assert site.transport.end is None
    site.answer()
    assert site.transport.status == 200


def test_a_body_that_does_not_come_is_a_408_and_for_the_application_its_client_has_left(site: Site) -> None:
    site.send(POST + b"x")
    site.receive()
    site.pass_time(LIMITS.body_seconds - 1)
    assert site.transport.end is None
    site.pass_time(2)
    assert site.transport.status == 408
    assert site.receive() == {"type": "http.disconnect"}
    before = site.transport.written
    site.answer()
    assert site.transport.written == before


@pytest.mark.parametrize(
    ("request_", "piece"),
    [
        (POST, b"x" * 500),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"5;", b"e" * 1500),
        (CHUNKED + b"0\r\na:", b"b" * 1500),
    ],
)
def test_a_body_that_is_dripped_is_a_408(site: Site, request_: bytes, piece: bytes) -> None:
    """What is not body is no progress, however fast it comes."""
    site.send(request_)
    for _ in range(45):
        site.send(piece)
        site.pass_time(1)
    assert site.transport.status == 408


@pytest.mark.parametrize("rate", [1100, 50_000])
def test_a_slow_upload_lives(site: Site, rate: int) -> None:
    size = 300 * rate
    site.send(POST.replace(b"100000", b"%d" % size))
    for _ in range(300):
        site.pass_time(1)
        site.send(b"x" * rate)
        if site.protocol.cycle.body:
            site.receive()
    assert site.transport.end is None
    assert not site.protocol.cycle.more_body


def test_a_fast_start_buys_no_rest(site: Site) -> None:
    site.send(POST)
    site.send(b"x" * 60_000)
    site.receive()
    site.pass_time(LIMITS.body_seconds + 2)
    assert site.transport.status == 408


def test_a_body_that_we_do_not_read_is_not_the_clients_fault(site: Site) -> None:
    site.send(POST + b"x" * 70_000)
    assert not site.transport.is_reading
    site.pass_time(1000)
    assert site.transport.end is None
    site.receive()
    assert site.transport.is_reading
    site.pass_time(LIMITS.body_seconds + 2)
    assert site.transport.status == 408


def test_a_body_that_we_have_not_asked_for_is_not_the_clients_fault(site: Site) -> None:
    site.send(EXPECT)
    site.pass_time(1000)
    assert site.transport.end is None


def test_a_body_that_nobody_waits_for_any_more_has_the_same_pace_and_no_second_answer(site: Site) -> None:
    site.send(POST)
    site.answer()
    written = site.transport.written
    for _ in range(50):
        site.send(b"x")
        site.pass_time(1)
    assert site.transport.end == "close"
    assert site.transport.written == written


def closing(status: int = 413) -> list[Any]:
    headers = [(b"content-length", b"2"), (b"connection", b"close")]
    return [{"type": "http.response.start", "status": status, "headers": headers}, OK[1]]


def test_who_is_refused_in_the_middle_of_a_body_has_time_to_read_that(site: Site) -> None:
    """A reset would take the answer from a proxy that still sends: nothing is read, nor closed."""
    site.send(POST + b"x")
    site.answer(messages=closing())
    assert site.transport.status == 413
    assert (site.transport.end, site.transport.has_ended_writing, site.transport.is_reading) == (None, True, False)
    site.pass_time(LIMITS.linger_seconds + 1)
    assert site.transport.end == "abort"


@pytest.mark.parametrize("request_", [GET, POST + b"x" * 100_000], ids=["no body", "its body has come"])
def test_who_has_sent_all_is_let_go_at_once(site: Site, request_: bytes) -> None:
    site.send(request_)
    site.answer(messages=closing())
    assert (site.transport.end, site.transport.has_ended_writing) == ("close", False)


def test_a_client_that_takes_nothing_is_cut_off(site: Site) -> None:
    site.send(GET)
    site.transport.unsent = 70_000
    site.protocol.pause_writing()
    site.pass_time(LIMITS.write_seconds)
    assert site.transport.end is None
    site.pass_time(2)
    assert site.transport.end == "abort"


def test_so_is_one_that_takes_a_byte_now_and_then(site: Site) -> None:
    site.send(GET)
    site.transport.unsent = 70_000
    site.protocol.pause_writing()
    for _ in range(100):
        site.transport.unsent -= 100
        site.pass_time(1)
    assert site.transport.end == "abort"


def test_a_slow_download_lives(site: Site) -> None:
    site.send(GET)
    for _ in range(20):
        site.transport.unsent = 70_000
        site.protocol.pause_writing()
        for _ in range(30):
            site.transport.unsent -= 2000
            site.pass_time(1)
        site.protocol.resume_writing()
    assert site.transport.end is None


def test_one_that_takes_all_between_two_looks_lives(site: Site) -> None:
    site.send(GET)
    site.transport.unsent = 70_000
    for _ in range(200):
        site.protocol.pause_writing()
        site.pass_time(1)
        site.protocol.resume_writing()
    assert site.transport.end is None


def test_a_closing_connection_whose_client_takes_nothing_is_cut_off(site: Site) -> None:
    site.send(GET)
    site.answer()
    site.transport.unsent = 1000
    site.transport.close()
    for _ in range(int(LIMITS.write_seconds) + 3):
        site.now += 1
        site.protocol.look(site.now)
    assert site.transport.end == "abort"


def test_every_stage_has_its_time(site: Site) -> None:
    endless = {stage for stage in Stage if site.protocol._seconds(stage) == float("inf")}
    assert endless == {Stage.SERVED}


# -- Its being used


@pytest.mark.parametrize(("imports", "warns"), [("app.main", True), ("app.server, app.main", False)])
def test_the_application_says_at_its_start_when_it_is_served_without(imports: str, warns: bool) -> None:
    """uvicorn imports its protocol before the application."""
    code = f"import {imports}; app.main.from_environment()"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"REDIS_URL": "redis://nowhere", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ("headers_and_time_unlimited" in run.stdout + run.stderr) is warns


def test_the_parser_joins_a_headers_pieces_and_so_needs_the_limit() -> None:
    """The day it does not, `app.server` can be shorter."""
    seen: list[bytes] = []
    parser = httptools.HttpRequestParser(type("P", (), {"on_header": lambda _, name, value: seen.append(value)})())
    parser.feed_data(b"GET / HTTP/1.1\r\na: ")
    for _ in range(3):
        parser.feed_data(b"x" * HEADER_BYTES_MAX)
    assert not seen
    parser.feed_data(b"\r\n\r\n")
    assert [len(value) for value in seen] == [3 * HEADER_BYTES_MAX]
