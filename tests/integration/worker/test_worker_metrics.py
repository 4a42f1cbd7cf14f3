"""The numbers of a real worker process: on real Valkey, Qdrant and models, read from its page as Prometheus does."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
from pydantic import SecretStr
from redis import Redis
from rq.utils import current_timestamp
from structlog.testing import LogCapture

from app.core.contract import (
    DEFAULT_TENANT,
    INGEST_QUEUE,
    QUERY_QUEUE,
    WEBHOOK_QUEUE,
    AnswerJob,
    EmbedJob,
    SearchJob,
    Webhook,
    WebhookJob,
)
from app.core.documents.catalog import Catalog
from app.core.documents.files import open_store
from app.core.metrics.families import WorkerFamilies
from app.core.queue.connections import connect
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.embedded.ports import free_port
from app.embedded.valkey import valkey_command
from tests.integration.ingest.test_ingest_jobs import uploaded
from tests.integration.worker.test_webhooks import SECRET, Receiver, receiver  # noqa: F401  a fixture
from tests.support import ROOT, pdfs
from tests.support.metrics import samples
from tests.support.model_server import ModelServer
from tests.support.processes import hold, wait_until
from tests.support.queue import JobQueue
from tests.support.scripted_server import Body, Reply, ScriptedServer
from worker.concurrent import ConcurrentWorker
from worker.resources import end

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
QUEUES = (QUERY_QUEUE, INGEST_QUEUE, WEBHOOK_QUEUE)
PRICES = (2.0, 8.0)


class Page:
    """A worker's own port."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def samples(self) -> Samples:
        return samples(httpx.get(f"{self.url}/metrics").raise_for_status().text)

    def report(self, path: str) -> tuple[int, dict[str, Any]]:
        answer = httpx.get(f"{self.url}{path}")
        return answer.status_code, answer.json()


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


@contextmanager
def working(settings: Settings, monkeypatch: pytest.MonkeyPatch, *queues: str) -> Iterator[Page]:
    """A worker in a thread and its page; stopped at the end, when its port must be closed."""
    assert settings.redis_url
    seen = LogCapture()
    monkeypatch.setattr("worker.concurrent.log", structlog.wrap_logger(None, processors=[seen]))
    connection = connect(settings.redis_url.get_secret_value())
    worker = ConcurrentWorker(queues or QUEUES, connection=connection, settings=settings)
    thread = threading.Thread(target=worker.work)
    thread.start()
    try:
        served = wait_until(lambda: [line for line in seen.entries if line["event"] == "metrics_served"], "the page")
        page = Page(served[0]["port"])
        yield page
    finally:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()
        connection.close()
        end()
    with pytest.raises(httpx.ConnectError):
        page.samples()


@pytest.fixture
def reranker() -> Iterator[ScriptedServer]:
    def reply(body: Body) -> Reply:
        results = [{"index": place, "relevance_score": 0.5} for place in range(len(body["documents"]))]
        return Reply(pieces=[json.dumps({"results": results}).encode()])

    with closing(ScriptedServer(reply)) as server:
        yield server


@pytest.fixture
def settings(valkey_url: str, qdrant_url: str, model: ModelServer, reranker: ScriptedServer) -> Settings:
    name = f"test-error429=1x-retry=1s-hold=zebra-seed={uuid4().int % 10**6}"
    return Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        worker_concurrency=4,
        openai_base_url=model.url,
        chat_model=name,
        embedding_model="test",
        rerank_url=f"{reranker.url}/rerank",
        rerank_model="cross",
        webhook_allow_private=True,
        metrics_port=0,
        model_prices=f"{name}=2/8,never=1/1",
    )


def lost(valkey: Redis, job_id: str) -> None:
    """Leave the job as one that a worker has, of which more must be heard until long from now."""
    valkey.lrem(f"rq:queue:{QUERY_QUEUE}", 0, job_id)
    valkey.hset(f"rq:job:{job_id}", mapping={"status": "started"})
    valkey.zadd(f"rq:wip:{QUERY_QUEUE}", {f"{job_id}:gone": current_timestamp() + 1000})


