"""A collection on disk, with its Edge shard: reads, writes, and the shard's upkeep."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import qdrant_edge as q

from app.embedded.qdrant.edge.collection_config import describe_config, edge_config, schema_of
from app.embedded.qdrant.edge.errors import NotFoundError
from app.embedded.qdrant.edge.payload_indexes import index_info
from app.embedded.qdrant.edge.values import Object
from app.embedded.qdrant.edge.writes import Write
from app.embedded.qdrant.files import remove, sync_directory, write_json
from app.embedded.qdrant.index_build import OPTIMIZE, REWRITE, UNFINISHED, Changes, Journal, build_indexes

FLUSH_INTERVAL_SECONDS = 5  # as Qdrant's; what is not flushed is replayed from Edge's log after a crash


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
        self._moving = asyncio.Lock()
        """Held by whoever copies the shard's files for a backup, or puts others in their place."""
        self._dirty = True  # opening it may have replayed the log
        self._changes = Changes(self._unindexed())
        self._journal: Journal | None = None
        self._optimizing = False
        self._is_to_be_rewritten = False
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
            "status": "yellow" if self._is_at_work(info.points_count) else "green",
            "optimizer_status": "ok",
            "points_count": info.points_count,
            "indexed_vectors_count": info.indexed_vectors_count,
            "segments_count": info.segments_count,
            "config": describe_config(self.record["config"], FLUSH_INTERVAL_SECONDS),
            "payload_schema": {name: index_info(field) for name, field in info.payload_schema.items()},
        }

    def _is_at_work(self, points: int) -> bool:
        """Whether indexes are being built, or soon will be."""
        return self._optimizing or self._is_to_be_rewritten or self._changes.are_many(points)

    # Writes

    async def apply(self, write: Write) -> int:
        """Carry out `write`; it survives the process once this returns. Gives the operation's number."""
        async with self._writing:
            self._check_open()
            if self._journal is not None and not self._journal.note(write):
                self._journal, self._changes.wait_for_quiet = None, True
            self._dirty = True
            self._changes.note(write)
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
        is_due = self._is_to_be_rewritten or self._changes.are_due(self.shard.info().points_count)
        return not self.closed and is_due

    def rewrite_soon(self) -> None:
        """Have the shard written anew, so that what was deleted leaves the disk."""
        self._is_to_be_rewritten = True

    async def optimize(self) -> None:
        """Build indexes on a copy of the shard, in a child process, then put the copy in the shard's place.

        Reads go on all the time. Writes wait while the files are copied; those that come later go to the
        shard and into a journal, which is replayed on the copy. Until collection.json names the copy, the old
        shard is the true one, so that a crash at any moment loses nothing.
        """
        copy = self.path / new_shard_name()
        counted = self._changes.points
        program = REWRITE if self._is_to_be_rewritten else OPTIMIZE
        self._optimizing, self._is_to_be_rewritten = True, False
        try:
            await self._copy_to(copy)
            if await build_indexes(copy, program) and not self.closed:
                await self._replace_by(copy)
        finally:
            abandoned = self._journal is None
            self._optimizing, self._journal = False, None
            if not abandoned:  # after a failure too: trying the same again at once would fail again
                self._changes.points -= counted
            if self.record["shard"] != copy.name:
                await asyncio.to_thread(remove, copy)
                await asyncio.to_thread(remove, copy.with_name(copy.name + UNFINISHED))

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """While its files may be copied: all that was written is in them, and writes wait. Reads go on."""
        async with self._moving, self._writing:
            self._check_open()
            self.flush_if_dirty()
            yield

    def copy_files(self, folder: Path) -> None:
        """Copy the collection to `folder`, which is not there. Within `still`; blocks."""
        folder.mkdir(parents=True)
        shutil.copytree(self._shard_path(), folder / str(self.record["shard"]))
        write_json(folder / "collection.json", self.record)

    async def _copy_to(self, copy: Path) -> None:
        async with self._writing:
            self.flush_if_dirty()
            self._journal = Journal()
            await asyncio.to_thread(shutil.copytree, self._shard_path(), copy)

    async def _replace_by(self, copy: Path) -> None:
        shard = q.EdgeShard.load(str(copy))
        async with self._moving:
            while self._journal:
                self._journal.replay_next(shard)
                await asyncio.sleep(0)  # let requests in between
            if self.closed or self._journal is None:
                shard.close()
                return
            shard.flush()
            old, old_path = self.shard, self._shard_path()
            self._save({**self.record, "shard": copy.name})
            self.shard, self._changes.wait_for_quiet = shard, False
            old.close()
            await asyncio.to_thread(remove, old_path)

    def _shard_path(self) -> Path:
        return self.path / str(self.record["shard"])

    def _unindexed(self) -> int:
        info = self.shard.info()
        vectors = len(self.schema.dense) + len(self.schema.sparse)
        return max(0, info.points_count - info.indexed_vectors_count // vectors)


def new_shard_name() -> str:
    """A name that no shard had, not even one that an orphaned child still works on."""
    return f"shard-{uuid.uuid4().hex}"
