"""Valkey's append-only file as it is at one moment, read beside a Valkey that goes on writing it.

A rewrite replaces base and increments, and names what counts in a manifest that it replaces in one step. So: open all
that the manifest names, and look whether it names the same still. What was opened stays readable, whatever becomes of
it; of the last increment counts what it had then. A half-written command at its end is cut off by Valkey's start.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from app.core.opening import open_real
from app.embedded.backup.manifest import BackupError

MANIFEST = "appendonly.aof.manifest"
HISTORY = "h"
"""The kind of a file that counts no more, and is about to be deleted."""
ATTEMPTS = 100
"""A rewrite replaces the manifest twice, minutes apart."""


@contextmanager
def opened(folder: Path) -> Iterator[Sequence[tuple[str, IO[bytes], int]]]:
    """The files that make up the append-only file in `folder`: name, the file, how many bytes of it count.

    None when Valkey has written nothing yet. The manifest comes last.
    """
    for _ in range(ATTEMPTS):
        with ExitStack() as stack:
            try:
                found = _opened(folder, stack)
            except FileNotFoundError:
                if not (folder / MANIFEST).exists():
                    yield []
                    return
                continue  # a rewrite has just deleted it
            if found is not None:
                yield found
                return
    raise BackupError("Valkey's file changes too fast to be read: try again")


def _opened(folder: Path, stack: ExitStack) -> list[tuple[str, IO[bytes], int]] | None:
    """None when the manifest changes meanwhile."""
    real = folder.resolve()
    manifest = stack.enter_context(open_real(real / MANIFEST))
    text = manifest.read()
    files = [(name, stack.enter_context(open_real(real / name))) for name in _names(text)]
    with open_real(real / MANIFEST) as again:
        if again.read() != text:
            return None
    manifest.seek(0)
    return [(name, file, os.fstat(file.fileno()).st_size) for name, file in [*files, (MANIFEST, manifest)]]


def _names(manifest: bytes) -> Iterator[str]:
    """Of its lines, `file NAME seq NUMBER type KIND`, the names that count."""
    for line in manifest.decode(errors="replace").splitlines():
        words = line.split()
        told = dict(zip(words[::2], words[1::2], strict=False))
        if "file" in told and told.get("type") != HISTORY:
            name = told["file"]
            if "/" in name:
                raise BackupError("Valkey's manifest names a file elsewhere")
            yield name
