"""How well and how fast the service finds: `python -m benchmarks.retrieval FOLDER`.

FOLDER is in BEIR form (corpus.jsonl, queries.jsonl, qrels.tsv), or holds pdfs/ beside queries.jsonl and qrels.tsv,
whose documents are then pages, FILESTEM#pN with N from 1. It is split, embedded and written by ingest's own code and
searched by the worker's; a document counts once, by its best chunk. EMBEDDING_MODEL and EMBEDDING_BASE_URL choose the
embedding model as for the service, and without one only BM25 is measured. QDRANT_URL unset: an embedded one for the
time of the run.

The rows: `dense` and `sparse` give the other half no weight, the others are the fusions, of which `convex` searches a
second time, moved by what it found best. Latency is that of a search for TOP_K chunks, the embedding of the question
aside.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from qdrant_client import QdrantClient

from app.core.contract import DEFAULT_COLLECTION, DEFAULT_TENANT
from app.core.settings import Fusion, Settings
from benchmarks.retrieval_data import Data, DataError, Text, load
from benchmarks.retrieval_metrics import averages
from ingest.chunking.splitter import Splitter
from ingest.indexing.writer import Parsed, Target, Writer, parse
from ingest.reading.files import sha256_of
from ingest.reading.pool import ReaderPool
from ingest.reading.reasons import FileError
from tests.support.qdrant_server import QdrantServer
from worker.http.qdrant import QdrantHttp
from worker.index.vector_index import Chunk, Document, open_index
from worker.model.embeddings import open_embeddings
from worker.retrieval.search import Searcher
from worker.vectors import Hit

WHERE: dict[str, Any] = {"tenant": DEFAULT_TENANT, "collection": DEFAULT_COLLECTION}
CHUNKS_FOUND = 50
"""As many as a search gives at most: enough for ten documents, of which several chunks may be found."""
BATCH_DOCUMENTS = 500
BATCH_PDFS = 4
TIMED_QUERIES = 300
GREEN_SECONDS = 600
PATIENCE_SECONDS = 600.0
"""For the embedding server, which may be a small one: its speed is not what is measured."""

Row = dict[str, Any]


def modes(settings: Settings) -> dict[str, Settings]:
    """The rows of the table, and the settings of each."""
    if settings.embedding_model is None:
        return {"sparse": settings}
    halves = {name: {"fusion": Fusion.CONVEX, "fusion_dense_weight": w} for name, w in (("dense", 1), ("sparse", 0))}
    fusions = {fusion.value: {"fusion": fusion} for fusion in Fusion}
    return {name: settings.model_copy(update=changes) for name, changes in (halves | fusions).items()}


# Writing


def parsed_text(text: Text, splitter: Splitter) -> Parsed | None:
    """A document of a corpus as ingest would have it, on one page; None when there is nothing in it."""
    pieces = splitter.split([text.text or text.title])
    chunks = [
        Chunk(**WHERE, document_id=text.id, version="1", filename="", sha256="", page=1, chunk_index=number,
              text=piece.text, heading=piece.heading, title=text.title, ingested_at="")
        for number, piece in enumerate(pieces)
    ]  # fmt: skip
    document = Document(
        **WHERE, document_id=text.id, version="1", filename="", source="", sha256="", pages=1, chunks=len(chunks),
        missing_pages=(), ingested_at="", title=text.title,
    )  # fmt: skip
    return Parsed(document, chunks, ()) if chunks else None


def parsed_pdf(path: Path, reader: ReaderPool, splitter: Splitter) -> Parsed | None:
    """A PDF as ingest has it; its document's id is the file's stem."""
    target = Target(
        **WHERE, document_id=path.stem, version="1", filename=path.name, source=str(path), sha256=sha256_of(path)
    )
    try:
        return parse(path, target, reader, splitter)
    except FileError as error:
        print(f"{path.name}: {error.reason.value}", file=sys.stderr)
        return None


def documents(data: Data, splitter: Splitter) -> Iterator[list[Parsed]]:
    """All of the folder's documents, a batch at a time."""
    if data.pdfs:
        with ReaderPool() as reader:
            yield from batches((parsed_pdf(path, reader, splitter) for path in data.pdfs), BATCH_PDFS)
    else:
        yield from batches((parsed_text(text, splitter) for text in data.texts()), BATCH_DOCUMENTS)


def batches(parsed: Iterable[Parsed | None], size: int) -> Iterator[list[Parsed]]:
    left = (one for one in parsed if one is not None)
    while batch := list(islice(left, size)):
        yield batch


def write(data: Data, settings: Settings) -> Row:
    """Index the folder; gives the number of chunks and the rate, embedding included."""
    count, started = 0, time.perf_counter()
    with closing(open_index(settings)) as index, closing(Writer(index, index.embed)) as writer:
        for batch in documents(data, Splitter(settings.chunk_size, settings.chunk_overlap)):
            writer.write(batch)
            count += sum(len(parsed.chunks) for parsed in batch)
    seconds = time.perf_counter() - started
    return {"chunks": count, "seconds": seconds, "chunks_per_second": count / seconds}


