"""A real Prometheus asks the real processes, with the rules and the board's queries as they are delivered."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import httpx
import pytest
import yaml
from redis import Redis

from app.embedded.ports import free_port
from tests.acceptance.conftest import PAGES, ask, environment
from tests.support import ROOT
from tests.support.model_server import ModelServer
from tests.support.pdfs import encrypted_pdf, make_pdf
from tests.support.processes import wait_until
from tests.support.prometheus import MISSING, tool

T = TypeVar("T")

PROMETHEUS = tool("prometheus")
MONITORING = ROOT / "deploy/monitoring"
UVICORN = ["uvicorn", "--http", "app.server:HttpProtocol", "--factory", "app.main:from_environment"]
MODEL = "test-error429=1x-retry=10ms"
"""Refuses once, so that a question is tried again."""
NOT_HERE = ("redis_", 'status=~"5.."')
"""What queries ask for that there is none of: redis_exporter does not run, and no request fails."""

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason=MISSING)


@dataclass(frozen=True)
class Watched:
    """The service, one of its workers, and a Prometheus that watches both."""

    api: httpx.Client
    prometheus: httpx.Client
    worker: "subprocess.Popen[bytes]"

    def found(self, query: str) -> list[dict[str, Any]]:
        """What Prometheus answers."""
        answer = self.prometheus.get("/api/v1/query", params={"query": query})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"]["result"])

    def firing(self) -> set[tuple[str, str]]:
        """Alerts that fire now, each with the job that it names."""
        alerts = self.prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"].get("job", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }


@dataclass(frozen=True)
class Started:
    """A process of the test's own, and its log."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_until(self, condition: Callable[[], T | Literal[False] | None], what: str) -> T:
        """As `tests.support.processes.wait_until`, as long as the process lives."""

        def met() -> T | Literal[False] | None:
            assert self.process.poll() is None, self.log.read_text()
            return condition()

        return wait_until(met, what)

    def page(self) -> int:
        """The port that METRICS_PORT=0 has found, which the log tells."""
        return self.wait_until(self._port, "the log names the page's port")

    def _port(self) -> int | None:
        line = re.search(r'^.*"event":"metrics_\w+".*$', self.log.read_text(), re.M)
        return int(json.loads(line[0])["port"]) if line else None


@contextmanager
def _process(name: str, command: list[str], folder: Path, variables: Mapping[str, str]) -> Iterator[Started]:
    log = folder / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env=dict(variables), stdout=output, stderr=output)
        try:
            yield Started(process, log)
        finally:
            process.terminate()
            process.wait(30)


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.HTTPError:
        return False


def _configuration(folder: Path, pages: Mapping[str, int]) -> Path:
    """The delivered one, but that it asks often, and these ports. Alerts wait for a second."""
    config = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"] = [
        {"job_name": scrape["job_name"], "static_configs": [{"targets": [f"127.0.0.1:{pages[scrape['job_name']]}"]}]}
        for scrape in config["scrape_configs"]
        if scrape["job_name"] in pages
    ]
    assert len(config["scrape_configs"]) == len(pages)
    (folder / "rules").mkdir()
    for rules in (MONITORING / "prometheus/rules").glob("*.yml"):
        (folder / "rules" / rules.name).write_text(re.sub(r"\bfor: \w+", "for: 1s", rules.read_text()))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"


@pytest.fixture
def watched(valkey_url: str, valkey: Redis, qdrant_url: str, tmp_path: Path) -> Iterator[Watched]:
    with ExitStack() as stack:
        model = stack.enter_context(ModelServer())
        variables = environment(
            tmp_path / "data",
            REDIS_URL=valkey_url,
            QDRANT_URL=qdrant_url,
            QDRANT_COLLECTION=f"t{uuid4().hex}",
            OPENAI_BASE_URL=model.url,
            OPENAI_API_KEY="test",
            CHAT_MODEL=MODEL,
            EMBEDDING_MODEL="text-embedding-3-small",
            MODEL_PRICES=f"{MODEL}=2/8",
            MODEL_REQUESTS_PER_MINUTE="1000",
            WEBHOOK_ALLOW_PRIVATE="true",
            WEBHOOK_SECRET="whsec_" + "A" * 32,
            METRICS_PORT="0",
            LOG_FORMAT="json",
        )
        port = str(free_port(0))
        served = stack.enter_context(_process("api", [*UVICORN, "--port", port], tmp_path, variables))
        worker = stack.enter_context(_process("worker", [sys.executable, "-m", "worker"], tmp_path, variables))
        api = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10))
        served.wait_until(lambda: _answers(api, "/readyz"), "the service is ready")
        pages = {"api": served.page(), "worker": worker.page()}
        place = [f"--config.file={_configuration(tmp_path, pages)}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
        address = f"127.0.0.1:{free_port(0)}"
        command = [str(PROMETHEUS), *place, f"--web.listen-address={address}"]
        watching = stack.enter_context(_process("prometheus", command, tmp_path, variables))
        prometheus = stack.enter_context(httpx.Client(base_url=f"http://{address}", timeout=10))
        watching.wait_until(lambda: _answers(prometheus, "/-/ready"), "Prometheus is ready")
        found = Watched(api, prometheus, worker.process)
        wait_until(lambda: len(found.found("up == 1")) == len(pages), "Prometheus has both pages")
        yield found


def _upload(client: httpx.Client, path: Path) -> str:
    sent = client.post("/documents", files={"files": (path.name, path.read_bytes(), "application/pdf")})
    assert sent.status_code == 202, sent.text
    [document] = sent.json()["documents"]

    def ended() -> str | Literal[False]:
        status: str = client.get(f"/documents/{document['document_id']}").json()["status"]
        return status in ("indexed", "failed") and status

    return wait_until(ended, f"{path.name} is indexed, or failed")


def test_every_panel_shows_something_and_an_alert_fires_when_the_workers_stop(
    watched: Watched, tmp_path: Path
) -> None:
    api = watched.api
    assert _upload(api, make_pdf(tmp_path / "handbook.pdf", PAGES, title="Handbook")) == "indexed"
    assert _upload(api, encrypted_pdf(tmp_path / "locked.pdf")) == "failed"
    told = {"url": "http://127.0.0.1:9/nobody-there"}
    for _ in range(2):  # the second finds the documents' names in the cache
        assert ask(api, "When does the harbour open in winter?", webhook=told)["status"] == "finished"
    wait_until(
        lambda: watched.found('rag_cache_requests_total{cache="filenames", result="hit"}'), "Prometheus has seen that"
    )
    assert ask(api, "How is a boat washed?")["status"] == "finished"  # a rise of what it has seen

    for query in _queries():
        wait_until(lambda: watched.found(query), f"a value of {query}")  # noqa: B023  (it is waited for here)
    wait_until(lambda: not watched.firing(), "no alert fires")

    watched.worker.terminate()
    watched.worker.wait(30)
    wait_until(lambda: {("RagNoWorker", ""), ("RagTargetDown", "worker")} <= watched.firing(), "the alerts fire")
    assert {name for name, _ in watched.firing()} == {"RagNoWorker", "RagTargetDown"}


def _queries() -> list[str]:
    """What the board asks, with all queues and models chosen."""
    board = json.loads((MONITORING / "grafana/rag-queue.json").read_text())
    targets = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    chosen = [re.sub(r"\$(queue|model)\b", ".*", query.replace("$__rate_interval", "1m")) for query in targets]
    assert len(chosen) > 40
    assert not any("$" in query for query in chosen)
    return [query for query in chosen if not any(word in query for word in NOT_HERE)]
