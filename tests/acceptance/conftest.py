"""The real commands as processes, on free ports and in folders of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.services import Services, running
from app.core.settings import Settings
from tests.support import ROOT
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until

PAGES = [
    "Opening hours. The harbour opens at six in winter and at five in summer.",
    "Care of boats. Every boat is washed with fresh water after rowing.",
]


@dataclass
class Running:
    """A `python -m app` of the test's own."""

    process: subprocess.Popen[str]
    services: Services
    environment: Mapping[str, str]
    log: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.services.http_url, timeout=10)

    def command(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the service, as a user in the same folder would."""
        return subprocess.run(
            command, cwd=ROOT, env=dict(self.environment), capture_output=True, text=True, timeout=120, check=False
        )

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """An environment in which only the test's own settings stand."""
    names = {field.upper() for field in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    scripts = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": f"{scripts}:{kept['PATH']}",
        "DATA_DIR": str(data_dir),
        "PORT": "0",
        "EMBEDDING_MODEL": "none",  # what a model's server has is a matter of tests of the choice
        "ANSWER_CACHE_TTL_SECONDS": "0",  # a test that asks the same twice means it
        "PYTHONPATH": str(ROOT),
        **more,
    }


def start(tmp_path: Path, *arguments: str, **variables: str) -> Running:
    """Start the service and wait until it is ready."""
    data_dir = tmp_path / "data"
    log = tmp_path / "service.log"
    env = environment(data_dir, **variables)
    with log.open("a") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *arguments], cwd=tmp_path, env=env, stdout=output, stderr=output, text=True
        )

    def ready() -> Services | None:
        assert process.poll() is None, log.read_text()
        found = running(data_dir)
        return found if found is not None and found.is_ready else None

    try:
        return Running(process, wait_until(ready, "the service is ready", seconds=120), env, log)
    except BaseException:
        process.kill()
        raise


def documents(folder: Path) -> Path:
    """A folder with a PDF that the tests know."""
    folder.mkdir(exist_ok=True)
    make_pdf(folder / "handbook.pdf", PAGES, title="Handbook")
    return folder


def ask(client: httpx.Client, query: str, **more: Any) -> dict[str, Any]:
    """Post, poll, result."""
    accepted = client.post("/chat", json={"query": query, **more})
    assert accepted.status_code == 202, accepted.text
    urls = accepted.json()["urls"]

    def ended() -> bool:
        return client.get(urls["status"]).json()["status"] in ("finished", "failed", "stopped")

    wait_until(ended, f"an answer to {query}")
    result = client.get(urls["result"])
    assert result.status_code == 200
    body: dict[str, Any] = result.json()
    return body


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running service with one document, shared by the tests of a file."""
    folder = tmp_path_factory.mktemp("service")
    running_service = start(folder, "--ingest", str(documents(folder / "pdfs")))
    yield running_service
    if running_service.process.poll() is None:
        assert running_service.stop() == 0, running_service.log.read_text()
