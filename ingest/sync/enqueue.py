"""`--queue`: one job for each document on the ingestion queue, tied by an RQ Group, and followed to its end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from time import sleep
from typing import TypeVar
from uuid import uuid4

from redis import Redis
from rq import Queue, worker_registration
from rq.group import Group
from rq.job import Job, JobStatus

from app.core.contract import INGEST_QUEUE, IngestJob
from app.core.documents import operations
from app.core.documents.catalog import Catalog
from app.core.documents.records import DocumentRecord, DocumentStatus
from app.core.errors import ErrorCode
from app.core.logging import get_logger, job_context
from app.core.queue.producer import add_to_queue
from app.core.queue.records import KINDS
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from ingest.indexing.writer import FILENAME_CHARACTERS_MAX
from ingest.reading.reasons import Reason
from ingest.sync.mirror import Mirror
from ingest.sync.naming import Naming
from ingest.sync.plan import Action, Step
from ingest.sync.report import Failure, Outcome, Status

POLL_SECONDS = 0.25
BATCH = 200
"""Jobs in one transaction, and statuses in one round trip."""
T = TypeVar("T")

OVER = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})

log = get_logger(__name__)


class Distribution:
    """The documents of one run as jobs. `mirror` keeps their files, which the workers read.

    Its methods raise `VALKEY_UNAVAILABLE`.
    """

    def __init__(self, connection: "Redis", mirror: Mirror, settings: Settings, naming: Naming) -> None:
        self._connection = connection
        self._catalog = Catalog(connection)
        self._mirror = mirror
        self._naming = naming
        self._settings = settings
        self._queue = Queue(INGEST_QUEUE, connection=connection, serializer=PlainSerializer)
        self.group = Group.create(connection, name=uuid4().hex)

    def run(
        self,
        actions: Sequence[Action],
        *,
        on_start: Callable[[str], None],
        on_done: Callable[[Outcome], None],
    ) -> None:
        """Put the documents to add or update on the queue, and tell of each when its job has ended."""
        if not worker_registration.get_keys(self._queue):
            log.warning("no_worker", queue=INGEST_QUEUE, start_one_with="python -m worker")
        waiting: dict[str, tuple[Action, IngestJob]] = {}
        for batch in _batches(action for action in actions if action.step in (Step.ADD, Step.UPDATE)):
            taken = {}
            for action in batch:
                on_start(action.source)
                assert action.hashed is not None
                job, job_id = _job(action, self._naming, self.group.name), uuid4().hex
                if (refused := self._mirror.queued(job, action.hashed.file.real, job_id)) is not None:
                    on_done(_failed(action, refused))
                else:
                    taken[job_id] = (action, job)
            self._enqueue(taken)
            waiting |= taken
        self._follow(waiting, on_done)

    def _enqueue(self, jobs: "dict[str, tuple[Action, IngestJob]]") -> None:
        if not jobs:
            return
        with self._connection.pipeline(transaction=True) as pipeline:
            for job_id, (_, job) in jobs.items():
                add_to_queue(pipeline, job_id, job, self._settings, group_id=self.group.name)
            pipeline.sadd(self.group.key, *jobs)
            pipeline.sadd(Group.REDIS_GROUP_KEY, self.group.name)
            pipeline.execute()
        for job_id, (_, job) in jobs.items():
            kind = KINDS[IngestJob]
            log.debug("job_enqueued", kind=kind.name, queue=kind.queue, **job_context(job_id, job.model_dump()))

    def _follow(self, waiting: "dict[str, tuple[Action, IngestJob]]", on_done: Callable[[Outcome], None]) -> None:
        while waiting:
            for ids in _batches(list(waiting)):
                for job_id in self._ended(ids):
                    action, job = waiting.pop(job_id)
                    on_done(_outcome(action, self._catalog.do(operations.get(job.tenant, job.document_id))))
            if waiting:
                sleep(POLL_SECONDS)
        self._connection.srem(Group.REDIS_GROUP_KEY, self.group.name)
        self._connection.delete(self.group.key)

    def _ended(self, job_ids: Sequence[str]) -> list[str]:
        """Which of the jobs have ended, or expired."""
        with self._connection.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hget(Job.key_for(job_id), "status")
            statuses = pipeline.execute()
        return [
            job_id
            for job_id, status in zip(job_ids, statuses, strict=True)
            if status is None or status.decode(errors="replace") in OVER
        ]


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _job(action: Action, naming: Naming, run: str) -> IngestJob:
    assert action.hashed is not None
    return IngestJob(
        tenant=naming.tenant,
        collection=naming.collection,
        document_id=action.document_id,
        filename=action.hashed.filename[-FILENAME_CHARACTERS_MAX:],
        sha256=action.hashed.sha256,
        source=action.hashed.path,
        request_id=run,
    )


def _outcome(action: Action, record: DocumentRecord | None) -> Outcome:
    """What the catalog says of a document whose job has ended."""
    if record is None:  # deleted meanwhile
        return Outcome(source=action.source, status=Status.SKIPPED, document_id=action.document_id)
    if record.status is not DocumentStatus.INDEXED:
        return _failed(action, _code(record))
    return Outcome(
        source=action.source,
        status=Status.ADDED if action.step is Step.ADD else Status.UPDATED,
        document_id=action.document_id,
        pages=record.pages,
        chunks=record.chunks,
        missing_pages=record.missing_pages,
    )


def _code(record: DocumentRecord) -> Reason | ErrorCode:
    if record.error is None:  # the job died, or was cancelled while it waited
        return ErrorCode.WORKER_LOST
    if record.error.code in set(Reason):
        return Reason(record.error.code)
    return ErrorCode(record.error.code) if record.error.code in set(ErrorCode) else ErrorCode.INTERNAL


def _failed(action: Action, code: Reason | ErrorCode) -> Outcome:
    return Outcome(
        source=action.source, status=Status.FAILED, document_id=action.document_id, failure=Failure.of(code)
    )
