"""The child process that reads documents: `python -m ingest.reading.extract`.

It may crash, hang or be killed at any moment.

It reads requests from stdin and writes replies to stdout, a JSON object a line:

    {"path": "/data/a.pdf", "name": "a.pdf", "first": 0, "last": 32}
        ->  {"pages": 203, "sha256": "..."}                                     of the whole file
            {"text": "...", "headings": [...], "is_cut": .., "is_damaged": ..}  for each page from `first`, as `Page`
            {"end": true, "title": "..."}
        or, at any time, as the last one:  {"failed": "encrypted"}              a `Reason`

    {"path": "/data/a.pdf", "name": "a.pdf", "wish": {"page": 11, "quote": "...", ...}}       as `Wish`
        ->  {"pages": 203, "sha256": "...", "words": "...", "seen": {...}, ...}               as `child.Sight`

The file that was read last stays open, for the next pages of it. The limit on memory is its only argument, in bytes.
It imports little, so that a fresh one starts in a fifth of a second; loaders and pypdf come when they are needed.
"""

import contextlib
import hashlib
import json
import os
import resource
import signal
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from app.core.formats import MediaType
from ingest.reading.files import open_regular
from ingest.reading.limits import FILE_BYTES_MAX, MEMORY_BYTES_MAX, PAGE_SECONDS_MAX, PAGES_MAX
from ingest.reading.misfits import stated_format
from ingest.reading.page import Page
from ingest.reading.page_look import WORDS_CHARACTERS_MAX, Wish, span_in
from ingest.reading.pdf.document import PdfDocument
from ingest.reading.portfolio import DEEP_MAX, Document, Portfolio
from ingest.reading.reasons import FileError, Reason
from ingest.reading.text_document import TextDocument

ORPHAN_GRACE_SECONDS = 10
"""The child ends itself this long after the limit that its parent enforces, should the parent be gone."""
PAGE_FIELDS = tuple(field.name for field in fields(Page))
"""`asdict` would copy each of its lines."""


def main() -> None:
    """Serve requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a parser prints must not look like a reply
    limit_resources(int(sys.argv[1]) if len(sys.argv) > 1 else MEMORY_BYTES_MAX)
    reader = Reader()
    for line in sys.stdin.buffer:
        for reply in reader.replies(json.loads(line)):
            replies.write(json.dumps(reply, ensure_ascii=False).encode() + b"\n")
            replies.flush()
        signal.alarm(0)


@dataclass(slots=True)
class _Open:
    """A document as it was when its file had this identity."""

    identity: tuple[object, ...]
    sha256: str
    document: Document


class Reader:
    """Answers requests, as the module's docstring lists them. Keeps one document open."""

    def __init__(self) -> None:
        self._open: _Open | None = None

    def replies(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The replies to one request, with one page's text in memory at a time."""
        _still_alive()
        try:
            opened = self._opened(Path(request["path"]), request["name"])
            document = opened.document
            if "wish" in request:
                yield _sight(opened, Wish(**request["wish"]))
                return
            yield {"pages": document.page_count, "sha256": opened.sha256}
            for number in range(request["first"], min(request["last"], document.page_count)):
                _still_alive()
                page = document.page(number)
                yield {name: getattr(page, name) for name in PAGE_FIELDS}
            yield {"end": True, "title": document.title()}
        except FileError as error:
            yield {"failed": error.reason}

    def _opened(self, path: Path, name: str) -> _Open:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            identity = (path, name, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if self._open is None or self._open.identity != identity:
                self._close()
                data = _read(file)
                self._open = _Open(identity, hashlib.sha256(data).hexdigest(), open_document(name, data))
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.document.close()
            self._open = None


def _sight(opened: _Open, wish: Wish) -> dict[str, Any]:
    """What `child.Sight` has. Beyond the document's end there is nothing to be seen."""
    document, counted = opened.document, {"pages": opened.document.page_count, "sha256": opened.sha256}
    if wish.page >= document.page_count:
        return counted
    page = document.page(wish.page)
    words = (page.text or "")[:WORDS_CHARACTERS_MAX]
    has_next = wish.runs_over and wish.page + 1 < document.page_count
    following = document.page(wish.page + 1).text or "" if has_next else ""
    _still_alive()
    seen = document.see(wish)
    if seen is not None:
        picture = b64encode(seen.picture).decode() if seen.picture is not None else None
        counted["seen"] = asdict(replace(seen, picture=None)) | {"picture": picture}
    return counted | {"words": words, "label": page.label, "span": span_in(words, following, wish)}


def open_document(name: str, data: bytes, depth: int = 0) -> Document:
    """The document that `data` holds, `depth` portfolios deep. Raises `FileError`."""
    stated = stated_format(name, data)
    is_pdf = stated.media_type is MediaType.PDF
    document = _pdf(data, depth) if is_pdf else TextDocument(stated.media_type, data)
    if document.page_count > PAGES_MAX:
        raise FileError(Reason.TOO_LARGE)
    return document


def _pdf(data: bytes, depth: int) -> Document:
    document = PdfDocument(data)
    if not document.is_cover:
        return document
    if depth >= DEEP_MAX:
        document.close()
        raise FileError(Reason.PORTFOLIO)
    return Portfolio(document, partial(open_document, depth=depth + 1))


def _read(file: Any) -> bytes:
    try:
        size = os.fstat(file.fileno()).st_size  # memory for as much as is asked for is claimed beforehand
        data: bytes = file.read(min(size, FILE_BYTES_MAX) + 1)
    except OSError as error:
        raise FileError(Reason.UNREADABLE) from error
    if len(data) > FILE_BYTES_MAX:
        raise FileError(Reason.TOO_LARGE)
    if not data:
        raise FileError(Reason.EMPTY_FILE)
    return data


def _still_alive() -> None:
    signal.alarm(int(PAGE_SECONDS_MAX) + ORPHAN_GRACE_SECONDS)


def limit_resources(memory_bytes: int) -> None:
    """Bound this process's address space, and leave no core file behind."""
    for kind, wanted in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit on address space
            resource.setrlimit(kind, (limit, hard))


if __name__ == "__main__":
    main()
