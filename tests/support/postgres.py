"""PostgreSQL from Debian, on a free port and in a folder of its own; root runs it as another user, since it must."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from app.embedded.ports import free_port
from tests.support.processes import wait_until

USERS = ("postgres", "nobody")
"""Whom root runs it as: the first that there is."""
PASSWORD = "hunter2hunter2"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return found[-1] if found else Path(on_path).parent if on_path else None


BINARIES = _binaries()


class Postgres:
    """A server that a test may stop and start; each test has a database of its own."""

    def __init__(self, folder: Path) -> None:
        assert BINARIES is not None
        self._bin, self._folder = BINARIES, folder
        self._user = next((name for name in USERS if _is_user(name)), None) if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        self.port = free_port(0)
        self._process: subprocess.Popen[bytes] | None = None
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(["initdb", "-D", str(folder / "data"), "-U", "rag", "-A", "scram-sha-256", f"--pwfile={password}",
                   "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it answers."""
        where = ["-D", str(self._folder / "data"), "-p", str(self.port), "-k", str(self._folder)]
        command = [str(self._bin / "postgres"), *where, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, user=self._user, stdout=log, stderr=log)
        wait_until(self._answers, "PostgreSQL answers")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it at once: its clients lose their connections."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def url(self, database: str = "postgres") -> str:
        """As DATABASE_URL has it."""
        return f"postgresql://rag:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"t{uuid4().hex}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            [str(self._bin / command[0]), *command[1:]],
            user=self._user, cwd=self._folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running one. Skips the test where there is none on this machine."""
    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed: its initdb is not on PATH, nor below /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="rag-postgres-"))  # pytest's own folders are closed to other users
    server = None
    try:
        server = Postgres(folder)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
