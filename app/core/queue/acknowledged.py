"""Whether replicas have a job that was just put on its queue: the API asks before it says that a question is taken.

WAIT holds up its connection, so it has one of its own; and it counts the replicas that have what the same connection
wrote last. So a mark is written first, after whatever is asked about. The job is looked for with it: after a failover
the new master may never have seen it, however many replicas have the mark.
"""

import asyncio
from typing import Any

from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from app.core.queue.pipelined import Link, end

ACKNOWLEDGE_MS = 1_000
"""Longest wait for the replicas: a client is to hear within a few seconds that it should ask again."""
MARK = "rag:acknowledged"
MARK_SECONDS = 60


class NotReplicatedError(Exception):
    """Fewer replicas than MIN_REPLICAS_TO_ACK said in time that they have the job."""


class Replicas:
    """Asks for all jobs at once that have come since the last time. Opens no connection before the first."""

    def __init__(self, valkey: "AsyncRedis", least: int) -> None:
        self._link = Link(valkey)
        self._least = least
        self._asked: list[tuple[str, asyncio.Future[bool]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def have(self, key: str) -> bool:
        """Whether `least` replicas have what stands under `key`. Raises one of `VALKEY_UNAVAILABLE`."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((key, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await answer

    async def close(self) -> None:
        """Close the connection; calls that wait are told."""
        if self._asking is not None:  # first: it would connect again
            await end(self._asking)
        await self._link.close()

    async def _ask(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            try:
                found = await self._ask_for([key for key, _ in asked])
            except asyncio.CancelledError:
                for _, answer in asked + self._asked:
                    answer.cancel()
                raise
            except RedisError as error:
                for _, answer in asked:
                    if not answer.done():  # who asked has left
                        answer.set_exception(error)
                continue
            for (_, answer), is_there in zip(asked, found, strict=True):
                if not answer.done():
                    answer.set_result(is_there)

    async def _ask_for(self, keys: list[str]) -> list[bool]:
        exists: list[Any]
        *exists, _, count = await self._link.call_all(
            *(("EXISTS", key) for key in keys),
            ("SET", MARK, 1, "EX", MARK_SECONDS),
            ("WAIT", self._least, ACKNOWLEDGE_MS),
        )
        return [bool(there) and int(count) >= self._least for there in exists]
