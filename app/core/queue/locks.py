"""Locks in Valkey, which end by themselves and are taken even when its memory is full: who holds one goes on."""

from redis import Redis

from app.core.queue.scripts import RUN


def take_lock(connection: "Redis", key: str, holder: str, *, seconds: int) -> bool:
    """Whether the lock at `key` was free, and is `holder`'s for so long now."""
    command = ("SET", key, holder, "NX", "EX", seconds)
    answers: list[object] = connection.eval(RUN, 0, len(command), *command)
    return bool(answers[0])
