"""What operators send and are sent: queues, their history, worker processes, failed jobs and a job's timeline."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from app.core.contract import JobStatus
from app.core.errors import ErrorCode, JobError
from app.core.models import QuietModel
from app.core.queue.producer import JOB_ID
from app.jobs.failed import CURSOR
from app.schemas import JobState

CHOSEN_MAX = 500
"""Jobs that one request sends back or removes: a second or so, in which an API process answers others as well."""
TEXT_MAX_CHARACTERS = 200

Kind = Literal["answer", "task", "search", "embed", "ingest", "delete", "erase", "page"]
FailedKind = Literal["answer", "task", "search", "embed", "ingest", "delete", "erase"]
"""Of jobs that wait for an operator when they have failed."""
JobId = Annotated[str, Field(pattern=f"^{JOB_ID.pattern}$")]


class WorkerState(QuietModel):
    """One RQ worker. `job_id` is null when it is idle, or works for another tenant."""

    name: str
    state: str
    job_id: str | None


class QueueState(QuietModel):
    """One queue and who serves it."""

    name: str
    queued: int = Field(ge=0)
    started: int = Field(ge=0)
    scheduled: int = Field(ge=0, description="Waiting for a retry")
    finished: int = Field(ge=0)
    failed: int = Field(ge=0)
    canceled: int = Field(ge=0, description="Stopped, waiting or running, before they had ended")
    oldest_seconds: float | None = Field(description="How long the next job has waited")
    workers: list[WorkerState]


class BudgetState(QuietModel):
    """Where all workers together stand in what the model may be asked; null: no such limit is set."""

    in_flight: int | None = Field(ge=0, description="Calls of the model that run now")
    concurrency: int | None = Field(description="MODEL_MAX_CONCURRENCY")
    requests_per_minute: int | None = Field(description="MODEL_REQUESTS_PER_MINUTE")
    tokens_per_minute: int | None = Field(description="MODEL_TOKENS_PER_MINUTE")
    paused_seconds: float | None = Field(description="Until the model is asked again, when its provider said to wait")


class Queues(QuietModel):
    """All queues of the service."""

    queues: list[QueueState]
    budget: BudgetState


class Minute(QuietModel):
    """What became of a queue's jobs in one minute."""

    at: datetime = Field(description="When it began")
    finished: int = Field(ge=0)
    failed: int = Field(ge=0)
    stopped: int = Field(ge=0)
    retries: int = Field(ge=0, description="Attempts beyond the first, of the jobs that ended then")
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)


class Percentiles(QuietModel):
    """In milliseconds, from counts in buckets whose bounds are 1.41 apart; null when nothing was counted."""

    p50: float | None
    p95: float | None


class QueueHistory(QuietModel):
    """What became of a queue's jobs, by minute, the one that runs last. Percentiles are of all the minutes."""

    name: str
    minutes: list[Minute]
    waiting_ms: Percentiles = Field(description="From the queue to a worker, the last attempt")
    total_ms: Percentiles = Field(description="From the question to its end")


class QueuesHistory(QuietModel):
    """The history of all queues."""

    queues: list[QueueHistory]


class WorkerProcess(QuietModel):
    """One process of workers. `job_ids` are those of your tenant that it runs; `busy` counts everybody's."""

    name: str
    hostname: str
    pid: int | None
    queues: list[str]
    threads: int = Field(ge=1, description="RQ workers of this process: as many jobs run at once at most")
    busy: int = Field(ge=0)
    job_ids: list[str]
    started_at: datetime | None
    heartbeat_at: datetime | None = Field(description="When it was last heard of")


class Workers(QuietModel):
    """All processes that work for the queues."""

    workers: list[WorkerProcess]


class FailedJob(JobState):
    """A job that has failed."""

    queue: str


class JobList(QuietModel):
    """Jobs, the latest first. A page may have fewer than were asked for, and not be the last."""

    jobs: list[FailedJob]
    next_cursor: str | None = Field(description="`cursor` of the page that follows; null: this was the last one")


class FailedFilter(QuietModel):
    """Which failed jobs: all that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    queue: Literal["rag_queries", "rag_ingest"] | None = None
    kind: FailedKind | None = None
    code: ErrorCode | None = Field(None, description="The error's code")
    text: str | None = Field(None, max_length=TEXT_MAX_CHARACTERS, description="Stands in the error's message")
    since: AwareDatetime | None = Field(None, description="Failed at this time or later")


class ChosenJobs(QuietModel):
    """Failed jobs: those that are named, or all that a filter lets through; then `cursor` goes on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"filter": {"code": "model_timeout"}}, {"job_ids": ["5f0c1a9b"]}]},
    )

    job_ids: list[JobId] | None = Field(None, min_length=1, max_length=CHOSEN_MAX)
    filter: FailedFilter | None = None
    cursor: str | None = Field(None, pattern=CURSOR.pattern, description="The last answer's `next_cursor`")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "ChosenJobs":
        if (self.job_ids is None) == (self.filter is None):
            raise ValueError("needs either job_ids or filter")
        if self.cursor is not None and self.filter is None:
            raise ValueError("has a cursor, which goes with filter")
        return self


class JobProblem(QuietModel):
    """Why nothing was done with one of the jobs."""

    job_id: str
    type: str
    detail: str


class BulkDone(QuietModel):
    """What was done. Call again with `next_cursor` until it is null."""

    done: int = Field(ge=0)
    problems: list[JobProblem]
    next_cursor: str | None


class Step(QuietModel):
    """One step of a job's way."""

    name: Literal[
        "queued", "started", "retrieved", "first_word", "parsing", "embedding", "finished", "failed", "stopped"
    ]
    at: datetime
    since_ms: float | None = Field(description="Milliseconds since the step before; null for the first")
    attempt: int = Field(ge=0, description="The attempt that it belongs to, from 1; 0: before the first")


class Timeline(QuietModel):
    """A job's way through the service, step by step."""

    job_id: str
    kind: Kind
    queue: str
    status: JobStatus
    attempt: int = Field(ge=0)
    question: str | None = Field(description="What was asked; null for a document's job, and when it is gone")
    steps: list[Step]
    error: JobError | None