def wait_until_green(http: QdrantHttp, collection: str) -> None:
    """Until the vector indexes are built, so that latency is that of an index at rest."""
    give_up = time.monotonic() + GREEN_SECONDS
    while http.get(f"/collections/{collection}")["status"] != "green":
        if time.monotonic() > give_up:
            raise TimeoutError("the indexes were not built in time")
        time.sleep(0.2)


# Searching


def embedded(queries: Sequence[str], settings: Settings) -> dict[str, list[float]]:
    """The questions' vectors, so that no search waits for the model."""
    model = open_embeddings(settings)
    if model is None:
        return {}
    with closing(model):
        return dict(zip(queries, model.embed_documents(list(queries)), strict=True))


def found(hits: Iterable[Hit], query_id: str, *, are_pages: bool) -> list[str]:
    """The documents or pages of `hits`, each once, by its best hit; a query that is a document finds not itself."""
    names = (name for hit in hits for name in (pages(hit) if are_pages else [hit.document_id]))
    return [name for name in dict.fromkeys(names) if name != query_id]


def pages(hit: Hit) -> list[str]:
    """The pages that a hit stands on, as the judgements name them."""
    return [f"{hit.document_id}#p{page}" for page in range(hit.page, hit.last_page + 1)]


def measure(data: Data, searcher: Searcher, top_k: int) -> Row:
    """The measures and the latency of one way to search."""
    rankings = {
        query: found(searcher.search(text, **WHERE, top_k=CHUNKS_FOUND), query, are_pages=bool(data.pdfs))
        for query, text in data.queries.items()
    }
    times = []
    for text in list(data.queries.values())[:TIMED_QUERIES]:
        started = time.perf_counter()
        searcher.search(text, **WHERE, top_k=top_k)
        times.append((time.perf_counter() - started) * 1e3)
    times = times * 2 if len(times) == 1 else times
    return averages(rankings, data.judgements) | {
        "p50_ms": statistics.median(times),
        "p95_ms": statistics.quantiles(times, n=20)[18],
    }


def run(data: Data, settings: Settings) -> Row:
    """Index the folder in a collection of its own, measure every way to search it, and delete it."""
    changes = {"qdrant_collection": f"retrieval-{uuid4().hex}", "model_timeout_seconds": PATIENCE_SECONDS}
    settings = settings.model_copy(update=changes)
    assert settings.qdrant_url is not None
    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    with (
        closing(QdrantHttp(settings.qdrant_url, api_key=key, timeout_seconds=60)) as http,
        deleting(settings, key),
    ):
        written = write(data, settings)
        wait_until_green(http, settings.qdrant_collection)
        vectors = embedded(list(data.queries.values()), settings)
        embed = vectors.__getitem__ if vectors else None
        rows = {
            name: measure(data, Searcher(http, changed, embed=embed), settings.top_k)
            for name, changed in modes(settings).items()
        }
    return {
        "folder": data.folder.name,
        "queries": len(data.queries),
        "embedding_model": settings.embedding_model,
        "index": written,
        "rows": rows,
    }


@contextmanager
def deleting(settings: Settings, key: str | None) -> Iterator[None]:
    """Delete the collection in the end."""
    try:
        yield
    finally:
        with closing(QdrantClient(url=settings.qdrant_url, api_key=key, check_compatibility=False)) as client:
            for alias in client.get_aliases().aliases:
                if alias.alias_name == settings.qdrant_collection:
                    client.delete_collection(alias.collection_name)


@contextmanager
def qdrant(settings: Settings) -> Iterator[Settings]:
    """The settings with a Qdrant to go to: the one that is set, or one for the time of the run."""
    if settings.qdrant_url is not None:
        yield settings
        return
    with tempfile.TemporaryDirectory() as directory, QdrantServer(Path(directory)) as server:
        yield settings.model_copy(update={"qdrant_url": server.url})


def show(report: Row) -> None:
    """The report as a table."""
    index = report["index"]
    print(f"{report['folder']}: {report['queries']} queries, {index['chunks']} chunks, ", end="")
    print(f"{index['chunks_per_second']:.0f} chunks/s written, embedding model {report['embedding_model']}\n")
    columns = list(next(iter(report["rows"].values())))
    print(f"{'':10}" + "".join(f"{name:>11}" for name in columns))
    for name, row in report["rows"].items():
        digits = {column: 2 if column.endswith("_ms") else 4 for column in columns}
        print(f"{name:10}" + "".join(f"{row[column]:11.{digits[column]}f}" for column in columns))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the table, then the same as one line of JSON; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description="How well the service finds.")
    parser.add_argument("folder", type=Path, help="in BEIR form, or with pdfs/, queries.jsonl and qrels.tsv")
    parser.add_argument("--json", action="store_true", help="print the JSON alone")
    options = parser.parse_args(arguments)
    try:
        data = load(options.folder)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    with qdrant(Settings()) as settings:
        report = run(data, settings)
    if not options.json:
        show(report)
        print()
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
