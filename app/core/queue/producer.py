"""The producer's side of the queue: what is asked becomes RQ's record, and what became of it is read from there.

What a request waits for is one round trip, two where a record is checked first. Records are as RQ writes them; what
must be one step is a script.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from os import urandom
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import ResponseError
from rq import Queue
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.job import Job
from rq.registry import CanceledJobRegistry, FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry
from rq.utils import now, utcformat
from rq.worker_registration import WORKERS_BY_QUEUE_KEY
from structlog.contextvars import bind_contextvars

from app.core import chosen_model, index_notes, model_findings
from app.core.contract import (
    INGEST_QUEUE,
    PAGE_QUEUE,
    QUERY_QUEUE,
    AnswerJob,
    DeleteJob,
    EraseJob,
    IngestJob,
    JobStatus,
    SearchJob,
    Webhook,
)
from app.core.contract import QUEUES as QUEUES
from app.core.events import log_key
from app.core.logging import content, get_logger
from app.core.queue import lines, scripts
from app.core.queue.acknowledged import NotReplicatedError, Replicas
from app.core.queue.answers import answers_prefix, fingerprint, is_kept, unpacked
from app.core.queue.erasing import TenantBeingErasedError, erasing_key
from app.core.queue.erasures import ERASED_JOBS
from app.core.queue.given import GIVE, finished_fields, stored, told
from app.core.queue.lines import ENTER, LINED, LOW, PRIORITY_FIELD, WEIGHT_FIELD, Priority, line_keys
from app.core.queue.outbox import OPEN, OUTBOX
from app.core.queue.pipelined import Link, Script
from app.core.queue.records import (
    KEPT_META,
    KINDS,
    RECORD_BYTES_MAX,
    BadRecordError,
    JobView,
    Payload,
    Record,
    new_record,
    read_record,
    status_of,
    stop_command,
    view_of,
)
from app.core.queue.usage import Spender, TokenBudgetError, spent_keys
from app.core.queue.versions import version_keys
from app.core.serializer import PlainSerializer
from app.core.settings import AUTO, Settings
from app.core.tracing.process import tracing

SUBMIT = Script(scripts.SUBMIT)
VIEW = Script(scripts.VIEW)
CANCEL = Script(scripts.CANCEL)
CHECK_ROOM = Script(scripts.CHECK_ROOM)
REQUEUE = Script(scripts.REQUEUE)
DELETE = Script(scripts.DELETE)
OWN_FAILED = Script(scripts.OWN_FAILED)
ENQUEUE_DUE = Script(scripts.ENQUEUE_DUE)
OWN = Script(scripts.OWN)
OLDEST = Script(lines.OLDEST)
GIVE_KEPT = Script(GIVE)

DUE_BATCH = 1000
"""Retries put on the queue in one step."""
LIST_BATCH = 1000
"""Failed jobs of all tenants that are looked at in one step, a millisecond of Valkey's, to find one tenant's."""

log = get_logger(__name__)

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""The characters that RQ allows in a job's id."""

WORKER_FIELDS = ("state", "current_job", "birth", "hostname", "pid", "last_heartbeat")
"""What is read of RQ's record of a worker."""

MESSAGE_ID = "messaging.message.id"
"""A job's id as an attribute of a trace's span."""

SHOWN_QUEUES = (QUERY_QUEUE, INGEST_QUEUE, PAGE_QUEUE)
"""Those whose jobs are a client's own."""
UNSTOPPABLE = frozenset({KINDS[DeleteJob].name, KINDS[EraseJob].name})
"""Kinds of jobs whose work is not left half done."""
DEAD_LETTER_QUEUES = (QUERY_QUEUE, INGEST_QUEUE)
"""Those whose failed jobs wait for an operator. Who wanted to see a page has been told, and asks again."""
_WAITING = {
    queue: (
        f"{Queue.redis_queue_namespace_prefix}{queue}",
        ScheduledJobRegistry.key_template.format(queue),
        f"rag:waiting:{queue}",
    )
    for queue in QUEUES
}
"""The keys of a queue, of its jobs that wait for a retry, and of the count of both by tenant, while there is one."""


