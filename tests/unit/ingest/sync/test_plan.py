"""What is to be done, from what is on disk and what is indexed."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from app.core.documents.ids import document_id
from ingest.reading.files import File, find
from ingest.sync.naming import Hashed, Naming
from ingest.sync.plan import Action, Indexed, Step, is_gone, largest_first, plan
from worker.index.vector_index import Document

NAMING = Naming(collection="default", splitter_tag="s", embedding_model=None)


def _on_disk(source: str, sha256: str = "aa", *, folder: str = "/in") -> Hashed:
    path = f"{folder}/{source}"
    return Hashed(File(Path(path), source, Path(path)), path, sha256, NAMING.version(sha256))


def _indexed(source: str, sha256: str = "aa", *, folder: str = "/in", id_: str | None = None) -> Document:
    return Document(
        tenant="default",
        collection="default",
        document_id=id_ or NAMING.document_id(source),
        version=NAMING.version(sha256),
        filename=source,
        source=f"{folder}/{source}" if folder else "",
        sha256=sha256,
        pages=1,
        chunks=2,
        missing_pages=(),
        ingested_at="2025-11-01T12:00:00+00:00",
    )


def _state(*documents: Document, counts: dict[str, int] | None = None) -> Indexed:
    """The index with these documents, each chunk in its place unless `counts` says otherwise."""
    chunks: dict[str, int] = {}
    for document in documents:
        chunks[document.document_id] = chunks.get(document.document_id, 0) + document.chunks
    return Indexed(documents, chunks | (counts or {}))


def _actions(
    on_disk: Iterable[Hashed], indexed: Indexed, *, prune_below: Iterable[str] = (), gone: Iterable[str] = ()
) -> list[Action]:
    there = set(gone)
    return plan(list(on_disk), indexed, NAMING, prune_below=prune_below, gone=lambda path: path in there)


def _steps(*arguments: object, **options: object) -> list[tuple[Step, str]]:
    return [(action.step, action.source) for action in _actions(*arguments, **options)]  # type: ignore[arg-type]


def test_a_new_file_is_added_a_changed_one_updated_and_the_rest_kept() -> None:
    on_disk = [_on_disk("new.pdf", "nn"), _on_disk("changed.pdf", "bb"), _on_disk("same.pdf")]
    assert _steps(on_disk, _state(_indexed("changed.pdf"), _indexed("same.pdf"))) == [
        (Step.ADD, "new.pdf"),
        (Step.UPDATE, "changed.pdf"),
        (Step.KEEP, "same.pdf"),
    ]


def test_what_is_gone_is_pruned_only_when_asked() -> None:
    known = _state(_indexed("z.pdf"), _indexed("b.pdf", "bb"), _indexed("a.pdf", "cc"))
    on_disk, gone = [_on_disk("a.pdf", "cc")], ["/in/z.pdf", "/in/b.pdf"]
    assert _steps(on_disk, known, gone=gone) == [(Step.KEEP, "a.pdf")]
    assert _steps(on_disk, known, gone=gone, prune_below=["/in"]) == [
        (Step.KEEP, "a.pdf"),
        (Step.PRUNE, "b.pdf"),
        (Step.PRUNE, "z.pdf"),
    ]


def test_only_what_stood_below_the_given_folder_is_pruned() -> None:
    """Neither another folder's documents, nor uploads, nor a folder whose name merely begins alike."""
    known = _state(
        _indexed("a.pdf", folder="/other", id_="1"),
        _indexed("a.pdf", folder="", id_="2"),
        _indexed("a.pdf", folder="/in2", id_="3"),
    )
    assert _steps([], known, prune_below=["/in"], gone=["/other/a.pdf", "", "/in2/a.pdf"]) == []


def test_a_file_that_is_there_but_cannot_be_read_is_not_pruned() -> None:
    assert _steps([], _state(_indexed("a.pdf")), prune_below=["/in"]) == []


def test_nothing_is_gone_that_cannot_be_looked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_gone(str(tmp_path / "no"))
    assert is_gone(str(tmp_path / "file" / "below"))
    assert not is_gone(str(tmp_path / "file"))
    assert not is_gone("/" + "x" * 5_000)
    assert not is_gone("nul\0")


def test_a_file_of_the_same_bytes_whose_old_path_is_gone_was_renamed() -> None:
    known = _indexed("old.pdf")
    (action,) = _actions([_on_disk("new.pdf")], _state(known), gone=["/in/old.pdf"], prune_below=["/in"])
    assert (action.step, action.document_id) == (Step.RENAME, known.document_id)


