"""Real services for the tests, on free ports and stopped at the end; no test reads the developer's settings."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.core.logging import configure_logging
from app.core.queue.connections import connect
from app.core.settings import Settings
from app.embedded.ports import free_port
from app.embedded.valkey import valkey_command
from tests.support.conversations import VALKEY
from tests.support.postgres import Postgres, postgres
from tests.support.processes import wait_until


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> None:
    """Nor does the developer's proxy, or collector of traces: tests of them name their own."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("OTEL_")]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    """As the service logs: structlog's default prints local variables, and takes seconds over it."""
    configure_logging(Settings(_env_file=None))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings come from the test alone: no variable and no .env of the developer's reaches it."""
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    # Nor does a test ask its model's server for an embedding model; those of the choice do.
    monkeypatch.setenv("EMBEDDING_MODEL", "none")
    # A test that asks the same twice means it; those of kept answers turn them on.
    monkeypatch.setenv("ANSWER_CACHE_TTL_SECONDS", "0")


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey for the session."""
    port = free_port(0)
    process = subprocess.Popen(valkey_command(tmp_path_factory.mktemp("valkey"), port))
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with connect(url) as connection:
            wait_until(lambda: connection.ping(), "Valkey answers")
        os.environ[VALKEY] = url
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[Redis]:
    """A connection to the session's Valkey, emptied."""
    with connect(valkey_url) as connection:
        connection.flushall()
        yield connection


@pytest.fixture(scope="session")
def qdrant_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real embedded Qdrant for the session; tests use collections of their own."""
    import json

    place = ["--data-dir", str(tmp_path_factory.mktemp("qdrant")), "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "app.embedded.qdrant", *place], stdout=subprocess.PIPE, env=os.environ.copy()
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    """A real PostgreSQL for the session, where it is installed; tests use databases of their own."""
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log/history.sqlite3"
    server: Postgres = request.getfixturevalue("postgresql")
    return server.new_database()
