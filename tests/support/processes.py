"""Waiting for conditions instead of sleeping."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Literal, TypeVar

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
