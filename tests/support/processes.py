"""Waiting for conditions instead of sleeping."""

import os
import signal
from collections.abc import Callable
from time import monotonic, sleep
from typing import Literal, TypeVar

import psutil
from redis.exceptions import RedisError

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""Far more than anything takes; what is waited for too long fails with its name."""


def wait_until(
    condition: Callable[[], T | Literal[False] | None], what: str, *, seconds: float = PATIENCE_SECONDS
) -> T:
    """The first true value of `condition`; an unreachable service counts as not yet. Fails after `seconds`."""
    give_up = monotonic() + seconds
    while True:
        try:
            if value := condition():
                return value
        except (RedisError, OSError):
            pass
        assert monotonic() < give_up, f"waited {seconds:g} s for: {what}"
        sleep(0.02)


def hold(pid: int) -> None:
    """Stop a process, and wait until it has stopped: the signal alone may come after its next answer."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, f"process {pid} has stopped")