class QueueFullError(Exception):
    """The queue is at MAX_QUEUE_DEPTH. `depth` is how many jobs wait."""

    def __init__(self, depth: int) -> None:
        super().__init__(f"{depth} jobs are waiting")
        self.depth = depth


class QueueShareError(Exception):
    """The tenant has as many jobs waiting as one tenant may: `share`, half of the queue."""

    def __init__(self, share: int) -> None:
        super().__init__(f"{share} jobs of the tenant are waiting")
        self.share = share


class JobNotFoundError(Exception):
    """No job has this id, or it has expired."""


class JobRunningError(Exception):
    """The job is running; it can't be removed before it has stopped."""


class JobNotStoppableError(Exception):
    """The job deletes a document or erases a tenant: that was promised, and would leave half of it."""


class JobNotEndedError(Exception):
    """Of a job that has not ended there is nothing to say yet."""


class JobNotFailedError(Exception):
    """Only a job that has failed is sent back."""


class IdempotencyConflictError(Exception):
    """The idempotency key was used with another request."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's key for a request that it may send again. `owner` is who sends it: keys are theirs alone."""

    owner: str
    key: str

    @property
    def place(self) -> str:
        """Where the key stands in Valkey: a hash, as both parts are the client's."""
        name = json.dumps([self.owner, self.key]).encode()
        return f"rag:idempotency:{hashlib.sha256(name).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that the queue has taken. `position` counts from 1; `is_replay`: it was taken before, by the same key;
    `is_given`: it has ended already, with a kept answer."""

    job_id: str
    position: int
    expires_at: datetime
    is_replay: bool = False
    is_given: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a question's answer is kept: the hash of what it depends on, and the keys of version and answer."""

    mark: str
    keys: tuple[str, ...]


NO_KEYS = ("", "", "", "")
"""In the place of a `_Place`'s: nothing is looked for."""


