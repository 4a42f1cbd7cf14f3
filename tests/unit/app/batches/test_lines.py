"""A batch's file: its lines are found however they are cut, and a wrong one is told by its number."""

import io
import json
from typing import Any

import pytest

from app.batches import lines
from app.batches.lines import LINE_BYTES_MAX, WrongLineError, check, lines_of, read_line
from app.core.queue.batches import ERRORS_MAX, LINES_MAX

RIGHT = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "rag-queue", "input": "?"}}


def of(*given: Any) -> io.BytesIO:
    return io.BytesIO(b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in given))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_lines_are_found_wherever_reads_end(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(lines, "READ_BYTES", size)
    text = b"one\r\n\n  \ntwo\nthree"
    found = list(lines_of(io.BytesIO(text)))
    assert [(each.number, each.data) for each in found] == [(1, b"one"), (4, b"two"), (5, b"three")]
    for each, rest in zip(found, ([b"two", b"three"], [b"three"], []), strict=True):
        assert [later.data for later in lines_of(io.BytesIO(text), each.end)] == rest


def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "READ_BYTES", 1000)
    first, second = lines_of(io.BytesIO(b"x" * (LINE_BYTES_MAX + 5000) + b"\nnext"))
    assert (len(first.data), second.data) == (LINE_BYTES_MAX + 1, b"next")
    with pytest.raises(WrongLineError) as caught:
        read_line(first.data, "/v1/responses")
    assert caught.value.code == "invalid_json_line"


@pytest.mark.parametrize(
    ("wrong", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[1]", "invalid_json_line", None),
        (b'"\xff"', "invalid_json_line", None),
        (b'{"custom_id": "\\ud800"}', "invalid_json_line", None),
        (b"[" * 100_000, "invalid_json_line", None),
        ({name: RIGHT[name] for name in ("method", "url", "body")}, "missing_required_parameter", "custom_id"),
        ({name: RIGHT[name] for name in ("custom_id", "url", "body")}, "missing_required_parameter", "method"),
        ({name: RIGHT[name] for name in ("custom_id", "method", "url")}, "missing_required_parameter", "body"),
        (RIGHT | {"custom_id": 7}, "invalid_value", "custom_id"),
        (RIGHT | {"custom_id": ""}, "invalid_value", "custom_id"),
        (RIGHT | {"custom_id": "x" * 513}, "invalid_value", "custom_id"),
        (RIGHT | {"method": "GET"}, "invalid_method", "method"),
        (RIGHT | {"url": "/v1/chat/completions"}, "invalid_url", "url"),
        (RIGHT | {"body": []}, "invalid_value", "body"),
        (RIGHT | {"custom_id": "first"}, "duplicate_custom_id", "custom_id"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(wrong: Any, code: str, param: str | None) -> None:
    checked = check(of(RIGHT | {"custom_id": "first"}, b"", wrong, RIGHT), "/v1/responses")
    assert [(each.code, each.line, each.param) for each in checked.errors] == [(code, 3, param)]


def test_a_right_file_has_as_many_requests_as_lines() -> None:
    marked = b"\xef\xbb\xbf" + json.dumps(RIGHT).encode()
    checked = check(of(marked, RIGHT | {"custom_id": "b"}, b""), "/v1/responses")
    assert (checked.total, checked.errors) == (2, ())


@pytest.mark.parametrize("empty", [b"", b"\n \r\n"])
def test_an_empty_file_is_wrong(empty: bytes) -> None:
    assert [each.code for each in check(io.BytesIO(empty), "/v1/responses").errors] == ["empty_file"]


def test_more_lines_than_a_batch_may_have_are_refused() -> None:
    assert LINES_MAX == 50_000
    many = (RIGHT | {"custom_id": str(number)} for number in range(LINES_MAX + 3))
    assert [each.code for each in check(of(*many), "/v1/responses").errors] == ["too_many_tasks"]


def test_no_more_errors_are_told_than_are_read() -> None:
    checked = check(of(*[b"{"] * (ERRORS_MAX + 50)), "/v1/responses")
    assert [each.line for each in checked.errors] == list(range(1, ERRORS_MAX + 1))
