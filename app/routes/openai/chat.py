"""/v1/chat/completions: a question's job, waited for or followed."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import orjson
from fastapi import APIRouter, Response

from app.core.contract import AnswerResult, JobStatus
from app.core.errors import ErrorCode, Limit
from app.core.event_log import Event
from app.core.events import EventType
from app.core.queue.records import JobView
from app.jobs.streams import PING, EventStream
from app.request_headers import ClientTask, IdempotencyKey
from app.routes.openai.citations import annotations
from app.routes.openai.errors import OpenAIError, OpenAIRoute, error_responses, job_cancelled, job_failed
from app.routes.openai.jobs import AskingDep, RestartedError, Transcript, delta_text
from app.routes.openai.questions import asked_by_chat, collection_of
from app.routes.openai.schemas import (
    ChatAnnotation,
    ChatChoice,
    ChatCompletion,
    ChatCompletionRequest,
    ChatMessage,
    ChatUsage,
    stream_or_json,
)

NO_MODEL = "Titles, tags and the like need a model, and this service answers without one."
"""The refusal of a client's task. Its content is empty, whereupon chat clients title a chat by its first words; an
error they would log or show with every question."""

router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses=stream_or_json("The answer; with `stream`, chunks of it")
    | error_responses(400, 401, 403, 404, 413, 415, 429, 500, 503, 504),
)
async def create_chat_completion(
    body: ChatCompletionRequest,
    asking: AskingDep,
    idempotency_key: IdempotencyKey = None,
    x_openwebui_task: ClientTask = None,
) -> Response:
    """Answer the last user message from the documents of the collection that `model` names.

    The answer's marks [n] are explained by `annotations`; with `stream` they are in the last delta. A stream begins
    at once, and what goes wrong then is an `error` in it. An answer that is begun again after a failure goes on where
    its text is the same, else the stream ends with the error `answer_restarted`. A client that leaves before the end
    stops the job, unless it sent `store` or an Idempotency-Key.

    What a chat client asks for itself (a title, tags, follow-ups) is done by the model without the documents; without
    a model it is a `refusal` with an empty content.
    """
    collection, asked = collection_of(body.model), asked_by_chat(body, x_openwebui_task)
    asking.hold(Limit.STREAMS if body.stream else Limit.WAITS)
    taken = await asking.submit(asked, collection, idempotency_key, service_tier=body.service_tier)
    view = await asking.view(taken.job_id)
    has_usage = bool(body.stream_options and body.stream_options.include_usage)
    completion = Completion(view, body.model, asking.base_url, has_usage=has_usage)
    headers = {"Idempotent-Replayed": "true"} if taken.is_replay else {}
    on_left = asking.on_left(taken, store=body.store, key=idempotency_key)
    if body.stream:
        return EventStream(_frames(completion, asking.follow(view.job_id)), headers, on_left=on_left)
    view = await asking.wait(view, asking.api.settings.job_timeout_seconds, on_left)
    return Response(completion.whole(view).model_dump_json(), 200, headers, media_type="application/json")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of an answer, as a completion says it."""

    text: str
    refusal: str | None
    finish_reason: Literal["stop", "length", "content_filter"]
    result: AnswerResult | None

    @property
    def usage(self) -> ChatUsage:
        """The tokens of the answer."""
        used = self.result.usage if self.result else None
        given, made = (used.input_tokens, used.output_tokens) if used else (0, 0)
        return ChatUsage(prompt_tokens=given, completion_tokens=made, total_tokens=given + made)


def _outcome(view: JobView) -> _Outcome:
    """Raises `OpenAIError` when there is no answer; that the provider refused is one."""
    if view.error is not None and view.error.code is ErrorCode.CONTENT_FILTERED:
        return _Outcome("", view.error.message, "content_filter", None)
    if view.error is not None:
        raise job_failed(view.error)
    if view.status is JobStatus.STOPPED:
        raise job_cancelled()
    if view.result is None:
        raise _not_there(view.job_id)
    result = cast(AnswerResult, view.result)
    refusal = NO_MODEL if result.mode == "task" and result.model is None else None
    return _Outcome(result.answer, refusal, result.finish_reason, result)


