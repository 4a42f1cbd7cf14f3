"""Clients of a Valkey that Sentinels watch: each new connection asks them where the master is now.

redis-py's own, but for the order in which Sentinels are asked: there threads that ask at once exchange places in one
list, and can lose a Sentinel from it for good. Nor do connections to Sentinels lie open between two questions.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from app.core.sentinel_address import SentinelAddress, parse_sentinel

SENTINEL_TIMEOUT_SECONDS = 1.0
"""To connect to a Sentinel, and for its answer: there are others to ask. TCP and TLS take two round trips to connect,
with TLS 1.2 three: 0.6 s where one is 200 ms."""
TLS_PREFIX = "ssl_"

Address = tuple[str, int]
Client = TypeVar("Client", bound=Redis)


class Sentinels(Sentinel):
    """The Sentinels of one master, for any number of threads."""

    def discover_master(self, service_name: str) -> Address:
        """Where it is. Raises `MasterNotFoundError`, a `ConnectionError`, while none of them knows a live one."""
        refusal: RedisError | None = None
        for sentinel in tuple(self.sentinels):
            try:
                found = _live(cast(dict[str, Any], sentinel.sentinel_masters()), service_name)
            except RedisError as error:
                refusal = error
                continue
            finally:
                sentinel.connection_pool.disconnect(inuse_connections=False)
            if found is not None:
                return found
        raise _not_found(refusal) from refusal


class AsyncSentinels(AsyncSentinel):
    """The Sentinels of one master, for one event loop."""

    async def discover_master(self, service_name: str) -> Address:
        """As `Sentinels.discover_master`."""
        refusal: RedisError | None = None
        for sentinel in tuple(self.sentinels):
            try:
                found = _live(await cast(Awaitable[Any], sentinel.sentinel_masters()), service_name)
            except RedisError as error:
                refusal = error
                continue
            except asyncio.CancelledError:  # nobody reads the answer any more
                await sentinel.connection_pool.disconnect(inuse_connections=True)
                raise
            finally:
                await sentinel.connection_pool.disconnect(inuse_connections=False)
            if found is not None:
                return found
        raise _not_found(refusal) from refusal


class BlockingSentinelPool(AsyncSentinelPool, BlockingConnectionPool):
    """A pool of so many connections to the master at most, for which calls wait their turn."""


def sentinel_client(url: str, client: type[Client], options: dict[str, Any]) -> Client:
    """A lazy client of the master; `options` are those of its connections. Raises `ValueError` for a wrong `url`."""
    address = parse_sentinel(url)
    master = options | _master_options(address)
    login = _sentinel_options(address, master) | {"retry": Retry(NoBackoff(), retries=0)}
    sentinels = Sentinels(address.hosts, sentinel_kwargs=login)  # type: ignore[no-untyped-call]
    pool = SentinelConnectionPool(address.name, sentinels, **master)  # type: ignore[no-untyped-call]
    return cast(Client, client.from_pool(pool))


def async_sentinel_client(url: str, options: dict[str, Any]) -> AsyncRedis:
    """As `sentinel_client`, with a pool that blocks: `options` have its `max_connections` and `timeout`."""
    address = parse_sentinel(url)
    master = options | _master_options(address)
    login = _sentinel_options(address, master) | {"retry": AsyncRetry(NoBackoff(), retries=0)}
    sentinels = AsyncSentinels(address.hosts, sentinel_kwargs=login)  # type: ignore[no-untyped-call]
    pool = BlockingSentinelPool(address.name, sentinels, **master)  # type: ignore[no-untyped-call]
    return AsyncRedis.from_pool(pool)


def _master_options(address: SentinelAddress) -> dict[str, Any]:
    """Login, database and TLS of the master's connections."""
    options: dict[str, Any] = parse_url(address.master)  # type: ignore[no-untyped-call]
    options.pop("connection_class", None)  # the pool's own, which asks the Sentinels
    return options | ({"ssl": True} if address.is_tls else {})


def _sentinel_options(address: SentinelAddress, master: dict[str, Any]) -> dict[str, Any]:
    """Login and TLS of the Sentinels' connections: the same certificates vouch for all."""
    tls = {name: value for name, value in master.items() if name.startswith(TLS_PREFIX)}
    return {
        **tls,
        **address.login,
        "ssl": address.is_tls,
        "socket_connect_timeout": SENTINEL_TIMEOUT_SECONDS,
        "socket_timeout": SENTINEL_TIMEOUT_SECONDS,
    }


def _live(masters: dict[str, Any], name: str) -> Address | None:
    """Where the master is, when a Sentinel takes it to be alive."""
    state = masters.get(name)
    if state is None or not state["is_master"] or state["is_sdown"] or state["is_odown"]:
        return None
    return str(state["ip"]), int(state["port"])


def _not_found(refusal: RedisError | None) -> MasterNotFoundError:
    """What is said names neither host nor password."""
    reason = f": {type(refusal).__name__}" if refusal is not None else ""
    return MasterNotFoundError(f"no Sentinel knows a live master of that name{reason}")
