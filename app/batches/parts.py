"""What has been answered of a batch, as parts of its output and its error file.

Stores of objects can't append to a file: each part is a file of its own, and they are joined at the end, a piece at
a time. A part's name is used once, so that no process ever writes over what another has counted.
"""

from collections.abc import Sequence
from hashlib import sha256
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

import orjson

from app.batches.requests import Answer
from app.core.documents.files import COPY_BYTES, DocumentStore, StoredFileNotFoundError
from app.core.logging import get_logger

Kind = Literal["output", "errors"]
KINDS: tuple[Kind, ...] = ("output", "errors")

log = get_logger(__name__)


class Parts:
    """A part of each file of a batch, as it is written. It blocks, and may raise `StorageUnavailableError`."""

    def __init__(self, store: DocumentStore, tenant: str, batch_id: str) -> None:
        self._store = store
        self._tenant = tenant
        self._stem = f"{batch_id}.{uuid4().hex}"
        self._drafts = {kind: store.draft() for kind in KINDS}
        self.completed = 0
        self.failed = 0

    def answered(self, request_id: str, custom_id: str, job_id: str | None, answer: Answer) -> None:
        """A line was answered, well or with an error."""
        response = {"status_code": answer.status, "request_id": job_id or request_id, "body": answer.body}
        self._add("output" if answer.status < 400 else "errors", request_id, custom_id, response, None)

    def unanswered(self, request_id: str, custom_id: str, code: str, message: str) -> None:
        """A line has no answer."""
        self._add("errors", request_id, custom_id, None, {"code": code, "message": message})

    def _add(self, kind: Kind, request_id: str, custom_id: str, response: Any, error: Any) -> None:
        line = {"id": request_id, "custom_id": custom_id, "response": response, "error": error}
        self._drafts[kind].write(orjson.dumps(line) + b"\n")
        self.completed += kind == "output"
        self.failed += kind == "errors"

    def keep(self) -> list[str]:
        """Keep what was written; the parts' names."""
        names = []
        for kind, draft in self._drafts.items():
            if draft.size:
                names.append(f"{self._stem}.{kind}")
                self._store.keep_batch_file(draft, self._tenant, names[-1])
        return names

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for draft in self._drafts.values():
            draft.drop()


def file_id_of(batch_id: str, kind: Kind) -> str:
    """The id of a batch's file: the same for whoever joins it, should two do so."""
    return f"file-{sha256(f'{batch_id} {kind}'.encode()).hexdigest()[:32]}"


def request_name(batch_id: str, number: int) -> str:
    """The id of a line, which counts from 1."""
    return f"batch_req_{sha256(f'{batch_id} {number}'.encode()).hexdigest()[:32]}"


def join(store: DocumentStore, tenant: str, names: Sequence[str], file_id: str) -> int:
    """Make one file of parts; how many bytes it has. Blocks. Raises `StorageUnavailableError`."""
    with store.draft() as draft:
        for name in names:
            try:
                with store.open_batch_file(tenant, name) as part:
                    while data := part.read(COPY_BYTES):
                        draft.write(data)
            except StoredFileNotFoundError:  # somebody has removed it by hand
                log.warning("batch_part_lost", part=name)
        store.keep_batch_file(draft, tenant, file_id)
        return draft.size
