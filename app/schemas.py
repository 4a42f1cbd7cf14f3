"""Requests and responses, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.core.contract import (
    DEFAULT_COLLECTION,
    DOCUMENT_IDS_MAX,
    TOP_K_MAX,
    AnswerResult,
    JobStatus,
    Label,
    Query,
    Stage,
)
from app.core.errors import JobError


class ChatRequest(BaseModel):
    """A question over the documents."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "How long is the warranty?", "top_k": 5}]}
    )

    query: Query
    session_id: Label | None = Field(None, description="Your own name for the conversation")
    collection: Label = Field(DEFAULT_COLLECTION, description="Which documents to look in")
    top_k: int | None = Field(None, ge=1, le=TOP_K_MAX, description="Chunks to retrieve; unset: TOP_K")
    document_ids: tuple[Label, ...] | None = Field(
        None, min_length=1, max_length=DOCUMENT_IDS_MAX, description="Look in these documents only"
    )


class JobUrls(BaseModel):
    """Where to look next."""

    status: str
    result: str
    cancel: str


class ChatAccepted(BaseModel):
    """The question is on the queue and will not be lost."""

    job_id: str
    status: Literal[JobStatus.QUEUED] = JobStatus.QUEUED
    position: int = Field(ge=1, description="Place in the queue, from 1")
    expires_at: datetime = Field(description="The answer is kept until then, at least")
    urls: JobUrls


class JobState(BaseModel):
    """Where a job is."""

    job_id: str
    status: JobStatus
    position: int | None = Field(description="Place in the queue, from 1; null once started")
    attempt: int = Field(ge=0, description="How many times the job was started")
    stage: Stage | None = Field(description="What a started job is doing")
    enqueued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    error: JobError | None


class JobResult(BaseModel):
    """What became of a job. `result` is null unless it finished, `error` is null unless it failed."""

    job_id: str
    status: JobStatus
    result: AnswerResult | None
    error: JobError | None


class Problem(BaseModel):
    """An error as RFC 9457 has it (application/problem+json)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="What kind of problem this is; stable, so that clients may switch on it")
    title: str
    status: int
    detail: str = Field(description="What to do about it")


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether questions would be answered now; each part is "ok" or "away"."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, Literal["ok", "away"]]


class Root(BaseModel):
    """What this is and where to go."""

    name: str
    version: str
    status: Literal["ok"] = "ok"
    docs: str
    ready: str


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that answers these error statuses."""
    return {status: {"model": Problem, "content": {"application/problem+json": {}}} for status in statuses}
