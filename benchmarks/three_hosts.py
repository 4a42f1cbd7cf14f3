"""The service on three hosts of a network of its own: the API, a worker with its model, and the stores.

What a link that is cut, or takes 200 ms, does to questions and documents. The hosts are network namespaces of this
machine (`tests.support.hosts`, which says where they can't be had); the folder of documents is one that all share.
"""

import secrets
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any, Self
from uuid import uuid4

import httpx

from app.core.settings import Settings
from app.embedded.valkey import valkey_command
from benchmarks.support import QUESTION, ROOT, Process, sample_chunks, without_settings
from tests.support.credentials import api_key, bearer
from tests.support.documents import add_document
from tests.support.hosts import Host, hosts
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until
from tests.support.qdrant_server import command as qdrant_command
from worker.index.vector_index import open_index

API_PORT, MODEL_PORT, VALKEY_PORT, QDRANT_PORT, QDRANT_OWN_PORT = 8000, 8009, 6379, 6333, 6334
FAR_VALKEY_PORT, FAR_QDRANT_PORT = 7379, 7333
FAR_MS = 200
"""What the slow link adds to a round trip, half of it each way."""
PATIENCE_SECONDS = 120.0
WAIT_SECONDS = 5
"""What a client asks the API to wait for a result, at most."""
HANG_SECONDS = 15.0
"""Aim: the longest that any request of a client takes while the stores are away. That is a connection's time-out for
an answer, a new connection's with its retries, and what the client itself asked to wait."""
LONG_ANSWER = "test-tokens=50-ttft=500ms-gap=40ms"
"""One of 2.5 s, so that its stream takes far longer than a round trip."""
NEWCOMER_SECONDS = 0.5
NAME = "paper-"
PAGES = 6
ENDS = {f"event: {name}" for name in ("answer.completed", "job.failed", "job.stopped")}
"""The last event of a stream."""


@dataclass
class Calls:
    """What clients were answered: the longest request of each kind in seconds, and how often which status."""

    longest: dict[str, float] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0
    broken: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, seconds: float, response: httpx.Response) -> None:
        with self._lock:
            self.longest[kind] = max(seconds, self.longest.get(kind, 0))
            self.statuses[response.status_code] += 1
            is_refusal = response.status_code == httpx.codes.SERVICE_UNAVAILABLE and kind != "readyz"
            self.without_retry_after += is_refusal and "retry-after" not in response.headers

    def broke(self, kind: str, error: Exception) -> None:
        with self._lock:
            self.broken.append(f"{kind}: {type(error).__name__}")

    @property
    def checks(self) -> dict[str, bool]:
        """What holds of every answer that an API gives while its stores are away."""
        return {
            "only 200, 202 and 503": not set(self.statuses) - {200, 202, 503},
            "each 503 had a Retry-After": not self.without_retry_after,
            "no request broken off": not self.broken,
            f"none took longer than {HANG_SECONDS:g} s": max(self.longest.values()) <= HANG_SECONDS,
        }

    def __str__(self) -> str:
        longest = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in sorted(self.longest.items()))
        return f"{dict(self.statuses)} {self.broken or ''}; the longest: {longest}"


@dataclass(frozen=True)
class Outcome:
    """What became of a scenario's questions or documents: of those `taken`, so many are `done`."""

    taken: int
    done: int
    checks: dict[str, bool]
    notes: list[str]


