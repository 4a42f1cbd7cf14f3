"""DATA_DIR belongs to one `python -m app` at a time."""

from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from app.core.errors import ConfigurationError
from app.core.private_files import make_private, make_private_folder
from app.core.services import running, services_file
from app.embedded.credentials import credentials_file
from app.embedded.folder_lock import FolderLock

TAKE_OVER_SECONDS = 5.0
"""How long the children of a killed service may take to let go of its folder."""
TAKE_OVER_POLL_SECONDS = 0.1

OURS = ("valkey", "qdrant", "documents")
"""The folders that the service makes in DATA_DIR. What else is there may be somebody's."""


def tighten(data_dir: Path) -> None:
    """Take from others what 0.1.0 let them read in `data_dir`, once: what has been written since is private."""
    if credentials_file(data_dir).exists():
        return
    for path in (services_file(data_dir), *(data_dir / name for name in OURS)):
        with suppress(FileNotFoundError, PermissionError):  # what another user has put there is not ours to change
            make_private(path)


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
            make_private_folder(self._data_dir)
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
