"""The log's database: SQLAlchemy's engine over SQLite or PostgreSQL, with each of its time-outs stated.

Everything here blocks; `app.chat_log.log` calls it in threads of its own.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from app.chat_log.place import sqlite_path
from app.core.private_files import FILE_MODE, make_private_folder

CONNECT_SECONDS = 5
BUSY_SECONDS = 5
"""How long SQLite waits for another process that writes."""
STATEMENT_SECONDS = 30
"""Longest run of one statement; PostgreSQL ends it then."""
LOST_MILLISECONDS = 10_000
"""How long what was sent to PostgreSQL may go unacknowledged before the connection counts as lost."""
CONNECTIONS = 4
"""As many as `app.chat_log.log` has threads."""

WRITES = "writes"
"""The execution option of a connection that writes: SQLite locks at its first statement, and never in its midst."""


def open_database(url: str) -> Engine:
    """The engine for `url`, as DATABASE_URL has it; connects later. Its errors hold no value.

    Raises `OSError` when SQLite's file can't be made.
    """
    path = sqlite_path(url)
    return _sqlite(path) if path is not None else _postgresql(make_url(url))


def writing(engine: Engine) -> Engine:
    """The same engine, for transactions that write."""
    return engine.execution_options(**{WRITES: True})


def _sqlite(path: Path) -> Engine:
    make_private_folder(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE))  # its log beside it gets the same mode
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        hide_parameters=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=STATEMENT_SECONDS,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin as `_begin_sqlite` says
    connection.create_function("lower", 1, _lower, deterministic=True)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _lower(value: object) -> str | None:
    """SQLite's own knows ASCII alone."""
    return None if value is None else str(value).lower()


def _begin_sqlite(connection: Connection) -> None:
    is_writing = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


def _postgresql(url: URL) -> Engine:
    given: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": LOST_MILLISECONDS,
        "application_name": "rag-queue",
    }
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=STATEMENT_SECONDS,
        pool_pre_ping=True,
        # A pooler before PostgreSQL keeps no prepared statements.
        connect_args={name: value for name, value in given.items() if name not in url.query}
        | {"prepare_threshold": None},
    )
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
