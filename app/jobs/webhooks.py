"""Webhooks: a job that has ended and has one gets a delivery job of its own, on the queue for webhooks."""

from collections.abc import Sequence
from pickle import UnpicklingError
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from rq.job import Job
from structlog.contextvars import bound_contextvars

from app.core.contract import WebhookJob
from app.core.logging import get_logger, job_context
from app.core.queue.producer import add_to_queue, webhook_key
from app.core.queue.records import TRACEPARENT
from app.core.serializer import PlainSerializer
from app.core.settings import Settings

ENQUEUED = "enqueued"
"""The field of a job's webhook that says it has its delivery: a job that is sent back does not get another."""

ABOUT = ("tenant", "request_id")
"""Fields of a job's record: whose it is."""

log = get_logger(__name__)


class Webhooks:
    """The outbox's reader that enqueues deliveries."""

    def __init__(self, valkey: Redis, settings: Settings) -> None:
        self._valkey = valkey
        self._settings = settings

    async def enqueue(self, job_ids: Sequence[str]) -> None:
        """Enqueue a delivery for each of these ended jobs that has a webhook. Raises one of `VALKEY_UNAVAILABLE`."""
        async with self._valkey.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hmget(webhook_key(job_id), ("url", ENQUEUED))
                pipeline.hmget(Job.key_for(job_id), ("meta", *ABOUT))
            found = await pipeline.execute()
        for job_id, (url, enqueued), (meta, *about) in zip(job_ids, found[::2], found[1::2], strict=True):
            if url is not None and enqueued is None and meta is not None:
                context = job_context(job_id, dict(zip(ABOUT, about, strict=True)))
                with bound_contextvars(**context):
                    await self._enqueue(job_id, meta, context.get("request_id"))

    async def _enqueue(self, job_id: str, meta: bytes, request_id: str | None) -> None:
        """One step: the delivery is on the queue, and noted. Twice is harmless: receivers know the id."""
        try:
            known = _plain(meta)
            whose = {"tenant": known.get("tenant"), "job_id": job_id, "request_id": request_id}
            job = WebhookJob.model_validate(whose)
        except (ValidationError, UnpicklingError):
            log.warning("webhook_dropped", reason="its job's record is none of ours")
            return
        async with self._valkey.pipeline(transaction=True) as pipeline:
            add_to_queue(pipeline, f"{job_id}-webhook", job, self._settings, after=known.get(TRACEPARENT))
            pipeline.hset(webhook_key(job_id), ENQUEUED, 1)
            await pipeline.execute()
        log.info("webhook_enqueued")


def _plain(meta: bytes) -> dict[str, Any]:
    read = PlainSerializer.loads(meta)
    return read if isinstance(read, dict) else {}
