"""`python -m app backup` and `restore`, around a DATA_DIR that is deleted between the two."""

import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from app.embedded.folder_lock import FolderLock
from tests.acceptance.conftest import Running, ask, documents, environment, start
from tests.support.chat_log import job_ids, rows
from tests.support.processes import wait_until

QUESTION = "When does the harbour open in winter?"
Json = dict[str, Any]


def _backup(service: Running, file: Path, *more: str) -> str:
    done = service.command(sys.executable, "-m", "app", "backup", str(file), *more)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    return done.stderr


def _restore(service: Running, file: Path, *more: str, code: int = 0) -> str:
    done = service.command(sys.executable, "-m", "app", "restore", str(file), *more)
    assert done.returncode == code, done.stderr
    return done.stderr


def _told(service: Running, job_id: str) -> Json:
    """All that a user sees: an old result, the documents, a file, a collection's title, the chat log."""
    log = f"sqlite:///{service.environment['DATA_DIR']}/history.sqlite3"
    wait_until(lambda: job_id in job_ids(log), "the chat log has the question")
    with service.client() as client:
        [document] = client.get("/documents").json()["documents"]
        return {
            "result": client.get(f"/result/{job_id}").json(),
            "document": {name: value for name, value in document.items() if name != "updated_at"},
            "file": client.get(f"/documents/{document['document_id']}/file").content,
            "title": client.get("/collections/default").json()["title"],
            "log": next(row["answer"] for row in rows(log) if row["job_id"] == job_id),
            "answer": ask(client, QUESTION)["result"]["answer"],
        }


def test_all_is_back_after_data_dir_was_deleted(tmp_path: Path) -> None:
    """Backed up while it answers and while it is stopped; restored, each in the place of nothing at all."""
    service = start(tmp_path, "--ingest", str(documents(tmp_path / "pdfs")))
    data_dir = tmp_path / "data"
    running, stopped = tmp_path / "running.tar.gz", tmp_path / "stopped.tar.gz"
    try:
        with service.client() as client:
            assert client.put("/collections/default", json={"title": "The harbour"}).is_success
            job_id = ask(client, QUESTION)["job_id"]
        before = _told(service, job_id)
        busy = threading.Event()
        asking = threading.Thread(target=_ask_until, args=(service, busy))
        asking.start()
        try:
            assert "running service" in _backup(service, running)
        finally:
            busy.set()
            asking.join()
        assert "in use by the service" in _restore(service, running, "--force", code=2)
        assert service.stop(signal.SIGTERM) == 0
        assert "stopped service" in _backup(service, stopped)
        assert "not empty" in _restore(service, stopped, code=1)
        for file in (running, stopped):
            shutil.rmtree(data_dir)
            _restore(service, file)
            assert not {path for path in data_dir.rglob("*") if path.stat().st_mode & 0o077}
            service = start(tmp_path)
            assert _told(service, job_id) == before
            assert service.stop(signal.SIGTERM) == 0
    finally:
        service.process.kill()
    assert str(data_dir / "before-restore-") in _restore(service, stopped, "--force")


def _ask_until(service: Running, ended: threading.Event) -> None:
    with service.client() as client:
        while not ended.is_set():
            ask(client, "How is a boat washed?")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A DATA_DIR with something in it, and a backup of it."""
    folder = tmp_path_factory.mktemp("stopped")
    data_dir, file = folder / "data", folder / "backup.tar.gz"
    here = Running(None, None, environment(data_dir), folder / "log")  # type: ignore[arg-type]  # nothing runs
    done = here.command(sys.executable, "-m", "ingest", str(documents(folder / "pdfs")))
    assert done.returncode == 0, done.stderr
    _backup(here, file)
    return data_dir, file


def test_a_damaged_backup_leaves_data_dir_as_it_was(stopped: tuple[Path, Path], tmp_path: Path) -> None:
    from app.core.settings import Settings
    from app.embedded.backup.manifest import BackupError
    from app.embedded.backup.restoring import restore

    whole = stopped[1].read_bytes()
    settings = Settings(_env_file=None, data_dir=tmp_path / "data")
    damaged = [whole[: len(whole) * part // 8] for part in range(8)] + [whole[:-1], whole[:-9], b"x" + whole]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(20, len(whole), len(whole) // 16)
    ]
    for data in damaged:
        file = tmp_path / "damaged.tar.gz"
        file.write_bytes(data)
        with file.open("rb") as stream, pytest.raises(BackupError):
            restore(settings, stream, force=False, partial=False)
        assert [path.name for path in (tmp_path / "data").iterdir()] == ["lock"]


def test_what_is_outside_of_data_dir_is_named_and_not_passed_over(stopped: tuple[Path, Path], tmp_path: Path) -> None:
    data_dir, _ = stopped
    file = tmp_path / "partial.tar.gz"
    here = Running(
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        environment(data_dir, REDIS_URL="redis://127.0.0.1:9/0", DOCUMENTS_URL=str(tmp_path)),
        tmp_path / "log",
    )
    done = here.command(sys.executable, "-m", "app", "backup", str(file))
    assert done.returncode == 1
    assert "REDIS_URL, DOCUMENTS_URL" in done.stderr
    assert "backup.md" in done.stderr
    assert not file.exists()
    assert "not in it: what REDIS_URL, DOCUMENTS_URL name" in _backup(here, file, "--partial")


def test_an_index_that_ingestion_has_open_is_not_copied_under_it(stopped: tuple[Path, Path], tmp_path: Path) -> None:
    data_dir, _ = stopped
    here = Running(None, None, environment(data_dir), tmp_path / "log")  # type: ignore[arg-type]
    lock = FolderLock(data_dir / "qdrant")
    assert lock.take()
    try:
        done = here.command(sys.executable, "-m", "app", "backup", str(tmp_path / "x.tar.gz"))
    finally:
        lock.close()
    assert done.returncode == 1
    assert "python -m ingest" in done.stderr
