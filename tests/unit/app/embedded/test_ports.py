"""Sockets that listen, and ports that are free."""

import socket

import pytest

from app.embedded.ports import LOOPBACK, CannotListenError, free_port, listen


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
def test_a_listener_takes_connections_at_once(host: str) -> None:
    with listen(host, 0) as listener, socket.create_connection(listener.getsockname()[:2], timeout=5):
        pass


def test_of_two_who_want_a_port_the_second_is_told() -> None:
    with listen(LOOPBACK, 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(CannotListenError, match=f"can't listen on {LOOPBACK}:{port} "):
            listen(LOOPBACK, port)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(CannotListenError, match=r"192\.0\.2\.1:0"):
        listen("192.0.2.1", 0)


def test_the_preferred_port_is_given_when_it_is_free_and_another_when_it_is_not() -> None:
    with listen(LOOPBACK, 0) as listener:
        port = listener.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
