"""`python -m app.embedded.qdrant`: how it ends, and what it says when it cannot start."""

import os
import signal
import socket
from pathlib import Path

from tests.support.qdrant_server import QdrantServer, run_to_end


def test_a_second_process_is_refused(server: QdrantServer) -> None:
    ended = run_to_end(server.data_dir)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"is in use by another process (pid {server.process.pid})" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run_to_end(tmp_path, taken.getsockname()[1])
    assert ended.returncode == 1
    assert "--port" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run_to_end(tmp_path / "file" / "data")
    assert ended.returncode == 1
    assert "--data-dir" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_damaged_collection_is_told(tmp_path: Path) -> None:
    (tmp_path / "collections" / "c").mkdir(parents=True)
    (tmp_path / "collections" / "c" / "collection.json").write_text("{")
    ended = run_to_end(tmp_path)
    assert ended.returncode == 1
    assert "collections/c" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_bad_usage_ends_with_2(tmp_path: Path) -> None:
    assert run_to_end(tmp_path, port=70_000).returncode == 2


def test_ctrl_c_ends_cleanly(tmp_path: Path) -> None:
    with QdrantServer(tmp_path) as server:
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(timeout=20) == 0
        server.process.communicate()
