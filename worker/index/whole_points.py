"""Reads documents whole from one collection: every chunk with its words and both of its vectors."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from worker.http.generations import Generation
from worker.http.writing import WritingHttp
from worker.index.points import Document, Point, document_of, scrolled
from worker.vectors import METADATA

PAGE_NUMBERS = 150_000
"""In one answer: as digits some 2 MiB, far below what Qdrant's answers may have."""
PAGE_CHUNKS = 256
"""As many at most: with their words some MiB."""

Key = tuple[str, str, str, str]


class WholePoints:
    """Reads from `collection` itself and not by its alias: when another takes its place, that is found out.

    Methods raise `ServiceError`, and `NotFoundError` when the collection has gone.
    """

    def __init__(self, http: WritingHttp, collection: Generation) -> None:
        self._http = http
        self._path = collection.path
        self._page = min(PAGE_CHUNKS, max(1, PAGE_NUMBERS // (collection.dense_size or 1)))

    def read(self, documents: Sequence[Document]) -> dict[Document, list[Point]]:
        """The chunks of each document, in order; none of one that has changed since its record was read."""
        by_key = {_key_of(document): document for document in documents}
        found: dict[Key, list[Point]] = defaultdict(list)
        for point in self._scrolled(documents):
            found[_key(point["payload"][METADATA])].append(point)
        whole: dict[Document, list[Point]] = {}
        for key, document in by_key.items():
            points = sorted(found[key], key=_number)
            if [_number(point) for point in points] == list(range(document.chunks)):
                record = document_of(points[0])
                if record == document:
                    whole[document] = points
        return whole

    def standing(self, document: Document) -> Document | None:
        """The document's newest record, as it is now."""
        where = _where(document_id=[document.document_id], tenant=[document.tenant], chunk_index=[0])
        request = {"filter": where, "limit": PAGE_CHUNKS, "with_payload": [f"{METADATA}.document"]}
        points = scrolled(lambda page: self._http.post(f"{self._path}/points/scroll", page), request)
        records = [record for point in points if (record := document_of(point)) is not None]
        same = [record for record in records if record.collection == document.collection]
        return max(same, key=lambda record: record.ingested_at, default=None)

    def _scrolled(self, documents: Sequence[Document]) -> Iterable[Point]:
        where = _where(
            tenant=sorted({document.tenant for document in documents}),
            collection=sorted({document.collection for document in documents}),
            document_id=sorted({document.document_id for document in documents}),
        )
        request = {"filter": where, "limit": self._page, "with_payload": True, "with_vector": True}
        return scrolled(lambda page: self._http.post(f"{self._path}/points/scroll", page), request)


def _number(point: Point) -> int:
    return int(point["payload"][METADATA]["chunk_index"])


def _key(metadata: dict[str, Any]) -> Key:
    return metadata["tenant"], metadata["collection"], metadata["document_id"], metadata["version"]


def _key_of(document: Document) -> Key:
    return document.tenant, document.collection, document.document_id, document.version


def _where(**wanted: Sequence[str] | Sequence[int]) -> dict[str, Any]:
    return {
        "must": [{"key": f"{METADATA}.{field}", "match": {"any": list(value)}} for field, value in wanted.items()]
    }
