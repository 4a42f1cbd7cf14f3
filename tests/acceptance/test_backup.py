"""`python -m app backup` and `restore`, around a DATA_DIR that is deleted between the two."""

import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Running, ask, documents, start
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
