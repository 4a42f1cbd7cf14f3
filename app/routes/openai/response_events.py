"""A job's event log as the typed events of a response's stream.

`sequence_number` depends on the log alone, so that every replica numbers alike and a stream resumes anywhere: 0 is
`response.created`, 1 `response.queued`, and the log's event n gives number n + 1, plus one for each event beyond the
first that an earlier one gave. An event that gives none (a retrieval, a retry) leaves its number out.

An answer that is begun again after a failure goes on where its text is the same. Else its message is done, as
`incomplete`, and the new text is a message of its own; the completed response has the last one only.
"""

from dataclasses import replace
from typing import Any, cast

from app.core.contract import AnswerResult, JobStatus
from app.core.event_log import Event
from app.core.events import NO_EVENT, EventType
from app.core.queue.records import JobView
from app.routes.openai.jobs import RestartedError, Transcript, delta_text
from app.routes.openai.response_objects import ResponseMaker, message_name, message_of
from app.routes.openai.schemas import OutputText, ResponseObject

StreamEvent = dict[str, Any]

FIRST_NUMBER = 2
"""The number of the log's first event."""
USUAL_EXTRAS = 2
"""What an answer's beginning adds: its message and its content part."""


class ResponseEvents:
    """Turns one job's log into events: call `begin`, `feed` for each entry from the first on, then `end`."""

    def __init__(self, view: JobView, maker: ResponseMaker) -> None:
        self._view = view
        self._maker = maker
        self._transcript = Transcript()
        self._messages = 0
        self._has_started = False
        self._extras = FIRST_NUMBER - 1
        self._last = NO_EVENT
        self._has_ended = False

    def begin(self) -> list[StreamEvent]:
        """What comes before the log."""
        response = self._response(JobStatus.QUEUED)
        return _numbered(0, [_of("response.created", response), _of("response.queued", response)])

    def feed(self, event: Event) -> list[StreamEvent]:
        """The events that the log's next entry gives."""
        if self._last == NO_EVENT and event.n > 1:  # the log is at its bound, and its beginning is gone
            self._has_started, self._messages = True, 1
            self._extras += USUAL_EXTRAS
        self._last = event.n
        self._has_ended = event.type is EventType.ENDED
        events = self._events(event)
        numbered = _numbered(event.n + self._extras, events)
        self._extras += max(0, len(events) - 1)
        return numbered

    def end(self, view: JobView) -> list[StreamEvent]:
        """What became of the job."""
        number = self._last + (0 if self._has_ended else 1)  # a stock worker's log lacks its end
        return _numbered(number + self._extras, self._ending(view))

    def _events(self, event: Event) -> list[StreamEvent]:
        if event.type is EventType.STARTED:
            self._transcript.restart()
            if not self._has_started:
                self._has_started = True
                return [_of("response.in_progress", self._response(JobStatus.STARTED))]
        if event.type is EventType.DELTA:
            return self._text(delta_text(event))
        return []

    def _text(self, piece: str) -> list[StreamEvent]:
        try:
            added = self._transcript.add(piece)
        except RestartedError:
            return [*self._begun_again(), self._delta(self._transcript.add(piece))]
        if not added:
            return []
        return [*(self._opening() if not self._messages else []), self._delta(added)]

    def _begun_again(self) -> list[StreamEvent]:
        """The message so far is left as it is, and another one begins with what this attempt has written."""
        text = OutputText(text=self._transcript.text, annotations=[])
        left = self._item("response.output_item.done", message_of(self._message_id, "incomplete", text).model_dump())
        self._transcript = self._transcript.of_this_attempt()
        opening = self._opening()
        written = self._transcript.text
        return [left, *opening, *([self._delta(written)] if written else [])]

    def _opening(self) -> list[StreamEvent]:
        self._messages += 1
        return [
            self._item("response.output_item.added", message_of(self._message_id, "in_progress").model_dump()),
            self._part("response.content_part.added", part=OutputText(text="", annotations=[]).model_dump()),
        ]

    def _delta(self, text: str) -> StreamEvent:
        return self._part("response.output_text.delta", delta=text, logprobs=[])

    def _ending(self, view: JobView) -> list[StreamEvent]:
        if view.result is None:
            name = "response.failed" if self._maker.make(view).status == "failed" else "response.incomplete"
            return [_of(name, self._maker.make(view))]
        result = cast(AnswerResult, view.result)
        events = self._rest(result.answer)
        text = self._maker.text(result)
        part = text.model_dump()
        events += [
            self._part("response.output_text.annotation.added", annotation_index=index, annotation=annotation)
            for index, annotation in enumerate(part["annotations"])
        ]
        message = self._maker.message(self._message_id, result).model_dump()
        response = self._maker.make(view, message_id=self._message_id)
        return [
            *events,
            self._part("response.output_text.done", text=result.answer, logprobs=[]),
            self._part("response.content_part.done", part=part),
            self._item("response.output_item.done", message),
            _of(f"response.{response.status}", response),
        ]

    def _rest(self, answer: str) -> list[StreamEvent]:
        """What the client lacks of the answer."""
        try:
            rest = self._transcript.finish(answer)
        except RestartedError:
            self._transcript.restart()
            again = self._begun_again()
            rest = self._transcript.finish(answer)
            return [*again, *([self._delta(rest)] if rest else [])]
        opening = self._opening() if not self._messages else []
        return [*opening, *([self._delta(rest)] if rest else [])]

    @property
    def _message_id(self) -> str:
        return message_name(self._view.job_id, self._messages)

    def _response(self, status: JobStatus) -> ResponseObject:
        return self._maker.make(replace(self._view, status=status, result=None, error=None))

    def _item(self, name: str, item: dict[str, Any]) -> StreamEvent:
        return {"type": name, "output_index": self._messages - 1, "item": item}

    def _part(self, name: str, **more: Any) -> StreamEvent:
        where = {"item_id": self._message_id, "output_index": self._messages - 1, "content_index": 0}
        return {"type": name, **where, **more}


def _of(name: str, response: ResponseObject) -> StreamEvent:
    return {"type": name, "response": response.model_dump()}


def _numbered(first: int, events: list[StreamEvent]) -> list[StreamEvent]:
    return [event | {"sequence_number": first + index} for index, event in enumerate(events)]
