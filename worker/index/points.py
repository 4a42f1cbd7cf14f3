"""What stands in the index: a document's chunks and its record, as Python and as Qdrant's JSON."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from app.core.logging import get_logger
from worker.index.chunk_text import Context, embedded_text, searched_text
from worker.vectors import DENSE, METADATA, SPARSE, TEXT, SparseVector, document_vector, point_id

Point = dict[str, Any]
"""As Qdrant's JSON has it."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document. `text` is its pages' own words; `page` counts from 1, `chunk_index` from 0.

    `version` names the bytes, parser, splitter and embedding model that the chunk was made with: two versions of one
    document stand side by side until the old one is deleted. `last_page` is 0 when the chunk ends on its `page`.
    `ingested_at` is the time in ISO 8601, with its zone. `page_label`, `last_page_label` and `table_headers` are
    as `Hit` has them.
    """

    tenant: str
    collection: str
    document_id: str
    version: str
    filename: str
    sha256: str
    page: int
    chunk_index: int
    text: str
    ingested_at: str
    last_page: int = 0
    heading: str = ""
    title: str = ""
    page_label: str = ""
    last_page_label: str = ""
    table_headers: tuple[str, ...] = ()

    @property
    def point_id(self) -> str:
        """The point's id, equal for equal chunks, so that writing twice changes nothing."""
        return point_id(
            tenant=self.tenant,
            collection=self.collection,
            document_id=self.document_id,
            version=self.version,
            chunk_index=self.chunk_index,
        )

    @property
    def embedded(self) -> str:
        """What the embedding model sees."""
        return embedded_text(self.text, **self._context)

    @property
    def searched(self) -> str:
        """What BM25 sees."""
        return searched_text(self.text, **self._context)

    @property
    def _context(self) -> Context:
        return {
            "title": self.title,
            "heading": self.heading,
            "filename": self.filename,
            "table_headers": self.table_headers,
        }

    @property
    def payload(self) -> dict[str, Any]:
        """What stands in the index beside the vectors."""
        metadata = {
            "tenant": self.tenant,
            "collection": self.collection,
            "document_id": self.document_id,
            "version": self.version,
            "filename": self.filename,
            "sha256": self.sha256,
            "page": self.page,
            "last_page": self.last_page or self.page,
            "chunk_index": self.chunk_index,
            "heading": self.heading,
            "title": self.title,
            "page_label": self.page_label,
            "last_page_label": self.last_page_label,
            "table_headers": list(self.table_headers),
            "ingested_at": self.ingested_at,
        }
        return {TEXT: self.text, METADATA: metadata}


@dataclass(frozen=True, slots=True)
class Document:
    """A document's record. It stands with chunk 0, which is written last: without it the document does not exist.

    `source` is the file's path, or empty when the file was uploaded.
    """

    tenant: str
    collection: str
    document_id: str
    version: str
    filename: str
    source: str
    sha256: str
    pages: int
    chunks: int
    missing_pages: tuple[int, ...]
    ingested_at: str
    title: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """A document ready to be written: its record, its chunks in order, and their vectors from `embed`.

    `sparse` are their terms' weights where they are known; else BM25 weighs them.
    """

    document: Document
    chunks: Sequence[Chunk]
    dense: Sequence[Sequence[float]] | None = None
    sparse: Sequence[SparseVector] | None = None


def points_of(version: Version) -> Iterator[dict[str, Any]]:
    """A document's points as JSON, the last chunk first."""
    for index in range(len(version.chunks) - 1, -1, -1):
        chunk = version.chunks[index]
        sparse = document_vector(chunk.searched) if version.sparse is None else version.sparse[index]
        vector: dict[str, Any] = {SPARSE: {"indices": sparse.indices, "values": sparse.values}}
        if version.dense is not None:
            vector[DENSE] = version.dense[index]
        payload = chunk.payload
        if index == 0:
            payload[METADATA]["document"] = asdict(version.document)
        yield {"id": chunk.point_id, "vector": vector, "payload": payload}


def document_of(point: dict[str, Any]) -> Document | None:
    """The record in a chunk 0; None, and a line in the log, when it is none of ours."""
    try:
        record = point["payload"][METADATA]["document"]
        known = {field.name: record[field.name] for field in fields(Document) if field.name in record}
        return Document(**known | {"missing_pages": tuple(record["missing_pages"])})
    except (KeyError, TypeError):
        log.warning("document_record_broken", point_id=point.get("id"))
        return None


def chunk_of(point: dict[str, Any]) -> Chunk:
    """The chunk that a point holds; raises `KeyError` or `TypeError` when it is none of ours."""
    metadata = point["payload"][METADATA]
    known = {field.name: metadata[field.name] for field in fields(Chunk) if field.name in metadata}
    headers = tuple(metadata.get("table_headers") or ())
    return Chunk(**known | {"text": point["payload"][TEXT], "table_headers": headers})


def scrolled(ask: Callable[[dict[str, Any]], Any], request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every point of a scroll, page by page; none when `ask` has no answer."""
    while (page := ask(request)) is not None:
        yield from page["points"]
        if (offset := page.get("next_page_offset")) is None:
            return
        request = request | {"offset": offset}
