"""A copy of the index's files, as they are at one moment: made by the embedded Qdrant itself while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from app.core.proxies import proxy_for
from app.core.services import QdrantServer
from app.embedded.backup.manifest import BackupError
from app.embedded.folder_lock import FolderLock

COPY_SECONDS_MAX = 3_600.0
"""Of a copy of all files: some 300 GB on a slow disk."""
COPIES = "/embedded/copies"


@contextmanager
def copied(folder: Path, server: QdrantServer) -> Iterator[Path]:
    """The folder of a copy, which is deleted in the end. Raises `BackupError`."""
    name = make_copy(server)
    try:
        yield folder / "copies" / name
    finally:
        with suppress(httpx.HTTPError), _client(server) as client:  # else the next start deletes it
            client.delete(f"{COPIES}/{name}")


def make_copy(server: QdrantServer) -> str:
    """Have a copy made; its name. Raises `BackupError`."""
    try:
        with _client(server) as client:
            answer = client.post(COPIES).raise_for_status().json()
        name = answer["result"]["name"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"the embedded Qdrant makes no copy ({type(error).__name__}): is it starting?") from error
    if not isinstance(name, str) or "/" in name or name.startswith("."):
        raise BackupError("the embedded Qdrant makes no copy: its answer is none of ours")
    return name


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """The folder itself, which nobody may open meanwhile. Raises `BackupError` when somebody has it."""
    lock = FolderLock(folder)
    try:
        if not lock.take():
            raise BackupError(
                f"the index is in use by process {lock.holder()}, perhaps `python -m ingest`: try again afterwards"
            )
        yield folder
    finally:
        lock.close()


def _client(server: QdrantServer) -> httpx.Client:
    headers = {"api-key": server.api_key} if server.api_key else {}
    transport = httpx.HTTPTransport(proxy=proxy_for(server.url))
    return httpx.Client(transport=transport, base_url=server.url, headers=headers, timeout=COPY_SECONDS_MAX)
