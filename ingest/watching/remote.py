"""A folder in a store (s3://, gs://, az://, github://, ...) as a folder of this machine, kept in step with it.

What is new or changed there, by its ETag, hash or time and its size, is fetched; what is gone there is deleted here.
Ingestion then works on the copy as on any folder. Names in a store are hostile: none leads out of the copy.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic import Field, ValidationError

from app.core.contract import Frozen
from app.core.formats import by_name
from app.core.logging import get_logger
from app.core.opening import open_real
from app.core.places import PlaceError, filesystem_of, told
from app.core.private_files import FILE_MODE, make_private_folder, write_private
from ingest.reading.kinds import is_litter
from ingest.reading.limits import FILE_BYTES_MAX

FOLDER = "watched"
"""In DATA_DIR."""
FETCHING = ".fetching"
"""In a copy: a file that is being fetched. Ingestion passes over hidden ones."""
BLOCK_BYTES = 1 << 20
PART_BYTES_MAX = 255
"""Of a name, what a disk takes."""
STAMPS = (
    "ETag",
    "etag",
    "sha",
    "md5Hash",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "modified",
    "created",
)
"""What stores call that which changes with a file's bytes; the first that is there counts, beside the size."""

log = get_logger(__name__)


class State(Frozen):
    """What was fetched: by name, the stamp that it had."""

    files: dict[str, str] = Field({})


@dataclass(slots=True)
class Fetched:
    """What a look at the store has changed here. `failed` are tried again the next time; `refused` never can be."""

    changed: int = 0
    removed: int = 0
    failed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class RemoteFolder:
    """The copy of the folder at `address`. Raises `ConfigurationError` when a package for it is missing."""

    def __init__(self, address: str, data_dir: Path) -> None:
        self.address = address.rstrip("/")
        filesystem_of(self.address)
        name = sha256(self.address.encode()).hexdigest()[:16]
        self.folder = data_dir.absolute() / FOLDER / name
        self._state_file = self.folder.with_suffix(".json")

    def fetch(self) -> Fetched:
        """Bring the copy in step. Raises `PlaceError` when the store does not tell what there is.

        A store that lists nothing, where there was something, is held to be away: nothing is deleted.
        """
        filesystem, root = filesystem_of(self.address)
        with told(self.address):
            listed = filesystem.find(root, detail=True)
        there = _documents(listed, root)
        known = self._state()
        if not listed and known:
            raise PlaceError(f"{self.address} lists no file at all; what was there is kept")
        make_private_folder(self.folder)
        done, now = Fetched(), {}
        for name, info in sorted(there.items()):
            stamp = _stamp(info)
            if not _is_safe(name) or int(info.get("size") or 0) > FILE_BYTES_MAX:
                done.refused.append(name)
            elif known.get(name) == stamp and (self.folder / name).is_file():
                now[name] = stamp
            elif self._fetch(filesystem, info, name, stamp, done):
                now[name] = stamp
                done.changed += 1
            elif name in known:  # the old copy stands
                now[name] = known[name]
        for name in known.keys() - there.keys():
            self._remove(name)
            done.removed += 1
        write_private(self._state_file, State(files=now).model_dump_json())
        return done

    def _fetch(self, filesystem: Any, info: Mapping[str, Any], name: str, stamp: str, done: Fetched) -> bool:
        """Fetch a file whole, or leave what is here; False then, and when it has changed meanwhile."""
        draft, target = self.folder / FETCHING, self.folder / name
        try:
            with told(self.address):
                draft.unlink(missing_ok=True)
                self._copy(filesystem, str(info["name"]), draft)
                again = filesystem.info(info["name"])
                if _stamp(again) != stamp or draft.stat().st_size != int(info.get("size") or 0):
                    done.failed.append(name)  # it is being written
                    return False
                make_private_folder(target.parent)
                draft.replace(target)
        except PlaceError as error:
            log.warning("file_not_fetched", reason=str(error))
            done.failed.append(name)
            return False
        else:
            return True
        finally:
            draft.unlink(missing_ok=True)

    @staticmethod
    def _copy(filesystem: Any, path: str, draft: Path) -> None:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
        left = FILE_BYTES_MAX  # whatever its size was said to be
        with os.fdopen(descriptor, "wb") as target, cast(BinaryIO, filesystem.open(path, "rb")) as source:
            while left > 0 and (data := source.read(min(BLOCK_BYTES, left))):
                target.write(data)
                left -= len(data)

    def _remove(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.folder or any(folder.iterdir()):
                break
            folder.rmdir()

    def _state(self) -> dict[str, str]:
        try:
            with open_real(self._state_file.resolve()) as file:
                return State.model_validate_json(file.read()).files
        except (FileNotFoundError, ValidationError):  # nothing is known: all is fetched
            shutil.rmtree(self.folder, ignore_errors=True)
            return {}


def _documents(listed: Mapping[str, Mapping[str, Any]], root: str) -> dict[str, Mapping[str, Any]]:
    """By its name within the folder, each file of a format that is read; hidden ones are nobody's."""
    found = {}
    for path, info in listed.items():
        name = path.removeprefix(root).lstrip("/")
        last = name.rpartition("/")[2]
        is_hidden = any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))
        if info.get("type") == "file" and not is_hidden and not is_litter(last) and by_name(last) is not None:
            found[name] = info
    return found


def _is_safe(name: str) -> bool:
    """Whether `name` is that of a file below the copy, whatever disk it lies on."""
    parts = name.split("/")
    try:
        return all(
            part not in ("", ".", "..") and "\0" not in part and len(part.encode()) <= PART_BYTES_MAX
            for part in parts
        )
    except UnicodeEncodeError:
        return False


def _stamp(info: Mapping[str, Any]) -> str:
    """What changes with a file's bytes."""
    stamp = next((info[name] for name in STAMPS if info.get(name) is not None), "")
    told = stamp.timestamp() if isinstance(stamp, datetime) else stamp  # a store tells a time in this way or that
    return f"{info.get('size') or 0}:{told}"
