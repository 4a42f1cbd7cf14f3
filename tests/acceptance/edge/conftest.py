"""Two replicas, each by the image's own command, behind a real nginx with the configuration that compose mounts."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from app.core.queue.connections import connect
from app.embedded.ports import free_port
from tests.acceptance.conftest import documents, environment
from tests.support.credentials import api_key
from tests.support.dns import Names, name_server
from tests.support.image import api_command
from tests.support.model_server import ModelServer
from tests.support.nginx import Edge, edge
from tests.support.processes import wait_until

KEY, ENTRY = api_key("web", role="ingest")
GAP_SECONDS = 0.04
WRONG_KEYS = 3
"""What one address may try in a minute; few, so that a test sees whose address is counted."""

REPLICAS, SPARE = ("127.0.0.2", "127.0.0.3"), "127.0.0.4"

_addresses = count(2)


@dataclass
class Replicas:
    """API processes, by their address: the same port on addresses of this machine's own."""

    port: int
    environment: dict[str, str]
    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, address: str) -> None:
        with (self.folder / f"{address}.log").open("ab") as log:
            self.running[address] = subprocess.Popen(
                api_command(address, self.port), cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )

    def wait_for(self, address: str) -> None:
        url = f"http://{address}:{self.port}/readyz"
        wait_until(lambda: _is_ready(url), f"{url} is ready")

    def serving_now(self) -> list[str]:
        """Those that have a connection open."""
        return [
            address
            for address, process in self.running.items()
            if any(
                each.status == psutil.CONN_ESTABLISHED and each.laddr[:2] == (address, self.port)
                for each in psutil.Process(process.pid).net_connections("tcp")
            )
        ]

    def kill(self, address: str) -> None:
        self.running[address].send_signal(signal.SIGKILL)
        self.running.pop(address).wait(10)

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(30)


@dataclass(frozen=True)
class Deployment:
    """What stands behind nginx, and the name server that nginx asks for it."""

    replicas: Replicas
    names: Names


@pytest.fixture(scope="package")
def deployment(valkey_url: str, qdrant_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two replicas, a third that the name lacks yet, a worker, a model of a word each GAP_SECONDS, a document."""
    folder = tmp_path_factory.mktemp("edge")
    with connect(valkey_url) as connection:
        connection.flushall()
    with ExitStack() as stack:
        model = stack.enter_context(ModelServer(knobs=f"gap={round(GAP_SECONDS * 1000)}ms"))
        variables = environment(
            folder / "data",
            REDIS_URL=valkey_url,
            QDRANT_URL=qdrant_url,
            QDRANT_COLLECTION=f"t{uuid4().hex}",
            DOCUMENTS_URL=str(folder / "documents"),
            OPENAI_BASE_URL=model.url,
            OPENAI_API_KEY="x",
            API_KEYS=ENTRY,
            TRUSTED_PROXIES="127.0.0.1",
            ADDRESS_RATE_LIMIT=f"{WRONG_KEYS}/minute",
            UVICORN_HTTP="app.server:HttpProtocol",
        )
        replicas = Replicas(free_port(0), variables, folder)
        stack.callback(replicas.stop)
        for address in (*REPLICAS, SPARE):
            replicas.start(address)
        stack.enter_context(_worker(folder, variables))
        ingest = [sys.executable, "-m", "ingest", str(documents(folder / "pdfs"))]
        subprocess.run(ingest, cwd=folder, env=variables, capture_output=True, timeout=60, check=True)
        for address in list(replicas.running):
            replicas.wait_for(address)
        names = stack.enter_context(name_server(api=list(REPLICAS)))
        yield Deployment(replicas, names)


@contextmanager
def _worker(folder: Path, variables: dict[str, str]) -> Iterator[None]:
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"], cwd=folder, env=variables, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def nginx_before(deployment: Deployment, folder: Path, **values: str) -> Iterator[Edge]:
    """nginx in `folder`, with these values besides where the replicas are."""
    where = {"EDGE_API": f"api:{deployment.replicas.port}", "EDGE_RESOLVER": deployment.names.address}
    with edge(folder, **(where | values)) as found:
        yield found


@pytest.fixture(scope="package")
def at_root(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """nginx with compose's own values."""
    with nginx_before(deployment, tmp_path_factory.mktemp("nginx")) as found:
        yield found


@pytest.fixture(scope="package")
def below_rag(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """nginx that serves everything below /rag/."""
    with nginx_before(deployment, tmp_path_factory.mktemp("nginx"), EDGE_PREFIX="/rag/") as found:
        yield found


@pytest.fixture
def address() -> str:
    """An address of this machine's own that no other test's client has: its limits are its alone."""
    number = next(_addresses)
    return f"127.1.{number // 250}.{number % 250 + 1}"


@pytest.fixture
def client(at_root: Edge, address: str) -> Iterator[httpx.Client]:
    """A client beyond nginx, without a key."""
    with at_root.client(address) as found:
        yield found


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
