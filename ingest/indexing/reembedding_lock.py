"""One process at a time re-embeds an index: a lock in Valkey, renewed while it runs, and gone soon after it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from redis import Redis

LOCK_SECONDS = 15
"""After a kill, so long at most does the next one wait."""
RENEW_SECONDS = 4.0
POLL_SECONDS = 0.2


class AlreadyRunningError(Exception):
    """Another process is re-embedding this index."""


@contextmanager
def alone(connection: "Redis | None", index: str) -> Iterator[Callable[[], bool]]:
    """While no other process re-embeds `index`; gives what tells whether that is still so.

    Waits for a lock that nobody renews, and raises `AlreadyRunningError` when somebody does. Without a Valkey there
    is nobody else on this machine: the embedded Qdrant is this process's own.
    """
    if connection is None:
        yield lambda: True
        return
    from app.core.queue.connections import VALKEY_UNAVAILABLE  # a run without a Valkey should not wait for its client
    from app.core.queue.locks import take_lock

    key, holder, ended = f"rag:reembed:{index}", uuid4().hex, threading.Event()

    def is_ours() -> bool:
        return bool(connection.get(key) == holder.encode())

    def renew() -> None:
        while not ended.wait(RENEW_SECONDS):
            with suppress(*VALKEY_UNAVAILABLE):
                if is_ours():
                    connection.expire(key, LOCK_SECONDS)

    give_up = monotonic() + LOCK_SECONDS + 2 * POLL_SECONDS
    while not take_lock(connection, key, holder, seconds=LOCK_SECONDS):
        if monotonic() > give_up:
            raise AlreadyRunningError
        sleep(POLL_SECONDS)
    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield is_ours
    finally:
        ended.set()
        with suppress(*VALKEY_UNAVAILABLE):
            if is_ours():
                connection.delete(key)