class JobQueue:
    """Puts jobs on the queues and reads what became of them, for one API process.

    Its methods raise `VALKEY_UNAVAILABLE`.
    """

    def __init__(self, valkey: "AsyncRedis", settings: Settings) -> None:
        self._valkey = valkey
        self._settings = settings
        self._depth, self._share = settings.max_queue_depth, settings.tenant_queue_depth
        self.link = Link(valkey)
        """Its connection, which the rates share."""
        self._replicas = Replicas(valkey, settings.min_replicas_to_ack) if settings.min_replicas_to_ack else None
        self.on_given: Callable[[], None] = lambda: None
        """Told of each kept answer that is given again."""

    async def aclose(self) -> None:
        """Close the connections."""
        await self.link.close()
        if self._replicas is not None:
            await self._replicas.close()

    async def submit(
        self,
        payload: Payload,
        *,
        idempotency: Idempotency | None = None,
        webhook: Webhook | None = None,
        spender: Spender | None = None,
        weight: int = 1,
        priority: Priority = "normal",
    ) -> Enqueued:
        """Put a job on its queue; once this returns, it is not lost. What it spends is `spender`'s.

        A tenant's jobs have their turn `weight` times (1 to 100) as often as another's; at low priority, behind all
        others.

        Raises `QueueFullError`, `QueueShareError`, `TokenBudgetError`, `TenantBeingErasedError`,
        `IdempotencyConflictError` when the key was used with another request, and `NotReplicatedError`.
        """
        with tracing().send(KINDS[type(payload)].queue) as sending:
            turn: dict[str, Any] = {WEIGHT_FIELD: weight} if weight != 1 else {}
            turn |= {PRIORITY_FIELD: LOW} if priority == LOW else {}
            taken = await self._submit(payload, idempotency, webhook, spender, sending.traceparent, turn)
            sending.set(MESSAGE_ID, taken.job_id)
        if self._replicas is not None and KINDS[type(payload)].name not in UNSTOPPABLE:
            await self._make_sure(self._replicas, taken, payload.tenant, is_kept=idempotency is not None)
        return taken

    async def _make_sure(self, replicas: Replicas, taken: Enqueued, tenant: str, *, is_kept: bool) -> None:
        """Raise `NotReplicatedError` unless enough replicas have the job.

        Then it is stopped, and its client asks anew; with `is_kept` it goes on: the same key is given the same job.
        """
        if await replicas.have(Job.key_for(taken.job_id)):
            return
        if not is_kept:
            with suppress(JobNotFoundError):
                await self.cancel(taken.job_id, tenant=tenant)
        log.warning("job_not_replicated", least=self._settings.min_replicas_to_ack)
        raise NotReplicatedError

    async def _submit(
        self,
        payload: Payload,
        idempotency: Idempotency | None,
        webhook: Webhook | None,
        spender: Spender | None,
        traceparent: str | None,
        turn: dict[str, Any],
    ) -> Enqueued:
        settings, kind, job_id = self._settings, KINDS[type(payload)], urandom(16).hex()
        fields, enqueued_at = _new_record(payload, settings, traceparent)
        fields |= turn
        expires_at = enqueued_at + timedelta(seconds=kind.result_seconds(settings))
        days: list[str] = []
        if spender is not None:
            fields["asker"] = spender.name
            days = spent_keys(payload.tenant, spender.budget.days(enqueued_at))
        queue_key, scheduled_key, counts_key = _WAITING[kind.queue]
        keys = [
            Job.key_for(job_id),
            queue_key,
            idempotency.place if idempotency else "",
            Queue.redis_queues_keys,
            webhook_key(job_id),
            OPEN,
            scheduled_key,
            counts_key,
            "" if isinstance(payload, EraseJob) else erasing_key(payload.tenant),
        ]
        args = [
            self._depth,
            job_id,
            _fingerprint(payload, webhook) if idempotency else "",
            kind.result_seconds(settings) + kind.failure_seconds(settings),
            Job.redis_job_namespace_prefix,
            expires_at.isoformat(),
            json.dumps(webhook.plain()) if webhook else "",
            self._share,
            payload.tenant,
            spender.budget.tokens if spender else "",
            spender.name if spender else "",
            *chain.from_iterable(fields.items()),
        ]
        place = self._place_of_kept(payload)
        outcome, *rest = await self.link.run(
            SUBMIT, keys=[*keys, *(place.keys if place else NO_KEYS), *days], args=args
        )
        if outcome == b"kept":
            assert place is not None
            version, body = rest
            given = await self._give(place, version, body, job_id, payload, fields, idempotency, webhook)
            if given is not None:
                return given
            outcome, *rest = await self.link.run(SUBMIT, keys=[*keys, *NO_KEYS, *days], args=args)
        match outcome:
            case b"conflict":
                raise IdempotencyConflictError
            case b"full" | b"share":
                _refuse(outcome, rest[0])
            case b"erasing":
                _refuse(outcome)
            case b"spent":
                assert spender is not None
                raise TokenBudgetError(spender.budget, int(rest[0]), enqueued_at)
        taken, position, expires = rest
        bind_contextvars(job_id=taken.decode())
        if outcome == b"queued":
            log.info("job_enqueued", kind=kind.name, queue=kind.queue, position=int(position), **self._shown(payload))
        return Enqueued(
            job_id=taken.decode(),
            position=int(position),
            expires_at=datetime.fromisoformat(expires.decode()),
            is_replay=outcome == b"replay",
        )

    def _place_of_kept(self, payload: Payload) -> _Place | None:
        """Where the answer to such a question is kept, if that may be given again."""
        if not isinstance(payload, AnswerJob) or not is_kept(payload, self._settings) or payload.cache != "use":
            return None
        mark = fingerprint(payload, self._settings)
        return _Place(
            mark, (*version_keys(payload.tenant, payload.collection), answers_prefix(payload.tenant) + mark)
        )

    async def _give(
        self,
        place: _Place,
        version: bytes,
        body: bytes,
        job_id: str,
        payload: Payload,
        fields: dict[str, Any],
        idempotency: Idempotency | None,
        webhook: Webhook | None,
    ) -> Enqueued | None:
        """Make a job that has ended with the kept answer; None when that is out of date now, or none of ours.

        Raises as `submit`.
        """
        result = unpacked(place.mark, body)
        if result is None:
            return None
        settings, kind, moment = self._settings, KINDS[type(payload)], now()
        seconds = kind.result_seconds(settings)
        expires_at = moment + timedelta(seconds=seconds)
        outcome, *rest = await self.link.run(
            GIVE_KEPT,
            keys=[
                Job.key_for(job_id),
                _queue_key(kind.queue),
                idempotency.place if idempotency else "",
                Queue.redis_queues_keys,
                webhook_key(job_id),
                OPEN,
                OUTBOX,
                results_key(job_id),
                log_key(job_id),
                FinishedJobRegistry.key_template.format(kind.queue),
                *place.keys,
                erasing_key(payload.tenant),
            ],
            args=[
                version,
                job_id,
                _fingerprint(payload, webhook) if idempotency else "",
                seconds + kind.failure_seconds(settings),
                Job.redis_job_namespace_prefix,
                expires_at.isoformat(),
                json.dumps(webhook.plain()) if webhook else "",
                *stored(result),
                seconds,
                told(result, moment),
                *chain.from_iterable((fields | finished_fields(moment) | {"kept": place.mark}).items()),
            ],
        )
        if outcome == b"stale":
            return None
        _refuse(outcome)
        if outcome == b"conflict":
            raise IdempotencyConflictError
        taken, position, expires = rest
        bind_contextvars(job_id=taken.decode())
        is_replay = outcome == b"replay"
        if not is_replay:
            self.on_given()
            log.info("answer_given_again", kind=kind.name, queue=kind.queue, **self._shown(payload))
        return Enqueued(
            job_id=taken.decode(),
            position=int(position),
            expires_at=datetime.fromisoformat(expires.decode()),
            is_replay=is_replay,
            is_given=not is_replay,
        )

    async def check_room(self, queue: str, *, tenant: str) -> None:
        """Raise `QueueFullError`, `QueueShareError` or `TenantBeingErasedError` while `submit` would."""
        outcome, number = await self.link.run(
            CHECK_ROOM,
            keys=[*_WAITING[queue], erasing_key(tenant)],
            args=[Job.redis_job_namespace_prefix, self._depth, self._share, tenant],
        )
        _refuse(outcome, number)

    async def view(self, job_id: str, *, tenant: str) -> JobView:
        """The job's state now. Raises `JobNotFoundError` when there is none or it is another tenant's."""
        record = await self._record_of(tenant, job_id)
        bind_contextvars(job_id=job_id)  # the request is about this job
        return view_of(record)

    async def views(self, job_ids: Sequence[str], *, tenant: str) -> list[JobView | None]:
        """The state of each job now, all asked at once; None for one that is gone, or another tenant's."""
        records = await asyncio.gather(*(self._record(job_id) for job_id in job_ids))
        return [view_of(record) if record is not None and self._is_of(tenant, record) else None for record in records]

    async def records(self, job_ids: Sequence[str]) -> list[Record | None]:
        """The record of each job now, whoever's it is; None for one that is gone, or nothing of ours."""
        found = await asyncio.gather(*(self._record(job_id) for job_id in job_ids), return_exceptions=True)
        records: list[Record | None] = []
        for record in found:
            if isinstance(record, BaseException) and not isinstance(record, ResponseError):
                raise record
            records.append(None if isinstance(record, BaseException) else record)
        return records

    async def own(self, job_ids: Sequence[str], *, tenant: str) -> set[str]:
        """Those of these jobs that are the tenant's."""
        ids = [job_id for job_id in job_ids if JOB_ID.fullmatch(job_id)]
        found = await self.link.run(OWN, keys=[], args=[Job.redis_job_namespace_prefix, tenant, *ids])
        return {job_id.decode() for job_id in found}

    async def cancel(self, job_id: str, *, tenant: str) -> JobView:
        """Stop a job: one that waits never runs, one that runs leaves its model call. One that has ended stays so.

        Returns the job's state now: a running one is stopped a moment later. Raises `JobNotStoppableError`, and as
        `view` does.
        """
        record = await self._record_of(tenant, job_id)
        if not record.status.is_terminal:
            if record.meta.get("kind") in UNSTOPPABLE:
                raise JobNotStoppableError(job_id)
            keys, args = cancel_call(job_id, record.queue, self._settings)
            await self.link.run(CANCEL, keys=keys, args=args)
        return await self.view(job_id, tenant=tenant)

    async def requeue(self, job_id: str, *, tenant: str) -> JobView:
        """Send a failed job back, with all its attempts.

        Raises `JobNotFailedError`, `QueueShareError`, `TenantBeingErasedError`, and as `view` does.
        """
        record = await self._record_of(tenant, job_id)
        meta = {name: value for name, value in record.meta.items() if name in KEPT_META}
        queue_key, scheduled_key, counts_key = _WAITING[record.queue]
        outcome, *rest = await self.link.run(
            REQUEUE,
            keys=[
                Job.key_for(job_id),
                queue_key,
                FailedJobRegistry.key_template.format(record.queue),
                OPEN,
                scheduled_key,
                counts_key,
                erasing_key(tenant),
            ],
            args=[
                job_id,
                utcformat(now()),
                PlainSerializer.dumps(meta),
                record.retries,
                Job.redis_job_namespace_prefix,
                self._depth,
                self._share,
                tenant,
            ],
        )
        if outcome == b"not failed":
            raise JobNotFailedError(job_id)
        _refuse(outcome, *rest)
        return await self.view(job_id, tenant=tenant)

    async def delete(self, job_id: str, *, tenant: str) -> None:
        """Remove question, answer and events; a chat log erases them soon after (`app.core.queue.erasures`).

        Raises `JobRunningError`, and as `view` does.
        """
        record = await self._record_of(tenant, job_id)
        has_log = self._settings.database_url is not None
        keys, args = delete_call(job_id, record.queue, tenant, has_chat_log=has_log)
        if not await self.link.run(DELETE, keys=keys, args=args):
            raise JobRunningError(job_id)

    async def statuses(self, job_ids: Sequence[str]) -> list[JobStatus | None]:
        """The state of each job now, whoever's it is; None for one that is gone."""
        async with self._valkey.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hget(Job.key_for(job_id), "status")
            answers = await pipeline.execute()
        return [status_of(answer) if answer is not None else None for answer in answers]

    async def failed(self, *, tenant: str, limit: int) -> list[JobView]:
        """The tenant's failed jobs, the latest first, `limit` at most."""
        found: list[JobView] = []
        for queue in DEAD_LETTER_QUEUES:
            async for job_id in self._failed_ids(queue, tenant):
                if len(found) == limit:
                    return found
                record = await self._record(job_id)
                if record is not None and record.tenant == tenant and record.status is JobStatus.FAILED:
                    found.append(view_of(record))
        return found

    async def workers_alive(self) -> int:
        """How many RQ workers serve the questions' queue and have been heard of lately."""
        return len(await self.workers(QUERY_QUEUE))

    async def workers(self, queue: str) -> list[dict[str, bytes]]:
        """What the living RQ workers of `queue` say of themselves: their name and `WORKER_FIELDS`."""
        names = WORKER_FIELDS
        keys: list[Any] = sorted(await self._valkey.smembers(WORKERS_BY_QUEUE_KEY % queue))
        async with self._valkey.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(key, names)
            answers = await pipeline.execute()
        return [
            {"name": key.split(b":", 2)[2]}
            | {name: value for name, value in zip(names, values, strict=True) if value is not None}
            for key, values in zip(keys, answers, strict=True)
            if values[names.index("birth")] is not None
        ]

    async def depth(self, queue: str = QUERY_QUEUE) -> int:
        """How many jobs wait for their turn."""
        async with self._valkey.pipeline(transaction=False) as pipeline:
            _put_depth(pipeline, queue)
            return sum(await pipeline.execute())

    async def is_memory_full(self) -> bool:
        """Whether Valkey is at its `maxmemory`; False where it does not say, as INFO may be forbidden."""
        try:
            memory: Any = await self._valkey.info("memory")
        except ResponseError:
            return False
        return bool(0 < memory["maxmemory"] <= memory["used_memory"])

    async def model_findings(self) -> model_findings.Findings:
        """What workers have found wrong with the models; nothing for what is not of their making."""
        try:
            kept: Any = await self._valkey.getrange(model_findings.KEY, 0, model_findings.BYTES_MAX)
        except ResponseError:  # the key is of another type
            return {}
        return model_findings.read(kept)

    async def embedding_model(self) -> str | None:
        """The settings' embedding model, or the one that workers have chosen; None without one, or before that."""
        model = self._settings.embedding_model
        if model != AUTO:
            return model
        try:
            kept: Any = await self._valkey.getrange(chosen_model.key_of(self._settings), 0, chosen_model.BYTES_MAX)
        except ResponseError:  # the key is of another type
            return None
        return chosen_model.read(kept)

    async def index_state(self) -> index_notes.IndexState | None:
        """What a worker has found wrong with the index's vectors."""
        try:
            kept: Any = await self._valkey.getrange(index_notes.KEY, 0, index_notes.BYTES_MAX)
        except ResponseError:  # the key is of another type
            return None
        return index_notes.state_of(kept)

    async def oldest_enqueued_at(self, queue: str) -> datetime | None:
        """Since when the job that is next has waited, of those that are not of low priority."""
        found = await self.link.run(OLDEST, keys=[_queue_key(queue)], args=[Job.redis_job_namespace_prefix])
        return datetime.fromisoformat(found.decode()) if found else None

    async def count(self, queue: str) -> dict[str, int]:
        """How many jobs of `queue` are queued, started, scheduled for a retry, finished, failed and canceled."""
        async with self._valkey.pipeline(transaction=False) as pipeline:
            _put_depth(pipeline, queue)
            for registry in ("wip", "scheduled", "finished", "failed", "canceled"):
                pipeline.zcard(f"rq:{registry}:{queue}")
            *waiting, started, scheduled, finished, failed, canceled = await pipeline.execute()
        counts = (sum(waiting), started, scheduled, finished, failed, canceled)
        return dict(zip(("queued", "started", "scheduled", "finished", "failed", "canceled"), counts, strict=True))

    async def enqueue_due(self) -> int:
        """Put jobs whose retry is due on their queues; how many."""
        moved = 0
        for queue in QUEUES:
            moved += int(
                await self.link.run(
                    ENQUEUE_DUE,
                    keys=[ScheduledJobRegistry.key_template.format(queue), _queue_key(queue)],
                    args=_due_arguments(queue),
                )
            )
        return moved

    def _shown(self, payload: Payload) -> dict[str, str]:
        """Of a new job, what its line has: its question, if they are logged, or its document."""
        if isinstance(payload, SearchJob):
            return content(self._settings, question=payload.query)
        document_id = getattr(payload, "document_id", None)
        return {} if document_id is None else {"document_id": document_id}

    async def _record_of(self, tenant: str, job_id: str) -> Record:
        record = await self._record(job_id)
        if record is None or not self._is_of(tenant, record):
            raise JobNotFoundError(job_id)
        return record

    @staticmethod
    def _is_of(tenant: str, record: Record) -> bool:
        return record.queue in SHOWN_QUEUES and record.tenant == tenant

    async def _record(self, job_id: str) -> Record | None:
        if not JOB_ID.fullmatch(job_id):
            return None
        answer = await self.link.run(
            VIEW, keys=[Job.key_for(job_id), results_key(job_id), log_key(job_id)], args=[job_id, RECORD_BYTES_MAX]
        )
        with suppress(BadRecordError):
            return read_record(job_id, answer) if answer else None
        return None

    async def _failed_ids(self, queue: str, tenant: str) -> AsyncIterator[str]:
        """The tenant's jobs in RQ's registry of those that failed, the latest first, however many others' there are.

        Also those whose record does not say whose they are.
        """
        registry = FailedJobRegistry.key_template.format(queue)
        start, looked_at = 0, LIST_BATCH
        while looked_at == LIST_BATCH:
            looked_at, ids = await self.link.run(
                OWN_FAILED, keys=[registry], args=[Job.redis_job_namespace_prefix, tenant, start, LIST_BATCH]
            )
            for job_id in ids:
                yield job_id.decode(errors="replace")
            start += LIST_BATCH


