"""The dead letters: a tenant's failed jobs, and what is done with many of them at once."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from app.auth.dependencies import Admin, AdmittedRoute, Principal
from app.core.queue.producer import (
    JobNotFailedError,
    JobNotFoundError,
    JobRunningError,
    QueueFullError,
    QueueShareError,
)
from app.core.queue.records import JobView
from app.dependencies import Api, ApiDep
from app.jobs.failed import CURSOR, QUEUE_OF, FailedJobs, Filter
from app.problems import problem_of
from app.problems.details import URN
from app.routes import job_actions
from app.routes.jobs import state_of
from app.routes.watch_schemas import (
    CHOSEN_MAX,
    BulkDone,
    ChosenJobs,
    FailedFilter,
    FailedJob,
    JobList,
    JobProblem,
)
from app.schemas import Removed, problem_responses

LIST_MAX = 1000
SINGLE = (JobNotFoundError, JobNotFailedError, JobRunningError)
"""What is wrong with one job, and lets the others be."""

FailedOnly = Annotated[Literal["failed"], Query(description="Which jobs: those that failed")]
Act = Callable[[str, Principal, Api], Awaitable[object]]

router = APIRouter(tags=["operators"], route_class=AdmittedRoute)


class FailedQuery(FailedFilter):
    """Which of a tenant's failed jobs to list, and how many."""

    status: Literal["failed"]
    limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = 100
    cursor: Annotated[str | None, Query(pattern=CURSOR.pattern, description="A page's `next_cursor`")] = None


@router.get("/jobs", responses=problem_responses(401, 403, 422, 429, 503))
async def list_jobs(principal: Admin, api: ApiDep, asked: Annotated[FailedQuery, Query()]) -> JobList:
    """The tenant's failed jobs, the latest first: the dead letters."""
    failed = FailedJobs(api.valkey, api.queue)
    page = await failed.page(principal.tenant, _filter(asked), limit=asked.limit, cursor=asked.cursor)
    return JobList(jobs=[_failed_job(view) for view in page.jobs], next_cursor=page.next_cursor)


@router.delete("/jobs", responses=problem_responses(401, 403, 422, 429, 503))
async def delete_failed(principal: Admin, api: ApiDep, status: FailedOnly) -> Removed:
    """Remove the tenant's failed jobs, 1,000 at most at a time."""
    return Removed(removed=await job_actions.remove_failed(principal, api, limit=LIST_MAX))


@router.post("/failed-jobs/requeue", responses=problem_responses(401, 403, 422, 429, 503))
async def requeue_chosen(principal: Admin, api: ApiDep, request: Request, chosen: ChosenJobs) -> BulkDone:
    """Send failed jobs back to the queue, with all their attempts: those named, or all that match, some at a time.

    When the queue is full, or your tenant has its share of it, what was done until then is told; with nothing done,
    429 or 503.
    """
    return await _each(chosen, principal, api, request, job_actions.send_back)


@router.post("/failed-jobs/delete", responses=problem_responses(401, 403, 422, 429, 503))
async def delete_chosen(principal: Admin, api: ApiDep, request: Request, chosen: ChosenJobs) -> BulkDone:
    """Remove failed jobs with their questions and events: those named, or all that match, some at a time."""
    return await _each(chosen, principal, api, request, job_actions.remove_if_failed)


async def _each(chosen: ChosenJobs, principal: Principal, api: Api, request: Request, act: Act) -> BulkDone:
    """Do it with each of the jobs, one after the other."""
    places, next_cursor = await _chosen(chosen, principal, api)
    done, problems = 0, []
    for number, (job_id, _) in enumerate(places):
        try:
            await act(job_id, principal, api)
            done += 1
        except SINGLE as error:
            problems.append(_problem(request, job_id, error))
        except (QueueFullError, QueueShareError) as error:
            if done == 0:
                raise
            if chosen.filter is None:
                problems += [_problem(request, left, error) for left, _ in places[number:]]
            else:
                next_cursor = places[number - 1][1]
            break
    return BulkDone(done=done, problems=problems, next_cursor=next_cursor)


def _problem(request: Request, job_id: str, error: Exception) -> JobProblem:
    told = problem_of(request, error)
    assert told is not None, "the table has all that a queue raises"
    return JobProblem(job_id=job_id, type=URN + told.kind, detail=told.detail)


async def _chosen(
    chosen: ChosenJobs, principal: Principal, api: Api
) -> tuple[Sequence[tuple[str, str | None]], str | None]:
    """The ids, each with the cursor that goes on after it, and where the next ones are."""
    if chosen.filter is None:
        return [(job_id, None) for job_id in dict.fromkeys(chosen.job_ids or ())], None
    failed = FailedJobs(api.valkey, api.queue)
    page = await failed.page(principal.tenant, _filter(chosen.filter), limit=CHOSEN_MAX, cursor=chosen.cursor)
    ids = (view.job_id for view in page.jobs)
    return list(zip(ids, page.cursors, strict=True)), page.next_cursor


def _filter(asked: FailedFilter) -> Filter:
    return Filter(asked.queue, asked.kind, asked.code, asked.text, asked.since)


def _failed_job(view: JobView) -> FailedJob:
    return FailedJob(**state_of(view).model_dump(), queue=QUEUE_OF[view.kind])
