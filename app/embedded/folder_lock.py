"""A folder belongs to one process at a time. It imports nothing slow: the embedded Qdrant starts with it."""

import fcntl
import os
from pathlib import Path

PID_BYTES_MAX = 20


class FolderLock:
    """The lock of a folder, held by one process and by the children that inherit `fd`, until the last of them ends.

    Raises `OSError` when the folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self.fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> bool:
        """Hold it from now on, and write this process's id into it; False when another process holds it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, str(os.getpid()).encode(), 0)
        return True

    def holder(self) -> str:
        """The id of the process that took it last, or `unknown`."""
        return os.pread(self.fd, PID_BYTES_MAX, 0).decode(errors="replace") or "unknown"

    def close(self) -> None:
        """Let go of it, as far as this process holds it."""
        os.close(self.fd)
