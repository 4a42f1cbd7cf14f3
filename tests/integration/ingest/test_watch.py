"""`python -m ingest --watch`: what is new, changed or gone in a folder is so in the index, round by round."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from app.core.settings import Settings
from ingest.__main__ import main
from ingest.reading.files import File
from ingest.sync.display import Lines
from ingest.sync.report import Report, Status
from ingest.sync.run import Options
from ingest.watching import remote as remote_module
from ingest.watching.loop import Source, Watch, sources_of
from ingest.watching.remote import RemoteFolder
from ingest.watching.settled import QUIET_SECONDS, Settled
from tests.support import ROOT
from worker.index.vector_index import open_index


@pytest.fixture(autouse=True)
def _own_index(qdrant_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    monkeypatch.setenv("QDRANT_COLLECTION", f"watch-{uuid4().hex}")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _texts() -> set[str]:
    """What the index holds, each document by its first words."""
    with closing(open_index(Settings())) as index:
        if index.generations().current is None:
            return set()
        body = {"limit": 100, "with_payload": True}
        found = index.http.post(f"/collections/{index.name}/points/scroll", body)["points"]
    return {point["payload"]["text"] for point in found}


def _old(path: Path, words: str) -> Path:
    """A file that nobody has written to for a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words)
    os.utime(path, (1_700_000_000 + len(words), 1_700_000_000 + len(words)))
    return path


class Watching:
    """Rounds of a watch, one at a time, and what it said."""

    def __init__(self, *paths: Path | str, prune: bool = True) -> None:
        self.reports: list[Report] = []
        self.said: list[str] = []
        self.sources: list[Source] = sources_of(paths, Settings())
        self.watch = Watch(
            self.sources,
            Settings(),
            Options(),
            prune=prune,
            display=Lines(sys.stderr),
            on_report=self.reports.append,
            say=self.said.append,
        )

    def round(self) -> dict[str, Status]:
        """What this round did, by document."""
        self.reports.clear()
        for source in self.sources:
            self.watch.round(source)
        return {outcome.source: outcome.status for report in self.reports for outcome in report.documents}


def test_a_folder_is_followed_and_an_untouched_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docs"
    _old(folder / "otter.md", "Otters sleep.")
    _old(folder / "heron.md", "Herons wait.")
    (folder / "broken.pdf").write_bytes(b"no PDF")
    os.utime(folder / "broken.pdf", (1, 1))
    watching = Watching(folder)
    assert watching.round() == {"otter.md": "added", "heron.md": "added", "broken.pdf": "failed"}

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr("ingest.sync.apply.sha256_of", refuse)
    assert watching.round() == {}


def test_what_changes_is_updated_and_what_is_gone_is_pruned(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    otter, heron = _old(folder / "otter.md", "Otters sleep."), _old(folder / "heron.md", "Herons wait.")
    watching = Watching(folder)
    watching.round()
    _old(otter, "Otters swim now.")
    heron.unlink()
    _old(folder / "new" / "crane.md", "Cranes dance.")
    assert watching.round() == {"otter.md": "updated", "heron.md": "pruned", "new/crane.md": "added"}
    assert _texts() == {"Otters swim now.", "Cranes dance."}
    (folder / "new" / "crane.md").rename(folder / "dancer.md")
    assert watching.round() == {"dancer.md": "renamed"}
    keeping = Watching(folder, prune=False)
    keeping.round()
    otter.unlink()
    assert keeping.round() == {}
    assert "Otters swim now." in _texts()


def test_a_folder_that_is_away_or_empty_is_told_once_and_nothing_is_deleted(tmp_path: Path) -> None:
    folder, away = tmp_path / "docs", tmp_path / "elsewhere"
    _old(folder / "otter.md", "Otters sleep.")
    watching = Watching(folder)
    watching.round()
    folder.rename(away)
    for _ in range(3):
        assert watching.round() == {}
    folder.mkdir()  # as a mount point without its disk
    for _ in range(3):
        assert watching.round() == {}
    assert len(watching.said) == 2
    assert "nothing is deleted" in watching.said[0]
    assert _texts() == {"Otters sleep."}
    folder.rmdir()
    away.rename(folder)
    assert watching.round() == {}
    assert watching.said[2].endswith("it is there again")


def test_an_index_that_is_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _old(tmp_path / "docs" / "otter.md", "Otters sleep.")
    with monkeypatch.context() as away:
        away.setenv("QDRANT_URL", "http://127.0.0.1:9")
        watching = Watching(tmp_path / "docs")
        watching.round()
        watching.round()
    assert len(watching.said) == 1
    assert "Qdrant cannot be reached" in watching.said[0]
    there = Watching(tmp_path / "docs")
    watching.watch._settings = there.watch._settings
    assert watching.round() == {"otter.md": "added"}


def test_a_file_that_grows_waits_until_it_is_quiet(tmp_path: Path) -> None:
    moment = 1_800_000_000.0
    path = tmp_path / "growing.md"
    settled = Settled(now=lambda: moment)

    def look(size: int, changed_at: float) -> bool:
        path.write_text("x" * size)
        os.utime(path, (changed_at, changed_at))
        return bool(settled.changed([File(path, "growing.md", path)]))

    assert not look(1, moment)
    assert settled.waits
    for size in range(2, 5):
        moment += QUIET_SECONDS
        assert not look(size, moment)
    moment += QUIET_SECONDS
    assert look(4, moment - QUIET_SECONDS)
    ahead = moment + 3_600  # by another machine's clock
    assert not look(9, ahead)
    moment += QUIET_SECONDS
    assert look(9, ahead)
    assert not settled.waits


# Folders in stores


@pytest.fixture
def bucket() -> Iterator[str]:
    """The address of a folder in fsspec's memory."""
    name = f"bucket-{uuid4().hex}"
    yield f"memory://{name}/docs"
    MemoryFileSystem().rm(f"/{name}", recursive=True)


def _put(bucket: str, name: str, words: str) -> None:
    MemoryFileSystem().pipe(f"{bucket.removeprefix('memory:/')}/{name}", words.encode())


def _remove(bucket: str, name: str) -> None:
    MemoryFileSystem().rm(f"{bucket.removeprefix('memory:/')}/{name}")


def test_a_folder_in_a_store_is_followed_and_only_what_changed_is_fetched(bucket: str) -> None:
    _put(bucket, "otter.md", "Otters sleep.")
    _put(bucket, "deep/er/heron.md", "Herons wait.")
    _put(bucket, "picture.png", "no document")
    _put(bucket, ".hidden/x.md", "Hidden.")
    watching = Watching(bucket)
    [source] = watching.sources
    assert source.remote is not None
    first = source.remote.fetch()
    assert (first.changed, first.failed, first.refused) == (2, [], [])
    assert source.remote.fetch().changed == 0
    assert watching.round() == {"otter.md": "added", "deep/er/heron.md": "added"}
    assert _texts() == {"Otters sleep.", "Herons wait."}
    _put(bucket, "otter.md", "Otters swim now.")
    _remove(bucket, "deep/er/heron.md")
    assert watching.round() == {"otter.md": "updated", "deep/er/heron.md": "pruned"}
    assert _texts() == {"Otters swim now."}
    assert not (source.folder / "deep").exists()


def test_a_store_that_is_away_or_lists_nothing_deletes_nothing(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(bucket, "otter.md", "Otters sleep.")
    watching = Watching(bucket)
    assert watching.round() == {"otter.md": "added"}

    def away(*_: Any, **__: Any) -> None:
        raise PermissionError("AccessDenied: key AKIA-secret")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "find", away)
        for _ in range(3):
            watching.round()
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "find", lambda *_, **__: {})
        for _ in range(3):
            watching.round()
    assert len(watching.said) == 2
    assert not any("AKIA-secret" in line for line in watching.said)
    assert _texts() == {"Otters sleep."}
    assert watching.round() == {}


