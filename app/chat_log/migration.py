"""Brings the log's tables to this version's form; any number of processes may do so at once."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from app.chat_log.database import writing

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

HEAD = "0002"
"""The latest revision in `app/chat_log/migrations/versions`."""
VERSION_TABLE = "chat_log_version"
"""The database may be shared with a program that has Alembic's own name in use."""
LOCK = 7_016_382_559
"""PostgreSQL's advisory lock of this step: any number that others do not use."""
SCRIPTS = Path(__file__).parent / "migrations"


class NewerDatabaseError(Exception):
    """A later version of the service has changed the tables: this one must not write to them."""


def migrate(engine: Engine) -> None:
    """Make the tables, or bring them up to `HEAD`, in one transaction. Raises `NewerDatabaseError`."""
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    with writing(engine).begin() as connection:  # SQLite: one process at a time from here on
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        found = revision(connection)
        if found is not None and found > HEAD:
            raise NewerDatabaseError
        from alembic import command  # takes as long to import as SQLAlchemy, and is needed once

        command.upgrade(config(connection), HEAD)


def config(connection: Connection) -> "AlembicConfig":
    """Alembic's, for `connection`; no file of its own is read."""
    from alembic.config import Config as AlembicConfig

    made = AlembicConfig()
    made.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def revision(connection: Connection) -> str | None:
    """The revision that the tables are of; None where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608  a constant
    return str(found) if found is not None else None
