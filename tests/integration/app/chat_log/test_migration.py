"""The tables come up from nothing and from the revision before, with its rows, whoever else starts at that time."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from app.chat_log import ChatLogUnavailableError
from app.chat_log.database import open_database, writing
from app.chat_log.filters import Filter
from app.chat_log.migration import HEAD, SCRIPTS, VERSION_TABLE, config, migrate, revision
from app.chat_log.store import Store
from app.chat_log.tables import metadata
from tests.support.chat_log import entry, rows

FIRST_ROW = """
INSERT INTO chat_log (job_id, tenant, status, enqueued_at, ended_at, input_tokens, output_tokens, question)
VALUES ('old', 'acme', 'finished', '2026-01-01 12:00:00', '2026-01-01 12:00:01.5', 1, 2, 'What was?')
"""


def to(url: str, wanted: str, *statements: str) -> None:
    engine = open_database(url)
    with writing(engine).begin() as connection:
        current = revision(connection)
        (command.downgrade if current and current > wanted else command.upgrade)(config(connection), wanted)
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_the_latest_revision_is_the_head_of_all() -> None:
    made = AlembicConfig()
    made.set_main_option("script_location", str(SCRIPTS))
    made.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(made).get_heads() == [HEAD]


def test_from_nothing_the_tables_are_as_the_code_knows_them(database_url: str) -> None:
    engine = open_database(database_url)
    migrate(engine)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    engine.dispose()


def test_a_row_of_the_revision_before_is_there_after_it_and_can_be_rated(database_url: str) -> None:
    to(database_url, "0001", FIRST_ROW)
    with closing(Store(database_url)) as store:
        store.write([entry()])
        assert store.say("old", "acme", {"rating": "down", "comment": "no", "expected": "x", "rated_at": None})
        old = store.page("acme", Filter(rating="down"), limit=1, after=None)[0]
    assert (old.job_id, old.question, old.ended_at.isoformat()) == (
        "old",
        "What was?",
        "2026-01-01T12:00:01.500000+00:00",
    )


def test_back_to_the_revision_before_keeps_its_rows(database_url: str) -> None:
    with closing(Store(database_url)) as store:
        store.write([entry()])
    to(database_url, "0001")
    [row] = rows(database_url)
    assert row["question"] == "When?"
    assert "rating" not in row


def test_many_that_start_at_once_make_the_tables_once(database_url: str) -> None:
    def start(number: int) -> None:
        with closing(Store(database_url)) as store:
            store.write([entry(f"j{number}")])

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(start, range(6)))
    assert len(rows(database_url)) == 6


def test_tables_of_a_later_version_are_left_alone(database_url: str) -> None:
    Store(database_url).close()
    engine = open_database(database_url)
    with writing(engine).begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ChatLogUnavailableError, match="NewerDatabaseError"):
        Store(database_url)
