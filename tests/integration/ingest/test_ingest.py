"""`python -m ingest` with the real embedded Qdrant: as a process where that matters, else through its `main`."""

import http.client
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from qdrant_client import QdrantClient

from app.core.settings import Settings
from ingest.__main__ import main
from tests.support import ROOT, pdfs
from tests.support.model_server import ModelServer
from worker.index.vector_index import Chunk, Document, Version, open_index
from worker.retrieval.search import open_searcher

SECONDS = 60


@pytest.fixture
def qdrant(qdrant_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[QdrantClient]:
    """The session's Qdrant, a collection of the test's own in the settings, and a client to look into it."""
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    monkeypatch.setenv("QDRANT_COLLECTION", f"test-{uuid4().hex}")
    client = QdrantClient(url=qdrant_url, check_compatibility=False)
    yield client
    client.delete_collection(f"{Settings().qdrant_collection}-1")
    client.close()


@pytest.fixture(autouse=True)
def _logging_is_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good documents, one of them in a folder of its own."""
    folder = tmp_path / "pdfs"
    (folder / "sub").mkdir(parents=True)
    pdfs.make_pdf(folder / "otter.pdf", ["Otters sleep in groups.", "They hold hands."])
    pdfs.make_pdf(folder / "sub" / "heron.pdf", ["Herons wait for hours."])
    return folder


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*arguments), env=_environment(), capture_output=True, text=True, timeout=SECONDS)


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "ingest", *map(str, arguments)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _report(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """Run the command in this process; its report."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == code
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def _statuses(report: dict[str, Any]) -> dict[str, str]:
    return {document["source"]: document["status"] for document in report["documents"]}


def _documents(folder: Path, collection: str = "default") -> dict[str, Document]:
    """The index's records, by their path within `folder`."""
    with closing(open_index(Settings())) as index:
        found = index.documents(tenant="default", collection=collection)
        return {document.source.removeprefix(f"{folder}/"): document for document in found}


def _chunks(qdrant: QdrantClient) -> list[dict[str, Any]]:
    """The metadata of every point."""
    points, _ = qdrant.scroll(Settings().qdrant_collection, limit=1_000)
    return [point.payload["metadata"] for point in points if point.payload]


def test_a_folder_is_indexed_with_an_embedded_qdrant_and_every_bad_file_is_reported(tmp_path: Path) -> None:
    """With nothing configured, Qdrant runs for the time of the command; a second run finds everything unchanged."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    pdfs.make_pdf(folder / "good.pdf", ["Otters sleep in groups."])
    pdfs.owner_password_pdf(folder / "owner.pdf")
    pdfs.half_read_pdf(folder / "half.pdf", page_count=40)
    pdfs.encrypted_pdf(folder / "encrypted.pdf")
    pdfs.empty_file(folder / "empty.pdf")
    pdfs.truncated_pdf(folder / "truncated.pdf")
    pdfs.scanned_pdf(folder / "scanned.pdf")
    pdfs.not_a_pdf(folder / "text.pdf")
    os.mkfifo(folder / "pipe.pdf")
    first = _run(folder, "--json")
    assert first.returncode == 1, first.stderr
    report = json.loads(first.stdout)
    assert {
        document["source"]: document["failure"]["code"] for document in report["documents"] if document["failure"]
    } == {
        "encrypted.pdf": "encrypted",
        "empty.pdf": "empty_file",
        "scanned.pdf": "no_text",
        "text.pdf": "not_a_pdf",
        "pipe.pdf": "not_a_file",
    }
    assert report["counts"] == {
        "added": 4,
        "updated": 0,
        "renamed": 0,
        "unchanged": 0,
        "pruned": 0,
        "failed": 4,
        "skipped": 1,
    }
    half = next(document for document in report["documents"] if document["source"] == "half.pdf")
    assert half["status"] == "added"
    assert half["missing_pages"][-1] == 40
    assert "[1/" in first.stderr

    second = _run(folder)
    assert second.returncode == 1, second.stderr
    assert ["unchanged", "4"] in [line.split()[:2] for line in second.stdout.splitlines()]
    assert "no_text" in second.stdout
    assert "OCR" in second.stdout


@pytest.mark.parametrize("dry", [True, False])
def test_files_of_other_kinds_are_named_fail_nothing_and_are_refused_as_arguments(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str], *, dry: bool
) -> None:
    options = ["--dry-run"] if dry else []
    for name in ("photo.jpg", "sub/old.doc", "~$otter.docx", ".DS_Store"):
        (folder / name).write_bytes(b"\xff\xd8 bytes")
    report = _report(capsys, folder, *options)
    failures = {one["source"]: one["failure"]["code"] for one in report["documents"] if one["failure"]}
    assert failures == {"photo.jpg": "not_read_kind", "sub/old.doc": "old_office"}
    assert report["other_kinds"] == {".doc": 1, ".jpg": 1}
    assert (report["counts"]["failed"], report["counts"]["skipped"]) == (0, 2)
    for name, code in failures.items():
        (outcome,) = _report(capsys, folder / name, *options, code=1)["documents"]
        assert (outcome["status"], outcome["failure"]["code"]) == ("failed", code)


class _Recorder:
    """Passes requests on to Qdrant, and remembers them."""

    def __init__(self, target: str) -> None:
        self.requests: list[tuple[str, str]] = []
        address = urlsplit(target)
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                recorder.requests.append((self.command, self.path.split("?")[0].rpartition("/")[2]))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                connection = http.client.HTTPConnection(address.hostname or "", address.port)
                connection.request(self.command, self.path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _pass_on  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_a_second_run_sends_qdrant_no_write(
    qdrant: QdrantClient, qdrant_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([str(folder)]) == 0
    recorder = _Recorder(qdrant_url)
    try:
        monkeypatch.setenv("QDRANT_URL", recorder.url)
        assert _run(folder).returncode == 0
        assert {request for request in recorder.requests if request[0] != "GET"} == {
            ("POST", "scroll"),
            ("POST", "facet"),
        }
        recorder.requests.clear()
        pdfs.make_pdf(folder / "otter.pdf", ["Otters eat urchins."])
        assert main([str(folder)]) == 0
        assert ("POST", "delete") in recorder.requests  # it would have been seen
    finally:
        recorder.close()


def test_a_document_s_record_and_chunks_say_where_they_stand(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _report(capsys, folder)
    assert (report["pages"], report["chunks"]) == (3, 3)
    heron = _documents(folder)["sub/heron.pdf"]
    assert (heron.filename, heron.pages, heron.chunks, heron.missing_pages) == ("heron.pdf", 1, 1, ())
    with closing(open_searcher(Settings())) as searcher:
        hit = searcher.search("Do otters hold hands?", tenant="default", collection="default", top_k=1)[0]
    assert (hit.filename, hit.page, hit.text) == ("otter.pdf", 2, "They hold hands.")


def test_a_changed_file_replaces_its_old_version(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _statuses(_report(capsys, folder))
    pdfs.make_pdf(folder / "otter.pdf", ["Otters eat urchins."])
    after = _statuses(_report(capsys, folder))
    assert set(before.values()) == {"added"}
    assert after == {"otter.pdf": "updated", "sub/heron.pdf": "unchanged"}
    assert sorted((chunk["filename"], chunk["page"]) for chunk in _chunks(qdrant)) == [
        ("heron.pdf", 1),
        ("otter.pdf", 1),
    ]


def test_another_chunk_size_makes_every_document_anew(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _report(capsys, folder)
    monkeypatch.setenv("CHUNK_SIZE", "400")
    assert set(_statuses(_report(capsys, folder)).values()) == {"updated"}


def test_prune_deletes_what_left_the_folder_and_only_from_its_collection(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _report(capsys, folder)
    _report(capsys, folder, "--collection", "other")
    (folder / "otter.pdf").unlink()
    assert _statuses(_report(capsys, folder)) == {"sub/heron.pdf": "unchanged"}
    assert set(_documents(folder)) == {"otter.pdf", "sub/heron.pdf"}
    pruned = _report(capsys, folder, "--prune")
    assert _statuses(pruned) == {"otter.pdf": "pruned", "sub/heron.pdf": "unchanged"}
    assert set(_documents(folder)) == {"sub/heron.pdf"}
    assert set(_documents(folder, "other")) == {"otter.pdf", "sub/heron.pdf"}


def test_a_file_that_became_unreadable_keeps_its_old_version(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _report(capsys, folder)
    pdfs.scanned_pdf(folder / "otter.pdf")
    pdfs.empty_file(folder / "sub" / "heron.pdf")
    assert set(_statuses(_report(capsys, folder, "--prune", code=1)).values()) == {"failed"}
    assert set(_documents(folder)) == {"otter.pdf", "sub/heron.pdf"}


def test_a_dry_run_tells_the_same_and_writes_nothing(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = _report(capsys, folder, "--dry-run")
    assert dry["dry_run"] is True
    assert not qdrant.collection_exists(Settings().qdrant_collection)
    assert _statuses(dry) == _statuses(_report(capsys, folder))
    (folder / "otter.pdf").unlink()
    pdfs.make_pdf(folder / "sub" / "heron.pdf", ["Herons fly."])
    dry = _report(capsys, folder, "--dry-run", "--prune")
    assert _statuses(dry) == {"otter.pdf": "pruned", "sub/heron.pdf": "updated"}
    assert set(_documents(folder)) == {"otter.pdf", "sub/heron.pdf"}
    assert len(_chunks(qdrant)) == 3


def test_a_dry_run_without_an_index_makes_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(_statuses(_report(capsys, folder, "--dry-run")).values()) == {"added"}
    assert not Settings().data_dir.exists()


def test_both_versions_that_a_killed_run_left_become_one(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _report(capsys, folder)
    pdfs.make_pdf(folder / "otter.pdf", ["Otters eat urchins."])
    with monkeypatch.context() as patched:
        # as if killed before it
        patched.setattr("worker.index.vector_index.VectorIndex.delete", lambda *_, **__: None)
        _report(capsys, folder)
    assert len(_chunks(qdrant)) == 4
    assert _statuses(_report(capsys, folder))["otter.pdf"] == "updated"
    assert len(_chunks(qdrant)) == 2
    assert _statuses(_report(capsys, folder))["otter.pdf"] == "unchanged"


def test_embeddings_are_written_and_a_dead_model_loses_nothing(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model goes away in the middle: the run ends with its code, and the old version stands."""
    monkeypatch.setenv("EMBEDDING_MODEL", "test-dims=8")
    with ModelServer() as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        _report(capsys, folder)
    points, _ = qdrant.scroll(Settings().qdrant_collection, with_vectors=["dense"])
    dense = [point.vector["dense"] for point in points if isinstance(point.vector, dict)]
    assert {len(vector) for vector in dense if isinstance(vector, list)} == {8}
    pdfs.make_pdf(folder / "otter.pdf", ["Otters eat urchins."])
    pdfs.make_pdf(folder / "new.pdf", ["New words."])
    report = _report(capsys, folder, code=1)
    assert report["ended_by"]["code"] == "model_unavailable"
    assert report["not_reached"] == 2
    assert {source: record.pages for source, record in _documents(folder).items()} == {
        "otter.pdf": 2,
        "sub/heron.pdf": 1,
    }


def test_a_text_that_the_model_refuses_fails_its_document_only(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pdfs.make_pdf(folder / "long.pdf", ["Too many words for the model. " * 10])
    monkeypatch.setenv("EMBEDDING_MODEL", "test-context=30")
    with ModelServer() as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        report = _report(capsys, folder, code=1)
    assert _statuses(report) == {"long.pdf": "failed", "otter.pdf": "added", "sub/heron.pdf": "added"}, report
    assert report["documents"][0]["failure"]["code"] == "context_too_long"


def test_a_refused_key_ends_the_run_and_another_model_s_index_does_not(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDING_MODEL", "test")
    with ModelServer(api_key="right") as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        assert _report(capsys, folder, code=1)["ended_by"]["code"] == "model_auth_failed"
    monkeypatch.setenv("EMBEDDING_MODEL", "none")
    _report(capsys, folder)
    monkeypatch.setenv("EMBEDDING_MODEL", "test")
    assert main([str(folder)]) == 0
    assert "run python -m ingest --reembed" in capsys.readouterr().err


def test_a_qdrant_that_is_away_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:9")
    assert main([str(folder)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["ingest: Qdrant cannot be reached. Start it, or correct QDRANT_URL, and run again."]


def test_a_data_dir_that_cannot_be_used_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(folder / "otter.pdf"))
    assert _report(capsys, folder, code=1)["ended_by"]["code"] == "index_unavailable"
    assert main([str(folder)]) == 1
    assert "otter.pdf" in capsys.readouterr().err


def test_ctrl_c_ends_cleanly_and_leaves_whole_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded Qdrant and the parser end, too; what the report calls added is in the index whole."""
    folder = tmp_path / "many"
    folder.mkdir()
    documents = 24  # of 30 chunks: more than one round of requests, the second of which takes its time
    for number in range(documents):
        pdfs.make_pdf(folder / f"{number}.pdf", [f"Document {number}, page {page}." for page in range(30)])
    monkeypatch.setenv("EMBEDDING_MODEL", "test-ttft=1500ms")
    with ModelServer() as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        process = subprocess.Popen(
            _command(folder, "--json"),
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        while not process.stderr.readline().startswith(f"[2/{documents}] added"):
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert "run again to go on" in err
        report = json.loads(out)
        assert report["interrupted"] is True
        added = {document["source"] for document in report["documents"]}
        assert len(added) + report["not_reached"] == documents
    rest = _run(folder, "--json", "--dry-run")
    assert rest.returncode == 0, rest.stderr
    unchanged = {source for source, status in _statuses(json.loads(rest.stdout)).items() if status == "unchanged"}
    assert added == unchanged  # also what was being written when the signal came


def test_a_renamed_file_is_neither_parsed_nor_embedded(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _report(capsys, folder)
    before = _documents(folder)["otter.pdf"]
    (folder / "otter.pdf").rename(folder / "sub" / "lutra.pdf")
    monkeypatch.setattr("ingest.sync.apply.parse", None)  # would fail when called
    assert _statuses(_report(capsys, folder, "--prune")) == {"sub/heron.pdf": "unchanged", "sub/lutra.pdf": "renamed"}
    after = _documents(folder)["sub/lutra.pdf"]
    assert (after.document_id, after.filename) == (before.document_id, "lutra.pdf")
    assert {chunk["filename"] for chunk in _chunks(qdrant)} == {"heron.pdf", "lutra.pdf"}
    assert set(_statuses(_report(capsys, folder)).values()) == {"unchanged"}


def test_two_folders_with_the_same_names_stand_side_by_side_and_prune_only_their_own(
    qdrant: QdrantClient, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    pdfs.make_pdf(other / "otter.pdf", ["Another otter."])
    _report(capsys, folder)
    assert _statuses(_report(capsys, other, "--prune")) == {"otter.pdf": "added"}
    assert set(_statuses(_report(capsys, folder, "--prune")).values()) == {"unchanged"}
    assert set(_statuses(_report(capsys, other, "--prune")).values()) == {"unchanged"}
    assert len(_documents(folder)) == 3
    pdfs.make_pdf(other / "heron.pdf", ["Another heron."])
    (other / "otter.pdf").unlink()
    assert _statuses(_report(capsys, other, "--prune")) == {"heron.pdf": "added", "otter.pdf": "pruned"}
    assert {"otter.pdf", "sub/heron.pdf"} < set(_documents(folder))


def test_a_part_of_a_folder_is_the_same_documents(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _report(capsys, folder)
    assert _statuses(_report(capsys, folder / "sub", "--prune")) == {"heron.pdf": "unchanged"}
    assert _statuses(_report(capsys, folder / "otter.pdf")) == {"otter.pdf": "unchanged"}
    assert set(_documents(folder)) == {"otter.pdf", "sub/heron.pdf"}


def test_what_a_killed_write_left_is_deleted_by_the_next_run(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks without a record: of a file that is there at once, of one that has gone after an hour."""
    monkeypatch.setenv("CHUNK_SIZE", "100")
    monkeypatch.setenv("CHUNK_OVERLAP", "0")
    pdfs.make_pdf(folder / "otter.pdf", ["Otters sleep in groups, and hold each other by their hands. " * 4])
    lost = pdfs.make_pdf(folder / "lost.pdf", ["Lost words, of which there are many on this page. " * 4])
    with monkeypatch.context() as patched:
        patched.setattr("worker.index.vector_index.WRITE_BATCH", 1)
        patched.setattr("worker.index.points.asdict", lambda _: 1 / 0)  # as if killed before a record is written
        with pytest.raises(ZeroDivisionError):
            main([str(folder)])
    left = {chunk["document_id"] for chunk in _chunks(qdrant)}
    assert left
    assert _documents(folder) == {}
    lost.unlink()
    assert set(_statuses(_report(capsys, folder)).values()) == {"added"}
    monkeypatch.setattr("ingest.sync.apply.ORPHAN_AGE", timedelta(seconds=-1))
    _report(capsys, folder)
    there = {document.document_id: document.chunks for document in _documents(folder).values()}
    assert Counter(chunk["document_id"] for chunk in _chunks(qdrant)) == there


def test_neither_an_upload_nor_a_write_in_progress_is_swept(
    qdrant: QdrantClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _report(capsys, folder)
    with closing(open_index(Settings())) as index:
        now = datetime.now(UTC).isoformat()
        chunk = Chunk("default", "default", "upload", "v", "upload.pdf", "0" * 64, 2, 1, "Not yet whole.", now)
        index.write_many([Version(next(index.documents()), [chunk])])
    qdrant.delete_payload(Settings().qdrant_collection, ["metadata.document"], points=[chunk.point_id])
    _report(capsys, folder, "--prune")
    assert "upload" in {chunk["document_id"] for chunk in _chunks(qdrant)}


def test_many_small_documents_share_their_requests_to_the_model(
    qdrant: QdrantClient, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        pdfs.make_pdf(folder / f"{number}.pdf", [f"Document {number}."])
    monkeypatch.setenv("EMBEDDING_MODEL", "test-ttft=200ms-dims=8")
    with ModelServer() as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        report = _report(capsys, folder)
        requests = server.stats()["requests"]
    assert report["counts"]["added"] == 40
    assert len(_chunks(qdrant)) == 40
    assert requests < 30
