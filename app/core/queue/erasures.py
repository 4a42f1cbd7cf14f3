"""What the chat log is still to erase, in Valkey: noted in the step that removes a job, done by whoever has the log.

So that nothing that was removed comes back or stays: not when its database is away, not when a process dies, and not
when a job is removed while another process is writing its row. Scores are seconds since 1970, by Valkey's clock.
"""

from app.core.queue.outbox import NOW
from app.core.queue.scripts import BEYOND_MAXMEMORY

ERASED_JOBS = "rag:chat-log:erased-jobs"
"""Ids of jobs that were removed."""
ERASED = "rag:chat-log:erased"
"""Conversations and tenants: `conversation TENANT SESSION`, `tenant TENANT`. No label has a space. What was asked
until then is erased; what is asked later is another conversation of the same name."""

NOTE = BEYOND_MAXMEMORY + NOW + "return redis.call('ZADD', KEYS[1], now(), ARGV[1])"
"""KEYS: `ERASED`. ARGV: what is to be erased."""


def conversation(tenant: str, session_id: str) -> str:
    """A conversation's member of `ERASED`."""
    return f"conversation {tenant} {session_id}"


def tenant(name: str) -> str:
    """A tenant's."""
    return f"tenant {name}"
