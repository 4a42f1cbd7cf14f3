"""Requests and responses about documents, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from app.core.contract import LABEL
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
