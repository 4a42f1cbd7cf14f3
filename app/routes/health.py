"""Is it alive, is it ready."""

import asyncio
from typing import Literal

import httpx
from fastapi import APIRouter, Request, Response

from app.core import index_notes
from app.core.errors import ConfigurationError
from app.core.logging import get_logger
from app.core.model_findings import MESSAGES, ModelRole
from app.core.qdrant_addresses import addresses
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.producer import JobQueue
from app.core.services import qdrant_server
from app.core.settings import Settings
from app.dependencies import ApiDep
from app.problems.table import VALKEY_RETRY_SECONDS
from app.schemas import Health, Readiness

CHECK_TIMEOUT_SECONDS = 2.0

Check = Literal["ok", "unavailable", "full"]
Warned = ModelRole | Literal["index_of_another_model"]

log = get_logger(__name__)
router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Health:
    """The process is alive; nothing else is asked."""
    return Health()


@router.get(
    "/readyz",
    response_model_exclude_defaults=True,
    responses={503: {"model": Readiness, "description": "Something is unavailable or full"}},
)
async def readyz(request: Request, api: ApiDep, response: Response) -> Readiness:
    """Whether a question would be answered now; 503 names what is unavailable, or that the queue is full.

    What a worker has found wrong with the models' settings stands in `warnings`, and that the index lacks vectors.
    """
    checks: dict[str, Check] = {"valkey": "unavailable", "workers": "unavailable", "queue": "unavailable"}
    checks |= await _queue(api.queue, api.settings)
    checks["qdrant"] = await _qdrant(request.app.state.http, api.settings)
    is_ready = all(state == "ok" for state in checks.values())
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = str(VALKEY_RETRY_SECONDS)
    warnings = await _warnings(api.queue) if checks["valkey"] == "ok" else {}
    return Readiness(status="ok" if is_ready else "unavailable", checks=checks, warnings=warnings)


async def _queue(queue: JobQueue, settings: Settings) -> dict[str, Check]:
    try:
        is_full = await queue.depth() >= settings.max_queue_depth or await queue.is_memory_full()
        return {
            "workers": "ok" if await queue.workers_alive() else "unavailable",
            "queue": "full" if is_full else "ok",
            "valkey": "ok",
        }
    except VALKEY_UNAVAILABLE as error:
        log.warning("valkey_unavailable", during="readyz", reason=type(error).__name__)
        return {}


async def _warnings(queue: JobQueue) -> dict[Warned, str]:
    """What a worker has found wrong with models and index: no reason to send no questions, as it may be mended."""
    try:
        found, state = await queue.model_findings(), await queue.index_state()
    except VALKEY_UNAVAILABLE:
        return {}
    warnings: dict[Warned, str] = {role: MESSAGES[problem] for role, problem in found.items()}
    if state is not None:
        warnings["index_of_another_model"] = index_notes.MESSAGES[state]
    return warnings


async def _qdrant(http: httpx.AsyncClient, settings: Settings) -> Check:
    """Qdrant's own readiness, of one node at least: the one thing that the API asks of it, and it needs no key."""
    try:
        nodes = addresses(qdrant_server(settings).url)
    except ConfigurationError:
        return "unavailable"
    answers = await asyncio.gather(
        *(http.get(f"{node}/readyz", timeout=CHECK_TIMEOUT_SECONDS) for node in nodes), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, httpx.HTTPError):
            raise answer
    return (
        "ok" if any(isinstance(answer, httpx.Response) and answer.is_success for answer in answers) else "unavailable"
    )
