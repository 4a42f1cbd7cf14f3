"""The collections of the embedded Qdrant on disk, each with its Edge shard.

    DIR/lock                            held by the process that owns the directory
    DIR/trash/                          what is being deleted
    DIR/copies/NAME/                    a copy of aliases and collections, for a backup that is being made
    DIR/aliases.json                    other names of collections
    DIR/collections/NAME/collection.json    the collection's configuration, and which shard is the true one
    DIR/collections/NAME/shard-ID/          that shard

A collection exists when its collection.json does: it is written last, and replaced in one step.

Everything here runs on the event loop's thread. Edge keeps Python's global lock through every call, so more
threads would only wait for each other, and a call that returns has seen all the calls before it.
"""

import asyncio
import contextlib
import logging
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from app.embedded.folder_lock import FolderLock
from app.embedded.qdrant.aliases import Aliases
from app.embedded.qdrant.collection import FLUSH_INTERVAL_SECONDS, Collection
from app.embedded.qdrant.edge.collection_config import collection_config
from app.embedded.qdrant.edge.errors import BadInputError, ConflictError, NotFoundError
from app.embedded.qdrant.edge.values import Json
from app.embedded.qdrant.files import remove

log = logging.getLogger(__name__)

OPTIMIZER_TICK_SECONDS = 0.5  # how often to look whether there is something to optimize

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
COPY = re.compile(r"[0-9a-f]{32}")


class StoreError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


class Store:
    """All collections of a data directory, which this process alone owns until `close`."""

    def __init__(self, path: Path, lock: FolderLock) -> None:
        self._root = path / "collections"
        self._trash = path / "trash"
        self._copies = path / "copies"
        self._lock = lock
        self.collections: dict[str, Collection] = {}
        self.aliases = Aliases(path / "aliases.json", self.collections)

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Take the directory, clean up after a crash, and open every collection; raises `StoreError`."""
        try:
            (path / "collections").mkdir(parents=True, exist_ok=True)
            store = cls(path, own(path))
            store._clean()
        except OSError as error:
            raise StoreError(
                f"cannot write to {path}: {error.strerror}. Make it writable or choose another with --data-dir"
            ) from error
        store._load()
        return store

    def get(self, name: str) -> Collection:
        """The collection that has `name`, or the alias `name`; raises `NotFoundError`."""
        try:
            return self.collections[self.aliases.resolve(name)]
        except KeyError:
            raise NotFoundError(f"Collection `{name}` doesn't exist!") from None

    def create(self, name: str, body: Json) -> None:
        """Make the collection `name`; raises when it exists."""
        if not NAME.fullmatch(name):
            raise BadInputError("a collection's name has 1 to 255 letters, digits, `_` or `-`")
        if name in self.collections:
            raise ConflictError(f"Collection `{name}` already exists!")
        if name in self.aliases:
            raise ConflictError(f"Alias `{name}` already exists!")
        config = collection_config(body)
        self.collections[name] = Collection.create(self._root / name, config)

    async def drop(self, name: str) -> bool:
        """Delete the collection `name` and its aliases; False when there is none: an alias is none."""
        collection = self.collections.pop(name, None)
        if collection is not None:
            await collection.drop(self._trash)
            self.aliases.forget(name)
        return collection is not None

    async def copy(self) -> str:
        """Copy all collections as they are at one moment, for whoever may read this folder; the copy's name.

        Writes wait meanwhile, reads go on.
        """
        name = uuid.uuid4().hex
        folder = self._copies / name
        async with contextlib.AsyncExitStack() as stack:
            collections = list(self.collections.values())
            for collection in collections:
                await stack.enter_async_context(collection.still())
            try:
                folder.mkdir(mode=0o700, parents=True)
                self.aliases.copy_to(folder)
                for collection in collections:
                    await asyncio.to_thread(collection.copy_files, folder / "collections" / collection.path.name)
            except BaseException:
                remove(folder)
                raise
        return name

    async def drop_copy(self, name: str) -> bool:
        """Delete a copy; False when there is none."""
        folder = self._copies / name
        if not COPY.fullmatch(name) or not folder.is_dir():
            return False
        await asyncio.to_thread(remove, folder)
        return True

    async def flush_forever(self) -> None:
        """Flush what was written, every few seconds."""
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_SECONDS)
            for collection in list(self.collections.values()):
                with logged(collection, "flush"):
                    collection.flush_if_dirty()

    async def optimize_forever(self) -> None:
        """Build indexes where they are due, one collection at a time."""
        while True:
            await asyncio.sleep(OPTIMIZER_TICK_SECONDS)
            for collection in list(self.collections.values()):
                with logged(collection, "optimize"):
                    if collection.due():
                        await collection.optimize()

    def close(self) -> None:
        """Flush and release everything."""
        for collection in self.collections.values():
            collection.close()
        self._lock.close()

    def _clean(self) -> None:
        remove(self._copies)
        remove(self._trash)
        self._trash.mkdir()
        for path in self._root.iterdir():
            if not (path / "collection.json").exists():
                log.warning("half_created_collection_removed", extra={"collection": path.name})
                remove(path)

    def _load(self) -> None:
        for path in sorted(self._root.iterdir()):
            try:
                self.collections[path.name] = Collection.load(path)
            except BaseException as error:  # a panic in Edge is no Exception
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise
                log.debug("collection_not_opened", exc_info=True, extra={"collection": path.name})
                reason = str(error).partition("\n")[0]
                raise StoreError(
                    f"cannot open the collection {path}: {reason}. Move it away and index its documents again"
                ) from error
        self.aliases.load()


def own(path: Path) -> FolderLock:
    """Lock the directory for this process; raises `StoreError` when another one has it."""
    lock = FolderLock(path)
    if not lock.take():
        owner = lock.holder()
        lock.close()
        raise StoreError(
            f"{path} is in use by another process (pid {owner}). Use that one, stop it, or choose another "
            "directory with --data-dir"
        )
    return lock


@contextlib.contextmanager
def logged(collection: Collection, task: str) -> Iterator[None]:
    """Keep a failed upkeep of one collection from ending the upkeep of all."""
    try:
        yield
    except asyncio.CancelledError:
        raise
    except BaseException:  # a panic in Edge is no Exception
        log.exception("upkeep_failed", extra={"task": task, "collection": collection.path.name})
