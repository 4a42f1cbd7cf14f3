"""POST /chat: a question becomes a job."""

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Query as QueryParameter
from fastapi.exceptions import RequestValidationError

from app.core.contract import AnswerJob, Query
from app.dependencies import JobQueueDep
from app.routes.jobs import POLL_SECONDS
from app.schemas import ChatAccepted, ChatRequest, JobUrls, problem_responses

router = APIRouter(tags=["chat"])


@router.post("/chat", status_code=202, responses=problem_responses(400, 413, 415, 422, 503))
def ask(
    queue: JobQueueDep,
    response: Response,
    body: ChatRequest | None = None,
    query: Annotated[Query | None, QueryParameter(description="The question, instead of a body")] = None,
) -> ChatAccepted:
    """Put a question on the queue and answer at once with the job's id.

    Poll `/job-status/{job_id}`, or read `/result/{job_id}`, until the job has ended.
    """
    if body is None and query is None:
        missing = {"type": "missing", "loc": ("body", "query"), "msg": "A question is required", "input": None}
        raise RequestValidationError([missing])
    request = body or ChatRequest(query=query or "")
    taken = queue.submit(AnswerJob(**request.model_dump()))
    status_url = f"/job-status/{taken.job_id}"
    response.headers["Location"] = status_url
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return ChatAccepted(
        job_id=taken.job_id,
        position=taken.position,
        expires_at=taken.expires_at,
        urls=JobUrls(status=status_url, result=f"/result/{taken.job_id}", cancel=f"/jobs/{taken.job_id}/cancel"),
    )
