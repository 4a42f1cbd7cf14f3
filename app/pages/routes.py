"""The page's addresses: its views, its files, and an answer as HTML."""

from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import APIRouter, Header, Path, Request, Response
from starlette.responses import HTMLResponse

from app.auth.dependencies import AdmittedRoute, Asker
from app.auth.gate import Gate
from app.core.contract import AnswerResult
from app.core.version import VERSION
from app.dependencies import Api, ApiDep
from app.pages.answer_html import answer_html
from app.pages.assets import load
from app.pages.shell import shell
from app.routes.links import link_base
from app.schemas import Root, problem_responses

FOR_GOOD = "public, max-age=31536000, immutable"
"""A year, as RFC 9111 lets a cache keep what has an expiry; `immutable` (RFC 8246): not even a reload asks again."""

router = APIRouter(route_class=AdmittedRoute)


@router.get("/", tags=["health"], response_model=Root)
async def root(
    request: Request, api: ApiDep, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """What this is and where to go; for a browser, the page."""
    if "text/html" in accept:
        return view("ask", request, api)
    base = link_base(request.scope, api.settings)
    told = Root(name="rag-queue", version=VERSION, docs=f"{base}/docs", ready=f"{base}/readyz")
    return Response(told.model_dump_json(), media_type="application/json", headers={"Vary": "Accept"})


@router.get("/page/documents", include_in_schema=False)
async def documents(request: Request, api: ApiDep) -> Response:
    """The view of documents, for a browser."""
    return view("documents", request, api)


@router.get("/page/watch", include_in_schema=False)
async def watch(request: Request, api: ApiDep) -> Response:
    """The view for operators, for a browser."""
    return view("watch", request, api)


@router.get("/page/jobs/{job_id}", include_in_schema=False)
async def job(job_id: Annotated[str, Path()], request: Request, api: ApiDep) -> Response:
    """A job's page, for a browser: the same for every job, and for none."""
    return view("job", request, api)


def view(name: str, request: Request, api: Api) -> Response:
    """One view's HTML, for everybody: who may see what is asked by its script."""
    asks_for_key = cast(Gate, request.app.state.gate).is_shown_nothing(request)
    base = urlsplit(link_base(request.scope, api.settings)).path  # its policy allows no other host, not even ours
    return shell(
        name,
        base,
        asks_for_key=asks_for_key,
        keeps_ratings=api.chat_log is not None,
        upload_max_mb=api.settings.upload_max_mb,
    )


@router.get("/page/static/{digest}/{name}", include_in_schema=False)
async def static_file(
    digest: str, name: str, accept_encoding: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """One of the page's files; a 404 for another version's."""
    asset = load().find(digest, name)
    if asset is None:
        return Response(status_code=404)
    headers = {"Cache-Control": FOR_GOOD, "Vary": "Accept-Encoding"}
    if "gzip" not in accept_encoding:
        return Response(asset.plain, media_type=asset.media_type, headers=headers)
    return Response(asset.gzipped, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})


@router.get("/page/answers/{job_id}", include_in_schema=False, responses=problem_responses(401, 403, 404, 429, 503))
async def answer(job_id: Annotated[str, Path()], principal: Asker, api: ApiDep) -> Response:
    """A finished answer as harmless HTML; 204 for a job without one."""
    job = await api.queue.view(job_id, tenant=principal.tenant)
    if not isinstance(job.result, AnswerResult):
        return Response(status_code=204)
    return HTMLResponse(answer_html(job.result.answer))
