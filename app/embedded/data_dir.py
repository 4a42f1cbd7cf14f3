"""DATA_DIR belongs to one `python -m app` at a time."""

import fcntl
import os
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from app.core.errors import ConfigurationError
from app.core.services import running

TAKE_OVER_SECONDS = 5.0
"""How long the children of a killed service may take to let go of its folder."""


class DataDirLock:
    """Holds DATA_DIR for this process and the children that inherit `fd`; a context manager.

    Raises `ConfigurationError` on entry when the folder can't be written or another service holds it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.fd = -1

    def __enter__(self) -> Self:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.fd = os.open(self._data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"DATA_DIR {self._data_dir.absolute()} can't be written ({error.strerror}); set DATA_DIR to a folder "
                "that can"
            ) from error
        give_up = monotonic() + TAKE_OVER_SECONDS
        while not self._is_taken():
            if (found := running(self._data_dir)) is not None:
                raise ConfigurationError(
                    f"DATA_DIR {self._data_dir.absolute()} is in use by the service at {found.http_url} (process "
                    f"{found.pid}); use that one, stop it, or set DATA_DIR to another folder"
                )
            if monotonic() > give_up:
                raise ConfigurationError(
                    f"DATA_DIR {self._data_dir.absolute()} is in use by another process; stop it, or set DATA_DIR to "
                    "another folder"
                )
            sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def _is_taken(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
