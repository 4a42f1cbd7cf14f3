"""What is to be done, from what is on disk and what is indexed."""

from pathlib import Path

from ingest.chunks import Splitter
from ingest.files import File
from ingest.sync import Hashed, Naming, Step, plan
from worker.index import Document

NAMING = Naming(collection="default", splitter=Splitter(1_000, 150), embedding_model=None)


def _on_disk(source: str, sha256: str = "aa") -> Hashed:
    file = File(Path("/in") / source, source)
    return Hashed(file, NAMING.document_id(source), sha256, NAMING.version(sha256))


def _indexed(source: str, sha256: str = "aa") -> Document:
    return Document(
        tenant="default",
        collection="default",
        document_id=NAMING.document_id(source),
        version=NAMING.version(sha256),
        filename=source,
        source=source,
        sha256=sha256,
        pages=1,
        chunks=1,
        missing_pages=(),
        ingested_at="2025-11-01T12:00:00+00:00",
    )


def _steps(*arguments: object, **options: object) -> list[tuple[Step, str]]:
    return [(action.step, action.source) for action in plan(*arguments, **options)]  # type: ignore[arg-type]


def test_a_new_file_is_added_a_changed_one_updated_and_the_rest_kept() -> None:
    on_disk = [_on_disk("new.pdf"), _on_disk("changed.pdf", "bb"), _on_disk("same.pdf")]
    known = [_indexed("changed.pdf"), _indexed("same.pdf")]
    assert _steps(on_disk, known) == [
        (Step.ADD, "new.pdf"),
        (Step.UPDATE, "changed.pdf"),
        (Step.KEEP, "same.pdf"),
    ]


def test_what_is_gone_is_pruned_only_when_asked() -> None:
    known = [_indexed("z.pdf"), _indexed("b.pdf"), _indexed("a.pdf")]
    assert _steps([_on_disk("a.pdf")], known) == [(Step.KEEP, "a.pdf")]
    assert _steps([_on_disk("a.pdf")], known, prune=True) == [
        (Step.KEEP, "a.pdf"),
        (Step.PRUNE, "b.pdf"),
        (Step.PRUNE, "z.pdf"),
    ]


def test_a_file_that_cannot_be_read_now_is_not_gone() -> None:
    present = [NAMING.document_id("a.pdf")]
    assert _steps([], [_indexed("a.pdf")], prune=True, present=present) == []


def test_what_is_below_a_folder_that_cannot_be_listed_is_not_gone() -> None:
    known = [_indexed("locked/a.pdf"), _indexed("lockedin.pdf")]
    assert _steps([], known, prune=True, unlisted=["locked"]) == [(Step.PRUNE, "lockedin.pdf")]
    assert _steps([], known, prune=True, unlisted=["."]) == []


def test_both_versions_of_a_killed_update_are_tidied() -> None:
    both = [_indexed("a.pdf", "old"), _indexed("a.pdf", "new")]
    assert _steps([_on_disk("a.pdf", "new")], both) == [(Step.TIDY, "a.pdf")]
    assert _steps([_on_disk("a.pdf", "newest")], both) == [(Step.UPDATE, "a.pdf")]
    assert _steps([], both, prune=True) == [(Step.PRUNE, "a.pdf")]


def test_a_document_is_its_place_and_its_version_is_how_it_was_made() -> None:
    other = Naming(collection="other", splitter=Splitter(1_000, 150), embedding_model=None)
    assert NAMING.document_id("a.pdf") == NAMING.document_id("a.pdf")
    assert len({NAMING.document_id("a.pdf"), NAMING.document_id("b.pdf"), other.document_id("a.pdf")}) == 3
    assert NAMING.version("aa") == other.version("aa")
    made_otherwise = [
        Naming(collection="default", splitter=Splitter(500, 150), embedding_model=None),
        Naming(collection="default", splitter=Splitter(1_000, 100), embedding_model=None),
        Naming(collection="default", splitter=Splitter(1_000, 150), embedding_model="test"),
    ]
    assert (
        len({NAMING.version("aa"), NAMING.version("bb"), *(naming.version("aa") for naming in made_otherwise)}) == 5
    )
