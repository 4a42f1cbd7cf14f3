"""The log's table, as SQLAlchemy knows it; `app.chat_log.migrations` makes it."""

from datetime import UTC, datetime

from sqlalchemy import JSON, BigInteger, Boolean, Column, DateTime, Double, Index, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from app.core.contract import LABEL_MAX_CHARACTERS


class Moment(TypeDecorator[datetime]):
    """A time in UTC: `timestamptz` in PostgreSQL, text without a zone in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As the database takes it."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As it was given."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Label = String(LABEL_MAX_CHARACTERS)
Word = String(32)
"""One of a closed set of the service's own."""

metadata = MetaData()

chat_log = Table(
    "chat_log",
    metadata,
    Column("job_id", String(128), primary_key=True),
    Column("tenant", Label, nullable=False),
    Column("session_id", Label),
    Column("collection", Label),
    Column("status", Word, nullable=False),
    Column("enqueued_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment, nullable=False),
    Column("model", String(256)),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_usd", Double),
    Column("mode", Word),
    Column("grounded", Boolean),
    Column("cached", Word),
    Column("error", Word),
    Column("question", Text),
    Column("answer", Text),
    Column("citations", Json),
    Column("rating", Word),
    Column("comment", Text),
    Column("expected", Text),
    Column("rated_at", Moment),
    Index("ix_chat_log_tenant_ended_at", "tenant", "ended_at", "job_id"),
    Index("ix_chat_log_tenant_session_id", "tenant", "session_id"),
    Index("ix_chat_log_ended_at", "ended_at"),
)

SAID = ("rating", "comment", "expected", "rated_at")
"""The columns that people fill, and no job's end."""
