"""A backup's parts: a damaged one is refused, and what is copied beside a running Valkey and Qdrant is whole."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from qdrant_client import QdrantClient, models
from redis import Redis

from app.core.errors import ConfigurationError
from app.core.queue.connections import connect
from app.core.services import QdrantServer as Address
from app.core.settings import Settings
from app.embedded.backup import append_only
from app.embedded.backup.manifest import BackupError, check_name
from app.embedded.backup.qdrant_copy import copied
from app.embedded.backup.restoring import restore
from app.embedded.backup.taking import back_up
from app.embedded.folder_lock import FolderLock
from app.embedded.ports import free_port
from app.embedded.valkey import valkey_command
from tests.support.processes import wait_until
from tests.support.qdrant_server import QdrantServer

KEYS = 20_000


def _settings(data_dir: Path, **more: str) -> Settings:
    return Settings(_env_file=None, data_dir=data_dir, **more)  # type: ignore[arg-type]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A DATA_DIR that holds a little of each part."""
    folder = tmp_path / "here"
    for name, text in {
        "documents/default/ab/abcd": "A document. " * 500,
        "documents/@drafts/half": "half a document",
        "qdrant/aliases.json": "{}",
        "qdrant/lock": "1",
        "valkey/appendonlydir/appendonly.aof.manifest": "file appendonly.aof.1.incr.aof seq 1 type i\n",
        "valkey/appendonlydir/appendonly.aof.1.incr.aof": "*1\r\n$4\r\nPING\r\n",
        "valkey/appendonlydir/appendonly.aof.0.incr.aof": "history",
        "credentials.json": "{}",
        "services.json": "{}",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "qdrant" / "collections" / "empty").mkdir(parents=True)
    return folder


def _backup(data_dir: Path, file: Path) -> Path:
    with file.open("wb") as stream:
        back_up(_settings(data_dir), stream, partial=False)
    return file


