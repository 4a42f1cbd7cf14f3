"""/v1/files: what batches read and what they write, in OpenAI's shapes. Documents are uploaded by POST /documents."""

from time import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.core.documents.files import StorageUnavailableError, StoredFileNotFoundError, open_store
from app.core.errors import Limit
from app.core.queue.batches import (
    FILE_ID,
    INPUT_BYTES_MAX,
    KEEP_SECONDS,
    KEEP_SECONDS_MIN,
    BatchStore,
    FileNotFoundHereError,
    FileRecord,
    new_file_id,
)
from app.core.queue.erasing import check_not_erased
from app.documents.downloads import SANDBOX, FileResponse
from app.documents.uploads import EMPTY, NO_NAME, Form, ReceivedFile, Refusal, UploadRefusedError, receiving
from app.routes.openai.errors import OpenAIError, OpenAIRoute, error_responses
from app.routes.openai.jobs import Asking, AskingDep
from app.routes.openai.schemas import FileDeleted, FileList, FileObject

FORM = Form(1, INPUT_BYTES_MAX, frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"}))
LIST_MAX = 10_000
"""OpenAI's own limit of a page."""
PAGE_MAX = 1_000
"""What is read at once; a client asks for the rest as for any next page."""
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": f"JSON lines, {INPUT_BYTES_MAX // 2**20} MiB at most",
                        },
                        "purpose": {"type": "string", "enum": ["batch"]},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {
                            "type": "integer",
                            "minimum": KEEP_SECONDS_MIN,
                            "maximum": KEEP_SECONDS,
                        },
                    },
                    "additionalProperties": False,
                }
            }
        },
    }
}

router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

FileId = Annotated[str, Path(description="The id that POST /v1/files gave, or a batch's output or error file")]


@router.post("/files", responses=error_responses(400, 401, 403, 409, 413, 415, 429, 503), openapi_extra=UPLOAD_BODY)
async def create_file(request: Request, asking: AskingDep) -> FileObject:
    """Keep a file of requests for POST /v1/batches, for 30 days unless `expires_after` says less."""
    api, tenant = asking.api, asking.principal.tenant
    asking.hold(Limit.UPLOADS)
    await check_not_erased(api.valkey, tenant)
    store = open_store(api.settings)
    async with receiving(request, store, FORM) as received:
        [file] = received.files
        seconds = _checked(received.fields, file)
        now = int(time())
        record = FileRecord(
            id=new_file_id(),
            filename=str(file.filename),
            bytes=file.draft.size,
            created_at=now,
            expires_at=now + seconds,
        )
        await run_in_threadpool(store.keep_batch_file, file.draft, tenant, record.id)
    most = api.settings.tenant_max_stored_mb * 2**20 if api.settings.has_credentials else None
    try:
        await BatchStore(api.valkey).put_file(tenant, record, bytes_max=most)
    except Exception:
        await _remove(asking, record.id)
        raise
    return file_object(record)


@router.get("/files", responses=error_responses(400, 401, 403, 429, 503))
async def list_files(
    asking: AskingDep,
    purpose: Annotated[str | None, Query(max_length=64, description="Of this purpose only")] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_MAX, description=f"Files at most; {PAGE_MAX:,} come at once")] = 100,
    order: Annotated[Literal["asc", "desc"], Query(description="desc: the newest first")] = "desc",
    after: Annotated[str | None, Query(max_length=128, description="The id of the last file that you have")] = None,
) -> FileList:
    """The tenant's files: those that were uploaded here, and those that batches have written."""
    found: list[FileRecord] = []
    wanted, last = min(limit, PAGE_MAX), after
    while len(found) <= wanted:
        page = await BatchStore(asking.api.valkey).files(
            asking.principal.tenant, after=last, limit=wanted + 1, newest_first=order == "desc"
        )
        if not page:
            break
        last = page[-1].id
        found += [file for file in page if purpose is None or file.purpose == purpose]
    data = [file_object(file) for file in found[:wanted]]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return FileList(data=data, first_id=ends[0], last_id=ends[1], has_more=len(found) > wanted)


