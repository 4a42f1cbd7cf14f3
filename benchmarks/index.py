"""How fast the index is: `python -m benchmarks.index`.

Writes points of 384 dimensions with BM25-like sparse vectors and 1 kB of text, then asks hybrid questions (both
vectors, 100 candidates each, one tenant of four, fused, the best five with their payload). Four ways:

- searcher: as the worker does, over HTTP to the embedded Qdrant, names, fusion and near-duplicates included
- embedded: through qdrant-client over HTTP to the same
- engine: Qdrant Edge called directly in this process, what the others add their overhead to
- local: qdrant-client's own local mode, in memory, with fewer points because it is slow
"""

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import orjson
import qdrant_edge as q
from qdrant_client import QdrantClient, models

from app.core.settings import Settings
from app.embedded.qdrant.edge import writes
from app.embedded.qdrant.edge.collection_config import collection_config, edge_config, schema_of
from app.embedded.qdrant.edge.payload_indexes import create_index
from app.embedded.qdrant.edge.queries import query_request
from app.embedded.qdrant.edge.values import Object
from tests.support.qdrant_server import QdrantServer
from worker.http.qdrant import QdrantHttp
from worker.retrieval.search import Searcher
from worker.vectors import query_vector

DIMENSIONS = 384
VOCABULARY = 5_000
WORDS_PER_POINT = 60
WORDS_PER_QUERY = 6
TENANTS = 4
TEXT = "Net income rose by four percent in the third quarter. " * 18  # about 1 kB
BATCH = 256
CANDIDATES = 100
TOP_K = 5
NAME = "bench"
FILES = 100
GREEN_SECONDS = 300

Row = dict[str, Any]
Ask = Callable[[Object], Any]


def random_vector(rng: random.Random) -> list[float]:
    return [rng.gauss(0, 1) for _ in range(DIMENSIONS)]


@cache
def word_index(number: int) -> int:
    """The index that BM25 gives the word of that number."""
    return query_vector(f"word{number}").indices[0]


def sparse(rng: random.Random, words: Sequence[int]) -> Object:
    return {"indices": [word_index(word) for word in words], "values": [0.1 + rng.random() for _ in words]}


def make_points(count: int) -> list[Object]:
    """Points as JSON, the same for the same count."""
    rng = random.Random(count)
    return [
        {
            "id": i,
            "vector": {
                "dense": random_vector(rng),
                "sparse": sparse(rng, rng.sample(range(VOCABULARY), WORDS_PER_POINT)),
            },
            "payload": {"text": f"{i} {TEXT}", "metadata": metadata(i)},
        }
        for i in range(count)
    ]


def metadata(number: int) -> Object:
    return {
        "tenant": f"t{number % TENANTS}",
        "collection": "default",
        "document_id": f"d{number % FILES}",
        "version": "1",
        "filename": f"report-{number % FILES}.pdf",
        "page": number // FILES + 1,
        "chunk_index": number // FILES,
    }


def make_questions(count: int) -> list[Object]:
    """Bodies of hybrid queries."""
    rng = random.Random(-1)
    questions = []
    for n in range(count):
        tenant = {"must": [{"key": "metadata.tenant", "match": {"value": f"t{n % TENANTS}"}}]}
        sides = {"dense": random_vector(rng), "sparse": sparse(rng, rng.sample(range(VOCABULARY), WORDS_PER_QUERY))}
        prefetch = [
            {"query": query, "using": using, "limit": CANDIDATES, "filter": tenant} for using, query in sides.items()
        ]
        questions.append({"prefetch": prefetch, "query": {"fusion": "dbsf"}, "limit": TOP_K, "with_payload": True})
    return questions


def batches(points: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(points), BATCH):
        yield points[first : first + BATCH]