class Site:
    """The three hosts and what runs there; `far` puts a slow link before the stores."""

    def __init__(self, folder: Path, three: Sequence[Host], stack: ExitStack) -> None:
        self.folder = folder
        self.api_host, self.worker_host, self.stores = three
        self._stack = stack
        self.key, self._entry = api_key("drill", role="admin", rate="90000/second")
        self._password, self._qdrant_key = secrets.token_hex(16), secrets.token_hex(16)
        self.model = httpx.Client(
            base_url=f"http://{self.worker_host.address}:{MODEL_PORT}", timeout=10, trust_env=False
        )
        stack.callback(self.model.close)
        self._collection = f"t{uuid4().hex}"

    def start(self) -> None:
        """Start stores and model, and fill the index."""
        stores, inside = self.stores, "127.0.0.1"
        command = valkey_command(self.folder, VALKEY_PORT, password=self._password)
        with Path(command[-1]).open("a") as configuration:
            configuration.write(f"bind {stores.address}\n")
        self.run("valkey", stores, command)
        qdrant = qdrant_command(self.folder / "qdrant", QDRANT_OWN_PORT)
        self.run("qdrant", stores, qdrant, QDRANT__SERVICE__API_KEY=self._qdrant_key)
        model = [sys.executable, "-m", "tests.support.model_server", "--port", str(MODEL_PORT)]
        self.run("model", self.worker_host, model)
        self._link(stores, 0, f"{stores.address}:{QDRANT_PORT}={inside}:{QDRANT_OWN_PORT}")
        self._link(self.worker_host, 0, f"{self.worker_host.address}:{MODEL_PORT}={inside}:{MODEL_PORT}")
        self._link(
            stores,
            FAR_MS / 2,
            f"{stores.address}:{FAR_VALKEY_PORT}={stores.address}:{VALKEY_PORT}",
            f"{stores.address}:{FAR_QDRANT_PORT}={inside}:{QDRANT_OWN_PORT}",
        )
        wait_until(lambda: self.qdrant("GET", "/collections"), "Qdrant answers")
        wait_until(self._model_answers, "the model answers")
        defaults = {name: each.default for name, each in Settings.model_fields.items()}
        stated = {name.lower(): value for name, value in self.environment().items() if name in _SETTINGS}
        settings = Settings(_env_file=None, **defaults | stated)
        with closing(open_index(settings)) as index:
            add_document(index, *sample_chunks())

    def environment(self, *, is_far: bool = False, **variables: object) -> dict[str, str]:
        """As the hosts of a deployment have it in their `.env`."""
        at = self.stores.address
        valkey, qdrant = (FAR_VALKEY_PORT, FAR_QDRANT_PORT) if is_far else (VALKEY_PORT, QDRANT_PORT)
        stated = {
            "REDIS_URL": f"redis://{at}:{valkey}/0",
            "REDIS_PASSWORD": self._password,
            "QDRANT_URL": f"http://{at}:{qdrant}",
            "QDRANT_API_KEY": self._qdrant_key,
            "QDRANT_COLLECTION": self._collection,
            "API_KEYS": self._entry,
            "OPENAI_BASE_URL": f"http://127.0.0.1:{MODEL_PORT}/v1",
            "OPENAI_API_KEY": "none",
            "CHAT_MODEL": "test-tokens=20-ttft=500ms-gap=20ms",
            "EMBEDDING_MODEL": "none",
            "ANSWER_CACHE_TTL_SECONDS": 0,
            "ADDRESS_RATE_LIMIT": "90000/second",
            "DATA_DIR": self.folder,
            "PYTHONPATH": ROOT,
            "PYTHONUNBUFFERED": 1,
            "LANGSMITH_TRACING": "false",
        }
        kept = {name: value for name, value in without_settings().items() if not name.lower().endswith("_proxy")}
        return kept | {name: str(value) for name, value in (stated | variables).items()}

    @contextmanager
    def service(
        self, *, concurrency: int, is_far: bool = False, settings: Mapping[str, object] | None = None
    ) -> Iterator["Service"]:
        """A uvicorn on its host and a worker on its own, both there."""
        variables = {"WORKER_CONCURRENCY": concurrency} | dict(settings or {})
        uvicorn = ["uvicorn", "--http", "app.server:HttpProtocol", "--factory", "app.main:from_environment"]
        uvicorn += ["--host", self.api_host.address, "--port", str(API_PORT), "--no-access-log"]
        with ExitStack() as stack:
            for name, host, module in (
                ("worker", self.worker_host, ["worker"]),
                ("api", self.api_host, uvicorn),
            ):
                command = [sys.executable, "-m", *module]
                stack.enter_context(self._process(name, host, command, variables, is_far=is_far))
            yield stack.enter_context(Service(self))

    def run(self, name: str, host: Host, command: Sequence[str], **variables: object) -> Process:
        """A command on a host until the end."""
        return self._stack.enter_context(self._process(name, host, command, variables))

    def stats(self) -> dict[str, Any]:
        """What the model has seen."""
        return self._json(self.model.get("/stats"))

    def qdrant(self, method: str, path: str, body: Any = None) -> Any:
        """What Qdrant answers to one request."""
        url = f"http://{self.stores.address}:{QDRANT_PORT}{path}"
        headers = {"api-key": self._qdrant_key}
        with suppress(httpx.HTTPError):
            response = httpx.request(method, url, json=body, headers=headers, timeout=10, trust_env=False)
            return self._json(response)["result"]
        return None

    def points(self, collection: str) -> int:
        """How many chunks an index has."""
        counted = self.qdrant("POST", f"/collections/{collection}/points/count", {"exact": True})
        return int(counted["count"])

    def _model_answers(self) -> bool:
        with suppress(httpx.HTTPError):  # behind the link there may be nothing yet
            return bool(self.stats())
        return False

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = response.raise_for_status().json()
        return body

    def _link(self, host: Host, delay_ms: float, *pairs: str) -> None:
        command = [sys.executable, "-m", "tests.support.slow_link", "--delay-ms", str(delay_ms), *pairs]
        link = self.run("link", host, command)
        wait_until(lambda: "ready" in link.output(), "the link is there")

    def _process(
        self, name: str, host: Host, command: Sequence[str], variables: Mapping[str, object], *, is_far: bool = False
    ) -> Process:
        log = self.folder / f"{len(list(self.folder.glob('*.log'))) + 1}-{name}.log"
        log.touch()
        environment = self.environment(is_far=is_far, **variables)
        return Process(host.command(*command), log=log, environment=environment)


