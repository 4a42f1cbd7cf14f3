"""The page of metrics on a real Valkey: what it says after real traffic, and what the hostile can make of it."""

import asyncio
import os
import random
import socket
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi.routing import iter_route_contexts
from prometheus_client import Metric
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from structlog.testing import LogCapture

from app.core.budget_keys import LEASES, requests_key, tokens_keys
from app.core.contract import INGEST_QUEUE, QUERY_QUEUE, QUEUES, AnswerJob
from app.core.metrics.families import QUEUE_FAMILIES, ApiFamilies
from app.core.queue.connections import connect
from app.core.queue.outbox import OPTIONAL, OUTBOX, READERS, cursor_key
from app.core.queue.records import KINDS
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.embedded.ports import free_port
from app.embedded.valkey import valkey_command
from app.jobs.waiters import Waiters
from app.main import create_app
from app.metrics import queues as queue_metrics
from app.metrics.process import METHODS, ApiMetrics
from app.metrics.queues import PROCESSES_MAX, STATUSES, QueueCollector, connect_for_metrics
from tests.support import ROOT
from tests.support.acting import ActingWorker
from tests.support.api import serving_app
from tests.support.credentials import api_key, bearer
from tests.support.metrics import samples
from tests.support.processes import hold, wait_until
from tests.support.queue import JobQueue
from worker.runtime.budget import Budget, Limits

LIMITS: dict[str, Any] = {
    "openai_api_key": "k",
    "model_max_concurrency": 4,
    "model_requests_per_minute": 10,
    "model_tokens_per_minute": 1000,
}
ADMIN_KEY, ADMIN_ENTRY = api_key("boss", role="admin")
INGEST_KEY, INGEST_ENTRY = api_key("loader", role="ingest")
STATES = {"started", "suspended", "busy", "idle", "?"}

LAG = "rag_outbox_lag_seconds"
Found = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def settings(valkey: Redis, valkey_url: str, tmp_path: Path) -> Settings:
    return Settings(
        redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", data_dir=tmp_path / "data", metrics_port=0, **LIMITS
    )


@contextmanager
def api(settings: Settings) -> Iterator[tuple[httpx.Client, ApiMetrics]]:
    app = create_app(settings)
    app.openapi()
    state = app.state.api
    with (
        serving_app(app, before_stop=state.waiters.close) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield client, state.metrics


@pytest.fixture
def collector(settings: Settings) -> Iterator[QueueCollector]:
    assert settings.redis_url
    with connect_for_metrics(settings.redis_url.get_secret_value()) as valkey:
        yield QueueCollector(valkey, settings)


def collected(collector: QueueCollector) -> Found:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in collector.collect()
        for sample in family.samples
    }


def value(found: Found, family: str, /, **labels: str) -> float | None:
    return found.get((family, frozenset(labels.items())))


def of(found: Found, family: str) -> list[dict[str, str]]:
    return [dict(labels) for name, labels in found if name == family]


def page(client: httpx.Client) -> Found:
    return samples(client.get("/metrics").raise_for_status().text)


# What it says


def test_a_port_of_its_own_says_the_same_to_who_shows_no_key(settings: Settings) -> None:
    keyed = Settings(**settings.model_dump() | {"api_keys": ADMIN_ENTRY})
    with api(keyed) as (client, metrics):
        own = f"http://127.0.0.1:{metrics.port}"
        assert client.get("/metrics").status_code == 401
        shown = client.get("/metrics", headers=bearer(ADMIN_KEY)).raise_for_status()
        alone = httpx.get(f"{own}/metrics").raise_for_status()
        assert {name for name, _ in samples(alone.text)} >= {name for name, _ in samples(shown.text)}
        assert "rq_jobs" in alone.text
        odd = httpx.get(f"{own}/metrics", headers={"Accept": "text/plain;version=abc"})
        assert odd.status_code == 200
        assert httpx.get(f"{own}/docs").status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{own}/metrics")