@router.get("/files/{file_id}", responses=error_responses(401, 403, 404, 429, 503))
async def retrieve_file(file_id: FileId, asking: AskingDep) -> FileObject:
    """What is known of a file."""
    return file_object(await file_of(asking, file_id))


@router.get(
    "/files/{file_id}/content",
    response_class=Response,
    responses=error_responses(401, 403, 404, 429, 503)
    | {200: {"description": "The file", "content": {"application/octet-stream": {}}}},
)
async def retrieve_file_content(file_id: FileId, asking: AskingDep) -> Response:
    """The file itself."""
    record = await file_of(asking, file_id)
    store, tenant = open_store(asking.api.settings), asking.principal.tenant
    try:
        size = await run_in_threadpool(store.batch_file_size, tenant, record.id)
        file = await run_in_threadpool(store.open_batch_file, tenant, record.id)
    except StoredFileNotFoundError:
        raise not_found() from None
    headers = {
        "Content-Disposition": f'attachment; filename="{record.id}.jsonl"',
        "Content-Security-Policy": SANDBOX,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    return FileResponse(file, size, None, media_type="application/octet-stream", headers=headers)


@router.delete("/files/{file_id}", responses=error_responses(401, 403, 404, 429, 503))
async def delete_file(file_id: FileId, asking: AskingDep) -> FileDeleted:
    """Remove a file. A batch that reads it ends with what it has."""
    await file_of(asking, file_id)
    await BatchStore(asking.api.valkey).delete_file(asking.principal.tenant, file_id)
    await _remove(asking, file_id)
    return FileDeleted(id=file_id)


async def file_of(asking: Asking, file_id: str) -> FileRecord:
    """Raises `OpenAIError` (404) when there is no such file, or it is another tenant's."""
    try:
        return await BatchStore(asking.api.valkey).file(asking.principal.tenant, file_id)
    except FileNotFoundHereError:
        raise not_found() from None


def not_found() -> OpenAIError:
    """There is no such file."""
    return OpenAIError(404, "There is no such file, or it has expired.", param="file_id", code="not_found")


def file_object(file: FileRecord) -> FileObject:
    """A file as OpenAI shows it."""
    return FileObject(**file.model_dump())


async def _remove(asking: Asking, file_id: str) -> None:
    """A store that is away keeps the bytes until the tenant is erased: no record names them."""
    assert FILE_ID.fullmatch(file_id)
    try:
        store = open_store(asking.api.settings)
        await run_in_threadpool(store.delete_batch_file, asking.principal.tenant, file_id)
    except StorageUnavailableError:  # which is in the log
        return


def _checked(fields: dict[str, str], file: ReceivedFile) -> int:
    """How long the file is to be kept, in seconds. Raises `OpenAIError` (400), `UploadRefusedError`."""
    if "purpose" not in fields:
        raise OpenAIError(
            400, "Missing required parameter: 'purpose'.", param="purpose", code="missing_required_parameter"
        )
    if fields["purpose"] != "batch":
        message = "Files are for batches: only the purpose `batch` is supported. POST /documents takes documents."
        raise OpenAIError(400, message, param="purpose", code="invalid_value")
    if file.filename is None:
        raise UploadRefusedError(NO_NAME)
    if file.is_too_large:
        detail = f"A batch's file may have {INPUT_BYTES_MAX // 2**20} MiB; this one has more."
        raise UploadRefusedError(Refusal(413, "file-too-large", detail))
    if not file.draft.size:
        raise UploadRefusedError(EMPTY)
    seconds = fields.get("expires_after[seconds]", str(KEEP_SECONDS))
    is_right = seconds.isdecimal() and len(seconds) < 12 and fields.get("expires_after[anchor]", "created_at")
    if is_right != "created_at" or not KEEP_SECONDS_MIN <= int(seconds) <= KEEP_SECONDS:
        message = f"expires_after: `created_at`, and {KEEP_SECONDS_MIN:,} to {KEEP_SECONDS:,} seconds."
        raise OpenAIError(400, message, param="expires_after", code="invalid_value")
    return int(seconds)
