"""The collections of the embedded Qdrant on disk, each with its Edge shard.

    DATA_DIR/lock                        held by the process that owns the directory
    DATA_DIR/trash/                      what is being deleted
    DATA_DIR/collections/NAME/collection.json    the collection's configuration, and which shard is the true one
    DATA_DIR/collections/NAME/shard-ID/          that shard

A collection exists when its collection.json does: it is written last, and replaced in one step.

Everything here runs on the event loop's thread. Edge keeps Python's global lock through every call, so more
threads would only wait for each other, and a call that returns has seen all the calls before it.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import shutil
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import orjson
import qdrant_edge as q

from app.embedded.qdrant.edge.collection_config import collection_config, describe_config, edge_config, schema_of
from app.embedded.qdrant.edge.errors import BadInputError, ConflictError, NotFoundError
from app.embedded.qdrant.edge.payload_indexes import index_info
from app.embedded.qdrant.edge.values import Json, Object
from app.embedded.qdrant.edge.writes import Write

log = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 5  # as Qdrant's; what is not flushed is replayed from Edge's log after a crash
OPTIMIZER_TICK_SECONDS = 0.5  # how often to look whether there is something to optimize
QUIET_SECONDS = 2.0  # without writes, before indexes are built
MIN_CHANGED_POINTS = 5_000  # scanning fewer takes less than half a millisecond
MIN_CHANGED_SHARE = 0.1  # of a collection's points
BUSY_CHANGED_POINTS = 20_000  # build indexes even while writes go on
JOURNAL_LIMIT_POINTS = 30_000  # written while indexes are built, some 4 kB each, before we give up and wait for quiet

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


class StoreError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


class Collection:
    """A collection, its shard open.

    Args:
        path: its directory.
        record: what its collection.json holds: `config` (the body that created it) and `shard`.
        shard: the shard that `record` names.
    """

    def __init__(self, path: Path, record: Object, shard: q.EdgeShard) -> None:
        self.path = path
        self.record = record
        self.shard = shard
        self.schema = schema_of(record["config"])
        self._writing = asyncio.Lock()
        self._last_write = time.monotonic()
        self._dirty = True  # opening it may have replayed the log
        self._changed = self._unindexed()
        self._journal: deque[q.UpdateOperation] | None = None
        self._journal_points = 0
        self._wait_for_quiet = False
        self._optimizing = False
        self._operations = 0
        self.closed = False

    @classmethod
    def create(cls, path: Path, config: Object) -> "Collection":
        """Make a collection; it exists once this returns, or not at all."""
        record: Object = {"config": config, "shard": new_shard_name()}
        path.mkdir()
        try:
            shard = q.EdgeShard.create(str(path / record["shard"]), edge_config(config))
            write_json(path / "collection.json", record)
            sync_directory(path.parent)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return cls(path, record, shard)

    @classmethod
    def load(cls, path: Path) -> "Collection":
        """Open a collection, and remove what an interrupted optimization has left."""
        record = orjson.loads((path / "collection.json").read_bytes())
        for left in path.iterdir():
            if left.name not in (record["shard"], "collection.json"):
                remove(left)
        return cls(path, record, q.EdgeShard.load(str(path / record["shard"])))

    # Reads

    def describe(self) -> Object:
        """What Qdrant tells about a collection."""
        info = self.shard.info()
        return {
            "status": "yellow" if self._optimizing or self._changed >= self._threshold() else "green",
            "optimizer_status": "ok",
            "points_count": info.points_count,
            "indexed_vectors_count": info.indexed_vectors_count,
            "segments_count": info.segments_count,
            "config": describe_config(self.record["config"], FLUSH_INTERVAL_SECONDS),
            "payload_schema": {name: index_info(field) for name, field in info.payload_schema.items()},
        }

    # Writes

    async def apply(self, write: Write) -> int:
        """Carry out `write`; it survives the process once this returns. Gives the operation's number."""
        async with self._writing:
            self._check_open()
            if self._journal is not None:
                self._note(write)
            self._dirty = True
            self._last_write = time.monotonic()
            self._changed += write.points
            self._operations += 1
            self.shard.update(write.operation)
            return self._operations

    async def merge_metadata(self, changes: Object) -> None:
        """Set the given keys of the collection's metadata, and remove those that are null."""
        async with self._writing:
            self._check_open()
            config = self.record["config"]
            merged = {**config.get("metadata", {}), **changes}
            kept = {name: value for name, value in merged.items() if value is not None}
            self._save({**self.record, "config": {**config, "metadata": kept}})

    async def drop(self, trash: Path) -> None:
        """Delete the collection: gone in one step, its files a little later."""
        async with self._writing:
            self._check_open()
            doomed = trash / uuid.uuid4().hex
            self.path.rename(doomed)
            sync_directory(self.path.parent)
            self.close()
        await asyncio.to_thread(remove, doomed)

    def close(self) -> None:
        """Flush and release the shard."""
        if not self.closed:
            self.closed = True
            self.shard.close()

    def _check_open(self) -> None:
        if self.closed:
            raise NotFoundError(f"Collection `{self.path.name}` doesn't exist!")

    def _save(self, record: Object) -> None:
        write_json(self.path / "collection.json", record)
        self.record = record

    # Upkeep

    def flush_if_dirty(self) -> None:
        """Bring what was written to disk, so that the log can be cut."""
        if self._dirty and not self.closed:
            self._dirty = False
            self.shard.flush()

    def due(self) -> bool:
        """Whether now is a good time to build indexes."""
        if self.closed or self._changed < self._threshold():
            return False
        quiet = time.monotonic() - self._last_write >= QUIET_SECONDS
        return quiet or (self._changed >= BUSY_CHANGED_POINTS and not self._wait_for_quiet)

    async def optimize(self) -> None:
        """Build indexes on a copy of the shard, in a child process, then put the copy in the shard's place.

        Reads go on all the time. Writes wait while the files are copied; those that come later go to the
        shard and into a journal, which is replayed on the copy. Until collection.json names the copy, the old
        shard is the true one, so that a crash at any moment loses nothing.
        """
        copy = self.path / new_shard_name()
        counted = self._changed
        self._optimizing = True
        try:
            await self._copy_to(copy)
            if await build_indexes(copy) and not self.closed:
                await self._replace_by(copy)
        finally:
            abandoned = self._journal is None
            self._optimizing, self._journal = False, None
            if not abandoned:  # after a failure too: trying the same again at once would fail again
                self._changed -= counted
            if self.record["shard"] != copy.name:
                await asyncio.to_thread(remove, copy)

    async def _copy_to(self, copy: Path) -> None:
        async with self._writing:
            self.flush_if_dirty()
            self._journal, self._journal_points = deque(), 0
            await asyncio.to_thread(shutil.copytree, self._shard_path(), copy)

    async def _replace_by(self, copy: Path) -> None:
        shard = q.EdgeShard.load(str(copy))
        while self._journal:
            self._replay(shard)
            await asyncio.sleep(0)  # let requests in between
        if self.closed or self._journal is None:
            shard.close()
            return
        shard.flush()
        old, old_path = self.shard, self._shard_path()
        self._save({**self.record, "shard": copy.name})
        self.shard, self._wait_for_quiet = shard, False
        old.close()
        await asyncio.to_thread(remove, old_path)

    def _replay(self, shard: q.EdgeShard) -> None:
        assert self._journal
        # What failed on the shard (a point that is not there) fails on its copy.
        with contextlib.suppress(Exception):
            shard.update(self._journal.popleft())

    def _note(self, write: Write) -> None:
        """Keep `write` for the copy that is being optimized, unless that became hopeless."""
        assert self._journal is not None
        self._journal.append(write.operation)
        self._journal_points += write.points
        if self._journal_points > JOURNAL_LIMIT_POINTS:
            self._journal, self._wait_for_quiet = None, True

    def _shard_path(self) -> Path:
        return self.path / str(self.record["shard"])

    def _threshold(self) -> float:
        return max(MIN_CHANGED_POINTS, MIN_CHANGED_SHARE * self.shard.info().points_count)

    def _unindexed(self) -> int:
        info = self.shard.info()
        vectors = len(self.schema.dense) + len(self.schema.sparse)
        return max(0, info.points_count - info.indexed_vectors_count // vectors)


class Store:
    """All collections of a data directory, which this process alone owns until `close`."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self._root = path / "collections"
        self._trash = path / "trash"
        self._lock = lock
        self.collections: dict[str, Collection] = {}

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
        """The collection `name`; raises `NotFoundError`."""
        try:
            return self.collections[name]
        except KeyError:
            raise NotFoundError(f"Collection `{name}` doesn't exist!") from None

    def create(self, name: str, body: Json) -> None:
        """Make the collection `name`; raises when it exists."""
        if not NAME.fullmatch(name):
            raise BadInputError("a collection's name has 1 to 255 letters, digits, `_` or `-`")
        if name in self.collections:
            raise ConflictError(f"Collection `{name}` already exists!")
        config = collection_config(body)
        self.collections[name] = Collection.create(self._root / name, config)

    async def drop(self, name: str) -> bool:
        """Delete the collection `name`; False when there is none."""
        collection = self.collections.pop(name, None)
        if collection is not None:
            await collection.drop(self._trash)
        return collection is not None

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
        remove(self._trash)
        self._trash.mkdir()
        for path in self._root.iterdir():
            if not (path / "collection.json").exists():
                log.warning("removing a half-created collection: %s", path.name)
                remove(path)

    def _load(self) -> None:
        for path in sorted(self._root.iterdir()):
            try:
                self.collections[path.name] = Collection.load(path)
            except BaseException as error:  # a panic in Edge is no Exception
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise
                log.debug("cannot open %s", path, exc_info=True)
                reason = str(error).partition("\n")[0]
                raise StoreError(
                    f"cannot open the collection {path}: {reason}. Move it away and index its documents again"
                ) from error


def own(path: Path) -> IO[str]:
    """Lock the directory for this process; raises `StoreError` when another one has it."""
    lock = (path / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        raise StoreError(
            f"{path} is in use by another process (pid {owner}). Use that one, stop it, or choose another "
            "directory with --data-dir"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


async def build_indexes(path: Path) -> bool:
    """Optimize the shard at `path` in a child process; False when that failed."""
    # It gets none of our own streams: outliving us, it would keep them open.
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.embedded.qdrant.optimize", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await child.communicate()
        if child.returncode:
            log.error(
                "building indexes failed with exit code %s: %s", child.returncode, said.decode(errors="replace")
            )
        return child.returncode == 0
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


@contextlib.contextmanager
def logged(collection: Collection, task: str) -> Iterator[None]:
    """Keep a failed upkeep of one collection from ending the upkeep of all."""
    try:
        yield
    except asyncio.CancelledError:
        raise
    except BaseException:  # a panic in Edge is no Exception
        log.exception("failed to %s the collection %s", task, collection.path.name)


def new_shard_name() -> str:
    """A name that no shard had, not even one that an orphaned child still works on."""
    return f"shard-{uuid.uuid4().hex}"


def write_json(path: Path, value: Object) -> None:
    """Replace the file at `path` in one step, and have it on disk before returning."""
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        file.write(orjson.dumps(value))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Delete a file or a tree, whatever is left of it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
