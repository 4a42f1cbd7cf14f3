"""`python -m app history export` writes what the log has, from either database, and says so where there is none."""

import csv
import io
import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from app.__main__ import main
from app.chat_log.database import open_database
from app.chat_log.migration import HEAD, revision
from app.chat_log.store import Store
from app.core.settings import Settings
from tests.support.chat_log import NOON, entry
from tests.support.postgres import PASSWORD, Postgres


def test_all_of_a_tenants_rows_are_written(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setattr("app.cli.history.PAGE", 2)
    with closing(Store(database_url)) as store:
        store.write([entry(f"j{day}", ended_at=NOON + timedelta(days=day), question="=1+1") for day in range(5)])
        store.write([entry("other", tenant="globex")])
    assert main(["history", "export", "--tenant", "acme", "--from", "2026-11-27T12:00:00"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["job_id"], line["question"]) for line in lines] == [(f"j{day}", "=1+1") for day in (4, 3, 2, 1)]
    assert main(["history", "export", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["job_id"]: row["question"] for row in rows} == {f"j{day}": "'=1+1" for day in range(5)} | {
        "other": "When?"
    }


def test_the_embedded_log_is_found_in_data_dir(capsys: pytest.CaptureFixture[str]) -> None:
    data_dir = Settings().data_dir
    with closing(Store(f"sqlite:///{data_dir.absolute()}/history.sqlite3")) as store:
        store.write([entry()])
    assert main(["history", "export"]) == 0
    assert json.loads(capsys.readouterr().out)["job_id"] == "j1"


def test_without_a_log_or_with_one_that_is_away_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["history", "export"]) == 2
    assert "there is no chat log" in capsys.readouterr().err
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:9/x")
    assert main(["history", "export"]) == 1
    told = capsys.readouterr().err
    assert "can't be read" in told
    assert "hunter2" not in told


def test_the_tables_are_made_by_a_command_and_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    for _ in range(2):
        assert main(["history", "migrate"]) == 0
        assert f"revision {HEAD}" in capsys.readouterr().out
    engine = open_database(database_url)
    with engine.connect() as connection:
        assert revision(connection) == HEAD
    engine.dispose()


def test_tables_that_cannot_be_made_are_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", "migrate"]) == 2
    assert "there is no chat log" in capsys.readouterr().err
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:9/x")
    assert main(["history", "migrate"]) == 1
    told = capsys.readouterr().err
    assert "can't be migrated" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("password", ["p@ss:w/o?r%d&#", " a +b "])
def test_a_password_of_postgresql_of_any_characters_is_taken_from_its_own_variable(
    postgresql: Postgres, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    role = f"r{uuid4().hex}"
    with psycopg.connect(postgresql.url(), autocommit=True) as connection:
        made = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
        connection.execute(made.format(sql.Identifier(role), sql.Literal(password)))
    monkeypatch.setenv("PGPASSWORD", password)
    monkeypatch.setenv("DATABASE_URL", postgresql.new_database().replace(f"rag:{PASSWORD}@", f"{role}@"))
    assert main(["history", "migrate"]) == 0
