"""How many answers a worker gives: `python -m benchmarks.worker`, ours beside those of RQ, Celery and arq.

The model takes a second; Valkey is real, with its append-only file. One worker after the other is started on a full
queue; once it is warm, a window of `--seconds` is measured:

- answers/s: what the model server has answered to the end. The bound is calls in flight / the model's second
- CPU: user and system time of the worker and all it has forked, the dead included; not of Valkey, Qdrant or the model
- memory: the most that was seen, once a second; of one process its RSS, of several the sum of their PSS

A peer's job is the model call alone, with the prompt that our worker sends and through the same `ChatOpenAI`; our
worker's job is the whole: retrieval from Qdrant, prompt, call, citations, result. `client alone` is the call without
a queue. Celery and arq are installed into .bench/, each into an environment of its own, where they see the product's
packages behind their own; the product never sees them.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil

from app.core.contract import DEFAULT_COLLECTION, DEFAULT_TENANT
from app.embedded.ports import free_port
from benchmarks.peers import rq_app
from benchmarks.support import QUESTION, ROOT, Process, Site, cpu_seconds, open_site, quiet_logs, tree, write_json
from tests.support.model_server import Stats
from worker.answer.prompt import build_messages
from worker.retrieval.search import open_searcher

MODEL_SECONDS = 1
TOKENS = 20
CHAT_MODEL = f"test-ttft={MODEL_SECONDS}s-tokens={TOKENS}"
WARM_UP_ROUNDS = 2
"""Calls in each place before the window opens."""
WARM_UP_SECONDS = 90.0
SPARE_SECONDS = 10
"""A queue holds more jobs than the bound allows in the window, by what so many seconds would take."""
PEERS = {"celery": "celery[redis]==5.7.0", "arq": "arq==0.28.0"}
PEERS_FOLDER = ROOT / ".bench"
PEERS_DATABASE = 1
INSTALL_SECONDS = 600
LOG_CHARACTERS = 2000
MEMORY_SECONDS = 1.0

HEAD = f"{'worker':22}{'answers/s':>10}{'of bound':>10}{'CPU ms/answer':>14}{'memory MB':>12}    {'processes':>11}"

STOCK, THREADS_PEER, ASYNC_PEER, ALONE = "rq worker", "celery threads 64", "arq 64", "client alone 64"
OURS, OURS_COUNTED, OURS_WIDE = "ours 64", "ours 64, metrics", "ours 256"
OURS_WIDER, OURS_TWICE = "ours 512", "ours 256, twice"
OURS_SAMPLED, OURS_TRACED = "ours 64, traces 10 %", "ours 64, traces"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A worker to measure. `fill` puts so many jobs on its queue; `in_flight` calls are the most that it can make."""

    in_flight: int
    process: Process
    fill: Callable[[int], object]


class Contestants:
    """Makes the workers that can be measured, each when it is its turn."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._database = site.valkey_url.removesuffix("/0") + f"/{PEERS_DATABASE}"
        self._shared = {
            "CHAT_MODEL": CHAT_MODEL,
            "BENCH_PROMPT": write_prompt(site),
            "BENCH_REDIS_URL": self._database,
        }

    def by_name(self) -> dict[str, Callable[[], Contestant]]:
        """In the order of the table."""
        return {
            STOCK: lambda: self._rq(1, "worker"),
            "rq worker-pool -n 4": lambda: self._rq(4, "worker-pool", "-n", "4"),
            "celery prefork 4": lambda: self._celery(4, "prefork"),
            THREADS_PEER: lambda: self._celery(64, "threads"),
            ASYNC_PEER: self._arq,
            ALONE: self._client_alone,
            OURS: lambda: self._ours(64),
            OURS_COUNTED: lambda: self._ours(64, METRICS_PORT=0, MODEL_PRICES=f"{CHAT_MODEL}=2/8"),
            OURS_SAMPLED: lambda: self._traced("0.1"),
            OURS_TRACED: lambda: self._traced("1"),
            OURS_WIDE: lambda: self._ours(256),
            OURS_WIDER: lambda: self._ours(512),
            OURS_TWICE: lambda: self._ours(256, processes=2),
        }

    def _rq(self, in_flight: int, *command: str) -> Contestant:
        rq = str(Path(sys.executable).with_name("rq"))
        process = self._site.process("rq", [rq, *command, "--url", self._database, rq_app.QUEUE], **self._shared)
        return Contestant(in_flight, process, lambda count: rq_app.fill(self._database, count))

    def _celery(self, in_flight: int, pool: str) -> Contestant:
        command = ["celery", "-A", "benchmarks.peers.celery_app", "worker", "--loglevel", "WARNING"]
        return self._peer(in_flight, "celery", [*command, "--pool", pool, "--concurrency", str(in_flight)])

    def _arq(self) -> Contestant:
        return self._peer(64, "arq", ["arq", "benchmarks.peers.arq_app.WorkerSettings"])

    def _peer(self, in_flight: int, package: str, module: Sequence[str]) -> Contestant:
        python = str(install(package))

        def fill(count: int) -> None:
            command = [python, "-m", f"benchmarks.peers.{package}_app", str(count)]
            subprocess.run(command, env=self._site.environment(**self._shared), check=True)

        process = self._site.process(package, [python, "-m", *module], **self._shared)
        return Contestant(in_flight, process, fill)

    def _client_alone(self) -> Contestant:
        command = [sys.executable, "-m", "benchmarks.peers.client_alone", "64"]
        return Contestant(64, self._site.process("client", command, **self._shared), lambda _: None)

    def _ours(self, in_flight: int, *, processes: int = 1, **more: object) -> Contestant:
        """`in_flight` in each of the processes."""
        stated = {"WORKER_CONCURRENCY": in_flight, "WORKER_PROCESSES": processes, "CHAT_MODEL": CHAT_MODEL}
        return Contestant(processes * in_flight, self._site.worker(**stated, **more), self._site.submit)

    def _traced(self, share: str) -> Contestant:
        """Ours at 64, of whose answers such a share is told to a collector, which is a process of its own."""
        port = free_port(0)
        collector = [sys.executable, "-m", "tests.support.otlp_receiver", "--port", str(port)]
        self._site.process("collector", collector).start()  # ends with this process
        process = self._site.worker(
            WORKER_CONCURRENCY=64,
            CHAT_MODEL=CHAT_MODEL,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_TRACES_SAMPLER="parentbased_traceidratio",
            OTEL_TRACES_SAMPLER_ARG=share,
        )
        return Contestant(64, process, self._site.submit)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. `memory_kind` is "RSS" (one process) or "PSS" (the sum of several)."""

    in_flight: int
    answers_per_second: float
    share_of_bound: float
    cpu_ms_per_answer: float
    memory_mb: float
    memory_kind: str
    processes: int


