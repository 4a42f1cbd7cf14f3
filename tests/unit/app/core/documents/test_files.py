"""The store of files, in a folder and over fsspec: named by hash, whole or not there, never outside its folder."""

import hashlib
import os
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from pydantic import ValidationError

from app.core.documents.files import (
    DRAFT_SECONDS_MAX,
    DRAFTS,
    DocumentStore,
    StorageUnavailableError,
    StoredFileNotFoundError,
    open_store,
)
from app.core.errors import ConfigurationError
from app.core.settings import Settings

DATA = b"%PDF-1.7 " + bytes(range(256)) * 20
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["folder", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    if request.param == "folder":
        yield DocumentStore(str(tmp_path / "documents"))
    else:
        yield DocumentStore("memory://bucket/documents")
        MemoryFileSystem.store.clear()


@pytest.fixture
def folder(tmp_path: Path) -> DocumentStore:
    return DocumentStore(str(tmp_path))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_comes_back_by_its_hash(store: DocumentStore) -> None:
    assert store.put_file("acme", BytesIO(DATA)) == (SHA256, len(DATA))
    assert store.size("acme", SHA256) == len(DATA)
    with store.open("acme", SHA256) as file:
        assert file.read() == DATA
        file.seek(9)
        assert file.read(3) == bytes(range(3))
    with store.local_path("acme", SHA256) as path:
        assert path.read_bytes() == DATA


def test_a_file_is_one_tenants(store: DocumentStore) -> None:
    store.put_file("acme", BytesIO(DATA))
    assert not store.exists("other", SHA256)
    with pytest.raises(StoredFileNotFoundError):
        store.open("other", SHA256)


def test_deleting_is_idempotent(store: DocumentStore) -> None:
    store.put_file("acme", BytesIO(DATA))
    store.delete("acme", SHA256)
    store.delete("acme", SHA256)
    assert not store.exists("acme", SHA256)
    with pytest.raises(StoredFileNotFoundError), store.local_path("acme", SHA256):
        pass


def test_a_draft_that_is_not_kept_leaves_nothing(store: DocumentStore) -> None:
    with store.draft() as draft:
        draft.write(DATA)
    assert (draft.sha256, draft.size) == (SHA256, len(DATA))
    assert not store.exists("acme", SHA256)


@pytest.mark.parametrize("tenant", ["..", ".", "", "a/b", "../x", "a\\b", "a\0", "@drafts", "é", "x" * 129, "a\n"])
def test_what_is_no_tenant_never_becomes_a_path(store: DocumentStore, tenant: str) -> None:
    for act in (store.open, store.size, store.delete, store.exists):
        with pytest.raises(ValueError, match="tenant"):
            act(tenant, SHA256)
    with pytest.raises(ValueError, match="tenant"):
        store.put_file(tenant, BytesIO(DATA))


@pytest.mark.parametrize(
    "sha256", ["", "..", SHA256[:-1], SHA256.upper(), SHA256 + "\n", "../" + SHA256[3:], "é" * 64]
)
def test_what_is_no_hash_never_becomes_a_path(store: DocumentStore, sha256: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.open("acme", sha256)


def test_the_same_bytes_twice_are_one_file(folder: DocumentStore, tmp_path: Path) -> None:
    for _ in range(2):
        folder.put_file("acme", BytesIO(DATA))
    assert files(tmp_path) == [f"acme/{SHA256[:2]}/{SHA256}"]


def test_a_damaged_file_is_mended_by_its_next_upload(folder: DocumentStore, tmp_path: Path) -> None:
    folder.put_file("acme", BytesIO(DATA))
    (tmp_path / "acme" / SHA256[:2] / SHA256).write_bytes(b"half")
    folder.put_file("acme", BytesIO(DATA))
    assert folder.size("acme", SHA256) == len(DATA)


def test_many_writers_of_the_same_bytes_do_not_meet(folder: DocumentStore, tmp_path: Path) -> None:
    writers = [threading.Thread(target=folder.put_file, args=("acme", BytesIO(DATA))) for _ in range(16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert files(tmp_path) == [f"acme/{SHA256[:2]}/{SHA256}"]


def test_a_source_that_fails_leaves_nothing(folder: DocumentStore, tmp_path: Path) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        folder.put_file("acme", Broken())
    assert files(tmp_path) == []


def test_a_writer_that_was_killed_leaves_a_draft_for_a_day_at_most(folder: DocumentStore, tmp_path: Path) -> None:
    drafts = tmp_path / DRAFTS
    drafts.mkdir()
    for name, age in (("abandoned", DRAFT_SECONDS_MAX + 60), ("growing", 60)):
        (drafts / name).write_bytes(b"x")
        when = (drafts / name).stat().st_mtime - age
        os.utime(drafts / name, (when, when))
    folder.put_file("acme", BytesIO(DATA))
    assert [path.name for path in drafts.iterdir()] == ["growing"]


def test_links_are_not_followed(
    folder: DocumentStore, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_bytes(b"secret")
    (outside / SHA256[:2]).mkdir()
    (outside / SHA256[:2] / SHA256).write_bytes(b"secret")
    (tmp_path / "linked").symlink_to(outside)
    (tmp_path / "acme" / SHA256[:2]).mkdir(parents=True)
    (tmp_path / "acme" / SHA256[:2] / SHA256).symlink_to(outside / "secret")
    for tenant in ("linked", "acme"):
        for act in (folder.open, folder.size, folder.delete):
            with pytest.raises(StorageUnavailableError):
                act(tenant, SHA256)
        with pytest.raises(StorageUnavailableError):
            folder.put_file(tenant, BytesIO(DATA))
    assert (outside / SHA256[:2] / SHA256).read_bytes() == (outside / "secret").read_bytes() == b"secret"


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "documents").symlink_to(tmp_path / "disk")
    store = DocumentStore(str(tmp_path / "documents"))
    store.put_file("acme", BytesIO(DATA))
    assert store.exists("acme", SHA256)


def test_a_store_that_can_not_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailableError):
        DocumentStore(str(tmp_path / "file" / "documents")).put_file("acme", BytesIO(DATA))


def test_making_a_store_touches_nothing(tmp_path: Path) -> None:
    DocumentStore(str(tmp_path / "documents"))
    assert list(tmp_path.iterdir()) == []


def test_unless_set_files_are_kept_in_the_data_folder(tmp_path: Path) -> None:
    open_store(Settings(data_dir=tmp_path)).put_file("acme", BytesIO(DATA))
    assert files(tmp_path) == [f"documents/acme/{SHA256[:2]}/{SHA256}"]


@pytest.mark.parametrize("url", ["nonsense://bucket", "://x", "s4://bucket"])
def test_an_address_that_is_none_says_what_to_change(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DOCUMENTS_URL"):
        DocumentStore(url)


@pytest.mark.parametrize("limits", [{"upload_max_mb": 0}, {"upload_max_mb": 257}, {"upload_max_files": 0}])
def test_limits_of_uploads_have_bounds(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**limits)