class Service:
    """Clients of a running service, which note what they are answered."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.calls = Calls()
        self._url = f"http://{site.api_host.address}:{API_PORT}"
        self._done = threading.Event()

    def __enter__(self) -> Self:
        with self.client() as client:
            wait_until(lambda: self._is_ready(client), "the service is ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def client(self) -> httpx.Client:
        """One that waits far longer than it should have to."""
        return httpx.Client(base_url=self._url, headers=bearer(self.site.key), timeout=60, trust_env=False)

    def call(self, client: httpx.Client, kind: str, method: str, path: str, **options: Any) -> httpx.Response | None:
        """One request, noted."""
        began = monotonic()
        try:
            response = client.request(method, path, **options)
        except httpx.HTTPError as error:
            self.calls.broke(kind, error)
            return None
        self.calls.note(kind, monotonic() - began, response)
        return response

    def insist(self, client: httpx.Client, kind: str, path: str, **options: Any) -> dict[str, Any]:
        """Send it until it is taken, with one Idempotency-Key."""
        headers = {"Idempotency-Key": uuid4().hex}
        give_up = monotonic() + PATIENCE_SECONDS
        while monotonic() < give_up:
            response = self.call(client, kind, "POST", path, headers=headers, **options)
            if response is not None and response.status_code == httpx.codes.ACCEPTED:
                body: dict[str, Any] = response.json()
                return body
            sleep(0.1)
        raise TimeoutError(f"{kind} was not taken in {PATIENCE_SECONDS:g} s")

    def result(self, client: httpx.Client, job_id: str) -> dict[str, Any]:
        """The job's end, waited for."""
        give_up = monotonic() + PATIENCE_SECONDS
        while monotonic() < give_up:
            response = self.call(client, "GET result", "GET", f"/result/{job_id}?wait={WAIT_SECONDS}")
            if response is not None and response.status_code == httpx.codes.OK:
                body: dict[str, Any] = response.json()
                return body
            if response is not None and response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                sleep(0.1)
        raise TimeoutError(f"{job_id} has not ended in {PATIENCE_SECONDS:g} s")

    def deltas(self, client: httpx.Client, job_id: str) -> list[float]:
        """When each piece of the answer came over a stream that is opened again where it ends too early."""
        times: list[float] = []
        last = ""
        give_up = monotonic() + PATIENCE_SECONDS
        while monotonic() < give_up:
            headers = {"Last-Event-ID": last} if last else {}
            began = monotonic()
            try:
                with client.stream("GET", f"/stream/{job_id}", headers=headers) as response:
                    self.calls.note("open stream", monotonic() - began, response)
                    for line in response.iter_lines():
                        if line.startswith("id:"):
                            last = line[3:].strip()
                        elif line.startswith("event: answer.delta"):
                            times.append(monotonic())
                        elif line in ENDS:
                            return times
            except httpx.HTTPError as error:
                self.calls.broke("stream", error)
            sleep(0.1)
        raise TimeoutError(f"the stream of {job_id} has not ended in {PATIENCE_SECONDS:g} s")

    def watch(self) -> threading.Thread:
        """Ask after its health all the time."""

        def go_on() -> None:
            with self.client() as client:
                while not self._done.wait(0.2):
                    for path in ("healthz", "readyz"):
                        self.call(client, path, "GET", f"/{path}")

        return started(go_on)

    def rest(self) -> None:
        """Ask after its health no more."""
        self._done.set()

    def _is_ready(self, client: httpx.Client) -> bool:
        with suppress(httpx.HTTPError):
            return client.get("/readyz").is_success
        return False


