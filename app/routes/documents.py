"""Documents: upload, list, status, file, delete."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi import Query as QueryParameter
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError
from structlog.contextvars import unbind_contextvars

from app.auth.dependencies import AdmittedRoute, Asker, FileReader, Ingester
from app.core.contract import DEFAULT_COLLECTION, LABEL, Label
from app.core.documents.files import open_store
from app.core.errors import Limit
from app.core.models import HIDDEN
from app.core.queue.producer import Idempotency
from app.dependencies import ApiDep, UntilAnswered, request_id_of
from app.documents.downloads import FileResponse, content_type, file_headers, is_unchanged, span_of
from app.documents.schemas import (
    UPLOAD_BODY,
    DocumentList,
    DocumentView,
    UploadAccepted,
    document_view,
)
from app.documents.service import Documents, Place
from app.documents.uploads import Form, ReceivedFile, Refusal, Upload, UploadRefusedError, receiving
from app.problems.table import file_problem
from app.request_headers import IdempotencyKey
from app.request_headers import idempotency_key as checked_key
from app.routes.links import SIG_PARAMETERS, link_base
from app.schemas import problem_responses

LIST_LIMIT_MAX = 100

BAD_COLLECTION = Refusal(422, "invalid-request", "`collection` is 1 to 128 letters, digits and any of _ . : -")

router = APIRouter(tags=["documents"], route_class=AdmittedRoute)

_LABEL = TypeAdapter[str](Label, config=HIDDEN)


async def get_documents(api: ApiDep) -> Documents:
    """The documents of the application's Valkey, store and queue."""
    return Documents(api.valkey, open_store(api.settings), api.queue, api.settings)


DocumentsDep = Annotated[Documents, Depends(get_documents)]
DocumentId = Annotated[str, Path(description="The id that POST /documents gave")]
Collection = Annotated[
    str | None,
    QueryParameter(description="Where the documents go", json_schema_extra={"pattern": LABEL.pattern}),
]
"""Checked with the form's field of the same name, so that both have one error."""


@router.post(
    "/documents",
    status_code=202,
    responses=problem_responses(400, 401, 403, 413, 415, 422, 429, 503),
    openapi_extra=UPLOAD_BODY,
)
async def upload(
    request: Request,
    response: Response,
    principal: Ingester,
    documents: DocumentsDep,
    api: ApiDep,
    until_answered: UntilAnswered,
    collection: Collection = None,
    idempotency_key: IdempotencyKey = None,
) -> UploadAccepted:
    """Take files and put the indexing of each on the queue.

    A document is the file of one name in one collection: uploading that name again replaces it, and the same bytes
    again change nothing. Files that are not taken are listed under `problems`; when none is taken, the answer is a
    problem itself. Follow `/documents/{document_id}` or the job.
    """
    key = checked_key(idempotency_key)
    until_answered.enter_context(api.places.held(Limit.UPLOADS, principal.key))
    await documents.check_room(principal.tenant)
    async with receiving(request, documents.store, Form.of_documents(api.settings)) as received:
        place = Place(principal.tenant, _collection(received, collection), request_id_of(request), principal.weight)
        refusals = _refusals(received.files)
        taken = [file for number, file in enumerate(received.files) if number not in refusals]
        is_replay = key is not None and await documents.is_replay(
            place, taken, Idempotency(owner=f"{principal.key} documents", key=key)
        )
        records = [await documents.add(place, file, is_replay=is_replay) for file in taken]
        if len(records) > 1:
            unbind_contextvars("job_id")  # the request is about no one of its jobs
    if is_replay:
        response.headers["Idempotent-Replayed"] = "true"
    base = link_base(request.scope, api.settings)
    return UploadAccepted(
        documents=[document_view(record, base) for record in records],
        problems=[file_problem(number, refusal) for number, refusal in refusals.items()],
    )


