"""`python -m app history export` writes what the log has, from either database, and says so where there is none."""

import csv
import io
import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.__main__ import main
from app.chat_log.store import Store
from app.core.settings import Settings
from tests.support.chat_log import NOON, entry


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
