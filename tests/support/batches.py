"""Batches for tests: their input, and what their files say."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openai import OpenAI
from openai.types import Batch

from tests.support.processes import wait_until

QUESTION = "When does the harbour open in winter?"
OVER = ("completed", "failed", "cancelled", "expired")
BODIES: dict[str, Any] = {
    "/v1/chat/completions": {"model": "rag-queue", "messages": [{"role": "user", "content": QUESTION}]},
    "/v1/responses": {"model": "rag-queue", "input": QUESTION},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": QUESTION},
    "/chat": {"query": QUESTION},
}


def line(number: int, endpoint: str = "/v1/chat/completions", **more: Any) -> dict[str, Any]:
    """A line with a request; `more` is put into its body."""
    body = BODIES[endpoint] | more
    return {"custom_id": f"line-{number}", "method": "POST", "url": endpoint, "body": body}


def json_lines(lines: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


def create(
    client: OpenAI, folder: Path, lines: Sequence[dict[str, Any]] | bytes, endpoint: str = "/v1/chat/completions"
) -> Batch:
    """Upload and begin, as OpenAI's guide has it."""
    path = folder / "requests.jsonl"
    path.write_bytes(lines if isinstance(lines, bytes) else json_lines(lines))
    with path.open("rb") as file:
        uploaded = client.files.create(file=file, purpose="batch")
    where: Any = endpoint
    return client.batches.create(input_file_id=uploaded.id, endpoint=where, completion_window="24h")


def ended(client: OpenAI, batch_id: str, seconds: float = 60) -> Batch:
    """The batch, once it is over."""

    def is_over() -> Batch | None:
        batch = client.batches.retrieve(batch_id)
        return batch if batch.status in OVER else None

    return wait_until(is_over, "the batch is over", seconds=seconds)


def read(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of an output or error file."""
    if file_id is None:
        return []
    return [json.loads(each) for each in client.files.content(file_id).text.splitlines()]
