"""A conversation that has a turn, without a worker."""

import os
from uuid import uuid4

import httpx
from redis import Redis

from app.core.queue.conversation_scripts import KEEP
from app.core.queue.conversations import turn_fields
from tests.support.acting import answer

VALKEY = "TESTS_VALKEY_URL"
"""The variable that says where the session's Valkey is."""


def add_conversation(client: httpx.Client) -> str:
    """Ask in a new conversation, and write the turn as a worker does; its id."""
    session_id = uuid4().hex
    asked = {"query": "Whose is it?", "session_id": session_id}
    job_id = client.post("/chat", json=asked).raise_for_status().json()["job_id"]
    fields = turn_fields("Whose is it?", answer("Nobody else's. [1]", pages=[2]), keep_seconds=3600)
    with Redis.from_url(os.environ[VALKEY]) as valkey:
        assert valkey.eval(KEEP, 1, f"rq:job:{job_id}", job_id, *fields.values()) == 1
    return session_id
