"""POST /chat: a question becomes a job.

It reads its request itself (`app.routes.direct`); `openapi_extra` says what FastAPI can't see.
"""

import json
from typing import NoReturn

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.auth.dependencies import AdmittedRoute, Asker
from app.core.contract import AnswerJob, Webhook
from app.core.settings import Settings
from app.dependencies import api_of, request_id_of
from app.request_headers import CACHE_CONTROL_PARAMETER, IDEMPOTENCY_KEY_PARAMETER, PREFER_PARAMETER, caching
from app.routes.direct import DirectRoute, refusal
from app.routes.links import links_for
from app.routes.submission import submit
from app.schemas import ChatRequest, JobAccepted, JobResult, WebhookRequest, problem_responses

QUERY_PARAMETER_MAX_CHARACTERS = 4_000
"""Of a question in the address: with each character as four bytes, percent-encoded, they are 48 of the 64 KiB that
uvicorn's parser takes of an address."""
QUERY_PARAMETER = {
    "name": "query",
    "in": "query",
    "required": False,
    "description": "The question, instead of a body",
    "schema": {"type": "string", "minLength": 1, "maxLength": QUERY_PARAMETER_MAX_CHARACTERS},
}

router = APIRouter(tags=["chat"], route_class=AdmittedRoute)


@router.post(
    "/chat",
    status_code=202,
    response_model=JobAccepted,
    responses=problem_responses(400, 401, 403, 413, 415, 422, 429, 503)
    | {200: {"model": JobResult, "description": "It has ended within `Prefer: wait=N`"}},
    openapi_extra={
        "parameters": [QUERY_PARAMETER, IDEMPOTENCY_KEY_PARAMETER, PREFER_PARAMETER, CACHE_CONTROL_PARAMETER],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}}},
    },
)
async def ask(request: Request, principal: Asker) -> Response:
    """Put a question on the queue and answer at once with the job's id.

    Follow `/stream/{job_id}`, wait with `/result/{job_id}?wait=60`, or poll `/job-status/{job_id}`.
    """
    api = api_of(request)
    asked = await _asked(request)
    webhook = _webhook(asked.webhook, api.settings) if asked.webhook else None
    links, headers = await links_for(request, principal), request.headers
    job = AnswerJob(
        tenant=principal.tenant,
        request_id=request_id_of(request),
        cache=caching(headers.get("cache-control")),
        **asked.plain(),
    )
    return await submit(
        job,
        principal,
        api,
        links,
        webhook=webhook,
        key=headers.get("idempotency-key"),
        prefer=headers.get("prefer"),
        priority=asked.priority,
    )


DIRECT = DirectRoute("POST", "/chat", ask)


async def _asked(request: Request) -> ChatRequest:
    """The question in the body, or else in the address. Raises `RequestValidationError`."""
    body = await request.body()
    try:
        if body:
            return _read(body) if _is_json(request) else _wrong("", "missing", "No JSON")
        query = request.query_params.get("query")
        if query is None:
            _wrong("query", "missing", "A question is required")
        if len(query) > QUERY_PARAMETER_MAX_CHARACTERS:
            _wrong("query", "string_too_long", "A question as long as this goes into a body", part="query")
        return ChatRequest(query=query)
    except ValidationError as error:
        raise refusal(error, "body" if body else "query") from None


def _read(body: bytes) -> ChatRequest:
    """As FastAPI reads the bodies of other routes: UTF-8, with a byte order mark too, and what Python's json tells to
    be UTF-16 or UTF-32. Only what pydantic can't read is looked at twice. Raises `ValidationError`.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError:
        if (encoding := json.detect_encoding(body)) == "utf-8":
            raise
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            text = ""
        return ChatRequest.model_validate_json(text)


def _is_json(request: Request) -> bool:
    subtype = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return subtype == "application/json" or (subtype.startswith("application/") and subtype.endswith("+json"))


def _webhook(asked: WebhookRequest, settings: Settings) -> Webhook:
    if asked.url.startswith("http:") and not settings.webhook_allow_private:
        _wrong("webhook/url", "value_error", "must be like https://host/path")
    secret = asked.secret or settings.webhook_secret
    if secret is None:
        _wrong("webhook/secret", "missing", "A secret is required: the operator has set none")
    return Webhook(url=asked.url, secret=secret)


def _wrong(where: str, kind: str, message: str, *, part: str = "body") -> NoReturn:
    raise RequestValidationError(
        [{"type": kind, "loc": (part, *filter(None, where.split("/"))), "msg": message, "input": None}]
    )