def test_the_page_is_for_admins_whether_or_not_there_is_one(settings: Settings) -> None:
    for is_on in (True, False):
        given = settings.model_dump() | {"api_keys": f"{ADMIN_ENTRY},{INGEST_ENTRY}", "metrics_port": None}
        with api(Settings(**given | {"metrics": is_on})) as (client, _):
            assert client.get("/metrics", headers=bearer(INGEST_KEY)).status_code == 403
            answer = client.get("/metrics", headers=bearer(ADMIN_KEY))
            assert answer.status_code == (200 if is_on else 404)
            head = client.head("/metrics", headers=bearer(ADMIN_KEY))
            assert (head.status_code, head.content) == (answer.status_code, b"")


def test_who_follows_and_who_waits_are_counted_while_they_do(settings: Settings, valkey: Redis) -> None:
    acting = ActingWorker(valkey)
    with api(settings) as (client, _):
        job_id = client.post("/chat", json={"query": "?"}).json()["job_id"]
        assert value(page(client), "rag_streams_active") == value(page(client), "rag_waiters_active") == 0
        with client.stream("GET", f"/stream/{job_id}") as stream:
            pieces = stream.iter_raw()
            next(pieces)
            acting.wait_for_client(job_id)
            found = page(client)
            assert value(found, "rag_streams_active") == 1
            assert value(found, "rag_waiters_active") == 0
        wait_until(lambda: value(page(client), "rag_streams_active") == 0, "the stream is over")
        with httpx.Client(base_url=client.base_url, timeout=0.5) as impatient, pytest.raises(httpx.ReadTimeout):
            impatient.get(f"/result/{job_id}?wait=60")
        assert value(page(client), "rag_waiters_active") == 1
        assert value(page(client), "rag_streams_active") == 0


def test_a_queues_jobs_are_counted_by_what_became_of_them(collector: QueueCollector, valkey: Redis) -> None:
    found = collected(collector)
    assert {labels["queue"] for labels in of(found, "rq_jobs")} == set(QUEUES)
    assert {labels["status"] for labels in of(found, "rq_jobs")} == set(STATUSES)
    assert not any(number for (name, _), number in found.items() if name == "rq_jobs")
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    jobs = [queue.enqueue_call("a.b") for _ in range(3)]
    for number, registry in enumerate(("wip", "finished", "failed", "deferred", "scheduled", "canceled"), start=1):
        valkey.zadd(f"rq:{registry}:{INGEST_QUEUE}", {f"j{n}": n for n in range(number)})
    since = time.time() - 90
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since)) + ".000000Z"
    valkey.hset(jobs[0].key, "enqueued_at", moment)
    found = collected(collector)
    assert value(found, "rq_jobs", queue=QUERY_QUEUE, status="queued") == 3
    counts = [value(found, "rq_jobs", queue=INGEST_QUEUE, status=status) for status in STATUSES]
    assert counts == [0, 1, 2, 3, 4, 5, 6]
    age = value(found, "rag_queue_oldest_job_age_seconds", queue=QUERY_QUEUE)
    assert age is not None
    assert 90 <= age <= time.time() - since + 1
    assert value(found, "rag_queue_oldest_job_age_seconds", queue=INGEST_QUEUE) == 0
    valkey.delete(jobs[0].key)
    assert value(collected(collector), "rag_queue_oldest_job_age_seconds", queue=QUERY_QUEUE) is None, "nobody knows"


# Workers, stock and ours


