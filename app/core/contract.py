"""What the API and the workers agree on: queue and job names, job states, and the models that cross the queue.

Both sides check what they read with these models: Valkey's contents are as hostile as a request's body.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

QUERY_QUEUE = "rag_queries"
INGEST_QUEUE = "rag_ingest"
ANSWER_JOB = "worker.jobs.answer_question"
"""The job's function, by name: the API never imports the worker. A test holds that it resolves."""

DEFAULT_TENANT = "default"
DEFAULT_COLLECTION = "default"
QUERY_MAX_CHARACTERS = 8_000
TOP_K_MAX = 50
DOCUMENT_IDS_MAX = 100

Query = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=QUERY_MAX_CHARACTERS),
    Field(description="The question, in any language."),
]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]


class JobStatus(StrEnum):
    """A job's state, in RQ's words."""

    QUEUED = "queued"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_terminal(self) -> bool:
        """Whether the job will never change again."""
        return self in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED)


class Stage(StrEnum):
    """What a started job is doing."""

    RETRIEVAL = "retrieval"
    GENERATION = "generation"


class Frozen(BaseModel):
    """A model that rejects what it does not know and is never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnswerJob(Frozen):
    """A question on its way to a worker."""

    query: Query
    tenant: Label = DEFAULT_TENANT
    collection: Label = DEFAULT_COLLECTION
    top_k: int | None = Field(None, ge=1, le=TOP_K_MAX)
    document_ids: tuple[Label, ...] | None = Field(None, min_length=1, max_length=DOCUMENT_IDS_MAX)
    session_id: Label | None = None


class Citation(Frozen):
    """Where a statement of the answer stands."""

    n: int = Field(ge=1, description="The mark in the answer: [n]")
    document_id: str
    filename: str
    page: int = Field(ge=1, description="Counted from 1")
    quote: str = Field(description="Words that stand on that page")
    score: float = Field(description="Retrieval score; comparable within one answer only")


class Usage(Frozen):
    """Tokens that the model's provider counted."""

    input_tokens: int = Field(0, ge=0)
    output_tokens: int = Field(0, ge=0)


class Timings(Frozen):
    """Where the time went, in milliseconds."""

    queued: float = Field(ge=0)
    retrieval: float = Field(ge=0)
    generation: float = Field(ge=0)
    total: float = Field(ge=0)


class AnswerResult(Frozen):
    """What a finished question's job returns."""

    answer: str
    mode: Literal["model", "extractive"]
    grounded: bool = Field(description="Whether the answer rests on the citations; false when nothing was found")
    citations: tuple[Citation, ...]
    model: str | None
    usage: Usage
    cached: bool = False
    timings_ms: Timings
