"""Uploads (multipart/form-data, RFC 7578): each file goes straight to the document store's disk as it arrives.

Nothing is held in memory whole, and nothing is read before the request's sender is known. What a client says of a
file is checked: its name becomes a label to show, never a path, and its type is what its first bytes say.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.core.documents.files import DocumentStore, Draft
from app.core.formats import HEAD_BYTES, OLE, PART_BYTES, SUFFIXES, Format, by_name
from app.core.settings import Settings
from app.core.wide_texts import wide_encoding
from app.documents.filenames import as_text, sent_filename, shown_filename

FEED_BYTES = 512 * 1024
"""The body is parsed, hashed and written in pieces of this size, in a thread."""
OVERHEAD_BYTES = 1024 * 1024
"""What a body may hold beside its files."""
FILE_FIELDS = frozenset({"files", "file", "files[]"})
FIELDS_MAX = 10
FIELD_BYTES_MAX = 1024


def body_bytes_max(settings: Settings) -> int:
    """What the body of an upload of documents may have, all files together."""
    return Form.of_documents(settings).body_bytes_max


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file, or the whole upload, is not taken: an HTTP status, a stable kind, and what to do about it."""

    status: int
    kind: str
    detail: str


class UploadRefusedError(Exception):
    """Nothing of the upload is taken. `files` are the refusals by position, when its files are what is wrong."""

    def __init__(self, refusal: Refusal, files: dict[int, Refusal] | None = None) -> None:
        super().__init__(refusal.kind)
        self.refusal = refusal
        self.files = files or {}


NO_MULTIPART = Refusal(415, "unsupported-media-type", "Send the files as multipart/form-data.")
MALFORMED = Refusal(400, "malformed-multipart", "The body is not multipart/form-data as RFC 7578 has it.")
NO_FILES = Refusal(422, "invalid-request", "There is no file. Send each as a part named `files`, with a file name.")
NO_NAME = Refusal(422, "invalid-filename", "The file needs a name of 1 to 255 characters.")
EMPTY = Refusal(422, "empty-file", "The file is empty.")
NO_TYPE = Refusal(415, "unsupported-file-type", f"The name must end in one of: {', '.join(SUFFIXES)}.")
OLD_OR_LOCKED = Refusal(
    415, "unsupported-file-type", "This is a file of an Office before 2007, or has a password. Save it anew, without."
)
NO_TEXT = Refusal(415, "unsupported-file-type", "This is not a text: it is of another type, or has zero bytes.")


@dataclass(frozen=True, slots=True)
class Form:
    """What a form may hold: files, and `fields` beside them."""

    files_max: int
    file_bytes_max: int
    fields: frozenset[str]

    @property
    def body_bytes_max(self) -> int:
        """What the body may have, all files together."""
        return self.files_max * self.file_bytes_max + OVERHEAD_BYTES

    @classmethod
    def of_documents(cls, settings: Settings) -> "Form":
        """That of POST /documents."""
        return cls(settings.upload_max_files, settings.upload_max_mb * 2**20, frozenset({"collection"}))


@dataclass(slots=True)
class ReceivedFile:
    """A file as it came. `filename` is fit to be shown, or None when nothing of what was sent is."""

    filename: str | None
    draft: Draft
    bytes_max: int
    head: bytearray = field(default_factory=bytearray)
    has_nul: bool = False
    has_part: bool = False
    is_too_large: bool = False
    end: bytes = b""

    def write(self, data: bytes) -> None:
        """Add `data`; what comes beyond the limit is only counted out."""
        if self.is_too_large or self.draft.size + len(data) > self.bytes_max:
            self.is_too_large = True
            return
        self.head += data[: HEAD_BYTES - len(self.head)]
        self.has_nul = self.has_nul or b"\0" in data
        self._look_for_part(data)
        self.draft.write(data)

    def _look_for_part(self, data: bytes) -> None:
        """Note whether a zip holds what its format's zips do. Its directory may come in any number of pieces."""
        if self.format is not None and self.format.part and not self.has_part:
            seen = self.end + data
            self.has_part = self.format.lists_part(seen)
            self.end = seen[-PART_BYTES:]

    def refusal(self) -> Refusal | None:
        """Why the file is not taken, if so."""
        if self.filename is None:
            return NO_NAME
        if self.is_too_large:
            mib = self.bytes_max // 2**20
            return Refusal(413, "file-too-large", f"A file may have {mib} MiB; this one has more.")
        return EMPTY if not self.draft.size else self._sniffed()

    @property
    def format(self) -> Format | None:
        """What the name's suffix says."""
        return by_name(self.filename or "")

    def _sniffed(self) -> Refusal | None:
        """Why the bytes are not what the name says, if so."""
        if self.format is None:
            return NO_TYPE
        has_odd_nul = self.format.is_utf8 and self.has_nul and wide_encoding(bytes(self.head)) is None
        has_all = self.has_part or not self.format.part
        if self.format.fits(bytes(self.head)) and has_all and not has_odd_nul:
            return None
        if self.format.is_utf8:
            return NO_TEXT
        if self.head.startswith(OLE):
            return OLD_OR_LOCKED
        return Refusal(415, "unsupported-file-type", f"This is not what its name says: {self.format.sign}.")


