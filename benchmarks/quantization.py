"""What quantised vectors cost in recall and save in memory: `python -m benchmarks.quantization [--count N]`.

Made vectors, as no model is here: points around so many centres, of unit length, which is harder than text as a rule
(neighbours are nearer to each other). Each kind has a Qdrant of its own, the embedded one, opened anew before it is
measured; recall is against an exact search of the whole vectors.
"""

import argparse
import tempfile
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import numpy
import psutil

from app.core.settings import Quantization, Settings
from tests.support.processes import wait_until
from tests.support.qdrant_server import QdrantServer
from worker.http.writing import WritingHttp
from worker.layout import layout_of, search_params
from worker.vectors import DENSE

DIMENSIONS = 768
CENTRES = 1_000
SPREAD = 0.7
"""Of a point about its centre, against the centre's own length."""
QUESTIONS = 200
TOP = 10
BATCH = 500
PATH = "/collections/q"


def made(count: int, seed: int = 7) -> tuple[Any, Any]:
    """Vectors to find, and vectors to look for."""
    random = numpy.random.default_rng(seed)
    centres = random.normal(size=(CENTRES, DIMENSIONS))
    spread = SPREAD * random.normal(size=(count + QUESTIONS, DIMENSIONS))
    points = centres[random.integers(CENTRES, size=count + QUESTIONS)] + spread
    points /= numpy.linalg.norm(points, axis=1, keepdims=True)
    return points[:count].astype(numpy.float32), points[count:].astype(numpy.float32)


def fill(http: WritingHttp, vectors: Any, settings: Settings) -> None:
    layout = layout_of(settings)
    dense = {"size": DIMENSIONS, "distance": "Cosine"} | layout.dense
    http.put(PATH, {"vectors": {DENSE: dense}, **layout.collection})
    for start in range(0, len(vectors), BATCH):
        batch = vectors[start : start + BATCH]
        points = [{"id": start + n, "vector": {DENSE: vector}} for n, vector in enumerate(batch)]
        http.put(f"{PATH}/points?wait=true", {"points": points})
    http.patch(PATH, {"optimizers_config": {}})
    wait_until(lambda: http.get(PATH)["status"] == "green", "the index is built", seconds=600)


def found(http: WritingHttp, question: Any, params: dict[str, Any]) -> set[int]:
    body = {"query": question.tolist(), "using": DENSE, "limit": TOP} | params
    return {point["id"] for point in http.post(f"{PATH}/points/query", body)["points"]}


def measure(vectors: Any, questions: Any, settings: Settings) -> str:
    truth = [set(numpy.argsort(-(vectors @ question))[:TOP].tolist()) for question in questions]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with QdrantServer(folder) as server, closing(_http(server)) as http:
            fill(http, vectors, settings)
            server.terminate()
        with QdrantServer(folder) as server, closing(_http(server)) as http:
            process = psutil.Process(server.process.pid)
            params = search_params(settings)
            for question in questions:
                found(http, question, params)
            began = monotonic()
            hits = [
                len(found(http, question, params) & true) for question, true in zip(questions, truth, strict=True)
            ]
            milliseconds = (monotonic() - began) / len(questions) * 1000
            memory = process.memory_full_info()
        disk = sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
    kind = f"{settings.qdrant_quantization}{', on disk' if settings.qdrant_on_disk else ''}"
    return (
        f"{kind:18} recall@{TOP} {sum(hits) / TOP / len(questions):.3f}  {milliseconds:5.1f} ms a query  "
        f"{memory.uss / 2**20:6.0f} MB of its own  {memory.rss / 2**20:6.0f} MB with files  "
        f"{disk / 2**20:6.0f} MB of disk"
    )


def _http(server: QdrantServer) -> WritingHttp:
    return WritingHttp(server.url, api_key=None, timeout_seconds=120)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantization", description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=50_000)
    arguments = parser.parse_args()
    vectors, questions = made(arguments.count)
    print(f"{arguments.count} vectors of {DIMENSIONS} dimensions", flush=True)
    for on_disk in (False, True):
        for kind in Quantization:
            settings = Settings(_env_file=None, qdrant_quantization=kind, qdrant_on_disk=on_disk)
            print(measure(vectors, questions, settings), flush=True)


if __name__ == "__main__":
    main()
