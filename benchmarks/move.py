"""How fast an index moves: `python -m benchmarks.move`, the service's own commands between two embedded indexes.

Writes chunks of 384 dimensions, which lie in far fewer as embeddings do, with a kilobyte of words, twenty to a
document, and a file for each document; exports all, imports it elsewhere, and asks both the same questions as the
worker does (hybrid, the ten best).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
from pydantic import SecretStr

from app.core.documents.files import open_store
from app.core.queue.connections import connect
from app.core.settings import Settings
from app.embedded.ports import free_port
from app.embedded.valkey import valkey_command
from benchmarks.index import DIMENSIONS, machine
from tests.support import ROOT
from tests.support.processes import wait_until
from tests.support.qdrant_server import QdrantServer
from worker.http.qdrant import QdrantHttp
from worker.index.vector_index import Chunk, Document, Version, open_index_of
from worker.retrieval.search import Searcher

MODEL = "bench"
TENANT = COLLECTION = "default"
CHUNKS_PER_DOCUMENT = 20
VOCABULARY = 20_000
WORDS_PER_CHUNK = 130
"""A kilobyte."""
WORDS_PER_QUESTION = 5
TOP_K = 10
OWN_DIMENSIONS = 16
"""Of the vectors. In noise of 384 an HNSW graph finds 65 % of what is nearest, and two graphs not the same."""
DOCUMENTS_AT_ONCE = 25
GREEN_SECONDS = 600
WHEN = "2026-11-27T12:00:00.000+00:00"


@dataclass(frozen=True)
class Place:
    """A service's stores, and what tells a command where they are."""

    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        given = self.settings
        assert given.qdrant_url is not None
        assert given.redis_url is not None
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(given.data_dir),
            "QDRANT_URL": given.qdrant_url,
            "REDIS_URL": given.redis_url.get_secret_value(),
            "EMBEDDING_MODEL": MODEL,
        }

    def ingest(self, *arguments: str) -> tuple[float, str]:
        """Run the command; its seconds, and what it said last."""
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "ingest", *arguments], env=self.environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return time.perf_counter() - began, done.stderr.strip().splitlines()[-1]


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        qdrant = stack.enter_context(QdrantServer(folder / "qdrant"))
        port = free_port(0)
        valkey = subprocess.Popen(valkey_command(folder, port))
        stack.callback(valkey.wait, 20)
        stack.callback(valkey.terminate)
        url = f"redis://127.0.0.1:{port}/0"
        with connect(url) as connection:
            wait_until(lambda: connection.ping(), "Valkey answers")
        yield Place(
            Settings(
                _env_file=None,
                data_dir=folder,
                qdrant_url=qdrant.url,
                redis_url=SecretStr(url),
                embedding_model=MODEL,
            )
        )


def fill(here: Place, chunks: int, rng: random.Random) -> None:
    """Documents with files, as ingestion leaves them."""
    store, vectors = open_store(here.settings), numpy.random.default_rng(1)
    with closing(open_index_of(here.settings, MODEL, DIMENSIONS)) as index:
        index.ensure()
        batch: list[Version] = []
        for number in range(chunks // CHUNKS_PER_DOCUMENT):
            texts = [" ".join(words(rng, WORDS_PER_CHUNK)) for _ in range(CHUNKS_PER_DOCUMENT)]
            data = "\f".join(texts).encode()
            digest, size = store.put_file(TENANT, BytesIO(data))
            assert digest == sha256(data).hexdigest()
            batch.append(version(number, texts, digest, size, vectors))
            if len(batch) == DOCUMENTS_AT_ONCE:
                index.write_many(batch)
                batch = []
        if batch:
            index.write_many(batch)
    here.ingest("--repair")


def version(number: int, texts: list[str], digest: str, size: int, vectors: "numpy.random.Generator") -> Version:
    name = f"report-{number}.txt"
    document_id = f"{number:032x}"
    chunks = [
        Chunk(TENANT, COLLECTION, document_id, "1", name, digest, at + 1, at, text, WHEN)
        for at, text in enumerate(texts)
    ]
    record = Document(
        TENANT, COLLECTION, document_id, "1", name, name, digest, len(texts), len(texts), (), WHEN, size_bytes=size
    )
    return Version(record, chunks, embeddings(vectors, len(texts)))  # type: ignore[arg-type]  # as `VectorIndex.embed`


def embeddings(vectors: "numpy.random.Generator", count: int) -> "numpy.typing.NDArray[numpy.float32]":
    """So many of unit length, all in one subspace."""
    axes = numpy.random.default_rng(2).standard_normal((OWN_DIMENSIONS, DIMENSIONS), dtype=numpy.float32)
    dense = vectors.standard_normal((count, OWN_DIMENSIONS), dtype=numpy.float32) @ axes
    return dense / numpy.linalg.norm(dense, axis=1, keepdims=True)  # type: ignore[no-any-return]


def words(rng: random.Random, count: int) -> list[str]:
    """Of a vocabulary in which, as in texts, few words are most of it."""
    return [f"word{int(VOCABULARY * rng.random() ** 3)}" for _ in range(count)]


def answers(here: Place, questions: dict[str, list[float]], green_seconds: float) -> list[list[tuple[str, int]]]:
    """The ten best chunks for each question; once the indexes are built, unless `green_seconds` is 0."""
    settings = here.settings
    assert settings.qdrant_url is not None
    with closing(QdrantHttp(settings.qdrant_url, api_key=None, timeout_seconds=60)) as http:
        path = f"/collections/{settings.qdrant_collection}"
        if green_seconds:
            wait_until(lambda: http.get(path)["status"] == "green", "the indexes are built", seconds=green_seconds)
        searcher = Searcher(http, settings, embed=questions.__getitem__)
        found = [searcher.search(text, tenant=TENANT, collection=COLLECTION, top_k=TOP_K) for text in questions]
    return [[(hit.document_id, hit.chunk_index) for hit in hits] for hits in found]


def measure(folder: Path, chunks: int, count: int, green_seconds: float) -> dict[str, Any]:
    rng = random.Random(16)
    asked = embeddings(numpy.random.default_rng(3), count).tolist()
    questions = {" ".join(words(rng, WORDS_PER_QUESTION)): vector for vector in asked}
    archive = folder / "all.jsonl.gz"
    with place(folder / "here") as here, place(folder / "there") as there:
        fill(here, chunks, rng)
        before = answers(here, questions, green_seconds)
        exported, said_then = here.ingest("export", str(archive))
        imported, said_now = there.ingest("import", str(archive))
        again, _ = there.ingest("import", str(archive))
        after = answers(there, questions, green_seconds)
    pairs = list(zip(before, after, strict=True))
    same = sum(one == other for one, other in pairs)
    shared = sum(len(set(one) & set(other)) for one, other in pairs)
    return {
        "chunks": chunks,
        "documents": chunks // CHUNKS_PER_DOCUMENT,
        "archive_mb": round(archive.stat().st_size / 1e6, 1),
        "export_seconds": round(exported, 1),
        "import_seconds": round(imported, 1),
        "import_again_seconds": round(again, 1),
        "questions": len(questions),
        "same_top_ten_in_order": same,
        "hits_shared": f"{shared} of {sum(map(len, before))}",
        "said": [said_then, said_now],
        "machine": machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.move", description="How fast an index moves.")
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument(
        "--green-seconds",
        type=float,
        default=GREEN_SECONDS,
        help="to wait for indexes; 0: ask before they are built",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), options.chunks, options.questions, options.green_seconds), indent=2))


if __name__ == "__main__":
    main()
