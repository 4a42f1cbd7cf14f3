"""`python -m app backup FILE`: DATA_DIR into one file, while the service runs or while it is stopped.

While it runs, each part is as it was at one moment of the backup: first Valkey, then the index, then the chat log,
then the documents' files. So nothing that Valkey tells of is missing behind it, unless it was deleted meanwhile; what
the index has beyond it is shown when a worker starts, and what the log lacks is read from the outbox again.
"""

import gzip
import hashlib
import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

from app.chat_log.place import FILE_NAME
from app.core.documents.files import DRAFTS
from app.core.opening import open_real
from app.core.services import QdrantServer, Services, running
from app.core.settings import Settings
from app.embedded.backup import append_only
from app.embedded.backup.manifest import (
    APPEND_ONLY,
    CREDENTIALS,
    DOCUMENTS,
    MANIFEST,
    PROGRAMS,
    QDRANT,
    BackupError,
    Entry,
    Manifest,
)
from app.embedded.backup.outside import PAGE, outside
from app.embedded.backup.qdrant_copy import copied, held
from app.embedded.data_dir import DataDirLock

LEVEL = 1
"""Of gzip: vectors and documents pack no better at 9."""
FILE_MODE = 0o600
FOLDER_MODE = 0o700
LEFT_OUT = frozenset({"lock", "copies", "trash"})
"""Of the index's folder: what belongs to a running process."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What is in the backup, and the settings that name what is not."""

    files: int
    size_bytes: int
    was_running: bool
    outside: list[str]


def back_up(settings: Settings, stream: IO[bytes], *, partial: bool) -> Taken:
    """Write the backup to `stream`. Raises `BackupError` or `ConfigurationError`.

    `partial`: also where the service has things outside of DATA_DIR, which are then left out.
    """
    data_dir = settings.data_dir.absolute()
    if not data_dir.is_dir():
        raise BackupError(f"there is nothing to back up: DATA_DIR {data_dir} is not there")
    with ExitStack() as stack:
        service = running(data_dir)
        elsewhere = outside(settings, service)
        if elsewhere and not partial:
            raise BackupError(
                f"{', '.join(elsewhere)}: what is there is no part of DATA_DIR, and {PAGE}. With --partial the rest "
                "is backed up"
            )
        if service is None:
            stack.enter_context(DataDirLock(data_dir))
        archive = stack.enter_context(_Archive(stream))
        if "REDIS_URL" not in elsewhere:
            for name, file, size in stack.enter_context(append_only.opened(data_dir / APPEND_ONLY)):
                archive.add(f"{APPEND_ONLY}/{name}", file, size)
        if "QDRANT_URL" not in elsewhere and (data_dir / QDRANT).is_dir():
            index = held(data_dir / QDRANT) if service is None else copied(data_dir / QDRANT, _qdrant(service))
            with index as folder:
                archive.add_folder(QDRANT, folder, leave_out=LEFT_OUT)
        if "DATABASE_URL" not in elsewhere and (data_dir / FILE_NAME).exists():
            _add_log(archive, data_dir / FILE_NAME)
        if "DOCUMENTS_URL" not in elsewhere and (data_dir / DOCUMENTS).is_dir():
            archive.add_folder(DOCUMENTS, data_dir / DOCUMENTS, leave_out=frozenset({DRAFTS}))
        archive.add_file(CREDENTIALS, data_dir / CREDENTIALS)
        archive.end()
        sizes = [entry.size for entry in archive.files.values()]
        return Taken(len(sizes), sum(sizes), service is not None, elsewhere)


def _qdrant(service: Services) -> QdrantServer:
    key = service.qdrant_api_key
    return QdrantServer(service.qdrant_url, key.get_secret_value() if key is not None else None)


def _add_log(archive: "_Archive", path: Path) -> None:
    """The chat log as SQLite itself copies it: at one moment, with what is in its write-ahead log."""
    with tempfile.TemporaryDirectory(prefix="rag-queue-") as folder:
        copy = Path(folder) / FILE_NAME
        try:
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            raise BackupError(f"the chat log {path} can't be read ({error})") from error
        archive.add_file(FILE_NAME, copy)


class _Archive:
    """The tar. A context manager, which ends the packing and leaves the stream open."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.files: dict[str, Entry] = {}
        self._packed = gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=LEVEL, filename="", mtime=0)
        self._tar = tarfile.open(fileobj=self._packed, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see exit

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with suppress(OSError) if error is not None else nullcontext():  # then it is thrown away in any case
            self._tar.close()
            self._packed.close()

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """The first `size` bytes of an open file."""
        reader = _Hashing(file)
        try:
            self._tar.addfile(_info(name, size), reader)
        except OSError as error:
            raise BackupError(f"{name} can't be read, or the backup can't be written ({error})") from error
        self.files[name] = Entry(size=size, sha256=reader.hash.hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """The file at `path`, if it is still there."""
        try:
            file = open_real(path.resolve())
        except FileNotFoundError:
            return
        with file:
            self.add(name, file, os.fstat(file.fileno()).st_size)

    def add_folder(self, name: str, folder: Path, *, leave_out: frozenset[str]) -> None:
        """All below `folder`, but what is directly in it and to be left out; empty folders too, and no links."""
        for path in _below(folder, leave_out):
            inner = f"{name}/{path.relative_to(folder).as_posix()}"
            if path.is_dir():
                self._tar.addfile(_info(inner, 0, is_folder=True))
            else:
                self.add_file(inner, path)

    def end(self) -> None:
        """The manifest."""
        made_with = {program: version(program) for program in PROGRAMS}
        text = Manifest(made_at=datetime.now(UTC), made_with=made_with, files=self.files).model_dump_json().encode()
        self._tar.addfile(_info(MANIFEST, len(text)), io.BytesIO(text))


class _Hashing:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self.hash.update(data)
        return data


def _below(folder: Path, leave_out: frozenset[str]) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name in leave_out or entry.is_symlink():
            continue
        yield entry
        if entry.is_dir():
            yield from _below(entry, frozenset())


def _info(name: str, size: int, *, is_folder: bool = False) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = FOLDER_MODE if is_folder else FILE_MODE
    if is_folder:
        info.type = tarfile.DIRTYPE
    return info
