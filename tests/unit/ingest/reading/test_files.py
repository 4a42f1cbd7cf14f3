"""What is found on disk, and under which names."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from app.core.formats import LABELS, SUFFIXES
from ingest.reading.files import File, UsageError, find, safe_name, sha256_of
from ingest.reading.reasons import FileError, Reason


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%PDF-" + path.name.encode("utf-8", "surrogateescape"))


def _sources(*paths: Path) -> list[str]:
    return [file.source for file in find(paths).files]


def test_a_folder_is_searched_with_all_below_in_a_fixed_order(tmp_path: Path) -> None:
    _touch(tmp_path / "b.pdf", tmp_path / "a" / "z.PDF", tmp_path / "a" / "c.pdf", tmp_path / "table.ods")
    assert _sources(tmp_path) == ["a/c.pdf", "a/z.PDF", "b.pdf"]


def test_files_of_other_kinds_are_named_and_counted_and_litter_is_not(tmp_path: Path) -> None:
    _touch(*(tmp_path / name for name in ("a.pdf", "b.JPG", "sub/c.jpg", "old.doc", "noname", "~$a.docx", "x.pdf~")))
    _touch(tmp_path / ".DS_Store", tmp_path / "__MACOSX" / "._a.pdf", tmp_path / "Thumbs.db")
    found = find([tmp_path])
    assert [file.source for file in found.files] == ["a.pdf"]
    assert {one.source: one.reason for one in found.refused} == {
        "b.JPG": Reason.NOT_READ_KIND,
        "sub/c.jpg": Reason.NOT_READ_KIND,
        "noname": Reason.NOT_READ_KIND,
        "old.doc": Reason.OLD_OFFICE,
    }
    assert not any(one.is_failure for one in found.refused)
    assert found.other_kinds == {".jpg": 2, ".doc": 1, "": 1}


def test_of_very_many_files_of_other_kinds_the_first_are_named_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.reading.files.OTHER_KINDS_LISTED_MAX", 3)
    _touch(tmp_path / "a.pdf", *(tmp_path / f"{number}.jpg" for number in range(10)))
    found = find([tmp_path])
    assert [one.source for one in found.refused] == ["0.jpg", "1.jpg", "2.jpg"]
    assert found.other_kinds == {".jpg": 10}


def test_every_format_that_is_read_is_found(tmp_path: Path) -> None:
    _touch(*(tmp_path / f"a{suffix}" for suffix in (*SUFFIXES, ".doc", ".zip", ".py")))
    assert _sources(tmp_path) == sorted(f"a{suffix}" for suffix in SUFFIXES)


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    _touch(tmp_path / "seen.pdf", tmp_path / ".hidden.pdf", tmp_path / ".trash" / "old.pdf")
    assert _sources(tmp_path) == ["seen.pdf"]


def test_a_file_argument_is_called_by_its_name_and_needs_no_suffix(tmp_path: Path) -> None:
    _touch(tmp_path / "deep" / "report")
    assert _sources(tmp_path / "deep" / "report") == ["report"]


def test_the_same_file_given_twice_counts_once(tmp_path: Path) -> None:
    _touch(tmp_path / "a.pdf")
    found = find([tmp_path, tmp_path / "a.pdf", tmp_path])
    assert found.files == [File(tmp_path / "a.pdf", "a.pdf", tmp_path / "a.pdf")]
    assert found.refused == []


def test_two_files_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    _touch(tmp_path / "one" / "a.pdf", tmp_path / "two" / "a.pdf")
    found = find([tmp_path / "one", tmp_path / "two"])
    assert [file.path for file in found.files] == [tmp_path / "one" / "a.pdf"]
    assert [(one.source, one.reason) for one in found.refused] == [("a.pdf", Reason.SAME_NAME)]


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: no such file or folder"):
        find([tmp_path / "nowhere"])


def test_a_folder_without_pdfs_says_so(tmp_path: Path) -> None:
    (tmp_path / "table.ods").touch()
    with pytest.raises(UsageError, match=f"no {re.escape(LABELS)} in this folder"):
        find([tmp_path])


def test_a_folder_of_an_open_document_has_nothing_to_read_and_prunes_nothing(tmp_path: Path) -> None:
    (tmp_path / "~$lease.docx").write_bytes(b"lock")
    assert (find([tmp_path]).files, find([tmp_path]).refused) == ([], [])
    with pytest.raises(UsageError, match="in this folder"):
        find([tmp_path], prune=True)


def test_prune_needs_a_folder(tmp_path: Path) -> None:
    _touch(tmp_path / "a.pdf")
    with pytest.raises(UsageError, match="--prune needs a folder"):
        find([tmp_path / "a.pdf"], prune=True)


def test_a_link_within_the_folder_is_followed_and_one_to_a_folder_is_not(tmp_path: Path) -> None:
    _touch(tmp_path / "in" / "own.pdf")
    (tmp_path / "in" / "linked.pdf").symlink_to("own.pdf")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    found = find([tmp_path / "in"])
    assert [(file.source, file.real) for file in found.files] == [
        ("linked.pdf", tmp_path / "in" / "own.pdf"),
        ("own.pdf", tmp_path / "in" / "own.pdf"),
    ]
    assert [(one.source, one.reason, one.is_failure) for one in found.refused] == [
        ("again", Reason.LINKED_FOLDER, False)
    ]


def test_a_link_out_of_the_folder_is_followed_only_on_request(tmp_path: Path) -> None:
    _touch(tmp_path / "outside" / "real.pdf", tmp_path / "in" / "own.pdf")
    (tmp_path / "in" / "linked.pdf").symlink_to(tmp_path / "outside" / "real.pdf")
    found = find([tmp_path / "in"])
    assert [file.source for file in found.files] == ["own.pdf"]
    assert [(one.source, one.reason, one.is_failure) for one in found.refused] == [
        ("linked.pdf", Reason.OUTSIDE_FOLDER, False)
    ]
    found = find([tmp_path / "in"], follow_links=True)
    assert [file.source for file in found.files] == ["linked.pdf", "own.pdf"]
    assert found.refused == []


def test_a_link_that_is_given_itself_and_a_folder_that_is_one_are_followed(tmp_path: Path) -> None:
    _touch(tmp_path / "real" / "a.pdf")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "file.pdf").symlink_to("real/a.pdf")
    found = find([tmp_path / "folder", tmp_path / "file.pdf"])
    assert [(file.source, file.real) for file in found.files] == [
        ("a.pdf", tmp_path / "real" / "a.pdf"),
        ("file.pdf", tmp_path / "real" / "a.pdf"),
    ]


def test_a_pipe_is_passed_over_and_a_circular_link_fails(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "circle.pdf").symlink_to("circle.pdf")
    found = find([tmp_path])
    assert [(one.reason, one.is_failure) for one in found.refused] == [
        (Reason.UNREADABLE, True),
        (Reason.NOT_A_FILE, False),
    ]


def test_a_folder_that_cannot_be_listed_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _touch(tmp_path / "a.pdf", tmp_path / "locked" / "b.pdf")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(path)
        return scandir(path)

    monkeypatch.setattr("ingest.reading.files.os.scandir", refuse)
    found = find([tmp_path])
    assert found.unlisted == ["locked"]
    assert [one.reason for one in found.refused] == [Reason.UNREADABLE]


def test_folders_may_be_nested_deeper_than_python_s_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1_500):
        Path("d").mkdir()
        os.chdir("d")
    Path("deep.pdf").touch()
    os.chdir(tmp_path)
    found = find([Path()])
    subprocess.run(["rm", "-r", "d"], check=True)  # pytest's own way to clean up would be too deep for Python, too
    assert [Path(file.source).name for file in found.files] == ["deep.pdf"]


def test_names_cannot_act_on_a_terminal() -> None:
    assert safe_name("a\x1b[31m\n\u202eb\u0085.pdf") == "a\ufffd[31m\ufffd\ufffdb\ufffd.pdf"


def test_names_are_the_same_on_every_system() -> None:
    assert safe_name("e\u0301te.pdf") == safe_name("\u00e9te.pdf")


def test_a_name_that_is_not_utf8_is_found_and_made_storable(tmp_path: Path) -> None:
    _touch(tmp_path / os.fsdecode(b"caf\xe9.pdf"))
    assert _sources(tmp_path) == ["caf\ufffd.pdf"]


def test_a_hash_says_why_it_cannot_be_made(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pdf"
    empty.touch()
    for path, reason in ((empty, Reason.EMPTY_FILE), (tmp_path / "gone.pdf", Reason.UNREADABLE)):
        with pytest.raises(FileError) as caught:
            sha256_of(path)
        assert caught.value.reason is reason


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    huge = tmp_path / "huge.pdf"
    with huge.open("wb") as file:
        file.truncate(300 * 2**20)
    with pytest.raises(FileError) as caught:
        sha256_of(huge)
    assert caught.value.reason is Reason.TOO_LARGE
