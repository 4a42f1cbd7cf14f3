"""Attacker: a network client that fills the queue's memory, with questions, uploads or answers that nobody fetches.

At its `maxmemory` Valkey forgets nothing and refuses what is new. The service must say so, lose nothing, and bring to
its end what it has taken. Here Valkey is filled by telling it that it may have one byte.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import OutOfMemoryError
from rq import Queue

from app.core.contract import QUERY_QUEUE, QUEUES
from app.core.queue.connections import VALKEY_UNAVAILABLE, connect
from app.core.serializer import PlainSerializer
from app.core.services import redis_url
from app.core.settings import Settings
from ingest.__main__ import main as ingest
from tests.acceptance.conftest import start
from tests.integration.app.test_isolation import ROUTES, WITH_ID, Route, add_file, batch_of, path_of, shown
from tests.integration.worker.test_worker import working
from tests.support.api import serving
from tests.support.contents import everything_in
from tests.support.credentials import api_key, bearer
from tests.support.documents import HANDBOOK, add_document
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from worker.concurrent import ConcurrentWorker
from worker.index.vector_index import open_index
from worker.resources import end
from worker.runtime.recovery import recover

KEY, ENTRY = api_key("owner", role="admin", rate="9999/second")
QUESTION = {"query": "When does the harbour open in winter?"}
UPLOAD: Mapping[str, Any] = {"files": {"files": ("notes.txt", b"Boats are varnished in autumn.", "text/plain")}}

NEW: Mapping[Route, Mapping[str, Any]] = {
    ("POST", "/chat"): {"json": QUESTION},
    ("POST", "/search"): {"json": QUESTION},
    ("POST", "/documents"): UPLOAD,
    ("POST", "/v1/chat/completions"): {
        "json": {"model": "rag-queue", "messages": [{"role": "user", "content": "?"}]}
    },
    ("POST", "/v1/responses"): {"json": {"model": "rag-queue", "input": "?", "background": True}},
    ("POST", "/v1/embeddings"): {"json": {"model": "m", "input": "?"}},
    ("GET", "/documents/{document_id}/pages/{n}"): {},
    ("GET", "/documents/{document_id}/pages/{n}.png"): {},
    ("PUT", "/collections/{name}"): {"json": {"title": "Pumps"}},
    ("POST", "/v1/files"): {"data": {"purpose": "batch"}, "files": {"file": ("lines.jsonl", b"{}")}},
    ("POST", "/v1/batches"): {},
}
"""Routes that put something new into Valkey, and how they are called."""
FAILED = {"params": {"status": "failed"}}
ALL: Mapping[str, Any] = {"json": {"filter": {}}}
CALLS: Mapping[Route, Mapping[str, Any]] = {
    **NEW,
    ("GET", "/jobs"): FAILED,
    ("DELETE", "/jobs"): FAILED,
    ("POST", "/failed-jobs/requeue"): ALL,
    ("POST", "/failed-jobs/delete"): ALL,
}
BY_A_JOB = {("DELETE", "/documents/{document_id}"), ("DELETE", "/tenants/{tenant}")}
"""What is asked of a job too, though it frees."""


@pytest.fixture
def settings(valkey: Redis, valkey_url: str, qdrant_url: str, tmp_path: Path) -> Iterator[Settings]:
    yield Settings(
        redis_url=valkey_url,
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        data_dir=tmp_path / "data",
        api_keys=ENTRY,
        worker_concurrency=4,
    )
    end()


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    """Of an API that makes no secret for its links meanwhile."""
    stated = {"link_secret": SecretStr("s" * 32), "embedding_model": "m"}
    with (
        serving(settings.model_copy(update=stated)) as url,
        httpx.Client(base_url=url, headers=bearer(KEY), timeout=30) as client,
    ):
        yield client


@contextmanager
def full(valkey: Redis) -> Iterator[None]:
    """Valkey has no memory left while the block runs."""
    valkey.config_set("maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            valkey.set("more", 1)
        yield
    finally:
        valkey.config_set("maxmemory", 0)


def assert_full(answer: httpx.Response) -> None:
    """What is new was refused, and how."""
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert answer.json()["type"] == "urn:problem:queue-memory-full"


def test_a_refused_write_is_an_absent_valkey_wherever_one_is_expected() -> None:
    assert issubclass(OutOfMemoryError, VALKEY_UNAVAILABLE)


@pytest.mark.parametrize("route", ROUTES, ids=shown)
def test_every_route_says_so_or_does_what_it_does(
    client: httpx.Client, valkey: Redis, settings: Settings, route: Route
) -> None:
    method, template = route
    entry = WITH_ID.get(route)
    path = path_of(template, entry.add(client) if entry else "rag-queue")
    call = CALLS.get(route) or (entry.call if entry else {})
    if route == ("POST", "/v1/batches"):
        call = {"json": batch_of(add_file(client))}
    before, files = everything_in(valkey), stored(settings)
    with full(valkey), client.stream(method, path, **call) as answer:
        status = answer.status_code
        body = answer.read() if status >= 400 else b""
        waits = answer.headers.get("retry-after")
    if route in NEW or route in BY_A_JOB:
        assert status == 503
        assert waits == "10"
        assert b"memory is full" in body
        assert (b"queue-memory-full" in body) or (b"queue_memory_full" in body)
        assert _lines(everything_in(valkey)) == _lines(before), "nothing of it is left"
        assert stored(settings) == files
    else:
        assert status < 500, body


def stored(settings: Settings) -> list[Path]:
    """The files that the store keeps."""
    return sorted(path for path in (settings.data_dir / "documents").rglob("*") if path.is_file())


def _lines(everything: bytes) -> set[bytes]:
    """Without the rates' windows, which count what was refused too, and a count of bytes; a time in one spelling."""
    lines = everything.replace(b'+00:00"', b'Z"').splitlines()
    counts = (b"rag:limits", b"rag:stored")
    return {line for line in lines if not any(name in line for name in counts) and not _is_a_time(line)}


