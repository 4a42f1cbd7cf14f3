"""One connection to Valkey for all requests of an API process: commands are sent as they come and answered in order.

A pool gives each command a connection of its own for a round trip, and redis-py packs commands in Python: together
that was most of what a question cost the API. Here a command is packed by hiredis, sent at once, and its answer is
awaited beside the others.
"""

import asyncio
import hashlib
import math
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import hiredis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.core.logging import get_logger

ANSWER_SECONDS = 5.0
"""Longest wait for an answer; then the connection is given up, and all that wait on it are told."""
WATCH_SECONDS = 0.5
END_SECONDS = 0.2
NO_REPLICAS = "NOREPLICAS"
"""How a Valkey with `min-replicas-to-write` refuses while it has too few: for us it is away."""

Argument = str | bytes | int | float

log = get_logger(__name__)


class Script:
    """A Lua script, and the name under which Valkey keeps it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()  # EVALSHA's own


class Link:
    """Sends commands over one connection, which it makes on the first one, and anew when it is lost."""

    def __init__(self, valkey: "AsyncRedis") -> None:
        self._valkey = valkey
        self._connection: AbstractConnection | None = None
        self._connecting: asyncio.Task[AbstractConnection] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._outgoing: list[bytes] = []
        self._to_send = asyncio.Event()

    async def call(self, *command: Argument) -> Any:
        """Valkey's answer to `command`.

        Raises one of `app.core.queue.connections.VALKEY_UNAVAILABLE` when the command can't be sent or is not
        answered (it may have been carried out then), or what Valkey answers as an error.
        """
        connection = self._connection
        if connection is None:
            connection = await self._connected()
        return await self._sent(connection, command)

    async def call_all(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Valkey's answers to `commands`, which go one after another over one connection. Raises as `call` does."""
        connection = self._connection
        if connection is None:
            connection = await self._connected()
        answers = await asyncio.gather(
            *[self._sent(connection, command) for command in commands], return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def run(self, script: Script, keys: Sequence[Argument], args: Sequence[Argument]) -> Any:
        """The script's answer. Raises as `call` does."""
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self.call("EVAL", script.text, len(keys), *keys, *args)

    async def close(self) -> None:
        """Close the connection; calls that wait are told."""
        self._lose(RedisConnectionError("closed"))
        if self._connection is not None:
            await self._connection.disconnect()
        self._connection = None
        await end(*self._tasks)

    def _sent(self, connection: AbstractConnection, command: tuple[Argument, ...]) -> "asyncio.Future[Any]":
        """What will be the answer to `command`, which is on its way."""
        if self._connection is not connection or not connection.is_connected:
            # It would connect again, and nobody would read what it says.
            raise RedisConnectionError("lost Valkey")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._pending.append((answer, loop.time()))
        self._outgoing.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # it takes tuples of any length
        self._to_send.set()
        return answer

    async def _connected(self) -> AbstractConnection:
        """The connection, made once for all who wait for it."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> AbstractConnection:
        connection = dedicated_connection(self._valkey, socket_timeout=None)
        await connection.connect()  # type: ignore[no-untyped-call]
        self._connection = connection
        lives = (self._write(connection), self._read(connection), self._watch(connection))
        for life in lives:
            task = asyncio.create_task(life)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return connection

    async def _write(self, connection: AbstractConnection) -> None:
        """Send what was called since the last time: all requests of one turn of the loop go out in one write."""
        while True:
            await self._to_send.wait()
            if self._connection is not connection:  # what is to be sent is another writer's
                return
            self._to_send.clear()
            sending, self._outgoing = self._outgoing, []
            try:
                await connection.send_packed_command(sending, check_health=False)
            except RedisError as error:
                await self._give_up(connection, error)

    async def _read(self, connection: AbstractConnection) -> None:
        try:
            while True:
                try:
                    response = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
                except RedisConnectionError:
                    raise
                except ReadOnlyError:  # it is a master no longer: whoever is one now is found by connecting anew
                    raise RedisConnectionError("a master no longer") from None
                except RedisError as error:  # Valkey's answer
                    response = error if not str(error).startswith(NO_REPLICAS) else RedisConnectionError(NO_REPLICAS)
                answer = self._next()
                if answer.done():  # who asked has left
                    continue
                if isinstance(response, RedisError):
                    answer.set_exception(response)
                else:
                    answer.set_result(response)
        except (RedisConnectionError, OSError) as error:
            await self._give_up(connection, RedisConnectionError(f"lost Valkey: {type(error).__name__}"))

    async def _watch(self, connection: AbstractConnection) -> None:
        loop = asyncio.get_running_loop()
        while self._connection is connection:
            await asyncio.sleep(WATCH_SECONDS)
            if self._pending and loop.time() - self._pending[0][1] > ANSWER_SECONDS:
                await self._give_up(connection, RedisTimeoutError("Valkey does not answer"))

    def _next(self) -> asyncio.Future[Any]:
        answer, _ = self._pending.popleft()
        return answer

    async def _give_up(self, connection: AbstractConnection, error: RedisError) -> None:
        if self._connection is connection:
            self._connection = None
            self._lose(error)
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    def _lose(self, error: RedisError) -> None:
        self._outgoing.clear()
        while self._pending:
            answer = self._next()
            if not answer.done():
                answer.set_exception(error)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel `tasks` until they are over: Python 3.11 loses a cancellation in `asyncio.wait_for` now and then."""
    while running := {task for task in tasks if not task.done()}:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=END_SECONDS)


def dedicated_connection(valkey: "AsyncRedis", **options: Any) -> AbstractConnection:
    """A connection to the same Valkey outside the client's pool; not connected yet.

    In the protocol in which a connection may be pinged while it is subscribed.
    """
    pool = valkey.connection_pool
    stated = {"protocol": 2, "health_check_interval": 0}
    return pool.connection_class(**pool.connection_kwargs | stated | options)
