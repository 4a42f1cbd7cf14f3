"""A tenant with keys of its own, against another tenant of the same service: what is shared is shared by halves."""

import base64
import json
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.registry import ScheduledJobRegistry

from app.core.contract import (
    INGEST_QUEUE,
    PAGE_QUEUE,
    QUERY_QUEUE,
    WEBHOOK_QUEUE,
    AnswerJob,
    EmbedJob,
    EraseJob,
    PageJob,
    TaskJob,
    WebhookJob,
)
from app.core.errors import Limit
from app.core.events import EventType, log_key
from app.core.queue.connections import connect
from app.core.queue.outbox import OPEN
from app.core.queue.producer import add_to_queue, webhook_key
from app.core.queue.records import KINDS, WEBHOOK_RETRY_SECONDS, Payload
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.jobs.places import Places
from tests.integration.app.test_isolation import ROUTES
from tests.integration.app.test_jobs_api import fail
from tests.integration.app.test_waiting import append
from tests.support.api import serving
from tests.support.credentials import api_key, bearer
from tests.support.dripping import DRIPS, dripping
from tests.support.processes import wait_until
from tests.support.queue import take_off, waiting
from tests.support.scripted_server import Reply, ScriptedServer
from worker import webhooks
from worker.concurrent import ConcurrentWorker
from worker.runtime.recovery import recover
from worker.webhooks import send

DEPTH = 10
SHARE = DEPTH // 2

ACME, ACME_ENTRY = api_key("owner", tenant="acme", role="admin")
ACME_INGEST, ACME_INGEST_ENTRY = api_key("loader", tenant="acme", role="ingest")
ACME_ASK, ACME_ASK_ENTRY = api_key("asker", tenant="acme", role="ask")
OTHER, OTHER_ENTRY = api_key("owner", tenant="other", role="admin")
ENTRIES = ",".join([ACME_ENTRY, ACME_INGEST_ENTRY, ACME_ASK_ENTRY, OTHER_ENTRY])

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()

LEFT_OPEN = ExitStack()
"""What stays open until the test's service ends: a client of /v1 that goes away stops its job."""
Send = Callable[[httpx.Client, int], httpx.Response]


@contextmanager
def tenants(valkey_url: str, data_dir: Path, **settings: Any) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """A service with two tenants: clients of both."""
    stated: Mapping[str, Any] = {
        "redis_url": valkey_url,
        "qdrant_url": "http://127.0.0.1:9",
        "data_dir": data_dir,
        "api_keys": ENTRIES,
        "max_queue_depth": DEPTH,
        "embedding_model": "m",
    }
    with (
        serving(Settings(**{**stated, **settings})) as url,
        httpx.Client(base_url=url, headers=bearer(ACME), timeout=30) as acme,
        httpx.Client(base_url=url, headers=bearer(OTHER), timeout=30) as other,
        LEFT_OPEN,
    ):
        yield acme, other


