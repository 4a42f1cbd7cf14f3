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

from app.core.documents import pictures
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


def test_what_a_stores_client_reads_may_stand_in_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("AWS_ACCESS_KEY_ID=of-the-file\nAWS_DEFAULT_REGION=of-the-file\n")
    monkeypatch.setitem(Settings.model_config, "env_file", str(tmp_path / ".env"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")  # so that what is set here goes with the test
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "of-the-environment")
    open_store(Settings(documents_url=str(tmp_path)))
    assert "AWS_ACCESS_KEY_ID" not in os.environ, "a folder has no client"
    open_store(Settings(documents_url="memory://bucket"))
    assert os.environ["AWS_ACCESS_KEY_ID"] == "of-the-file"
    assert os.environ["AWS_DEFAULT_REGION"] == "of-the-environment"


def test_a_tenants_files_that_the_store_keeps_are_not_said_to_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """s3fs passes over what it was not let delete among many."""
    store = DocumentStore("memory://bucket/documents")
    store.put_file("acme", BytesIO(DATA))
    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "rm", lambda *_: None)
        with pytest.raises(StorageUnavailableError):
            store.delete_tenant("acme")
    assert store.delete_tenant("acme") == 1
    assert not store.exists("acme", SHA256)


@pytest.mark.parametrize("url", ["nonsense://bucket", "://x", "s4://bucket"])
def test_an_address_that_is_none_says_what_to_change(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DOCUMENTS_URL"):
        DocumentStore(url)


@pytest.mark.parametrize("limits", [{"upload_max_mb": 0}, {"upload_max_mb": 257}, {"upload_max_files": 0}])
def test_limits_of_uploads_have_bounds(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**limits)


PICTURE = b"\x89PNG " + bytes(50)


def kept(store: DocumentStore, sha256: str = SHA256, tenant: str = "acme") -> list[int]:
    """The pages, up to 20, whose pictures there are."""
    return [page for page in range(1, 21) if store.has_picture(tenant, sha256, page, 900)]


def test_a_picture_comes_back_by_page_and_width(store: DocumentStore) -> None:
    store.put_file("acme", BytesIO(DATA))
    store.put_picture("acme", SHA256, 3, 900, PICTURE)
    file, size = store.open_picture("acme", SHA256, 3, 900)
    with file:
        assert (file.read(), size) == (PICTURE, len(PICTURE))
    for other in (("acme", SHA256, 3, 1800), ("acme", SHA256, 4, 900), ("other", SHA256, 3, 900)):
        assert not store.has_picture(*other)
        with pytest.raises(StoredFileNotFoundError):
            store.open_picture(*other)


def test_pictures_go_with_their_file_and_no_others(store: DocumentStore) -> None:
    another = store.put_file("acme", BytesIO(b"other words"))[0]
    store.put_file("acme", BytesIO(DATA))
    for sha256 in (SHA256, another):
        store.put_picture("acme", sha256, 3, 900, PICTURE)
    store.delete("acme", SHA256)
    assert (kept(store), kept(store, another)) == ([], [3])


def test_a_file_that_is_gone_gets_no_picture(store: DocumentStore) -> None:
    """Its document may have been deleted while the page was drawn."""
    store.put_picture("acme", SHA256, 3, 900, PICTURE)
    assert kept(store) == []


def test_a_tenants_oldest_pictures_go_when_there_are_too_many(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "BYTES_MAX", 10 * len(PICTURE))
    monkeypatch.setattr(pictures, "KEPT_BYTES", 8 * len(PICTURE))
    for tenant in ("acme", "other"):
        store.put_file(tenant, BytesIO(DATA))
    store.put_picture("other", SHA256, 1, 900, PICTURE)
    for page in range(1, 12):
        store.put_picture("acme", SHA256, page, 900, PICTURE)
    assert kept(store) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert kept(store, tenant="other") == [1], "another's are not counted"
    assert store.exists("acme", SHA256)


def test_a_picture_is_whole_or_not_there(
    folder: DocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    folder.put_file("acme", BytesIO(DATA))
    before = files(tmp_path)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageUnavailableError):
        folder.put_picture("acme", SHA256, 1, 900, PICTURE)
    assert files(tmp_path) == before


def test_no_link_leads_pictures_out_of_the_store(folder: DocumentStore, tmp_path: Path) -> None:
    folder.put_file("acme", BytesIO(DATA))
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (tmp_path / "acme" / pictures.FOLDER).symlink_to(outside)
    for act in (
        lambda: folder.put_picture("acme", SHA256, 1, 900, PICTURE),
        lambda: folder.open_picture("acme", SHA256, 1, 900),
    ):
        with pytest.raises(StorageUnavailableError):
            act()
    assert not list(outside.iterdir())


@pytest.mark.parametrize("page", [0, -1])
def test_what_is_no_page_has_no_picture(store: DocumentStore, page: int) -> None:
    with pytest.raises(ValueError, match="not a page"):
        store.has_picture("acme", SHA256, page, 900)


def put_batch_file(store: DocumentStore, name: str, tenant: str = "acme") -> None:
    with store.draft() as draft:
        draft.write(DATA)
        store.keep_batch_file(draft, tenant, name)


def test_a_batchs_file_has_a_name_of_its_own_and_is_one_tenants(store: DocumentStore) -> None:
    put_batch_file(store, "file-1")
    assert store.batch_file_size("acme", "file-1") == len(DATA)
    with store.open_batch_file("acme", "file-1") as file:
        file.seek(9)
        assert file.read(3) == bytes(range(3))
    for tenant, name in (("other", "file-1"), ("acme", "file-2")):
        with pytest.raises(StoredFileNotFoundError):
            store.open_batch_file(tenant, name)
    store.delete_batch_file("acme", "file-1")
    store.delete_batch_file("acme", "file-1")
    with pytest.raises(StoredFileNotFoundError):
        store.batch_file_size("acme", "file-1")


def test_a_batchs_parts_go_together_and_nothing_else(store: DocumentStore) -> None:
    store.delete_batch_parts("acme", "batch_1")
    names = ["batch_1.a.output", "batch_1.b.errors", "batch_12.a.output", "file-1"]
    for name in names:
        put_batch_file(store, name)
    store.delete_batch_parts("acme", "batch_1")
    left = [name for name in names if store._exists(f"acme/@batches/{name}")]
    assert left == ["batch_12.a.output", "file-1"]
    assert store.delete_tenant("acme") == 2


@pytest.mark.parametrize("name", ["..", "", "a/b", "../x", "a\\b", "a\0", "é", "x" * 129, "a\n", "a.b.c.d", ".a"])
def test_what_is_no_batchs_file_never_becomes_a_path(store: DocumentStore, name: str) -> None:
    for act in (store.open_batch_file, store.batch_file_size, store.delete_batch_file, store.delete_batch_parts):
        with pytest.raises(ValueError, match="batch"):
            act("acme", name)
        with pytest.raises(ValueError, match="batch"):
            act("..", "file-1")
