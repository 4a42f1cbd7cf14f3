"""The chat log of the real service: killed while it writes, with its database stopped, by two APIs at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from app.core.services import redis_url
from app.core.settings import Settings
from app.embedded.ports import free_port
from tests.acceptance.conftest import ask, documents, environment, start
from tests.support import ROOT
from tests.support.chat_log import file_bytes, job_ids, rows
from tests.support.postgres import postgres
from tests.support.processes import wait_until

QUESTION = "When does the harbour open in winter?"


def asked(client: httpx.Client, count: int) -> list[str]:
    return [client.post("/chat", json={"query": QUESTION}).raise_for_status().json()["job_id"] for _ in range(count)]


def test_a_killed_service_goes_on_with_its_log_where_it_was_and_a_removed_question_is_in_no_byte(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/data/history.sqlite3"
    service = start(tmp_path, "--ingest", str(documents(tmp_path / "pdfs")))
    with service.client() as client:
        ids = asked(client, 30)
        wait_until(lambda: job_ids(url), "the first rows are written")
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait(30)
    service = start(tmp_path)
    try:
        with service.client() as client:
            wait_until(lambda: job_ids(url) == sorted(ids), "each question is a row, once")
            assert all(row["question"] == QUESTION and row["answer"] for row in rows(url))
            assert (tmp_path / "data/history.sqlite3").stat().st_mode & 0o777 == 0o600
            assert b"harbour open in winter" in file_bytes(url)
            for job_id in ids:
                client.delete(f"/jobs/{job_id}").raise_for_status()
            assert job_ids(url) == []
            assert b"harbour open in winter" not in file_bytes(url)
        exported = service.command(sys.executable, "-m", "app", "history", "export")
        assert (exported.returncode, exported.stdout) == (0, "")
    finally:
        service.stop()


@contextmanager
def another_api(tmp_path: Path, **variables: str) -> Iterator[httpx.Client]:
    """A second API process of the same service."""
    port = free_port(0)
    command = [sys.executable, "-m", "uvicorn", "--http", "app.server:HttpProtocol", "--factory"]
    command += ["app.main:from_environment", "--port", str(port), "--no-proxy-headers"]
    env = environment(tmp_path / "data", **variables)
    with (tmp_path / "second.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_until(lambda: _answers(client), "the second API answers")
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.HTTPError:
        return False


def test_two_apis_and_a_postgresql_that_is_stopped_and_started_write_each_question_once(tmp_path: Path) -> None:
    with postgres() as server:
        url = server.new_database()
        service = start(
            tmp_path, "--ingest", str(documents(tmp_path / "pdfs")), DATABASE_URL=url, CHAT_LOG_CONTENT="true"
        )
        try:
            valkey = redis_url(Settings(data_dir=tmp_path / "data"))
            with service.client() as client, another_api(tmp_path, DATABASE_URL=url, REDIS_URL=valkey) as second:
                ids = [*asked(client, 5), *asked(second, 5)]
                wait_until(lambda: job_ids(url) == sorted(ids), "each question is a row, once")
                server.stop()
                ids += [*asked(client, 5), *asked(second, 5)]
                ask(client, QUESTION)  # an answer comes all the same
                refused = client.get("/history")
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
                server.start()
                wait_until(lambda: set(ids) < set(job_ids(url)), "what ended meanwhile is written")
                assert len(rows(url)) == len(ids) + 1
        finally:
            service.stop()
        log = service.log.read_text()
    assert log.count("chat_log_unavailable") >= 1
    assert "hunter2" not in log
    assert "Traceback" not in log
