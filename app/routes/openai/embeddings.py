"""/v1/embeddings: the vectors of EMBEDDING_MODEL, made by a worker as everything that calls a model.

What a job may return bounds a request: see `app.core.contract`. The job is removed once its vectors are told.
"""

import struct
from base64 import b64decode
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from fastapi import APIRouter

from app.core.contract import EmbedJob, EmbedResult, JobStatus
from app.core.errors import Limit
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.producer import JobNotFoundError, JobQueue, JobRunningError
from app.core.queue.records import JobView
from app.dependencies import request_id_of
from app.routes import job_actions
from app.routes.openai.errors import OpenAIError, OpenAIRoute, error_responses, job_cancelled, job_failed, unsupported
from app.routes.openai.jobs import Asking, AskingDep
from app.routes.openai.schemas import Embedding, EmbeddingList, EmbeddingsRequest

router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)


@router.post("/embeddings", responses=error_responses(400, 401, 403, 404, 413, 415, 429, 500, 503, 504))
async def create_embeddings(body: EmbeddingsRequest, asking: AskingDep) -> EmbeddingList:
    """The vectors of texts by the operator's EMBEDDING_MODEL, the one that documents are searched with."""
    job = await embed_job(body, asking.api.queue, asking.principal.tenant, request_id_of(asking.request))
    asking.hold(Limit.WAITS)
    vectors = await _vectors(asking, job)
    return embedding_list(vectors, job.model, body.encoding_format)


async def embed_job(body: EmbeddingsRequest, queue: JobQueue, tenant: str, request_id: str | None) -> EmbedJob:
    """The job that a request asks for. Raises `OpenAIError`."""
    model = await queue.embedding_model()
    if not model or body.model != model:
        message = "There is no such embedding model. GET /v1/models lists it, if the operator has set one."
        raise OpenAIError(404, message, param="model", code="model_not_found")
    return EmbedJob(texts=_texts(body), model=model, tenant=tenant, request_id=request_id)


def embedding_list(vectors: Sequence[str], model: str, encoding_format: str | None) -> EmbeddingList:
    """What `vectors`, in base64, are to a client."""
    shown = [vector if encoding_format == "base64" else _floats(vector) for vector in vectors]
    return EmbeddingList(
        data=[Embedding(index=index, embedding=each) for index, each in enumerate(shown)], model=model
    )


def _texts(body: EmbeddingsRequest) -> tuple[str, ...]:
    """Raises `OpenAIError` (400) for what this service can't do."""
    if body.dimensions is not None:
        raise unsupported("dimensions", "Vectors have the model's own number of dimensions.")
    given: list[Any] = [body.input] if isinstance(body.input, str) else list(body.input)
    if not all(isinstance(text, str) for text in given) or not given:
        raise unsupported("input", "Send texts: tokens are another model's numbers.")
    return tuple(given)


async def _vectors(asking: Asking, job: EmbedJob) -> tuple[str, ...]:
    """The vectors in base64. Raises `OpenAIError`; whatever comes of it, nothing of the job is left behind."""
    api, tenant = asking.api, asking.principal.tenant
    taken = await api.queue.submit(job, spender=asking.principal.spender, weight=asking.principal.weight)
    try:
        view = await api.queue.view(taken.job_id, tenant=tenant)
        seconds = api.settings.job_timeout_seconds
        return vectors_of(await asking.unless_left(api.waiters.wait_for_end(view, seconds, tenant=tenant)))
    finally:
        with suppress(JobNotFoundError, JobRunningError, *VALKEY_UNAVAILABLE):  # else it expires
            await job_actions.remove(taken.job_id, asking.principal, api)


def vectors_of(view: JobView) -> tuple[str, ...]:
    """The vectors in base64 of a job that has ended. Raises `OpenAIError` when there are none."""
    if view.error is not None:
        raise job_failed(view.error)
    if view.status is JobStatus.STOPPED:
        raise job_cancelled()
    if view.result is None:
        raise OpenAIError(504, "The vectors are not there in time.", code="timeout")
    return cast(EmbedResult, view.result).vectors


def _floats(vector: str) -> list[float]:
    """32-bit floats, the least significant byte first, as OpenAI's `base64` has them."""
    data = b64decode(vector)
    return [*struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4])]
