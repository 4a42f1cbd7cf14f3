"""`python -m app` with a port for its numbers: its own, and the next ones for its workers."""

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil

from tests.acceptance.conftest import environment, start
from tests.support.metrics import samples
from tests.support.processes import wait_until


def free_ports(count: int) -> int:
    """The first of so many ports that follow each other."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = int(first.getsockname()[1])
            try:
                for following in range(port + 1, port + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", following)))
            except (OSError, OverflowError):
                continue
            return port


def counts(port: int) -> bool:
    """Whether a worker's numbers are on `port`."""
    try:
        return "rag_jobs_active" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.ConnectError:
        return False


def refused(tmp_path: Path, port: int) -> str:
    """What a second service says that is given this port, and does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "app"], cwd=tmp_path, env=environment(tmp_path / "other", METRICS_PORT=str(port)),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("app: ")]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "other" / "valkey").exists(), "nothing was started"
    return line


def test_the_service_and_its_workers_have_a_port_each(tmp_path: Path) -> None:
    port = free_ports(3)
    service = start(tmp_path, METRICS_PORT=str(port), WORKER_PROCESSES="2")
    try:
        found = samples(httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text)
        assert ("rq_jobs", frozenset({("queue", "rag_queries"), ("status", "queued")})) in found
        assert "rq_workers" in {name for name, _ in found}
        workers = [each for each in psutil.Process(service.process.pid).children() if "worker" in each.cmdline()]
        assert {each.environ()["METRICS_PORT"] for each in workers} == {str(port + 1), str(port + 2)}
        for own in (port + 1, port + 2):
            wait_until(lambda own=own: counts(own), "each worker has a page")  # type: ignore[misc]
        with service.client() as client:
            assert client.get("/metrics").status_code == 200, "on the API's port too"
        assert f"METRICS_PORT: cannot listen on 127.0.0.1, port {port}: Address" in refused(tmp_path, port)
        free = free_ports(2)
        with socket.create_server(("127.0.0.1", free + 1)):
            assert "for a worker" in refused(tmp_path, free)
    finally:
        assert service.stop() == 0, service.log.read_text()


def test_the_last_port_leaves_none_for_the_worker(tmp_path: Path) -> None:
    assert "65535 is the last" in refused(tmp_path, 65535)
