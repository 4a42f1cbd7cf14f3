"""How a worker process does, for whoever restarts it or sends it work: `/healthz` and `/readyz` on METRICS_PORT.

A process whose threads live is healthy, also while Valkey is away: starting it again would help nobody.
"""

import threading
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.core.metrics.page import Report  # which is not imported where nothing is counted

QUIET_SECONDS = 10.0
"""Without a round trip for so long, Valkey counts as away: three heartbeats, and a little."""


class Health:
    """What one process knows of itself; `port` is where it says it. Safe to share between threads."""

    def __init__(self) -> None:
        self.port: int | None = None
        self._stopping: threading.Event | None = None
        self._workers: Sequence[threading.Thread] = ()
        self._others: Sequence[threading.Thread] = ()
        self._may_leave = False
        self._heard_at: float | None = None

    def heard(self) -> None:
        """Valkey has answered just now."""
        self._heard_at = monotonic()

    def opened(
        self,
        workers: Sequence[threading.Thread],
        others: Sequence[threading.Thread],
        stopping: threading.Event,
        *,
        may_leave: bool,
    ) -> None:
        """All is prepared, and these run to the end; `workers` leave before if they may, or are `stopping`."""
        self._workers, self._others, self._may_leave = workers, others, may_leave
        self._stopping = stopping

    def closed(self) -> None:
        """The threads are told to leave: none of them is missed."""
        self._workers = self._others = ()

    def alive(self) -> "Report":
        """Whether every thread lives that should."""
        is_stopping = self._stopping is not None and self._stopping.is_set()
        workers = () if self._may_leave or is_stopping else self._workers
        expected = (*workers, *self._others)
        dead = [thread.name for thread in expected if not thread.is_alive()]
        return not dead, {
            "threads": len(expected) - len(dead),
            "dead_threads": dead,
            "valkey_answered_seconds_ago": self._quiet_seconds(),
        }

    def ready(self) -> "Report":
        """Whether the process is open for work: prepared, not stopping, and heard by Valkey."""
        quiet = self._quiet_seconds()
        if self._stopping is None:
            status = "starting"
        elif self._stopping.is_set():
            status = "stopping"
        elif quiet is None or quiet > QUIET_SECONDS:
            status = "valkey_unavailable"
        else:
            status = "ready"
        return status == "ready", {"status": status}

    def _quiet_seconds(self) -> float | None:
        """How long ago Valkey has answered; None before the first time."""
        heard_at = self._heard_at
        return None if heard_at is None else round(monotonic() - heard_at, 3)
