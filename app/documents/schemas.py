"""Requests and responses about documents, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Any, get_args

from pydantic import ConfigDict, Field

from app.core.contract import LABEL, Marks, PageResult, PictureWidth
from app.core.documents.collections import Collection, CollectionSettings
from app.core.documents.records import DocumentError, DocumentRecord, DocumentStatus
from app.core.formats import SUFFIXES, MediaType
from app.core.models import QuietModel

_EXAMPLE: dict[str, Any] = {
    "document_id": "5f2b7cbdf2f95a1f8f0f6a3a2f1f4c11",
    "collection": "default",
    "filename": "handbook.pdf",
    "title": "Employee handbook",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size_bytes": 482133,
    "media_type": "application/pdf",
    "status": "embedding",
    "error": None,
    "pages": 120,
    "pages_done": 84,
    "chunks": 0,
    "missing_pages": [],
    "created_at": "2026-11-21T09:30:00Z",
    "updated_at": "2026-11-21T09:30:04Z",
    "job_id": "0f3c7a52e0b94fd6a7f0a4c7f6a0f7f1",
    "urls": {
        "document": "/documents/5f2b7cbdf2f95a1f8f0f6a3a2f1f4c11",
        "file": "/documents/5f2b7cbdf2f95a1f8f0f6a3a2f1f4c11/file",
        "job": "/job-status/0f3c7a52e0b94fd6a7f0a4c7f6a0f7f1",
    },
}


_PICTURE = f"/documents/{_EXAMPLE['document_id']}/pages/12.png?version={_EXAMPLE['sha256']}&width="
_PAGE_EXAMPLE: dict[str, Any] = {
    "page": 12,
    "pages": 120,
    "page_label": "",
    "version": _EXAMPLE["sha256"],
    "width": 612.0,
    "height": 792.0,
    "picture": {str(width): f"{_PICTURE}{width}" for width in get_args(PictureWidth)},
    "found": True,
    "boxes": [[72.0, 211.4, 183.2, 12.6]],
    "next_boxes": [],
    "words": "Guarantee\n\nThe pump is guaranteed for two years.",
    "span": [11, 48],
}


_SAID: dict[str, Any] = {
    "title": "Manuals",
    "description": "Of every pump since 1998.",
    "instructions": "Name the pump's type in each answer.",
    "top_k": 8,
}
_COLLECTION: dict[str, Any] = {
    "name": "manuals",
    **_SAID,
    "documents": 41,
    "chunks": 5120,
    "embedding_model": "text-embedding-3-small",
    "version": "1795253400000000-1795253462118034",
}


class DocumentUrls(QuietModel):
    """Where to look next."""

    document: str
    file: str = Field(description="Add #page=12 to open a PDF there")
    job: str | None = Field(description="Of the latest indexing; null when it was indexed by `python -m ingest`")


class DocumentView(QuietModel):
    """A document, and how far its indexing is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    document_id: str = Field(description="The same for every version of the file of this name in this collection")
    collection: str
    filename: str
    title: str = Field(description="What the document calls itself; empty if nothing")
    sha256: str
    size_bytes: int = Field(ge=0)
    media_type: MediaType
    status: DocumentStatus
    error: DocumentError | None = Field(description="Why it failed")
    pages: int = Field(ge=0, description="0 until known")
    pages_done: int = Field(ge=0)
    chunks: int = Field(ge=0, description="Pieces in the index; 0 until indexed")
    missing_pages: tuple[int, ...] = Field(description="Pages without text that could be read, counted from 1")
    created_at: datetime
    updated_at: datetime
    job_id: str | None
    urls: DocumentUrls


class DocumentList(QuietModel):
    """Some documents, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"documents": [_EXAMPLE], "next_cursor": "41"}]})

    documents: list[DocumentView]
    next_cursor: str | None = Field(description="`cursor` of the page that follows; null: this was the last one")


class FileProblem(QuietModel):
    """A file that was not taken, and why (the members of RFC 9457)."""

    index: int = Field(ge=0, description="Place of the file in the upload, from 0")
    type: str
    title: str
    status: int
    detail: str


class UploadAccepted(QuietModel):
    """What became of an upload's files. Each document is indexed by a job of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "documents": [_EXAMPLE | {"status": "queued", "pages": 0, "pages_done": 0, "title": ""}],
                    "problems": [
                        {
                            "index": 1,
                            "type": "urn:problem:empty-file",
                            "title": "Unprocessable Content",
                            "status": 422,
                            "detail": "The file is empty.",
                        }
                    ],
                }
            ]
        }
    )

    documents: list[DocumentView]
    problems: list[FileProblem]