@contextmanager
def running(settings: Settings, *command: str, **variables: str) -> Iterator[None]:
    assert settings.redis_url
    environment = os.environ | {
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "QDRANT_URL": settings.qdrant_url or "",
        "DATA_DIR": str(settings.data_dir),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    process = subprocess.Popen(command, env=environment | variables, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def ended(valkey: Redis, job: Job) -> Callable[[], bool]:
    return lambda: valkey.hget(job.key, "status") == b"failed"


def test_a_stock_worker_is_one_with_rqs_own_counts(
    settings: Settings, collector: QueueCollector, valkey: Redis
) -> None:
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    done = queue.enqueue_call("time.sleep", args=(0.01,))
    failed = queue.enqueue_call("os.kill", args=("x",))
    name = "Some body's worker-1"
    serializer = "app.core.serializer.PlainSerializer"
    command = ("rq", "worker", "-n", name, "-S", serializer, INGEST_QUEUE, QUERY_QUEUE, "elsewhere")
    with running(settings, *command):
        wait_until(lambda: done.get_status(refresh=True).value == "finished", "the job is done")
        wait_until(ended(valkey, failed), "the other has failed")
        wait_until(lambda: Worker.all(connection=valkey)[0].get_state() == "idle", "it is idle again")
        found = collected(collector)
        [theirs] = Worker.all(connection=valkey)
        queues = f"{QUERY_QUEUE},{INGEST_QUEUE}"
        assert value(found, "rq_workers", name=name, state="idle", queues=queues) == 1
        assert len(of(found, "rq_workers")) == 1
        assert theirs.name == name
        assert value(found, "rq_workers_success_total", name=name, queues=queues) == theirs.successful_job_count == 1
        assert value(found, "rq_workers_failed_total", name=name, queues=queues) == theirs.failed_job_count == 1
        seconds = value(found, "rq_workers_working_time_total", name=name, queues=queues)
        assert seconds == pytest.approx(theirs.total_working_time)
        assert theirs.total_working_time > 0
    assert not of(collected(collector), "rq_workers"), "it has left"


def test_a_worker_of_ours_is_one_however_many_threads_it_has(
    settings: Settings, collector: QueueCollector, valkey: Redis, qdrant_url: str
) -> None:
    settings = settings.model_copy(update={"qdrant_url": qdrant_url})
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    wrong = [queue.enqueue_call(KINDS[AnswerJob].function, args=({"query": 1},)) for _ in range(3)]
    done = JobQueue(valkey, settings).submit(AnswerJob(tenant="t", query="Nobody knows?"))
    with running(settings, sys.executable, "-m", "worker", OPENAI_API_KEY=""):
        for job in wrong:
            wait_until(ended(valkey, job), "it has failed")
        wait_until(lambda: valkey.hget(Job.key_for(done.job_id), "status") == b"finished", "it is answered")
        wait_until(lambda: len(Worker.all(connection=valkey)) > 10, "its threads are there")
        threads = Worker.all(connection=valkey)
        wait_until(lambda: {worker.get_state() for worker in Worker.all(connection=valkey)} == {"idle"}, "all idle")
        found = collected(collector)
        [labels] = of(found, "rq_workers")
        assert labels["state"] == "idle"
        assert labels["queues"].split(",")[0] == QUERY_QUEUE
        assert all(worker.name.startswith(f"{labels['name']}.") for worker in threads)
        assert value(found, "rq_workers", **labels) == 1
        del labels["state"]
        failed = sum(worker.failed_job_count for worker in Worker.all(connection=valkey))
        assert value(found, "rq_workers_failed_total", **labels) == failed == 3
        assert value(found, "rq_workers_success_total", **labels) == 1
        assert value(found, "rq_workers_working_time_total", **labels)


# The model's budget


def test_a_reader_of_the_outbox_is_behind_by_the_age_of_what_it_has_not_read(
    collector: QueueCollector, valkey: Redis
) -> None:
    def lags() -> dict[str, float]:
        found = collected(collector)
        return {one["reader"]: value(found, "rag_outbox_lag_seconds", **one) or 0 for one in of(found, LAG)}

    assert lags() == dict.fromkeys(READERS, 0)  # a chat log that nobody has is not behind
    now: Any = valkey.time()
    for ago in (90, 30):
        valkey.xadd(OUTBOX, {"job": "a"}, id=f"{1000 * (now[0] - ago)}-0")
    valkey.set(cursor_key("webhooks"), f"{1000 * (now[0] - 90)}-0")
    valkey.set(cursor_key("chat_log"), f"{1000 * (now[0] - 30)}-0")
    found = lags()
    assert found["chat_log"] == 0
    assert 30 <= found["webhooks"] < 60
    assert 90 <= found["history"] < 120
    valkey.set(cursor_key("webhooks"), "no cursor")
    valkey.delete(OUTBOX)
    valkey.set(OUTBOX, "no stream")
    assert lags() == {}
    assert value(collected(collector), "rag_queue_oldest_job_age_seconds", queue=QUERY_QUEUE) == 0


def test_the_budgets_use_is_what_the_budget_says(
    settings: Settings, collector: QueueCollector, valkey: Redis
) -> None:
    budget = Budget(valkey, Limits.of(settings), lease_seconds=60)

    def used() -> dict[str, float]:
        found = collected(collector)
        return {limit: found["rag_model_budget_used_ratio", frozenset({("limit", limit)})] for limit in
                ("concurrency", "requests", "tokens")}  # fmt: skip

    assert used() == {"concurrency": 0, "requests": 0, "tokens": 0}
    for holder in ("a", "b", "c"):
        assert budget.begin(holder)
    budget.spend_tokens(400)
    assert used() == {"concurrency": 0, "requests": 0.3, "tokens": 0.4}, "who waits for a job has a lease already"
    valkey.zadd(f"rq:wip:{QUERY_QUEUE}", {"j1:e": 1, "j2:e": 1})
    assert used()["concurrency"] == 0.5
    for _ in range(20):
        budget.spend_request()
    budget.spend_tokens(10_000)
    assert used()["requests"] == 1.0
    old = str(time.time() - 61)
    valkey.lset(requests_key(10), -1, old)
    valkey.lset(requests_key(10), -2, old)
    assert used()["requests"] == pytest.approx(0.8), "what is a minute ago is over"


def test_tokens_fade_as_the_limiter_counts_them(settings: Settings, collector: QueueCollector, valkey: Redis) -> None:
    budget = Budget(valkey, Limits.of(settings), lease_seconds=60)
    budget.spend_tokens(800)
    this_minute, before = tokens_keys(1000)
    assert valkey.get(this_minute) == b"800"
    valkey.pexpire(this_minute, 30_000)  # half a minute after the minute's end

    def used() -> float:
        return collected(collector)["rag_model_budget_used_ratio", frozenset({("limit", "tokens")})]

    assert used() == pytest.approx(0.4, abs=0.05)
    assert valkey.get(before) is None, "the window was moved by who looked"
    budget.spend_tokens(100)
    assert (valkey.get(this_minute), valkey.get(before)) == (b"100", b"800")
    assert used() == pytest.approx(0.5, abs=0.05)


def test_only_limits_that_are_set_are_shown(settings: Settings, valkey: Redis) -> None:
    given = settings.model_dump() | {"model_max_concurrency": None, "model_tokens_per_minute": None}
    for more, shown in (({}, ["requests"]), ({"openai_api_key": None}, [])):
        collector = QueueCollector(valkey, Settings(**given | more))
        assert [labels["limit"] for labels in of(collected(collector), "rag_model_budget_used_ratio")] == shown


# All of it, and nothing but it


def every_family() -> set[str]:
    ours: list[Metric] = list(ApiFamilies().registry.collect())
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in ours}
    return names | set(QUEUE_FAMILIES)


def test_every_family_is_on_the_page_after_real_traffic(settings: Settings, qdrant_url: str) -> None:
    settings = settings.model_copy(update={"qdrant_url": qdrant_url})
    with api(settings) as (client, _), running(settings, sys.executable, "-m", "worker", OPENAI_API_KEY=""):
        job_id = client.post("/chat", json={"query": "?"}).raise_for_status().json()["job_id"]
        wait_until(lambda: client.get(f"/result/{job_id}").status_code == 200, "it has ended")
        found = page(client)
        names = {name.removesuffix("_count").removesuffix("_bucket").removesuffix("_sum") for name, _ in found}
        assert names == every_family()
        assert value(found, "rag_http_requests_total", method="POST", route="/chat", status="202") == 1


NOISE = [
    "a", "ä" * 40, "\x00\x01", "\n\r\"\\{}", "x" * 5000, "<script>", "../../etc/passwd", "sk-secret", "{job_id}",
    "%00", "💥", "name\nrq_jobs 1", "\u202e",
]  # fmt: skip


def noise() -> str:
    return random.choice(NOISE) + "".join(random.choices(string.printable, k=6))


def put_hostile_things(valkey: Redis) -> None:
    """What somebody may write into Valkey: names, numbers and types that RQ never would."""
    for number in range(PROCESSES_MAX + 200):
        name = f"w{number}" if number % 3 else noise()
        key = f"rq:worker:{name}"
        valkey.hset(key, mapping={"birth": noise(), "state": noise(), "queues": noise(), "hostname": noise(),
                                  "pid": noise(), "successful_job_count": noise(), "failed_job_count": "9" * 400,
                                  "total_working_time": "nan"})  # fmt: skip
        for queue in (QUERY_QUEUE, noise()):
            valkey.sadd(f"rq:workers:{queue}", key)
        valkey.sadd("rq:queues", f"rq:queue:{noise()}")
        valkey.rpush(f"rq:queue:{noise()}", noise())
    valkey.sadd(f"rq:workers:{QUERY_QUEUE}", "rq:worker:text", b"\xff\xfe", "", "x" * 100_000)
    valkey.set("rq:worker:text", "not a hash")
    valkey.set(f"rq:workers:{INGEST_QUEUE}", "not a set")
    valkey.set(f"rq:wip:{INGEST_QUEUE}", "not a sorted set")
    valkey.set(f"rq:queue:{INGEST_QUEUE}", "not a list")
    valkey.rpush(f"rq:queue:{QUERY_QUEUE}", noise())
    valkey.set(LEASES, "not a sorted set")
    valkey.rpush(requests_key(10), "soon", "nan", "inf", "-1", noise())
    valkey.set(tokens_keys(1000)[0], "1e400")
    valkey.hset(tokens_keys(1000)[1], "a", "b")


def ask_hostile_things(client: httpx.Client) -> None:
    for _ in range(150):
        path = "/" + "".join(random.choices(string.ascii_letters + "/.%~-", k=12)).replace("%", "%25")
        method = random.choice([*METHODS - {"CONNECT"}, "BREW", "x" * 20])
        start = random.choice(["", "/result", "/documents", "/v1/responses", "/page/static/x", "/jobs"])
        headers = {
            "X-Request-ID": "".join(random.choices(string.ascii_letters, k=20)),
            "User-Agent": "".join(random.choices(string.ascii_letters, k=20)),
            "Host": f"{random.randrange(10**9)}.example",
        }
        client.request(method, start + path, headers=headers if random.random() < 0.5 else None)
        client.post("/chat", json={"query": path, "session_id": f"s{random.randrange(10**9)}"})


def test_no_label_grows_with_what_strangers_send_or_write(settings: Settings, valkey: Redis) -> None:
    put_hostile_things(valkey)
    with api(settings) as (client, metrics):
        ask_hostile_things(client)
        answer = client.get("/metrics", headers={"Accept": "text/plain"}).raise_for_status()
        found = samples(answer.text)
        app = create_app(Settings(redis_url="redis://127.0.0.1:9"))
        del metrics
    templates = {str(context.path_format) for context in iter_route_contexts(app.routes)} | {"none"}
    allowed: dict[str, Callable[[str], bool]] = {
        "method": lambda text: text in METHODS | {"_OTHER"},
        "route": lambda text: text in templates,
        "status": lambda text: text in {*STATUSES, "none"} or (text.isdigit() and 100 <= int(text) <= 599),
        "queue": lambda text: text in QUEUES,
        "queues": lambda text: set(text.split(",")) <= set(QUEUES),
        "state": lambda text: text in STATES,
        "limit": lambda text: text in {"concurrency", "requests", "tokens"},
        "reader": lambda text: text in {*READERS, *OPTIONAL},
        "cache": lambda text: text == "exact",
        "result": lambda text: text == "hit",
        "name": lambda text: 0 < len(text) <= 128 and text.isprintable(),
        "le": lambda text: text == "+Inf" or float(text) > 0,
        "version": lambda text: text.replace(".", "").isalnum(),
    }
    for _, labels in found:
        for label, text in labels:
            assert allowed[label](text), (label, text)
    assert 100 < len(of(found, "rq_workers")) <= PROCESSES_MAX
    assert len({labels["route"] for labels in of(found, "rag_http_requests_total")}) > 3
    assert all(number >= 0 for number in found.values()), "and each is a number"
    assert value(found, "rag_model_budget_used_ratio", limit="tokens") in (0, 1)


def test_who_looks_changes_nothing(collector: QueueCollector, valkey: Redis) -> None:
    """Not what has expired either, which RQ's own counts clean up, nor the limiter's window."""
    put_hostile_things(valkey)
    valkey.delete(LEASES, f"rq:wip:{INGEST_QUEUE}", tokens_keys(1000)[0], tokens_keys(1000)[1])
    valkey.zadd(LEASES, {"gone": 1})
    for registry in ("wip", "finished", "failed", "deferred", "scheduled", "canceled"):
        valkey.zadd(f"rq:{registry}:{INGEST_QUEUE}", {"expired": 1, "j:e": 2})
    valkey.set(tokens_keys(1000)[0], 5, px=50_000)
    valkey.set(tokens_keys(1000)[1], 5, px=50_000)

    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": valkey.get,
        b"hash": valkey.hgetall,
        b"set": valkey.smembers,
        b"list": lambda key: valkey.lrange(key, 0, -1),
        b"zset": lambda key: valkey.zrange(key, 0, -1, withscores=True),
    }

    def everything() -> dict[bytes, Any]:
        keys: Any = valkey.keys("*")
        kinds: Any = {key: valkey.type(key) for key in keys}
        return {key: read[kind](key) for key, kind in kinds.items()}

    before = everything()
    assert value(collected(collector), "rq_jobs", queue=INGEST_QUEUE, status="started") == 2
    assert everything() == before