def test_a_copy_is_another_document() -> None:
    known = _state(_indexed("old.pdf"))
    assert _steps([_on_disk("copy.pdf")], known) == [(Step.ADD, "copy.pdf")]
    assert _steps([_on_disk("copy.pdf"), _on_disk("old.pdf")], known, gone=["/in/old.pdf"]) == [
        (Step.ADD, "copy.pdf"),
        (Step.KEEP, "old.pdf"),
    ]


def test_one_of_two_copies_may_be_renamed() -> None:
    known = _state(_indexed("a.pdf"), _indexed("b.pdf"))
    actions = _actions([_on_disk("c.pdf"), _on_disk("d.pdf"), _on_disk("e.pdf")], known, gone=["/in/a.pdf"])
    assert sorted(action.step for action in actions) == [Step.ADD, Step.ADD, Step.RENAME]


def test_a_renamed_file_that_is_made_into_chunks_otherwise_keeps_its_id() -> None:
    known = replace(_indexed("old.pdf"), version="other recipe")
    (action,) = _actions([_on_disk("new.pdf")], _state(known), gone=["/in/old.pdf"])
    assert (action.step, action.document_id) == (Step.UPDATE, known.document_id)


def test_the_same_name_in_another_folder_is_another_document() -> None:
    known = _indexed("a.pdf", folder="/one")
    (action,) = _actions([_on_disk("a.pdf", "bb", folder="/two")], _state(known))
    assert action.step is Step.ADD
    assert action.document_id != known.document_id
    again = _state(known, _indexed("a.pdf", "bb", folder="/two", id_=action.document_id))
    assert _steps([_on_disk("a.pdf", "bb", folder="/two")], again) == [(Step.KEEP, "a.pdf")]


def test_the_place_that_a_renamed_file_left_may_be_taken_by_another() -> None:
    moved = replace(_indexed("a.pdf"), source="/in/b.pdf", filename="b.pdf")
    kept, added = _actions([_on_disk("b.pdf"), _on_disk("a.pdf", "cc")], _state(moved))
    assert (kept.step, added.step) == (Step.KEEP, Step.ADD)
    assert kept.document_id != added.document_id


def test_a_file_replaces_the_upload_of_its_name() -> None:
    upload = _indexed("a.pdf", folder="")
    assert upload.document_id == document_id("default", "default", "a.pdf")
    (same,) = _actions([_on_disk("a.pdf")], _state(upload))
    (other,) = _actions([_on_disk("a.pdf", "bb")], _state(upload))
    assert (same.step, other.step) == (Step.RENAME, Step.UPDATE)
    assert same.document_id == other.document_id == upload.document_id


def test_both_versions_of_a_killed_update_are_tidied() -> None:
    both = _state(_indexed("a.pdf", "old"), _indexed("a.pdf", "new"))
    assert _steps([_on_disk("a.pdf", "new")], both) == [(Step.TIDY, "a.pdf")]
    assert _steps([_on_disk("a.pdf", "newest")], both) == [(Step.UPDATE, "a.pdf")]
    assert _steps([], both, prune_below=["/in"], gone=["/in/a.pdf"]) == [(Step.PRUNE, "a.pdf")]


def test_chunks_of_a_killed_write_are_noticed_by_their_number() -> None:
    document = _indexed("a.pdf")
    id_ = document.document_id
    assert _steps([_on_disk("a.pdf")], _state(document, counts={id_: 3})) == [(Step.TIDY, "a.pdf")]
    assert _steps([_on_disk("a.pdf")], _state(document, counts={id_: 1})) == [(Step.UPDATE, "a.pdf")]
    (action,) = _actions([_on_disk("a.pdf")], Indexed((), {id_: 1}))
    assert (action.step, action.has_leftovers) == (Step.ADD, True)
    (action,) = _actions([_on_disk("a.pdf")], Indexed())
    assert (action.step, action.has_leftovers) == (Step.ADD, False)


def test_chunks_without_a_record_are_orphans() -> None:
    assert _state(_indexed("a.pdf"), counts={"killed": 4}).orphans == {"killed"}


def test_the_largest_files_are_worked_on_first(tmp_path: Path) -> None:
    for name, size in (("a.pdf", 10), ("b.pdf", 1_000), ("c.pdf", 100)):
        (tmp_path / name).write_bytes(b"x" * size)
    actions = plan([NAMING.hashed(file, "aa") for file in find([tmp_path]).files], Indexed(), NAMING)
    assert [action.source for action in largest_first(actions)] == ["b.pdf", "c.pdf", "a.pdf"]
