"""The page for Prometheus, for who has no port of its own to ask (METRICS_PORT)."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.auth.dependencies import Admin, AdmittedRoute
from app.dependencies import ApiDep
from app.metrics import MetricsOffError
from app.schemas import problem_responses

EXAMPLE = 'rq_jobs{queue="rag_queries",status="queued"} 3.0\n'
FORMATS = ("text/plain", "application/openmetrics-text")

router = APIRouter(tags=["operators"], route_class=AdmittedRoute)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "In the format that Accept asks for, of the two that Prometheus reads",
            "content": {name: {"schema": {"type": "string"}, "example": EXAMPLE} for name in FORMATS},
        },
        **problem_responses(401, 403, 404, 429, 503),
    },
)
async def metrics(request: Request, principal: Admin, api: ApiDep) -> Response:
    """This process's numbers for Prometheus, and the queues' as they are now; 404 unless METRICS is set.

    Of all tenants. While Valkey is away, what is read from there is missing.
    """
    if api.metrics is None:
        raise MetricsOffError
    asked = request.headers
    headers, body = await run_in_threadpool(
        api.metrics.page, asked.get("accept", ""), asked.get("accept-encoding", "")
    )
    return Response(body, headers=headers)