def cut_during_questions(site: Site, *, seconds: float, clients: int) -> Outcome:
    """The stores' cable out for so long while clients ask; half of them stream, half wait for results."""
    answers: list[dict[str, Any]] = []
    ended: list[float] = []
    taken: list[float] = []
    asked = threading.Event()

    def ask(service: Service, number: int) -> None:
        with service.client() as client:
            while not asked.is_set() or number < 0:
                job = service.insist(client, "POST chat", "/chat", json={"query": QUESTION})
                taken.append(monotonic())
                if number % 2:
                    service.deltas(client, job["job_id"])
                answers.append(service.result(client, job["job_id"]))
                ended.append(monotonic())
                if number < 0:
                    return

    def newcomers(service: Service) -> Iterator[threading.Thread]:
        """Clients with one question each, while the link is cut."""
        end = monotonic() + seconds
        while monotonic() < end:
            yield started(ask, service, -1)
            sleep(NEWCOMER_SECONDS)

    completed = site.stats()["completion_tokens"]
    with site.service(concurrency=clients) as service:
        watching = service.watch()
        asking = [started(ask, service, number) for number in range(clients)]
        wait_until(lambda: len(answers) >= clients, "questions are answered")
        wait_until(lambda: site.stats()["in_flight"] >= clients // 2, "the model is at work")
        site.stores.cut()
        asking += newcomers(service)
        site.stores.mend()
        mended, before = monotonic(), len(answers)
        wait_until(lambda: taken[-1] > mended + 0.1, "a question is taken again", seconds=PATIENCE_SECONDS)
        back_after = taken[-1] - mended
        wait_until(lambda: len(answers) >= before + clients, "questions are answered again", seconds=PATIENCE_SECONDS)
        asked.set()
        asking_on = monotonic()
        join(asking)
        service.rest()
        join([watching])
        left = unended(service)
    good = sum(answer["status"] == "finished" for answer in answers)
    more = (site.stats()["completion_tokens"] - completed) // 20 - good
    checks = {
        "all that were taken are answered": good == len(taken) == len(answers),
        "none is stuck": left == 0,
        "some were refused meanwhile": service.calls.statuses[503] > 0,
        "the API came back by itself within 10 s": back_after <= 10,
        **service.calls.checks,
    }
    codes = Counter((answer.get("error") or {}).get("code") for answer in answers if answer["status"] != "finished")
    notes = [
        f"cut {seconds:g} s among {clients} clients: {len(taken)} questions taken, {good} answered "
        f"{dict(codes) or ''}",
        f"{more} answers of the model came to nothing and were asked for again",
        f"the next was taken {back_after:.1f} s after the link was there",
        f"the last ended {max(ended) - asking_on:.1f} s after the clients had stopped to ask",
        str(service.calls),
    ]
    return Outcome(len(taken), good, checks, notes)


def cut_during_ingest(site: Site, *, seconds: float, documents: int) -> Outcome:
    """The stores' cable out for so long in the middle of an ingest; half of the documents are sent meanwhile."""
    files = [_pdf(site.folder, number) for number in range(documents)]
    half = documents // 2
    embedding = {
        "EMBEDDING_MODEL": "text-embedding-3-small-ttft=300ms-dims=64",
        "QDRANT_COLLECTION": f"t{uuid4().hex}",
    }
    with site.service(concurrency=8, settings=embedding) as service, service.client() as client:

        def send(some: Sequence[Path]) -> None:
            sent = [("files", (path.name, path.read_bytes(), "application/pdf")) for path in some]
            with service.client() as own:
                service.insist(own, "POST documents", "/documents", files=sent)

        def statuses() -> Counter[str]:
            listed = service.call(client, "GET documents", "GET", "/documents?limit=100")
            return Counter(document["status"] for document in ours(listed)) if listed is not None else Counter()

        send(files[:half])
        wait_until(lambda: statuses()["embedding"] or statuses()["indexed"], "documents are under way")
        under_way = dict(statuses())
        site.stores.cut()
        sending = started(send, files[half:])
        sleep(seconds)
        site.stores.mend()
        mended = monotonic()
        join([sending])
        wait_until(lambda: statuses()["indexed"] == documents, "all are indexed", seconds=PATIENCE_SECONDS)
        last_after = monotonic() - mended
        shown = ours(client.get("/documents?limit=100"))
        chunks = sum(document["chunks"] for document in shown)
        points = site.points(embedding["QDRANT_COLLECTION"])
    checks = {
        "all indexed, and each once": len(shown) == documents == len({each["filename"] for each in shown}),
        "as many chunks as they have": points == chunks >= documents,
        **service.calls.checks,
    }
    notes = [
        f"cut {seconds:g} s with {under_way} of {documents} documents: all indexed {last_after:.1f} s after the link "
        f"was there, {points} chunks",
        str(service.calls),
    ]
    return Outcome(documents, len(shown), checks, notes)


def over_a_slow_link(site: Site, *, is_far: bool, questions: int, clients: int, seconds: float) -> Outcome:
    """Questions one after another, a stream, and as many as `clients` ask for so long."""
    posts: list[float] = []
    wholes: list[float] = []
    answered: list[float] = []
    results: list[dict[str, Any]] = []
    with site.service(concurrency=clients, is_far=is_far, settings={"CHAT_MODEL": LONG_ANSWER}) as service:
        with service.client() as client:
            for _ in range(questions):
                began = monotonic()
                job = service.insist(client, "POST chat", "/chat", json={"query": QUESTION})
                posts.append(monotonic() - began)
                results.append(service.result(client, job["job_id"]))
                wholes.append(monotonic() - began)
            began = monotonic()
            job = service.insist(client, "POST chat", "/chat", json={"query": QUESTION})
            pieces = [at - began for at in service.deltas(client, job["job_id"])]
        end = monotonic() + seconds

        def ask() -> None:
            with service.client() as own:
                while monotonic() < end:
                    taken = service.insist(own, "POST chat", "/chat", json={"query": QUESTION})
                    results.append(service.result(own, taken["job_id"]))
                    answered.append(monotonic())

        began = monotonic()
        join([started(ask) for _ in range(clients if seconds else 0)])
        rate = len(answered) / (monotonic() - began)
    checks = {
        "all answered": all(result["status"] == "finished" for result in results),
        "nothing refused": not service.calls.statuses[503],
        "the stream flows": len({round(at, 2) for at in pieces}) >= 3,
        **service.calls.checks,
    }
    notes = [
        f"{'+' + str(FAR_MS) if is_far else 'no'} ms: POST p50 {1000 * median(posts):.0f} ms, question p50 "
        f"{median(wholes):.2f} s, first piece of a stream {pieces[0]:.2f} s, its last {pieces[-1]:.2f} s; "
        f"{clients} clients {rate:.1f} answers/s",
        str(service.calls),
    ]
    return Outcome(len(results), sum(result["status"] == "finished" for result in results), checks, notes)


def ours(listed: httpx.Response) -> list[dict[str, Any]]:
    """The documents that were sent here, of those that an API shows."""
    shown = listed.json()["documents"] if listed.is_success else []
    return [document for document in shown if document["filename"].startswith(NAME)]


def unended(service: Service) -> int:
    """How many questions wait, run or are to be tried again, as an operator sees them."""
    with service.client() as client:
        queues = client.get("/queues").raise_for_status().json()["queues"]
        return sum(queue[state] for queue in queues for state in ("queued", "started", "scheduled"))


@contextmanager
def open_three_hosts(folder: Path) -> Iterator[Site]:
    """Three hosts with stores and a model, in `folder`."""
    with hosts(3) as three, ExitStack() as stack:
        site = Site(folder, three, stack)
        site.start()
        yield site


def started(act: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=act, args=arguments, daemon=True)
    thread.start()
    return thread


def join(threads: Sequence[threading.Thread]) -> None:
    give_up = monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0, give_up - monotonic()))
        assert not thread.is_alive(), "a client hangs"


def _pdf(folder: Path, number: int) -> Path:
    pages = [f"Page {page} of paper {number}. {'It is about boats. ' * 20}" for page in range(1, PAGES + 1)]
    return make_pdf(folder / f"{NAME}{number}.pdf", pages)


_SETTINGS = {name.upper() for name in Settings.model_fields}
