"""From a request to a job: what `POST /chat` and `POST /search` have in common."""

from collections.abc import Mapping
from functools import partial

from fastapi import Response

from app.auth.dependencies import Principal
from app.core.contract import AnswerJob, Webhook
from app.core.errors import Limit
from app.core.links import Links
from app.core.queue.lines import Priority
from app.core.queue.producer import Enqueued, Idempotency
from app.core.queue.records import JobView, Payload
from app.dependencies import Api
from app.request_headers import idempotency_key, wait_seconds
from app.schemas import JobAccepted, JobResult, JobUrls

POLL_SECONDS = 1
"""What Retry-After asks of a client that polls."""


async def submit(
    payload: Payload,
    principal: Principal,
    api: Api,
    links: Links,
    *,
    webhook: Webhook | None = None,
    key: str | None,
    prefer: str | None,
    priority: Priority = "normal",
) -> Response:
    """Put `payload` on its queue: 202 with where to look, or 200 with the result when it was there in time.

    Raises what `JobQueue.submit` and `idempotency_key` do, and `LimitReachedError` when the client may not wait.
    """
    spender = principal.spender
    if spender is not None and not isinstance(payload, AnswerJob):  # a search spends what embedding it does
        may_spend = not api.settings.embeds_here and await api.queue.embedding_model() is not None
        spender = spender if may_spend else None
    name = idempotency_key(key)
    idempotency = Idempotency(owner=principal.key, key=name) if name is not None else None
    put = partial(
        api.queue.submit,
        payload,
        idempotency=idempotency,
        webhook=webhook,
        spender=spender,
        weight=principal.weight,
        priority=priority,
    )
    seconds = wait_seconds(prefer)
    if not seconds:
        taken = await put()
        return _accepted(taken, links, {})
    with api.places.held(Limit.WAITS, principal.key):  # before there is a job: who is refused will ask again
        taken = await put()
        view = await api.queue.view(taken.job_id, tenant=principal.tenant)
        view = await api.waiters.wait_for_end(view, seconds, tenant=principal.tenant)
    applied = {"Preference-Applied": f"wait={seconds}"}
    if view.status.is_terminal:
        return result_response(view, links, _replayed(taken) | applied)
    return _accepted(taken, links, applied)


def _replayed(taken: Enqueued) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if taken.is_replay else {}


def _accepted(taken: Enqueued, links: Links, headers: Mapping[str, str]) -> Response:
    urls = JobUrls.of(taken.job_id, links.base)
    accepted = JobAccepted(job_id=taken.job_id, position=taken.position, expires_at=taken.expires_at, urls=urls)
    where = {"Location": urls.status, "Retry-After": str(POLL_SECONDS)}
    return _json(accepted.model_dump_json(), 202, where | _replayed(taken) | dict(headers))


def result_response(view: JobView, links: Links, headers: Mapping[str, str] | None = None) -> Response:
    """What became of the job: 200, or 202 with Retry-After before it has ended."""
    body = JobResult(job_id=view.job_id, status=view.status, result=links.shown(view.result), error=view.error)
    is_over = view.status.is_terminal
    retry = {} if is_over else {"Retry-After": str(POLL_SECONDS)}
    return _json(body.model_dump_json(), 200 if is_over else 202, retry | dict(headers or {}))


def _json(body: str, status: int, headers: Mapping[str, str]) -> Response:
    return Response(body, status, dict(headers), media_type="application/json")
