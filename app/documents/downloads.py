"""A document's file over HTTP: validators, one range, and headers that keep a browser from running what is in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote

from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.documents.records import DocumentRecord
from app.core.formats import FORMATS, MediaType

CHUNK_BYTES = 512 * 1024
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
NOT_PLAIN = re.compile(r"[^ !#$&'()+,.0-9;=@A-Z\[\]^_`a-z{}~-]")
"""What a quoted file name had better not hold: quotes, backslashes, percent signs, separators, other than ASCII."""
SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"
PDF_POLICY = "frame-ancestors 'self'"
"""No sandbox: Safari and older versions of Chrome show no sandboxed PDF. A viewer runs no script of our origin."""


class RangeNotSatisfiableError(Exception):
    """The range lies beyond the file's end. `size` is the file's."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes")
        self.size = size


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `start` up to but not including `end`."""

    start: int
    end: int


def file_headers(record: DocumentRecord) -> dict[str, str]:
    """The headers of every answer with the document's file."""
    return {
        "ETag": etag(record),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # kept, but asked for again: it may have been deleted
        "Content-Disposition": content_disposition(record),
        "Content-Security-Policy": PDF_POLICY if record.media_type is MediaType.PDF else SANDBOX,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def etag(record: DocumentRecord) -> str:
    """A strong validator: the hash of the bytes themselves."""
    return f'"{record.sha256}"'


def content_type(record: DocumentRecord) -> str:
    """Of our own list, whatever the upload said."""
    return f"{record.media_type}; charset=utf-8" if FORMATS[record.media_type].is_utf8 else record.media_type


def content_disposition(record: DocumentRecord) -> str:
    """How to save the file: RFC 6266, with a name beyond ASCII in UTF-8 (RFC 8187), and in ASCII for old clients."""
    kind = "inline" if FORMATS[record.media_type].is_shown_inline else "attachment"
    plain = NOT_PLAIN.sub("_", record.filename)
    if plain == record.filename:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(record.filename, safe='')}"


def is_unchanged(headers: Headers, record: DocumentRecord) -> bool:
    """Whether If-None-Match names these bytes."""
    return is_named(headers, etag(record))


def is_named(headers: Headers, etag: str) -> bool:
    """Whether If-None-Match has this validator (RFC 9110, 13.1.2; weak comparison)."""
    sent = headers.get("if-none-match")
    if sent is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in sent.split(",")]
    return "*" in tags or etag in tags


def span_of(headers: Headers, record: DocumentRecord, size: int) -> Span | None:
    """The range that is asked for, or None for the whole file (RFC 9110, 14.2).

    What is malformed, another unit, or several ranges at once is ignored, as the standard allows; so is every range
    whose If-Range names other bytes. Raises `RangeNotSatisfiableError`.
    """
    found = RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", etag(record)) != etag(record):
        return None
    first, last = found.groups()
    if not first:
        return _last_bytes(last, size)
    start, end = int(first), int(last) + 1 if last else size
    if end <= start and last:
        return None
    if start >= size:
        raise RangeNotSatisfiableError(size)
    return Span(start, min(end, size))


def _last_bytes(number: str, size: int) -> Span | None:
    if not number:
        return None
    if int(number) == 0 or size == 0:
        raise RangeNotSatisfiableError(size)
    return Span(max(0, size - int(number)), size)


class FileResponse(Response):
    """Sends `file` or a span of it, read in a thread, and closes it whatever happens."""

    def __init__(
        self, file: BinaryIO, size: int, span: Span | None, *, media_type: str, headers: Mapping[str, str]
    ) -> None:
        self._file = file
        self._span = span or Span(0, size)
        stated = {**headers, "Content-Length": str(self._span.end - self._span.start)}
        if span is not None:
            stated["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{size}"
        self.body = b""
        self.status_code = 206 if span is not None else 200
        self.media_type = media_type
        self.background = None
        self.init_headers(stated)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. A file that ends early breaks the connection, so that nobody takes it for whole."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_span(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._file.close()

    async def _send_span(self, send: Send) -> None:
        await run_in_threadpool(self._file.seek, self._span.start)
        left = self._span.end - self._span.start
        while left > 0:
            data = await run_in_threadpool(self._file.read, min(CHUNK_BYTES, left))
            if not data:
                raise OSError("the file is shorter than it was")
            left -= len(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
