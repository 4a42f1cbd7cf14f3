"""The job that erases a tenant: all that it has in every store of which this service knows.

Its stores are one table, `STORES`: a new one is a row there. Each row may be done again, so that a job whose worker
died begins anew and finds what is left. While it runs, nothing new of the tenant's is taken
(`app.core.queue.erasing`).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from redis import Redis
from redis.exceptions import ResponseError
from rq.job import Job

from app.core.contract import EraseJob, EraseResult
from app.core.documents.collections import collections_key
from app.core.documents.operations import tenant_patterns
from app.core.errors import ErrorCode
from app.core.logging import get_logger
from app.core.queue import batches, erasures
from app.core.queue.answers import answers_key, answers_prefix
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.conversations import conversation_key, conversations_key, deleted_key
from app.core.queue.erasing import erasing_key
from app.core.queue.locks import take_lock
from app.core.queue.removal import JobsStillRunError, delete_keys, remove_jobs
from app.core.queue.versions import changing_key, version_key
from ingest.failures import failure_of_document
from ingest.resources import Ingestion, open_ingestion
from worker.resources import shared
from worker.retrieval import semantic_cache
from worker.runtime.boundary import Failure, boundary, note
from worker.runtime.retries import Backoff

BACKOFF = Backoff(base_seconds=2.0, max_seconds=60.0)
STOP_SECONDS = 60.0
"""How long one attempt waits for the tenant's running jobs to stop, or for another job that erases the tenant."""
REWRITE_SECONDS = 120.0
"""How long it waits for Qdrant, and for Valkey, to write their files anew; they go on when it has left."""
POLL_SECONDS = 0.25

log = get_logger(__name__)


def _jobs(resources: Ingestion, tenant: str) -> int:
    """Stopped and removed: questions, answers, events, webhooks, looks at pages."""
    return remove_jobs(resources.connection, resources.settings, tenant, patience_seconds=STOP_SECONDS)


def _batches(resources: Ingestion, tenant: str) -> int:
    """Their files' bytes are in the store of documents' files."""
    own, *rest = batches.patterns(tenant)
    count = delete_keys(resources.connection, own)
    delete_keys(resources.connection, *rest)
    batches.forget_members(resources.connection, tenant)
    return count


def _catalog(resources: Ingestion, tenant: str) -> int:
    record, *rest = tenant_patterns(tenant)
    documents = delete_keys(resources.connection, record)
    delete_keys(resources.connection, *rest, f"rag:ingest:{tenant}/*")
    return documents


def _collections(resources: Ingestion, tenant: str) -> None:
    """What was said of them."""
    delete_keys(resources.connection, collections_key(tenant))


def _chunks(resources: Ingestion, tenant: str) -> int:
    return resources.index.delete_tenant(tenant)


def _conversations(resources: Ingestion, tenant: str) -> int:
    """Those that are kept, their list, and the marks of those that were deleted, which have their names."""
    conversations = delete_keys(resources.connection, conversation_key(tenant, "*"))
    delete_keys(resources.connection, conversations_key(tenant), deleted_key(tenant, "*"))
    return conversations


def _answers(resources: Ingestion, tenant: str) -> int:
    """Those that are kept to be given again, what finds them by meaning, and the versions they were made from."""
    answers = delete_keys(resources.connection, f"{answers_prefix(tenant)}*")
    places = (version_key(tenant, "*"), changing_key(tenant, "*"))
    delete_keys(resources.connection, answers_key(tenant), *places)
    semantic_cache.erase(resources.index.http, resources.index.name, tenant)
    return answers


def _files(resources: Ingestion, tenant: str) -> int:
    """Uploads, and pictures of their pages."""
    return resources.store.delete_tenant(tenant)


def _chat_log(resources: Ingestion, tenant: str) -> None:
    """By the API, which has the log: all that was asked until now, a row that is only just written too."""
    resources.connection.eval(erasures.NOTE, 1, erasures.ERASED, erasures.tenant(tenant))


STORES: Mapping[str, Callable[[Ingestion, str], int | None]] = {
    "jobs": _jobs,
    "batches": _batches,
    "chat log": _chat_log,
    "documents": _catalog,
    "collections": _collections,
    "chunks": _chunks,
    "conversations": _conversations,
    "answers": _answers,
    "files": _files,
}
"""What a tenant has, by the name that the result tells, and how that is erased; it gives how many, if it knows.

In this order: when its jobs are gone, nobody writes; a document that the catalog does not know gives way; and what
the index names is there as long as it is named.
"""


