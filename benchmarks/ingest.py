"""How fast a folder is indexed, without embeddings: `python -m benchmarks.ingest FOLDER [--copies N] [--json FILE]`.

Three commands, each a process of its own, beside an embedded Qdrant of its own that is not counted:

- ours: `python -m ingest FOLDER`, BM25 alone
- again: the same command once more, when nothing has changed
- usual: PyPDFLoader, RecursiveCharacterTextSplitter and `QdrantVectorStore.from_documents`, with the same BM25

Memory is the most that the process and all its children had at once, sampled. Then what looking for hidden text
costs: the same pages in one process with it and without, in turns, the best of each. `--copies` puts every file into
the folder so often, each with an ending of its own: memory should not follow.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from app.core.settings import Settings
from benchmarks.support import tree, write_json
from ingest.reading.pdf import pdfium
from tests.support import ROOT
from tests.support.qdrant_server import QdrantServer
from worker.vectors import document_vector, query_vector

SAMPLE_SECONDS = 0.05
AIM_PAGES_PER_SECOND = 200
ROUNDS = 3
CHUNK_SIZE, CHUNK_OVERLAP = 1_000, 150

Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "data")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--without-usual", action="store_true", help="the usual pipeline takes minutes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--usual", metavar="QDRANT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.usual:
        print(json.dumps(usual_pipeline(options.folder, options.usual)))
        return
    with _folder(options.folder, options.copies) as folder:
        rows = []
        for row in chain(measure(folder, with_usual=not options.without_usual), hidden_text_cost(folder)):
            rows.append(row)
            print("  ".join(map(_said, row.items())), flush=True)  # each takes a minute or more
    if options.json:
        write_json(options.json, rows)


def _said(figure: tuple[str, Any]) -> str:
    name, value = figure
    return f"{name} {value:,.2f}" if isinstance(value, float) else f"{value}"


@contextmanager
def _folder(source: Path, copies: int) -> Iterator[Path]:
    """The PDFs of `source`, `copies` times, each copy under a name and with a last line of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        folder = Path(name)
        for path in sorted(source.glob("*.pdf")):
            for number in range(copies):
                copy = folder / f"{number}-{path.name}"
                shutil.copyfile(path, copy)
                with copy.open("ab") as file:
                    file.write(b"%% copy %d\n" % number)
        yield folder


def measure(folder: Path, *, with_usual: bool) -> Iterator[Row]:
    """A row for each command."""
    ours = [sys.executable, "-m", "ingest", str(folder), "--json"]
    with _qdrant() as url:
        first = _run(ours, url)
        pages = first["pages"]
        yield {"what": "ours ", **_figures(first), "aim": f"{AIM_PAGES_PER_SECOND} pages/s"}
        yield {"what": "again", **_figures(_run(ours, url) | {"pages": pages})}
    if with_usual:
        with _qdrant() as url:
            usual = [sys.executable, "-m", "benchmarks.ingest", str(folder), "--usual", url]
            yield {"what": "usual", **_figures(_run(usual, url))}


@contextmanager
def _qdrant() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bench-qdrant-") as name, QdrantServer(Path(name)) as server:
        yield server.url


def _run(command: Sequence[str], qdrant_url: str) -> Row:
    """Run a command that prints its report as JSON; with seconds, CPU seconds and peak bytes added."""
    names = {name.upper() for name in Settings.model_fields}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"QDRANT_URL": qdrant_url, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryFile() as output:
        environment["DATA_DIR"] = empty
        before, began = os.times(), time.monotonic()
        process = subprocess.Popen(command, env=environment, cwd=empty, stdout=output, stderr=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident_bytes(process.pid))
            time.sleep(SAMPLE_SECONDS)
        seconds, after = time.monotonic() - began, os.times()
        output.seek(0)
        report: Row = json.loads(output.read())
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return report | {"seconds": seconds, "cpu": cpu, "peak": peak}


def _resident_bytes(pid: int) -> int:
    total = 0
    for process in tree(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _figures(report: Row) -> Row:
    return {
        "pages": float(report["pages"]),
        "chunks": float(report["chunks"]),
        "seconds": report["seconds"],
        "pages/s": report["pages"] / report["seconds"],
        "CPU s": report["cpu"],
        "peak MiB": report["peak"] / 2**20,
    }


def usual_pipeline(folder: Path, qdrant_url: str) -> Row:
    """What most examples do, with BM25 in place of a model."""
    from langchain_community.document_loaders import PyPDFLoader
    from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings, SparseVector
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    class Bm25(SparseEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[SparseVector]:
            vectors = map(document_vector, texts)
            return [SparseVector(indices=list(one.indices), values=list(one.values)) for one in vectors]

        def embed_query(self, text: str) -> SparseVector:
            vector = query_vector(text)
            return SparseVector(indices=list(vector.indices), values=list(vector.values))

    pages = [page for path in sorted(folder.glob("*.pdf")) for page in PyPDFLoader(path).load()]
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK_SIZE, chunk_overlap=CHUNK_OVERLAP)
    chunks = splitter.split_documents(pages)
    QdrantVectorStore.from_documents(
        chunks,
        None,  # type: ignore[arg-type]  # none is needed in this mode
        url=qdrant_url,
        collection_name="usual",
        retrieval_mode=RetrievalMode.SPARSE,
        sparse_embedding=Bm25(),
    )
    return {"pages": len(pages), "chunks": len(chunks)}


def hidden_text_cost(folder: Path) -> Iterator[Row]:
    """CPU seconds for all pages in one process, with the look for hidden text and without: the least of each."""
    with_look, without = [], []
    for _ in range(ROUNDS):
        with_look.append(_read_seconds(folder))
        with mock.patch.object(pdfium, "suspicious", return_value=[]):
            without.append(_read_seconds(folder))
    share = 100 * (min(with_look) / min(without) - 1)
    yield {"what": "hidden text", "CPU s with": min(with_look), "without": min(without), "costs %": share}


def _read_seconds(folder: Path) -> float:
    began = time.process_time()
    for path in sorted(folder.glob("0-*.pdf")):
        document = pdfium.PdfiumDocument(path.read_bytes())
        for number in range(document.page_count):
            try:
                document.page(number)
            except Exception:  # a page that pdfium refuses costs the same both times
                continue
        document.close()
    return time.process_time() - began


if __name__ == "__main__":
    main()
