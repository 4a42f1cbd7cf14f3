"""Brings the index to match what is on disk: first a plan, then its steps, one document after the other.

A document is written whole beside its old version, and only then is the old one deleted: a failing model or a kill at
any moment leaves the old or the new version, and the next run tidies up.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID, uuid5

from app.core.contract import DEFAULT_TENANT
from app.core.errors import ErrorCode, ServiceError
from app.core.logging import get_logger
from ingest.chunks import Piece, Splitter
from ingest.files import File, Found, sha256_of
from ingest.pdf import PdfReader, PdfText
from ingest.reasons import FileError, Reason
from ingest.report import Failure, Outcome, Status
from worker.index import Chunk, Document, VectorIndex

DOCUMENT_NAMESPACE = UUID("b9c0b8ad-5d0f-4e0b-8d8f-2f6e8c0c9b51")
PARSER_TAG = "pdfium-1"
"""Raised by hand when the same file would give another text: every document is then indexed again."""
EMBED_BATCH = 256
"""Chunks in one call to `embed`: Ctrl-C waits for no more than that."""
SOURCE_CHARACTERS_MAX = 1_000
"""Of a path in the index; the identity is made of all of it."""

FAILS_ONE_DOCUMENT = frozenset({ErrorCode.MODEL_REJECTED, ErrorCode.CONTENT_FILTERED, ErrorCode.INTERNAL})
"""Codes that may come from a document's own text. The others would meet every document: they end the run."""

log = get_logger(__name__)


class Step(StrEnum):
    """What to do about a document."""

    ADD = "add"
    UPDATE = "update"
    KEEP = "keep"
    TIDY = "tidy"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file whose bytes are known. `version` also names how they would be made into chunks."""

    file: File
    document_id: str
    sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class Action:
    """A step for one document. `hashed` is None when there is no file any more, `known` when it is not indexed."""

    step: Step
    document_id: str
    source: str
    hashed: Hashed | None = None
    known: Document | None = None


class Naming:
    """How the documents of one collection, made into chunks in one way, are identified."""

    def __init__(self, *, collection: str, splitter: Splitter, embedding_model: str | None) -> None:
        self.tenant = DEFAULT_TENANT
        self.collection = collection
        self._recipe = f"{PARSER_TAG}\n{splitter.tag}\n{embedding_model or ''}"

    def document_id(self, source: str) -> str:
        """The same for the same path within the given folder, whatever the file's contents."""
        return uuid5(DOCUMENT_NAMESPACE, f"{self.tenant}\n{self.collection}\n{source}").hex

    def version(self, sha256: str) -> str:
        """Changes with the bytes, the parser, the splitter and the embedding model."""
        return hashlib.sha256(f"{sha256}\n{self._recipe}".encode()).hexdigest()[:16]

    def hashed(self, file: File) -> Hashed:
        """Read `file` once, for its hash. Raises `FileError`."""
        sha256 = sha256_of(file.path)
        return Hashed(file, self.document_id(file.source), sha256, self.version(sha256))


def plan(
    hashed: Sequence[Hashed],
    known: Iterable[Document],
    *,
    prune: bool = False,
    present: Iterable[str] = (),
    unlisted: Sequence[str] = (),
) -> list[Action]:
    """What to do so that the index matches `hashed`: a step for each file in order, then what is to be pruned.

    `known` are the index's documents; one that was being updated when a run was killed comes with both versions.
    `present` are ids of documents whose file is there but not to be indexed, and `unlisted` folders (sources) whose
    contents are unknown: neither is pruned.
    """
    versions: dict[str, list[Document]] = defaultdict(list)
    for document in known:
        versions[document.document_id].append(document)
    actions = [_action(one, versions.get(one.document_id, [])) for one in hashed]
    if not prune:
        return actions
    there = {one.document_id for one in hashed} | set(present)
    gone = [found[0] for document_id, found in versions.items() if document_id not in there]
    return actions + [
        Action(Step.PRUNE, document.document_id, document.source, known=document)
        for document in sorted(gone, key=lambda document: document.source)
        if not any(_is_below(document.source, folder) for folder in unlisted)
    ]


def _action(hashed: Hashed, versions: Sequence[Document]) -> Action:
    current = next((document for document in versions if document.version == hashed.version), None)
    if current is None:
        step = Step.UPDATE if versions else Step.ADD
    else:
        step = Step.KEEP if len(versions) == 1 else Step.TIDY
    return Action(step, hashed.document_id, hashed.file.source, hashed, current)


def _is_below(source: str, folder: str) -> bool:
    return folder == "." or source.startswith(f"{folder}/")


