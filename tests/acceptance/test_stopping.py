"""A process that is told to stop lets its waiting clients go, and ends at once."""

import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import httpx
import pytest

from app.embedded.ports import free_port
from tests.acceptance.conftest import environment, start
from tests.support.processes import wait_until

STOP_SECONDS = 8
"""Far less than the waits and streams would last."""


def wait_and_follow(url: str) -> tuple[list[Thread], list[str]]:
    """A client that follows a job which nobody works on, and one that waits for its result."""
    seen: list[str] = []
    sent = Event()
    with httpx.Client(base_url=url, timeout=60) as client:
        job_id = client.post("/chat", json={"query": "?"}).json()["job_id"]

    def follow() -> None:
        with httpx.stream("GET", f"{url}/stream/{job_id}", timeout=60) as response:
            for line in response.iter_lines():
                seen.append(line)
        seen.append("stream ended")

    def traced(event: str, _: object) -> None:
        if event == "http11.send_request_body.complete":
            sent.set()

    def wait() -> None:
        with httpx.Client(timeout=60) as client:
            asked = client.build_request(
                "GET", f"{url}/result/{job_id}", params={"wait": 60}, extensions={"trace": traced}
            )
            seen.append(f"wait {client.send(asked).status_code}")

    threads = [Thread(target=follow), Thread(target=wait)]
    for thread in threads:
        thread.start()
    wait_until(lambda: "event: job.queued" in seen, "the stream has begun")
    assert sent.wait(30)
    assert httpx.get(f"{url}/healthz").is_success  # what was sent before it has been taken up
    return threads, seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_uvicorn_stops_while_clients_wait(
    valkey_url: str, qdrant_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port(0)
    variables = environment(tmp_path / "data", REDIS_URL=valkey_url, QDRANT_URL=qdrant_url)
    command = [sys.executable, "-m", "uvicorn", "--http", "app.server:HttpProtocol"]
    command += ["--factory", "app.main:from_environment", "--port", str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), "uvicorn answers")
        threads, seen = wait_and_follow(url)
        began = monotonic()
        process.send_signal(number)
        process.wait(30)
        assert monotonic() - began < STOP_SECONDS
    finally:
        process.kill()
        process.wait()
    for thread in threads:
        thread.join(10)
    assert "stream ended" in seen
    assert "wait 202" in seen


def test_the_service_stops_while_clients_wait(tmp_path: Path) -> None:
    """No model answers within the test: the job runs as long as anybody looks."""
    service = start(tmp_path, OPENAI_BASE_URL="http://127.0.0.1:9/v1", MAX_ATTEMPTS="100", SHUTDOWN_GRACE_SECONDS="1")
    threads, seen = wait_and_follow(service.services.http_url)
    assert service.stop() == 0
    for thread in threads:
        thread.join(10)
    assert "stream ended" in seen


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.HTTPError:
        return False
