"""What may be done about a job, by any route: who makes jobs of a kind may stop them, and the catalog hears of it."""

from collections.abc import Mapping

from app.auth.dependencies import Principal, Role
from app.auth.principals import ForbiddenError
from app.core.contract import (
    AnswerJob,
    DeleteJob,
    EmbedJob,
    EraseJob,
    IngestJob,
    JobStatus,
    PageJob,
    SearchJob,
    TaskJob,
)
from app.core.queue.producer import JobNotFailedError, JobNotFoundError, JobRunningError
from app.core.queue.records import KINDS, JobView
from app.dependencies import Api
from app.jobs.documents import DocumentJobs
from app.routes.waiting import wait_for_end

STOP_SECONDS = 5
"""How long a removal waits for a running job to stop."""

ROLES: Mapping[str, Role] = {
    KINDS[AnswerJob].name: Role.ASK,
    KINDS[TaskJob].name: Role.ASK,
    KINDS[SearchJob].name: Role.ASK,
    KINDS[EmbedJob].name: Role.ASK,
    KINDS[IngestJob].name: Role.INGEST,
    KINDS[DeleteJob].name: Role.INGEST,
    KINDS[EraseJob].name: Role.ADMIN,
    KINDS[PageJob].name: Role.ASK,
}
"""Who makes jobs of a kind, and stops them. Deliveries of webhooks are nobody's: for the API there is no such job."""


async def stop(job_id: str, principal: Principal, api: Api) -> JobView:
    """Cancel the job; one that has ended is returned as it is.

    Raises `ForbiddenError`, and as `JobQueue.cancel` does.
    """
    view = await api.queue.view(job_id, tenant=principal.tenant)
    if not principal.role.may(ROLES[view.kind]):
        raise ForbiddenError(ROLES[view.kind])
    view = await api.queue.cancel(job_id, tenant=principal.tenant)
    await _tell_end(view, api)
    return view


async def remove(job_id: str, principal: Principal, api: Api) -> None:
    """Stop the job, wait until it has stopped, and remove it, from the chat log too.

    Also what the chat log alone still has. Raises as `stop`, `JobRunningError`, and `ChatLogUnavailableError` when
    only the chat log could say whether there is such a job.
    """
    try:
        view = await stop(job_id, principal, api)
    except JobNotFoundError:
        if api.chat_log is None or not await api.chat_log.erase_job(job_id, principal.tenant):
            raise
        return
    view = await wait_for_end(view, STOP_SECONDS, principal, api)
    await _tell_end(view, api)  # what is removed tells nobody any more
    await api.queue.delete(job_id, tenant=principal.tenant)
    await _erase(api)


async def send_back(job_id: str, principal: Principal, api: Api) -> JobView:
    """Put a failed job on its queue again. Raises as `JobQueue.requeue` does."""
    view = await api.queue.requeue(job_id, tenant=principal.tenant)
    if view.kind == KINDS[IngestJob].name:
        await DocumentJobs(api.valkey).sent_back(job_id)
    return view


async def remove_if_failed(job_id: str, principal: Principal, api: Api) -> None:
    """Remove a job that has failed. Raises `JobNotFailedError`, and as `JobQueue.delete` does."""
    view = await api.queue.view(job_id, tenant=principal.tenant)
    if view.status is not JobStatus.FAILED:
        raise JobNotFailedError(job_id)
    await _tell_end(view, api)
    await api.queue.delete(job_id, tenant=principal.tenant)


async def remove_failed(principal: Principal, api: Api, *, limit: int) -> int:
    """Remove the tenant's failed jobs, `limit` at most; how many."""
    views = await api.queue.failed(tenant=principal.tenant, limit=limit)
    await DocumentJobs(api.valkey).ended([view.job_id for view in views])
    removed = 0
    for view in views:
        try:
            await api.queue.delete(view.job_id, tenant=principal.tenant)
            removed += 1
        except JobRunningError:  # another operator has just sent it back
            continue
    await _erase(api)
    return removed


async def _erase(api: Api) -> None:
    """At once, what the chat log would else erase within a second."""
    if api.chat_log is not None:
        await api.chat_log.erase_now()


async def _tell_end(view: JobView, api: Api) -> None:
    if view.kind == KINDS[IngestJob].name and view.status.is_terminal:
        await DocumentJobs(api.valkey).ended([view.job_id])
