"""For operators: what waits and since when, what became of the last hour's jobs, and who works."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from app.auth.dependencies import Admin, AdmittedRoute
from app.core.contract import QUERY_QUEUE, QUEUES
from app.core.queue.producer import JobQueue
from app.dependencies import ApiDep
from app.jobs.budget import budget_of
from app.jobs.ends import MINUTES_MAX
from app.jobs.histogram import percentile
from app.jobs.history import History
from app.jobs.processes import Process, processes
from app.routes.watch_schemas import (
    BudgetState,
    Minute,
    Percentiles,
    QueueHistory,
    Queues,
    QueuesHistory,
    QueueState,
    WorkerProcess,
    Workers,
    WorkerState,
)
from app.schemas import problem_responses

router = APIRouter(tags=["operators"], route_class=AdmittedRoute)


@router.get("/queues", responses=problem_responses(401, 403, 429, 503))
async def queues(principal: Admin, api: ApiDep) -> Queues:
    """Each queue's depth, how long its next job has waited, its workers, and the model's budget.

    Counts are of all tenants; a worker's job is named only when it is yours.
    """
    states = [await _state(name, api.queue, principal.tenant) for name in QUEUES]
    running = next(state.started for state in states if state.name == QUERY_QUEUE)
    return Queues(queues=states, budget=BudgetState(**await budget_of(api.valkey, api.settings, running)))


async def _state(name: str, queue: JobQueue, tenant: str) -> QueueState:
    oldest = await queue.oldest_enqueued_at(name)
    workers = await queue.workers(name)
    jobs = [worker.get("current_job", b"").decode(errors="replace") for worker in workers]
    own = await queue.own(jobs, tenant=tenant)
    return QueueState(
        name=name,
        **await queue.count(name),
        oldest_seconds=max(0.0, (datetime.now(UTC) - oldest).total_seconds()) if oldest else None,
        workers=[
            WorkerState(
                name=worker["name"].decode(errors="replace"),
                state=worker.get("state", b"?").decode(errors="replace"),
                job_id=job_id if job_id in own else None,
            )
            for worker, job_id in zip(workers, jobs, strict=True)
        ],
    )


@router.get("/queues/history", responses=problem_responses(401, 403, 422, 429, 503))
async def history(
    principal: Admin, api: ApiDep, minutes: Annotated[int, Query(ge=1, le=MINUTES_MAX)] = MINUTES_MAX
) -> QueuesHistory:
    """What became of each queue's jobs, minute by minute, and how long they waited and took. Of all tenants."""
    read = History(api.valkey)
    return QueuesHistory(queues=[await _history(name, read, minutes) for name in QUEUES])


async def _history(name: str, read: History, minutes: int) -> QueueHistory:
    found = await read.of(name, minutes)
    return QueueHistory(
        name=name,
        minutes=[Minute(at=at, **counts) for at, counts in zip(found.minutes, found.counts, strict=True)],
        waiting_ms=Percentiles(p50=percentile(found.waiting, 0.5), p95=percentile(found.waiting, 0.95)),
        total_ms=Percentiles(p50=percentile(found.whole, 0.5), p95=percentile(found.whole, 0.95)),
    )


@router.get("/workers", responses=problem_responses(401, 403, 429, 503))
async def workers(principal: Admin, api: ApiDep) -> Workers:
    """Each process of workers, since when, and what it does. Its jobs are named when they are yours."""
    found = processes([(name, worker) for name in QUEUES for worker in await api.queue.workers(name)])
    own = await api.queue.own([job for process in found for job in process.running], tenant=principal.tenant)
    return Workers(workers=[_process(process, own) for process in found])


def _process(process: Process, own: set[str]) -> WorkerProcess:
    return WorkerProcess(
        name=process.name,
        hostname=process.hostname,
        pid=process.pid,
        queues=[name for name in QUEUES if name in process.queues],
        threads=process.threads,
        busy=len(process.running),
        job_ids=[job_id for job_id in process.running if job_id in own],
        started_at=process.started_at,
        heartbeat_at=process.heartbeat_at,
    )
