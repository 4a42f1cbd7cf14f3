"""/v1/batches: many requests in one file, answered at low priority within a day. `app.batches` brings them on."""

from time import time
from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.core.queue.batches import (
    KEEP_SECONDS,
    OVER,
    WINDOW_SECONDS,
    BatchNotFoundError,
    BatchRecord,
    BatchStore,
    FileNotFoundHereError,
    KeptBatch,
    new_batch_id,
)
from app.routes.openai.errors import OpenAIError, OpenAIRoute, error_responses
from app.routes.openai.jobs import Asking, AskingDep
from app.routes.openai.schemas import BatchErrors, BatchList, BatchObject, BatchRequest, BatchRequestCounts

LIST_MAX = 100
"""OpenAI's own limit of a page."""

router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

BatchId = Annotated[str, Path(description="The id that POST /v1/batches gave")]


@router.post("/batches", responses=error_responses(400, 401, 403, 404, 409, 413, 415, 429, 503))
async def create_batch(body: BatchRequest, asking: AskingDep) -> BatchObject:
    """Answer every line of a file, within 24 hours and behind all that is asked otherwise.

    The file is checked first: the batch is `failed`, with the numbers of the lines that are wrong, or goes on. A line
    that can't be answered is in the error file, and no other suffers from it. What is not done in time is told there
    as `batch_expired`.
    """
    now, principal = int(time()), asking.principal
    after = body.output_expires_after
    record = BatchRecord(
        id=new_batch_id(),
        endpoint=body.endpoint,
        input_file_id=body.input_file_id,
        metadata=body.metadata,
        created_at=now,
        expires_at=now + WINDOW_SECONDS,
        keep_seconds=after.seconds if after is not None else KEEP_SECONDS,
        asker=principal.name,
        tokens=principal.tokens,
        weight=principal.weight,
        base_url=asking.base_url,
    )
    try:
        await BatchStore(asking.api.valkey).put(principal.tenant, record)
    except FileNotFoundHereError:
        message = "There is no such file, or it has expired: POST /v1/files gives the id of one."
        raise OpenAIError(400, message, param="input_file_id", code="invalid_value") from None
    return batch_object(KeptBatch(record, b"", None))


@router.get("/batches", responses=error_responses(400, 401, 403, 429, 503))
async def list_batches(
    asking: AskingDep,
    limit: Annotated[int, Query(ge=1, le=LIST_MAX, description="Batches at most")] = 20,
    after: Annotated[str | None, Query(max_length=128, description="The id of the last batch that you have")] = None,
) -> BatchList:
    """The tenant's batches, the newest first."""
    found = await BatchStore(asking.api.valkey).newest(asking.principal.tenant, after=after, limit=limit + 1)
    data = [batch_object(kept) for kept in found[:limit]]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return BatchList(data=data, first_id=ends[0], last_id=ends[1], has_more=len(found) > limit)


@router.get("/batches/{batch_id}", responses=error_responses(401, 403, 404, 429, 503))
async def retrieve_batch(batch_id: BatchId, asking: AskingDep) -> BatchObject:
    """How far a batch is, and which files it has written."""
    return batch_object(await _found(asking, batch_id))


@router.post("/batches/{batch_id}/cancel", responses=error_responses(401, 403, 404, 429, 503))
async def cancel_batch(batch_id: BatchId, asking: AskingDep) -> BatchObject:
    """End a batch: what is answered is kept, the rest is told in its error file. Idempotent."""
    await _found(asking, batch_id)
    return batch_object(await BatchStore(asking.api.valkey).cancel(asking.principal.tenant, batch_id))


async def _found(asking: Asking, batch_id: str) -> KeptBatch:
    """Raises `OpenAIError` (404) when there is no such batch, or it is another tenant's."""
    try:
        return await BatchStore(asking.api.valkey).get(asking.principal.tenant, batch_id)
    except BatchNotFoundError:
        message = "There is no such batch, or it has expired."
        raise OpenAIError(404, message, param="batch_id", code="not_found") from None


def batch_object(kept: KeptBatch) -> BatchObject:
    """A batch as OpenAI shows it."""
    record = kept.record
    is_cancelling = kept.cancelling_at is not None and record.status not in OVER
    return BatchObject(
        **record.model_dump(include=set(BatchObject.model_fields) - {"status", "errors", "request_counts"}),
        status="cancelling" if is_cancelling else record.status,
        errors=BatchErrors(data=list(record.errors)) if record.errors else None,
        cancelling_at=kept.cancelling_at if is_cancelling or record.status == "cancelled" else None,
        request_counts=BatchRequestCounts(total=record.total, completed=record.completed, failed=record.failed),
    )
