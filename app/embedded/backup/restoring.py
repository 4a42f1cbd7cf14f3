"""`python -m app restore FILE`: a backup back into DATA_DIR, once all of it is read and its hashes are right."""

import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from app.core.private_files import FILE_MODE, FOLDER_MODE, make_private_folder
from app.core.settings import Settings
from app.embedded.backup.manifest import (
    MANIFEST,
    MANIFEST_BYTES_MAX,
    PROGRAMS,
    BackupError,
    Entry,
    Manifest,
    check_name,
)
from app.embedded.backup.outside import PAGE, outside
from app.embedded.data_dir import DataDirLock

STAGING = "restoring"
"""In DATA_DIR, so that giving the files their place is a rename: it may be a volume of its own."""
BEFORE = "before-restore"
"""Begins the name of the folder into which what was there is moved."""
LOCK = "lock"
BLOCK_BYTES = 1 << 20
ROOM_BYTES = 64 << 20
"""What is left free on the disk."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, where what was there before is now, and which programs were of another version."""

    manifest: Manifest
    moved_to: Path | None
    other_versions: list[str]

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(entry.size for entry in self.manifest.files.values())


def restore(settings: Settings, stream: IO[bytes], *, force: bool, partial: bool) -> Restored:
    """Restore from `stream` into DATA_DIR, which no service may use. Raises `BackupError` or `ConfigurationError`.

    Where there is something already, `force` moves it aside. `partial` as of `back_up`.
    """
    data_dir = settings.data_dir.absolute()
    elsewhere = outside(settings, None)
    if elsewhere and not partial:
        raise BackupError(
            f"{', '.join(elsewhere)}: the service looks there and not into DATA_DIR, and {PAGE}. With --partial "
            "DATA_DIR is restored all the same"
        )
    with DataDirLock(data_dir):
        staging = data_dir / STAGING
        shutil.rmtree(staging, ignore_errors=True)  # what a killed restore has left
        there = [path for path in sorted(data_dir.iterdir()) if path.name != LOCK]
        if there and not force:
            raise BackupError(
                f"DATA_DIR {data_dir} is not empty. Set DATA_DIR to another folder, or take --force: what is there "
                "is then moved aside, and not deleted"
            )
        staging.mkdir(mode=FOLDER_MODE)
        try:
            manifest = _unpack(stream, staging)
            os.sync()
            moved_to = _moved_aside(data_dir, there)
            for path in sorted(staging.iterdir()):
                path.rename(data_dir / path.name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return Restored(manifest, moved_to, _other_versions(manifest))


def _moved_aside(data_dir: Path, there: list[Path]) -> Path | None:
    if not there:
        return None
    aside = data_dir / f"{BEFORE}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    aside.mkdir(mode=FOLDER_MODE)
    for path in there:
        if not path.name.startswith(BEFORE):  # of an earlier one
            path.rename(aside / path.name)
    return aside


def _unpack(stream: IO[bytes], staging: Path) -> Manifest:
    """Write the files below `staging`, and check each of them against the manifest at the end."""
    found: dict[str, Entry] = {}
    manifest = None
    with _told(), gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
        with tarfile.open(fileobj=unpacked, mode="r|") as tar:
            for member in tar:
                if manifest is not None:
                    raise BackupError("the file is damaged: something follows its end")
                if member.name == MANIFEST and member.isreg():
                    manifest = _manifest(tar, member)
                    continue
                check_name(member.name)
                if member.isdir():
                    make_private_folder(staging / member.name)
                elif member.isreg() and member.name not in found:
                    found[member.name] = _written(tar, member, staging)
                else:
                    raise BackupError("the file is no backup of this service: it has a link, or a name twice")
        while unpacked.read(BLOCK_BYTES):  # to its end, where its own sum stands
            pass
    if manifest is None:
        raise BackupError("the file ends before its end: it was cut off")
    if manifest.files != found:
        raise BackupError("what the file holds is not what it says at its end: it is damaged")
    return manifest


def _written(tar: tarfile.TarFile, member: tarfile.TarInfo, staging: Path) -> Entry:
    if member.size > shutil.disk_usage(staging).free - ROOM_BYTES:
        raise BackupError("there is too little room on the disk of DATA_DIR")
    source = tar.extractfile(member)
    assert source is not None  # a regular file
    path = staging / member.name
    make_private_folder(path.parent)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        while data := source.read(BLOCK_BYTES):
            file.write(data)
            digest.update(data)
            size += len(data)
    return Entry(size=size, sha256=digest.hexdigest())


def _manifest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Manifest:
    source = tar.extractfile(member)
    if source is None or member.size > MANIFEST_BYTES_MAX:
        raise BackupError("the file is no backup of this service")
    try:
        return Manifest.model_validate_json(source.read())
    except ValidationError as error:
        raise BackupError("the file is no backup that this version can read") from error


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise BackupError("the file ends before its end: it was cut off") from error
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error) as error:
        raise BackupError("the file is damaged, or no backup") from error
    except OSError as error:
        raise BackupError(f"DATA_DIR can't be written ({error.strerror})") from error


def _other_versions(manifest: Manifest) -> list[str]:
    """The programs that are here in another version than those that wrote the files."""
    return [
        f"{program} {was} (here {here})"
        for program, was in sorted(manifest.made_with.items())
        if program in PROGRAMS and (here := version(program)) != was
    ]