def write_prompt(site: Site) -> Path:
    """The conversation that our worker makes of `QUESTION`, as a file for the peers."""
    with closing(open_searcher(site.settings)) as searcher:
        hits = searcher.search(
            QUESTION, tenant=DEFAULT_TENANT, collection=DEFAULT_COLLECTION, top_k=site.settings.top_k
        )
    file = site.folder / "prompt.json"
    file.write_text(json.dumps([message["content"] for message in build_messages(QUESTION, hits)]))
    return file


def install(package: str) -> Path:
    """The Python of the environment that holds a peer, made on the first call.

    Celery and arq want different versions of redis-py, so each has its own.
    """
    folder = PEERS_FOLDER / PEERS[package].replace("[redis]", "")
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists():
        print(f"installing {PEERS[package]} into {folder.relative_to(ROOT)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        (PEERS_FOLDER / ".gitignore").write_text("*\n")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, PEERS[package]], check=True, timeout=INSTALL_SECONDS)
        own = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
        (Path(own) / "product.pth").write_text(sysconfig.get_path("purelib") + "\n")
        done.touch()
    return python


class MeasureError(Exception):
    """A worker could not be measured."""


def measure(contestant: Contestant, site: Site, seconds: float) -> Figures:
    """Start it on a full queue, let it warm up, and look at it for `seconds`.

    Raises `MeasureError` when it did not get warm, answered nothing, or had nothing left to answer.
    """
    site.reset()
    bound = contestant.in_flight / MODEL_SECONDS
    jobs = round(bound * (seconds + WARM_UP_ROUNDS * MODEL_SECONDS + SPARE_SECONDS))
    contestant.fill(jobs)
    with contestant.process as process:
        warm = WARM_UP_ROUNDS * contestant.in_flight
        try:
            site.model.wait_until(lambda stats: answers(stats) >= warm, WARM_UP_SECONDS)
        except TimeoutError as error:
            raise MeasureError(f"{error}\n{process.output()[-LOG_CHARACTERS:]}") from error
        before, began, cpu_before = answers(site.model.stats()), monotonic(), cpu_seconds(process.pid)
        memory = most_memory(process.pid, until=began + seconds)
        after, took, cpu_after = answers(site.model.stats()), monotonic() - began, cpu_seconds(process.pid)
        processes = len(tree(process.pid))
    answered = after - before
    if not answered or after == jobs:
        raise MeasureError(f"{answered} answers in the window, {jobs} jobs\n{process.output()[-LOG_CHARACTERS:]}")
    return Figures(
        in_flight=contestant.in_flight,
        answers_per_second=answered / took,
        share_of_bound=answered / took / bound,
        cpu_ms_per_answer=(cpu_after - cpu_before) / answered * 1000,
        memory_mb=memory / 2**20,
        memory_kind="RSS" if processes == 1 else "PSS",
        processes=processes,
    )


def most_memory(pid: int, *, until: float) -> int:
    """The most bytes that a worker was seen to hold, once a second `until` then."""
    most = memory_bytes(pid)
    while (left := until - monotonic()) > 0:
        sleep(min(MEMORY_SECONDS, left))
        most = max(most, memory_bytes(pid))
    return most


def answers(stats: Stats) -> int:
    """How many answers the model has given to the end."""
    return stats["completion_tokens"] // TOKENS


def memory_bytes(pid: int) -> int:
    """What a worker holds now: RSS of one process, of several the sum of PSS, which counts a shared page once."""
    processes = tree(pid)
    if len(processes) == 1:
        return int(processes[0].memory_info().rss)
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure beside what it should be; None when it was not measured."""

    what: str
    aim: str
    figure: float | None
    is_met: bool


def aims(rows: dict[str, Figures]) -> list[Aim]:
    """The aims of the issue, those that the rows can tell of."""

    def at_least(what: str, aim: float, figure: float | None) -> Aim:
        return Aim(what, f">= {aim:.1f}", figure, figure is not None and figure >= aim)

    def at_most(what: str, aim: float, figure: float | None) -> Aim:
        return Aim(what, f"<= {aim:.1f}", figure, figure is not None and figure <= aim)

    def rate(name: str) -> float | None:
        return rows[name].answers_per_second if name in rows else None

    stock, alone = rate(STOCK), rows.get(ALONE)
    found = []
    if ours := rows.get(OURS):
        found.append(at_least("answers/s at 64 in flight", 61, ours.answers_per_second))
        found += [
            at_least(f"not below {peer}", other, ours.answers_per_second)
            for peer in (THREADS_PEER, ASYNC_PEER)
            if (other := rate(peer)) is not None
        ]
        found.append(at_most("memory at 64, MB", 180, ours.memory_mb))
        if alone is not None:
            own = ours.cpu_ms_per_answer - alone.cpu_ms_per_answer
            found.append(at_most("CPU per answer beyond the client's own, ms", 3, own))
        if stock is not None:
            found.append(at_least("times a stock rq worker", 150, ours.answers_per_second / stock))
        if counted := rows.get(OURS_COUNTED):
            more = counted.cpu_ms_per_answer / ours.cpu_ms_per_answer - 1
            found.append(at_most("CPU per answer that metrics take, %", 2, 100 * more))
        if sampled := rows.get(OURS_SAMPLED):
            dearer = 100 * (sampled.cpu_ms_per_answer / ours.cpu_ms_per_answer - 1)
            found.append(at_most("CPU per answer more with traces of 10 %, %", 5, dearer))
    if one := rate(OURS_WIDE):
        found.append(at_least("answers/s at 256 in flight, one process", 180, one))
        if two := rate(OURS_TWICE):
            found.append(at_least("times one process, two on idle cores", 1.8, two / one))
    if wider := rows.get(OURS_WIDER):
        found.append(at_least("answers/s at 512 in flight, one process", 400, wider.answers_per_second))
        found.append(at_most("CPU per answer at 512 in flight, ms", 2.2, wider.cpu_ms_per_answer))
    return found


def show(name: str, row: Figures) -> None:
    """One line of the table."""
    print(
        f"{name:22}{row.answers_per_second:10.2f}{row.share_of_bound:10.0%}{row.cpu_ms_per_answer:14.1f}"
        f"{row.memory_mb:12.0f} {row.memory_kind}{row.processes:11}",
        flush=True,
    )


def show_aims(found: Sequence[Aim]) -> None:
    """The aims and whether they are met."""
    print(f"\n{'aim':46}{'':>10}{'measured':>10}")
    for aim in found:
        print(f"{aim.what:46}{aim.aim:>10}{aim.figure or 0:10.1f}   {'met' if aim.is_met else 'NOT MET'}")


def machine() -> dict[str, object]:
    """Where it was measured."""
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="the window, after warm-up (default 60)")
    parser.add_argument("--only", metavar="NAME", action="append", help="may be given several times")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    quiet_logs()
    with open_site() as site:
        makers = Contestants(site).by_name()
        names = arguments.only or list(makers)
        if unknown := set(names) - set(makers):
            parser.error(f"no such worker: {', '.join(unknown)}; there are: {', '.join(makers)}")
        print(f"model: {MODEL_SECONDS} s; window: {arguments.seconds:g} s; {machine()}")
        print("The peers' job is the model call alone, ours is the whole answer, with retrieval.\n")
        print(HEAD)
        rows: dict[str, Figures] = {}
        for name in names:
            try:
                rows[name] = measure(makers[name](), site, arguments.seconds)
            except MeasureError as error:
                print(f"{name:22}not measured: {error}", flush=True)
            else:
                show(name, rows[name])
    found = aims(rows)
    show_aims(found)
    if arguments.json:
        report = {"machine": machine(), "seconds": arguments.seconds, "aims": [asdict(aim) for aim in found]}
        write_json(arguments.json, report | {"rows": {name: asdict(row) for name, row in rows.items()}})


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