def _not_there(job_id: str) -> OpenAIError:
    """Trying again would make another job, while this one goes on."""
    message = f"The answer is not there yet. It will be at GET /result/{job_id}, unless its job was removed."
    return OpenAIError(504, message, code="timeout", headers={"x-should-retry": "false"})


class Completion:
    """The answer of one job as a chat completion, and as chunks of one. `has_usage`: its last chunk is the usage."""

    def __init__(self, view: JobView, model: str, base_url: str, *, has_usage: bool = False) -> None:
        self.has_usage = has_usage
        self.job_id = view.job_id
        self._id = f"chatcmpl-{view.job_id}"
        self._created = int(view.enqueued_at.timestamp()) if view.enqueued_at else 0
        self._model = model
        self._base_url = base_url

    def whole(self, view: JobView) -> ChatCompletion:
        """The completion of a job that has ended. Raises `OpenAIError` when there is none."""
        outcome = _outcome(view)
        message = ChatMessage(
            content=outcome.text, refusal=outcome.refusal, annotations=self.annotations(outcome.text, outcome.result)
        )
        return ChatCompletion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=[ChatChoice(message=message, finish_reason=outcome.finish_reason)],
            usage=outcome.usage,
        )

    def annotations(self, text: str, result: AnswerResult | None) -> list[ChatAnnotation]:
        """The citations of `text`."""
        found = annotations(text, result.citations if result else (), self._base_url)
        return [ChatAnnotation(url_citation=citation) for citation in found]

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        """One chunk, framed."""
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}], None)

    def usage_chunk(self, usage: ChatUsage) -> bytes:
        """The chunk after the last, framed."""
        return self._chunk([], usage.model_dump())

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        body = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }
        return _frame(body | {"usage": usage} if self.has_usage else body)


async def _frames(
    completion: Completion, batches: AsyncGenerator[list[Event] | JobView | None, None]
) -> AsyncGenerator[bytes, None]:
    transcript = Transcript()
    yield completion.chunk({"role": "assistant", "content": "", "refusal": None})
    try:
        async for batch in batches:
            if batch is None:
                yield PING
            elif isinstance(batch, JobView):
                yield _last_frames(completion, transcript, batch)
                return
            elif text := _added(transcript, batch):
                yield completion.chunk({"content": text})
        yield _error_frame(_not_there(completion.job_id))
    except RestartedError:
        message = "The answer was begun again and is another one now: see GET /result/{}, or ask again."
        yield _error_frame(OpenAIError(500, message.format(completion.job_id), code="answer_restarted"))
    except OpenAIError as error:
        yield _error_frame(error)
    finally:
        await batches.aclose()


def _added(transcript: Transcript, events: Sequence[Event]) -> str:
    added = []
    for event in events:
        if event.type is EventType.STARTED:
            transcript.restart()
        elif event.type is EventType.DELTA:
            added.append(transcript.add(delta_text(event)))
    return "".join(added)


def _last_frames(completion: Completion, transcript: Transcript, view: JobView) -> bytes:
    """What the client lacks of the answer, its citations, and the end. Raises `OpenAIError`, `RestartedError`."""
    outcome = _outcome(view)
    frames = []
    if outcome.refusal:
        frames.append(completion.chunk({"refusal": outcome.refusal}))
    elif rest := transcript.finish(outcome.text):
        frames.append(completion.chunk({"content": rest}))
    if cited := completion.annotations(transcript.text, outcome.result):
        frames.append(completion.chunk({"annotations": [citation.model_dump() for citation in cited]}))
    frames.append(completion.chunk({}, outcome.finish_reason))
    if completion.has_usage:
        frames.append(completion.usage_chunk(outcome.usage))
    return b"".join([*frames, b"data: [DONE]\n\n"])


def _error_frame(error: OpenAIError) -> bytes:
    return _frame(error.body.model_dump())


def _frame(body: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(body)
