"""`python -m ingest` is killed at twenty random moments, while its folder changes: nothing is lost, nothing doubled.

The kills are SIGKILL of the command's own process. It is forked from a process that has imported it, so that the
moments fall into its work and not into its imports.
"""

import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest

from app.core.settings import Settings
from tests.support.model_server import ModelServer
from tests.support.pdfs import make_pdf
from worker.index.vector_index import Document, VectorIndex, open_index

KILLS = 20
SEED = 20261121
FILES = 6
PRELOADED = [
    "ingest.sync.run",
    "ingest.reading.pool",
    "ingest.chunking.splitter",
    "ingest.indexing.writer",
    "app.core.documents.catalog",
    "langchain_openai",
]
FORKSERVER = multiprocessing.get_context("forkserver")

Content = Counter[tuple[str, int, int, str]]
"""Path, page, number of the chunk and its words: how often each is in the index."""


def _ingest(arguments: list[str], environment: dict[str, str]) -> None:
    """The command, in a process of its own."""
    from ingest.__main__ import main

    os.environ.update(environment)
    Settings.model_config["env_file"] = None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os._exit(main(arguments))


class Folder:
    """A folder whose documents change at random."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self._chance = chance
        self._written = 0
        path.mkdir()
        for _ in range(FILES):
            self._write(self._new_path())

    def change(self) -> None:
        """Change a file, rename one, remove one and add one."""
        changed, renamed, removed = self._chance.sample(sorted(self.path.iterdir()), 3)
        self._write(changed)
        renamed.rename(self._new_path())
        removed.unlink()
        self._write(self._new_path())

    def holds(self, document: Document) -> bool:
        """Whether the document's file is there, by its name or by another one."""
        hashes = {sha256(path.read_bytes()).hexdigest() for path in self.path.iterdir()}
        return Path(document.source).exists() or document.sha256 in hashes

    def _new_path(self) -> Path:
        return self.path / f"{self._chance.randrange(10**9):09}.pdf"

    def _write(self, path: Path) -> None:
        self._written += 1
        pages = self._chance.randrange(1, 5)
        make_pdf(path, [f"Version {self._written}, page {page}: the heron waits." for page in range(1, pages + 1)])


@pytest.fixture
def environment(qdrant_url: str) -> Iterator[dict[str, str]]:
    FORKSERVER.set_forkserver_preload(PRELOADED)
    with ModelServer() as server:
        yield {
            "QDRANT_URL": qdrant_url,
            "QDRANT_COLLECTION": f"kills-{uuid4().hex}",
            "EMBEDDING_MODEL": "test-dims=8-ttft=20ms",
            "EMBEDDING_BASE_URL": server.url,
        }


def _content(index: VectorIndex, collection: str) -> Content:
    """Every chunk there is, whole documents or not."""
    found: Content = Counter()
    body = {"limit": 10_000, "filter": {"must": [{"key": "metadata.collection", "match": {"value": collection}}]}}
    sources = {document.document_id: document.source for document in index.documents(collection=collection)}
    for point in index.http.post(f"{index._path}/points/scroll", body)["points"]:
        metadata = point["payload"]["metadata"]
        source = sources.get(metadata["document_id"], "no record")
        found[source, metadata["page"], metadata["chunk_index"], point["payload"]["text"]] += 1
    return found


def _whole(index: VectorIndex, collection: str) -> dict[str, list[Document]]:
    """By document id, the versions of which every chunk is there."""
    where = {"tenant": "default", "collection": collection}
    whole: dict[str, list[Document]] = {}
    for document in index.documents(**where):
        body = {
            "exact": True,
            "filter": {
                "must": [
                    {"key": "metadata.document_id", "match": {"value": document.document_id}},
                    {"key": "metadata.version", "match": {"value": document.version}},
                ]
            },
        }
        count = index.http.post(f"{index._path}/points/count", body)["count"]
        assert count == document.chunks, "a record without its chunks"
        whole.setdefault(document.document_id, []).append(document)
    return whole


def test_twenty_kills_lose_nothing_and_leave_nothing_behind(tmp_path: Path, environment: dict[str, str]) -> None:
    chance = random.Random(SEED)
    folder = Folder(tmp_path / "pdfs", chance)
    arguments = [str(folder.path), "--prune"]
    _run(arguments, environment)
    folder.change()
    began = monotonic()
    _run(arguments, environment)
    usual = monotonic() - began
    with closing(open_index(Settings(**environment))) as index:  # type: ignore[arg-type]
        ended_by = Counter[int]()
        for _ in range(KILLS):
            before = _whole(index, "default")
            folder.change()
            process = FORKSERVER.Process(target=_ingest, args=(arguments, environment))
            process.start()
            process.join(chance.uniform(0, usual))
            process.kill()
            process.join()
            ended_by[process.exitcode or 0] += 1
            after = _whole(index, "default")
            assert all(1 <= len(versions) <= 2 for versions in after.values())
            lost = [document for id_ in before.keys() - after.keys() for document in before[id_]]
            assert not [document.source for document in lost if folder.holds(document)]
        assert ended_by[-9] >= KILLS // 2, "the kills came too late to tell anything"
        _run(arguments, environment)
        _run([*arguments, "--collection", "clean"], environment)
        assert _content(index, "default") == _content(index, "clean")
        assert {path for path, *_ in _content(index, "default")} == {str(path) for path in folder.path.iterdir()}


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    process = FORKSERVER.Process(target=_ingest, args=(arguments, environment))
    process.start()
    process.join()
    assert process.exitcode == 0
