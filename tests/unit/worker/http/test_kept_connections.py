"""A server may close a kept connection just as we send: what goes out once more then, and what must not."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from app.core.errors import ServiceError
from tests.support.tls import make_certificate
from worker.http.connection import Connection, Server
from worker.http.qdrant import QdrantHttp
from worker.http.wire import CallFailedError, CallTimeoutError, Wire, pieces
from worker.runtime.interrupts import own_calls

BODY = b'{"result":5}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)

Step = Callable[["Script", socket.socket], None]
"""What a server does with one request, or instead of it."""
Ask = Callable[[], object]


class Script:
    """Accepts as many connections as it has lists of steps, goes through each, and closes it."""

    def __init__(self, *connections: Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        self._connections = connections
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests = 0
        self.accepted = 0
        self.asked = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """End; connections that nobody has opened are not waited for."""
        while self._thread.is_alive():
            with socket.create_connection(("127.0.0.1", self.port)):
                self._thread.join(0.05)
        self._listener.close()

    def read(self, connection: socket.socket) -> None:
        """One request."""
        received = b""
        while not received.endswith(b"{}"):
            piece = connection.recv(65_536)
            if not piece:
                raise ConnectionError
            received += piece
        self.requests += 1
        self.asked.release()

    def _serve(self) -> None:
        for steps in self._connections:
            plain, _ = self._listener.accept()
            self.accepted += 1
            try:
                connection = plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True)
                with connection:
                    for step in steps:
                        step(self, connection)
            except OSError:  # the client has left, or never spoke
                plain.close()


def answers(script: Script, connection: socket.socket) -> None:
    script.read(connection)
    connection.sendall(HEAD + BODY)


def leaves(script: Script, connection: socket.socket) -> None:
    script.read(connection)


def leaves_at_the_first_byte(script: Script, connection: socket.socket) -> None:
    connection.recv(1)
    script.requests += 1


def resets(script: Script, connection: socket.socket) -> None:
    script.read(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def breaks_off_in_the_first_line(script: Script, connection: socket.socket) -> None:
    script.read(connection)
    connection.sendall(HEAD[:5])


def breaks_off_in_the_headers(script: Script, connection: socket.socket) -> None:
    script.read(connection)
    connection.sendall(HEAD[:-2])


def breaks_off_in_the_body(script: Script, connection: socket.socket) -> None:
    script.read(connection)
    connection.sendall(HEAD + BODY[:4])


def says_nothing(script: Script, connection: socket.socket) -> None:
    script.read(connection)
    connection.recv(1)


def dawdles_and_leaves(script: Script, connection: socket.socket) -> None:
    script.read(connection)
    sleep(0.3)


def is_told_that_it_was_idle(script: Script, connection: socket.socket) -> None:
    """As proxies and servers do before they close an idle connection."""
    connection.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")


LOSSES: tuple[Step, ...] = (leaves, leaves_at_the_first_byte, resets)
HALVES: tuple[Step, ...] = (breaks_off_in_the_first_line, breaks_off_in_the_headers, breaks_off_in_the_body)


def by_wire(url: str, seconds: float) -> Iterator[Ask]:
    def ask() -> object:
        with wire.post("/x", b"{}") as response:
            return b"".join(pieces(response))

    with closing(Wire(url, {}, timeout_seconds=seconds)) as wire:
        yield ask


def by_qdrant(url: str, seconds: float) -> Iterator[Ask]:
    def ask() -> object:
        try:
            return http.post("/x", {})
        except ServiceError as error:
            raise CallFailedError(error.code) from error

    with closing(QdrantHttp(url, api_key=None, timeout_seconds=seconds)) as http:
        yield ask


CLIENTS = (by_wire, by_qdrant)
RESULTS = (BODY, 5)


@contextmanager
def asking(
    client: Callable[[str, float], Iterator[Ask]], *connections: Sequence[Step], seconds: float = 10.0
) -> Iterator[tuple[Script, Ask]]:
    with (
        closing(Script(*connections)) as script,
        contextmanager(client)(f"http://127.0.0.1:{script.port}", seconds) as ask,
    ):
        yield script, ask


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_request_on_a_kept_connection_that_gets_no_answer_goes_out_once_more(
    client: Callable[[str, float], Iterator[Ask]], loss: Step
) -> None:
    with asking(client, [answers, loss], [answers, answers]) as (script, ask):
        assert all(ask() in RESULTS for _ in range(3))
        assert (script.requests, script.accepted) == (4, 2)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_request_of_which_half_an_answer_came_does_not(
    client: Callable[[str, float], Iterator[Ask]], half: Step
) -> None:
    with asking(client, [answers, half], [answers]) as (script, ask):
        ask()
        with pytest.raises(CallFailedError):
            ask()
        assert (script.requests, script.accepted) == (2, 1)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_request_on_a_new_connection_does_not(client: Callable[[str, float], Iterator[Ask]], loss: Step) -> None:
    with asking(client, [loss], [answers]) as (script, ask):
        with pytest.raises(CallFailedError):
            ask()
        assert (script.requests, script.accepted) == (1, 1)


@pytest.mark.parametrize("client", CLIENTS)
def test_it_goes_out_twice_at_most(client: Callable[[str, float], Iterator[Ask]]) -> None:
    with asking(client, [answers, leaves], [leaves], [answers]) as (script, ask):
        ask()
        with pytest.raises(CallFailedError):
            ask()
        assert (script.requests, script.accepted) == (3, 2)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_server_says_unasked_is_not_taken_for_the_next_answer(
    client: Callable[[str, float], Iterator[Ask]],
) -> None:
    with asking(client, [answers, is_told_that_it_was_idle], [answers]) as (script, ask):
        ask()
        script.asked.acquire()
        sleep(0.1)  # until what was said has arrived
        assert ask() in RESULTS
        assert script.accepted == 2


def test_a_call_that_was_interrupted_does_not_go_out_again() -> None:
    with (
        ThreadPoolExecutor(1) as thread,
        asking(by_wire, [answers, says_nothing], [answers]) as (script, ask),
    ):
        calls = thread.submit(own_calls).result()
        thread.submit(ask).result(10)
        script.asked.acquire()
        second = thread.submit(ask)
        assert script.asked.acquire(timeout=10)
        calls.interrupt()
        assert isinstance(second.exception(10), CallFailedError)
        assert (script.requests, script.accepted) == (2, 1)


def test_a_call_whose_time_is_over_does_not_go_out_again() -> None:
    with asking(by_wire, [answers, says_nothing], [answers], seconds=0.3) as (script, ask):
        ask()
        with pytest.raises(CallTimeoutError):
            ask()
        assert (script.requests, script.accepted) == (2, 1)


def test_a_call_that_goes_out_again_has_the_time_that_is_left() -> None:
    with asking(by_wire, [answers, dawdles_and_leaves], [says_nothing], seconds=0.5) as (script, ask):
        ask()
        began = monotonic()
        with pytest.raises(CallTimeoutError):
            ask()
        assert monotonic() - began < 0.75  # with the whole time again it would be 0.8
        assert script.requests == 3


@pytest.mark.parametrize("loss", [leaves, resets])
def test_over_tls_it_goes_out_once_more_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: Step) -> None:
    certificate = make_certificate(tmp_path / "localhost.pem", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with (
        closing(Script([answers, loss], [answers], tls=tls)) as script,
        contextmanager(by_wire)(f"https://localhost:{script.port}", 10) as ask,
    ):
        assert [ask(), ask()] == [BODY, BODY]
        assert (script.requests, script.accepted) == (3, 2)


def test_an_answer_before_the_whole_request_was_out_is_read() -> None:
    """A server that refuses a body by its head answers and closes."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        connection = Connection(Server(f"http://127.0.0.1:{listener.getsockname()[1]}", {}), timeout_seconds=10)
        with closing(connection):
            asked = thread.submit(connection.request, "POST", "/x", b" " * 2**25)
            theirs, _ = listener.accept()
            with theirs:
                theirs.recv(1000)
                theirs.sendall(refusal)
            assert asked.result(10).status == 413


def test_a_connection_that_was_shut_stays_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(Server(f"http://127.0.0.1:{listener.getsockname()[1]}", {}), timeout_seconds=10)
        connection.shut()
        with pytest.raises(ConnectionAbortedError):
            connection.request("POST", "/x", b"{}")
        assert connection.sock is None
