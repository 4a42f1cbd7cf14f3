"""The lines of a batch's file: read a piece at a time, and checked as OpenAI checks them before a batch begins."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO

import orjson

from app.core.queue.batches import CUSTOM_ID_MAX_CHARACTERS, ERRORS_MAX, LINES_MAX, Endpoint, LineError
from app.routes.openai import HISTORY_BYTES_MAX

READ_BYTES = 256 * 1024
LINE_BYTES_MAX = HISTORY_BYTES_MAX + 64 * 1024
"""Of one line: the largest body of the routes, and what stands around it."""
BOM = b"\xef\xbb\xbf"
DIGEST_BYTES = 16
"""Of a `custom_id`, to find its like: 50,000 of them are some 5 MB while a file is checked."""


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line that is not empty: its place in the file from 1, its bytes, and where the next one begins."""

    number: int
    data: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Line:
    """A request of a batch."""

    custom_id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file holds: how many requests, or what is wrong with it."""

    total: int
    errors: tuple[LineError, ...]


class WrongLineError(Exception):
    """A line is no request of the batch's. `code` and `param` as OpenAI has them."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def lines_of(file: BinaryIO, offset: int = 0) -> Iterator[RawLine]:
    """The file's lines from `offset` on, but for blank ones; numbers count from there.

    A line that is too long is given cut, so that what is held is bounded, and is no JSON then.
    """
    file.seek(offset)
    number, kept, end = 0, bytearray(), offset
    while piece := file.read(READ_BYTES):
        start = 0
        while (at := piece.find(b"\n", start)) >= 0:
            kept += piece[start : min(at, start + LINE_BYTES_MAX + 1 - len(kept))]
            start, number = at + 1, number + 1
            if line := bytes(kept).strip():
                yield RawLine(number, line, end + start)
            kept.clear()
        kept += piece[start : max(start, start + LINE_BYTES_MAX + 1 - len(kept))]
        end += len(piece)
    if line := bytes(kept).strip():
        yield RawLine(number + 1, line, end)


def read_line(data: bytes, endpoint: Endpoint) -> Line:
    """The request that stands in a line. Raises `WrongLineError`."""
    if len(data) > LINE_BYTES_MAX:
        raise WrongLineError("invalid_json_line", f"This line has more than {LINE_BYTES_MAX // 2**20} MiB.")
    try:
        given = orjson.loads(data.removeprefix(BOM))
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise WrongLineError("invalid_json_line", "This line is not parseable as a JSON object.")
    for name in ("custom_id", "method", "url", "body"):
        if name not in given:
            raise WrongLineError("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    custom_id, body = given["custom_id"], given["body"]
    if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= CUSTOM_ID_MAX_CHARACTERS:
        message = f"The custom_id must be a string of 1 to {CUSTOM_ID_MAX_CHARACTERS} characters."
        raise WrongLineError("invalid_value", message, "custom_id")
    if given["method"] != "POST":
        raise WrongLineError("invalid_method", "The method must be POST.", "method")
    if given["url"] != endpoint:
        raise WrongLineError("invalid_url", "The url does not match the batch's endpoint.", "url")
    if not isinstance(body, dict):
        raise WrongLineError("invalid_value", "The body must be a JSON object.", "body")
    return Line(custom_id, body)


def _note(line: Line, seen: set[bytes]) -> None:
    """Raises `WrongLineError` when another line has the same `custom_id`."""
    digest = blake2b(line.custom_id.encode(), digest_size=DIGEST_BYTES).digest()
    if digest in seen:
        raise WrongLineError("duplicate_custom_id", "Another line has this custom_id.", "custom_id")
    seen.add(digest)


def check(file: BinaryIO, endpoint: Endpoint) -> Checked:
    """Read the whole file once: how many requests it has, and which of its lines are none."""
    total, errors, seen = 0, [], set[bytes]()
    for raw in lines_of(file):
        total += 1
        if total > LINES_MAX:
            errors.append(LineError(code="too_many_tasks", message=f"A batch has {LINES_MAX:,} requests at most."))
            break
        try:
            _note(read_line(raw.data, endpoint), seen)
        except WrongLineError as error:
            errors.append(LineError(code=error.code, message=error.message, line=raw.number, param=error.param))
        if len(errors) == ERRORS_MAX:
            break
    if not total:
        errors.append(LineError(code="empty_file", message="The input file has no request."))
    return Checked(total, tuple(errors))
