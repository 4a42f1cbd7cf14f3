"""What is sent and answered about the chat log: what people say of an answer, and what was asked."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from app.chat_log.filters import CURSOR
from app.core.contract import QUERY_MAX_CHARACTERS, Label
from app.core.models import QuietModel

COMMENT_MAX_CHARACTERS = 4_000
TEXT_MAX_CHARACTERS = 200
PAGE_MAX = 500

Rating = Literal["up", "down"]
Format = Literal["json", "csv", "jsonl"]


class FeedbackRequest(QuietModel):
    """What somebody says of an answer. Sent again, it takes the place of what was said before."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"rating": "down", "comment": "The old edition.", "expected": "Three years."}]
        },
    )

    rating: Rating
    comment: Annotated[str, StringConstraints(max_length=COMMENT_MAX_CHARACTERS)] | None = None
    expected: Annotated[str, StringConstraints(max_length=QUERY_MAX_CHARACTERS)] | None = Field(
        None, description="What the answer should have been, or a part of it"
    )


class Feedback(FeedbackRequest):
    """What stands in the chat log of an answer now."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    job_id: str
    rated_at: datetime


class HistoryEntry(QuietModel):
    """A question that has ended. Question, answer and citations are null where CHAT_LOG_CONTENT is not set."""

    job_id: str
    session_id: str | None
    collection: str | None
    status: str = Field(description="finished, failed or stopped")
    enqueued_at: datetime
    started_at: datetime | None
    ended_at: datetime
    model: str | None
    input_tokens: int
    output_tokens: int
    cost_usd: float | None = Field(description="By MODEL_PRICES; null when they do not have the model")
    mode: str | None = Field(description="model or extractive")
    grounded: bool | None
    cached: str | None = Field(description="How the answer was found without asking the model; null: it was asked")
    error: str | None = Field(description="The code of a question that failed")
    question: str | None
    answer: str | None
    citations: list[dict[str, Any]] | None
    rating: str | None = Field(description="up or down; null: nobody has said")
    comment: str | None
    expected: str | None
    rated_at: datetime | None


class HistoryPage(QuietModel):
    """Questions that have ended, the latest first; `next_cursor` is null at the end of all."""

    entries: list[HistoryEntry]
    next_cursor: str | None


class HistoryQuery(BaseModel):
    """Which of a tenant's ended questions, and how they are told."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    since: Annotated[
        AwareDatetime | None, Query(alias="from", description="Those that ended at this time or later")
    ] = None
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Those that ended before this time")] = None
    rating: Annotated[Rating | None, Query(description="Those that were rated so")] = None
    grounded: Annotated[bool | None, Query(description="Those whose answer rests on citations, or does not")] = None
    session_id: Annotated[Label | None, Query(description="Those of this conversation")] = None
    text: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=TEXT_MAX_CHARACTERS,
            pattern=r"^[^\x00]*$",
            description="These words stand in the question, the answer or what was said of it, in either case",
        ),
    ] = None
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="Of a page in JSON; CSV and JSON lines have all")] = (
        100
    )
    cursor: Annotated[str | None, Query(pattern=CURSOR.pattern, description="A page's `next_cursor`")] = None
    format: Annotated[Format | None, Query(description="json, csv or jsonl; unset: as Accept says, else json")] = None