def document_view(record: DocumentRecord, base: str = "") -> DocumentView:
    """What a client sees of `record`; `base` goes before each path of its links."""
    document = f"{base}/documents/{record.document_id}"
    job = f"{base}/job-status/{record.job_id}" if record.job_id else None
    urls = DocumentUrls(document=document, file=f"{document}/file", job=job)
    return DocumentView(**record.model_dump(), urls=urls)


class CollectionRequest(CollectionSettings):
    """What is to be said of a collection, in place of what was said before. What is left out is said no more."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SAID]})


class CollectionView(QuietModel):
    """A collection: what is said of it, and how much it holds."""

    model_config = ConfigDict(json_schema_extra={"examples": [_COLLECTION]})

    name: str
    title: str | None
    description: str | None
    instructions: str | None = Field(description="What its answers should be like, below the service's own rules")
    top_k: int | None = Field(description="Chunks to retrieve where a question does not say; null: TOP_K")
    documents: int = Field(ge=0, description="In whatever state")
    chunks: int = Field(ge=0, description="Pieces in the index")
    embedding_model: str | None = Field(
        description="By whose vectors chunks are found beside their words; null: by words alone, with no model or "
        "before its vectors are made"
    )
    version: str | None = Field(
        description="Another one whenever a document, or what is said of the collection, has changed; null: not yet "
        "written to"
    )


class CollectionList(QuietModel):
    """Some collections, in the order of their names."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"collections": [_COLLECTION], "next_cursor": None}]})

    collections: list[CollectionView]
    next_cursor: str | None = Field(description="`cursor` of the page that follows; null: this was the last one")


def collection_view(collection: Collection, embedding_model: str | None) -> CollectionView:
    """What a client sees of `collection`, in an index with vectors of `embedding_model`."""
    return CollectionView(
        name=collection.name,
        **collection.settings.model_dump(),
        documents=collection.documents,
        chunks=collection.chunks,
        embedding_model=embedding_model,
        version=collection.version,
    )


class PageView(QuietModel):
    """A page as it is shown, with a quote marked on it. Boxes are left, top, width and height, in points."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PAGE_EXAMPLE]})

    page: int = Field(ge=1, description="Counted from 1")
    pages: int = Field(ge=1, description="How many the document has")
    page_label: str = Field(description="What the document calls the page: iv, A-3; empty when its number")
    version: str = Field(description="The hash of the document's file; an address with it may be kept for good")
    width: float = Field(description="Of the page, in points; 0 for one that is words alone")
    height: float
    picture: dict[str, str] | None = Field(
        description="The addresses of the page's picture, by its width in pixels; null for a page of words alone"
    )
    found: bool = Field(
        description="Whether the quote is marked: by boxes, or in the words of a page without picture"
    )
    boxes: Marks = Field(description="A box for each line of the quote; empty when it is not found for certain")
    next_boxes: Marks = Field(description="Those on the page after, for a quote that runs over")
    words: str = Field(description="The page's text as it was read")
    span: tuple[int, int] | None = Field(
        description="Where the quote, or its beginning on this page, stands in `words`: begin and end in code points"
    )


def page_view(result: PageResult, document_id: str, version: str, base: str) -> PageView:
    """What a client sees of `result`; `base` goes before each path of its addresses."""
    path = f"{base}/documents/{document_id}/pages/{result.page}.png"
    picture = {str(width): f"{path}?version={version}&width={width}" for width in get_args(PictureWidth)}
    return PageView(
        **result.model_dump(exclude={"has_picture"}),
        version=version,
        picture=picture if result.has_picture else None,
        found=bool(result.boxes) if result.has_picture else result.span is not None,
    )


UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                            "description": f"One part for each file, named in one of {', '.join(SUFFIXES)}",
                        },
                        "collection": {
                            "type": "string",
                            "pattern": LABEL.pattern,
                            "default": "default",
                            "description": "Where the documents go; a query parameter does as well",
                        },
                    },
                    "additionalProperties": False,
                }
            }
        },
    }
}
"""The upload's body for the OpenAPI document: it is read by hand, so FastAPI does not know of it."""
