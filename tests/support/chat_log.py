"""Rows of the chat log as tests make and read them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.chat_log.entries import Entry

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def entry(job_id: str = "j1", **more: Any) -> Entry:
    """A row of a question that was answered."""
    given: dict[str, Any] = {
        "job_id": job_id,
        "tenant": "acme",
        "session_id": "s1",
        "collection": "default",
        "status": "finished",
        "enqueued_at": NOON,
        "started_at": NOON + timedelta(seconds=1),
        "ended_at": NOON + timedelta(seconds=2, microseconds=345_678),
        "model": "m",
        "input_tokens": 10,
        "output_tokens": 2,
        "cost_usd": 0.25,
        "mode": "model",
        "grounded": True,
        "cached": None,
        "error": None,
        "question": "When?",
        "answer": "At six [1].",
        "citations": [{"n": 1, "page": 3, "quote": "at six"}],
    }
    return Entry(**given | more)


def rows(url: str) -> list[dict[str, Any]]:
    """All rows, as the database has them, by job; none while there is no table."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT * FROM chat_log ORDER BY job_id")).mappings()
            return [dict(row) for row in found]
    except (OperationalError, ProgrammingError):
        return []
    finally:
        engine.dispose()


def job_ids(url: str) -> Sequence[str]:
    """Whose rows there are."""
    return [row["job_id"] for row in rows(url)]


def file_bytes(url: str) -> bytes:
    """All that SQLite has on disk, its log beside the database too."""
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(path.name + "*")))