def _is_a_time(line: bytes) -> bool:
    return line.replace(b".", b"", 1).isdigit()


def test_readiness_says_that_the_queue_is_full(client: httpx.Client, valkey: Redis) -> None:
    with full(valkey):
        assert client.get("/readyz").json()["checks"]["queue"] == "full"
    assert client.get("/readyz").json()["checks"]["queue"] == "ok"


def test_a_question_that_was_refused_is_taken_later_under_the_same_key(client: httpx.Client, valkey: Redis) -> None:
    key = {"Idempotency-Key": "once"}
    with full(valkey):
        assert_full(client.post("/chat", json=QUESTION, headers=key))
    taken = client.post("/chat", json=QUESTION, headers=key)
    assert (taken.status_code, taken.headers.get("idempotent-replayed")) == (202, None)
    with full(valkey):
        again = client.post("/chat", json=QUESTION, headers=key)
    assert (again.status_code, again.json()["job_id"]) == (202, taken.json()["job_id"])


def test_a_worker_that_starts_then_brings_to_its_end_what_was_taken(
    client: httpx.Client, valkey: Redis, settings: Settings
) -> None:
    with closing(open_index(settings)) as index:
        add_document(index, *HANDBOOK)
    asked = [client.post("/chat", json=QUESTION).json()["urls"] for _ in range(20)]
    sent = client.post("/documents", **UPLOAD).json()["documents"][0]["document_id"]
    with full(valkey), working(settings, *QUEUES):
        for urls in asked:
            wait_until(lambda urls=urls: client.get(urls["result"]).status_code == 200, "an answer")  # type: ignore[misc]
        wait_until(lambda: client.get(f"/documents/{sent}").json()["status"] == "indexed", "the upload is indexed")
        for urls in asked:
            result = client.get(urls["result"]).json()
            assert result["status"] == "finished"
            assert result["result"]["citations"][0]["page"] == 1
            assert "event: answer.completed" in client.get(urls["stream"]).text
        assert_full(client.post("/chat", json=QUESTION))
    assert client.get("/queues").json()["queues"][0]["finished"] == len(asked)


def test_a_burst_which_rq_itself_does_not_let_begin_leaves_the_queue_as_it_is(
    client: httpx.Client, valkey: Redis, settings: Settings
) -> None:
    urls = client.post("/chat", json=QUESTION).json()["urls"]

    def burst() -> str:
        with connect(redis_url(settings)) as connection:
            ConcurrentWorker(QUEUES, connection=connection, settings=settings).work(burst=True)
        return str(client.get(urls["status"]).json()["status"])

    with full(valkey):
        assert burst() == "queued"
    assert burst() == "finished"


