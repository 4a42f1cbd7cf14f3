"""A line's request as a job, and its job as the answer that the line's own route would give."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from redis.asyncio import Redis

from app.core.contract import AnswerJob, EmbedResult, Frozen, JobStatus
from app.core.errors import ErrorCode
from app.core.links import Links
from app.core.queue.batches import CUSTOM_ID_MAX_CHARACTERS, Endpoint
from app.core.queue.producer import JobQueue
from app.core.queue.records import JobView, Payload
from app.problems import problem_of
from app.routes.direct import refusal
from app.routes.openai.chat import Completion
from app.routes.openai.collections import check_collection
from app.routes.openai.embeddings import embed_job, embedding_list, vectors_of
from app.routes.openai.errors import OpenAIError, job_cancelled, job_failed, translated, unsupported
from app.routes.openai.jobs import job_of
from app.routes.openai.notes import ResponseNote
from app.routes.openai.questions import asked_by_chat, asked_by_response, collection_of
from app.routes.openai.response_objects import ResponseMaker
from app.routes.openai.schemas import ChatCompletionRequest, EmbeddingsRequest, ResponseRequest
from app.routes.openai.turns import instructions_in
from app.schemas import ChatRequest, JobResult

NO_STREAM = "The answers of a batch do not stream."
NO_CHAIN = "The lines of a batch are answered at once, each for itself: send what was said before as messages."
OWN: Literal["/chat"] = "/chat"


class Answer(Frozen):
    """What a route would have answered: its status and its body."""

    status: int = Field(ge=100, le=599)
    body: dict[str, Any]


class Begun(Frozen):
    """A line that is being answered, as it is kept meanwhile: by which job, or what it was refused with at once.

    `said` is what its answer repeats of the request.
    """

    custom_id: str = Field(max_length=CUSTOM_ID_MAX_CHARACTERS)
    job_id: str | None = Field(None, max_length=128)
    said: ResponseNote = ResponseNote()
    encoding: str | None = Field(None, max_length=16)
    refused: Answer | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that can be put on the queue, and what its answer repeats of it."""

    payload: Payload
    said: ResponseNote = field(default_factory=ResponseNote)
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """What a line is read with: whose it is, and under which id its work is logged."""

    valkey: Redis
    queue: JobQueue
    tenant: str
    request_id: str


async def ask_of(endpoint: Endpoint, body: Mapping[str, Any], asker: Asker) -> Ask | Answer:
    """The job that a line asks for, or what its route would refuse it with.

    Raises one of `VALKEY_UNAVAILABLE`.
    """
    try:
        try:
            return await _READERS[endpoint](body, asker)
        except ValidationError as error:
            raise refusal(error, "body") from None
    except (OpenAIError, RequestValidationError) as error:
        return _refused(endpoint, error)


async def _chat_completion(body: Mapping[str, Any], asker: Asker) -> Ask:
    asked = ChatCompletionRequest.model_validate(body)
    _check_stream(asked.stream)
    collection, question = collection_of(asked.model), asked_by_chat(asked, None)
    await check_collection(asker.valkey, asker.tenant, collection)
    return Ask(job_of(question, collection, asker.tenant, asker.request_id), ResponseNote(model=asked.model))


async def _response(body: Mapping[str, Any], asker: Asker) -> Ask:
    asked = ResponseRequest.model_validate(body)
    _check_stream(asked.stream)
    for param in ("previous_response_id", "conversation"):
        if getattr(asked, param) is not None:
            raise unsupported(param, NO_CHAIN)
    collection, question = collection_of(asked.model), asked_by_response(asked, None)
    question = replace(question, is_stored=asked.store is not False)
    await check_collection(asker.valkey, asker.tenant, collection)
    said = ResponseNote(
        model=asked.model,
        background=bool(asked.background),
        metadata=asked.metadata or {},
        instructions=instructions_in([], asked.instructions),
        is_stored=question.is_stored,
    )
    return Ask(job_of(question, collection, asker.tenant, asker.request_id), said)


async def _embeddings(body: Mapping[str, Any], asker: Asker) -> Ask:
    asked = EmbeddingsRequest.model_validate(body)
    job = await embed_job(asked, asker.queue, asker.tenant, asker.request_id)
    return Ask(job, ResponseNote(model=job.model), asked.encoding_format)


async def _own_chat(body: Mapping[str, Any], asker: Asker) -> Ask:
    asked = ChatRequest.model_validate(body)
    if asked.webhook is not None:
        wrong = {
            "type": "value_error",
            "loc": ("body", "webhook"),
            "msg": "A line of a batch has none",
            "input": None,
        }
        raise RequestValidationError([wrong])
    return Ask(AnswerJob(tenant=asker.tenant, request_id=asker.request_id, **asked.plain()))


_READERS: Mapping[Endpoint, Callable[[Mapping[str, Any], Asker], Awaitable[Ask]]] = {
    "/v1/chat/completions": _chat_completion,
    "/v1/responses": _response,
    "/v1/embeddings": _embeddings,
    OWN: _own_chat,
}


def _check_stream(stream: bool | None) -> None:
    if stream:
        raise unsupported("stream", NO_STREAM)


def _refused(endpoint: Endpoint, error: OpenAIError | RequestValidationError) -> Answer:
    if isinstance(error, OpenAIError):
        return Answer(status=error.status, body=error.body.model_dump())
    problem = problem_of(Request({"type": "http", "path": endpoint, "root_path": "", "headers": []}), error)
    assert problem is not None
    if endpoint == OWN:
        return Answer(status=problem.status, body={**problem.standard, **problem.members})
    return _refused(endpoint, translated(problem, error))


def answer_of(endpoint: Endpoint, view: JobView, line: Begun, base_url: str) -> Answer:
    """What became of a line's job, in the words of its route. `base_url` goes before the links of its citations.

    Those name a page and open it for who has a key: what is kept for a month has no links that end in an hour.
    """
    view = replace(view, result=Links(base_url).shown(view.result))
    try:
        if endpoint == OWN:
            return _own_answer(view)
        if endpoint == "/v1/chat/completions":
            whole = Completion(view, line.said.model, base_url).whole(view)
            return Answer(status=200, body=whole.model_dump(mode="json"))
        if endpoint == "/v1/embeddings":
            vectors = vectors_of(replace(view, result=cast(EmbedResult | None, view.result)))
            found = embedding_list(vectors, line.said.model, line.encoding)
            return Answer(status=200, body=found.model_dump(mode="json"))
        _check_answered(view)
        return Answer(status=200, body=ResponseMaker(line.said, base_url).make(view).model_dump(mode="json"))
    except OpenAIError as error:
        return _refused(endpoint, error)


def _check_answered(view: JobView) -> None:
    """Raises `OpenAIError` for a job that has failed. What the provider refuses is an answer: it is incomplete."""
    if view.error is not None and view.error.code is not ErrorCode.CONTENT_FILTERED:
        raise job_failed(view.error)
    if view.status is JobStatus.STOPPED:
        raise job_cancelled()


def _own_answer(view: JobView) -> Answer:
    status = 200
    if view.error is not None:
        status = job_failed(view.error).status
    elif view.status is JobStatus.STOPPED:
        status = job_cancelled().status
    body = JobResult(job_id=view.job_id, status=view.status, result=view.result, error=view.error)
    return Answer(status=status, body=body.model_dump(mode="json"))
