"""The story of one question: `python -m benchmarks.story` prints its trace and its log lines.

The service is started with one place for questions, and asked two. The second waits for the first, is refused by the
model's server (429), waits for its retry, and is answered. What a collector was told of it is shown as a tree, and
then each line that the processes have logged of it: those that one `grep` for its ids finds.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx

from app.embedded.ports import free_port
from benchmarks.support import QUESTION, ROOT, Process, Site, open_site, quiet_logs
from tests.support.model_server import ModelServer, parse_knobs
from tests.support.otlp_receiver import OtlpReceiver, Span, walk
from tests.support.processes import wait_until

MODEL = "ttft=1s-gap=10ms-error429=0.5"
"""What the model's server does: half of its requests are refused, in an order that a seed settles."""
SHOWN = ("http.response.status_code", "error.type", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
"""Attributes that are printed beside a span."""
NAME_CHARACTERS = 44
WAIT_SECONDS = 30
UVICORN = ["-m", "uvicorn", "--http", "app.server:HttpProtocol", "--factory", "app.main:from_environment"]


def knobs() -> str:
    """`MODEL` with a seed by which the first request is answered, the second refused, and the third answered."""
    for seed in range(1_000):
        found = f"{MODEL}-seed={seed}"
        if [parse_knobs(found).fault(number) for number in range(3)] == [None, "error429", None]:
            return found
    raise AssertionError("half of the requests are refused, in whatever order")


def tell(site: Site, model: ModelServer, collector: OtlpReceiver) -> tuple[list[Span], list[str]]:
    """Start the parts, ask, and give the second question's trace and log lines."""
    variables = {
        **collector.environment(),
        "OPENAI_BASE_URL": model.url,
        "CHAT_MODEL": "gpt-4.1-mini",
        "EMBEDDING_BASE_URL": site.model.url,
        "EMBEDDING_MODEL": "text-embedding-3-small",
        "QDRANT_COLLECTION": "story",
        "WORKER_CONCURRENCY": 1,
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
    }
    untraced = variables | {"OTEL_SDK_DISABLED": "true"}
    ingest = [sys.executable, "-m", "ingest", str(ROOT / "data")]
    subprocess.run(ingest, env=site.environment(**untraced), cwd=site.folder, check=True, capture_output=True)
    port = free_port(0)
    url = f"http://127.0.0.1:{port}"
    api = site.process("api", [sys.executable, *UVICORN, "--port", str(port), "--no-access-log"], **variables)
    worker = site.worker(**variables)
    with api, worker, httpx.Client(base_url=url, timeout=30) as client:
        site.wait_for_worker(worker)
        wait_until(lambda: _answers(client), "the API answers")
        ids = [_ask(client) for _ in range(2)]
        for job_id, _ in ids:
            client.get(f"/result/{job_id}", params={"wait": WAIT_SECONDS}).raise_for_status()
        job_id, request_id = ids[1]
        collector.wait_for(*["POST /chat"] * 2, *["process rag_queries"] * 3)
        [sent] = [span for span in collector.spans if _is_sending(span, job_id)]
        spans = [span for span in collector.spans if span.trace == sent.trace]
        for process in (worker, api):
            process.terminate()
            process.wait()
    return spans, sorted(lines_of({"api": api, "worker": worker}, (job_id, request_id, sent.trace)), key=_time_of)


def lines_of(processes: dict[str, Process], ids: tuple[str, ...]) -> Iterator[str]:
    """The lines of the processes' logs that name one of `ids`."""
    for process in processes.values():
        yield from map(
            _shortened, (line for line in process.output().splitlines() if any(one in line for one in ids))
        )


def tree(spans: list[Span]) -> Iterator[str]:
    """A trace as lines: when each step began and how long it took, in milliseconds, its name, and what is `SHOWN`."""
    first = min(span.began for span in spans)
    yield f"{'at ms':>8} {'took ms':>9}  "
    for depth, span in walk(spans):
        name = "  " * depth + span.name
        said = " ".join(f"{about}={span.attributes[about]}" for about in SHOWN if about in span.attributes)
        took = (span.ended - span.began) / 1e6
        yield f"{(span.began - first) / 1e6:8.0f} {took:9.1f}  {name:{NAME_CHARACTERS}}{said}".rstrip()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.HTTPError:
        return False


def _ask(client: httpx.Client) -> tuple[str, str]:
    """The job's id, and the request's."""
    answer = client.post("/chat", json={"query": QUESTION}).raise_for_status()
    return answer.json()["job_id"], answer.headers["x-request-id"]


def _is_sending(span: Span, job_id: str) -> bool:
    return span.kind == "producer" and span.attributes.get("messaging.message.id") == job_id


def _shortened(line: str) -> str:
    """Of an exception its last line: the others are places in our source."""
    read: dict[str, Any] = json.loads(line)
    if "exception" in read:
        read["exception"] = f"... {read['exception'].splitlines()[-1]}"
    return json.dumps(read, separators=(",", ":"))


def _time_of(line: str) -> str:
    read: dict[str, Any] = json.loads(line)
    return str(read["timestamp"])


def main() -> None:
    """Print the story."""
    assert __doc__
    argparse.ArgumentParser(prog="python -m benchmarks.story", description=__doc__.split("\n")[0]).parse_args()
    quiet_logs()
    with open_site() as site, ModelServer(knobs=knobs()) as model, OtlpReceiver() as collector:
        spans, lines = tell(site, model, collector)
    print(*tree(spans), "", *lines, sep="\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
