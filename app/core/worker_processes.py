"""Worker processes as children of one that watches them: `python -m worker --processes N`, and `python -m app`.

Python runs one thread of a process at a time, so that each core wants a process of its own. All of them serve the
same queues, and nothing is shared between them but Valkey.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from app.core.children import Child, never
from app.core.errors import ConfigurationError
from app.core.settings import Settings

EXTRA_GRACE_SECONDS = 5.0
"""Beyond its own grace, for what a worker does after its last job."""
PORT_MAX = 65_535


def worker_children(
    settings: Settings,
    *,
    environment: Mapping[str, str],
    arguments: Sequence[str] = (),
    metrics_ports: Sequence[int] = (),
    fds: Sequence[int] = (),
    is_done: Callable[[int, int], bool] = never,
) -> list[Child]:
    """WORKER_PROCESSES of them, not started yet. Each has one of `metrics_ports`, if there are any."""
    count = settings.worker_processes
    command = [sys.executable, "-m", "worker", "--processes", "1", *arguments]
    given = {name: value for name, value in environment.items() if name.upper() != "METRICS_PORT"}
    return [
        Child(
            "worker" if count == 1 else f"worker {number}",
            command,
            env=given | ({"METRICS_PORT": str(metrics_ports[number - 1])} if metrics_ports else {}),
            fds=fds,
            grace_seconds=settings.shutdown_grace_seconds + EXTRA_GRACE_SECONDS,
            is_done=is_done,
        )
        for number in range(1, count + 1)
    ]


def metrics_ports(settings: Settings, *, others: int = 0) -> list[int]:
    """The port of each worker process: METRICS_PORT and those after it, behind those of `others`.

    Each takes a free one where METRICS_PORT is 0; none where it is not set. Raises `ConfigurationError` when there
    are too few ports after METRICS_PORT.
    """
    port, count = settings.metrics_port, settings.worker_processes
    if not port:
        return [] if port is None else [0] * count
    first = port + others
    if first + count - 1 > PORT_MAX:
        raise ConfigurationError(f"METRICS_PORT: each worker process has the next port, and {PORT_MAX} is the last")
    return list(range(first, first + count))