def test_every_family_counts_what_has_happened(
    valkey: Redis,
    settings: Settings,
    receiver: Receiver,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = JobQueue(valkey, settings)
    document = pdfs.make_pdf(tmp_path / "otter.pdf", ["Otters sleep in groups.", "They hold hands."])
    gone = queue.submit(AnswerJob(query="Who holds hands?")).job_id
    lost(valkey, gone)
    moved: set[str] = set()

    with working(settings, monkeypatch) as page:

        def total(name: str, least: float, **labels: str) -> Samples:
            """Wait until it is so many."""

            def reached() -> Samples | None:
                found = page.samples()
                moved.update(sample for (sample, _), number in found.items() if number)
                return found if value(found, name, **labels) >= least else None

            return wait_until(reached, f"{name} {labels} is {least}")

        def jobs(queue_name: str, outcome: str, least: float) -> Samples:
            return total("rag_jobs_total", least, queue=queue_name, outcome=outcome)

        queue.submit(uploaded(Catalog(valkey), open_store(settings), document.read_bytes()))
        jobs(INGEST_QUEUE, "finished", 1)
        asked = queue.submit(
            AnswerJob(query="How do otters sleep?"), webhook=Webhook(url=receiver.url, secret=SecretStr(SECRET))
        ).job_id
        jobs(QUERY_QUEUE, "finished", 1)
        queue.submit(SearchJob(query="otters"))
        jobs(QUERY_QUEUE, "finished", 2)
        queue.submit(EmbedJob(texts=("x",), model="another"))
        jobs(QUERY_QUEUE, "failed", 1)
        queue.submit(WebhookJob(job_id=asked))
        jobs(WEBHOOK_QUEUE, "finished", 1)
        valkey.zadd(f"rq:wip:{QUERY_QUEUE}", {f"{gone}:gone": 1})
        jobs(QUERY_QUEUE, "finished", 3)
        held = queue.submit(AnswerJob(query="Do otters fear a zebra?")).job_id
        total("rag_jobs_active", 1, queue=QUERY_QUEUE)
        total("rag_retrieval_duration_seconds_count", 5, stage="rerank")
        queue.cancel(held, tenant=DEFAULT_TENANT)
        found = jobs(QUERY_QUEUE, "stopped", 1)

    chat = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "openai",
        "gen_ai_request_model": settings.chat_model,
    }
    embeddings = chat | {"gen_ai_operation_name": "embeddings", "gen_ai_request_model": "test"}
    rerank = {
        "gen_ai_operation_name": "rerank",
        "gen_ai_provider_name": "cohere",
        "gen_ai_request_model": "cross",
    }
    seconds, tokens = "gen_ai_client_operation_duration_seconds_count", "gen_ai_client_token_usage"
    first = "gen_ai_client_operation_time_to_first_chunk_seconds_count"
    expected: list[tuple[float, str, dict[str, str]]] = [
        (3, "rag_jobs_total", {"queue": QUERY_QUEUE, "outcome": "finished"}),
        (1, "rag_jobs_total", {"queue": QUERY_QUEUE, "outcome": "failed"}),
        (1, "rag_jobs_total", {"queue": QUERY_QUEUE, "outcome": "stopped"}),
        (0, "rag_jobs_total", {"queue": INGEST_QUEUE, "outcome": "failed"}),
        *(
            (number, f"rag_job_{kind}_seconds_count", {"queue": QUERY_QUEUE, "outcome": outcome})
            for kind in ("queue_wait", "duration")
            for outcome, number in {"finished": 3, "failed": 1, "stopped": 1, "retried": 1}.items()
        ),
        (1, "rag_job_retries_total", {"queue": QUERY_QUEUE, "reason": "model_rate_limited"}),
        (1, "rag_jobs_recovered_total", {"queue": QUERY_QUEUE}),
        (0, "rag_jobs_active", {"queue": QUERY_QUEUE}),
        *((5, "rag_retrieval_duration_seconds_count", {"stage": stage}) for stage in ("embed", "search", "rerank")),
        (2, "rag_answers_total", {"mode": "model", "grounded": "true"}),
        (2, "rag_citations_total", {"outcome": "kept"}),
        (6, "rag_model_budget_wait_seconds_count", {}),
        (1, "rag_ingest_documents_total", {"outcome": "indexed"}),
        (2, "rag_ingest_pages_total", {}),
        (1, "rag_ingest_duration_seconds_count", {"kind": "pdf"}),
        (1, "rag_webhook_deliveries_total", {"outcome": "delivered"}),
        (2, seconds, chat | {"error_type": ""}),
        (1, seconds, chat | {"error_type": "model_rate_limited"}),
        (1, seconds, chat | {"error_type": "interrupted"}),
        (7, seconds, embeddings | {"error_type": ""}),  # five questions, a document, and how long its vectors are
        (5, seconds, rerank | {"error_type": ""}),
        (2, first, chat),
        (2, f"{tokens}_count", chat | {"gen_ai_token_type": "input"}),
        (2, f"{tokens}_count", chat | {"gen_ai_token_type": "output"}),
        (7, f"{tokens}_count", embeddings | {"gen_ai_token_type": "input"}),
    ]
    assert [(value(found, name, **labels), name, labels) for _, name, labels in expected] == expected
    looks = [value(found, "rag_cache_requests_total", cache="filenames", result=result) for result in ("hit", "miss")]
    assert sum(looks) == 5
    spent = [value(found, f"{tokens}_sum", **chat, gen_ai_token_type=kind) for kind in ("input", "output")]
    paid = sum(number * price for number, price in zip(spent, PRICES, strict=True)) / 1e6
    assert value(found, "rag_model_cost_usd_total", model=settings.chat_model) == pytest.approx(paid)
    assert {name for name, _ in found if name.startswith("rag_model_cost_usd_total")}
    assert value(found, "rag_job_queue_wait_seconds_sum", queue=QUERY_QUEUE, outcome="finished") < 60
    families = {family.name for family in WorkerFamilies().registry.collect()}
    assert {family for family in families if not any(sample.startswith(family) for sample in moved)} == set()


