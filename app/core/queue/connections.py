"""Clients of Valkey: every connection is made here, with each of its time-outs stated."""

from ssl import SSLSocket
from typing import Any, Self, cast

from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from app.core.queue.sentinel import async_sentinel_client, sentinel_client
from app.core.sentinel_address import is_sentinel
from app.core.socket_waits import limit_waits

CONNECT_TIMEOUT_SECONDS = 2.0
COMMAND_TIMEOUT_SECONDS = 5.0
"""Longest wait for Valkey's answer to a command that does not block."""
HEALTH_CHECK_INTERVAL_SECONDS = 30
API_CONNECTIONS = 8
"""What one API process needs at most beside its link and its subscription, for what is asked seldom. Near Valkey one
does: none is opened while another is free. Where a round trip takes 200 ms, one was too few: whatever waited for it
for longer than an answer may take was told that Valkey is away."""

VALKEY_UNREACHABLE = (RedisConnectionError, RedisTimeoutError, ReadOnlyError)
"""What redis-py raises when Valkey can't be reached, is still loading its file, or is a master no longer."""
VALKEY_FULL = OutOfMemoryError
"""What it raises when Valkey is at its `maxmemory` and refuses a write."""
VALKEY_UNAVAILABLE = (*VALKEY_UNREACHABLE, VALKEY_FULL)
"""A command that was not carried out, and may be later."""


class ValkeyClient(Redis):
    """redis-py's client, for every address that REDIS_URL may be: RQ's commands take it as RQ_CONNECTION_CLASS."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """A pooled, lazy client; `options` are those of its connections."""
        if is_sentinel(url):
            return sentinel_client(url, cls, options)
        return cast(Self, super().from_url(url, **options))


def connect(redis_url: str, **options: Any) -> "Redis":
    """A pooled, lazy client of Valkey with every time-out stated; `options` go to its connections.

    A connection to a master that is one no longer is made anew, as a lost one is.
    """
    stated: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_timeout": COMMAND_TIMEOUT_SECONDS,
        "health_check_interval": HEALTH_CHECK_INTERVAL_SECONDS,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries=2),
        "retry_on_error": [ReadOnlyError],
        "redis_connect_func": _begin,
    }
    return ValkeyClient.from_url(redis_url, **stated | options)


def _begin(connection: Connection) -> None:
    """Greet Valkey over a new connection, and leave its time-outs to the kernel where that can keep them.

    A new connection needs no look at its health; one of a client that is not let in would be made anew for it, and
    so on without an end.
    """
    connection.on_connect_check_health(check_health=False)
    sock, seconds = connection._sock, connection.socket_timeout
    if sock is not None and seconds is not None and not isinstance(sock, SSLSocket):
        limit_waits(sock, seconds)


def connect_async(redis_url: str) -> "AsyncRedis":
    """The API's client of Valkey: lazy, at most `API_CONNECTIONS` connections, for which calls wait their turn."""
    stated: dict[str, Any] = {
        "max_connections": API_CONNECTIONS,
        "timeout": COMMAND_TIMEOUT_SECONDS,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_timeout": COMMAND_TIMEOUT_SECONDS,
        "health_check_interval": HEALTH_CHECK_INTERVAL_SECONDS,
        "retry": AsyncRetry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries=2),
        "retry_on_error": [ReadOnlyError],
    }
    if is_sentinel(redis_url):
        return async_sentinel_client(redis_url, stated)
    return AsyncRedis.from_pool(BlockingConnectionPool.from_url(redis_url, **stated))
