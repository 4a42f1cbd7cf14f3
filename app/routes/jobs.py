"""What became of a job, and what may be done about it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from app.auth.dependencies import JOB_READER, Admin, AdmittedRoute, Asker, JobReader, Principal
from app.core.errors import Limit
from app.core.links import TICKET_SECONDS
from app.core.models import HIDDEN
from app.core.queue.records import JobView
from app.dependencies import Api, ApiDep, UntilAnswered, api_of
from app.jobs.streams import NOT_BEGUN, EventStream, JobEvents
from app.middleware.head import is_head
from app.request_headers import WAIT_SECONDS_MAX
from app.routes import job_actions
from app.routes.direct import DirectRoute, refusal
from app.routes.links import TICKET_PARAMETERS, links_for
from app.routes.submission import POLL_SECONDS, result_response
from app.routes.waiting import wait_for_end
from app.schemas import (
    JobResult,
    JobState,
    JobUrls,
    Progress,
    Ticket,
    TicketUrls,
    problem_responses,
)

EVENT_NUMBER_MAX = 2**53

router = APIRouter(tags=["jobs"], route_class=AdmittedRoute)

JobId = Annotated[str, Path(description="The id that POST /chat gave")]
Wait = Annotated[
    int, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait for the job's end before answering")
]
_WAIT: TypeAdapter[int] = TypeAdapter(Wait, config=HIDDEN)


@router.get(
    "/job-status/{job_id}",
    response_model=JobState,
    responses=problem_responses(401, 403, 404, 422, 429, 503),
    openapi_extra={"parameters": TICKET_PARAMETERS},
)
async def job_status(job_id: JobId, principal: JobReader, api: ApiDep, request: Request, wait: Wait = 0) -> Response:
    """Where the job is, and why it failed if it did. Retry-After is there until it has ended."""
    view = await api.queue.view(job_id, tenant=principal.tenant)
    view = await wait_for_end(view, wait, principal, api)
    retry = {} if view.status.is_terminal else {"Retry-After": str(POLL_SECONDS)}
    return Response(state_of(view).model_dump_json(), headers=retry, media_type="application/json")


@router.get(
    "/result/{job_id}",
    response_model=JobResult,
    responses={
        **problem_responses(401, 403, 404, 422, 429, 503),
        202: {"model": JobResult, "description": "Not ended yet"},
    },
    openapi_extra={"parameters": TICKET_PARAMETERS},
)
async def result(job_id: JobId, principal: JobReader, api: ApiDep, request: Request, wait: Wait = 0) -> Response:
    """The answer, once the job has ended; 202 with Retry-After before that."""
    view = await api.queue.view(job_id, tenant=principal.tenant)
    view = await wait_for_end(view, wait, principal, api)
    return result_response(view, await links_for(request, principal))


def _direct(path: str, read: Callable[[str, Principal, Api, Request, int], Awaitable[Response]]) -> DirectRoute:
    async def answer(request: Request, principal: Principal) -> Response:
        return await read(request.path_params["job_id"], principal, api_of(request), request, _wait(request))

    return DirectRoute("GET", path, answer, JOB_READER)


def _wait(request: Request) -> int:
    try:
        wait = _WAIT.validate_python(request.query_params.get("wait", 0))
    except ValidationError as error:
        raise refusal(error, "query", "wait") from None
    return 0 if wait and is_head(request.scope) else wait


DIRECT = (_direct("/job-status/{job_id}", job_status), _direct("/result/{job_id}", result))


@router.get(
    "/stream/{job_id}",
    status_code=200,
    response_class=EventStream,
    responses={
        200: {"description": "Server-sent events", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        204: {"description": "The job has ended and you have every event"},
        **problem_responses(401, 403, 404, 422, 429, 503),
    },
    openapi_extra={"parameters": TICKET_PARAMETERS},
)
async def stream(
    job_id: JobId,
    principal: JobReader,
    api: ApiDep,
    request: Request,
    until_answered: UntilAnswered,
    starting_after: Annotated[
        int | None, Query(ge=0, le=EVENT_NUMBER_MAX, description="Number of the last event that you have")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it when they connect again")
    ] = None,
) -> Response:
    """The job's events, from the first or after the one that you name, until it has ended.

    `job.queued`, `job.started` (with `attempt`: another one starts the answer over), `retrieval.completed`,
    `answer.delta`, and at last `answer.completed`, `job.failed` or `job.stopped`. They can be replayed until the job
    expires. To leave does not stop the job.
    """
    until_answered.enter_context(api.places.held(Limit.STREAMS, principal.key))
    view = await api.queue.view(job_id, tenant=principal.tenant)
    events = JobEvents(api.waiters, api.queue, job_id=job_id, tenant=principal.tenant)
    after = _after(starting_after, last_event_id)
    if view.status.is_terminal and after >= await events.end():
        return Response(status_code=204)
    links = await links_for(request, principal)
    return EventStream(events.frames(view, after, shown=links.shown))


@router.post("/jobs/{job_id}/ticket", status_code=201, responses=problem_responses(401, 403, 404, 429, 503))
async def make_ticket(job_id: JobId, principal: Asker, api: ApiDep, request: Request) -> Ticket:
    """A ticket to this job alone, for what can send no key: EventSource, or a link.

    Whoever has it can read the job's state, events and result for ten minutes, and nothing else. It counts as the key
    that made it.
    """
    await api.queue.view(job_id, tenant=principal.tenant)
    links = await links_for(request, principal)
    token, expires = links.ticket(job_id)
    urls = JobUrls.of(job_id, links.base)
    return Ticket(
        ticket=token,
        expires_in=TICKET_SECONDS,
        expires_at=datetime.fromtimestamp(expires, UTC),
        urls=TicketUrls(
            status=f"{urls.status}?ticket={token}",
            result=f"{urls.result}?ticket={token}",
            stream=f"{urls.stream}?ticket={token}",
        ),
    )


@router.post("/jobs/{job_id}/cancel", responses=problem_responses(401, 403, 404, 409, 422, 429, 503))
async def cancel(job_id: JobId, principal: Asker, api: ApiDep) -> JobState:
    """Stop a job: one that waits never runs, one that runs leaves its model call a moment later. Idempotent.

    A job that has ended is returned as it is. Whoever may make jobs of its kind may stop it: that of an upload needs
    the role ingest. A document's deletion is not stopped.
    """
    return state_of(await job_actions.stop(job_id, principal, api))


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    response_class=Response,  # which names no type of a body that is not there
    responses=problem_responses(401, 403, 404, 409, 422, 429, 503),
)
async def delete(job_id: JobId, principal: Asker, api: ApiDep) -> None:
    """Remove the job with its question, answer and events. A job that runs is stopped first, as by cancelling it."""
    await job_actions.remove(job_id, principal, api)


@router.post(
    "/jobs/{job_id}/requeue", tags=["operators"], responses=problem_responses(401, 403, 404, 409, 422, 429, 503)
)
async def requeue(job_id: JobId, principal: Admin, api: ApiDep) -> JobState:
    """Send a failed job back to the queue, with all its attempts."""
    return state_of(await job_actions.send_back(job_id, principal, api))


def state_of(view: JobView) -> JobState:
    """A job's state as the API shows it."""
    has_progress = view.done is not None and view.total is not None
    return JobState.model_validate(
        {
            **{name: getattr(view, name) for name in JobState.model_fields if hasattr(view, name)},
            "progress": Progress(done=view.done or 0, total=view.total or 0) if has_progress else None,
        }
    )


def _after(starting_after: int | None, last_event_id: str | None) -> int:
    """The number of the last event that the client has. A header that is no number of ours is ignored."""
    if last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) < len(str(EVENT_NUMBER_MAX)):
        return int(last_event_id)
    return NOT_BEGUN if starting_after is None else starting_after