def test_what_runs_long_does_not_seem_dead_and_can_be_stopped(
    client: httpx.Client, valkey: Redis, settings: Settings
) -> None:
    with ModelServer(knobs="ttft=60s") as model:
        slow = settings.model_copy(update={"openai_base_url": model.url, "chat_model": "test"})
        with closing(open_index(slow)) as index:
            add_document(index, *HANDBOOK)
        with working(slow):
            urls = client.post("/chat", json=QUESTION).json()["urls"]
            model.wait_until(lambda stats: stats["in_flight"] == 1)
            with full(valkey):
                first = alive_until(valkey)
                wait_until(lambda: alive_until(valkey) > first, "its heartbeat comes through")
                client.post(urls["cancel"]).raise_for_status()
                wait_until(lambda: client.get(urls["status"]).json()["status"] == "stopped", "it is stopped")


def alive_until(valkey: Redis) -> float:
    """When the one job that runs counts as lost."""
    found: Any = valkey.zrange(f"rq:wip:{QUERY_QUEUE}", 0, -1, withscores=True)
    [(_, score)] = found
    return float(score)


def test_a_lost_job_goes_back_to_the_queue(client: httpx.Client, valkey: Redis) -> None:
    job_id = client.post("/chat", json=QUESTION).json()["job_id"]
    valkey.lpop(f"rq:queue:{QUERY_QUEUE}")
    valkey.hset(f"rq:job:{job_id}", "status", "started")
    valkey.zadd(f"rq:wip:{QUERY_QUEUE}", {f"{job_id}:execution": 1})
    with full(valkey):
        recover(Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer))
        assert client.get(f"/job-status/{job_id}").json()["status"] == "queued"
        assert valkey.lrange(f"rq:queue:{QUERY_QUEUE}", 0, -1) == [job_id.encode()]


def test_ingest_by_the_queue_says_why_it_ends(
    valkey: Redis,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("Boats are varnished in autumn.")
    monkeypatch.setenv("REDIS_URL", redis_url(settings))
    monkeypatch.setenv("QDRANT_URL", str(settings.qdrant_url))
    monkeypatch.setenv("QDRANT_COLLECTION", settings.qdrant_collection)
    with full(valkey):
        assert ingest([str(folder), "--queue"]) == 2
    assert "no memory left" in capsys.readouterr().err


def test_the_embedded_valkey_is_bounded_and_what_it_took_before_it_was_full_is_answered(tmp_path: Path) -> None:
    service = start(tmp_path, VALKEY_MAXMEMORY_MB="8", MAX_QUEUE_DEPTH="100000")
    try:
        with connect(redis_url(Settings(data_dir=tmp_path / "data"))) as valkey, service.client() as client:
            stated: Any = valkey.config_get("maxmemory*")
            assert (stated["maxmemory"], stated["maxmemory-policy"]) == (str(8 * 2**20), "noeviction")
            taken = flood(client)
            assert len(taken) > 50
            assert {_status_at_the_end(client, job_id) for job_id in taken} == {"finished"}
            for job_id in taken[:20]:
                client.delete(f"/jobs/{job_id}").raise_for_status()
            valkey.config_set("maxmemory", 64 * 2**20)
            assert client.post("/chat", json=QUESTION).status_code == 202
    finally:
        assert service.stop() == 0, service.log.read_text()
    assert "Traceback" not in service.log.read_text()


def flood(client: httpx.Client) -> list[str]:
    """Ask, with long questions that compress badly, until nothing more is taken; the jobs."""
    taken = []
    while (answer := client.post("/chat", json={"query": "".join(uuid4().hex for _ in range(120))})).is_success:
        taken.append(str(answer.json()["job_id"]))
        assert len(taken) < 20_000
    assert_full(answer)
    return taken


def _status_at_the_end(client: httpx.Client, job_id: str) -> str:
    def result() -> httpx.Response | None:
        answer = client.get(f"/result/{job_id}")
        return answer if answer.status_code == 200 else None

    return str(wait_until(result, "it is answered").json()["status"])
