"""Reads an archive as a stream, believing nothing: each line's form and length, the order, the counts, the hashes.

It is safe with any file: no line is longer than `LINE_BYTES_MAX`, no more is unpacked than `SIZE_FACTOR_MAX` allows,
no name in it becomes a path. What is wrong with it is an `ArchiveError` that says what and where.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

import numpy
from pydantic import ValidationError

from ingest.moving.lines import (
    LINE,
    LINE_BYTES_MAX,
    BytesLine,
    ChunkLine,
    CollectionLine,
    DocumentLine,
    EndLine,
    FileLine,
    Head,
    Line,
)
from worker.index.points import Chunk, Document
from worker.vectors import SparseVector

SIZE_FACTOR_MAX = 100
"""So many times its own size may an archive unpack to: text has 10 at most, a file of nothing but zeros 1,000."""
SIZE_FREE_BYTES = 64 << 20
"""Beside that: a small archive may have a file that is nearly empty."""
DOCUMENT_BYTES_MAX = 1 << 30
"""Of the lines of a document, which is held in memory whole: 20 million characters, with vectors of 3,072 numbers,
are 400 MiB."""


class ArchiveError(Exception):
    """The file is no archive, or is damaged. The message says what is wrong, and where."""


@dataclass(slots=True)
class Counts:
    """How much an archive holds."""

    collections: int = 0
    documents: int = 0
    chunks: int = 0
    files: int = 0
    file_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file, and its bytes, which are read while they are asked for; what is not asked for is passed over."""

    tenant: str
    sha256: str
    size_bytes: int
    blocks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document with its chunks in order, and their vectors; `dense` is None when a chunk has none."""

    document: Document
    chunks: Sequence[Chunk]
    sparse: Sequence[SparseVector]
    dense: Sequence[Sequence[float]] | None
    line: DocumentLine


Item = Head | CollectionLine | StoredFile | StoredDocument | EndLine


def items(stream: IO[bytes], *, on_read: Callable[[int], None] = lambda _: None) -> Iterator[Item]:
    """What the archive holds, the `Head` first and the `EndLine` last.

    Raises `ArchiveError`, and what reading raises. `on_read` is told how many bytes of `stream` were read so far.
    """
    lines = _Lines(stream, on_read)
    counts = Counts()
    head = lines.next()
    if not isinstance(head, Head):
        raise lines.wrong("it does not begin as an export of this service does")
    yield head
    while True:
        line = lines.next()
        match line:
            case CollectionLine():
                counts.collections += 1
                yield line
            case FileLine():
                blocks = _blocks(lines, line)
                yield StoredFile(line.tenant, line.sha256, line.size_bytes, blocks)
                for _ in blocks:
                    pass
                counts.files += 1
                counts.file_bytes += line.size_bytes
            case DocumentLine():
                yield _document(lines, line, head)
                counts.documents += 1
                counts.chunks += line.chunks
            case EndLine():
                _check_end(lines, line, counts)
                yield line
                return
            case _:
                raise lines.wrong(f"no {line.kind} is expected there")


class _Counting(io.RawIOBase):
    """A stream that says how much of it was read."""

    def __init__(self, stream: IO[bytes], on_read: Callable[[int], None]) -> None:
        self._stream = stream
        self._on_read = on_read
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.bytes_read += len(data)
        self._on_read(self.bytes_read)
        return len(data)


class _Lines:
    """The lines, one after the other, and the hash of all before the last."""

    def __init__(self, stream: IO[bytes], on_read: Callable[[int], None]) -> None:
        self._raw = _Counting(stream, on_read)
        self._unpacked = gzip.GzipFile(fileobj=io.BufferedReader(self._raw, 1 << 18), mode="rb")
        self._hash = hashlib.sha256()
        self._bytes = 0
        self.number = 0
        self.hash_before = ""
        """Of the lines before the one that `next` gave last."""

    def next(self) -> Line:
        """The next line."""
        data = self._read(LINE_BYTES_MAX + 1)
        self.number += 1
        if not data.endswith(b"\n"):
            reason = (
                "it is too long" if len(data) > LINE_BYTES_MAX else "the file ends before its end: it was cut off"
            )
            raise self.wrong(reason)
        self._bytes += len(data)
        if self._bytes > SIZE_FREE_BYTES + SIZE_FACTOR_MAX * self._raw.bytes_read:
            raise self.wrong("the file unpacks to far more than an export does")
        self.hash_before = self._hash.hexdigest()
        self._hash.update(data)
        try:
            return LINE.validate_json(data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise self.wrong(f"{where or 'it'}: {first['msg']}") from None

    @property
    def size_read(self) -> int:
        """How many bytes all lines had so far."""
        return self._bytes

    def check_over(self) -> None:
        """Raise unless nothing follows."""
        if self._read(1):
            raise self.wrong("something follows its end")

    def wrong(self, reason: str) -> ArchiveError:
        """The error, with where it is."""
        return ArchiveError(f"line {self.number}: {reason}")

    def _read(self, most: int) -> bytes:
        try:
            return self._unpacked.readline(most)
        except EOFError:
            raise ArchiveError(f"after line {self.number}: the file ends before its end: it was cut off") from None
        except (gzip.BadGzipFile, zlib.error):
            raise ArchiveError(f"after line {self.number}: the file is damaged, or not packed by gzip") from None


def _blocks(lines: _Lines, file: FileLine) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), file.size_bytes
    while left:
        line = lines.next()
        if not isinstance(line, BytesLine) or len(line.data) > left:
            raise lines.wrong("a file's bytes are not as many as it says")
        left -= len(line.data)
        digest.update(line.data)
        if not left and digest.hexdigest() != file.sha256:
            raise lines.wrong("a file's bytes are not those that its hash names")
        yield line.data


def _document(lines: _Lines, line: DocumentLine, head: Head) -> StoredDocument:
    began = lines.size_read
    document = Document(**line.model_dump(exclude={"kind", "created_at"}))
    chunks: list[Chunk] = []
    sparse: list[SparseVector] = []
    dense = []
    for number in range(line.chunks):
        found = lines.next()
        if not isinstance(found, ChunkLine):
            raise lines.wrong("a document's chunks are not as many as it says")
        if lines.size_read - began > DOCUMENT_BYTES_MAX:
            raise lines.wrong("a document is too large")
        chunks.append(_chunk(document, found, number))
        sparse.append(_sparse(lines, found))
        if found.dense is not None:
            dense.append(_numbers(lines, found.dense, head.dimension))
    if dense and len(dense) < len(chunks):
        raise lines.wrong("of a document, some chunks have vectors and some have none")
    return StoredDocument(document, chunks, sparse, dense or None, line)


def _chunk(document: Document, line: ChunkLine, number: int) -> Chunk:
    return Chunk(
        tenant=document.tenant,
        collection=document.collection,
        document_id=document.document_id,
        version=document.version,
        filename=document.filename,
        sha256=document.sha256,
        ingested_at=document.ingested_at,
        chunk_index=number,
        page=line.page,
        last_page=line.last_page,
        text=line.text,
        heading=line.heading,
        title=line.title,
        page_label=line.page_label,
        last_page_label=line.last_page_label,
        table_headers=line.table_headers,
    )


def _sparse(lines: _Lines, line: ChunkLine) -> SparseVector:
    if len(line.indices) != len(line.values) or len(line.indices) % 4:
        raise lines.wrong("a chunk has other terms than weights")
    indices = numpy.frombuffer(line.indices, "<u4")
    values = numpy.frombuffer(line.values, "<f4")
    if not numpy.isfinite(values).all() or len(numpy.unique(indices)) != len(indices):
        raise lines.wrong("a chunk's terms are no such numbers")
    return SparseVector(indices.tolist(), values.tolist())


def _numbers(lines: _Lines, data: bytes, dimension: int | None) -> Sequence[float]:
    if len(data) != 4 * (dimension or 0):
        raise lines.wrong("a chunk's vector is not as long as the archive's are")
    vector = numpy.frombuffer(data, "<f4")
    if not numpy.isfinite(vector).all():
        raise lines.wrong("a chunk's vector has what is no number")
    return vector  # type: ignore[return-value]  # an eighth of the memory


def _check_end(lines: _Lines, line: EndLine, counts: Counts) -> None:
    told = Counts(line.collections, line.documents, line.chunks, line.files, line.file_bytes)
    if line.sha256 != lines.hash_before or told != counts:
        raise lines.wrong("what the file holds is not what it says at its end: it was changed")
    lines.check_over()


def without_vectors(stored: StoredDocument) -> StoredDocument:
    """The same, to be found by words alone."""
    return replace(stored, dense=None)
