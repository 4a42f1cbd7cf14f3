"""Two of what can be more than one, beside one of each: `python -m benchmarks.cluster`, answers a second.

Clients ask through HTTP: POST /chat, GET /result?wait=60, and again, each over one connection; more of them than the
workers have places. Worker processes, API replicas by the image's own command, nginx with the configuration of
`deploy/edge` (TLS and all, but for its limits: EDGE_REQUESTS and EDGE_QUESTIONS put them out of the way), Valkey with
its append-only file, the embedded Qdrant and the model's server are processes of this machine, as the clients are:
all share its cores. What two give depends on what is narrow, so that there is a table for each:

- places: a worker process answers few at once, and a question is the model's second. Two have twice the places
- documents: the same, while PDFs are uploaded at a steady pace and indexed: the workers are on both queues
- cores: places enough that the cores are full. Where two cores have everything, two processes give little more

CPU is user and system time of a part's processes and all that they have started, an answer. From it is reckoned, not
measured, what one and two of each would give on enough cores.
"""

import argparse
import asyncio
import os
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic
from uuid import uuid4

import httpx
import psutil
import uvloop

from app.embedded.ports import free_port
from benchmarks.load import ACCEPTED, OK, WAIT_SECONDS, Door, UnexpectedAnswerError, ask_on
from benchmarks.support import QUESTION, Site, cpu_seconds, open_site, quiet_logs, write_json
from benchmarks.worker import Aim, MeasureError, machine, show_aims
from tests.support.credentials import api_key, bearer
from tests.support.dns import name_server
from tests.support.image import api_command
from tests.support.nginx import NGINX, Edge, edge
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until

BODY = f'{{"query": "{QUESTION}"}}'.encode()
AIM_TIMES = 1.9
FEW_PLACES, MODEL_SECONDS = 16, 1.0
"""Where places are narrow: 16/s of each worker process, an eighth of what the CPU of one core takes."""
MANY_PLACES, SHORT_SECONDS = 64, 0.25
"""Where cores are: 256/s of each process, more than its core takes."""
ASKED_BEYOND = 1.2
"""Clients for each place of the largest setup of a table: some wait in the queue."""
CLIENTS_OF_ADDRESS = 50
"""nginx lets one address have 100 requests open at once; clients elsewhere have an address each."""
PDFS_PER_SECOND = 1
PAGES = 6
WARM_UP_ROUNDS = 2
"""Answers for each place before the window opens."""
WARM_UP_SECONDS = 90.0
NO_LIMIT = "6000000"
"""Requests a minute of one address."""
NGINX_PROCESSES = 2
"""worker_processes of `deploy/edge/nginx.conf.template`."""

MOST_CORES = {"worker": None, "API": None, "nginx": NGINX_PROCESSES, "Valkey": 1, "Qdrant": 1}
"""Cores that a part of the service can fill; None: one for each of its processes, of which there are more."""
ELSEWHERE = ("model", "clients")
"""What has machines of its own in a deployment."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What runs, and who asks: worker processes with so many places each, API replicas, a model, clients."""

    processes: int
    replicas: int
    places: int
    model_seconds: float
    clients: int
    has_nginx: bool = True
    pdfs_per_second: float = 0

    @property
    def name(self) -> str:
        """What the reader of the table is told."""
        parts = [_number(self.processes, "worker"), _number(self.replicas, "replica")]
        parts += [] if self.has_nginx else ["no nginx"]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Table:
    """Setups that are held against the first one."""

    what: str
    setups: Sequence[Setup]
    aim: float | None = None
    """How many times the first one's answers the last one has to give; None where the machine decides."""


def _rows(places: int, model_seconds: float, *, has_bare: bool = True, pdfs: float = 0) -> list[Setup]:
    """One of each, and two."""
    clients = round(2 * places * ASKED_BEYOND)
    bare = Setup(1, 1, places, model_seconds, clients, has_nginx=False)
    one, two = (Setup(number, number, places, model_seconds, clients, pdfs_per_second=pdfs) for number in (1, 2))
    return [bare, one, two] if has_bare else [one, two]


