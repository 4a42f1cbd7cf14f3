"""What the catalog knows of a document, and what of it may be changed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from app.core.contract import MISSING_PAGES_MAX, Filename, Frozen, IngestJob, Label, Sha256
from app.core.errors import ErrorCode
from app.core.formats import MediaType

TITLE_CHARACTERS_MAX = 500

Title = Annotated[str, StringConstraints(max_length=TITLE_CHARACTERS_MAX)]
Count = Annotated[int, Field(ge=0)]
MissingPages = Annotated[tuple[int, ...], Field(max_length=MISSING_PAGES_MAX)]


class DocumentStatus(StrEnum):
    """Where a document is on its way into the index. A new version of an indexed one starts over."""

    QUEUED = "queued"
    PARSING = "parsing"
    EMBEDDING = "embedding"
    INDEXED = "indexed"
    FAILED = "failed"


AT_WORK = frozenset({DocumentStatus.QUEUED, DocumentStatus.PARSING, DocumentStatus.EMBEDDING})


class DocumentError(Frozen):
    """Why a document failed: a closed code, and a sentence fit for the public."""

    code: str = Field(pattern=r"^[a-z_]{1,64}$")
    message: str = Field(max_length=1_000)


STOPPED = DocumentError(code="stopped", message="Its indexing was stopped.")
JOB_LOST = DocumentError(
    code=ErrorCode.WORKER_LOST.value, message="The job that indexed it was lost. Upload it again."
)


class DocumentRecord(Frozen):
    """What the catalog knows of a document. Pages count from 1; `pages` and `chunks` are 0 until known."""

    document_id: Label
    collection: Label
    filename: Filename
    title: Title = ""
    sha256: Sha256
    size_bytes: Count
    media_type: MediaType
    status: DocumentStatus = DocumentStatus.QUEUED
    error: DocumentError | None = None
    pages: Count = 0
    pages_done: Count = 0
    chunks: Count = 0
    missing_pages: MissingPages = ()
    created_at: AwareDatetime
    updated_at: AwareDatetime
    job_id: Label | None = None


@with_config(extra="forbid")
class Changes(TypedDict, total=False):
    """What `update` may change. Other bytes are another version of the document: that is `put`."""

    filename: Filename
    title: Title
    status: DocumentStatus
    error: DocumentError | None
    pages: Count
    pages_done: Count
    chunks: Count
    missing_pages: MissingPages
    job_id: Label | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, the newest first. `next` is what `after` must be for those that follow; None: no more."""

    documents: tuple[DocumentRecord, ...]
    next: int | None


def new_record(
    job: IngestJob, *, size_bytes: int, media_type: MediaType, job_id: str | None = None
) -> DocumentRecord:
    """The record of a document that `job` is to index; `job_id` once it is on the queue."""
    now = datetime.now(UTC)
    return DocumentRecord(
        document_id=job.document_id,
        collection=job.collection,
        filename=job.filename,
        sha256=job.sha256,
        size_bytes=size_bytes,
        media_type=media_type,
        created_at=now,
        updated_at=now,
        job_id=job_id,
    )
