"""The embedded Valkey's command and configuration."""

import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from app.core.queue.connections import connect
from app.embedded import valkey
from app.embedded.ports import free_port
from app.embedded.valkey import valkey_command
from tests.support.processes import wait_until


@contextmanager
def started(command: list[str], port: int, password: str = "") -> Iterator[Redis]:
    process = subprocess.Popen(command)
    try:
        with connect(f"redis://:{password}@127.0.0.1:{port}/0") as client:
            wait_until(client.ping, "Valkey answers")
            yield client
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("name", ["plain", "with spaces", 'with "quotes"', "with \\ and #", "größer", "$HOME'"])
def test_it_keeps_its_files_in_whatever_folder_it_is_given(tmp_path: Path, name: str) -> None:
    port = free_port(0)
    with started(valkey_command(tmp_path / name, port), port) as client:
        client.set("a", 1)
    kept = tmp_path / name / "valkey"
    assert {path.name for path in kept.iterdir()} == {"appendonlydir", "valkey.conf", "valkey.log"}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700


def test_its_password_is_in_its_configuration_alone(tmp_path: Path) -> None:
    port = free_port(0)
    command = valkey_command(tmp_path, port, password="pa55")
    assert "pa55" not in " ".join(command)
    configuration = tmp_path / "valkey" / "valkey.conf"
    assert "pa55" in configuration.read_text()
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o600
    stranger = connect(f"redis://127.0.0.1:{port}/0")
    with started(command, port, "pa55"), stranger, pytest.raises(AuthenticationError):
        stranger.ping()


@pytest.mark.parametrize(
    ("limit", "expected"), [("max\n", None), (str(512 * 2**20), 128 * 2**20), ("", None), (str(2**60), None)]
)
def test_its_memory_is_a_quarter_of_the_machines_or_of_its_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int | None
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(valkey, "CGROUP_LIMIT", tmp_path / "memory.max")
    port = free_port(0)
    with started(valkey_command(tmp_path, port), port) as client:
        stated: Any = client.config_get("maxmemory")
    with Path("/proc/meminfo").open() as lines:
        machine = int(next(line for line in lines if line.startswith("MemTotal")).split()[1]) * 1024
    assert int(stated["maxmemory"]) == (expected or pytest.approx(machine / 4, rel=0.01))