@router.get("/documents", responses=problem_responses(401, 403, 422, 429, 503))
async def list_documents(
    request: Request,
    principal: Asker,
    api: ApiDep,
    documents: DocumentsDep,
    collection: Annotated[Label | None, QueryParameter(description="Of this collection only")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX, description="Documents at most")] = 50,
    cursor: Annotated[
        str | None, QueryParameter(pattern=r"^[0-9]{1,15}$", description="A page's `next_cursor`")
    ] = None,
) -> DocumentList:
    """The documents, the newest first, a page at a time. What comes or goes meanwhile moves no other document."""
    after = int(cursor) if cursor is not None else None
    page = await documents.list(principal.tenant, collection=collection, after=after, limit=limit)
    base = link_base(request.scope, api.settings)
    return DocumentList(
        documents=[document_view(record, base) for record in page.documents],
        next_cursor=str(page.next) if page.next is not None else None,
    )


@router.get("/documents/{document_id}", responses=problem_responses(401, 403, 404, 429, 503))
async def document(
    request: Request, document_id: DocumentId, principal: Asker, documents: DocumentsDep, api: ApiDep
) -> DocumentView:
    """The document, and how far its indexing is: `pages_done` of `pages`."""
    return document_view(await documents.get(principal.tenant, document_id), link_base(request.scope, api.settings))


@router.delete(
    "/documents/{document_id}",
    status_code=204,
    response_class=Response,  # which names no type of a body that is not there
    responses=problem_responses(401, 403, 404, 429, 503),
)
async def delete_document(
    request: Request, document_id: DocumentId, principal: Ingester, documents: DocumentsDep
) -> None:
    """Remove the document and its file at once; a job takes it out of the index a moment later.

    Deleting it again is a 404 and changes nothing.
    """
    await documents.remove(principal.tenant, document_id, request_id=request_id_of(request), weight=principal.weight)


_FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {"application/octet-stream": {}}},
    206: {"description": "The part of it that Range asks for", "content": {"application/octet-stream": {}}},
    304: {"description": "If-None-Match names the file as it is"},
    **problem_responses(401, 403, 404, 416, 429, 503),
}


@router.get(
    "/documents/{document_id}/file",
    response_class=Response,
    responses=_FILE_RESPONSES,
    openapi_extra={"parameters": SIG_PARAMETERS},
)
async def document_file(
    document_id: DocumentId, request: Request, principal: FileReader, documents: DocumentsDep
) -> Response:
    """The file itself, or the single range of it that is asked for. `ETag` is the hash of its bytes.

    A citation's `url` leads here, signed where the service has keys: whoever has it can open this file for an hour.
    """
    record = await documents.get(principal.tenant, document_id)
    headers = file_headers(record)
    if is_unchanged(request.headers, record):
        return Response(status_code=304, headers=headers)
    size = await run_in_threadpool(documents.store.size, principal.tenant, record.sha256)
    span = span_of(request.headers, record, size)
    file = await run_in_threadpool(documents.store.open, principal.tenant, record.sha256)
    return FileResponse(file, size, span, media_type=content_type(record), headers=headers)


def _collection(upload: Upload, parameter: str | None) -> str:
    """Raises `UploadRefusedError`."""
    try:
        return _LABEL.validate_python(upload.fields.get("collection", parameter or DEFAULT_COLLECTION))
    except ValidationError as error:
        raise UploadRefusedError(BAD_COLLECTION) from error


def _refusals(files: Sequence[ReceivedFile]) -> dict[int, Refusal]:
    """Which files are not taken, by position. Raises `UploadRefusedError` when none is."""
    found = {number: refusal for number, file in enumerate(files) if (refusal := file.refusal()) is not None}
    if len(found) < len(files):
        return found
    distinct = set(found.values())
    if len(distinct) == 1:
        raise UploadRefusedError(distinct.pop(), found)
    raise UploadRefusedError(Refusal(422, "no-file-taken", "None of the files can be taken; see `problems`."), found)