ALLOWED = {
    "queue": set(QUEUES),
    "outcome": {
        *("finished", "failed", "stopped", "retried", "put_back", "lost", "kept", "dropped"),
        *("indexed", "unchanged", "deleted", "delivered", "refused"),
    },
    "reason": {"model_unavailable", "model_rate_limited", "internal_error"},
    "stage": {"embed", "search", "rerank"},
    "mode": {"model", "extractive"},
    "grounded": {"true", "false"},
    "model": {"named"},
    "cache": {"filenames", "pictures", "exact", "in_flight"},
    "result": {"hit", "miss"},
    "kind": {"pdf", "other"},
    "gen_ai_operation_name": {"chat"},
    "gen_ai_provider_name": {"openai"},
    "gen_ai_request_model": {"named"},
    "gen_ai_token_type": {"input", "output"},
    "error_type": {"", "model_unavailable", "model_rejected", "model_rate_limited", "model_auth_failed"},
}
"""All that a label may say in the test below."""


def test_what_others_write_is_in_no_label(
    valkey: Redis, valkey_url: str, qdrant_url: str, handbook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = count()

    def reply(body: Body) -> Reply:
        number = next(numbers)
        if number % 3 == 2:
            error = {"message": f"secret {number}", "type": f"t{number}", "code": f"c{number}"}
            return Reply([400, 401, 503, 418][number % 4], [json.dumps({"error": error}).encode()])
        false = 'It says "no otter may ever sleep in this harbour". [1]'
        message = {"role": "assistant", "content": f"The harbour opens at six in winter. [1] {false}"}
        usage = {"prompt_tokens": [2**63 - 1, -5, 10**30, "x", None][number % 5], "completion_tokens": 2**63 - 1}
        told = {"model": f"m{number}", "usage": usage, "choices": [{"message": message, "finish_reason": "stop"}]}
        return Reply(pieces=[json.dumps(told).encode()])

    with closing(ScriptedServer(reply)) as server:
        settings = Settings(
            redis_url=SecretStr(valkey_url),
            qdrant_url=qdrant_url,
            qdrant_collection=handbook,
            worker_concurrency=2,
            openai_base_url=server.url,
            chat_model="named",
            metrics_port=0,
            max_attempts=2,
            model_prices="named=1/1",
        )
        queue = JobQueue(valkey, settings)
        ids = [queue.submit(AnswerJob(query="When does the harbour open?", tenant=f"t{n}")).job_id for n in range(2)]
        ids += [queue.submit(AnswerJob(query="When does the harbour open?")).job_id for _ in range(12)]
        strange: dict[Any, Any] = {
            "enqueued_at": "0001-01-01T00:00:00.000000Z",
            "meta": PlainSerializer.dumps({"error": "x" * 99}),
        }
        valkey.hset(f"rq:job:{ids[3]}", mapping=strange)
        valkey.hset(f"rq:job:{ids[6]}", mapping={"meta": PlainSerializer.dumps([1])})
        valkey.hset(f"rq:job:{ids[4]}", mapping={"origin": "elsewhere"})
        valkey.hset(f"rq:job:{ids[5]}", mapping={"data": b"\x80\x05cos\nsystem\n."})
        with working(settings, monkeypatch) as page:

            def all_ended() -> Samples | None:
                found = page.samples()
                ended = sum(number for (name, _), number in found.items() if name == "rag_jobs_total")
                return found if ended >= len(ids) else None

            found = wait_until(all_ended, "all have ended")
    said: dict[str, set[str]] = {}
    for _, labels in found:
        for label, text in labels:
            said.setdefault(label, set()).add(text)
    assert said.pop("version")
    assert said.pop("le")
    assert {label: texts - ALLOWED[label] for label, texts in said.items() if texts - ALLOWED[label]} == {}
    assert value(found, "rag_jobs_total", queue=QUERY_QUEUE, outcome="failed") >= 2
    ungrounded = value(found, "rag_answers_total", mode="model", grounded="false")
    found_nothing = 2  # the other tenants
    assert value(found, "rag_citations_total", outcome="dropped") == ungrounded - found_nothing > 0
    assert all(number < 1e12 for number in found.values())


@contextmanager
def own_valkey(folder: Path) -> Iterator[tuple[str, int]]:
    """A Valkey that a test may stop: its URL and its process."""
    port = free_port(0)
    process = subprocess.Popen(valkey_command(folder, port))
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with connect(url) as connection:
            wait_until(lambda: connection.ping(), "Valkey answers")
        yield url, process.pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.terminate()
        process.wait(10)


def small(url: str, qdrant_url: str, **more: Any) -> Settings:
    return Settings(redis_url=SecretStr(url), qdrant_url=qdrant_url, worker_concurrency=1, metrics_port=0, **more)


def test_while_valkey_hangs_the_process_is_alive_and_not_ready(
    qdrant_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.runtime.health.QUIET_SECONDS", 4.0)
    with (
        own_valkey(tmp_path) as (url, pid),
        working(small(url, qdrant_url), monkeypatch, QUERY_QUEUE) as page,
    ):
        wait_until(lambda: page.report("/readyz")[0] == 200, "it is open for work")
        assert page.report("/healthz")[1]["valkey_answered_seconds_ago"] < 4
        hold(pid)
        wait_until(lambda: page.report("/readyz") == (503, {"status": "valkey_unavailable"}), "that is noticed")
        status, told = page.report("/healthz")
        assert status == 200
        assert told["valkey_answered_seconds_ago"] > 4
        assert told["dead_threads"] == []
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: page.report("/readyz") == (200, {"status": "ready"}), "it is open again")


def test_a_thread_that_has_died_makes_the_process_unhealthy(
    valkey: Redis, valkey_url: str, qdrant_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies = threading.Event()
    monkeypatch.setattr(ConcurrentWorker, "_listen", lambda _: dies.wait(60))
    with working(small(valkey_url, qdrant_url), monkeypatch, QUERY_QUEUE) as page:
        wait_until(lambda: page.report("/readyz")[0] == 200, "it is open for work")
        status, told = page.report("/healthz")
        assert (status, told["dead_threads"]) == (200, [])
        dies.set()
        wait_until(lambda: page.report("/healthz")[0] == 503, "that is noticed")
        assert page.report("/healthz")[1]["dead_threads"] == ["listen"]


def test_a_stopping_worker_is_healthy_and_takes_no_more(
    valkey: Redis,
    valkey_url: str,
    qdrant_url: str,
    handbook: str,
    model: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = small(
        valkey_url, qdrant_url, openai_base_url=model.url, chat_model="test-ttft=2s", qdrant_collection=handbook
    )
    model.reset()
    with working(settings, monkeypatch, QUERY_QUEUE) as page:
        JobQueue(valkey, settings).submit(AnswerJob(query="When does the harbour open?"))
        model.wait_until(lambda stats: stats["in_flight"] == 1)
        workers: Any = valkey.smembers("rq:workers")
        [worker] = [name.decode() for name in workers]
        valkey.publish(worker.replace("rq:worker:", "rq:pubsub:"), json.dumps({"command": "shutdown"}))
        wait_until(lambda: page.report("/readyz") == (503, {"status": "stopping"}), "it stops")
        assert page.report("/healthz")[0] == 200


def environment(valkey_url: str, qdrant_url: str, **more: str) -> dict[str, str]:
    return os.environ | {"REDIS_URL": valkey_url, "QDRANT_URL": qdrant_url, "WORKER_CONCURRENCY": "1"} | more


def test_while_valkey_is_not_there_yet_the_process_is_alive_and_starting(qdrant_url: str, tmp_path: Path) -> None:
    page = Page(free_port(0))
    variables = environment(
        f"redis://127.0.0.1:{free_port(0)}/0", qdrant_url, METRICS_PORT=page.url.rpartition(":")[2]
    )
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"], cwd=ROOT, env=variables, stdout=output, stderr=output
        )
    try:

        def answers() -> bool:
            with suppress(httpx.ConnectError):
                return page.report("/healthz")[0] == 200
            return False

        wait_until(answers, "the page")
        assert page.report("/readyz") == (503, {"status": "starting"})
    finally:
        process.terminate()
        process.wait(30)


def test_a_taken_port_is_told_in_one_line(valkey: Redis, valkey_url: str, qdrant_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "worker", "--burst"],
            cwd=ROOT,
            env=environment(valkey_url, qdrant_url, METRICS_PORT=port),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"worker: METRICS_PORT: cannot listen on 127.0.0.1, port {port}: ")


@pytest.mark.parametrize(
    ("variables", "is_on"), [({}, False), ({"METRICS": "true"}, False), ({"METRICS_PORT": "0"}, True)]
)
def test_without_a_port_nothing_that_counts_is_imported(
    valkey: Redis,
    valkey_url: str,
    qdrant_url: str,
    handbook: str,
    model: ModelServer,
    variables: dict[str, str],
    is_on: bool,
) -> None:
    more = {"QDRANT_COLLECTION": handbook, "OPENAI_BASE_URL": model.url, "CHAT_MODEL": "test"} | variables
    JobQueue(valkey, small(valkey_url, qdrant_url)).submit(AnswerJob(query="When does the harbour open?"))
    code = "import sys; from worker.__main__ import main; main(['--burst']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(valkey_url, qdrant_url, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "worker.jobs" in loaded
    assert {"prometheus_client", "app.core.metrics", "worker.runtime.counting"} & loaded == (
        {"prometheus_client", "app.core.metrics", "worker.runtime.counting"} if is_on else set()
    )


def test_under_rqs_own_command_our_worker_shows_its_page_too(valkey: Redis, valkey_url: str, qdrant_url: str) -> None:
    rq = str(Path(sys.executable).with_name("rq"))
    done = subprocess.run(
        [rq, "worker", "--burst", "--url", valkey_url, "-w", "worker.ConcurrentWorker", QUERY_QUEUE],
        cwd=ROOT,
        env=environment(valkey_url, qdrant_url, METRICS_PORT="0", LOG_FORMAT="json"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert '"event":"metrics_served"' in done.stdout + done.stderr