TABLES = {
    "places": Table("limited by the workers' places", _rows(FEW_PLACES, MODEL_SECONDS), AIM_TIMES),
    "documents": Table(
        f"limited by the workers' places, while {PDFS_PER_SECOND:g} PDF a second is indexed",
        _rows(FEW_PLACES, MODEL_SECONDS, has_bare=False, pdfs=PDFS_PER_SECOND),
        AIM_TIMES,
    ),
    "cores": Table("limited by the cores, with many places", _rows(MANY_PLACES, SHORT_SECONDS)),
}
"""By the name that `--only` knows."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. `cores` is what all of it used on average, `others_cores` what ran here besides."""

    answers_per_second: float
    pdfs_per_second: float
    cpu_ms_per_answer: dict[str, float]
    cores: float
    others_cores: float


@dataclass(slots=True)
class Seen:
    """What clients have been answered so far: how long each answer took, and when each PDF was indexed."""

    answered: list[float] = field(default_factory=list)
    indexed: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running setup: its doors, and the process ids of its parts."""

    url: str
    tls: ssl.SSLContext | None
    headers: Mapping[str, str]
    parts: Mapping[str, Sequence[int]]
    edge: Edge | None

    def door(self, number: int) -> Door:
        """That of client `number`, who shares an address with few others."""
        address = f"127.1.0.{1 + number // CLIENTS_OF_ADDRESS}"
        return Door(self.url, self.tls, address, dict(self.headers))

    def spent(self) -> dict[str, float]:
        """Seconds of CPU so far, by part; this process is the clients."""
        own = sum(psutil.Process().cpu_times()[:2])
        return {part: sum(map(cpu_seconds, pids)) for part, pids in self.parts.items()} | {"clients": own}

    def replicas_seen(self) -> set[str]:
        """The replicas that nginx has passed anything on to."""
        return {request["replicas"] for request in self.edge.log()} if self.edge is not None else set()


@contextmanager
def running(site: Site, setup: Setup) -> Iterator[Cluster]:
    """The setup on this site's stores, which know of no job; ready."""
    site.reset()
    key, entry = api_key("bench", role="ingest")
    variables = {
        "API_KEYS": entry,
        "TRUSTED_PROXIES": "127.0.0.1",
        "UVICORN_HTTP": "app.server:HttpProtocol",
        "CHAT_MODEL": f"test-ttft={setup.model_seconds:g}s-tokens=20",
        "WORKER_CONCURRENCY": setup.places,
        "WORKER_PROCESSES": setup.processes,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    port, addresses = free_port(0), [f"127.0.0.{2 + number}" for number in range(setup.replicas)]
    with ExitStack() as stack:
        replicas = [site.process("api", api_command(address, port), **variables) for address in addresses]
        worker = site.worker(**variables)
        for process in (*replicas, worker):
            stack.enter_context(process)
        for address in addresses:
            url = f"http://{address}:{port}"
            wait_until(partial(_is_ready, url), f"{url} is ready")
        site.wait_for_worker(worker, processes=setup.processes)
        door = stack.enter_context(_nginx(site.folder / uuid4().hex, addresses, port)) if setup.has_nginx else None
        parts = {"worker": [worker.pid], "API": [each.pid for each in replicas], "nginx": [door.pid] if door else []}
        parts |= {"Valkey": [site.valkey.pid], "Qdrant": [site.qdrant.pid], "model": [site.model.process.pid]}
        tls = ssl.create_default_context(cafile=door.certificate) if door else None
        yield Cluster(door.url if door else url, tls, bearer(key), parts, door)


@contextmanager
def _nginx(folder: Path, addresses: Sequence[str], port: int) -> Iterator[Edge]:
    limits = {"EDGE_REQUESTS": NO_LIMIT, "EDGE_QUESTIONS": NO_LIMIT}
    with (
        name_server(api=list(addresses)) as names,
        edge(folder, EDGE_API=f"api:{port}", EDGE_RESOLVER=names.address, **limits) as found,
    ):
        yield found


def _is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    return False


def measure(site: Site, setup: Setup, seconds: float) -> Figures:
    """Run it, let it warm up, and look at it for `seconds`.

    Raises `MeasureError` when a client was refused, nothing got warm, or nginx left a replica out.
    """
    with running(site, setup) as cluster:
        pdf = _pdf(site.folder / "paper.pdf") if setup.pdfs_per_second else b""
        try:
            figures = uvloop.run(_measure(cluster, setup, seconds, pdf))
        except ExceptionGroup as group:  # of the clients, of whom each may have met the same
            raise MeasureError(repr(_first(group))) from group
        if setup.has_nginx and len(seen := cluster.replicas_seen()) != setup.replicas:
            raise MeasureError(f"nginx passed on to {sorted(seen)} alone")
    return figures


def _first(error: Exception) -> Exception:
    """One of those that a task group has put together."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _measure(cluster: Cluster, setup: Setup, seconds: float, pdf: bytes) -> Figures:
    seen = Seen()
    async with asyncio.TaskGroup() as clients:
        asking = [clients.create_task(_ask(cluster, setup, number, seen)) for number in range(setup.clients)]
        if setup.pdfs_per_second:
            asking.append(clients.create_task(upload_on(cluster.door(0), pdf, setup.pdfs_per_second, seen.indexed)))
        await _warm(setup, seen)
        before, busy, began = cluster.spent(), _busy_seconds(), monotonic()
        answered, indexed = len(seen.answered), len(seen.indexed)
        await asyncio.sleep(seconds)
        after, busy, took = cluster.spent(), _busy_seconds() - busy, monotonic() - began
        answered, indexed = len(seen.answered) - answered, len(seen.indexed) - indexed
        for task in asking:
            task.cancel()
    if not answered:
        raise MeasureError("no answer in the window")
    spent = {part: after[part] - before[part] for part in after}
    return Figures(
        answers_per_second=answered / took,
        pdfs_per_second=indexed / took,
        cpu_ms_per_answer={part: 1000 * each / answered for part, each in spent.items()},
        cores=sum(spent.values()) / took,
        others_cores=max(0.0, (busy - sum(spent.values())) / took),
    )


async def _ask(cluster: Cluster, setup: Setup, number: int, seen: Seen) -> None:
    """One client. They come as the model's answers would if evenly, or else all would come at once every second."""
    await asyncio.sleep(setup.model_seconds * number / (setup.processes * setup.places))
    await ask_on(cluster.door(number), BODY, seen.answered)


async def _warm(setup: Setup, seen: Seen) -> None:
    wanted = WARM_UP_ROUNDS * setup.processes * setup.places
    give_up = monotonic() + WARM_UP_SECONDS
    while len(seen.answered) < wanted or (setup.pdfs_per_second and not seen.indexed):
        if monotonic() > give_up:
            raise MeasureError(f"{len(seen.answered)} answers in {WARM_UP_SECONDS:g} s")
        await asyncio.sleep(0.05)


async def upload_on(door: Door, pdf: bytes, per_second: float, indexed: list[float]) -> None:
    """Upload so many documents a second, until cancelled, whether or not the former ones are indexed yet.

    Adds to `indexed` when each one was. Raises `UnexpectedAnswerError` when one is not taken, or not indexed.
    """
    run = uuid4().hex
    transport = httpx.AsyncHTTPTransport(verify=door.tls or True, local_address=door.address)
    async with (
        httpx.AsyncClient(transport=transport, base_url=door.url, headers=door.headers, timeout=90) as client,
        asyncio.TaskGroup() as uploads,
    ):
        for number in count():
            uploads.create_task(_index(client, f"{run}-{number}.pdf", pdf, indexed))
            await asyncio.sleep(1 / per_second)


async def _index(client: httpx.AsyncClient, name: str, pdf: bytes, indexed: list[float]) -> None:
    answer = await client.post("/documents", files={"files": (name, pdf, "application/pdf")})
    if answer.status_code != ACCEPTED:
        raise UnexpectedAnswerError(f"POST /documents: {answer.status_code} {answer.text}")
    job_id = answer.json()["documents"][0]["job_id"]
    while answer.status_code == ACCEPTED:
        answer = await client.get(f"/result/{job_id}", params={"wait": WAIT_SECONDS})
    if answer.status_code != OK or answer.json()["status"] != "finished":
        raise UnexpectedAnswerError(f"GET /result: {answer.status_code} {answer.text}")
    indexed.append(monotonic())


def _pdf(path: Path) -> bytes:
    pages = [f"Page {page} of a paper. {'It is about boats. ' * 20}" for page in range(1, PAGES + 1)]
    return make_pdf(path, pages).read_bytes()


def _busy_seconds() -> float:
    """Seconds of CPU that anything of this machine has used."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What a number of worker processes and replicas would give on enough cores: answers/s, and the narrow part."""

    full_at: dict[str, float]
    """Of each part the answers/s at which all its processes compute all the time."""

    @property
    def narrow(self) -> str:
        """The part that is full first."""
        return min(self.full_at, key=self.full_at.__getitem__)

    @property
    def answers_per_second(self) -> float:
        """As many as the narrow part takes."""
        return self.full_at[self.narrow]


def reckon(cpu_ms: Mapping[str, float], *, processes: int, replicas: int) -> Reckoned:
    """From the CPU that an answer takes of each part."""
    grown = {"worker": processes, "API": replicas}
    cores = {part: most or grown[part] for part, most in MOST_CORES.items()}
    return Reckoned({part: 1000 * most / cpu_ms[part] for part, most in cores.items() if cpu_ms.get(part)})


def show_head(table: Table) -> None:
    """What stands over a table."""
    parts = "".join(f"{part:>8}" for part in (*MOST_CORES, *ELSEWHERE, "all"))
    one = table.setups[0]
    print(f"\n{table.what}: {one.places} of each, the model takes {one.model_seconds:g} s; {one.clients} clients")
    print(f"{'':30}{'answers/s':>9}{'times':>6}{'PDFs/s':>7} {parts}{'cores':>6}{'others':>7}", flush=True)


def show(name: str, row: Figures, first: Figures) -> None:
    """One line of a table; `first` is what its answers are held against."""
    cpu = "".join(f"{ms:8.2f}" if ms else f"{'-':>8}" for ms in row.cpu_ms_per_answer.values())
    print(
        f"{name:30}{row.answers_per_second:9.1f}{row.answers_per_second / first.answers_per_second:6.2f}"
        f"{row.pdfs_per_second:7.1f} {cpu}{sum(row.cpu_ms_per_answer.values()):8.2f}"
        f"{row.cores:6.2f}{row.others_cores:7.2f}",
        flush=True,
    )


def show_reckoned(cpu_ms: Mapping[str, float]) -> float:
    """What one and two of each would give on enough cores; how many times as many two give."""
    one, two = reckon(cpu_ms, processes=1, replicas=1), reckon(cpu_ms, processes=2, replicas=2)
    print("\nreckoned from the last line: answers/s at which each part is full, were there cores enough")
    print(f"{'':32}{'ms/answer':>10}{'1 and 1':>10}{'2 and 2':>10}")
    for part in one.full_at:
        print(f"{part:32}{cpu_ms[part]:10.2f}{one.full_at[part]:10.0f}{two.full_at[part]:10.0f}")
    times = two.answers_per_second / one.answers_per_second
    print(
        f"{'the service, by its narrow part':32}{'':10}{one.answers_per_second:10.0f}{two.answers_per_second:10.0f}"
        f"   {times:.2f} times (narrow: {one.narrow}, then {two.narrow})"
    )
    cores = os.cpu_count() or 1
    most = 1000 * cores / sum(cpu_ms.values())
    print(f"{cores} cores give {most:.0f} answers/s at most, model and clients included, whatever runs on them")
    return times


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def main(argv: list[str] | None = None) -> int:
    """Measure and print. Exit code 1: there is no nginx, or something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=7, help="the window of each line (default %(default)s)")
    parser.add_argument("--only", choices=list(TABLES), action="append", help="may be given several times")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    if NGINX is None:
        print("nginx is not installed: apt-get install nginx", file=sys.stderr)
        return 1
    print(f"window: {arguments.seconds:g} s; {machine()}")
    print("CPU by part in ms an answer; cores: what all of it used, and what others used here meanwhile")
    rows: dict[str, dict[str, Figures]] = {}
    aims = []
    with open_site() as site:
        for key in arguments.only or TABLES:
            table = TABLES[key]
            show_head(table)
            rows[key] = {}
            for setup in table.setups:
                rows[key][setup.name] = measure(site, setup, arguments.seconds)
                show(setup.name, rows[key][setup.name], next(iter(rows[key].values())))
            first, *_, last = rows[key].values()
            times = last.answers_per_second / first.answers_per_second
            if table.aim is not None:
                aims.append(Aim(f"times, {key}", f">= {table.aim}", times, times >= table.aim))
            else:
                reckoned = show_reckoned(last.cpu_ms_per_answer)
                what = "times, on enough cores, reckoned"
                aims.append(Aim(what, f">= {AIM_TIMES}", reckoned, reckoned >= AIM_TIMES))
    show_aims(aims)
    if arguments.json:
        shown = {key: {name: asdict(row) for name, row in table.items()} for key, table in rows.items()}
        write_json(arguments.json, {"machine": machine(), "seconds": arguments.seconds, "rows": shown})
    return 0


if __name__ == "__main__":
    quiet_logs()
    try:
        sys.exit(main())
    except MeasureError as error:
        sys.exit(f"not measured: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")