def _restore(file: Path, data_dir: Path, *, force: bool = False) -> None:
    with file.open("rb") as stream:
        restore(_settings(data_dir), stream, force=force, partial=False)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_what_belongs_to_the_service_comes_back_and_what_belongs_to_a_process_does_not(
    data_dir: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    _restore(_backup(data_dir, tmp_path / "backup"), there)
    gone = {"documents/@drafts", "documents/@drafts/half", "qdrant/lock", "services.json"}
    gone.add("valkey/appendonlydir/appendonly.aof.0.incr.aof")  # the manifest names it no more
    assert _files(there) == _files(data_dir) - gone | {"lock"}
    assert (there / "documents/default/ab/abcd").read_text() == "A document. " * 500


def test_a_damaged_backup_leaves_data_dir_as_it_was(data_dir: Path, tmp_path: Path) -> None:
    whole = _backup(data_dir, tmp_path / "backup").read_bytes()
    damaged = [whole[: len(whole) * part // 8] for part in range(8)] + [whole[:-1], whole[:-9], b"x" + whole]
    flipped = range(20, len(whole), len(whole) // 16)
    damaged += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in flipped]
    there = tmp_path / "there"
    for data in damaged:
        (tmp_path / "damaged").write_bytes(data)
        with pytest.raises(BackupError):
            _restore(tmp_path / "damaged", there)
        assert _files(there) == {"lock"}


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "valkey/../../x", ".env", "valkey//x", "valkey/\0", "documents/" + "x" * 256],
)
def test_no_name_in_a_backup_leads_out_of_data_dir(name: str) -> None:
    with pytest.raises(BackupError):
        check_name(name)


def test_what_is_there_is_refused_or_moved_aside(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, there = _backup(data_dir, tmp_path / "backup"), tmp_path / "there"
    there.mkdir()
    (there / "mine").write_text("mine")
    with pytest.raises(BackupError, match="not empty"):
        _restore(file, there)
    _restore(file, there, force=True)
    [aside] = there.glob("before-restore-*")
    assert (aside / "mine").read_text() == "mine"
    monkeypatch.setattr("app.embedded.data_dir.TAKE_OVER_SECONDS", 0.1)
    held = FolderLock(there)
    assert held.take()
    try:
        with pytest.raises(ConfigurationError, match="in use"):
            _restore(file, there, force=True)
    finally:
        held.close()


def test_what_is_outside_of_data_dir_is_named_and_not_passed_over(data_dir: Path, tmp_path: Path) -> None:
    settings = _settings(data_dir, redis_url="redis://127.0.0.1:9/0", documents_url=str(tmp_path))
    with (tmp_path / "backup").open("wb") as stream:
        with pytest.raises(BackupError, match=r"REDIS_URL, DOCUMENTS_URL: .*backup\.md"):
            back_up(settings, stream, partial=False)
        taken = back_up(settings, stream, partial=True)
    assert taken.outside == ["REDIS_URL", "DOCUMENTS_URL"]
    assert taken.files == 2  # the alias file and the credentials


def test_an_index_that_ingestion_has_open_is_not_copied_under_it(data_dir: Path, tmp_path: Path) -> None:
    lock = FolderLock(data_dir / "qdrant")
    assert lock.take()
    try:
        with pytest.raises(BackupError, match="python -m ingest"):
            _backup(data_dir, tmp_path / "backup")
    finally:
        lock.close()


@contextmanager
def _valkey(folder: Path) -> Iterator[Redis]:
    port = free_port(0)
    process = subprocess.Popen(valkey_command(folder, port))
    try:
        with connect(f"redis://127.0.0.1:{port}/0") as connection:
            wait_until(lambda: connection.ping(), "Valkey answers")
            yield connection
    finally:
        process.terminate()
        process.wait(20)


def test_valkeys_file_is_whole_at_each_moment_of_a_rewrite(tmp_path: Path) -> None:
    """What was acknowledged before a copy is in it, though the file is written to and replaced all the time."""
    copies = []
    stop = threading.Event()
    with _valkey(tmp_path / "here") as connection:

        def write() -> None:
            number = KEYS
            while not stop.is_set():
                connection.set("last", number)
                number += 1

        with connection.pipeline(transaction=False) as pipeline:
            for number in range(KEYS):
                pipeline.set(f"key-{number}", number)
            pipeline.execute()
        writer = threading.Thread(target=write)
        writer.start()
        for moment in range(6):
            if moment % 2:
                wait_until(lambda: connection.info("persistence")["aof_rewrite_in_progress"] == 0, "it is rewritten")
            else:
                connection.bgrewriteaof()
            acknowledged = int(connection.get("last") or 0)
            copy = tmp_path / str(moment) / "valkey" / "appendonlydir"
            copy.mkdir(parents=True)
            with append_only.opened(tmp_path / "here" / "valkey" / "appendonlydir") as files:
                for name, file, size in files:
                    (copy / name).write_bytes(file.read(size))
            copies.append((copy.parents[1], acknowledged))
        stop.set()
        writer.join()
    for folder, acknowledged in (copies[0], copies[3]):
        with _valkey(folder) as restored:
            wait_until(lambda: restored.dbsize() >= KEYS, "Valkey has read its file")
            assert int(restored.get("last") or 0) >= acknowledged


def test_the_index_is_copied_whole_while_it_is_written_to_and_rebuilt(tmp_path: Path) -> None:
    """Every point that was acknowledged before is in the copy, which opens as an index of its own."""
    stop = threading.Event()
    written = [0]
    with (
        QdrantServer(tmp_path / "here") as server,
        closing(QdrantClient(url=server.url, check_compatibility=False)) as client,
    ):
        client.create_collection("c-1", vectors_config=models.VectorParams(size=4, distance=models.Distance.COSINE))
        client.update_collection_aliases(
            [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="c-1", alias_name="c"))]
        )

        def write() -> None:
            with closing(QdrantClient(url=server.url, check_compatibility=False)) as own:
                while not stop.is_set():
                    first = written[0]
                    points = [
                        models.PointStruct(id=first + n, vector=[1, n, 2, 3], payload={"n": n}) for n in range(50)
                    ]
                    own.upsert("c", points)
                    written[0] += len(points)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            wait_until(lambda: written[0] > 200, "something is written")
            for number in range(3):
                httpx.patch(f"{server.url}/collections/c", json={"optimizers_config": {}}).raise_for_status()
                before = written[0]
                with copied(tmp_path / "here", Address(server.url, None)) as folder:
                    shutil.copytree(folder, tmp_path / f"copy-{number}")
                wait_until(lambda before=before: written[0] > before + 100, "writing goes on")  # type: ignore[misc]
            assert not list((tmp_path / "here" / "copies").iterdir())
        finally:
            stop.set()
            writer.join()
    with (
        QdrantServer(tmp_path / "copy-2") as server,
        closing(QdrantClient(url=server.url, check_compatibility=False)) as client,
    ):
        assert client.count("c", exact=True).count >= before
