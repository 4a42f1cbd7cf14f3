"""The API's queue for callers without an event loop: tests of the worker, drills and benchmarks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.contract import JobStatus
from app.core.queue import producer as queue
from app.core.queue.connections import connect_async
from app.core.queue.lines import LINES, line_keys
from app.core.queue.producer import Enqueued
from app.core.queue.records import JobView, Payload
from app.core.services import redis_url
from app.core.settings import Settings

T = TypeVar("T")


def waiting(valkey: Redis, queue: str) -> list[str]:
    """The jobs that wait on `queue`: those in RQ's list, then those in line, and at last those of low priority."""
    found: list[Any] = list(cast(Any, valkey.lrange(f"rq:queue:{queue}", 0, -1)))
    for key in line_keys(queue):
        found += cast(Any, valkey.zrange(key, 0, -1))
    return [job_id.decode() for job_id in found]


def take_off(valkey: Any, queue: str, job_id: str) -> None:
    """Take a job off `queue`, as a worker does, wherever it waits there; `valkey` may be a pipeline."""
    key = f"rq:queue:{queue}"
    valkey.eval(f"{LINES} leave(KEYS[1], ARGV[1], KEYS[2]) feed(KEYS[1])", 2, key, f"rq:job:{job_id}", job_id)


def on_valkey(settings: Settings, act: Callable[[AsyncRedis], Awaitable[Any]]) -> Any:
    """What `act` gives, with a client as the API's."""

    async def run() -> Any:
        assert settings.redis_url
        async with connect_async(settings.redis_url.get_secret_value()) as valkey:
            return await act(valkey)

    return asyncio.run(run())


class JobQueue:
    """`app.core.queue.producer.JobQueue`, each call run to its end, over a connection that lives as long as the call.

    `valkey` tells where Valkey is; where Sentinels tell that, the settings do.
    """

    def __init__(self, valkey: Redis, settings: Settings) -> None:
        where = valkey.connection_pool.connection_kwargs
        is_known = "host" in where
        self._url = (
            f"redis://{where['host']}:{where['port']}/{where.get('db', 0)}" if is_known else redis_url(settings)
        )
        self._settings = settings

    def submit(self, payload: Payload, **options: Any) -> Enqueued:
        """Put a job on its queue."""
        return self._run(lambda q: q.submit(payload, **options))

    def submit_many(self, payloads: Sequence[Payload]) -> list[Enqueued]:
        """Put jobs on their queues, in order, over one connection."""

        async def all_of_them(q: queue.JobQueue) -> list[Enqueued]:
            return [await q.submit(payload) for payload in payloads]

        return self._run(all_of_them)

    def view(self, job_id: str, *, tenant: str) -> JobView:
        """The job's state now."""
        return self._run(lambda q: q.view(job_id, tenant=tenant))

    def views(self, job_ids: Sequence[str], *, tenant: str) -> list[JobView]:
        """The state of each job now, over one connection."""

        async def all_of_them(q: queue.JobQueue) -> list[JobView]:
            return [await q.view(job_id, tenant=tenant) for job_id in job_ids]

        return self._run(all_of_them)

    def statuses(self, job_ids: Sequence[str]) -> list[JobStatus | None]:
        """The status of each job now."""
        return self._run(lambda q: q.statuses(job_ids))

    def cancel(self, job_id: str, *, tenant: str) -> JobView:
        """Stop a job."""
        return self._run(lambda q: q.cancel(job_id, tenant=tenant))

    def requeue(self, job_id: str, *, tenant: str) -> JobView:
        """Send a failed job back."""
        return self._run(lambda q: q.requeue(job_id, tenant=tenant))

    def delete(self, job_id: str, *, tenant: str) -> None:
        """Remove a job that does not run."""
        self._run(lambda q: q.delete(job_id, tenant=tenant))

    def workers_alive(self) -> int:
        """How many workers serve the questions' queue."""
        return self._run(lambda q: q.workers_alive())

    def depth(self) -> int:
        """How many questions wait."""
        return self._run(lambda q: q.depth())

    def enqueue_due(self) -> int:
        """Put jobs whose retry is due on their queues."""
        return self._run(lambda q: q.enqueue_due())

    def _run(self, call: Callable[[queue.JobQueue], Awaitable[T]]) -> T:
        async def once() -> T:
            async with connect_async(self._url) as valkey, aclosing(queue.JobQueue(valkey, self._settings)) as opened:
                return await call(opened)

        return asyncio.run(once())
