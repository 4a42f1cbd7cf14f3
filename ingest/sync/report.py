"""What a run did, as data: an outcome for each document, and their sum."""

from collections import Counter
from enum import StrEnum

from pydantic import ConfigDict, Field, computed_field

from app.core.errors import MESSAGES, ErrorCode
from app.core.models import QuietModel
from ingest.reading.reasons import SENTENCES, Reason


class Status(StrEnum):
    """What became of a document."""

    ADDED = "added"
    UPDATED = "updated"
    RENAMED = "renamed"
    UNCHANGED = "unchanged"
    PRUNED = "pruned"
    FAILED = "failed"
    SKIPPED = "skipped"


MESSAGES_WHEN_INDEXING: dict[ErrorCode, str] = {
    ErrorCode.INDEX_UNAVAILABLE: "Qdrant cannot be reached. Start it, or correct QDRANT_URL, and run again.",
    ErrorCode.INDEX_MISMATCH: (
        "The embedding model gives vectors of another length than the index has. Run python -m ingest --reembed, or "
        "set EMBEDDING_MODEL back."
    ),
    ErrorCode.MODEL_UNAVAILABLE: "The embedding model cannot be reached or failed. Run again when it is back.",
    ErrorCode.MODEL_TIMEOUT: "The embedding model did not answer within MODEL_TIMEOUT_SECONDS. Run again.",
    ErrorCode.MODEL_RATE_LIMITED: "The embedding model's provider limits our requests. Run again in a while.",
    ErrorCode.MODEL_AUTH_FAILED: (
        "The embedding model's provider refused the key. Set OPENAI_API_KEY, or EMBEDDING_MODEL=none for words alone."
    ),
    ErrorCode.MODEL_REJECTED: (
        "The embedding model refused. Are EMBEDDING_MODEL, CHUNK_SIZE and its address, which ends in /v1, right? "
        "EMBEDDING_MODEL=none indexes words alone."
    ),
    ErrorCode.CONTEXT_TOO_LONG: "A chunk is longer than the embedding model can read. Set a smaller CHUNK_SIZE.",
    ErrorCode.CONTENT_FILTERED: "The embedding model's provider refused the text for its content.",
    ErrorCode.JOB_TIMEOUT: "Its job took longer than INGEST_TIMEOUT_SECONDS.",
    ErrorCode.WORKER_LOST: "Its job was cancelled, or its worker died again and again. Run again.",
    ErrorCode.INTERNAL: "The index refused the request. LOG_LEVEL=debug shows why; is QDRANT_API_KEY right?",
}
"""`app.core.errors` words the codes for somebody who asked a question; here an operator reads them."""


OTHER_KINDS = (Reason.NOT_READ_KIND, Reason.OLD_OFFICE)


class Failure(QuietModel):
    """A code that a program may switch on, and a sentence for people."""

    model_config = ConfigDict(frozen=True)

    code: Reason | ErrorCode
    message: str

    @classmethod
    def of(cls, code: Reason | ErrorCode) -> "Failure":
        """The one wording of `code`."""
        if isinstance(code, Reason):
            return cls(code=code, message=SENTENCES[code])
        return cls(code=code, message=MESSAGES_WHEN_INDEXING.get(code, MESSAGES[code]))


class Outcome(QuietModel):
    """What became of one document. Pages count from 1; `cut_pages` were too long and lost their end."""

    model_config = ConfigDict(frozen=True)

    source: str
    status: Status
    document_id: str | None = None
    pages: int = 0
    chunks: int = 0
    missing_pages: tuple[int, ...] = ()
    cut_pages: tuple[int, ...] = ()
    failure: Failure | None = None

    @property
    def is_partial(self) -> bool:
        """Whether the document is indexed, but not all of it."""
        return bool(self.missing_pages or self.cut_pages)

    @property
    def is_of_other_kind(self) -> bool:
        """Whether it is a file that was passed over, since files of its kind are not read."""
        return self.status is Status.SKIPPED and self.failure is not None and self.failure.code in OTHER_KINDS


class Report(QuietModel):
    """The sum of a run. `ended_by` is set when it ended before all documents had their turn."""

    collection: str
    dry_run: bool
    documents: list[Outcome] = Field([])
    ended_by: Failure | None = None
    interrupted: bool = False
    not_reached: int = 0
    seconds: float = 0.0
    lacks_vectors: bool = False
    """Chunks are found by words alone, as the index has no vectors of EMBEDDING_MODEL for them."""
    other_kinds: dict[str, int] = Field({})
    """Files of the folders that are of no format that is read, by suffix; the first of them are `documents`, too."""

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def counts(self) -> dict[Status, int]:
        """Documents by what became of them; each status is there."""
        counted = Counter(outcome.status for outcome in self.documents)
        listed = sum(outcome.is_of_other_kind for outcome in self.documents)
        counted[Status.SKIPPED] += max(0, sum(self.other_kinds.values()) - listed)
        return {status: counted[status] for status in Status}

    @property
    def has_failed(self) -> bool:
        """Whether a document failed, or the run could not go on."""
        return self.ended_by is not None or self.counts[Status.FAILED] > 0

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def pages(self) -> int:
        """Pages of the documents that were added or updated."""
        return sum(outcome.pages for outcome in self._written)

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def chunks(self) -> int:
        """Chunks of the documents that were added or updated."""
        return sum(outcome.chunks for outcome in self._written)

    @property
    def _written(self) -> list[Outcome]:
        return [outcome for outcome in self.documents if outcome.status in (Status.ADDED, Status.UPDATED)]
