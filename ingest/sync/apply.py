"""One run of `python -m ingest`: brings the index to match what is on disk; reads, embeds and writes at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.errors import ErrorCode, ServiceError
from app.core.logging import get_logger
from ingest.indexing.writer import EMBED_IN_FLIGHT, Parsed, Target, Writer, parse
from ingest.reading.files import File, Found, sha256_of
from ingest.reading.reasons import FileError, Reason
from ingest.sync.mirror import Mirror
from ingest.sync.naming import Hashed, Naming, real_folder, stored_path
from ingest.sync.plan import Action, Indexed, Step, is_gone, largest_first, plan
from ingest.sync.report import Failure, Outcome, Status
from ingest.sync.stages import Overlap
from worker.index.vector_index import Document, VectorIndex

if TYPE_CHECKING:
    from ingest.chunking.splitter import Splitter
    from ingest.reading.pool import ReaderPool

HASHERS = 4
"""Threads that read files for their hashes: hashing runs outside Python's lock, and disks like company."""
STORERS_WITHOUT_MODEL = 2
"""While Qdrant writes one batch, the next is made."""
BATCH_CHUNKS = 512
"""What a storer takes at once when that much is ready; a larger document goes alone."""
WAITING_CHUNKS_MAX = 4_096
"""Read and split, but not yet stored: some 4 MB of text."""
ORPHAN_AGE = timedelta(hours=1)
"""Chunks without a record that are older were left by a killed run; younger ones may be another's work just now."""

FAILS_ONE_DOCUMENT = frozenset(
    {ErrorCode.MODEL_REJECTED, ErrorCode.CONTEXT_TOO_LONG, ErrorCode.CONTENT_FILTERED, ErrorCode.INTERNAL}
)
"""Codes that may come from a document's own text. The others would meet every document: they end the run."""

log = get_logger(__name__)


class Hashing:
    """The hashes of files, begun at once, while Qdrant starts or answers. Leaving the context gives up the rest."""

    def __init__(self, files: Sequence[File]) -> None:
        self._pool = ThreadPoolExecutor(HASHERS, thread_name_prefix="hash")
        self._futures: list[tuple[File, Future[str]]] = [
            (file, self._pool.submit(sha256_of, file.real)) for file in files
        ]

    def __enter__(self) -> "Hashing":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[File, str | Reason]]:
        """Each file with its hash, or why it has none."""
        for file, future in self._futures:
            try:
                yield file, future.result()
            except FileError as error:
                yield file, error.reason


@dataclass(frozen=True, slots=True)
class Ready:
    """A step that needs no more than the index. `parsed` is the new version of a document to add or update."""

    action: Action
    parsed: Parsed | None = None

    @property
    def weight(self) -> int:
        """The chunks in memory."""
        return len(self.parsed.chunks) if self.parsed else 0


