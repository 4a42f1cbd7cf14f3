"""A call of Valkey ends by its time-out, which the kernel keeps; the next one has a connection of its own."""

import pytest
from redis.connection import Connection

from app.core.queue.connections import VALKEY_UNREACHABLE, connect


def test_a_call_that_is_not_answered_in_time_ends(valkey_url: str) -> None:
    with connect(valkey_url, socket_timeout=0.1) as client:
        with pytest.raises(VALKEY_UNREACHABLE):
            client.blpop(["nothing"], timeout=60)
        assert client.ping()


def test_python_asks_nothing_before_it_reads_and_writes(valkey_url: str) -> None:
    with connect(valkey_url) as client:
        connection = client.connection_pool.get_connection()
        assert isinstance(connection, Connection)
        assert connection._sock is not None
        assert connection._sock.gettimeout() is None
        client.connection_pool.release(connection)
        with client.pubsub() as subscription:
            subscription.subscribe("a")
            while subscription.get_message(timeout=0.01) is not None:
                pass
            assert client.publish("a", "b") == 1
            assert subscription.get_message(timeout=5) is not None
