"""Files and folders that are whole after a crash, or gone."""

import os
import shutil
from pathlib import Path

import orjson

from app.embedded.qdrant.edge.values import Object


def write_json(path: Path, value: Object) -> None:
    """Replace the file at `path` in one step, and have it on disk before returning."""
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        file.write(orjson.dumps(value))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Delete a file or a tree, whatever is left of it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
