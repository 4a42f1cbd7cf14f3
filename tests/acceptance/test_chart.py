"""The chart's processes as a cluster starts them: its commands and variables alone, a root that is read-only."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from app.auth.api_keys import make_key
from app.auth.principals import Role
from app.core.contract import DEFAULT_TENANT
from app.embedded.ports import free_port
from tests.acceptance.conftest import ask, documents
from tests.support import ROOT
from tests.support.conversations import VALKEY
from tests.support.helm import MISSING, Object, helm, rendered
from tests.support.processes import wait_until

pytestmark = pytest.mark.skipif(helm() is None, reason=MISSING)

PASSWORD = "p@ss:w/o?r%d&# \"'"
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"'
"""In a mount namespace of its own, where $0 alone can be written to."""


class Process:
    """A container of a pod, run as a process of this machine on ports of its own."""

    def __init__(self, pod: Object, configuration: dict[str, str], secrets: dict[str, str], folder: Path) -> None:
        [container] = pod["spec"]["containers"]
        self.grace = float(pod["spec"]["terminationGracePeriodSeconds"])
        self.probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
        self.ports = {port["name"]: free_port(0) for port in container["ports"]}
        command = [str(self.ports["http"]) if word == "8000" else word for word in container["command"]]
        command[0] = str(Path(sys.executable).with_name(command[0]))
        variables = {one["name"]: _value(one, secrets) for one in container["env"]}
        own = {"METRICS_PORT": str(self.ports["metrics"]), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        self.log = folder / f"{self.ports['metrics']}.log"
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [*read_only(str(folder)), *command],
                cwd=ROOT,
                env=configuration | variables | own | {"PATH": os.environ["PATH"], "TMPDIR": str(folder)},
                stdout=output,
                stderr=output,
            )

    def is_ready(self) -> bool:
        """Whether every probe says so."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return all(
                httpx.get(f"http://127.0.0.1:{self.ports[probe['port']]}{probe['path']}").is_success
                for probe in self.probes
            )
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """As a node does. Fails when it takes longer than it has."""
        self.process.terminate()
        assert self.process.wait(self.grace) in (0, -15), self.log.read_text()


def _value(variable: Object, secrets: dict[str, str]) -> str:
    where = variable.get("valueFrom", {}).get("secretKeyRef")
    return secrets[where["key"]] if where else str(variable["value"])


@cache
def read_only(folder: str) -> tuple[str, ...]:
    """What goes before a command that may write to `folder` alone; nothing where mounts can't be made."""
    prefix = ("unshare", "--mount", "sh", "-c", READ_ONLY, folder)
    if shutil.which("unshare") is None:
        return ()
    tries = subprocess.run([*prefix, "touch", str(ROOT / ".written")], capture_output=True, text=True, check=False)
    return prefix if "Read-only" in tries.stderr else ()


@pytest.fixture
def qdrant(tmp_path: Path) -> Iterator[str]:
    """Where a Qdrant with a key listens."""
    command = [sys.executable, "-m", "app.embedded.qdrant", "--data-dir", str(tmp_path / "qdrant"), "--port", "0"]
    env = {**os.environ, "QDRANT__SERVICE__API_KEY": PASSWORD}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@contextmanager
def signed_in(valkey: Redis) -> Iterator[None]:
    """Valkey has users for the API and the workers."""
    for name in ("api", "worker"):
        valkey.acl_setuser(
            name, enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], channels=["*"], categories=["+@all"]
        )
    try:
        yield
    finally:
        valkey.acl_deluser("api", "worker")


def test_a_document_is_indexed_and_a_question_answered_by_what_the_chart_starts(
    valkey: Redis, qdrant: str, tmp_path: Path
) -> None:
    host, _, port = os.environ[VALKEY].removeprefix("redis://").removesuffix("/0").partition(":")
    folder = tmp_path / "written"
    files = folder / "documents"
    files.mkdir(parents=True)
    key, entry = make_key(name="me", tenant=DEFAULT_TENANT, role=Role.INGEST, rate=None, tokens=None)
    secrets = {"API_KEYS": str(entry), "REDIS_PASSWORD": PASSWORD, "QDRANT_API_KEY": PASSWORD}
    found = rendered(
        "--set", f"valkey.host={host},valkey.port={port},valkey.users.api=api,valkey.users.worker=worker",
        "--set", f"qdrant.url={qdrant},documents.url=file://{files},settings.QDRANT_COLLECTION=t{port}",
    )  # fmt: skip
    [configuration] = [one["data"] for one in found if one["kind"] == "ConfigMap"]
    deployments = [one for one in found if one["kind"] == "Deployment"]
    with signed_in(valkey), ExitStack() as stack:
        processes: dict[str, Process] = {}
        for deployment in deployments:
            started = Process(deployment["spec"]["template"], configuration, secrets, folder)
            stack.callback(started.process.kill)
            processes[deployment["metadata"]["name"]] = started
        assert len(processes) == 4
        for name, process in processes.items():
            wait_until(process.is_ready, f"{name} is ready")
        api = f"http://127.0.0.1:{processes['rag-queue-api'].ports['http']}"
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=api, headers=headers, timeout=30) as client:
            assert client.get("/readyz").json()["status"] == "ok"
            pdf = next(documents(tmp_path / "pdfs").glob("*.pdf"))
            client.post("/documents", files={"files": (pdf.name, pdf.read_bytes())}).raise_for_status()
            wait_until(lambda: _is_indexed(client), "the document is indexed")
            outcome = ask(client, "When does the harbour open in winter?")
            assert outcome["result"]["citations"], outcome
        for process in processes.values():
            process.stop()
        for process in processes.values():
            text = process.log.read_text()
            assert "Traceback" not in text
            assert PASSWORD not in text


def _is_indexed(client: httpx.Client) -> bool:
    listed: dict[str, Any] = client.get("/documents").json()
    return [document["status"] for document in listed["documents"]] == ["indexed"]
