"""A local user who can write into a folder that is indexed, or swap what is in it, wants another file to be read."""

import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from app.core.documents.files import DocumentStore, StorageUnavailableError
from app.core.opening import open_real
from app.core.queue.connections import connect
from app.core.settings import Settings
from ingest.__main__ import main
from ingest.reading import ocr
from ingest.reading.child import Child, Request
from ingest.reading.files import find, open_regular, sha256_of
from ingest.reading.limits import MEMORY_BYTES_MAX
from ingest.reading.pool import ReaderPool
from ingest.reading.reasons import FileError, Reason
from ingest.sync.mirror import open_mirror
from tests.support import ROOT, pdfs

SECRET = "Nobody but its owner reads this."
PIPE_SECONDS_MAX = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a document of its own; a secret lies beside it."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "own.txt").write_text("Otters hold hands.")
    (tmp_path / "secret.txt").write_text(SECRET)
    return tmp_path / "in"


def _link(path: Path, target: Path | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def _relative(folder: Path) -> None:
    _link(folder / "sub" / "pw.txt", "../../secret.txt")


def _absolute(folder: Path) -> None:
    _link(folder / "pw.txt", folder.parent / "secret.txt")


def _chain(folder: Path) -> None:
    _link(folder / "pw.txt", "sub/next.html")
    _link(folder / "sub" / "next.html", folder.parent / "secret.txt")


def _by_a_linked_folder(folder: Path) -> None:
    _link(folder / "up", folder.parent)
    _link(folder / "pw.txt", "up/secret.txt")


def _sibling_of_like_name(folder: Path) -> None:
    (folder.parent / "in-2").mkdir()
    (folder.parent / "in-2" / "s.txt").write_text(SECRET)
    _link(folder / "pw.txt", "../in-2/s.txt")


def _hidden(folder: Path) -> None:
    (folder / ".keys").mkdir()
    (folder / ".keys" / "s.txt").write_text(SECRET)
    _link(folder / "pw.txt", ".keys/s.txt")


def _hidden_file(folder: Path) -> None:
    (folder / ".env").write_text(SECRET)
    _link(folder / "pw.txt", ".env")


def _device(folder: Path) -> None:
    _link(folder / "pw.txt", "/dev/zero")


WAYS_OUT = [
    _relative, _absolute, _chain, _by_a_linked_folder, _sibling_of_like_name, _hidden, _hidden_file, _device
]  # fmt: skip


@pytest.mark.parametrize("way_out", WAYS_OUT)
def test_no_link_leads_out_of_the_folder(folder: Path, way_out: Callable[[Path], None]) -> None:
    way_out(folder)
    found = find([folder])
    assert [file.source for file in found.files] == ["own.txt"]
    assert Reason.OUTSIDE_FOLDER in [one.reason for one in found.refused]
    assert {one.reason for one in found.refused} <= {Reason.OUTSIDE_FOLDER, Reason.LINKED_FOLDER}


@pytest.mark.parametrize("way_out", WAYS_OUT)
@pytest.mark.parametrize("given", ["absolute", "a link to it", "relative"])
def test_however_the_folder_is_given(
    folder: Path, way_out: Callable[[Path], None], given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    way_out(folder)
    monkeypatch.chdir(folder)
    link = _link(folder.parent / "linked", folder)
    assert [one.source for one in find([{"absolute": folder, "relative": Path()}.get(given, link)]).files] == [
        "own.txt"
    ]


def test_the_command_reports_it_and_indexes_none_of_it(
    folder: Path, qdrant_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _absolute(folder)
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    assert main([str(folder), "--dry-run", "--json"]) == 0
    shown = capsys.readouterr().out
    assert '"outside_folder"' in shown
    assert SECRET not in shown
    monkeypatch.setenv("INGEST_FOLLOW_LINKS", "true")
    assert main([str(folder), "--dry-run", "--json"]) == 0
    assert "outside_folder" not in capsys.readouterr().out


# What takes a file's place after it was found


def _a_link(path: Path, secret: Path) -> None:
    path.unlink()
    path.symlink_to(secret)


def _a_linked_folder(path: Path, secret: Path) -> None:
    elsewhere = secret.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / path.name).write_bytes(secret.read_bytes())
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(elsewhere)


def _a_pipe(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _a_socket(path: Path, _: Path) -> None:
    path.unlink()
    short = Path(tempfile.mkdtemp(dir="/tmp")) / "s"  # a socket's path has 107 bytes at most
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(short))
    short.rename(path)
    short.parent.rmdir()


def _a_folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


SWAPS = [_a_link, _a_linked_folder, _a_pipe, _a_socket, _a_folder]


def _by_hash(path: Path) -> None:
    sha256_of(path)


def _by_opening(path: Path) -> None:
    open_regular(path).close()


def _by_the_pool(path: Path) -> None:
    with ReaderPool(1) as reader:
        reader.read(path)


def _by_the_child(path: Path) -> None:
    """What a child does that a parent sends straight to the path."""
    child = Child(MEMORY_BYTES_MAX)
    try:
        child.ask(Request(path=str(path), name=path.name, first=0, last=1))
        reply = child.reply(PIPE_SECONDS_MAX)
    finally:
        child.end()
    if reply.failed is not None:
        raise FileError(reply.failed)


@pytest.mark.parametrize("swap", SWAPS)
@pytest.mark.parametrize("reader", [_by_hash, _by_opening, _by_the_pool, _by_the_child])
def test_what_takes_a_files_place_is_not_read(
    folder: Path, swap: Callable[[Path, Path], None], reader: Callable[[Path], None]
) -> None:
    path = folder / "sub" / "report.txt"
    path.write_text("Herons wait.")
    [real] = [file.real for file in find([folder]).files if file.source == "sub/report.txt"]
    swap(path, folder.parent / "secret.txt")
    with pytest.raises(FileError) as caught:
        reader(real)
    assert caught.value.reason in (Reason.UNREADABLE, Reason.NOT_A_FILE)


@pytest.mark.parametrize("swap", SWAPS)
def test_what_takes_a_files_place_is_not_kept_for_download(
    folder: Path, swap: Callable[[Path, Path], None], valkey_url: str
) -> None:
    from app.core.contract import IngestJob

    path = folder / "sub" / "report.txt"
    path.write_text("Herons wait.")
    sha256 = sha256_of(path)
    settings = Settings(documents_url=str(folder.parent / "store"))
    swap(path, folder.parent / "secret.txt")
    with closing(connect(valkey_url)) as connection:
        mirror = open_mirror(connection, settings, tenant="default", collection="default")
        assert mirror is not None
        job = IngestJob(document_id="d", filename="report.txt", sha256=sha256)
        assert mirror.queued(job, path, "j") in (Reason.UNREADABLE, Reason.NOT_A_FILE)
    assert not [file for file in (folder.parent / "store").rglob("*") if file.is_file()]


def test_what_takes_a_scans_place_is_not_put_through_ocr(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, other = pdfs.scanned_pdf(folder / "scan.pdf"), pdfs.make_pdf(tmp_path / "secret.pdf", [SECRET])
    given: list[bytes] = []
    monkeypatch.setattr(ocr, "_run", lambda path, *_: given.append(Path(path).read_bytes()))
    sha256 = hashlib.sha256(scan.read_bytes()).hexdigest()
    with other.open("rb") as file, pytest.raises(FileError) as caught, ocr.searchable(file, sha256, [1]):
        pass
    assert caught.value.reason is Reason.CHANGED
    assert given == []


# The store of documents

DATA = b"%PDF-1.7 otters"
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("swap", [_a_link, _a_linked_folder, _a_pipe, _a_socket, _a_folder])
def test_what_takes_a_stored_files_place_is_not_served(tmp_path: Path, swap: Callable[[Path, Path], None]) -> None:
    (tmp_path / "secret.txt").write_text(SECRET)
    store = DocumentStore(str(tmp_path / "store"))
    store.put_file("acme", BytesIO(DATA))
    swap(tmp_path / "store" / "acme" / NAME[:2] / NAME, tmp_path / "secret.txt")
    with pytest.raises(StorageUnavailableError):
        store.open("acme", NAME)
    with pytest.raises(StorageUnavailableError), store.local_path("acme", NAME):
        pass


def test_a_link_that_comes_between_the_check_and_the_opening_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.txt").write_text(SECRET)
    store = DocumentStore(str(tmp_path / "store"))
    store.put_file("acme", BytesIO(DATA))

    def swapped_first(path: Path) -> object:
        _a_linked_folder(path, tmp_path / "secret.txt")
        return open_real(path)

    monkeypatch.setattr("app.core.documents.files.open_real", swapped_first)
    with pytest.raises(StorageUnavailableError):
        store.open("acme", NAME)


OPENING = re.compile(r"""os\.open\(|\.read_(?:bytes|text)\(|\.open\("|(?<!def )(?<![.\w])open\(""")


def test_documents_are_opened_in_one_place_only() -> None:
    """Whoever opens a path in these packages says here why nobody else can put a file behind it."""
    known = {
        "app/core/opening.py": "the one place",
        "app/core/places.py": "makes a new file where the operator says, through no link",
        "ingest/watching/remote.py": "makes a new file in DATA_DIR, through no link",
        "ingest/reading/ocr.py": "a copy in a folder of its own",
        "app/core/cores.py": "the kernel's own files",
        "app/core/services.py": "DATA_DIR is this user's",
        "app/core/private_files.py": "makes this user's own, through no link",
        "app/core/providers.py": "a package's own files",
        "app/core/settings.py": "REDIS_CA_FILE, which the operator names",
        "app/core/queue/answers.py": "our own packages' files",
    }
    opening = {
        str(path.relative_to(ROOT))
        for package in ("ingest", "app/core", "app/documents", "worker")
        for path in (ROOT / package).rglob("*.py")
        if OPENING.search(path.read_text())
    }
    assert opening <= set(known)
