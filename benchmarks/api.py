"""What the API takes: `python -m benchmarks.api`. One API process, real Valkey, no worker.

- POST /chat a second, beside a FastAPI route that does nothing, in turns in one run; status and result reads
- from POST to the result of a question whose answer is kept
- clients attached to running answers, each of which has a delta a second: what a delta's way through the API adds
  (from its writing to Valkey until the client has it), the API's memory, and its connections to Valkey
- clients that wait for a result (?wait=60) whose jobs all end: how long after the end the last has its answer
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter, sleep, time
from typing import Any

import httpx
import psutil
import uvloop
from redis import Redis
from rq.job import Job

from app.core.contract import QUERY_QUEUE, AnswerJob, AnswerResult, Timings, Usage
from app.core.events import APPEND, EventType, encode, log_key
from app.core.queue.answers import KEEP, LOOK, answers_key, answers_prefix, fingerprint, packed
from app.core.queue.connections import connect
from app.core.queue.versions import MAKE, version_keys
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.embedded.ports import free_port
from app.embedded.valkey import valkey_command
from benchmarks.load import Follow, attach, hammer, request
from benchmarks.support import Process, quiet_logs, write_json
from tests.support.processes import wait_until
from tests.support.queue import JobQueue

ROOT = Path(__file__).parents[1]
BODY = b'{"query": "What do I put in the tank to descale?"}'
ROUNDS = 3
KEEP_SECONDS = 3600
APPEND_BATCH = 250
DELTA = "the answer goes on "
"""A delta as a model's 40 ms give it."""
KEPT_ASKED = 500
ANSWER = AnswerResult(
    answer="Citric acid.",
    mode="model",
    grounded=False,
    citations=(),
    model="m",
    usage=Usage(),
    timings_ms=Timings(queued=1, retrieval=2, generation=3, total=6),
)


@contextmanager
def site() -> Iterator[tuple[str, str, str, int, tuple[str, int]]]:
    """Valkey, the API, the route that does nothing, and the API with metrics.

    Valkey's URL, theirs, the API's process id, and URL and id of the last.
    """
    with tempfile.TemporaryDirectory(prefix="bench-api-") as name, ExitStack() as stack:
        folder = Path(name)
        valkey_url = f"redis://127.0.0.1:{free_port(0)}/0"
        environment = {
            **{key: value for key, value in os.environ.items() if key.lower() not in Settings.model_fields},
            "REDIS_URL": valkey_url,
            "QDRANT_URL": "http://127.0.0.1:9",
            "MAX_QUEUE_DEPTH": "100000000",
            "DATA_DIR": name,
            "LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT),
        }
        port = int(valkey_url.rsplit(":", 1)[1].split("/")[0])
        stack.enter_context(Process(valkey_command(folder, port), log=folder / "valkey.log", environment=environment))
        urls = []
        ours, own = "app.main:from_environment", ["--http", "app.server:HttpProtocol", "--factory"]
        for app, more in ((ours, {}), ("benchmarks.peers.noop_app:app", {}), (ours, {"METRICS": "true"})):
            port = free_port(0)
            uvicorn = [
                sys.executable,
                "-m",
                "uvicorn",
                *(own if app == ours else []),
                app,
                "--port",
                str(port),
                "--no-access-log",
            ]
            quiet = ["--log-level", "warning", "--backlog", "8192"]
            process = Process([*uvicorn, *quiet], log=folder / f"{port}.log", environment=environment | more)
            stack.enter_context(process)
            urls.append((f"http://127.0.0.1:{port}", process.pid))
        for url, _ in urls:
            wait_until(partial(_answers, url), f"{url} answers")
        (api, pid), (noop, _), counted = urls
        yield valkey_url, api, noop, pid, counted


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code > 0
    except httpx.HTTPError:
        return False


