"""Writes an archive line by line, and its end with the counts and the hash of what came before."""

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from types import TracebackType
from typing import IO, Any, Self

import numpy
import orjson

from app.core.documents.collections import CollectionSettings
from ingest.moving.lines import BLOCK_BYTES, CollectionLine, EndLine, Head, packed
from ingest.moving.reader import Counts
from worker.index.points import Document, Point, chunk_of
from worker.vectors import DENSE, SPARSE

LEVEL = 1
"""Of gzip: vectors pack no better at 9, and words by a tenth, in five times as long."""


class ArchiveWriter:
    """Writes to `stream`. A context manager, which ends the packing and leaves the stream open."""

    def __init__(self, stream: IO[bytes], head: Head) -> None:
        self.counts = Counts()
        self._packed = gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=LEVEL, filename="", mtime=0)
        self._hash = hashlib.sha256()
        self._line(head.model_dump(mode="json"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._packed.close()

    def collection(self, tenant: str, name: str, settings: CollectionSettings) -> None:
        """What is said of a collection."""
        self._line(CollectionLine(tenant=tenant, name=name, settings=settings).model_dump(exclude_none=True))
        self.counts.collections += 1

    def file(self, tenant: str, sha256: str, size_bytes: int, source: IO[bytes]) -> None:
        """A document's file. Raises `ValueError` when `source` has not these bytes."""
        self._line({"kind": "file", "tenant": tenant, "sha256": sha256, "size_bytes": size_bytes})
        digest, left = hashlib.sha256(), size_bytes
        while left and (data := source.read(min(left, BLOCK_BYTES))):
            self._line({"kind": "bytes", "data": packed(data)})
            digest.update(data)
            left -= len(data)
        if left or digest.hexdigest() != sha256:
            raise ValueError("a file's bytes are not those that its hash names")
        self.counts.files += 1
        self.counts.file_bytes += size_bytes

    def document(self, document: Document, points: Sequence[Point], created_at: datetime | None) -> None:
        """A document with its chunks, all of them and in order, as points of the index."""
        record: dict[str, Any] = {"kind": "document", **asdict(document)}
        self._line(record if created_at is None else record | {"created_at": created_at})
        for point in points:
            self._line(_chunk(point))
        self.counts.documents += 1
        self.counts.chunks += len(points)

    def end(self) -> None:
        """All is written."""
        end = EndLine(**asdict(self.counts), sha256=self._hash.hexdigest())
        self._line(end.model_dump())

    def _line(self, line: dict[str, Any]) -> None:
        data = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        self._hash.update(data)
        self._packed.write(data)


def _chunk(point: Point) -> dict[str, Any]:
    chunk, vectors = chunk_of(point), point["vector"]
    sparse = vectors.get(SPARSE) or {"indices": [], "values": []}
    line = {
        "kind": "chunk",
        "page": chunk.page,
        "last_page": chunk.last_page or chunk.page,
        "text": chunk.text,
        "heading": chunk.heading,
        "title": chunk.title,
        "page_label": chunk.page_label,
        "last_page_label": chunk.last_page_label,
        "table_headers": chunk.table_headers,
        "indices": _packed(sparse["indices"], "<u4"),
        "values": _packed(sparse["values"], "<f4"),
    }
    if DENSE in vectors:
        line["dense"] = _packed(vectors[DENSE], "<f4")
    return {name: value for name, value in line.items() if value != "" and value != ()}


def _packed(numbers: Sequence[float], kind: str) -> str:
    return packed(numpy.asarray(numbers, kind).tobytes())
