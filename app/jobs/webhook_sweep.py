"""Webhooks whose job has ended get a delivery job of their own, on the queue for webhooks."""

from pickle import UnpicklingError
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from rq.job import Job
from rq.queue import Queue

from app.core.contract import WEBHOOK_QUEUE, WebhookJob
from app.core.logging import get_logger
from app.core.queue.producer import WEBHOOKS_WAITING
from app.core.queue.records import new_record
from app.core.queue.scripts import ENDED_WEBHOOKS
from app.core.serializer import PlainSerializer
from app.core.settings import Settings

BATCH = 500
LOCK = "rag:webhooks:lock"
LOCK_MILLISECONDS = 10_000
"""One process looks at a time; one that dies meanwhile is waited for so long."""

log = get_logger(__name__)


class Webhooks:
    """Looks for jobs that have ended and have a webhook."""

    def __init__(self, valkey: Redis, settings: Settings) -> None:
        self._valkey = valkey
        self._settings = settings
        self._ended = valkey.register_script(ENDED_WEBHOOKS)

    async def enqueue_due(self) -> int:
        """Enqueue a delivery for each job that has ended; how many. Raises one of `VALKEY_AWAY`."""
        if not await self._valkey.exists(WEBHOOKS_WAITING):
            return 0
        if not await self._valkey.set(LOCK, 1, nx=True, px=LOCK_MILLISECONDS):
            return 0
        try:
            return await self._sweep()
        finally:
            await self._valkey.delete(LOCK)

    async def _sweep(self) -> int:
        cursor, enqueued = 0, 0
        while True:
            cursor, ids = await self._valkey.sscan(WEBHOOKS_WAITING, cursor, count=BATCH)
            if ids:
                ended = await self._ended(keys=[WEBHOOKS_WAITING], args=[Job.redis_job_namespace_prefix, *ids])
                for job_id, meta in ended:
                    await self._enqueue(job_id.decode(errors="replace"), meta)
                enqueued += len(ended)
            if not cursor:
                return enqueued

    async def _enqueue(self, job_id: str, meta: bytes) -> None:
        """One step: the delivery is on the queue, and waits no more. Twice is harmless: receivers know the id."""
        delivery = f"{job_id}-webhook"
        try:
            job = WebhookJob(tenant=_tenant(meta), job_id=job_id)
        except (ValidationError, UnpicklingError):
            log.warning("webhook_dropped", job_id=job_id, reason="its job's record is none of ours")
            await self._valkey.srem(WEBHOOKS_WAITING, job_id)
            return
        fields: dict[Any, Any] = new_record(job, self._settings)[0]
        queue = f"{Queue.redis_queue_namespace_prefix}{WEBHOOK_QUEUE}"
        async with self._valkey.pipeline(transaction=True) as pipeline:
            pipeline.hset(Job.key_for(delivery), mapping=fields)
            pipeline.sadd(Queue.redis_queues_keys, queue)
            pipeline.rpush(queue, delivery)
            pipeline.srem(WEBHOOKS_WAITING, job_id)
            await pipeline.execute()
        log.info("webhook_enqueued", job_id=job_id)


def _tenant(meta: bytes) -> Any:
    read = PlainSerializer.loads(meta)
    return read.get("tenant") if isinstance(read, dict) else None
