"""From POST to result, everything but the model; and from a cold start to the first answer.

    python -m benchmarks.latency [--questions 200] [--starts 3] [--json FILE]

The first figure: `python -m app` (Valkey, the embedded Qdrant and one worker are processes of their own), with the
model server at zero latency, one question at a time, `/result` polled every 2 ms. The second is
`python -m app` in a folder whose index is built, from its start to the answer of a question that is sent as soon as
it listens.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any

import httpx

from app.core.services import running
from app.core.settings import Settings
from tests.support.model_server import ModelServer

POLL_SECONDS = 0.002
WARM_UP_QUESTIONS = 20
AIMS = {"post_to_result_p50_ms": 15.0, "cold_start_p50_s": 6.0}
QUESTIONS = (
    "What do I put in the tank to descale?",
    "How far is the Lantern Regatta?",
    "When may I book premium economy?",
    "On how many nights was aurora seen in 2025?",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-latency-") as folder, ModelServer() as model:
        data_dir = Path(folder)
        with service(data_dir, "--ingest", "data/", OPENAI_BASE_URL=model.url, CHAT_MODEL="test") as url:
            figures = measure_questions(url, arguments.questions)
        figures |= measure_starts(data_dir, arguments.starts)
    for name, figure in figures.items():
        aim = f"   (aim: {AIMS[name]:g})" if name in AIMS else ""
        print(f"{name:32} {figure:10.2f}{aim}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def measure_questions(url: str, count: int) -> dict[str, float]:
    """One question at a time: percentiles in ms, and where the worker says that the time went."""
    with httpx.Client(base_url=url) as client:
        for n in range(WARM_UP_QUESTIONS):
            ask(client, QUESTIONS[n % len(QUESTIONS)])
        taken, timings = [], []
        for n in range(count):
            began = perf_counter()
            outcome = ask(client, QUESTIONS[n % len(QUESTIONS)])
            taken.append((perf_counter() - began) * 1000)
            assert outcome["result"]["mode"] == "model", outcome
            timings.append(outcome["result"]["timings_ms"])
    cuts = quantiles(taken, n=20)
    parts = {
        f"of_which_{name}_p50_ms": median(t[name] for t in timings) for name in ("queued", "retrieval", "generation")
    }
    return {"post_to_result_p50_ms": median(taken), "post_to_result_p95_ms": cuts[18], **parts}


def measure_starts(data_dir: Path, count: int) -> dict[str, float]:
    """Seconds from the start of `python -m app` to its first answer, the index being there."""
    taken = []
    for _ in range(count):
        began = perf_counter()
        with service(data_dir, wait=False) as url, httpx.Client(base_url=url) as client:
            outcome = ask(client, QUESTIONS[0])
            taken.append(perf_counter() - began)
            assert outcome["result"]["grounded"], outcome
    return {"cold_start_p50_s": median(taken), "cold_start_max_s": max(taken)} if taken else {}


def ask(client: httpx.Client, query: str) -> dict[str, Any]:
    """Post and poll; the answer may take a minute."""
    while True:
        try:
            accepted = client.post("/chat", json={"query": query})
        except httpx.ConnectError:
            accepted = None
        if accepted is not None and accepted.status_code == httpx.codes.ACCEPTED:
            break
        sleep(POLL_SECONDS)
    path = accepted.json()["urls"]["result"]
    while (answer := client.get(path)).status_code != httpx.codes.OK:
        sleep(POLL_SECONDS)
    outcome: dict[str, Any] = answer.json()
    return outcome


@contextmanager
def service(data_dir: Path, *arguments: str, wait: bool = True, **variables: str) -> Iterator[str]:
    """A `python -m app` in `data_dir`; gives its address once it is published, with `wait` once all is ready."""
    ours = {field.upper() for field in Settings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    stated = {"DATA_DIR": str(data_dir), "PORT": "0", "LOG_LEVEL": "error", "EMBEDDING_MODEL": "none"}
    environment = inherited | stated | variables
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        while (found := running(data_dir)) is None or (wait and not found.is_ready):
            assert process.poll() is None, "the service ended"
            sleep(POLL_SECONDS)
        yield found.http_url
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    main()
