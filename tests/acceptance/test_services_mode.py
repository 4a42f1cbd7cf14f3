"""The parts as a cluster runs them: uvicorn, workers and ingest, with REDIS_URL and QDRANT_URL set."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from redis import Redis

from app.embedded.ports import free_port
from tests.acceptance.conftest import ask, documents, environment
from tests.support.processes import wait_until

UVICORN = ["uvicorn", "--http", "app.server:HttpProtocol", "--factory", "app.main:from_environment"]
WAYS = {
    "rq worker": ({}, ["rq", "worker", "rag_queries"]),
    "python -m worker": ({}, [sys.executable, "-m", "worker"]),
    "rq worker -w": ({}, ["rq", "worker", "-w", "worker.ConcurrentWorker", "rag_queries"]),
    "RQ_JOB_CLASS": ({"RQ_JOB_CLASS": "worker.OwnJob"}, ["rq", "worker", "rag_queries"]),
    "RQ_WORKER_CLASS": ({"RQ_WORKER_CLASS": "worker.ConcurrentWorker"}, ["rq", "worker", "rag_queries"]),
}


@pytest.fixture
def variables(valkey_url: str, valkey: Redis, qdrant_url: str, tmp_path: Path) -> dict[str, str]:
    return environment(
        tmp_path / "data", REDIS_URL=valkey_url, QDRANT_URL=qdrant_url, QDRANT_COLLECTION=f"t{uuid4().hex}"
    )


@pytest.fixture
def client(variables: dict[str, str], tmp_path: Path) -> Iterator[httpx.Client]:
    port = str(free_port(0))
    command = [*UVICORN, "--port", port, "--no-access-log"]
    process = subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_until(lambda: _answers(client), "uvicorn answers")
            yield client
    finally:
        process.terminate()
        assert process.wait(30) in (0, -15)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_run_a_worker_answers(
    client: httpx.Client, variables: dict[str, str], tmp_path: Path, way: str
) -> None:
    assert client.get("/readyz").json()["checks"] == {
        "valkey": "ok",
        "workers": "unavailable",
        "queue": "ok",
        "qdrant": "ok",
    }
    ingest = [sys.executable, "-m", "ingest", str(documents(tmp_path / "pdfs"))]
    done = subprocess.run(
        ingest, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    more, command = WAYS[way]
    log = tmp_path / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(command, cwd=tmp_path, env=variables | more, stdout=output, stderr=output)
    try:
        wait_until(lambda: client.get("/readyz").is_success, "the worker is there")
        outcome = ask(client, "When does the harbour open in winter?")
        assert outcome["result"]["citations"][0]["page"] == 1
    finally:
        worker.terminate()
        assert worker.wait(30) == 0, log.read_text()
    assert "harbour" not in log.read_text(), "the question stands in a log"


def test_the_health_check_of_a_worker_tells_whether_one_is_alive(variables: dict[str, str], tmp_path: Path) -> None:
    check = [sys.executable, "-m", "worker", "--check"]

    def exit_code() -> int:
        return subprocess.run(check, cwd=tmp_path, env=variables, timeout=30, check=False).returncode

    assert exit_code() == 1
    with (tmp_path / "worker.log").open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "worker"], cwd=tmp_path, env=variables, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: exit_code() == 0, "the worker is alive")
    finally:
        worker.terminate()
        worker.wait(30)
    assert exit_code() == 1


def test_a_worker_waits_for_valkey_and_comes_back_by_itself(variables: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            cwd=tmp_path,
            env=variables | {"REDIS_URL": "redis://127.0.0.1:9/0"},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: log.read_text().count("valkey_unavailable") >= 2, "the worker tries again")
        assert worker.poll() is None
        assert "Traceback" not in log.read_text()
    finally:
        worker.terminate()
        worker.wait(30)
