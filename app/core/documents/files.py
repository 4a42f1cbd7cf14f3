"""The documents' files, named by the hash of their bytes: in a folder, or in any store that fsspec knows (s3://).

A file's name is `{tenant}/{first two digits}/{sha256}`; pictures of its pages are beside it (`pictures`), and what
batches read and write is in a folder of its own (`BATCHES`). Nothing that a client sends becomes part of a path.
"""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from time import time
from types import TracebackType
from typing import IO, Any, BinaryIO, Self, cast

from dotenv import load_dotenv
from fsspec.core import url_to_fs  # type: ignore[import-untyped]

from app.core.contract import is_label
from app.core.documents import pictures
from app.core.documents.pictures import Kept
from app.core.errors import ConfigurationError
from app.core.logging import get_logger
from app.core.opening import open_real
from app.core.private_files import make_private_folder
from app.core.settings import Settings

COPY_BYTES = 1024 * 1024
DRAFTS = "@drafts"
"""Where a folder's files are written before they have their name. No tenant's: labels hold no `@`."""
BATCHES = "@batches"
"""A tenant's folder of files that are no documents: those of OpenAI's Files API, and parts of them."""
BATCH_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}(\.[a-z0-9]{1,64}){0,2}")
DRAFT_SECONDS_MAX = 24 * 3600
"""A draft that is older belongs to nobody: its writer was killed."""

