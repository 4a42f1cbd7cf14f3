"""A chat completion as servers that speak OpenAI's protocol send it: server-sent events, or JSON in one piece.

Lenient where servers differ and strict where an answer would be wrong: comments, other fields and chunks without a
choice are passed over; a stream that ends without saying so has been cut.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from app.core.errors import ErrorCode, ServiceError
from worker.answer.endings import is_withheld
from worker.answer.pipeline import Completion
from worker.model.provider_errors import error_in_body

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PART_BYTES_MAX = 8 * 2**20
"""More than any event, and than any answer in one piece."""


class CompletionReader:
    """Reads one answer. `feed` takes the body's bytes as they come, `finish` ends it.

    Both raise `ServiceError`: CONTENT_FILTERED when the provider holds the answer back, MODEL_UNAVAILABLE for what is
    no completion, or the code of an error that the body carries.
    """

    def __init__(self) -> None:
        self.is_stream: bool | None = None
        self._rest = b""
        self._texts: list[str] = []
        self._refused = False
        self._done = False
        self._result = Completion()

    def feed(self, piece: bytes) -> str:
        """The text that `piece` holds."""
        self._rest += piece
        if len(self._rest) > PART_BYTES_MAX:
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
        if self.is_stream is None and (begin := self._begin()):
            self.is_stream = begin != b"{"  # what servers say in Content-Type is not always so
        if not self.is_stream:
            return ""
        *lines, self._rest = self._rest.split(b"\n")
        before = len(self._texts)
        for line in lines:
            self._line(line)
        return "".join(self._texts[before:])

    def finish(self) -> Completion:
        """The whole answer, once the body has ended."""
        if self.is_stream:
            self._line(self._rest)
        else:
            self._message(_loads(self._rest), "message")
        result = self._result
        result.text = "".join(self._texts)
        if is_withheld(result.finish_reason) or (self._refused and not result.text):
            raise ServiceError(ErrorCode.CONTENT_FILTERED)
        if not self._done and result.finish_reason is None:
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
        return result

    def _begin(self) -> bytes:
        """The first character of the body that says something, once it is there."""
        if self._rest[:3] == BYTE_ORDER_MARK:
            self._rest = self._rest[3:]
        begin = self._rest.lstrip()[:1]
        return b"" if begin == BYTE_ORDER_MARK[:1] and len(self._rest) < 3 else begin

    def _line(self, line: bytes) -> None:
        """One line of the stream; OpenAI's servers put an event's data into one."""
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self._done = True
        elif data:
            self._message(_loads(data), "delta")

    def _message(self, body: Any, part: str) -> None:
        if not isinstance(body, dict) or body.get("error"):
            raise error_in_body(body)
        choices = body.get("choices")
        if not choices and body.get("object") == "error":
            raise error_in_body(body)
        result = self._result
        if isinstance(model := body.get("model"), str) and model:
            result.model = model
        if isinstance(usage := body.get("usage"), dict):
            result.input_tokens = _count(usage.get("prompt_tokens"))
            result.output_tokens = _count(usage.get("completion_tokens"))
        if not isinstance(choices, list):
            return
        self._done |= part == "message"
        for choice in choices:
            if not isinstance(choice, dict) or choice.get("index") not in (None, 0):
                continue
            if isinstance(reason := choice.get("finish_reason"), str):
                result.finish_reason = reason
            message = choice.get(part)
            if isinstance(message, dict):
                self._texts += _texts(message.get("content"))
                self._refused |= bool(message.get("refusal"))


def _loads(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ServiceError(ErrorCode.MODEL_UNAVAILABLE) from error


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _texts(content: Any) -> Iterable[str]:
    """A text, or the texts of a list of parts."""
    if isinstance(content, str):
        return (content,) if content else ()
    return (part["text"] for part in _dicts(content) if isinstance(part.get("text"), str))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