@dataclass(slots=True)
class Upload:
    """What a request brought: its files in their order, and the values of its other fields."""

    files: list[ReceivedFile] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def receiving(request: Request, store: DocumentStore, form: Form) -> AsyncIterator[Upload]:
    """The request's upload; at the end whatever was not kept is dropped.

    Raises `UploadRefusedError` and `StorageUnavailableError`.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        raise UploadRefusedError(NO_MULTIPART)
    reader = _Reader(options.get(b"boundary", b""), store, form)
    try:
        pieces = bytearray()
        async for piece in request.stream():
            pieces += piece
            if len(pieces) >= FEED_BYTES:
                await run_in_threadpool(reader.feed, bytes(pieces))
                pieces.clear()
        await run_in_threadpool(reader.end, bytes(pieces))
        yield reader.upload
    finally:
        reader.close()


class _Reader:
    """Parses the body piece by piece. All of it blocks; python-multipart bounds the headers of a part."""

    def __init__(self, boundary: bytes, store: DocumentStore, form: Form) -> None:
        self.upload = Upload()
        self._store = store
        self._files_max = form.files_max
        self._file_bytes_max = form.file_bytes_max
        self._bytes_max = form.body_bytes_max
        self._names = form.fields
        self._bytes = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition: bytes | None = None
        self._field: str | None = None
        self._value = bytearray()
        self._fields = 0
        self._is_whole = False
        if not boundary:
            raise UploadRefusedError(MALFORMED)
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise UploadRefusedError(MALFORMED) from error

    def feed(self, data: bytes) -> None:
        """Parse the body's next `data`."""
        self._bytes += len(data)
        if self._bytes > self._bytes_max:
            mib = self._bytes_max // 2**20
            raise UploadRefusedError(Refusal(413, "body-too-large", f"An upload may have {mib} MiB in all."))
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise UploadRefusedError(MALFORMED) from error

    def end(self, data: bytes) -> None:
        """Parse the body's last `data`."""
        if data:
            self.feed(data)
        if not self._is_whole:
            raise UploadRefusedError(MALFORMED)
        if not self.upload.files:
            raise UploadRefusedError(NO_FILES)

    def close(self) -> None:
        """Drop the drafts."""
        for file in self.upload.files:
            file.draft.drop()

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_name_goes_on,
            "on_header_value": self._header_value_goes_on,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data_goes_on,
            "on_part_end": self._part_ends,
            "on_end": self._body_ends,
        }

    def _part_begins(self) -> None:
        self._disposition = self._field = None
        self._value.clear()

    def _header_name_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = as_text(options.get(b"name", b""))
        filename = sent_filename(self._disposition) if name in FILE_FIELDS else None
        if filename is not None:
            self._file_begins(filename)
        elif name in self._names:
            self._field = name
            self._fields += 1
        else:
            known = ", ".join(f"`{field}`" for field in sorted(self._names))
            detail = f"There is a part that is no file and none of {known}."
            raise UploadRefusedError(Refusal(422, "invalid-request", detail))
        if self._fields > FIELDS_MAX:
            raise UploadRefusedError(MALFORMED)

    def _file_begins(self, sent_name: str) -> None:
        if len(self.upload.files) == self._files_max:
            detail = f"An upload may have {self._files_max} files. Send the others in another one."
            raise UploadRefusedError(Refusal(413, "too-many-files", detail))
        draft = self._store.draft()
        self.upload.files.append(ReceivedFile(shown_filename(sent_name), draft, self._file_bytes_max))

    def _data_goes_on(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self.upload.files[-1].write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_BYTES_MAX:
            raise UploadRefusedError(MALFORMED)

    def _part_ends(self) -> None:
        if self._field is not None:
            self.upload.fields[self._field] = as_text(bytes(self._value))

    def _body_ends(self) -> None:
        self._is_whole = True