class Sync:
    """One run: plans, and carries the plan out. `index` is None when there is none yet (a dry run).

    A dry run reads and splits the files, and neither embeds nor writes. Methods raise `ServiceError`.
    """

    def __init__(
        self, index: VectorIndex | None, naming: Naming, *, mirror: Mirror | None = None, dry_run: bool = False
    ) -> None:
        self._index = index
        self._naming = naming
        self._mirror = mirror
        self._dry_run = dry_run
        self._indexed = Indexed()
        self._began = datetime.now(UTC)

    def prepare(
        self,
        found: Found,
        hashing: Hashing,
        *,
        prune_below: Sequence[Path] = (),
        on_checked: Callable[[int], None] = lambda _: None,
    ) -> tuple[list[Action], list[Outcome]]:
        """The plan, and the outcome of the files that need none. `on_checked` is told each file's number, from 1."""
        self._indexed = self._read_index()  # first: when the index is unavailable, nobody waits for hashes
        hashed: list[Hashed] = []
        outcomes = [_refused(one.source, one.reason, is_failure=one.is_failure) for one in found.refused]
        for number, (file, result) in enumerate(hashing, 1):
            if isinstance(result, Reason):
                outcomes.append(_refused(file.source, result))
            else:
                hashed.append(self._naming.hashed(file, result))
            on_checked(number)
        folders = [str(real_folder(folder)) for folder in prune_below]
        left_out = {stored_path(link) for link in found.outside}
        actions = plan(
            hashed,
            self._indexed,
            self._naming,
            prune_below=folders,
            gone=lambda path: path in left_out or is_gone(path),
        )
        return actions, outcomes

    def unchanged(self, actions: Sequence[Action]) -> Iterator[Outcome]:
        """The outcomes of the documents that stand as they are; nothing is done but to show what is not shown."""
        for action in actions:
            if action.step is Step.KEEP:
                assert action.known is not None
                assert action.hashed is not None
                if self._mirror is not None and not self._dry_run and not self._mirror.shows(action.known):
                    self._mirror.indexed(action.known, action.hashed.file.real)
                yield _standing(action, Status.UNCHANGED)

    def carry_out(
        self,
        actions: Sequence[Action],
        *,
        reader: "ReaderPool",
        splitter: "Splitter",
        writer: Writer | None,
        on_start: Callable[[str], None],
        on_done: Callable[[Outcome], None],
    ) -> None:
        """Do what is to be done, several documents at a time. What concerns one document alone is its outcome.

        `on_start` is called by any thread, `on_done` by one at a time.
        """

        def prepare(action: Action) -> Ready | list[Outcome]:
            on_start(action.source)
            return self._prepared(action, reader, splitter)

        preparers = len(os.sched_getaffinity(0)) + 1  # one more than parse, to split while the others wait
        overlap: Overlap[Action, Ready, Outcome] = Overlap(
            largest_first(action for action in actions if action.step is not Step.KEEP),
            prepare=prepare,
            store=lambda batch: self._stored(batch, writer),
            on_done=on_done,
            preparers=preparers,
            storers=EMBED_IN_FLIGHT if self._naming.has_model else STORERS_WITHOUT_MODEL,
            capacity=WAITING_CHUNKS_MAX,
            enough=BATCH_CHUNKS,
        )
        with overlap:
            try:
                overlap.wait()
            except BaseException:
                if writer is not None:
                    writer.close()  # what is written now is finished, what is embedded is given up
                raise

    def sweep(self) -> None:
        """Delete what killed runs left of documents: chunks without a record, and older ones of two versions.

        Only what was old when this run began: neither its own chunks, nor those that others write now.
        """
        if self._index is None or self._dry_run:
            return
        before = (self._began - ORPHAN_AGE).isoformat(timespec="seconds")
        where = self._where
        for document_id in sorted(self._indexed.orphans):
            self._index.delete(**where, document_id=document_id, before=before)
        for document_id, versions in self._indexed.versions.items():
            if len(versions) > 1:
                newest = max(versions, key=lambda document: document.ingested_at)
                self._index.delete(**where, document_id=document_id, keep=newest, before=before)

    @property
    def _where(self) -> dict[str, Any]:
        return {"tenant": self._naming.tenant, "collection": self._naming.collection}

    def _read_index(self) -> Indexed:
        if self._index is None:
            return Indexed()
        return Indexed(list(self._index.documents(**self._where)), self._index.chunk_counts(**self._where))

    def _prepared(self, action: Action, reader: "ReaderPool", splitter: "Splitter") -> Ready | list[Outcome]:
        if action.step not in (Step.ADD, Step.UPDATE):
            return Ready(action)
        assert action.hashed is not None
        try:
            parsed = parse(action.hashed.file.real, self._target(action, action.hashed), reader, splitter)
        except FileError as error:
            return [_failed(action, error.reason)]
        return Ready(action, parsed)

    def _target(self, action: Action, hashed: Hashed) -> Target:
        return Target(
            tenant=self._naming.tenant,
            collection=self._naming.collection,
            document_id=action.document_id,
            version=hashed.version,
            filename=hashed.filename,
            source=hashed.path,
            sha256=hashed.sha256,
        )

    def _stored(self, batch: Sequence[Ready], writer: Writer | None) -> list[Outcome]:
        """Store what is in the batch; when a document's own text may be why that fails, each one by itself."""
        try:
            parsed = [ready.parsed for ready in batch if ready.parsed is not None]
            written = writer.write(parsed) if parsed and writer is not None else []
            records = {document.document_id: document for document in written}
            return [self._finished(ready, writer, records.get(ready.action.document_id)) for ready in batch]
        except ServiceError as error:
            if error.code not in FAILS_ONE_DOCUMENT:
                raise
            if len(batch) > 1:
                return [outcome for ready in batch for outcome in self._stored([ready], writer)]
            action = batch[0].action
            log.debug("document_failed", document_id=action.document_id, code=error.code, exc_info=True)
            return [_failed(action, error.code)]

    def _finished(self, ready: Ready, writer: Writer | None, written: Document | None) -> Outcome:
        action, parsed = ready.action, ready.parsed
        if parsed is not None:
            if writer is not None and written is not None:
                if action.has_leftovers:
                    writer.drop_others(written)
                self._show(action, written)
            return _written(action, parsed)
        if not self._dry_run:
            self._correct(action)
        statuses = {Step.TIDY: Status.UPDATED, Step.RENAME: Status.RENAMED, Step.PRUNE: Status.PRUNED}
        return _standing(action, statuses[action.step])

    def _correct(self, action: Action) -> None:
        """A step that touches no chunk's text."""
        assert self._index is not None
        assert action.known is not None
        known, hashed = action.known, action.hashed
        if hashed is None:
            self._index.delete(**self._where, document_id=action.document_id)
            if self._mirror is not None:
                self._mirror.deleted(action.document_id)
            return
        if action.step is Step.TIDY:
            self._index.delete(**self._where, document_id=action.document_id, keep=known)
        if known.source != hashed.path:
            known = self._index.rename(known, filename=hashed.filename, source=hashed.path)
        self._show(action, known)

    def _show(self, action: Action, document: Document) -> None:
        if self._mirror is not None and action.hashed is not None:
            self._mirror.indexed(document, action.hashed.file.real)


def _refused(source: str, reason: Reason, *, is_failure: bool = True) -> Outcome:
    status = Status.FAILED if is_failure else Status.SKIPPED
    return Outcome(source=source, status=status, failure=Failure.of(reason))


def _failed(action: Action, code: Reason | ErrorCode) -> Outcome:
    return Outcome(
        source=action.source, status=Status.FAILED, document_id=action.document_id, failure=Failure.of(code)
    )


def _written(action: Action, parsed: Parsed) -> Outcome:
    document = parsed.document
    return Outcome(
        source=action.source,
        status=Status.ADDED if action.step is Step.ADD else Status.UPDATED,
        document_id=document.document_id,
        pages=document.pages,
        chunks=document.chunks,
        missing_pages=document.missing_pages,
        cut_pages=parsed.cut_pages,
    )


def _standing(action: Action, status: Status) -> Outcome:
    known = action.known
    assert known is not None
    return Outcome(
        source=action.source,
        status=status,
        document_id=action.document_id,
        pages=known.pages,
        chunks=known.chunks,
        missing_pages=known.missing_pages,
    )
