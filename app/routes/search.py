"""POST /search: a search becomes a job, as a question does, without a call to the model."""

from fastapi import APIRouter, Request, Response

from app.auth.dependencies import AdmittedRoute, Asker
from app.core.contract import SearchJob
from app.dependencies import ApiDep, request_id_of
from app.request_headers import IdempotencyKey, Prefer
from app.routes.links import links_for
from app.routes.submission import submit
from app.schemas import JobAccepted, JobResult, SearchRequest, problem_responses

router = APIRouter(tags=["search"], route_class=AdmittedRoute)


@router.post(
    "/search",
    status_code=202,
    response_model=JobAccepted,
    responses=problem_responses(400, 401, 403, 413, 415, 422, 429, 503)
    | {200: {"model": JobResult, "description": "It has ended within `Prefer: wait=N`"}},
)
async def search(
    request: Request,
    principal: Asker,
    api: ApiDep,
    body: SearchRequest,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Put a search on the queue. `/result/{job_id}` then has the chunks that fit best, under `result.hits`."""
    job = SearchJob(tenant=principal.tenant, request_id=request_id_of(request), **body.plain())
    links = await links_for(request, principal)
    return await submit(job, principal, api, links, key=idempotency_key, prefer=prefer, priority=body.priority)