def enqueue_due(queue: Queue) -> int:
    """Put the jobs of `queue` whose retry is due on it; how many. Any process may, at any time."""
    keys = (queue.scheduled_job_registry.key, queue.key)
    return int(queue.connection.eval(scripts.ENQUEUE_DUE, len(keys), *keys, *_due_arguments(queue.name)))


def feed(queue: str, valkey: "Redis") -> None:
    """Fill RQ's list of `queue`, for whoever takes from it and is none of our workers."""
    valkey.eval(lines.FEED, 1, _queue_key(queue))


def _due_arguments(queue: str) -> list[Any]:
    """Arguments of `scripts.ENQUEUE_DUE` for `queue` now."""
    moment = now()
    return [
        moment.timestamp(), utcformat(moment), DUE_BATCH, Job.redis_job_namespace_prefix, int(queue in LINED),
    ]  # fmt: skip


def add_to_queue(
    pipeline: Any, job_id: str, payload: Payload, settings: Settings, *, after: object = None, **more: str
) -> None:
    """Put into `pipeline`, a transaction of either of redis-py's clients, what makes `payload` a waiting job.

    `more` are fields of RQ's record beside those that every job has. `after` is the `traceparent` of what it follows,
    as a record has it. Nobody asks how many wait already.
    """
    name = KINDS[type(payload)].queue
    with tracing().send(name, after) as sending:
        sending.set(MESSAGE_ID, job_id)
        fields, _ = _new_record(payload, settings, sending.traceparent)
    queue = _queue_key(name)
    pipeline.hset(Job.key_for(job_id), mapping=fields | more)
    pipeline.sadd(Queue.redis_queues_keys, queue)
    pipeline.sadd(OPEN, job_id)
    if name in LINED:
        pipeline.eval(ENTER, 2, queue, Job.key_for(job_id), job_id)
    else:
        pipeline.rpush(queue, job_id)


