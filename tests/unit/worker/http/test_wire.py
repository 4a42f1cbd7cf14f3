"""The connection to a model's server, against a server that does what it is told to."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from time import monotonic

import pytest

from worker.http.wire import CallFailedError, CallTimeoutError, Wire, pieces
from worker.runtime.interrupts import own_calls

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"
CHUNKED_CUT = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nl"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"


class Server:
    """Answers each request on a connection with the next of `answers`; an answer of None keeps silent."""

    def __init__(self, *answers: bytes | None, then_close: bool = False, trickle: bool = False) -> None:
        self._answers = iter(answers)
        self._then_close = then_close
        self._trickle = trickle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self.connections: list[socket.socket] = []
        self.asked = threading.Event()
        self.left = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        with socket.create_connection(self._listener.getsockname()):
            pass
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if self._over.is_set():
                    return
                self.connections.append(connection)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        while _request(connection):
            self.asked.set()
            answer = next(self._answers)
            if answer is not None:
                connection.sendall(answer)
            while self._trickle and not self._over.is_set():
                try:
                    connection.sendall(b"x")
                except OSError:
                    return
                self._over.wait(0.01)
            if self._then_close:
                return
        self.left.set()


def _request(connection: socket.socket) -> bool:
    """Whether one more request came."""
    received = b""
    while not received.endswith(b"{}"):
        try:
            piece = connection.recv(65_536)
        except ConnectionError:
            return False
        if not piece:
            return False
        received += piece
    return True


@contextmanager
def serving(*answers: bytes | None, timeout_seconds: float = 10.0, **more: bool) -> Iterator[tuple[Server, Wire]]:
    with (
        closing(Server(*answers, **more)) as server,
        closing(Wire(server.url, {"X-A": "b"}, timeout_seconds=timeout_seconds)) as wire,
    ):
        yield server, wire


def call(wire: Wire) -> bytes:
    with wire.post("/x", b"{}") as response:
        return b"".join(pieces(response))


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED])
def test_a_connection_is_kept_for_the_next_call(answer: bytes) -> None:
    with serving(answer, answer) as (server, wire):
        assert [call(wire), call(wire)] == [b"hello", b"hello"]
        assert len(server.connections) == 1


@pytest.mark.parametrize("answer", [WHOLE, CLOSING])
def test_a_connection_that_the_server_has_closed_is_not_used_again(answer: bytes) -> None:
    with serving(answer, answer, then_close=True) as (server, wire):
        assert [call(wire), call(wire)] == [b"hello", b"hello"]
        assert len(server.connections) == 2


@pytest.mark.parametrize("answer", [CUT, CHUNKED_CUT, b"", b"nonsense\r\n\r\n"])
def test_an_answer_that_is_cut_or_none_is_an_error(answer: bytes) -> None:
    with serving(answer, then_close=True) as (_, wire), pytest.raises(CallFailedError):
        call(wire)


def test_a_body_that_is_not_read_to_its_end_leaves_no_connection() -> None:
    with serving(CUT, WHOLE) as (server, wire):
        with wire.post("/x", b"{}"):
            pass
        assert call(wire) == b"hello"
        assert len(server.connections) == 2


def test_a_server_that_says_nothing_is_left_in_time() -> None:
    with serving(None, timeout_seconds=0.2) as (server, wire):
        with pytest.raises(CallTimeoutError):
            call(wire)
        assert server.left.wait(10)


def test_a_server_that_trickles_is_left_in_time_as_a_whole() -> None:
    with serving(HEAD, timeout_seconds=0.3, trickle=True) as (_, wire):
        began = monotonic()
        with pytest.raises(CallTimeoutError):
            call(wire)
        assert monotonic() - began < 5


def test_a_body_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.http.wire.BODY_BYTES_MAX", 10)
    with serving(HEAD, trickle=True) as (_, wire), pytest.raises(CallFailedError):
        call(wire)


def test_nobody_there_is_an_error() -> None:
    with closing(Wire("http://127.0.0.1:9", {}, timeout_seconds=5)) as wire, pytest.raises(CallFailedError):
        call(wire)


def test_an_interrupt_ends_the_call_and_every_next_one_until_the_reset() -> None:
    with serving(None, WHOLE) as (server, wire), ThreadPoolExecutor(1) as thread:
        calls = thread.submit(own_calls).result()
        first = thread.submit(call, wire)
        assert server.asked.wait(10)
        calls.interrupt()
        assert server.left.wait(10)
        assert isinstance(first.exception(10), CallFailedError)
        assert isinstance(thread.submit(call, wire).exception(10), CallFailedError)
        calls.reset()
        assert thread.submit(call, wire).result(10) == b"hello"


def test_an_interrupt_does_not_outlive_its_thread() -> None:
    """The system gives a new thread the number of one that has ended."""
    for _ in range(3):
        with ThreadPoolExecutor(1) as ended:
            ended.submit(lambda: own_calls().interrupt()).result()
        with serving(WHOLE) as (_, wire), ThreadPoolExecutor(1) as thread:
            assert thread.submit(call, wire).result(10) == b"hello"


def test_what_was_refused_is_told_with_status_and_headers() -> None:
    told: list[tuple[int, object]] = []
    answer = b"HTTP/1.1 429 Slow down\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n"
    with closing(Server(answer)) as server:
        wire = Wire(
            server.url, {}, timeout_seconds=5, on_response=lambda status, headers: told.append((status, headers))
        )
        with closing(wire):
            call(wire)
    assert told == [(429, {"retry-after": "3", "content-length": "0"})]
