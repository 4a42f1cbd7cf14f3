"""Requests and responses, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator

from app.core.contract import (
    DEFAULT_COLLECTION,
    DOCUMENT_IDS_MAX,
    TOP_K_MAX,
    AnswerResult,
    Citation,
    EmbedResult,
    EraseResult,
    IngestResult,
    JobStatus,
    Label,
    PageResult,
    Query,
    SearchFilters,
    SearchResult,
    Stage,
    is_signing_secret,
)
from app.core.errors import JobError
from app.core.links import Links
from app.core.model_findings import ModelRole
from app.core.models import QuietModel
from app.core.queue.conversations import Conversation
from app.core.queue.lines import Priority

CREDENTIAL_MAX_CHARACTERS = 8192
"""Longer than tokens of identity providers are."""


class SearchRequest(QuietModel):
    """A search in the documents."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "warranty of the pump", "top_k": 5}]}
    )

    query: Query
    collection: Label = Field(DEFAULT_COLLECTION, description="Which documents to look in")
    top_k: int | None = Field(None, ge=1, le=TOP_K_MAX, description="Chunks to retrieve; unset: TOP_K")
    document_ids: tuple[Label, ...] | None = Field(
        None, min_length=1, max_length=DOCUMENT_IDS_MAX, description="Look in these documents only"
    )
    filters: SearchFilters | None = Field(None, description="Narrow it further: file names, pages, times")
    priority: Priority = Field(
        "normal", description="low: for bulk work; it waits behind all that is not, but for one job in ten"
    )

    def plain(self) -> dict[str, Any]:
        """The fields of the job that this asks for, those that were given."""
        given = self.model_dump(include={"query", "collection", "top_k", "session_id"}, exclude_unset=True)
        filters = self.filters
        if self.document_ids is not None:
            filters = (filters or SearchFilters()).model_copy(update={"document_ids": self.document_ids})
        return given if filters is None else given | {"filters": filters}


class WebhookRequest(QuietModel):
    """Where to tell that the job has ended (https://www.standardwebhooks.com)."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2048, description="https://...; it must not lead to a private address")
    secret: SecretStr | None = Field(
        None, description="`whsec_` and 24 to 64 bytes in base64, to sign with; unset: the operator's WEBHOOK_SECRET"
    )

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise ValueError("is not a URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ValueError("must be like https://host/path, without a user's name")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("must be ASCII; encode other characters")
        return parts.scheme + url[len(parts.scheme) :]  # which urlsplit has in lower case (RFC 3986, section 3.1)

    @field_validator("secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not is_signing_secret(secret.get_secret_value()):
            raise ValueError("must be whsec_ and 24 to 64 bytes in base64")
        return secret


class ChatRequest(SearchRequest):
    """A question over the documents."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "How long is the warranty?", "top_k": 5}]}
    )

    session_id: Label | None = Field(
        None,
        description="Your own name for the conversation, which is kept: a question may lean on those before it",
    )
    webhook: WebhookRequest | None = Field(None, description="Where to tell that the answer is there")


class ConversationSummary(QuietModel):
    """A conversation."""

    session_id: str
    title: str = Field(description="The beginning of its first question")
    turns: int = Field(ge=0)
    created_at: datetime | None
    used_at: datetime | None = Field(description="When an answer was last written into it")

    @classmethod
    def of(cls, kept: Conversation) -> Self:
        """What a list shows of it."""
        return cls(
            session_id=kept.session_id,
            title=kept.title,
            turns=kept.turn_count,
            created_at=kept.created_at,
            used_at=kept.used_at,
        )


class ConversationList(QuietModel):
    """A page of conversations, the latest used first."""

    conversations: list[ConversationSummary]
    next_cursor: str | None = Field(description="For `cursor`; null when there are no more")


class ConversationTurn(QuietModel):
    """A question of a conversation, and what is kept of its answer."""

    job_id: str
    asked_at: datetime
    question: str
    standalone_question: str | None = Field(description="What was searched for, when the question leaned on others")
    answer: str
    citations: list[Citation]


class ConversationView(QuietModel):
    """A conversation, its turns in the order of asking."""

    session_id: str
    title: str
    created_at: datetime | None
    used_at: datetime | None
    turns: list[ConversationTurn]

    @classmethod
    def of_turns(cls, kept: Conversation, links: Links) -> Self:
        """All of it, its citations with links that can be followed."""
        return cls(
            session_id=kept.session_id,
            title=kept.title,
            created_at=kept.created_at,
            used_at=kept.used_at,
            turns=[
                ConversationTurn(
                    job_id=each.job_id,
                    asked_at=each.asked_at,
                    question=each.turn.question,
                    standalone_question=each.turn.standalone_question,
                    answer=each.turn.answer,
                    citations=[links.followed(cited) for cited in each.turn.citations],
                )
                for each in kept.turns
            ],
        )


