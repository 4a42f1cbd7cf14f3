"""A tenant with keys of its own, against another tenant of the same service: what is shared is shared by halves."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from rq.job import Job
from rq.registry import ScheduledJobRegistry

from app.core.contract import INGEST_QUEUE, QUERY_QUEUE
from app.core.settings import Settings
from tests.integration.app.test_jobs_api import fail
from tests.support.api import serving
from tests.support.credentials import api_key, bearer
from tests.support.processes import wait_until

DEPTH = 10
SHARE = DEPTH // 2

ACME, ACME_ENTRY = api_key("owner", tenant="acme", role="admin")
ACME_INGEST, ACME_INGEST_ENTRY = api_key("loader", tenant="acme", role="ingest")
ACME_ASK, ACME_ASK_ENTRY = api_key("asker", tenant="acme", role="ask")
OTHER, OTHER_ENTRY = api_key("owner", tenant="other", role="admin")
ENTRIES = ",".join([ACME_ENTRY, ACME_INGEST_ENTRY, ACME_ASK_ENTRY, OTHER_ENTRY])

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
    }
    with (
        serving(Settings(**{**stated, **settings})) as url,
        httpx.Client(base_url=url, headers=bearer(ACME), timeout=30) as acme,
        httpx.Client(base_url=url, headers=bearer(OTHER), timeout=30) as other,
    ):
        yield acme, other


def ask(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/chat", json={"query": f"question {number}"})


def search(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/search", json={"query": f"search {number}"})


def complete(client: httpx.Client, number: int) -> httpx.Response:
    asked = {"model": "rag-queue", "messages": [{"role": "user", "content": f"question {number}"}], "stream": True}
    with client.stream("POST", "/v1/chat/completions", json=asked) as answer:  # to leave does not stop the job
        return answer


def respond(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/v1/responses", json={"model": "rag-queue", "input": str(number), "background": True})


def upload(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/documents", files={"files": (f"{number}.txt", f"Text {number}.".encode(), "text/plain")})


WAYS: Mapping[tuple[str, str], tuple[str, Send]] = {
    ("POST", "/chat"): (QUERY_QUEUE, ask),
    ("POST", "/search"): (QUERY_QUEUE, search),
    ("POST", "/v1/chat/completions"): (QUERY_QUEUE, complete),
    ("POST", "/v1/responses"): (QUERY_QUEUE, respond),
    ("POST", "/documents"): (INGEST_QUEUE, upload),
}
"""Every route that puts a new job on a queue, and the queue."""


@pytest.mark.parametrize("route", WAYS, ids=lambda route: route[1])
def test_a_flood_of_one_tenant_takes_half_of_a_queue_and_leaves_the_other(
    valkey: Redis, valkey_url: str, tmp_path: Path, route: tuple[str, str]
) -> None:
    queue, send = WAYS[route]
    with tenants(valkey_url, tmp_path) as (acme, other):
        answers = [send(acme, number) for number in range(DEPTH + 5)]
        assert [answer.status_code for answer in answers[SHARE:]] == [429] * (DEPTH + 5 - SHARE)
        assert all(answer.headers["retry-after"] for answer in answers[SHARE:])
        assert valkey.llen(f"rq:queue:{queue}") == SHARE
        assert all(send(other, number).is_success for number in range(SHARE)), "the other half is the other's"
        assert send(other, 99).status_code == 429


def test_the_refusal_says_that_it_is_the_tenants_share(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    with tenants(valkey_url, tmp_path) as (acme, _):
        for number in range(SHARE):
            ask(acme, number)
        assert ask(acme, 99).json()["type"] == "urn:problem:queue-share-full"
        assert respond(acme, 99).json()["error"]["code"] == "queue_share_full"


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
            valkey.lrem(f"rq:queue:{QUERY_QUEUE}", 0, job_id)
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
        valkey.rpush(f"rq:queue:{QUERY_QUEUE}", "no-job", b"\xff")
        assert [ask(other, number).status_code for number in range(SHARE)] == [202] * (DEPTH - 6) + [503]
        assert 0 < valkey.pttl(f"rag:waiting:{QUERY_QUEUE}") <= 1_000
