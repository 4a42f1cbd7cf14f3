"""Where an archive is: a file of this machine, or an address that fsspec knows (s3://, gs://, az://, ...)."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from app.core.errors import ConfigurationError
from app.core.opening import open_real
from app.core.private_files import FILE_MODE

PART = ".part"
"""Behind the name of an archive that is being written."""
PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "github": "requests",
}
"""By the scheme of an address, what must be installed for it."""


class PlaceError(Exception):
    """A file or an address can't be read or written. The message says why."""


def is_address(place: str) -> bool:
    """Whether `place` is no path of this machine."""
    return "://" in place


def filesystem_of(address: str) -> tuple[Any, str]:
    """fsspec's client for `address`, which remembers no listing, and the path there.

    Raises `ConfigurationError` when a package for it is missing.
    """
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    scheme = address.partition("://")[0]
    try:
        filesystem, path = url_to_fs(address, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        package = PACKAGES.get(scheme, "a package of fsspec's")
        raise ConfigurationError(f"{scheme}:// needs {package}: pip install {package}") from error
    except ValueError as error:
        raise ConfigurationError(f"{scheme}:// is no kind of address that is known here") from error
    return filesystem, str(path)


@contextmanager
def reading(place: str) -> Iterator[tuple[IO[bytes], int]]:
    """The archive at `place`, and its size in bytes. Raises `PlaceError` or `ConfigurationError`."""
    if is_address(place):
        filesystem, path = filesystem_of(place)
        with told(place):
            size = int(filesystem.info(path)["size"])
            opened = cast(BinaryIO, filesystem.open(path, "rb"))
    else:
        with told(place):
            opened = open_real(Path(place).resolve())
            size = os.fstat(opened.fileno()).st_size
    with opened:
        yield opened, size


@contextmanager
def writing(place: str, *, force: bool = False) -> Iterator[IO[bytes]]:
    """A file that has its name once the block has ended well; else there is none, or what was there before.

    For this user alone to read. Raises `PlaceError`, also when something is there and `force` is not set.
    """
    if is_address(place):
        with _uploading(place, force=force) as stream:
            yield stream
        return
    path = Path(place)
    if path.is_dir() or (path.exists() and not force):
        raise PlaceError(f"{place} is there already; give another name, or --force to write over a file")
    part = path.with_name(path.name + PART)
    with told(place):
        part.unlink(missing_ok=True)  # what a killed run has left
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            with told(place):
                stream.flush()
                os.fsync(stream.fileno())
        with told(place):
            part.replace(path)
    except OSError as error:  # the disk is full, or broken
        part.unlink(missing_ok=True)
        raise PlaceError(f"{place}: {error.strerror or type(error).__name__}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _uploading(place: str, *, force: bool) -> Iterator[IO[bytes]]:
    """Written here first: a store has the archive whole, or not at all."""
    filesystem, path = filesystem_of(place)
    with told(place):
        is_there = filesystem.exists(path)
    if is_there and not force:
        raise PlaceError(f"{place} is there already; give another name, or --force to write over it")
    with tempfile.NamedTemporaryFile(prefix="rag-queue-") as draft:
        yield draft
        draft.flush()
        with told(place):
            filesystem.put_file(draft.name, path)


@contextmanager
def told(place: str) -> Iterator[None]:
    """What the system or a store's client raises, in one kind of error that names the place and no secret."""
    try:
        yield
    except (PlaceError, ConfigurationError):
        raise
    except FileNotFoundError as error:
        raise PlaceError(f"{place}: there is no such file or folder") from error
    except OSError as error:
        raise PlaceError(f"{place}: {error.strerror or type(error).__name__}") from error
    except Exception as error:  # the clients of stores raise nearly anything
        raise PlaceError(f"{place} can't be reached, or refuses ({type(error).__name__})") from error
