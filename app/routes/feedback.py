"""What people say of an answer."""

from datetime import UTC, datetime

from fastapi import APIRouter

from app.auth.dependencies import AdmittedRoute, Asker
from app.core.contract import AnswerJob
from app.core.queue.erasing import check_not_erased
from app.core.queue.producer import JobNotEndedError, JobNotFoundError
from app.core.queue.records import KINDS
from app.dependencies import Api, ApiDep
from app.routes.history_schemas import Feedback, FeedbackRequest
from app.routes.jobs import JobId
from app.schemas import problem_responses

router = APIRouter(tags=["jobs"], route_class=AdmittedRoute)


@router.post("/jobs/{job_id}/feedback", responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422, 429, 503))
async def feedback(job_id: JobId, said: FeedbackRequest, principal: Asker, api: ApiDep) -> Feedback:
    """Say whether the answer was good, and what it should have been. Sent again, it replaces what was said before.

    It is kept in the chat log, also after the job's own record has expired; 404 where there is no chat log.
    """
    log = api.logged()
    await check_not_erased(api.valkey, principal.tenant)
    if await _is_there(job_id, principal.tenant, api):
        await log.ended([job_id])  # its row may not have been written yet
    given = said.model_dump() | {"rated_at": datetime.now(UTC)}
    if not await log.say(job_id, principal.tenant, given):
        raise JobNotFoundError(job_id)
    return Feedback(job_id=job_id, **given)


async def _is_there(job_id: str, tenant: str, api: Api) -> bool:
    """Whether the job's record is still there. Raises `JobNotEndedError`, and `JobNotFoundError` for no question."""
    try:
        view = await api.queue.view(job_id, tenant=tenant)
    except JobNotFoundError:
        return False
    if view.kind != KINDS[AnswerJob].name:
        raise JobNotFoundError(job_id)
    if not view.status.is_terminal:
        raise JobNotEndedError(job_id)
    return True
