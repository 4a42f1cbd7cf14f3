"""Opens a file whose path somebody else can change meanwhile: step by step from the root, following no link."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""A folder that need not be listed, only passed through."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without waiting: a pipe that took the file's place has perhaps nobody who writes to it."""


def open_real(path: Path) -> BinaryIO:
    """Open the regular file at `path`, a real path (`Path.resolve`), for reading.

    Whoever puts a link in the place of any part of it, after the path was checked, gains nothing. Raises `OSError`:
    `errno.ELOOP` or `ENOTDIR` for a link on the way, `errno.EINVAL` for what is no regular file.
    """
    root, *folders, last = path.absolute().parts
    here = os.open(root, _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        descriptor = os.open(last, _FILE, dir_fd=here)
    finally:
        os.close(here)
    opened = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        opened.close()
        raise OSError(errno.EINVAL, "not a regular file")
    return opened
