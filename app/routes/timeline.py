"""A job's timeline: what it has gone through, and how long each step took."""

from datetime import timedelta
from itertools import pairwise

from fastapi import APIRouter

from app.auth.dependencies import AdmittedRoute, Asker
from app.core.queue.questions import question_of
from app.dependencies import ApiDep
from app.jobs.failed import QUEUE_OF
from app.jobs.timeline import steps_of
from app.routes.jobs import JobId
from app.routes.watch_schemas import Step, Timeline
from app.schemas import problem_responses

MILLISECOND = timedelta(milliseconds=1)

router = APIRouter(tags=["jobs"], route_class=AdmittedRoute)


@router.get("/jobs/{job_id}/timeline", responses=problem_responses(401, 403, 404, 429, 503))
async def timeline(job_id: JobId, principal: Asker, api: ApiDep) -> Timeline:
    """The job's steps with the waits between them, and what was asked: queued, started, retrieved, first word, ended.

    Each attempt has its own; a document's job is parsing, then embedding. Steps whose time was not kept are left out.
    """
    view = await api.queue.view(job_id, tenant=principal.tenant)
    steps = await steps_of(api.valkey, view)
    waits = [None, *((later.at - earlier.at) / MILLISECOND for earlier, later in pairwise(steps))]
    return Timeline(
        job_id=job_id,
        kind=view.kind,
        queue=QUEUE_OF[view.kind],
        status=view.status,
        attempt=view.attempt,
        question=await question_of(api.valkey, job_id, tenant=principal.tenant),
        steps=[
            Step(name=step.name, at=step.at, since_ms=wait, attempt=step.attempt)
            for step, wait in zip(steps, waits, strict=False)
        ],
        error=view.error,
    )
