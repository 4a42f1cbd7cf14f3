"""GET /queues: what waits, since when, and what each worker is doing."""

from datetime import UTC, datetime

from fastapi import APIRouter

from app.auth.dependencies import Admin, AdmittedRoute
from app.core.queue.producer import QUEUES, JobNotFoundError, JobQueue
from app.dependencies import ApiDep
from app.schemas import Queues, QueueState, WorkerState, problem_responses

router = APIRouter(tags=["operators"], route_class=AdmittedRoute)


@router.get("/queues", responses=problem_responses(401, 403, 429, 503))
async def queues(principal: Admin, api: ApiDep) -> Queues:
    """Each queue's depth, how long its next job has waited, and its workers.

    Counts are of all tenants; a worker's job is named only when it is yours.
    """
    return Queues(queues=[await _state(name, api.queue, principal.tenant) for name in QUEUES])


async def _state(name: str, queue: JobQueue, tenant: str) -> QueueState:
    oldest = await queue.oldest_enqueued_at(name)
    return QueueState(
        name=name,
        **await queue.count(name),
        oldest_seconds=max(0.0, (datetime.now(UTC) - oldest).total_seconds()) if oldest else None,
        workers=[await _worker(worker, queue, tenant) for worker in await queue.workers(name)],
    )


async def _worker(worker: dict[str, bytes], queue: JobQueue, tenant: str) -> WorkerState:
    job_id = worker.get("current_job", b"").decode(errors="replace") or None
    return WorkerState(
        name=worker["name"].decode(errors="replace"),
        state=worker.get("state", b"?").decode(errors="replace"),
        job_id=job_id if job_id and await _is_of(tenant, job_id, queue) else None,
    )


async def _is_of(tenant: str, job_id: str, queue: JobQueue) -> bool:
    try:
        await queue.view(job_id, tenant=tenant)
    except JobNotFoundError:
        return False
    return True
