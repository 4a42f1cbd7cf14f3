"""DATA_DIR belongs to one `python -m app` at a time."""

from pathlib import Path
from time import monotonic, sleep
from typing import Self

from app.core.errors import ConfigurationError
from app.core.services import running
from app.embedded.folder_lock import FolderLock

TAKE_OVER_SECONDS = 5.0
"""How long the children of a killed service may take to let go of its folder."""
TAKE_OVER_POLL_SECONDS = 0.1


class DataDirLock:
    """Holds DATA_DIR for this process and the children that inherit `fd`; a context manager.

    Raises `ConfigurationError` on entry when the folder can't be written or another service holds it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def __enter__(self) -> Self:
        self._lock = self._open()
        self.fd = self._lock.fd
        try:
            self._take()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _open(self) -> FolderLock:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            return FolderLock(self._data_dir)
        except OSError as error:
            raise ConfigurationError(
                f"DATA_DIR {self._data_dir.absolute()} can't be written ({error.strerror}); set DATA_DIR to a folder "
                "that can"
            ) from error

    def _take(self) -> None:
        give_up = monotonic() + TAKE_OVER_SECONDS
        while not self._lock.take():
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
            sleep(TAKE_OVER_POLL_SECONDS)
