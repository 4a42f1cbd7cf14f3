"""POST /chat: a question becomes a job."""

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Query as QueryParameter
from fastapi.exceptions import RequestValidationError

from app.asking import submit
from app.auth import Asker
from app.core.contract import AnswerJob, Query, Webhook
from app.core.settings import Settings
from app.dependencies import JobQueueDep, RequestId, SettingsDep, WaitersDep
from app.prefer import IdempotencyKey, Prefer
from app.schemas import ChatRequest, JobAccepted, JobResult, WebhookRequest, problem_responses

router = APIRouter(tags=["chat"])

ERRORS = problem_responses(400, 401, 403, 413, 415, 422, 429, 503)


@router.post(
    "/chat",
    status_code=202,
    response_model=JobAccepted,
    responses=ERRORS | {200: {"model": JobResult, "description": "It has ended within `Prefer: wait=N`"}},
)
async def ask(
    principal: Asker,
    queue: JobQueueDep,
    waiters: WaitersDep,
    settings: SettingsDep,
    request_id: RequestId,
    body: ChatRequest | None = None,
    query: Annotated[Query | None, QueryParameter(description="The question, instead of a body")] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Put a question on the queue and answer at once with the job's id.

    Follow `/stream/{job_id}`, wait with `/result/{job_id}?wait=60`, or poll `/job-status/{job_id}`.
    """
    if body is None and query is None:
        raise _wrong("query", "A question is required", "missing")
    asked = body or ChatRequest(query=query or "")
    job = AnswerJob(
        tenant=principal.tenant, request_id=request_id, **asked.model_dump(exclude={"webhook"}, exclude_unset=True)
    )
    webhook = _webhook(asked.webhook, settings) if asked.webhook else None
    return await submit(job, principal, queue, waiters, webhook=webhook, key=idempotency_key, prefer=prefer)


def _webhook(asked: WebhookRequest, settings: Settings) -> Webhook:
    if asked.url.startswith("http:") and not settings.webhook_allow_private:
        raise _wrong("webhook/url", "must be like https://host/path", "value_error")
    secret = asked.secret or settings.webhook_secret
    if secret is None:
        raise _wrong("webhook/secret", "A secret is required: the operator has set none", "missing")
    return Webhook(url=asked.url, secret=secret)


def _wrong(where: str, message: str, kind: str) -> RequestValidationError:
    return RequestValidationError([{"type": kind, "loc": ("body", *where.split("/")), "msg": message, "input": None}])
