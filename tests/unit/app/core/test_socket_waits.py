"""A plain socket whose time-outs the kernel keeps: it waits as long as it may, and Python asks nothing before."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.core.socket_waits import limit_waits
from worker.http.connection import Connection, Server


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_read_ends_when_nothing_comes(pair: tuple[socket.socket, socket.socket]) -> None:
    limit_waits(pair[0], 0.05)
    with pytest.raises(BlockingIOError):
        pair[0].recv(1)


def test_a_write_ends_when_nobody_reads(pair: tuple[socket.socket, socket.socket]) -> None:
    limit_waits(pair[0], 0.05)
    with pytest.raises(BlockingIOError):
        pair[0].sendall(bytes(16 * 2**20))


def test_what_comes_in_time_is_read(pair: tuple[socket.socket, socket.socket]) -> None:
    limit_waits(pair[0], 60)
    pair[1].sendall(b"x")
    assert pair[0].recv(1) == b"x"


@pytest.mark.parametrize("seconds", [0.0, 1e-9])
def test_no_time_at_all_is_not_taken_for_no_end(pair: tuple[socket.socket, socket.socket], seconds: float) -> None:
    limit_waits(pair[0], seconds)  # to the kernel, 0 is no time-out
    with pytest.raises(BlockingIOError):
        pair[0].recv(1)


def test_a_request_that_nobody_reads_takes_no_longer_than_its_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}", {})
        with closing(Connection(server, timeout_seconds=0.1)) as connection, pytest.raises(TimeoutError):
            connection.request("POST", "/", bytes(32 * 2**20))


def test_python_keeps_no_time_out_of_a_plain_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}", {})
        with closing(Connection(server, timeout_seconds=5)) as connection:
            connection.connect(5)
            assert connection.sock is not None
            assert connection.sock.gettimeout() is None