def cancel_call(job_id: str, queue: str, settings: Settings) -> tuple[list[str], list[Any]]:
    """Keys and arguments of `scripts.CANCEL` for a job of `queue`."""
    keys = [
        Job.key_for(job_id),
        _queue_key(queue),
        ScheduledJobRegistry.key_template.format(queue),
        log_key(job_id),
        OPEN,
        OUTBOX,
        CanceledJobRegistry.key_template.format(queue),
    ]
    moment, prefix = utcformat(now()), PUBSUB_CHANNEL_TEMPLATE % ""
    return keys, [job_id, moment, settings.result_ttl_seconds, prefix, stop_command(job_id)]


def delete_call(job_id: str, queue: str, tenant: str, *, has_chat_log: bool) -> tuple[list[str], list[Any]]:
    """Keys and arguments of `scripts.DELETE` for a tenant's job of `queue`: all that a job has, its row in a chat log
    too."""
    registries = (ScheduledJobRegistry, FailedJobRegistry, FinishedJobRegistry, CanceledJobRegistry)
    keys = [
        Job.key_for(job_id),
        _queue_key(queue),
        OPEN,
        *(registry.key_template.format(queue) for registry in registries),
        *(key(job_id) for key in OWN_KEYS),
        f"rq:executions:{job_id}",
        ERASED_JOBS,
    ]
    return keys, [job_id, int(has_chat_log), answers_prefix(tenant)]


