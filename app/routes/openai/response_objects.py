"""A job as a `response` object of OpenAI's Responses API."""

from typing import Literal, cast

from app.core.contract import AnswerResult, JobStatus
from app.core.errors import ErrorCode, JobError
from app.core.queue.records import JobView
from app.routes.openai.citations import annotations
from app.routes.openai.notes import ResponseNote
from app.routes.openai.schemas import (
    ConversationName,
    IncompleteDetails,
    OutputMessage,
    OutputText,
    ResponseAnnotation,
    ResponseFailure,
    ResponseObject,
    ResponseUsage,
)

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled", "incomplete"]

ID_PREFIX = "resp_"

_STATUS: dict[JobStatus, Status] = {
    JobStatus.QUEUED: "queued",
    JobStatus.STARTED: "in_progress",
    JobStatus.FINISHED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "cancelled",
}


class ResponseMaker:
    """Makes the response objects of one job. `base_url` is this service's, as its client knows it."""

    def __init__(self, note: ResponseNote, base_url: str) -> None:
        self._note = note
        self._base_url = base_url

    def make(self, view: JobView, *, message_id: str | None = None) -> ResponseObject:
        """The response as the job is now. `message_id` is the answer's id, unless it is the first."""
        result = cast(AnswerResult | None, view.result)
        error = view.error
        is_refused = error is not None and error.code is ErrorCode.CONTENT_FILTERED
        is_cut = result is not None and result.finish_reason == "length"
        is_completed = result is not None and not is_cut
        return ResponseObject(
            id=ID_PREFIX + view.job_id,
            created_at=int(view.enqueued_at.timestamp()) if view.enqueued_at else 0,
            completed_at=int(view.ended_at.timestamp()) if is_completed and view.ended_at else None,
            status="incomplete" if is_refused or is_cut else "failed" if error is not None else _STATUS[view.status],
            background=self._note.background,
            model=self._note.model,
            output=[self.message(message_id or message_name(view.job_id), result)] if result is not None else [],
            error=_failure(error) if error is not None and not is_refused else None,
            incomplete_details=_incompleteness(is_refused=is_refused, is_cut=is_cut),
            usage=_usage(result) if result is not None else None,
            metadata=self._note.metadata,
            instructions=self._note.instructions,
            previous_response_id=ID_PREFIX + self._note.chain[-1] if self._note.chain else None,
            conversation=ConversationName(id=self._note.conversation) if self._note.conversation else None,
            store=self._note.is_stored,
        )

    def message(self, message_id: str, result: AnswerResult) -> OutputMessage:
        """The answer."""
        status: Literal["completed", "incomplete"] = "completed" if result.finish_reason == "stop" else "incomplete"
        return message_of(message_id, status, self.text(result))

    def text(self, result: AnswerResult) -> OutputText:
        """The answer's text with its citations."""
        cited = annotations(result.answer, result.citations, self._base_url)
        return OutputText(
            text=result.answer,
            annotations=[ResponseAnnotation(**citation.model_dump()) for citation in cited],
        )


def message_name(job_id: str, number: int = 1) -> str:
    """The id of the answer's message; a stream whose answer was begun again has more than one."""
    return f"msg_{job_id}" if number == 1 else f"msg_{job_id}_{number}"


def message_of(
    message_id: str, status: Literal["in_progress", "completed", "incomplete"], *content: OutputText
) -> OutputMessage:
    """A message of the assistant's."""
    return OutputMessage(id=message_id, status=status, content=list(content))


def _incompleteness(*, is_refused: bool, is_cut: bool) -> IncompleteDetails | None:
    if is_refused:
        return IncompleteDetails(reason="content_filter")
    return IncompleteDetails(reason="max_output_tokens") if is_cut else None


def _failure(error: JobError) -> ResponseFailure:
    is_limited = error.code is ErrorCode.MODEL_RATE_LIMITED
    code: Literal["server_error", "rate_limit_exceeded"] = "rate_limit_exceeded" if is_limited else "server_error"
    return ResponseFailure(code=code, message=error.message, type=error.code.value)


def _usage(result: AnswerResult) -> ResponseUsage:
    used = result.usage
    return ResponseUsage(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        total_tokens=used.input_tokens + used.output_tokens,
    )
