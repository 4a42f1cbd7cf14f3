"""What is on disk: which files a run is about, and what each is called. File names are hostile."""

import errno
import hashlib
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from app.core.formats import LABELS, by_name
from app.core.opening import open_real
from ingest.reading.kinds import is_litter, is_lock, kind_of, reason_of_kind
from ingest.reading.limits import FILE_BYTES_MAX
from ingest.reading.reasons import FileError, Reason

HASH_BLOCK_BYTES = 1024 * 1024
OTHER_KINDS_LISTED_MAX = 1_000
"""Files that are not read, by name: a folder of pictures may have any number; the others are counted."""

UNSAFE_IN_A_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, marks that turn the writing direction, and bytes that are not UTF-8."""


class UsageError(Exception):
    """The arguments cannot be worked on. The message says why; nothing was done."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to index. `source` is its path within the given folder, in a form that is safe to store and print.

    `real` is where it lay when it was found, with no link on the way: that is opened, `path` is what it is called.
    `size_bytes` is what it had then.
    """

    path: Path
    source: str
    real: Path
    size_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is known not to be indexed. `is_failure` is false for what was passed over on purpose."""

    source: str
    reason: Reason
    is_failure: bool = True


@dataclass(slots=True)
class Found:
    """What the arguments stand for. `unlisted` are folders whose contents are unknown: nothing below them is gone.

    `outside` are the links that lead out of their folder: what they were once indexed as is no file of it.
    `other_kinds` counts the folders' files that are of no format that is read, by their suffix ("" without one);
    the first `OTHER_KINDS_LISTED_MAX` of them are among the refused. `locks` counts the files that say of a
    document that it is open.
    """

    files: list[File] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)
    other_kinds: Counter[str] = field(default_factory=Counter)
    locks: int = 0


def safe_name(name: str) -> str:
    """`name` in NFC, each character that could act on a terminal or is no text replaced by U+FFFD."""
    return UNSAFE_IN_A_NAME.sub("\ufffd", unicodedata.normalize("NFC", name))


def find(paths: Sequence[Path], *, prune: bool = False, follow_links: bool = False) -> Found:
    """The documents that `paths` (files, or folders searched with all below) stand for, in a fixed order.

    Hidden files and folders inside a folder are passed over, and what programs leave beside people's files; links
    that lead to them or out of the folder, unless `follow_links`, and files of other kinds are so, too, and named. A
    file argument is taken whatever its name, a link as what it leads to now. Raises `UsageError` when a path is
    missing, a folder holds no document (unless one is being written, and nothing is pruned),
    or `prune` is asked for without a folder.
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
            _add_folder(path, found, follow_links=follow_links, may_be_bare=not prune)
        else:
            _add_file(path, safe_name(path.name), found)
    _refuse_same_names(found)
    return found


def open_regular(path: Path) -> BinaryIO:
    """Open `path`, a real path, for reading. Never waits for a pipe, and follows no link that was put there since.

    Raises `FileError`: UNREADABLE, NOT_A_FILE, or by its size.
    """
    try:
        opened = open_real(path)
    except (OSError, ValueError) as error:
        is_other = isinstance(error, OSError) and error.errno == errno.EINVAL
        raise FileError(Reason.NOT_A_FILE if is_other else Reason.UNREADABLE) from error
    try:
        _check_size(os.fstat(opened.fileno()).st_size)
    except FileError:
        opened.close()
        raise
    return opened


def sha256_of(path: Path) -> str:
    """The hash of the bytes of the file at `path`, a real path, in hexadecimal. Raises `FileError`."""
    digest = hashlib.sha256()
    with open_regular(path) as opened:
        try:
            while block := opened.read(HASH_BLOCK_BYTES):
                digest.update(block)
        except OSError as error:
            raise FileError(Reason.UNREADABLE) from error
    return digest.hexdigest()


def _check_size(size_bytes: int) -> None:
    if size_bytes == 0:
        raise FileError(Reason.EMPTY_FILE)
    if size_bytes > FILE_BYTES_MAX:
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


def _add_file(path: Path, source: str, found: Found, within: Path | None = None) -> None:
    """Add `path`, unless it leads out of the folder `within` (a real path; None: it may lead anywhere)."""
    try:
        real = Path(os.path.realpath(path, strict=True))
        status = real.lstat()
    except OSError:
        found.refused.append(Refused(source, Reason.UNREADABLE))
        return
    if within is not None and not _is_seen(real, within):
        found.refused.append(Refused(source, Reason.OUTSIDE_FOLDER, is_failure=False))
        found.outside.append(path)
    elif stat.S_ISREG(status.st_mode):
        found.files.append(File(path, source, real, status.st_size))
    else:
        found.refused.append(Refused(source, Reason.NOT_A_FILE, is_failure=False))


def _is_seen(real: Path, folder: Path) -> bool:
    """Whether a search of `folder` comes past `real`: it lies within, and is not hidden there."""
    return real.is_relative_to(folder) and not any(part.startswith(".") for part in real.relative_to(folder).parts)


def _add_folder(folder: Path, found: Found, *, follow_links: bool, may_be_bare: bool) -> None:
    before, locks_before = len(found.files) + len(found.refused), found.locks
    others = Found()
    within = None if follow_links else Path(os.path.realpath(folder))
    for path in sorted(_walk(folder, found)):
        if by_name(path.name) is not None:
            _add_file(path, _source(path, folder), found, within)
        else:
            _add_other(path, _source(path, folder), others)
    has_lock = found.locks > locks_before
    if len(found.files) + len(found.refused) == before and not (may_be_bare and has_lock):
        raise UsageError(f"{safe_name(str(folder))}: no {LABELS} in this folder")
    found.other_kinds += others.other_kinds
    found.refused += others.refused


def _add_other(path: Path, source: str, found: Found) -> None:
    """Note a file of no format that is read, unless it is no file."""
    found.other_kinds[kind_of(path.name)] += 1
    if len(found.refused) < OTHER_KINDS_LISTED_MAX:
        found.refused.append(Refused(source, reason_of_kind(path.name), is_failure=False))


def _walk(root: Path, found: Found) -> Iterator[Path]:
    """Every file below `root` that is somebody's own, in any order; says in `found` what it had to leave out."""
    waiting = [root]  # no recursion: folders can be nested deeper than Python's calls
    while waiting:
        folder = waiting.pop()
        try:
            everything = list(os.scandir(folder))
        except OSError:
            found.refused.append(Refused(_source(folder, root), Reason.UNREADABLE))
            found.unlisted.append(_source(folder, root))
            continue
        entries = [entry for entry in everything if not is_litter(entry.name)]
        found.locks += sum(is_lock(entry.name) for entry in everything)
        for entry in entries:
            path = Path(entry.path)
            if _is_folder(path):
                if not entry.is_symlink():
                    waiting.append(path)
                else:  # it may lead back to where we are
                    found.refused.append(Refused(_source(path, root), Reason.LINKED_FOLDER, is_failure=False))
            else:
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
