"""One document's way into the index: its file to pages and chunks, then these, embedded, beside the old version.

Everything is embedded before anything is written, the record is written last, and only then is what was there
deleted: a failing model or a kill at any moment leaves the old or the new version whole, and the next run tidies up.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.errors import ErrorCode, ServiceError
from app.core.tracing.process import tracing
from ingest.indexing.neighbour_vectors import in_context
from ingest.reading.reasons import FileError, Reason
from worker.index.vector_index import Chunk, Document, VectorIndex, VectorsNeededError, Version

if TYPE_CHECKING:
    from ingest.chunking.splitter import Piece, Splitter
    from ingest.reading.document_text import DocumentText
    from ingest.reading.pool import ReaderPool

EMBED_IN_FLIGHT = 4
FILENAME_CHARACTERS_MAX = 255
TITLE_CHARACTERS_MAX = 500
"""What the catalog takes (`app.core.documents.catalog`)."""

CLOSED_POLL_SECONDS = 0.1
"""How late a thread that waits for the model learns that nobody wants to know any more."""

Vectors = Sequence[Sequence[float]] | None
Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Target:
    """What a file is to become: a version of a document. `source` is its path, or empty for an upload."""

    tenant: str
    collection: str
    document_id: str
    version: str
    filename: str
    source: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document read and split, not yet embedded. `cut_pages`, counted from 1, were too long and lost their end."""

    document: Document
    chunks: Sequence[Chunk]
    cut_pages: tuple[int, ...]


def parse(path: Path, target: Target, reader: "ReaderPool", splitter: "Splitter") -> Parsed:
    """Read and split the file at `path`. Raises `FileError`, also when its bytes are not those of `target`."""
    with tracing().step("read document") as step:
        text = reader.read(path, name=target.filename)
        step.set("rag.document.pages", len(text.pages))
    if text.sha256 != target.sha256:
        raise FileError(Reason.CHANGED)
    pieces = splitter.split(text.pages, text.headings, text.table_headers)
    if not pieces:
        raise FileError(Reason.NO_TEXT)
    document = _document(target, text, pieces, path.stat().st_size)
    chunks = [_chunk(document, number, piece, text) for number, piece in enumerate(pieces)]
    return Parsed(document, chunks, text.cut_pages)


class Writer:
    """Embeds documents and writes them. Safe to share between threads, which share the requests in flight, too.

    `embed` is `index.embed`, or one that keeps to a budget. Its methods raise `ServiceError`.
    """

    def __init__(self, index: VectorIndex, embed: Embed) -> None:
        self._index = index
        self._embed = embed
        self._is_closed = False
        self._requests = ThreadPoolExecutor(EMBED_IN_FLIGHT, thread_name_prefix="embed")

    def close(self) -> None:
        """Begin no more requests; who waits for one in flight gets a `ServiceError`."""
        self._is_closed = True
        self._requests.shutdown(wait=False, cancel_futures=True)

    def write(self, batch: Sequence[Parsed], *, on_embedded: Callable[[int], None] | None = None) -> list[Document]:
        """Embed the documents, then write them, and give their records. What was there of them before is still there.

        `on_embedded` is told how many chunks are embedded so far, when there is a model that embeds.
        """
        chunks = [chunk for parsed in batch for chunk in parsed.chunks]
        self._index.ensure()
        wants_vectors = self._index.keeps_vectors()
        while True:
            texts = [chunk.embedded for chunk in chunks] if wants_vectors else []
            vectors = self._embedded(texts, on_embedded) if texts else None
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            versions = [_stamped(parsed, vectors, now) for parsed in batch]
            try:
                with tracing().step("write chunks") as step:
                    step.set("rag.document.chunks", len(chunks))
                    self._index.write_many(versions)
            except VectorsNeededError:
                wants_vectors = True
            else:
                return [version.document for version in versions]

    def drop_others(self, document: Document) -> None:
        """Delete what the index holds of the document beside this version."""
        self._index.delete(
            tenant=document.tenant, collection=document.collection, document_id=document.document_id, keep=document
        )

    def _embedded(
        self, texts: Sequence[str], on_embedded: Callable[[int], None] | None
    ) -> Iterator[Sequence[float]] | None:
        size = self._index.batch_size  # a turn in the budget is one request
        slices = [texts[start : start + size] for start in range(0, len(texts), size)]
        # Each in a copy of our context: it is part of our trace, and its log lines of our job.
        requests = [self._requests.submit(copy_context().run, self._embed, part) for part in slices]
        vectors: list[Sequence[Sequence[float]]] = []
        try:
            for request in requests:
                if (answer := self._answer(request)) is None:
                    return None
                vectors.append(answer)
                if on_embedded is not None:
                    on_embedded(sum(map(len, vectors)))
        finally:
            for request in requests:
                request.cancel()
        return chain.from_iterable(vectors)

    def _answer(self, request: Future[Vectors]) -> Vectors:
        """What the request brings. It is given up when the writer is closed meanwhile."""
        while not wait([request], CLOSED_POLL_SECONDS).done:
            if self._is_closed:
                raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
        return request.result()


def _stamped(parsed: Parsed, vectors: "Iterator[Sequence[float]] | None", now: str) -> Version:
    """The parsed document with its own share of `vectors`, ingested `now`."""
    dense = in_context([next(vectors) for _ in parsed.chunks]) if vectors is not None else None
    chunks = [replace(chunk, ingested_at=now) for chunk in parsed.chunks]
    return Version(replace(parsed.document, ingested_at=now), chunks, dense)


def _document(target: Target, text: "DocumentText", pieces: "Sequence[Piece]", size_bytes: int) -> Document:
    return Document(
        tenant=target.tenant,
        collection=target.collection,
        document_id=target.document_id,
        version=target.version,
        filename=target.filename[-FILENAME_CHARACTERS_MAX:],
        source=target.source,
        sha256=target.sha256,
        pages=len(text.pages),
        chunks=len(pieces),
        missing_pages=text.missing_pages,
        ingested_at="",
        title=text.title[:TITLE_CHARACTERS_MAX],
        size_bytes=size_bytes,
    )


def _chunk(document: Document, number: int, piece: "Piece", text: "DocumentText") -> Chunk:
    return Chunk(
        tenant=document.tenant,
        collection=document.collection,
        document_id=document.document_id,
        version=document.version,
        filename=document.filename,
        sha256=document.sha256,
        page=piece.page,
        last_page=piece.last_page,
        chunk_index=number,
        text=piece.text,
        heading=piece.heading,
        title=document.title,
        page_label=text.labels[piece.page - 1] if text.labels else "",
        last_page_label=text.labels[piece.last_page - 1] if text.labels else "",
        table_headers=piece.table_headers,
        ingested_at=document.ingested_at,
    )