def rates(valkey_url: str, api: str, noop: str, seconds: float, pid: int, counted: tuple[str, int]) -> dict[str, Any]:
    """POST /chat beside the route that does nothing, and beside itself with metrics, in turns; then reads."""
    asks, nothings = [], []
    cpu: dict[int, list[float]] = {pid: [], counted[1]: []}
    for number_of_round in range(ROUNDS):
        nothings.append(hammer(noop, [request("POST", noop, "/noop", BODY)], seconds=seconds).per_second)
        in_turn = [(api, pid), counted, counted, (api, pid)]
        for url, number in in_turn if number_of_round % 2 else in_turn[2:] + in_turn[:2]:
            with closing(connect(valkey_url)) as valkey:
                valkey.flushall()
            before = sum(psutil.Process(number).cpu_times()[:2])
            asked = hammer(url, [request("POST", url, "/chat", BODY)], seconds=seconds / 2)
            assert set(asked.statuses) == {202}, asked.statuses
            spent = sum(psutil.Process(number).cpu_times()[:2]) - before
            cpu[number].append(1e6 * spent / sum(asked.statuses.values()))
            if number == pid:
                asks.append(asked.per_second)
    with closing(connect(valkey_url)) as valkey:
        waiting: Any = valkey.lrange(f"rq:queue:{QUERY_QUEUE}", 0, 999)
        ids = [job_id.decode() for job_id in waiting]
        for job_id in ids:
            finish(valkey, job_id)
    reads = {
        path: hammer(api, [request("GET", api, f"/{path}/{job_id}") for job_id in ids], seconds=seconds).per_second
        for path in ("job-status", "result")
    }
    ask, nothing = statistics.median(asks), statistics.median(nothings)
    print(f"{'POST /chat':40}{ask:10.0f} /s   (rounds: {', '.join(f'{rate:.0f}' for rate in asks)})")
    print(f"{'a FastAPI route that does nothing':40}{nothing:10.0f} /s")
    print(f"{'share (aim 0.5)':40}{ask / nothing:10.2f}")
    for path, rate in reads.items():
        print(f"{'GET /' + path:40}{rate:10.0f} /s")
    off, on = (min(each) for each in cpu.values())  # what else runs here only adds
    print(f"{'CPU of POST /chat':40}{off:10.0f} us, with metrics {on:.0f} us: {100 * (on / off - 1):+.1f} % (aim 2)")
    for each in cpu.values():
        print(f"{'':40}{'(rounds: ' + ', '.join(f'{us:.0f}' for us in each) + ')'}")
    counts = {"cpu_us": off, "cpu_us_with_metrics": on}
    return {"post_chat": ask, "noop": nothing, "share": ask / nothing, **reads, **counts}


def kept_answers(valkey_url: str, api: str) -> dict[str, float]:
    """From POST to the result, one after the other, where the same question has been answered before.

    Each is two requests; beside it, what one request takes here now, whatever it does.
    """
    settings, job = Settings(_env_file=None), AnswerJob.model_validate_json(BODY)
    mark, where = fingerprint(job, settings), answers_prefix(job.tenant)
    keys = (*version_keys(job.tenant, job.collection), where + mark)
    took: list[float] = []
    one: list[float] = []
    with closing(connect(valkey_url)) as valkey, httpx.Client(base_url=api) as client:
        valkey.flushall()
        valkey.eval(MAKE, 2, *keys[:2])
        found: Any = valkey.eval(LOOK, len(keys), *keys)
        body = packed(mark, ANSWER, job.query)
        assert body is not None
        places = (*keys, answers_key(job.tenant), "no job")
        valkey.eval(KEEP, len(places), *places, found[0], body, "none", KEEP_SECONDS, mark, where)
        for _ in range(KEPT_ASKED):
            began = perf_counter()
            client.get("/healthz")
            asked = perf_counter()
            taken = client.post("/chat", content=BODY, headers={"Content-Type": "application/json"}).json()
            result = client.get(f"/result/{taken['job_id']}").json()["result"]
            took.append(1000 * (perf_counter() - asked))
            one.append(1000 * (asked - began))
            assert result["cached"] == "exact", result
    p50, least = statistics.median(took), statistics.median(one)
    print(f"{'POST to a kept result, p50 (aim 5 ms)':40}{p50:10.2f} ms   (GET /healthz beside it: {least:.2f})")
    return {"kept_p50_ms": p50, "healthz_p50_ms": least}


def finish(valkey: Redis, job_id: str) -> None:
    """What a worker writes at a job's end."""
    job = Job.fetch(job_id, connection=valkey, serializer=PlainSerializer)
    job._result = ANSWER.model_dump(mode="json")
    with valkey.pipeline() as pipeline:
        job._handle_success(KEEP_SECONDS, pipeline)
        pipeline.eval(APPEND, 1, log_key(job_id), EventType.ENDED.value, b"{}", 1000, KEEP_SECONDS)
        pipeline.execute()


def submit(valkey_url: str, count: int) -> list[str]:
    """So many questions on an empty queue."""
    settings = Settings(_env_file=None, redis_url=valkey_url, max_queue_depth=10_000_000)
    with closing(connect(valkey_url)) as valkey:
        valkey.flushall()
        return [taken.job_id for taken in JobQueue(valkey, settings).submit_many([AnswerJob(query="?")] * count)]


def write_deltas(valkey_url: str, ids: Sequence[str], stop: threading.Event) -> None:
    """A delta a second for each job, spread over the second, until told to stop."""
    with closing(connect(valkey_url)) as valkey:
        append = valkey.script_load(APPEND)
        batches = [ids[start : start + APPEND_BATCH] for start in range(0, len(ids), APPEND_BATCH)]
        due = monotonic()
        while not stop.is_set():
            for batch in batches:
                with valkey.pipeline(transaction=False) as pipeline:
                    for job_id in batch:
                        data = encode({"text": DELTA, "at": time()})
                        pipeline.evalsha(append, 1, log_key(job_id), EventType.DELTA.value, data, 1000, KEEP_SECONDS)
                    pipeline.execute()
                due += 1 / len(batches)
                if (left := due - monotonic()) > 0:
                    sleep(left)


