"""`python -m app` with a port for its numbers: its own, and the next for its worker."""

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import psutil

from tests.acceptance.conftest import environment, start
from tests.acceptance.test_service import children
from tests.support.metrics import samples


def two_free_ports() -> int:
    """The first of two ports that follow each other."""
    while True:
        with closing(socket.create_server(("127.0.0.1", 0))) as first:
            port = int(first.getsockname()[1])
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except (OSError, OverflowError):
                continue


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


def test_the_service_and_its_worker_have_a_port_each(tmp_path: Path) -> None:
    port = two_free_ports()
    service = start(tmp_path, METRICS_PORT=str(port))
    try:
        found = samples(httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text)
        assert ("rq_jobs", frozenset({("queue", "rag_queries"), ("status", "queued")})) in found
        assert "rq_workers" in {name for name, _ in found}
        worker = psutil.Process(children(service)["worker"])
        assert worker.environ()["METRICS_PORT"] == str(port + 1)
        with service.client() as client:
            assert client.get("/metrics").status_code == 200, "on the API's port too"
        assert f"METRICS_PORT: cannot listen on 127.0.0.1, port {port}: Address" in refused(tmp_path, port)
        free = two_free_ports()
        with socket.create_server(("127.0.0.1", free + 1)):
            assert "for the worker" in refused(tmp_path, free)
    finally:
        assert service.stop() == 0, service.log.read_text()


def test_the_last_port_leaves_none_for_the_worker(tmp_path: Path) -> None:
    assert "there is none after 65535" in refused(tmp_path, 65535)