def prepare() -> None:
    """Open what this module's jobs share. Raises `ConfigurationError` when there is no Qdrant or Valkey to go to."""
    shared(open_ingestion)


def erase_tenant(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Erase all that the tenant of the `EraseJob` in `payload` has; returns an `EraseResult` as plain data.

    Raises `JobFailedError` when it can't; the job's metadata then holds the code. What is erased stays so.
    """
    mark: Mark | None = None

    def on_failed(_: Failure | None, *, is_tried_again: bool) -> None:
        if mark is not None and not is_tried_again:  # else the tenant is kept out: it is half erased
            mark.remove()

    with boundary("erase", payload, backoff=BACKOFF, classify=_failure_of, on_failed=on_failed) as record:
        job = EraseJob.model_validate(payload)
        resources = shared(open_ingestion)
        erased = _known(record)
        mark = Mark(resources, job.erased, record)
        mark.set()
        for name, erase in STORES.items():
            if (count := erase(resources, job.erased)) is not None:
                erased[name] = erased.get(name, 0) + count
                note(record, erased=erased)
        _leave_the_disks(resources)
        mark.remove()
        log.info("tenant_erased", erased=job.erased, **erased)
        return EraseResult(tenant=job.erased, erased=erased).model_dump(mode="json")


def _known(record: Job | None) -> dict[str, int]:
    """What earlier attempts have erased."""
    found = record.meta.get("erased") if record is not None else None
    known = found.items() if isinstance(found, dict) else ()
    return {name: count for name, count in known if name in STORES and isinstance(count, int) and count >= 0}


class Mark:
    """The mark of a tenant that is being erased: while it stands, nothing new of the tenant's is taken."""

    def __init__(self, resources: Ingestion, tenant: str, record: Job | None) -> None:
        self._connection = resources.connection
        self._seconds = resources.settings.ingest_timeout_seconds
        self._key = erasing_key(tenant)
        self._holder = record.id if record is not None else uuid4().hex

    def set(self) -> None:
        """Set it, when no other job erases the tenant. A job that is run again after its worker's death has it."""
        give_up = monotonic() + STOP_SECONDS
        while not take_lock(self._connection, self._key, self._holder, seconds=self._seconds) and not self._is_ours():
            if monotonic() > give_up:
                raise JobsStillRunError
            sleep(POLL_SECONDS)
        self._connection.expire(self._key, self._seconds)

    def remove(self) -> None:
        """Let the tenant in again."""
        with suppress(*VALKEY_UNAVAILABLE):  # it expires
            if self._is_ours():
                self._connection.delete(self._key)

    def _is_ours(self) -> bool:
        return bool(self._connection.get(self._key) == self._holder.encode())


def _leave_the_disks(resources: Ingestion) -> None:
    """Have Valkey and Qdrant write anew what they keep on disk, where deleting only notes that something was deleted.

    The index was asked to when its chunks were deleted.
    """
    give_up = monotonic() + REWRITE_SECONDS
    with suppress(ResponseError):  # a Valkey that lets us ask for nothing of the kind
        _wait_until(lambda: not _is_rewriting(resources.connection), give_up)  # one that began before is too old
        if resources.connection.info("persistence").get("aof_enabled"):
            resources.connection.bgrewriteaof()
        _wait_until(lambda: not _is_rewriting(resources.connection), give_up)
    _wait_until(lambda: not resources.index.is_at_work(), give_up)


def _wait_until(condition: Callable[[], bool], give_up: float) -> None:
    while not condition() and monotonic() < give_up:
        sleep(POLL_SECONDS)


def _is_rewriting(connection: "Redis") -> bool:
    info: Any = connection.info("persistence")
    return bool(info.get("aof_rewrite_in_progress") or info.get("aof_rewrite_scheduled"))


def _failure_of(error: BaseException) -> Failure:
    if isinstance(error, JobsStillRunError):
        words = "A job of the tenant's has not stopped in time. Erase it again in a while."
        return Failure(ErrorCode.INDEX_UNAVAILABLE, "jobs_still_run", words)
    return failure_of_document(error)