class JobUrls(QuietModel):
    """Where to look next."""

    status: str
    result: str
    stream: str
    cancel: str

    @classmethod
    def of(cls, job_id: str, base: str = "") -> "JobUrls":
        """The addresses of one job; `base` goes before each path."""
        return cls(
            status=f"{base}/job-status/{job_id}",
            result=f"{base}/result/{job_id}",
            stream=f"{base}/stream/{job_id}",
            cancel=f"{base}/jobs/{job_id}/cancel",
        )


class TicketUrls(QuietModel):
    """Where the ticket's job is read, the ticket in the address."""

    status: str
    result: str
    stream: str


class Ticket(QuietModel):
    """Lets whoever has it read one job until it expires: for EventSource, which can send no key in a header."""

    ticket: str = Field(description="For `?ticket=`; it opens as many connections as you like until it expires")
    expires_in: int = Field(ge=1, description="Seconds. A stream that is open then goes on")
    expires_at: datetime
    urls: TicketUrls


class JobAccepted(QuietModel):
    """The job is on the queue and will not be lost."""

    job_id: str
    status: Literal[JobStatus.QUEUED] = JobStatus.QUEUED
    position: int = Field(ge=1, description="Place in the queue, from 1")
    expires_at: datetime = Field(description="The result is kept until then, at least")
    urls: JobUrls


class Progress(QuietModel):
    """How far a document's indexing is, in pages."""

    done: int = Field(ge=0)
    total: int = Field(ge=0)


class JobState(QuietModel):
    """Where a job is."""

    job_id: str
    kind: Literal["answer", "task", "search", "embed", "ingest", "delete", "erase", "page"]
    status: JobStatus
    position: int | None = Field(description="Place in the queue, from 1; null once started")
    attempt: int = Field(ge=0, description="How many times the job was started")
    stage: Stage | None = Field(description="What a started job is doing")
    progress: Progress | None = Field(None, description="Of a document that is being indexed")
    enqueued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    error: JobError | None


class JobResult(QuietModel):
    """What became of a job. `result` is null unless it finished, `error` is null unless it failed."""

    job_id: str
    status: JobStatus
    result: AnswerResult | SearchResult | EmbedResult | IngestResult | EraseResult | PageResult | None
    error: JobError | None


class Removed(QuietModel):
    """How many jobs were removed."""

    removed: int = Field(ge=0)


class SignIn(QuietModel):
    """What to sign in with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"key": "rag_..."}]})

    key: SecretStr = Field(min_length=1, max_length=CREDENTIAL_MAX_CHARACTERS, description="An API key or a JWT")

    @field_validator("key")
    @classmethod
    def _is_text(cls, key: SecretStr) -> SecretStr:
        try:
            key.get_secret_value().encode()
        except UnicodeEncodeError:
            raise ValueError("must be text in UTF-8") from None
        return key


class Session(QuietModel):
    """Who asks. `expires_at` is null where nothing expires: for a key, and for a service without keys."""

    tenant: str
    name: str
    role: Literal["ask", "ingest", "admin"]
    expires_at: datetime | None


class FieldProblem(QuietModel):
    """One thing that is wrong with a request: where, and what; never the value."""

    model_config = ConfigDict(populate_by_name=True)

    where: str = Field(alias="in", description="body, query, path, header")
    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or the parameter's name")
    detail: str


class Problem(QuietModel):
    """An error as RFC 9457 has it (application/problem+json)."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:problem:job-not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no such job, or its answer has expired. Ask again with POST /chat.",
                }
            ]
        },
    )

    type: str = Field(description="What kind of problem this is; stable, so that clients may switch on it")
    title: str
    status: int
    detail: str = Field(description="What to do about it")
    errors: list[FieldProblem] | None = Field(None, description="What is wrong with the request, one by one")


class Health(QuietModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(QuietModel):
    """Whether questions would be answered now; each part is "ok", "unavailable" or "full".

    `warnings` are there when a worker has found something wrong with a model's settings, in words, by model, or
    when chunks lack vectors of the embedding model.
    """

    status: Literal["ok", "unavailable"]
    checks: dict[str, Literal["ok", "unavailable", "full"]]
    warnings: dict[ModelRole | Literal["index_of_another_model"], str] = Field({})


class Root(QuietModel):
    """What this is and where to go."""

    name: str
    version: str
    status: Literal["ok"] = "ok"
    docs: str
    ready: str


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that answers these error statuses."""
    return {
        status: {
            "description": _MEANING[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


_MEANING = {
    400: "The request is not JSON, or a header of it is malformed",
    401: "No credentials, or none that are valid",
    403: "Not for this role",
    404: "There is no such thing, or it is not yours",
    409: "Not in this state",
    413: "The body is too large",
    415: "The body is of another media type",
    416: "There is no such range",
    422: "The request is well-formed and wrong; or its Idempotency-Key was used with another body",
    429: "Too many requests; see Retry-After",
    503: "The queue is full or can't be reached; see Retry-After",
}
