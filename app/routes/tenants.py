"""DELETE /tenants/{tenant}: all that a tenant has here is erased, by a job."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.auth.dependencies import Admin, AdmittedRoute
from app.core.contract import EraseJob, is_label
from app.core.queue.erasing import TenantNotFoundError
from app.dependencies import ApiDep, request_id_of
from app.routes.links import links_for
from app.routes.submission import submit
from app.schemas import JobAccepted, problem_responses

router = APIRouter(tags=["operators"], route_class=AdmittedRoute)


@router.delete(
    "/tenants/{tenant}",
    status_code=202,
    response_model=JobAccepted,
    responses=problem_responses(401, 403, 404, 409, 422, 429, 503),
)
async def erase_tenant(
    tenant: Annotated[str, Path(description="Your own tenant; whoever runs the service may name any")],
    request: Request,
    principal: Admin,
    api: ApiDep,
) -> Response:
    """Erase all that the tenant has: jobs with questions and answers, documents, files, chunks, pictures of pages.

    A job does it. From its start to its end, whatever the tenant sends is refused with 409; `/result/{job_id}` then
    says under `result.erased` how many of each kind there were. Counts of tokens are kept: they were paid for.
    """
    if not is_label(tenant) or not (principal.is_operator or tenant == principal.tenant):
        raise TenantNotFoundError
    job = EraseJob(tenant=principal.tenant, erased=tenant, request_id=request_id_of(request))
    links = await links_for(request, principal)
    return await submit(job, principal, api, links, key=None, prefer=None)