def fetch_view(valkey: "Redis", job_id: str, *, tenant: str) -> JobView | None:
    """The job's state now, for a worker; None when there is none or it is another tenant's."""
    keys = (Job.key_for(job_id), results_key(job_id), log_key(job_id))
    answer: Any = valkey.eval(scripts.VIEW, len(keys), *keys, job_id, RECORD_BYTES_MAX)
    with suppress(BadRecordError):
        record = read_record(job_id, answer) if answer else None
        return view_of(record) if record is not None and record.tenant == tenant else None
    return None


def results_key(job_id: str) -> str:
    """Where RQ keeps a job's results (`rq.results.get_key`)."""
    return f"rq:results:{job_id}"


def note_key(job_id: str) -> str:
    """The key of what a client said of its job that the job does not need (OpenAI's protocol)."""
    return f"rag:response:{job_id}"


def webhook_key(job_id: str) -> str:
    """The key of a job's webhook: its URL and secret, which are in no job's record."""
    return f"rag:webhook:{job_id}"


OWN_KEYS = (results_key, log_key, webhook_key, note_key)
"""Where a job has words beside its record."""


def _new_record(payload: Payload, settings: Settings, traceparent: str | None) -> tuple[dict[str, Any], datetime]:
    """As `new_record`, with what is asked of a job unread: whose it is, of which request and document."""
    fields, enqueued_at = new_record(payload, settings, traceparent)
    fields["tenant"] = payload.tenant
    if payload.request_id is not None:
        fields["request_id"] = payload.request_id
    if isinstance(payload, AnswerJob) and payload.session_id is not None:
        fields["session"] = payload.session_id  # when it was asked, Valkey's clock says: several APIs' may differ
    if isinstance(payload, (IngestJob, DeleteJob)):
        fields["document_id"] = payload.document_id
    return fields, enqueued_at


def _refuse(outcome: bytes, number: int = 0) -> None:
    """Raise the error that a script's `outcome` is, if it is one."""
    if outcome == b"erasing":
        raise TenantBeingErasedError
    if outcome == b"share":
        raise QueueShareError(int(number))
    if outcome == b"full":
        raise QueueFullError(int(number))


def _put_depth(pipeline: Any, queue: str) -> None:
    """Put into `pipeline` what counts the jobs that wait, in RQ's list and in lines."""
    pipeline.llen(_queue_key(queue))
    for key in line_keys(queue):
        pipeline.zcard(key)


def _queue_key(name: str) -> str:
    return f"{Queue.redis_queue_namespace_prefix}{name}"


def _fingerprint(payload: Payload, webhook: Webhook | None) -> str:
    """A hash that is equal for equal requests; what differs with each sending, or is said in a header, does not
    count."""
    request = [type(payload).__name__, payload.model_dump(mode="json", exclude={"request_id", "cache"})]
    hook = webhook.plain() if webhook else None
    return hashlib.sha256(json.dumps([request, hook], sort_keys=True).encode()).hexdigest()