S3 = ("s3", "s3a")
"""The schemes of its addresses."""
S3_CONFIG = {
    "connect_timeout": 2,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
"""What its client is told. Its own patience is minutes; an upload would wait as long, and hold a thread of the API's
all the while: whoever asked is better told to come again."""
S3_PARTS = {"chunksize": 8 * 2**20, "max_concurrency": 2}
"""How a file goes there. In s3fs's own parts of 50 MiB, ten at once, a few uploads take all the memory that an API
process may have."""
PUT_SECONDS = 10.0
PUT_BYTES_A_SECOND = 2**20
"""How long a store may take for a file: so long, and a second for so many bytes. Else an upload to S3 may never end:
it waits for a `100 Continue`, which aiohttp does whatever the time-outs are."""

log = get_logger(__name__)


class StoredFileNotFoundError(Exception):
    """The store holds no such file."""


class StorageUnavailableError(Exception):
    """The store cannot be reached, or refuses. The cause is for the log only."""


class BucketNotFoundError(Exception):
    """There is no such bucket: nothing can be said of what should be in it."""


class NotAllRemovedError(Exception):
    """The store still has files that it was told to remove."""


def open_store(settings: Settings) -> "DocumentStore":
    """The configured store. Touches nothing yet. What its client reads (AWS_ACCESS_KEY_ID) may stand in `.env`."""
    env_file = Settings.model_config.get("env_file")
    if env_file and "://" in (settings.documents_url or ""):
        _read_variables(str(env_file))
    return DocumentStore(settings.documents_url or str(settings.data_dir / "documents"))


@cache
def _read_variables(env_file: str) -> None:
    """Put them into the environment, which is all that clients of stores read. Once: each request opens the store."""
    load_dotenv(env_file)


class DocumentStore:
    """Files of every tenant under `url`: a folder's path, or a URL like `s3://bucket/prefix`.

    Safe between threads and across forks. Every method but the constructor blocks, and may raise
    `StorageUnavailableError`; the constructor raises `ConfigurationError`. A tenant or hash that is none is a
    `ValueError`.
    """

    def __init__(self, url: str) -> None:
        scheme, separator, path = url.partition("://")
        is_folder = not separator or scheme == "file"
        self._scheme = scheme if separator else ""
        self._folder = Path(path if separator else url).absolute() if is_folder else None
        self._url = url.rstrip("/")
        if self._folder is None:
            self._filesystem()

    def check(self) -> None:
        """Ask whether the bucket is there and lets us in. Nothing is asked of a folder: it is made when needed."""
        with self._classified():
            self._find_bucket()

    def draft(self) -> "Draft":
        """A file to be written now, and kept under its hash or dropped."""
        return Draft(self._drafts(), self._keep)

    def put_file(self, tenant: str, source: IO[bytes]) -> tuple[str, int]:
        """Keep an open file's bytes; their SHA-256 and number. The same bytes twice are one file."""
        with self.draft() as draft:
            while data := source.read(COPY_BYTES):
                draft.write(data)
            draft.keep(tenant)
        return draft.sha256, draft.size

    def open(self, tenant: str, sha256: str) -> BinaryIO:
        """The file, to be read and sought in, and closed. Raises `StoredFileNotFoundError`."""
        return self._open(_name(tenant, sha256))

    def _open(self, name: str) -> BinaryIO:
        with self._classified():
            if self._folder is not None:
                return open_real(self._inside(name))
            # Without a cache each `read` is one ranged request for exactly what is asked.
            return cast(BinaryIO, self._filesystem().open(f"{self._root()}/{name}", "rb", cache_type="none"))

    def size(self, tenant: str, sha256: str) -> int:
        """In bytes. Raises `StoredFileNotFoundError`."""
        return self._size(_name(tenant, sha256))

    def _size(self, name: str) -> int:
        with self._classified():
            if self._folder is not None:
                return self._inside(name).stat(follow_symlinks=False).st_size
            return int(self._filesystem().info(f"{self._root()}/{name}")["size"])

    def exists(self, tenant: str, sha256: str) -> bool:
        """Whether the file is there."""
        return self._exists(_name(tenant, sha256))

    def _exists(self, name: str) -> bool:
        try:
            self._size(name)
        except StoredFileNotFoundError:
            return False
        return True

    @contextmanager
    def local_path(self, tenant: str, sha256: str) -> Iterator[Path]:
        """A path for libraries that want one: the file itself (never write to it), or a copy for the time being.

        Raises `StoredFileNotFoundError`.
        """
        if self._folder is not None:
            self.open(tenant, sha256).close()  # there, and no link
            yield self._inside(_name(tenant, sha256))
            return
        with tempfile.NamedTemporaryFile(prefix="document-") as copy:
            with self.open(tenant, sha256) as file, self._classified():
                shutil.copyfileobj(file, copy, COPY_BYTES)
            copy.flush()
            yield Path(copy.name).resolve()

    def delete(self, tenant: str, sha256: str) -> None:
        """Remove the file, if it is there, and the pictures of its pages.

        The caller knows that no document uses it (`operations.begin_removal`).
        """
        self._delete(_name(tenant, sha256))
        self.delete_pictures(tenant, sha256)

    def put_picture(self, tenant: str, sha256: str, page: int, width: int, data: bytes) -> None:
        """Keep the picture of a page of a file, whole or not at all; the tenant's oldest ones go for it.

        A file that was deleted meanwhile has none.
        """
        name = _picture(tenant, sha256, page, width)
        with self.draft() as draft:
            draft.write(data)
            draft.keep_as(name)
        for superfluous in pictures.superfluous(self._pictures(tenant)):
            self._delete(f"{tenant}/{pictures.FOLDER}/{superfluous}")
        if not self.exists(tenant, sha256):
            self.delete_pictures(tenant, sha256)

    def open_picture(self, tenant: str, sha256: str, page: int, width: int) -> tuple[BinaryIO, int]:
        """The picture, to be read and closed, and its size. Raises `StoredFileNotFoundError`."""
        name = _picture(tenant, sha256, page, width)
        return self._open(name), self._size(name)

    def has_picture(self, tenant: str, sha256: str, page: int, width: int) -> bool:
        """Whether the picture is there."""
        return self._exists(_picture(tenant, sha256, page, width))

    def delete_pictures(self, tenant: str, sha256: str) -> None:
        """Remove the pictures of the file's pages."""
        for picture in self._pictures(tenant):
            if pictures.is_of(picture.name, sha256):
                self._delete(f"{tenant}/{pictures.FOLDER}/{picture.name}")

    def keep_batch_file(self, draft: "Draft", tenant: str, name: str) -> None:
        """Keep a draft as the tenant's file `name` of those that are no documents."""
        draft.keep_as(_batch_name(tenant, name))

    def open_batch_file(self, tenant: str, name: str) -> BinaryIO:
        """The file, to be read and sought in, and closed. Raises `StoredFileNotFoundError`."""
        return self._open(_batch_name(tenant, name))

    def batch_file_size(self, tenant: str, name: str) -> int:
        """In bytes. Raises `StoredFileNotFoundError`."""
        return self._size(_batch_name(tenant, name))

    def delete_batch_file(self, tenant: str, name: str) -> None:
        """Remove the file, if it is there."""
        self._delete(_batch_name(tenant, name))

    def delete_batch_parts(self, tenant: str, name: str) -> None:
        """Remove all files whose names are `name`, a dot, and more."""
        folder = _batch_name(tenant, name).rpartition("/")[0]
        for part in self._names(folder):
            if part.startswith(f"{name}."):
                self._delete(f"{folder}/{part}")

    def _names(self, folder: str) -> list[str]:
        """What the files of a folder are called."""
        with suppress(StoredFileNotFoundError), self._classified():
            if self._folder is not None:
                return [path.name for path in self._inside(folder).iterdir()]
            listed = self._filesystem().ls(f"{self._root()}/{folder}", detail=True)
            return [str(info["name"]).rpartition("/")[2] for info in listed if info.get("type") == "file"]
        return []

    def delete_tenant(self, tenant: str) -> int:
        """Remove all that the tenant has here, files and pictures; how many there were. The caller lets none come."""
        if not is_label(tenant):
            raise ValueError("not a tenant")
        with suppress(StoredFileNotFoundError), self._classified():
            if self._folder is None:
                filesystem = self._filesystem()
                place = f"{self._root()}/{tenant}/"
                found: list[str] = filesystem.find(place)
                if found:
                    filesystem.rm(found)
                    if filesystem.find(place):  # s3fs does not say which of many it was not let remove
                        raise NotAllRemovedError
                return len(found)
            folder = self._inside(tenant)
            count = sum(len(files) for _, _, files in os.walk(folder))
            shutil.rmtree(folder)  # follows no link
            return count
        return 0

    def _pictures(self, tenant: str) -> list[Kept]:
        """All that the tenant has, in any order."""
        folder = f"{tenant}/{pictures.FOLDER}"
        with suppress(StoredFileNotFoundError), self._classified():
            if self._folder is None:
                listed = self._filesystem().ls(f"{self._root()}/{folder}", detail=True)
                return [pictures.kept_of(info) for info in listed if info.get("type") == "file"]
            found = []
            for entry in os.scandir(self._inside(folder)):
                with suppress(FileNotFoundError):  # another process has removed it
                    status = entry.stat(follow_symlinks=False)
                    found.append(Kept(entry.name, status.st_size, status.st_mtime))
            return found
        return []

    def _delete(self, name: str) -> None:
        with suppress(StoredFileNotFoundError), self._classified():
            if self._folder is not None:
                self._inside(name).unlink()
            else:
                self._filesystem().rm_file(f"{self._root()}/{name}")

    def _keep(self, draft: Path, name: str) -> None:
        """Give a draft its name. An existing file is replaced by its equal, which also mends a damaged one."""
        with self._classified():
            if self._folder is not None:
                target = self._inside(name)
                make_private_folder(target.parent)
                draft.replace(target)
            else:
                filesystem, size = self._filesystem(), draft.stat().st_size
                limit = {"timeout": PUT_SECONDS + size / PUT_BYTES_A_SECOND} if filesystem.async_impl else {}
                parts = S3_PARTS if self._scheme in S3 else {}
                filesystem.put_file(str(draft), f"{self._root()}/{name}", **limit, **parts)

    def _drafts(self) -> Path | None:
        """Where drafts are written: beside a folder's files, so that naming one is a rename; else the system's."""
        if self._folder is None:
            return None
        drafts = self._folder / DRAFTS
        with self._classified():
            make_private_folder(drafts)
            _drop_abandoned(drafts)
        return drafts

    def _inside(self, name: str) -> Path:
        """The path of `name`; no link on the way below the folder is followed. Raises `OSError`."""
        assert self._folder is not None
        target = self._folder.resolve() / name
        if target.is_symlink() or target.parent.resolve() != target.parent:
            raise OSError(errno.ELOOP, "a link within the document store")
        return target

    def _filesystem(self) -> Any:
        """fsspec's client; made anew in a forked child or another thread, else fsspec's own instance."""
        scheme = self._scheme
        options = {"config_kwargs": S3_CONFIG} if scheme in S3 else {}
        try:
            if not scheme:
                raise ValueError("no scheme")  # noqa: TRY301 - for the one message below
            filesystem = url_to_fs(self._url, use_listings_cache=False, **options)[0]
        except (ImportError, ValueError) as error:
            raise ConfigurationError(
                f"DOCUMENTS_URL={scheme}://... needs a package that is not installed (for s3: the extra `s3`), or is "
                "no kind of address that fsspec knows"
            ) from error
        if scheme in S3:
            filesystem.retries = 1  # s3fs's own, each of which is `total_max_attempts`; it takes them no other way
        return filesystem

    def _root(self) -> str:
        root: str = self._filesystem()._strip_protocol(self._url)
        return root.rstrip("/")

    @contextmanager
    def _classified(self) -> Iterator[None]:
        """As the function; and where the bucket itself is missing, no file is said to be."""
        with _classified():
            try:
                yield
            except FileNotFoundError:
                self._find_bucket()
                raise

    def _find_bucket(self) -> None:
        """Raise `BucketNotFoundError` where it is missing."""
        bucket = "" if self._folder is not None else self._root().partition("/")[0]
        if bucket:
            try:
                self._filesystem().info(bucket)
            except FileNotFoundError as error:
                raise BucketNotFoundError from error


class Draft:
    """A file that is being written; hashed as it grows. As a context manager it is dropped unless it was kept."""

    def __init__(self, folder: Path | None, keep: Callable[[Path, str], None]) -> None:
        with _classified():
            self._file = tempfile.NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115 - closed in drop and keep
        self._path = Path(self._file.name)
        self._keep = keep
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add `data`."""
        with _classified():
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._hash.hexdigest()

    def keep(self, tenant: str) -> None:
        """Give the file its name, all at once: no reader ever sees half of it. It then survives a power failure."""
        self.keep_as(_name(tenant, self.sha256))

    def keep_as(self, name: str) -> None:
        """The same under any name of the store's."""
        with _classified():
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()
        self._keep(self._path, name)

    def drop(self) -> None:
        """Forget the draft; what was kept stays."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()


def _name(tenant: str, sha256: str) -> str:
    if not is_label(tenant):
        raise ValueError("not a tenant")
    if len(sha256) != hashlib.sha256().digest_size * 2 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError("not a SHA-256 in hexadecimal digits")
    return f"{tenant}/{sha256[:2]}/{sha256}"


def _batch_name(tenant: str, name: str) -> str:
    if not is_label(tenant) or BATCH_NAME.fullmatch(name) is None:
        raise ValueError("not a batch's file")
    return f"{tenant}/{BATCHES}/{name}"


def _picture(tenant: str, sha256: str, page: int, width: int) -> str:
    _name(tenant, sha256)
    return f"{tenant}/{pictures.FOLDER}/{pictures.name_of(sha256, page, width)}"


def _drop_abandoned(drafts: Path) -> None:
    for draft in drafts.iterdir():
        with suppress(FileNotFoundError):
            if time() - draft.lstat().st_mtime > DRAFT_SECONDS_MAX:
                draft.unlink()


@contextmanager
def _classified() -> Iterator[None]:
    """One pair of exceptions for all stores: their clients raise nearly anything when the store is unavailable."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoredFileNotFoundError from error
    except ConfigurationError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        log.warning("storage_unavailable", reason=type(error).__name__, errno=errno.errorcode.get(number or 0))
        raise StorageUnavailableError from error