def streams(valkey_url: str, api: str, pid: int, count: int, seconds: float) -> dict[str, Any]:
    """Clients attached to running answers."""
    ids = submit(valkey_url, count)
    with closing(connect(valkey_url)) as valkey, valkey.pipeline(transaction=False) as pipeline:
        for job_id in ids:
            pipeline.hset(Job.key_for(job_id), "status", "started")
        pipeline.execute()
    producer = [sys.executable, "-m", "benchmarks.api", "--produce", valkey_url]
    seen = Follow()

    async def follow() -> int:
        requests = [request("GET", api, f"/stream/{job_id}") for job_id in ids]
        began = perf_counter()
        transports = await attach(api, requests, seen)
        while seen.answered < count:
            await asyncio.sleep(0.05)
        print(f"{count} clients attached in {perf_counter() - began:.1f} s")
        process = await asyncio.create_subprocess_exec(*producer, stdin=asyncio.subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write("\n".join(ids).encode() + b"\n")
        process.stdin.write_eof()
        await asyncio.sleep(3)  # warm
        seen.delays.clear()
        await asyncio.sleep(seconds)
        arrived = len(seen.delays)
        process.terminate()
        await process.wait()
        connections = _connections(valkey_url, pid)
        assert not seen.lost, f"{seen.lost} clients were cut off"
        for transport in transports:
            transport.close()
        return connections if arrived else 0

    cpu_before = psutil.Process(pid).cpu_times()
    connections = uvloop.run(follow())
    cpu_after = psutil.Process(pid).cpu_times()
    return _report(f"{count} streams", seen.delays, pid, connections, cpu_after.user - cpu_before.user)


def long_polls(valkey_url: str, api: str, pid: int, count: int) -> dict[str, Any]:
    """Clients that wait for a result; their jobs end over some seconds."""
    ids = submit(valkey_url, count)
    ended: dict[str, float] = {}
    delays: list[float] = []
    attached = 0

    async def wait_all() -> int:
        nonlocal attached
        host, port = api.removeprefix("http://").split(":")

        async def one(job_id: str) -> None:
            nonlocal attached
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request("GET", api, f"/result/{job_id}?wait=60"))
            attached += 1
            head = await reader.readuntil(b"\r\n\r\n")
            delays.append(time() - ended.get(job_id, 0))
            assert head.startswith(b"HTTP/1.1 200"), head
            writer.close()

        tasks = [asyncio.create_task(one(job_id)) for job_id in ids]
        with closing(connect(valkey_url)) as valkey:
            while int(valkey.pubsub_numpat()) + len(valkey.pubsub_channels()) < count:
                await asyncio.sleep(0.1)
            connections = _connections(valkey_url, pid)
            loop = asyncio.get_running_loop()
            for start in range(0, count, 50):
                await loop.run_in_executor(None, _finish_all, valkey, ids[start : start + 50], ended)
        await asyncio.gather(*tasks)
        return connections

    connections = uvloop.run(wait_all())
    return _report(f"{count} long polls", delays, pid, connections, 0.0)


def _finish_all(valkey: Redis, ids: Sequence[str], ended: dict[str, float]) -> None:
    for job_id in ids:
        ended[job_id] = time()
        finish(valkey, job_id)


def _connections(valkey_url: str, pid: int) -> int:
    """How many connections the API's process has to Valkey."""
    port = int(valkey_url.rsplit(":", 1)[1].split("/")[0])
    return sum(
        one.raddr.port == port
        for one in psutil.Process(pid).net_connections("tcp")
        if one.raddr and one.status == "ESTABLISHED"
    )


def _report(what: str, delays: Sequence[float], pid: int, connections: int, cpu_seconds: float) -> dict[str, Any]:
    ordered = sorted(delays)
    p50, p95, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.95, 0.99))
    memory = psutil.Process(pid).memory_info().rss / 2**20
    print(
        f"{what}: {len(ordered)} deliveries, added delay p50 {p50:.1f} ms, p95 {p95:.1f} (aim 50), p99 {p99:.1f}; "
        f"API: {memory:.0f} MB (aim 300), {connections} connections to Valkey (aim 3)"
    )
    return {
        "deliveries": len(ordered), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "memory_mb": memory,
        "connections": connections, "cpu_seconds": cpu_seconds,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10, help="length of each measurement (default 10)")
    parser.add_argument("--clients", type=int, default=5000, help="attached clients (default 5000)")
    parser.add_argument("--only", choices=["rates", "streams", "polls"], action="append")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--produce", metavar="VALKEY", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.produce:
        write_deltas(arguments.produce, sys.stdin.read().split(), threading.Event())
        return
    quiet_logs()
    only = arguments.only or ["rates", "streams", "polls"]
    machine = f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}")
    figures: dict[str, Any] = {}
    if "rates" in only:
        with site() as (valkey_url, api, noop, pid, counted):
            figures["rates"] = rates(valkey_url, api, noop, arguments.seconds, pid, counted)
            figures["kept"] = kept_answers(valkey_url, api)
    if "streams" in only:
        with site() as (valkey_url, api, _, pid, _):
            figures["streams"] = streams(valkey_url, api, pid, arguments.clients, arguments.seconds)
    if "polls" in only:
        with site() as (valkey_url, api, _, pid, _):
            figures["polls"] = long_polls(valkey_url, api, pid, arguments.clients)
    if arguments.json:
        write_json(arguments.json, figures)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