HOSTILE = ("../../escape.md", "a/../../b.md", "a//b.md", "./c.md", "n\0ul.md", f"{'x' * 300}.md", "\udcff.md")


def test_no_name_in_a_store_leads_out_of_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (*HOSTILE, "/etc/x.md", "y.md", "y.md/z.md", "huge.md")
    listed = {f"/b/{name}": {"name": f"/b/{name}", "type": "file", "size": 5, "ETag": "1"} for name in names}
    listed["/b/huge.md"]["size"] = 1 << 40

    class Store:
        def find(self, *_: Any, **__: Any) -> dict[str, Any]:
            return listed

        def info(self, path: str) -> dict[str, Any]:
            return listed[path]

        def open(self, *_: Any) -> Any:
            return BytesIO(b"words")

    monkeypatch.setattr(remote_module, "filesystem_of", lambda _: (Store(), "/b"))
    fetched = RemoteFolder("store://b", tmp_path / "data").fetch()
    assert set(fetched.refused) == {*HOSTILE, "huge.md"}
    assert fetched.failed == ["y.md/z.md"]  # y.md is a file
    below = {path.name for path in (tmp_path / "data" / "watched").rglob("*.md")}
    assert below == {"y.md", "x.md"}
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_file_that_changes_while_it_is_fetched_is_fetched_again(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(bucket, "otter.md", "Otters")
    folder = RemoteFolder(bucket, Settings().data_dir)
    real = RemoteFolder._copy

    def copy(filesystem: Any, path: str, draft: Path) -> None:
        real(filesystem, path, draft)
        _put(bucket, "otter.md", "Otters sleep.")

    with monkeypatch.context() as patch:
        patch.setattr(RemoteFolder, "_copy", staticmethod(copy))
        assert folder.fetch().failed == ["otter.md"]
    assert not list(folder.folder.iterdir())
    assert folder.fetch().changed == 1
    assert (folder.folder / "otter.md").read_text() == "Otters sleep."


def test_an_address_is_indexed_once_without_a_watch(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    _put(bucket, "otter.md", "Otters sleep.")
    assert main([bucket, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["added"] == 1
    assert main(["memory://no-such-bucket/x"]) == 2
    assert main(["gs://bucket/x"]) == 2
    assert "pip install gcsfs" in capsys.readouterr().err


# The command


def test_the_command_goes_on_until_it_is_told_to_end(tmp_path: Path) -> None:
    """A file is written slowly beside it: it is indexed once, whole."""
    folder = tmp_path / "docs"
    _old(folder / "otter.md", "Otters sleep.")
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest", "--watch", str(folder), "--every", "1", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        first = json.loads(process.stdout.readline())
        assert first["counts"]["added"] == 1
        stop = threading.Event()
        with (folder / "slow.md").open("w") as file:
            for _ in range(8):
                file.write("Words. ")
                file.flush()
                stop.wait(0.4)
            file.write("The end.")
        second = json.loads(process.stdout.readline())
        assert [outcome["status"] for outcome in second["documents"]] == ["added"]
        assert any(text.endswith("The end.") for text in _texts())
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said


@pytest.mark.parametrize("arguments", [["--watch"], ["--watch", "--repair"], ["--watch", "x", "--every", "0"]])
def test_a_watch_of_nothing_is_bad_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
