"""What a model's server sends, in all the forms that servers have."""

import json
import random

import pytest

from app.core.errors import ErrorCode, ServiceError
from worker.answer.pipeline import Completion
from worker.model.completion_stream import CompletionReader


def read(*pieces: bytes) -> tuple[str, Completion]:
    """The text as it came, and the whole."""
    reader = CompletionReader()
    said = "".join([reader.feed(piece) for piece in pieces])
    return said, reader.finish()


def event(**body: object) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def delta(content: object, **choice: object) -> bytes:
    return event(model="m", choices=[{"index": 0, "delta": {"content": content}, **choice}])


DONE = b"data: [DONE]\n\n"
USAGE = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 2})
STREAM = delta("Grüße") + b": a comment\n\n" + delta(" aus ") + delta("漢字") + delta(None) + USAGE + DONE


def test_a_stream_is_read_the_same_however_it_is_cut() -> None:
    for seed in range(50):
        cuts = sorted(random.Random(seed).sample(range(1, len(STREAM)), 12))
        pieces = [STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
        said, whole = read(*pieces)
        assert said == whole.text == "Grüße aus 漢字"
        assert (whole.model, whole.input_tokens, whole.output_tokens) == ("m", 7, 2)


@pytest.mark.parametrize(
    "body",
    [
        delta("a") + delta("b") + DONE,
        (delta("a") + delta("b") + DONE).replace(b"\n", b"\r\n"),
        (delta("a") + delta("b") + DONE).replace(b"data: ", b"data:"),
        b"event: message\nid: 1\nretry: 5\n" + delta("a") + delta("b", finish_reason="stop"),
        delta("a") + delta("b", finish_reason="length"),
        delta([{"type": "text", "text": "a"}]) + delta("b") + DONE.rstrip(),
        delta("a") + event(choices=[{"index": 1, "delta": {"content": "other"}}]) + delta("b") + DONE,
        delta("a") + event(choices=None) + event(object="ping") + delta("b") + DONE,
    ],
    ids=["plain", "crlf", "no space", "fields, no done", "length", "parts", "second choice", "no choices"],
)
def test_a_stream_of_any_server_is_read(body: bytes) -> None:
    assert read(body)[1].text == "ab"


def test_without_usage_there_are_no_tokens() -> None:
    whole = read(delta("a") + DONE)[1]
    assert (whole.input_tokens, whole.output_tokens) == (0, 0)


def test_an_answer_in_one_piece_is_read_though_a_stream_was_asked_for() -> None:
    body = {
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    said, whole = read(b"\n" + json.dumps(body, indent=1).encode())
    assert (said, whole.text, whole.output_tokens) == ("", "whole", 2)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (delta("half of it"), ErrorCode.MODEL_UNAVAILABLE),
        (b"", ErrorCode.MODEL_UNAVAILABLE),
        (b"<html>Bad gateway</html>", ErrorCode.MODEL_UNAVAILABLE),
        (b"data: {nonsense\n\n", ErrorCode.MODEL_UNAVAILABLE),
        (b"data: []\n\n", ErrorCode.MODEL_UNAVAILABLE),
        (b"{}", ErrorCode.MODEL_UNAVAILABLE),
        (b'{"choices": null}', ErrorCode.MODEL_UNAVAILABLE),
        (delta("x", finish_reason="content_filter") + DONE, ErrorCode.CONTENT_FILTERED),
        (event(choices=[{"delta": {"refusal": "I can't"}, "finish_reason": "stop"}]), ErrorCode.CONTENT_FILTERED),
        (delta("x") + event(error={"message": "boom"}), ErrorCode.MODEL_UNAVAILABLE),
        (delta("x") + event(error={"code": "rate_limit_exceeded"}), ErrorCode.MODEL_RATE_LIMITED),
        (delta("x") + event(error={"code": 429}), ErrorCode.MODEL_RATE_LIMITED),
        (event(error={"code": "insufficient_quota", "type": "429"}), ErrorCode.MODEL_REJECTED),
        (event(error="a word"), ErrorCode.MODEL_UNAVAILABLE),
        (b'{"error": {"type": "invalid_request_error"}}', ErrorCode.MODEL_REJECTED),
    ],
)
def test_what_is_no_whole_answer_has_a_code(body: bytes, code: ErrorCode) -> None:
    with pytest.raises(ServiceError) as raised:
        read(body)
    assert raised.value.code is code


def test_a_line_without_an_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.model.completion_stream.PART_BYTES_MAX", 1000)
    with pytest.raises(ServiceError):
        read(b"data: ", *[b"x" * 100] * 20)
