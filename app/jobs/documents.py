"""What the catalog hears of the jobs that index documents, whoever has ended them or sent them back.

A worker of ours tells the catalog itself how far a document is. A job that is cancelled while it waits, or that RQ's
own commands and workers stop, or that is given up with its worker, ends without a word: its document would wait for
ever.
"""

from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from rq.job import Job
from rq.job import JobStatus as RqStatus
from structlog.contextvars import bound_contextvars

from app.core.documents import operations
from app.core.documents.catalog import AsyncCatalog
from app.core.documents.operations import Operation
from app.core.documents.records import JOB_LOST, STOPPED
from app.core.logging import get_logger, job_context

ABOUT_DOCUMENTS = """
local found = {}
for i = 2, #ARGV do
  local job = redis.pcall('HMGET', ARGV[1] .. ARGV[i], 'document_id', 'tenant', 'status', 'request_id')
  if job[1] and job[2] and job[3] then found[#found + 1] = {ARGV[i], job[1], job[2], job[3], job[4]} end
end
return found
"""
"""ARGV: prefix of job keys, ids. Of those jobs that are about a document: id, document, tenant, status, request."""

_ERRORS = {RqStatus.FAILED: JOB_LOST, RqStatus.STOPPED: STOPPED, RqStatus.CANCELED: STOPPED}

log = get_logger(__name__)


class DocumentJobs:
    """Tells the catalog of jobs. Methods raise one of `VALKEY_UNAVAILABLE`."""

    def __init__(self, valkey: Redis) -> None:
        self._catalog = AsyncCatalog(valkey)
        self._find = valkey.register_script(ABOUT_DOCUMENTS)

    async def ended(self, job_ids: Sequence[str]) -> None:
        """Of these jobs, some have ended; a document that still waits for one of them has failed with it."""

        def operation(job_id: str, document_id: str, tenant: str, status: RqStatus) -> Operation[bool] | None:
            error = _ERRORS.get(status)
            return None if error is None else operations.job_ended(tenant, document_id, job_id=job_id, error=error)

        await self._tell(job_ids, operation)

    async def sent_back(self, job_id: str) -> None:
        """This job has failed, and waits again; so does its document."""

        def operation(job_id: str, document_id: str, tenant: str, status: RqStatus) -> Operation[bool]:
            return operations.job_sent_back(tenant, document_id, job_id=job_id)

        await self._tell([job_id], operation)

    async def _tell(
        self, job_ids: Sequence[str], operation: Callable[[str, str, str, RqStatus], Operation[bool] | None]
    ) -> None:
        found: Any = await self._find(args=[Job.redis_job_namespace_prefix, *job_ids])
        for job_id, *about, request_id in found:
            whose = {"tenant": about[1], "request_id": request_id}
            with bound_contextvars(**job_context(job_id.decode(errors="replace"), whose)):
                try:
                    document_id, tenant, status = (value.decode() for value in about)
                    told = operation(job_id.decode(), document_id, tenant, RqStatus(status))
                except ValueError as error:  # a record that is none of ours
                    log.warning("document_not_told", reason=type(error).__name__)
                    continue
                if told is not None and await self._catalog.do(told):
                    log.info("document_told", document_id=document_id, status=status)
