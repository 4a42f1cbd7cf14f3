"""`python -m app` and what runs beside it, as a new user meets them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.core.services import running
from tests.acceptance.conftest import Running, ask, documents, environment, start
from tests.support.pdfs import encrypted_pdf
from tests.support.processes import hold, wait_until


def children(service: Running) -> dict[str, int]:
    """The service's children by name."""
    found = {}
    for child in psutil.Process(service.process.pid).children():
        try:
            line = " ".join(child.cmdline())
        except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it died this moment
            continue
        for name, mark in (
            ("valkey", "valkey-server"),
            ("qdrant", "app.embedded.qdrant"),
            ("worker", "-m worker"),
        ):
            if mark in line:
                found[name] = child.pid
    return found


def test_a_question_is_answered_with_document_and_page(service: Running) -> None:
    with service.client() as client:
        outcome = ask(client, "When does the harbour open in winter?")
    assert outcome["status"] == "finished"
    result = outcome["result"]
    assert result["mode"] == "extractive"
    assert result["grounded"]
    assert "six in winter" in result["answer"]
    assert [(c["filename"], c["page"]) for c in result["citations"]] == [("handbook.pdf", 1)]


def test_a_question_about_nothing_in_the_documents_is_not_grounded(service: Running) -> None:
    with service.client() as client:
        outcome = ask(client, "zork blorf?")
    assert outcome["result"]["grounded"] is False
    assert outcome["result"]["citations"] == []


def test_make_ask_answers_from_the_shell(service: Running) -> None:
    answer = service.command(sys.executable, "-m", "app", "ask", "How is a boat washed?")
    assert answer.returncode == 0, answer.stderr
    assert "fresh water" in answer.stdout
    assert "handbook.pdf, page 2" in answer.stdout


def test_ask_says_when_the_question_is_refused(service: Running) -> None:
    answer = service.command(sys.executable, "-m", "app", "ask", " ")
    assert answer.returncode == 1
    assert "query" in answer.stderr


def test_env_prints_where_the_services_are(service: Running) -> None:
    shown = service.command(sys.executable, "-m", "app", "env").stdout
    assert f"export REDIS_URL={service.services.redis_url.get_secret_value()}\n" in shown
    assert f"export QDRANT_URL={service.services.qdrant_url}\n" in shown
    assert "export RQ_WORKER_CLASS=worker.ConcurrentWorker\nexport RQ_JOB_CLASS=worker.OwnJob\n" in shown


def test_ingest_beside_the_service_goes_to_its_index(service: Running, tmp_path: Path) -> None:
    folder = documents(tmp_path / "more")
    encrypted_pdf(folder / "locked.pdf")
    (folder / "handbook.pdf").rename(folder / "rules.pdf")
    done = service.command(sys.executable, "-m", "ingest", str(folder), "--collection", "rules", "--json")
    assert done.returncode == 1, done.stderr
    assert "encrypted" in done.stdout
    assert json.loads(done.stdout)
    with service.client() as client:
        outcome = ask(client, "When does the harbour open in winter?", collection="rules")
    assert outcome["result"]["citations"][0]["filename"] == "rules.pdf"


@pytest.mark.parametrize("name", ["valkey", "qdrant", "worker"])
def test_a_child_that_is_killed_comes_back_and_nothing_is_lost(service: Running, name: str) -> None:
    with service.client() as client:
        before = ask(client, "When does the harbour open in winter?")
        killed = children(service)[name]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: children(service).get(name, killed) != killed, f"{name} is started again")
        wait_until(lambda: client.get("/readyz").is_success, "all is ready again")
        assert client.get(f"/result/{before['job_id']}").json() == before
        assert ask(client, "How is a boat washed?")["result"]["citations"][0]["page"] == 2


def test_readiness_names_the_child_that_is_away(service: Running) -> None:
    with service.client() as client:
        qdrant = children(service)["qdrant"]
        hold(qdrant)
        try:
            ready = wait_until(lambda: (r := client.get("/readyz")).status_code == 503 and r, "readyz notices")
            assert ready.json()["checks"] == {"valkey": "ok", "workers": "ok", "queue": "ok", "qdrant": "unavailable"}
        finally:
            os.kill(qdrant, signal.SIGCONT)
        wait_until(lambda: client.get("/readyz").is_success, "all is ready again")


def test_a_second_start_finds_everything_where_it_was(tmp_path: Path) -> None:
    pdfs = documents(tmp_path / "pdfs")
    first = start(tmp_path, "--ingest", str(pdfs))
    with first.client() as client:
        before = ask(client, "When does the harbour open in winter?")
    assert first.stop(signal.SIGTERM) == 0, first.log.read_text()
    assert running(tmp_path / "data") is None
    (pdfs / "handbook.pdf").unlink()  # a second start must not need it
    second = start(tmp_path, "--ingest", str(pdfs))
    with second.client() as client:
        assert client.get(f"/result/{before['job_id']}").json() == before
        assert ask(client, "When does the harbour open in winter?")["result"]["grounded"]
    assert second.stop() == 0, second.log.read_text()


def test_a_killed_service_takes_its_children_with_it_and_starts_again(tmp_path: Path) -> None:
    service = start(tmp_path)
    left = [psutil.Process(pid) for pid in children(service).values()]
    assert len(left) == 3
    assert service.stop(signal.SIGKILL) == -signal.SIGKILL
    again = start(tmp_path)
    assert all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in left)
    assert again.stop() == 0, again.log.read_text()


def refused(tmp_path: Path, **variables: str) -> str:
    """What a start that is refused prints; it must be short and no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=tmp_path,
        env=environment(Path(variables.pop("DATA_DIR", str(tmp_path / "data"))), **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_in_use_is_said_with_the_way_out(service: Running, tmp_path: Path) -> None:
    port = service.services.http_url.rsplit(":", 1)[1]
    assert f"set PORT or HOST to another, e.g. PORT={int(port) + 1}" in refused(tmp_path, PORT=port)


def test_a_data_dir_in_use_is_said_with_the_way_out(service: Running, tmp_path: Path) -> None:
    said = refused(tmp_path, DATA_DIR=service.environment["DATA_DIR"])
    assert service.services.http_url in said
    assert "set DATA_DIR" in said
    with service.client() as client:
        assert client.get("/readyz").is_success


def test_a_data_dir_that_can_not_be_written_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "set DATA_DIR" in refused(tmp_path, DATA_DIR=str(tmp_path / "file" / "data"))


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    assert "TOP_K" in refused(tmp_path, TOP_K="many")


def test_a_worker_without_services_says_where_to_look(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker"],
        cwd=tmp_path,
        env=environment(tmp_path / "data"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "REDIS_URL" in done.stderr
    assert "Traceback" not in done.stderr