def per_second(count: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def latencies(ask: Ask, questions: Sequence[Object], threads: int = 1) -> Row:
    """The spread of times of `ask`, in milliseconds, and the rate, questions shared out over `threads`."""

    def timed(question: Object) -> float:
        started = time.perf_counter()
        ask(question)
        return (time.perf_counter() - started) * 1e3

    for question in questions[:20]:
        ask(question)
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        times = list(pool.map(timed, questions))
    cuts = statistics.quantiles(times, n=20)
    rate = len(questions) / (time.perf_counter() - started)
    return {"p50_ms": statistics.median(times), "p95_ms": cuts[18], "per_second": rate}


def create(client: QdrantClient) -> None:
    client.create_collection(
        NAME,
        vectors_config={"dense": models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)},
        sparse_vectors_config={"sparse": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        metadata={"embedding_model": NAME},
    )


def upsert(client: QdrantClient, points: list[models.PointStruct], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda batch: client.upsert(NAME, list(batch)), batches(points)):
            pass


def asking(client: QdrantClient) -> Ask:
    """A function that asks a question through the client, its models made within the time that is measured."""

    def ask(body: Object) -> Any:
        request = models.QueryRequest(**body)
        return client.query_points(
            NAME, prefetch=request.prefetch, query=request.query, limit=TOP_K, with_payload=True
        )

    return ask


def searching(searcher: Searcher, vectors: dict[str, list[float]]) -> Ask:
    """A function that asks a question of `make_questions` as the worker does; `vectors` serves as its model."""
    words = {word_index(number): f"word{number}" for number in range(VOCABULARY)}

    def ask(body: Object) -> Any:
        by_meaning, by_words = body["prefetch"]
        text = " ".join(words[index] for index in by_words["query"]["indices"])
        vectors[text] = by_meaning["query"]
        tenant = by_meaning["filter"]["must"][0]["match"]["value"]
        hits = searcher.search(text, tenant=tenant, collection="default", top_k=TOP_K)
        assert len(hits) == TOP_K
        return hits

    return ask


def measure_searcher(url: str, questions: list[Object]) -> list[Row]:
    vectors: dict[str, list[float]] = {}
    settings = Settings(qdrant_url=url, qdrant_collection=NAME, embedding_model=NAME)
    with closing(QdrantHttp(url, api_key=None, timeout_seconds=60)) as http:
        ask = searching(Searcher(http, settings, embed=vectors.__getitem__), vectors)
        return [
            {"what": f"searcher, hybrid, {askers} thread(s)", **latencies(ask, questions, askers)}
            for askers in (1, 8)
        ]


def wait_until_green(client: QdrantClient) -> float:
    """Seconds until the indexes are built."""
    started = time.perf_counter()
    while client.get_collection(NAME).status != models.CollectionStatus.GREEN:
        if time.perf_counter() - started > GREEN_SECONDS:
            raise TimeoutError("the indexes were not built in time")
        time.sleep(0.1)
    return time.perf_counter() - started


@contextmanager
def embedded() -> Iterator[str]:
    """The address of a fresh embedded Qdrant with an empty collection."""
    with tempfile.TemporaryDirectory() as directory, QdrantServer(Path(directory)) as server:
        client = QdrantClient(url=server.url)
        create(client)
        is_tenant = models.KeywordIndexParams(type="keyword", is_tenant=True)
        client.create_payload_index(NAME, "metadata.tenant", is_tenant)
        for field in ("collection", "filename"):
            client.create_payload_index(NAME, f"metadata.{field}", models.PayloadSchemaType.KEYWORD)
        client.close()
        yield server.url


def measure_embedded(points: list[models.PointStruct], questions: list[Object]) -> list[Row]:
    rows: list[Row] = []
    for threads in (1, 2):
        with embedded() as url:
            client = QdrantClient(url=url)
            rate = per_second(len(points), lambda: upsert(client, points, threads))  # noqa: B023  # used at once
            rows.append({"what": f"embedded, write, {threads} thread(s)", "per_second": rate})
            if threads == 1:
                rows.append({"what": "embedded, hybrid, no index yet", **latencies(asking(client), questions)})
                rows.append({"what": "embedded, indexes built", "seconds": wait_until_green(client)})
                for askers in (1, 8):
                    timed = latencies(asking(client), questions, askers)
                    rows.append({"what": f"embedded, hybrid, {askers} thread(s)", **timed})
                rows += measure_searcher(url, questions)
            client.close()
    return rows


def measure_raw(points: list[Object]) -> list[Row]:
    """What the server takes from a client that costs nothing."""
    bodies = [orjson.dumps({"points": batch}) for batch in batches(points)]
    with embedded() as url, httpx.Client(base_url=url, timeout=60) as http:

        def write() -> None:
            for body in bodies:
                http.put(f"/collections/{NAME}/points?wait=true", content=body).raise_for_status()

        return [{"what": "embedded, write, body ready", "per_second": per_second(len(points), write)}]


def measure_engine(points: list[Object], questions: list[Object]) -> list[Row]:
    config = collection_config(
        {
            "vectors": {"dense": {"size": DIMENSIONS, "distance": "Cosine"}},
            "sparse_vectors": {"sparse": {"modifier": "idf"}},
        }
    )
    schema = schema_of(config)
    index = create_index(
        {"field_name": "metadata.tenant", "field_schema": {"type": "keyword", "is_tenant": True}}, schema
    )
    with tempfile.TemporaryDirectory() as directory:
        shard = q.EdgeShard.create(f"{directory}/shard", edge_config(config))
        shard.update(index.operation)
        operations = [writes.upsert({"points": list(batch)}, schema).operation for batch in batches(points)]
        rate = per_second(len(points), lambda: deque(map(shard.update, operations), maxlen=0))
        shard.optimize()
        requests = {id(question): query_request(question, schema) for question in questions}
        timed = latencies(lambda question: shard.query(requests[id(question)]), questions)
        shard.close()
    return [{"what": "engine, write", "per_second": rate}, {"what": "engine, hybrid", **timed}]


def measure_local(points: list[models.PointStruct], questions: list[Object]) -> list[Row]:
    client = QdrantClient(":memory:")
    create(client)
    rate = per_second(len(points), lambda: upsert(client, points, 1))
    timed = latencies(asking(client), questions[:50])
    client.close()
    return [
        {"what": f"local, write, {len(points)} points", "per_second": rate},
        {"what": f"local, hybrid, {len(points)} points", **timed},
    ]


def machine() -> Row:
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def show(report: Row) -> None:
    """The report as a table."""
    print(f"{report['points']} points, batches of {BATCH}; {report['machine']}\n")
    print(f"{'':34}{'p50 ms':>9}{'p95 ms':>9}{'per s':>10}{'s':>8}")
    for row in report["rows"]:
        cells = [
            f"{row[name]:{width}.{digits}f}" if name in row else " " * width
            for name, width, digits in (("p50_ms", 9, 2), ("p95_ms", 9, 2), ("per_second", 10, 0), ("seconds", 8, 1))
        ]
        print(f"{row['what']:34}" + "".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index", description="How fast the index is.")
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--local-points", type=int, default=2_000, help="for qdrant-client's local mode")
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    points, questions = make_points(options.points), make_questions(options.questions)
    made = [models.PointStruct(**point) for point in points]
    rows = [
        *measure_embedded(made, questions),
        *measure_raw(points),
        *measure_engine(points, questions),
        *measure_local(made[: options.local_points], questions),
    ]
    p50 = {row["what"]: row.get("p50_ms", 0.0) for row in rows}
    for what, who in (("HTTP and the client", "embedded"), ("HTTP and the searcher", "searcher")):
        added = p50[f"{who}, hybrid, 1 thread(s)"] - p50["engine, hybrid"]
        rows.append({"what": f"added by {what}", "p50_ms": added})
    report = {"points": options.points, "machine": machine(), "rows": rows}
    print(json.dumps(report, indent=2)) if options.json else show(report)


if __name__ == "__main__":
    main()
