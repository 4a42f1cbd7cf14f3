"""Pictures of pages beside the documents' files: how they are called, and which of them go when there are too many.

A picture's name is `{tenant}/@pictures/{sha256}.{page}.{width}.png`, the hash being that of the document's file.
Each can be drawn again at any time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

FOLDER = "@pictures"
"""No folder of files, which are called by two digits."""
BYTES_MAX = 512 * 2**20
"""Of one tenant's pictures: some 3,000. Looking at every page there is must not fill the disk."""
KEPT_BYTES = BYTES_MAX * 9 // 10
"""What is left when some had to go, so that not each new one makes another go."""
_MOMENTS = ("mtime", "LastModified", "last_modified", "created")
"""Where stores say when a file was written."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture that is there: its name within its folder, its size, and when it was written, in seconds."""

    name: str
    size: int
    written: float


def name_of(sha256: str, page: int, width: int) -> str:
    """What the picture is called within its folder. Raises `ValueError` for what can be no page or width."""
    if page < 1 or width < 1:
        raise ValueError("not a page's picture")
    return f"{sha256}.{page}.{width}.png"


def is_of(name: str, sha256: str) -> bool:
    """Whether a picture is of a page of this file."""
    return name.startswith(f"{sha256}.")


def superfluous(kept: Iterable[Kept]) -> Iterator[str]:
    """The names of those that must go, the oldest first, when all have more than `BYTES_MAX`."""
    pictures = sorted(kept, key=lambda picture: picture.written)
    total = sum(picture.size for picture in pictures)
    if total <= BYTES_MAX:
        return
    for picture in pictures:
        if total <= KEPT_BYTES:
            return
        yield picture.name
        total -= picture.size


def kept_of(info: Mapping[str, Any]) -> Kept:
    """A picture as fsspec's stores tell of it. One that says nothing of its time is the oldest."""
    moment = next((info[name] for name in _MOMENTS if info.get(name) is not None), 0.0)
    written = moment.timestamp() if isinstance(moment, datetime) else float(moment)
    return Kept(str(info["name"]).rpartition("/")[2], int(info.get("size") or 0), written)
