"""What is on disk: which files a run is about, and what each is called. File names are hostile."""

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from app.core.formats import LABELS, by_name
from ingest.reading.limits import FILE_BYTES_MAX
from ingest.reading.reasons import FileError, Reason

HASH_BLOCK_BYTES = 1024 * 1024

UNSAFE_IN_A_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, marks that turn the writing direction, and bytes that are not UTF-8."""


class UsageError(Exception):
    """The arguments cannot be worked on. The message says why; nothing was done."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to index. `source` is its path within the given folder, in a form that is safe to store and print.

    `size_bytes` is what it had when it was found.
    """

    path: Path
    source: str
    size_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is known not to be indexed. `is_failure` is false for what was passed over on purpose."""

    source: str
    reason: Reason
    is_failure: bool = True


@dataclass(slots=True)
class Found:
    """What the arguments stand for. `unlisted` are folders whose contents are unknown: nothing below them is gone."""

    files: list[File] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def safe_name(name: str) -> str:
    """`name` in NFC, each character that could act on a terminal or is no text replaced by U+FFFD."""
    return UNSAFE_IN_A_NAME.sub("\ufffd", unicodedata.normalize("NFC", name))


def find(paths: Sequence[Path], *, prune: bool = False) -> Found:
    """The documents that `paths` (files, or folders searched with all below) stand for, in a fixed order.

    Hidden files and folders inside a folder are passed over; a file argument is taken whatever its name. Raises
    `UsageError` when a path is missing, a folder holds no document, or `prune` is asked for without a folder.
    """
    folders = {path for path in paths if _is_folder(path)}
    for path in paths:
        if not _is_there(path):
            raise UsageError(f"{safe_name(str(path))}: no such file or folder")
    if prune and not folders:
        raise UsageError("--prune needs a folder: it deletes the documents whose file is no longer in it")
    found = Found()
    for path in paths:
        if path in folders:
            _add_folder(path, found)
        else:
            _add_file(path, safe_name(path.name), found)
    _refuse_same_names(found)
    return found


def open_regular(path: Path) -> BinaryIO:
    """Open `path` for reading; never waits for a pipe. Raises `FileError`: UNREADABLE, NOT_A_FILE, or by its size."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise FileError(Reason.UNREADABLE) from error
    opened = os.fdopen(descriptor, "rb")
    try:
        _check(os.fstat(descriptor))
    except FileError:
        opened.close()
        raise
    return opened


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal. Raises `FileError`."""
    digest = hashlib.sha256()
    with open_regular(path) as opened:
        try:
            while block := opened.read(HASH_BLOCK_BYTES):
                digest.update(block)
        except OSError as error:
            raise FileError(Reason.UNREADABLE) from error
    return digest.hexdigest()


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileError(Reason.NOT_A_FILE)
    if status.st_size == 0:
        raise FileError(Reason.EMPTY_FILE)
    if status.st_size > FILE_BYTES_MAX:
        raise FileError(Reason.TOO_LARGE)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no permission, or a name that is too long
        return False


def _is_there(path: Path) -> bool:
    """Whether the name exists, be it a link that leads nowhere."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def _add_file(path: Path, source: str, found: Found) -> None:
    try:
        status = path.stat()
    except OSError:
        found.refused.append(Refused(source, Reason.UNREADABLE))
        return
    if stat.S_ISREG(status.st_mode):
        found.files.append(File(path, source, status.st_size))
    else:
        found.refused.append(Refused(source, Reason.NOT_A_FILE, is_failure=False))


def _add_folder(folder: Path, found: Found) -> None:
    before = len(found.files) + len(found.refused)
    for path in sorted(_walk(folder, found)):
        _add_file(path, _source(path, folder), found)
    if len(found.files) + len(found.refused) == before:
        raise UsageError(f"{safe_name(str(folder))}: no {LABELS} in this folder")


def _walk(root: Path, found: Found) -> Iterator[Path]:
    """Every entry below `root` named like a document, in any order; says in `found` what it had to leave out."""
    waiting = [root]  # no recursion: folders can be nested deeper than Python's calls
    while waiting:
        folder = waiting.pop()
        try:
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        except OSError:
            found.refused.append(Refused(_source(folder, root), Reason.UNREADABLE))
            found.unlisted.append(_source(folder, root))
            continue
        for entry in entries:
            path = Path(entry.path)
            if _is_folder(path):
                if not entry.is_symlink():
                    waiting.append(path)
                else:  # it may lead back to where we are
                    found.refused.append(Refused(_source(path, root), Reason.LINKED_FOLDER, is_failure=False))
            elif by_name(entry.name) is not None:
                yield path


def _source(path: Path, root: Path) -> str:
    return safe_name(path.relative_to(root).as_posix())


def _refuse_same_names(found: Found) -> None:
    """Keep the first file of each source. The same file again is no matter; another file of that name is refused."""
    kept: dict[str, File] = {}
    for file in found.files:
        first = kept.setdefault(file.source, file)
        if first is not file and not _is_same(first.path, file.path):
            found.refused.append(Refused(file.source, Reason.SAME_NAME))
    found.files = list(kept.values())


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
