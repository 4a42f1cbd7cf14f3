"""A document's pages: what stands on them and where, and their pictures. A worker reads and draws them."""

import hashlib
import json
from enum import IntEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from app.auth.dependencies import AdmittedRoute, Asker, Principal
from app.core.contract import QUOTE_MAX_CHARACTERS, PageJob, PageResult
from app.core.documents.files import StoredFileNotFoundError
from app.core.documents.records import DocumentRecord
from app.dependencies import Api, ApiDep, request_id_of
from app.documents.downloads import SANDBOX, FileResponse, is_named
from app.documents.looks import Looks, NoPictureError, OtherVersionError, PageNotFoundError, PagePendingError
from app.documents.schemas import PageView, page_view
from app.documents.service import Documents
from app.middleware.head import is_head
from app.routes.documents import DocumentId, DocumentsDep
from app.routes.links import link_base
from app.schemas import problem_responses

WAIT_SECONDS_MAX = 20
"""Longer than a page may take, which is 15."""
PAGES_MAX = 2**31 - 1
FOR_GOOD = "private, max-age=31536000, immutable"
"""A year, as RFC 9111 lets a cache keep what has an expiry; `immutable` (RFC 8246): not even a reload asks again."""
ASK_AGAIN = "private, no-cache"
"""The document may be replaced under the same address."""
FORMAT = 1
"""Raised by hand when the same page would be told of otherwise: what clients have kept is stale then."""


class Width(IntEnum):
    """Of a picture, in pixels."""

    SCREEN = 900
    ZOOMED = 1800


router = APIRouter(tags=["documents"], route_class=AdmittedRoute)

PageNumber = Annotated[int, Path(description="Which page, counted from 1")]
Version = Annotated[
    str | None,
    Query(description="A page's `version`: what comes may be kept for good; 404 when the document has another"),
]
Wait = Annotated[
    int, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait for a page that is not yet read or drawn")
]
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": {"image/png": {}}},
    304: {"description": "If-None-Match names the picture as it is"},
    **problem_responses(401, 403, 404, 422, 429, 503),
}


@router.get("/documents/{document_id}/pages/{n}.png", response_class=Response, responses=_PICTURE)
async def page_picture(
    document_id: DocumentId,
    n: PageNumber,
    request: Request,
    principal: Asker,
    documents: DocumentsDep,
    api: ApiDep,
    width: Annotated[Width, Query(description="In pixels; a very long page is drawn narrower")] = Width.SCREEN,
    version: Version = None,
    wait: Wait = WAIT_SECONDS_MAX,
) -> Response:
    """The page's picture. It is drawn when it is first asked for, and kept with the document."""
    record = await _document(documents, principal, document_id, n, version)
    headers = _headers(f'"{record.sha256}-{n}-{width}"', version)
    if is_named(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    place = (principal.tenant, record.sha256, n, int(width))
    try:
        file, size = await run_in_threadpool(documents.store.open_picture, *place)
    except StoredFileNotFoundError:
        if is_head(request.scope):
            return StreamingResponse(iter(()), media_type="image/png", headers=headers)
        job = _job(record, principal, request, page=n, width=int(width))
        if not (await _look(api, documents, principal, job, wait)).has_picture:
            raise NoPictureError from None
        try:
            file, size = await run_in_threadpool(documents.store.open_picture, *place)
        except StoredFileNotFoundError:  # it went with the document, which is here again, or had to go for others
            await _look(api, documents, principal, job, wait, is_anew=True)
            try:
                file, size = await run_in_threadpool(documents.store.open_picture, *place)
            except StoredFileNotFoundError as error:
                raise PagePendingError from error
    return FileResponse(file, size, None, media_type="image/png", headers=headers)


@router.get(
    "/documents/{document_id}/pages/{n}",
    response_model=PageView,
    responses={
        304: {"description": "If-None-Match names the page as it is"},
        **problem_responses(401, 403, 404, 422, 429, 503),
    },
)
async def page(
    document_id: DocumentId,
    n: PageNumber,
    request: Request,
    principal: Asker,
    documents: DocumentsDep,
    api: ApiDep,
    quote: Annotated[str, Query(max_length=QUOTE_MAX_CHARACTERS, description="Words to be marked")] = "",
    last_page: Annotated[
        int | None, Query(ge=1, le=PAGES_MAX, description="Where the quote ends, when that is the page after")
    ] = None,
    version: Version = None,
    wait: Wait = WAIT_SECONDS_MAX,
) -> Response:
    """What stands on the page, and where a quote does: boxes on its picture, and a place in its words.

    A quote is found whatever the page's lines, hyphens and columns are. What is not found for certain is not marked.
    """
    record = await _document(documents, principal, document_id, n, version)
    told = json.dumps([FORMAT, record.sha256, n, quote, last_page])
    headers = _headers(f'"{hashlib.sha256(told.encode()).hexdigest()}"', version)
    if is_named(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if is_head(request.scope):
        return StreamingResponse(iter(()), media_type="application/json", headers=headers)
    job = _job(record, principal, request, page=n, quote=quote.strip() or None, last_page=last_page)
    result = await _look(api, documents, principal, job, wait)
    view = page_view(result, record.document_id, record.sha256, link_base(request.scope, api.settings))
    return Response(view.model_dump_json(), media_type="application/json", headers=headers)


async def _document(
    documents: Documents, principal: Principal, document_id: str, n: int, version: str | None
) -> DocumentRecord:
    """The document, which has the page as far as is known. Raises `DocumentNotFoundError` and errors of `looks`."""
    record = await documents.get(principal.tenant, document_id)
    if version is not None and version != record.sha256:
        raise OtherVersionError
    if not 1 <= n <= (record.pages or PAGES_MAX):
        raise PageNotFoundError(record.pages)
    return record


def _job(record: DocumentRecord, principal: Principal, request: Request, **about: Any) -> PageJob:
    return PageJob(
        tenant=principal.tenant,
        document_id=record.document_id,
        sha256=record.sha256,
        filename=record.filename,
        request_id=request_id_of(request),
        **about,
    )


async def _look(
    api: Api, documents: Documents, principal: Principal, job: PageJob, wait: int, *, is_anew: bool = False
) -> PageResult:
    await run_in_threadpool(documents.store.size, job.tenant, job.sha256)  # else there is nothing to look at
    looks = Looks(api.queue, api.waiters, api.places)
    return await looks.look(job, key=principal.key, seconds=wait, weight=principal.weight, is_anew=is_anew)


def _headers(etag: str, version: str | None) -> dict[str, str]:
    return {
        "ETag": etag,
        "Cache-Control": ASK_AGAIN if version is None else FOR_GOOD,
        "Content-Security-Policy": SANDBOX,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
