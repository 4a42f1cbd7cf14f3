"""What became of a job."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from app.core.contract import DEFAULT_TENANT
from app.dependencies import JobQueueDep
from app.schemas import JobResult, JobState, problem_responses

POLL_SECONDS = 1
"""What Retry-After asks of a client that polls."""

router = APIRouter(tags=["jobs"])

JobId = Annotated[str, Path(description="The id that POST /chat gave")]


@router.get("/job-status/{job_id}", responses=problem_responses(404, 503))
def job_status(job_id: JobId, queue: JobQueueDep, response: Response) -> JobState:
    """Where the job is, and why it failed if it did. Retry-After is there until it has ended."""
    view = queue.view(job_id, tenant=DEFAULT_TENANT)
    if not view.status.is_terminal:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return JobState.model_validate(view, from_attributes=True)


@router.get(
    "/result/{job_id}",
    responses={**problem_responses(404, 503), 202: {"model": JobResult, "description": "Not ended yet"}},
)
def result(job_id: JobId, queue: JobQueueDep, response: Response) -> JobResult:
    """The answer, once the job has ended; 202 with Retry-After before that."""
    view = queue.view(job_id, tenant=DEFAULT_TENANT)
    if not view.status.is_terminal:
        response.status_code = 202
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return JobResult.model_validate(view, from_attributes=True)


@router.post("/jobs/{job_id}/cancel", responses=problem_responses(404, 503))
def cancel(job_id: JobId, queue: JobQueueDep) -> JobState:
    """Stop a job: one that waits never runs, one that runs leaves its model call a moment later. Idempotent.

    A job that has ended is returned as it is.
    """
    return JobState.model_validate(queue.cancel(job_id, tenant=DEFAULT_TENANT), from_attributes=True)