def ask(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/chat", json={"query": f"question {number}"})


def search(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/search", json={"query": f"search {number}"})


def complete(client: httpx.Client, number: int) -> httpx.Response:
    asked = {"model": "rag-queue", "messages": [{"role": "user", "content": f"question {number}"}], "stream": True}
    return LEFT_OPEN.enter_context(client.stream("POST", "/v1/chat/completions", json=asked))


def respond(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/v1/responses", json={"model": "rag-queue", "input": str(number), "background": True})


def embed(client: httpx.Client, number: int) -> httpx.Response:
    """A client that waits for what nobody works on."""
    connection = HTTPConnection(client.base_url.netloc.decode(), timeout=0.2)
    LEFT_OPEN.callback(connection.close)
    headers = {"Content-Type": "application/json", "Authorization": client.headers["Authorization"]}
    connection.request("POST", "/v1/embeddings", json.dumps({"model": "m", "input": str(number)}), headers)
    try:
        answer = connection.getresponse()
    except TimeoutError:
        return httpx.Response(202)
    return httpx.Response(answer.status, headers=dict(answer.getheaders()), content=answer.read())


def upload(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/documents", files={"files": (f"{number}.txt", f"Text {number}.".encode(), "text/plain")})


def look(client: httpx.Client, number: int) -> httpx.Response:
    return look_at(client, f"{number + 1}")


def draw(client: httpx.Client, number: int) -> httpx.Response:
    return look_at(client, f"{number + 1}.png")


def look_at(client: httpx.Client, page: str) -> httpx.Response:
    """A look at a page that nobody works on, and for which the client does not wait."""
    listed = client.get("/documents").json()["documents"]
    document = listed[0] if listed else upload(client, 0).raise_for_status().json()["documents"][0]
    answer = client.get(f"/documents/{document['document_id']}/pages/{page}", params={"wait": 0})
    return httpx.Response(202) if answer.json()["type"] == "urn:problem:page-pending" else answer


WAYS: Mapping[tuple[str, str], tuple[str, Send]] = {
    ("POST", "/chat"): (QUERY_QUEUE, ask),
    ("POST", "/search"): (QUERY_QUEUE, search),
    ("POST", "/v1/chat/completions"): (QUERY_QUEUE, complete),
    ("POST", "/v1/responses"): (QUERY_QUEUE, respond),
    ("POST", "/v1/embeddings"): (QUERY_QUEUE, embed),
    ("POST", "/documents"): (INGEST_QUEUE, upload),
    ("GET", "/documents/{document_id}/pages/{n}"): (PAGE_QUEUE, look),
    ("GET", "/documents/{document_id}/pages/{n}.png"): (PAGE_QUEUE, draw),
}
"""Every route that puts a new job on a queue, and the queue; but for a document's deletion."""


def test_every_post_that_makes_no_job_acts_on_one() -> None:
    assert {(method, path) for method, path in ROUTES if method == "POST"} - set(WAYS) <= set(ACTS) | {
        ("POST", "/jobs/{job_id}/ticket"),
        ("POST", "/jobs/{job_id}/feedback"),
        ("POST", "/v1/conversations"),
        ("POST", "/v1/files"),
        ("POST", "/v1/batches"),
        ("POST", "/v1/batches/{batch_id}/cancel"),
    }


@pytest.mark.parametrize("route", WAYS, ids=lambda route: route[1])
def test_a_flood_of_one_tenant_takes_half_of_a_queue_and_leaves_the_other(
    valkey: Redis, valkey_url: str, tmp_path: Path, route: tuple[str, str]
) -> None:
    queue, send = WAYS[route]
    with tenants(valkey_url, tmp_path) as (acme, other):
        answers = [send(acme, number) for number in range(DEPTH + 5)]
        assert [answer.status_code for answer in answers[SHARE:]] == [429] * (DEPTH + 5 - SHARE)
        assert all(answer.headers["retry-after"] for answer in answers[SHARE:])
        assert len(waiting(valkey, queue)) == SHARE
        assert all(send(other, number).is_success for number in range(SHARE)), "the other half is the other's"
        assert send(other, 99).status_code == 429


@pytest.mark.parametrize("route", WAYS, ids=lambda route: route[1])
def test_every_job_has_its_turn_by_the_weight_of_the_key_that_asked(
    valkey: Redis, valkey_url: str, tmp_path: Path, route: tuple[str, str]
) -> None:
    queue, send = WAYS[route]
    key, entry = api_key("heavy", tenant="heavy", role="admin", weight=3)
    with tenants(valkey_url, tmp_path, api_keys=f"{ENTRIES},{entry}") as (acme, other):
        other.headers.update(bearer(key))
        for _ in range(2):
            send(acme, 0)
            send(other, 0)
        weights = {job_id: valkey.hget(Job.key_for(job_id), "weight") for job_id in waiting(valkey, queue)}
    assert set(weights.values()) == {None, b"3"}


@pytest.mark.parametrize(("path", "low"), [
    ("/chat", {"query": "?", "priority": "low"}),
    ("/search", {"query": "?", "priority": "low"}),
    ("/v1/chat/completions", {"model": "rag-queue", "messages": [{"role": "user", "content": "?"}], "stream": True}),
    ("/v1/responses", {"model": "rag-queue", "input": "?", "background": True}),
])  # fmt: skip
def test_what_is_asked_at_low_priority_stands_behind_what_is_not(
    valkey: Redis, valkey_url: str, tmp_path: Path, path: str, low: dict[str, Any]
) -> None:
    more = {} if "priority" in low else {"service_tier": "flex"}
    with tenants(valkey_url, tmp_path) as (acme, other):
        ask(acme, 1)
        with acme.stream("POST", path, json=low | more) as answer:
            assert answer.is_success
            [bulk] = waiting(valkey, QUERY_QUEUE)[1:]
            usual = ask(other, 2).json()
            assert waiting(valkey, QUERY_QUEUE)[1:] == [usual["job_id"], bulk]
            assert usual["position"] == 2


def test_a_priority_that_is_none_is_refused(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path) as (acme, _):
        answer = acme.post("/chat", json={"query": "?", "priority": "high"})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/priority")


def test_the_refusal_says_that_it_is_the_tenants_share(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path) as (acme, _):
        for number in range(SHARE):
            ask(acme, number)
        assert ask(acme, 99).json()["type"] == "urn:problem:queue-share-full"
        assert respond(acme, 99).json()["error"]["code"] == "queue_share_full"


def test_a_document_is_deleted_within_the_share_too(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path) as (acme, other):
        documents = [upload(acme, number).json()["documents"][0]["document_id"] for number in range(SHARE)]
        assert acme.delete(f"/documents/{documents[0]}").status_code == 429
        assert document_of(acme, documents[0])["status"] == "queued", "it is there as it was"
        assert upload(other, 0).is_success


def test_a_full_queue_is_nobodys_share(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    third, entry = api_key("owner", tenant="third", role="admin")
    with tenants(valkey_url, tmp_path, api_keys=f"{ENTRIES},{entry}") as (acme, other):
        for number in range(SHARE):
            assert ask(acme, number).is_success
            assert ask(other, number).is_success
        full = acme.post("/chat", json={"query": "?"}, headers=bearer(third))
        assert (full.status_code, full.json()["type"]) == (503, "urn:problem:queue-full")


def test_dead_letters_that_are_sent_back_count(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path) as (acme, other):
        dead = []
        for number in range(2 * SHARE):
            dead.append(ask(acme, number).raise_for_status().json()["job_id"])
            fail(valkey, dead[-1])
        sent_back = [acme.post(f"/jobs/{job_id}/requeue").status_code for job_id in dead]
        assert sorted(sent_back) == [200] * SHARE + [429] * SHARE
        assert ask(other, 0).is_success


def test_jobs_that_wait_for_a_retry_count(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    """Else a tenant whose questions the provider refuses could fill the queue, and all would come due at once."""
    with tenants(valkey_url, tmp_path) as (acme, other):
        for number in range(SHARE):
            job_id = ask(acme, number).json()["job_id"]
            take_off(valkey, QUERY_QUEUE, job_id)
            valkey.hset(Job.key_for(job_id), "status", "scheduled")
            valkey.zadd(ScheduledJobRegistry.key_template.format(QUERY_QUEUE), {job_id: 2**40})
        assert ask(acme, 99).status_code == 429
        assert ask(other, 0).is_success


@pytest.mark.parametrize("left", ["taken by a worker that tells nobody", "cancelled", "removed by RQ"])
def test_a_job_that_has_left_the_queue_is_soon_counted_no_more(
    valkey: Redis, valkey_url: str, tmp_path: Path, left: str
) -> None:
    with tenants(valkey_url, tmp_path) as (acme, _):
        ids = [ask(acme, number).json()["job_id"] for number in range(SHARE)]
        assert ask(acme, 99).status_code == 429
        if left == "cancelled":
            acme.post(f"/jobs/{ids[0]}/cancel")
        elif left == "removed by RQ":
            Job(ids[0], connection=valkey).delete()
        else:
            valkey.lmove(f"rq:queue:{QUERY_QUEUE}", f"rq:queue:{QUERY_QUEUE}:intermediate", "LEFT", "RIGHT")
        wait_until(lambda: ask(acme, 100).is_success, "there is room again", seconds=5)
        assert ask(acme, 101).status_code == 429


@pytest.mark.parametrize("keys", [None, ACME_ENTRY, f"{ACME_ENTRY},{ACME_ASK_ENTRY}"])
def test_where_there_is_one_tenant_the_whole_queue_is_its_own(
    valkey: Redis, valkey_url: str, tmp_path: Path, keys: str | None
) -> None:
    with tenants(valkey_url, tmp_path, api_keys=keys) as (acme, _):
        answers = [ask(acme, number).status_code for number in range(DEPTH + 1)]
        assert answers == [202] * DEPTH + [503]


def test_a_token_may_be_of_any_tenant(valkey: Redis) -> None:
    assert Settings(jwt_secret="s" * 32, max_queue_depth=DEPTH).tenant_queue_depth == SHARE


def test_what_stands_in_valkey_for_a_tenant_breaks_no_count(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path) as (acme, other):
        for number, hostile in enumerate((b"", b"*", b"\xff\0", b"x" * 100_000)):
            valkey.hset(Job.key_for(ask(acme, number).json()["job_id"]), "tenant", hostile)
        valkey.set(Job.key_for("no-hash"), "a string")
        valkey.rpush(f"rq:queue:{QUERY_QUEUE}", "no-hash", b"\xff")
        assert [ask(other, number).status_code for number in range(SHARE)] == [202] * (DEPTH - 6) + [503]
        assert 0 < valkey.pttl(f"rag:waiting:{QUERY_QUEUE}") <= 1_000


ROLE_KEYS = {"ask": ACME_ASK, "ingest": ACME_INGEST, "admin": ACME}
KIND_ROLES = {
    "answer": "ask",
    "search": "ask",
    "task": "ask",
    "embed": "ask",
    "ingest": "ingest",
    "delete": "ingest",
    "erase": "admin",
    "page": "ask",
    "webhook": None,
}
"""The role that makes jobs of a kind, and that may stop them; None: nobody."""
RANKS = list(ROLE_KEYS)
ACTS = {
    ("POST", "/jobs/{job_id}/cancel"): "ask",
    ("DELETE", "/jobs/{job_id}"): "ask",
    ("POST", "/jobs/{job_id}/requeue"): "admin",
    ("DELETE", "/jobs"): "admin",
    ("POST", "/failed-jobs/requeue"): "admin",
    ("POST", "/failed-jobs/delete"): "admin",
    ("POST", "/v1/responses/{response_id}/cancel"): "ask",
    ("DELETE", "/v1/responses/{response_id}"): "ask",
}
"""Every route that acts on a job that there is, and the role that it is for at least."""
BULK = {"/jobs", "/failed-jobs/requeue", "/failed-jobs/delete"}
"""Those that act on failed jobs alone, on many at once."""


def test_every_route_that_acts_on_a_job_is_in_the_table() -> None:
    acting = {
        (method, path)
        for method, path in ROUTES
        if method not in ("GET", "HEAD") and ("{job_id}" in path or "{response_id}" in path or path in BULK)
    }
    saying = {("POST", "/jobs/{job_id}/ticket"), ("POST", "/jobs/{job_id}/feedback")}  # which leave the job as it is
    assert acting - saying == set(ACTS)


def test_every_kind_of_job_has_a_role() -> None:
    assert {kind.name for kind in KINDS.values()} == set(KIND_ROLES)


def made(client: httpx.Client, valkey: Redis, kind: str) -> str:
    """A job of this kind of the tenant's, which waits; its id."""
    if kind == "answer":
        return str(ask(client, 1).json()["job_id"])
    if kind == "search":
        return str(search(client, 1).json()["job_id"])
    if kind == "task":
        return add(valkey, kind, TaskJob(tenant="acme", task="A title."))
    if kind == "embed":
        return add(valkey, kind, EmbedJob(tenant="acme", texts=("?",), model="m"))
    if kind == "page":
        return add(valkey, kind, PageJob(tenant="acme", document_id="d", filename="a.pdf", sha256="0" * 64, page=1))
    if kind == "erase":
        return add(valkey, kind, EraseJob(tenant="acme", erased="acme"))
    document = upload(client, 1).json()["documents"][0]
    if kind == "ingest":
        return str(document["job_id"])
    if kind == "delete":
        client.delete(f"/documents/{document['document_id']}").raise_for_status()
        return waiting(valkey, INGEST_QUEUE)[-1]
    return add(valkey, "delivery", WebhookJob(tenant="acme", job_id="job"))


def add(valkey: Redis, job_id: str, payload: Payload) -> str:
    """The job's id, once it waits."""
    with valkey.pipeline() as pipeline:
        add_to_queue(pipeline, job_id, payload, Settings())
        pipeline.execute()
    return job_id


def expected(route: tuple[str, str], kind: str, role: str) -> int:
    """What a route answers about a waiting job."""
    method, path = route
    maker = KIND_ROLES[kind]
    if RANKS.index(role) < RANKS.index(ACTS[route]):
        return 403
    if path in BULK:
        return 200
    if maker is None or (path.startswith("/v1/") and kind not in ("answer", "task")):
        return 404
    if path.endswith("/requeue"):
        return 409
    if RANKS.index(role) < RANKS.index(maker):
        return 403
    if kind in ("delete", "erase"):
        return 409
    return 204 if (method, path) == ("DELETE", "/jobs/{job_id}") else 200


@pytest.mark.parametrize("kind", KIND_ROLES)
def test_who_makes_a_kind_of_job_stops_it_and_nobody_less(
    valkey: Redis, valkey_url: str, tmp_path: Path, kind: str
) -> None:
    with tenants(valkey_url, tmp_path) as (acme, _):
        for route in ACTS:
            for role, key in ROLE_KEYS.items():
                valkey.flushall()
                job_id = made(acme, valkey, kind)
                before = valkey.hget(Job.key_for(job_id), "status")
                path = route[1].replace("{job_id}", job_id).replace("{response_id}", f"resp_{job_id}")
                query = {"status": "failed"} if path == "/jobs" else {}
                body = {"job_ids": [job_id]} if path in BULK - {"/jobs"} else None
                answer = acme.request(route[0], path, headers=bearer(key), params=query, json=body)
                if body and answer.is_success:
                    assert answer.json()["done"] == 0, "it has not failed"
                assert answer.status_code == expected(route, kind, role), (route, role, answer.text)
                if not answer.is_success:
                    assert valkey.hget(Job.key_for(job_id), "status") == before == b"queued"


def document_of(client: httpx.Client, document_id: str) -> Any:
    return client.get(f"/documents/{document_id}").raise_for_status().json()


def stop_as_rq_does(valkey: Redis, job_id: str) -> None:
    job = Job.fetch(job_id, connection=valkey, serializer=PlainSerializer)
    job.cancel()


def lose_with_its_worker(valkey: Redis, job_id: str) -> None:
    """As a worker's maintenance gives up a job that has no attempt left."""
    execution = f"{job_id}:e"
    take_off(valkey, INGEST_QUEUE, job_id)
    valkey.hset(Job.key_for(job_id), mapping={"status": "started", "retries_left": 0})
    valkey.zadd(f"rq:wip:{INGEST_QUEUE}", {execution: 1})
    recover(Queue(INGEST_QUEUE, connection=valkey, serializer=PlainSerializer))


def stop_while_it_runs(valkey: Redis, job_id: str) -> None:
    """As RQ's own worker ends a job that it was told to stop: it kills the child, which tells nobody."""
    take_off(valkey, INGEST_QUEUE, job_id)
    valkey.hset(Job.key_for(job_id), "status", "stopped")


ENDS: Mapping[str, Callable[[httpx.Client, Redis, str], object]] = {
    "POST /jobs/{job_id}/cancel": lambda client, _, job_id: client.post(f"/jobs/{job_id}/cancel").raise_for_status(),
    "DELETE /jobs/{job_id}": lambda client, _, job_id: client.delete(f"/jobs/{job_id}").raise_for_status(),
    "RQ's cancel": lambda _, valkey, job_id: stop_as_rq_does(valkey, job_id),
    "RQ's stop of a running job": lambda _, valkey, job_id: stop_while_it_runs(valkey, job_id),
    "its worker's death": lambda _, valkey, job_id: lose_with_its_worker(valkey, job_id),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_document_whose_job_ends_before_its_time_does_not_wait_for_ever(
    valkey: Redis, valkey_url: str, tmp_path: Path, end: str
) -> None:
    with tenants(valkey_url, tmp_path) as (acme, _):
        document = upload(acme, 1).json()["documents"][0]
        ENDS[end](acme, valkey, document["job_id"])
        wait_until(
            lambda: document_of(acme, document["document_id"])["status"] == "failed", "the catalog hears", seconds=10
        )
        error = document_of(acme, document["document_id"])["error"]
        assert error["code"] == ("worker_lost" if end == "its worker's death" else "stopped")


def test_a_document_whose_failed_job_is_sent_back_waits_again(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path) as (acme, _):
        document = upload(acme, 1).json()["documents"][0]
        lose_with_its_worker(valkey, document["job_id"])
        wait_until(lambda: document_of(acme, document["document_id"])["status"] == "failed", "the catalog hears")
        acme.post(f"/jobs/{document['job_id']}/requeue").raise_for_status()
        again = document_of(acme, document["document_id"])
        assert (again["status"], again["error"]) == ("queued", None)


def test_a_newer_upload_does_not_fail_with_the_job_before_it(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path) as (acme, _):
        first = upload(acme, 1).json()["documents"][0]
        newer = acme.post("/documents", files={"files": ("1.txt", b"Other words.", "text/plain")}).json()[
            "documents"
        ][0]
        assert newer["document_id"] == first["document_id"]
        acme.post(f"/jobs/{first['job_id']}/cancel").raise_for_status()
        assert document_of(acme, first["document_id"])["status"] == "queued"
        acme.post(f"/jobs/{newer['job_id']}/cancel").raise_for_status()
        assert document_of(acme, first["document_id"])["status"] == "failed"


def test_own_failed_jobs_are_found_behind_any_number_of_anothers(
    valkey: Redis, valkey_url: str, tmp_path: Path
) -> None:
    with tenants(valkey_url, tmp_path) as (acme, other):
        own = [ask(acme, number).json()["job_id"] for number in range(2)]
        for job_id in own:
            fail(valkey, job_id)
        template = ask(other, 0).json()["job_id"]
        fail(valkey, template)
        record, registry = valkey.dump(Job.key_for(template)), f"rq:failed:{QUERY_QUEUE}"
        assert record is not None
        with valkey.pipeline(transaction=False) as pipeline:
            for number in range(10_500):
                pipeline.restore(Job.key_for(f"flood-{number}"), 0, record)
                pipeline.zadd(registry, {f"flood-{number}": 2**40 + number})
            pipeline.execute()
        listed = acme.get("/jobs", params={"status": "failed"}).json()["jobs"]
        assert {job["job_id"] for job in listed} == set(own)
        assert acme.delete("/jobs", params={"status": "failed"}).json() == {"removed": 2}
        assert valkey.zcard(registry) == 10_501


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("how", DRIPS)
def test_a_whole_delivery_has_its_time_however_the_receiver_drips(
    how: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 1.0)
    settings, body = Settings(webhook_allow_private=True), b"x" * 20_000_000
    began = monotonic()
    with dripping(how) as (port, taken):
        url = f"{scheme}://127.0.0.1:{port}/"
        with pytest.raises(webhooks.WebhookFailedError):
            send(url, body, {}, settings)
    assert taken
    assert monotonic() - began < 2.0


def test_a_host_that_takes_long_to_find_is_given_up_in_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()

    def find(*_: object, **__: object) -> list[Any]:
        is_over.wait(30)
        return []

    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(socket, "getaddrinfo", find)
    began = monotonic()
    with pytest.raises(webhooks.WebhookFailedError):
        send("https://hook.test/", b"{}", {}, Settings())
    is_over.set()
    assert monotonic() - began < 2.0


def add_delivery(valkey: Redis, job_id: str, tenant: str, url: str) -> None:
    """A delivery of an ended job's news to `url`, on its queue."""
    settings = Settings()
    with valkey.pipeline() as pipeline:
        add_to_queue(pipeline, job_id, AnswerJob(tenant=tenant, query="?"), settings)
        take_off(pipeline, QUERY_QUEUE, job_id)
        pipeline.hset(Job.key_for(job_id), "status", "stopped")
        pipeline.hset(webhook_key(job_id), mapping={"url": url, "secret": WEBHOOK_SECRET})
        add_to_queue(pipeline, f"{job_id}-webhook", WebhookJob(tenant=tenant, job_id=job_id), settings)
        pipeline.execute()


@contextmanager
def delivering(valkey_url: str, places: int) -> Iterator[None]:
    """A worker process that delivers webhooks, with so many places."""
    settings = Settings(
        redis_url=valkey_url, webhook_allow_private=True, webhook_concurrency=places, shutdown_grace_seconds=0
    )
    with connect(valkey_url) as connection:
        worker = ConcurrentWorker([WEBHOOK_QUEUE], connection=connection, settings=settings)
        thread = threading.Thread(target=worker.work)
        thread.start()
        try:
            yield
        finally:
            worker.stop()
            thread.join()


@pytest.mark.parametrize("places", [2, 4, 5])
def test_receivers_that_drip_leave_half_of_the_places_to_others(
    valkey: Redis, valkey_url: str, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 8.0)
    with dripping() as (port, dripped), closing(ScriptedServer(lambda _: Reply(204))) as receiver:
        for number in range(12):
            add_delivery(valkey, f"drip-{number}", "acme", f"http://127.0.0.1:{port}/")
        add_delivery(valkey, "good", "other", receiver.url)
        with delivering(valkey_url, places):
            wait_until(lambda: receiver.bodies, "the other tenant's news arrive", seconds=5)
            wait_until(lambda: len(dripped) == places // 2, "half of the places are taken")
            sleep(0.3)
            assert len(dripped) == places // 2
            first = Job.fetch("drip-0-webhook", connection=valkey, serializer=PlainSerializer)
            last = Job.fetch("drip-11-webhook", connection=valkey, serializer=PlainSerializer)
            assert (first.get_status(), last.get_status()) == ("started", "queued")
            assert last.retries_left == first.retries_left == len(WEBHOOK_RETRY_SECONDS), "no attempt is used up"


def test_a_tenants_many_quick_deliveries_all_arrive_behind_its_share(valkey: Redis, valkey_url: str) -> None:
    with closing(ScriptedServer(lambda _: Reply(204))) as receiver:
        for number in range(60):
            add_delivery(valkey, f"quick-{number}", "acme", receiver.url)
        with delivering(valkey_url, 4):
            wait_until(lambda: len(receiver.bodies) == 60, "all arrive", seconds=20)
        assert not valkey.llen(f"rq:queue:{WEBHOOK_QUEUE}")


@dataclass(frozen=True)
class Hold:
    """How a request is sent that stays open: a stream or a wait for a job of the tenant's that nobody runs."""

    limit: str
    call: Mapping[str, Any] = field(default_factory=dict)


CHAT: Mapping[str, Any] = {"model": "rag-queue", "messages": [{"role": "user", "content": "?"}]}
RESPONSE: Mapping[str, Any] = {"model": "rag-queue", "input": "?"}
WAIT: Mapping[str, Any] = {"headers": {"Prefer": "wait=60"}}

HOLDS: Mapping[tuple[str, str], tuple[Hold, ...]] = {
    ("GET", "/stream/{job_id}"): (Hold("streams"),),
    ("GET", "/job-status/{job_id}"): (Hold("waits", {"params": {"wait": 60}}),),
    ("GET", "/result/{job_id}"): (Hold("waits", {"params": {"wait": 60}}),),
    ("POST", "/chat"): (Hold("waits", {"json": {"query": "?"}, **WAIT}),),
    ("POST", "/search"): (Hold("waits", {"json": {"query": "?"}, **WAIT}),),
    ("POST", "/v1/chat/completions"): (
        Hold("waits", {"json": CHAT}),
        Hold("streams", {"json": {**CHAT, "stream": True}}),
    ),
    ("POST", "/v1/responses"): (
        Hold("waits", {"json": RESPONSE}),
        Hold("streams", {"json": {**RESPONSE, "stream": True}}),
        Hold("streams", {"json": {**RESPONSE, "stream": True, "background": True}}),
    ),
    ("GET", "/v1/responses/{response_id}"): (Hold("streams", {"params": {"stream": True}}),),
    ("POST", "/v1/embeddings"): (Hold("waits", {"json": {"model": "m", "input": "?"}}),),
    ("GET", "/documents/{document_id}/pages/{n}"): (Hold("waits"),),
    ("GET", "/documents/{document_id}/pages/{n}.png"): (Hold("waits"),),
    ("DELETE", "/jobs/{job_id}"): (Hold("waits"),),
    ("POST", "/v1/responses/{response_id}/cancel"): (Hold("waits"),),
    ("DELETE", "/v1/responses/{response_id}"): (Hold("waits"),),
    ("POST", "/documents"): (Hold("uploads"),),
    ("POST", "/v1/files"): (Hold("uploads"),),
    ("GET", "/history"): (Hold("streams", {"params": {"format": "csv"}}),),
}
"""Every route that may keep a connection open, and each way in which it does."""
QUICK = {
    ("POST", "/jobs/{job_id}/cancel"),
    ("POST", "/jobs/{job_id}/requeue"),
    ("POST", "/failed-jobs/requeue"),
    ("POST", "/failed-jobs/delete"),
    ("GET", "/jobs/{job_id}/timeline"),
    ("GET", "/jobs"),
    ("DELETE", "/jobs"),
    ("GET", "/queues"),
    ("GET", "/queues/history"),
    ("GET", "/workers"),
    ("GET", "/metrics"),
    ("GET", "/usage"),
    ("DELETE", "/tenants/{tenant}"),
    ("POST", "/jobs/{job_id}/feedback"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
    ("GET", "/conversations"),
    ("GET", "/conversations/{session_id}"),
    ("DELETE", "/conversations/{session_id}"),
    ("GET", "/collections"),
    ("GET", "/collections/{name}"),
    ("PUT", "/collections/{name}"),
    ("GET", "/documents"),
    ("GET", "/documents/{document_id}"),
    ("DELETE", "/documents/{document_id}"),
    ("GET", "/documents/{document_id}/file"),
    ("POST", "/jobs/{job_id}/ticket"),
    ("GET", "/v1/responses/{response_id}/input_items"),
    ("POST", "/v1/conversations"),
    ("GET", "/v1/conversations/{conversation_id}"),
    ("GET", "/v1/conversations/{conversation_id}/items"),
    ("DELETE", "/v1/conversations/{conversation_id}"),
    ("POST", "/v1/batches"),
    ("GET", "/v1/batches"),
    ("GET", "/v1/batches/{batch_id}"),
    ("POST", "/v1/batches/{batch_id}/cancel"),
    ("GET", "/v1/files"),
    ("GET", "/v1/files/{file_id}"),
    ("GET", "/v1/files/{file_id}/content"),
    ("DELETE", "/v1/files/{file_id}"),
    ("GET", "/session"),
    ("GET", "/page/answers/{job_id}"),
}
"""Routes that answer at once."""


def test_every_route_says_whether_it_keeps_a_connection_open() -> None:
    assert not QUICK & set(HOLDS)
    assert set(ROUTES) == QUICK | set(HOLDS)


def running(client: httpx.Client, valkey: Redis) -> str:
    """A job that runs until `stop_all`."""
    job_id = str(ask(client, 1).raise_for_status().json()["job_id"])
    take_off(valkey, QUERY_QUEUE, job_id)
    valkey.hset(Job.key_for(job_id), "status", "started")
    return job_id


def stop_all(valkey: Redis, job_ids: Iterable[str]) -> None:
    for job_id in job_ids:
        valkey.hset(Job.key_for(job_id), "status", "stopped")
        append(valkey, job_id, EventType.ENDED)


def half_an_upload(is_over: threading.Event) -> Iterator[bytes]:
    """A body whose end comes when the event is set."""
    yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n' + 600_000 * b"A"
    while not is_over.wait(0.05):
        yield b"A"
    yield b"\r\n--x--\r\n"


def upload_slowly(client: httpx.Client, is_over: threading.Event) -> httpx.Response:
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    return client.post("/documents", content=half_an_upload(is_over), headers=form)


MOST = 2
CAPS = {"key_max_streams": MOST, "key_max_waits": MOST, "key_max_uploads": MOST, "max_queue_depth": 100}


@contextmanager
def taken_up(limit: str, client: httpx.Client, valkey: Redis, data_dir: Path) -> Iterator[None]:
    """While the client's key has as many of these open as it may."""
    job_ids, is_over = [running(client, valkey) for _ in range(MOST)], threading.Event()

    def stream(job_id: str) -> str:
        return client.get(f"/stream/{job_id}").text

    def wait(job_id: str) -> str:
        return client.get(f"/result/{job_id}", params={"wait": 60}).text

    def send(job_id: str) -> str:
        return upload_slowly(client, is_over).text

    open_one = {"streams": stream, "waits": wait, "uploads": send}[limit]
    with ThreadPoolExecutor(MOST) as pool:
        opened = [pool.submit(open_one, job_id) for job_id in job_ids]
        try:
            if limit == "uploads":
                wait_until(lambda: len(list(data_dir.glob("documents/@drafts/*"))) == MOST, "uploads are under way")
            else:
                channels = [log_key(job_id) for job_id in job_ids]
                wait_until(lambda: all(count for _, count in valkey.pubsub_numsub(*channels)), "clients are attached")
            yield
        finally:
            is_over.set()
            stop_all(valkey, job_ids)
            for each in opened:
                each.result(30)


@pytest.mark.parametrize(
    ("route", "hold"),
    [(route, hold) for route, holds in HOLDS.items() for hold in holds],
    ids=lambda value: value.limit if isinstance(value, Hold) else " ".join(value),
)
def test_a_key_that_has_as_much_open_as_it_may_is_told_of_what(
    valkey: Redis, valkey_url: str, tmp_path: Path, route: tuple[str, str], hold: Hold
) -> None:
    with tenants(valkey_url, tmp_path, **CAPS) as (acme, _), taken_up(hold.limit, acme, valkey, tmp_path):
        job_id = running(acme, valkey)
        document_id = upload(acme, 1).json().get("documents", [{}])[0].get("document_id", "")
        ids = {"{job_id}": job_id, "{response_id}": f"resp_{job_id}", "{document_id}": document_id, "{n}": "1"}
        path = re.sub(r"{\w+}", lambda name: ids[name[0]], route[1])
        jobs = valkey.scard(OPEN)
        refused = acme.request(route[0], path, **hold.call)
        body = refused.json()
        assert refused.status_code == 429, body
        said = body["error"]["code"] if path.startswith("/v1/") else body["limit"]
        assert said == ("limit_reached" if path.startswith("/v1/") else hold.limit)
        assert refused.headers["retry-after"]
        assert valkey.scard(OPEN) == jobs, "who is refused has made no job"


@pytest.mark.parametrize("limit", ["streams", "waits", "uploads"])
def test_what_one_key_has_open_is_no_other_keys_and_is_given_back(
    valkey: Redis, valkey_url: str, tmp_path: Path, limit: str
) -> None:
    with (
        tenants(valkey_url, tmp_path, **CAPS) as (acme, other),
        httpx.Client(base_url=acme.base_url, headers=bearer(ACME_INGEST), timeout=30) as colleague,
    ):
        for client in (colleague, other, acme, acme):
            with taken_up(limit, client, valkey, tmp_path):
                pass
        if limit != "uploads":
            with taken_up(limit, acme, valkey, tmp_path), taken_up(limit, colleague, valkey, tmp_path):
                pass


def test_a_client_that_leaves_gives_its_place_back(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path, **CAPS) as (acme, _):
        job_id = running(acme, valkey)

        def follows() -> bool:
            with acme.stream("GET", f"/stream/{job_id}") as answer:
                return answer.status_code == 200

        for _ in range(5 * MOST):
            wait_until(follows, "there is a place", seconds=5)


def test_without_keys_there_is_no_such_limit(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    places = Places(Settings(key_max_streams=1))
    with places.held(Limit.STREAMS, "default/anonymous"), places.held(Limit.STREAMS, "default/anonymous"):
        pass
    few = {"api_keys": None, "tenant_max_documents": 1, "tenant_max_stored_mb": 1}
    with tenants(valkey_url, tmp_path, **few) as (client, _):
        assert [upload(client, number).status_code for number in range(3)] == [202] * 3


def test_a_tenant_has_so_many_documents_and_is_told(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path, tenant_max_documents=2, max_queue_depth=100) as (acme, other):
        first = upload(acme, 1).json()["documents"][0]["document_id"]
        assert upload(acme, 2).is_success
        refused = upload(acme, 3)
        assert (refused.status_code, refused.json()["limit"]) == (429, "documents")
        assert upload(acme, 2).is_success, "a document may be replaced"
        assert upload(other, 3).is_success
        acme.delete(f"/documents/{first}").raise_for_status()
        assert upload(acme, 3).is_success
        assert len(acme.get("/documents").json()["documents"]) == 2


MIB = 2**20


def upload_bytes(client: httpx.Client, name: str, size: int) -> httpx.Response:
    return client.post("/documents", files={"files": (f"{name}.txt", size * b"a", "text/plain")})


def test_a_tenant_has_so_many_bytes_and_is_told(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path, tenant_max_stored_mb=2, max_queue_depth=100) as (acme, other):
        first = upload_bytes(acme, "a", MIB).json()["documents"][0]["document_id"]
        assert upload_bytes(acme, "b", MIB).is_success
        refused = upload_bytes(acme, "c", 1)
        assert (refused.status_code, refused.json()["limit"]) == (429, "stored-bytes")
        assert len(list((tmp_path / "documents" / "acme").rglob("*"))) == 2, "its file is not kept: a folder and one"
        assert upload_bytes(other, "c", MIB).is_success
        assert upload_bytes(acme, "b", MIB - 1).is_success, "a document may shrink"
        assert upload_bytes(acme, "b", MIB).is_success
        acme.delete(f"/documents/{first}").raise_for_status()
        assert upload_bytes(acme, "c", MIB).is_success
        assert upload_bytes(acme, "d", 1).status_code == 429
        assert valkey.get("rag:stored:acme") == b"%d" % (2 * MIB)


def test_what_is_stored_is_counted_anew_from_the_documents_themselves(
    valkey: Redis, valkey_url: str, tmp_path: Path
) -> None:
    with tenants(valkey_url, tmp_path, tenant_max_stored_mb=2, max_queue_depth=100) as (acme, _):
        upload_bytes(acme, "a", MIB)
        upload_bytes(acme, "b", MIB // 2)
        assert 0 < valkey.ttl("rag:stored:acme") <= 3600
        valkey.delete("rag:stored:acme")
        assert upload_bytes(acme, "c", MIB).status_code == 429
        assert upload_bytes(acme, "c", MIB // 2).is_success