def test_a_valkey_that_is_full_is_read_all_the_same(collector: QueueCollector, valkey: Redis) -> None:
    valkey.config_set("maxmemory", 1)
    try:
        assert {name for name, _ in collected(collector)} >= {"rq_jobs", "rag_model_budget_used_ratio"}
    finally:
        valkey.config_set("maxmemory", 0)


def test_many_may_ask_at_once(settings: Settings) -> None:
    with api(settings) as (client, metrics), ThreadPoolExecutor(16) as pool:
        urls = [f"http://127.0.0.1:{metrics.port}/metrics", f"{client.base_url}/metrics"] * 20
        assert all("rq_jobs" in text for text in pool.map(lambda url: httpx.get(url).text, urls))


# Valkey away


@contextmanager
def own_valkey(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(valkey_command(folder, port))
    try:
        with connect(f"redis://127.0.0.1:{port}/0") as connection:
            wait_until(connection.ping, "Valkey answers")
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_while_valkey_is_away_the_page_has_the_rest_and_the_log_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = LogCapture()
    monkeypatch.setattr(queue_metrics, "log", structlog.wrap_logger(None, processors=[lines]))
    port = free_port(0)
    given = Settings(
        redis_url=f"redis://127.0.0.1:{port}/0", qdrant_url="http://127.0.0.1:9", metrics_port=0, api_keys=ADMIN_ENTRY
    )
    admin = bearer(ADMIN_KEY)
    with own_valkey(tmp_path / "valkey", port) as process, api(given) as (client, metrics):
        own = f"http://127.0.0.1:{metrics.port}/metrics"
        assert "rq_jobs" in client.get("/metrics", headers=admin).text
        process.kill()
        process.wait(10)
        for _ in range(3):
            for answer in (httpx.get(own), client.get("/metrics", headers=admin)):
                assert answer.status_code == 200, answer.text
                assert "rag_http_requests_total" in answer.text
                assert not [name for name in QUEUE_FAMILIES if name in answer.text]
        assert [line["event"] for line in lines.entries] == ["valkey_unavailable"]
        with own_valkey(tmp_path / "valkey", port) as another:
            wait_until(lambda: "rq_jobs" in httpx.get(own).text, "it is back")
            hold(another.pid)
            began = time.monotonic()
            assert "rq_jobs" not in httpx.get(own).text
            assert time.monotonic() - began < 10, "a Valkey that hangs holds the page up"
        assert len(lines.entries) == 2


# The port


def test_uvicorn_does_not_start_without_its_port(settings: Settings) -> None:
    assert settings.redis_url
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        environment = os.environ | {"REDIS_URL": settings.redis_url.get_secret_value(), "METRICS_PORT": port}
        command = ["uvicorn", "--http", "app.server:HttpProtocol", "--port", "0"]
        command += ["--factory", "app.main:from_environment"]
        done = subprocess.run(
            [sys.executable, "-m", *command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert done.returncode != 0
    assert f"METRICS_PORT: cannot listen on 127.0.0.1, port {port}: Address already in use" in done.stderr


def test_a_start_that_fails_leaves_no_port_open(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Waiters, "start", lambda self: 1 / 0)
    app = create_app(settings.model_copy(update={"metrics_port": 0}))

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(ZeroDivisionError):
        asyncio.run(start())
    assert app.state.api.metrics.port is None