class Sync:
    """One run: hashes, plans, and carries the plan out. `index` is None when there is none yet (a dry run).

    A dry run reads and splits the files, and neither embeds nor writes.
    """

    def __init__(
        self,
        index: VectorIndex | None,
        reader: PdfReader,
        splitter: Splitter,
        naming: Naming,
        *,
        dry_run: bool = False,
    ) -> None:
        self._index = index
        self._reader = reader
        self._splitter = splitter
        self._naming = naming
        self._dry_run = dry_run
        self._is_ensured = False

    def prepare(
        self, found: Found, *, prune: bool, on_checked: Callable[[int], None]
    ) -> tuple[list[Action], list[Outcome]]:
        """The plan, and the outcome of the files that need none. `on_checked` is told each file's number, from 1.

        Raises `ServiceError`.
        """
        known = self._known()  # first: when the index is away, nobody waits for hashes
        hashed: list[Hashed] = []
        outcomes = [_refused(one.source, one.reason, is_failure=one.is_failure) for one in found.refused]
        for number, file in enumerate(found.files, 1):
            try:
                hashed.append(self._naming.hashed(file))
            except FileError as error:
                outcomes.append(_refused(file.source, error.reason))
            on_checked(number)
        present = {self._naming.document_id(outcome.source) for outcome in outcomes}
        return plan(hashed, known, prune=prune, present=present, unlisted=found.unlisted), outcomes

    def carry_out(self, action: Action) -> Outcome:
        """Do what `action` says. What concerns its document alone is its outcome; the rest raises `ServiceError`."""
        try:
            return self._outcome(action)
        except FileError as error:
            return _failed(action, error.reason)
        except ServiceError as error:
            log.debug("document_failed", document_id=action.document_id, code=error.code, exc_info=True)
            if error.code not in FAILS_ONE_DOCUMENT:
                raise
            return _failed(action, error.code)

    def _outcome(self, action: Action) -> Outcome:
        match action.step:
            case Step.KEEP:
                return _standing(action, Status.UNCHANGED)
            case Step.TIDY:
                self._delete(action, but=action.known.version if action.known else None)
                return _standing(action, Status.UPDATED)
            case Step.PRUNE:
                self._delete(action)
                return _standing(action, Status.PRUNED)
            case Step.ADD | Step.UPDATE:
                return self._index_file(action)

    def _index_file(self, action: Action) -> Outcome:
        hashed = action.hashed
        assert hashed is not None
        text = self._reader.read(hashed.file.path)
        if text.sha256 != hashed.sha256:
            raise FileError(Reason.CHANGED)
        pieces = self._splitter.split(text.pages)
        if not self._dry_run:
            self._write(hashed, text, pieces)
            self._delete(action, but=hashed.version)
        return Outcome(
            source=action.source,
            status=Status.ADDED if action.step is Step.ADD else Status.UPDATED,
            document_id=action.document_id,
            pages=len(text.pages),
            chunks=len(pieces),
            missing_pages=text.missing_pages,
            cut_pages=text.cut_pages,
        )

    def _write(self, hashed: Hashed, text: PdfText, pieces: Sequence[Piece]) -> None:
        index = self._ensured()
        document = self._document(hashed, text, pieces)
        dense = _embedded(index, pieces)
        index.write(document, [_chunk(document, number, piece) for number, piece in enumerate(pieces)], dense)

    def _document(self, hashed: Hashed, text: PdfText, pieces: Sequence[Piece]) -> Document:
        return Document(
            tenant=self._naming.tenant,
            collection=self._naming.collection,
            document_id=hashed.document_id,
            version=hashed.version,
            filename=hashed.file.source.rpartition("/")[2],
            source=hashed.file.source[:SOURCE_CHARACTERS_MAX],
            sha256=hashed.sha256,
            pages=len(text.pages),
            chunks=len(pieces),
            missing_pages=text.missing_pages,
            ingested_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _delete(self, action: Action, *, but: str | None = None) -> None:
        if self._dry_run or self._index is None:
            return
        self._index.delete(
            tenant=self._naming.tenant,
            collection=self._naming.collection,
            document_id=action.document_id,
            except_version=but,
        )

    def _known(self) -> list[Document]:
        if self._index is None:
            return []
        return list(self._index.documents(tenant=self._naming.tenant, collection=self._naming.collection))

    def _ensured(self) -> VectorIndex:
        assert self._index is not None
        if not self._is_ensured:
            self._index.ensure()
            self._is_ensured = True
        return self._index


def _embedded(index: VectorIndex, pieces: Sequence[Piece]) -> list[list[float]] | None:
    dense: list[list[float]] = []
    for start in range(0, len(pieces), EMBED_BATCH):
        batch = index.embed([piece.text for piece in pieces[start : start + EMBED_BATCH]])
        if batch is None:
            return None
        dense += batch
    return dense


def _chunk(document: Document, number: int, piece: Piece) -> Chunk:
    return Chunk(
        tenant=document.tenant,
        collection=document.collection,
        document_id=document.document_id,
        version=document.version,
        filename=document.filename,
        sha256=document.sha256,
        page=piece.page,
        chunk_index=number,
        text=piece.text,
        ingested_at=document.ingested_at,
    )


def _refused(source: str, reason: Reason, *, is_failure: bool = True) -> Outcome:
    status = Status.FAILED if is_failure else Status.SKIPPED
    return Outcome(source=source, status=status, failure=Failure.of(reason))


def _failed(action: Action, code: Reason | ErrorCode) -> Outcome:
    return Outcome(
        source=action.source, status=Status.FAILED, document_id=action.document_id, failure=Failure.of(code)
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
