"""What is to be done, from what is on disk and what is indexed. Decides only: reads no file and writes nothing."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path

from ingest.sync.naming import Hashed, Naming
from worker.index.vector_index import Document

Versions = Mapping[str, Sequence[Document]]
"""The whole versions of each document id: one, or two when an update was killed."""


class Step(StrEnum):
    """What to do about a document."""

    ADD = "add"
    UPDATE = "update"
    RENAME = "rename"
    KEEP = "keep"
    TIDY = "tidy"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class Action:
    """A step for one document.

    `hashed` is None when there is no file any more, `known` when its version is not indexed. `has_leftovers`: chunks
    of another version, or of a killed write, are there and must go once the document is written.
    """

    step: Step
    document_id: str
    source: str
    hashed: Hashed | None = None
    known: Document | None = None
    has_leftovers: bool = False


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the collection holds: the documents' records, and how many chunks there are of each document id."""

    documents: Sequence[Document] = ()
    chunk_counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def versions(self) -> Versions:
        """The records by document id."""
        found: dict[str, list[Document]] = defaultdict(list)
        for document in self.documents:
            found[document.document_id].append(document)
        return dict(found)

    @property
    def orphans(self) -> set[str]:
        """Ids whose chunks have no record: their writer was killed, or is at it now."""
        return set(self.chunk_counts) - {document.document_id for document in self.documents}


def is_gone(path: str) -> bool:
    """Whether there is surely nothing at `path`; a folder that cannot be read says nothing."""
    try:
        Path(path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def plan(
    on_disk: Sequence[Hashed],
    indexed: Indexed,
    naming: Naming,
    *,
    prune_below: Iterable[str] = (),
    gone: Callable[[str], bool] = is_gone,
) -> list[Action]:
    """What to do so that the index matches `on_disk`: a step for each file in order, then what is to be pruned.

    A file is the document of its path; else one of the same bytes whose own file is gone: it was renamed. Documents
    whose files stood below one of the folders `prune_below`, and are gone, are pruned; those of other folders never.
    """
    versions = indexed.versions
    ids = dict(zip((one.path for one in on_disk), _ids(on_disk, versions, naming, gone), strict=True))
    actions = [
        _action(one, ids[one.path], versions.get(ids[one.path], ()), indexed.chunk_counts.get(ids[one.path], 0))
        for one in on_disk
    ]
    kept, folders = set(ids.values()), tuple(folder.rstrip("/") + "/" for folder in prune_below)
    left = sorted((found[0] for id_, found in versions.items() if id_ not in kept), key=lambda one: one.source)
    return actions + [
        Action(Step.PRUNE, document.document_id, document.source.removeprefix(folder), known=document)
        for document in left
        if (folder := next(filter(document.source.startswith, folders), None)) and gone(document.source)
    ]


def largest_first(actions: Iterable[Action]) -> list[Action]:
    """The order to work in: were a large document the last, it would be split and written while nothing is read."""
    return sorted(actions, key=lambda one: one.hashed.file.size_bytes if one.hashed is not None else 0, reverse=True)


def _action(hashed: Hashed, document_id: str, versions: Sequence[Document], chunks: int) -> Action:
    current = next((document for document in versions if document.version == hashed.version), None)
    whole = sum(document.chunks for document in versions)
    if current is None or chunks < whole:  # chunks that were acknowledged are missing: make the document anew
        step = Step.UPDATE if versions else Step.ADD
    elif chunks > current.chunks:
        step = Step.TIDY
    else:
        step = Step.KEEP if current.source == hashed.path else Step.RENAME
    return Action(step, document_id, hashed.file.source, hashed, current, has_leftovers=chunks > 0)


def _ids(on_disk: Sequence[Hashed], versions: Versions, naming: Naming, gone: Callable[[str], bool]) -> Iterator[str]:
    """The document id of each file."""
    by_path = {document.source: id_ for id_, found in versions.items() for document in found}
    known_paths = {one.path for one in on_disk if one.path in by_path}
    moved = _moved(versions, {one.sha256 for one in on_disk if one.path not in by_path}, known_paths, gone)
    used = {by_path[path] for path in known_paths}
    for one in on_disk:
        if one.path in by_path:
            yield by_path[one.path]
            continue
        id_ = moved[one.sha256].pop(0) if moved[one.sha256] else _free_id(one, versions, naming, used)
        used.add(id_)
        yield id_


def _moved(
    versions: Versions, hashes: set[str], known_paths: set[str], gone: Callable[[str], bool]
) -> dict[str, list[str]]:
    """By hash, the ids of the documents with one of `hashes` whose own file is gone."""
    moved: dict[str, list[str]] = defaultdict(list)
    for id_, found in versions.items():
        document = found[0]
        is_elsewhere = _has_path(document) and document.source not in known_paths
        if document.sha256 in hashes and is_elsewhere and gone(document.source):
            moved[document.sha256].append(id_)
    return moved


def _free_id(one: Hashed, versions: Versions, naming: Naming, used: set[str]) -> str:
    """An id that is no other file's: that of its name within the folder, unless another folder has the same name.

    It follows from names alone, so that a killed run's id is found again.
    """
    by_name = naming.document_id(one.file.source)
    if by_name not in used and not any(_has_path(document) for document in versions.get(by_name, ())):
        return by_name  # nobody's, or that of an upload of this name, which the file replaces
    by_path = (naming.document_id(f"{one.path}\n{number}") for number in count())
    return next(id_ for id_ in by_path if id_ not in used and id_ not in versions)


def _has_path(document: Document) -> bool:
    return document.source.startswith("/")
