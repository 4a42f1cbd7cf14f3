"""Files and folders that no other user of this machine may read, whatever the umask is."""

import os
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077
"""What everyone but the owner may do; as a umask: nothing."""


def write_private(path: Path, text: str) -> None:
    """Write `text` to a file of mode 0600, so that a reader sees the old or the new file whole."""
    draft = path.with_name(path.name + ".tmp")
    draft.unlink(missing_ok=True)  # what a killed process left, or somebody has put there
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def make_private_folder(path: Path) -> None:
    """Make `path`, and what is missing above it, as folders of mode 0700; what is there stays as it is."""
    if not path.is_dir():
        make_private_folder(path.parent)
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)


def make_private(path: Path) -> None:
    """Take from a file, or from a folder with all below it, what others may do; links are left alone.

    Raises `OSError` for what is another user's.
    """
    below = (Path(folder) / name for folder, *names in os.walk(path) for name in (*names[0], *names[1]))
    for each in (path, *below):
        if not each.is_symlink() and (mode := each.stat().st_mode) & OTHERS:
            each.chmod(mode & 0o7777 & ~OTHERS)
