"""The dead letters: found by filter, page by page, and sent back or removed one, some or all, within the tenant."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from rq.job import Job
from rq.utils import utcformat

from app.core.contract import INGEST_QUEUE, QUERY_QUEUE
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.jobs import failed
from app.routes import failed_jobs
from tests.support.api import serving
from tests.support.credentials import api_key, bearer
from tests.support.queue import take_off, waiting

ACME, ACME_ENTRY = api_key("owner", tenant="acme", role="admin", rate="9999/second")
OTHER, OTHER_ENTRY = api_key("owner", tenant="other", role="admin", rate="9999/second")
DEPTH = 40


@pytest.fixture
def api(valkey: Redis, valkey_url: str, tmp_path: Path) -> Iterator[httpx.Client]:
    settings = Settings(
        redis_url=valkey_url,
        qdrant_url="http://127.0.0.1:9",
        data_dir=tmp_path,
        api_keys=f"{ACME_ENTRY},{OTHER_ENTRY}",
        max_queue_depth=DEPTH,
    )
    with serving(settings) as url, httpx.Client(base_url=url, headers=bearer(ACME), timeout=30) as client:
        yield client


def ask(api: httpx.Client, query: str = "?", key: str = ACME, path: str = "/chat") -> str:
    return str(api.post(path, json={"query": query}, headers=bearer(key)).raise_for_status().json()["job_id"])


def fail(valkey: Redis, job_id: str, *, at: int = 1_000, code: str = "model_timeout") -> str:
    """What a worker writes when a job has failed, as if at second `at`."""
    key = Job.key_for(job_id)
    found: Any = valkey.hmget(key, "origin", "meta")
    queue, meta = found[0].decode(), PlainSerializer.loads(found[1])
    ended = utcformat(_second(at))
    with valkey.pipeline() as pipeline:
        take_off(pipeline, queue, job_id)
        pipeline.hset(key, mapping={"status": "failed", "ended_at": ended, "retries_left": 0})
        pipeline.hset(key, "meta", PlainSerializer.dumps(meta | {"error": code}))
        pipeline.zadd(f"rq:failed:{queue}", {job_id: 2_000_000_000 + at})
        pipeline.execute()
    return job_id


def _second(at: int) -> datetime:
    return datetime(2026, 11, 26, tzinfo=UTC) + timedelta(seconds=at)


def pages(api: httpx.Client, **asked: Any) -> list[list[str]]:
    """The ids of each page, to the last."""
    found, cursor = [], None
    while True:
        query = {"status": "failed", **asked} | ({"cursor": cursor} if cursor else {})
        page = api.get("/jobs", params=query).raise_for_status().json()
        found.append([job["job_id"] for job in page["jobs"]])
        if (cursor := page["next_cursor"]) is None:
            return found


def listed(api: httpx.Client, **asked: Any) -> list[str]:
    return [job_id for page in pages(api, **asked) for job_id in page]


def test_the_latest_come_first_whichever_queue_they_are_of(api: httpx.Client, valkey: Redis) -> None:
    sent = api.post("/documents", files={"files": ("a.txt", b"Text.", "text/plain")}).json()["documents"][0]["job_id"]
    first, last = ask(api), ask(api)
    fail(valkey, first, at=1)
    fail(valkey, sent, at=2, code="internal_error")
    fail(valkey, last, at=3)
    assert listed(api) == [last, sent, first]
    told = {job["job_id"]: job for job in api.get("/jobs", params={"status": "failed"}).json()["jobs"]}
    assert (told[sent]["queue"], told[sent]["kind"]) == (INGEST_QUEUE, "ingest")
    assert (told[last]["queue"], told[last]["attempt"], told[last]["error"]["code"]) == (
        QUERY_QUEUE,
        10,
        "model_timeout",
    )
    assert told[last]["ended_at"] == "2026-11-26T00:00:03Z"


def test_every_job_is_on_one_page_also_when_all_failed_in_the_same_second(api: httpx.Client, valkey: Redis) -> None:
    ids = {fail(valkey, ask(api)) for _ in range(11)}
    found = pages(api, limit=4)
    assert [len(page) for page in found] == [4, 4, 3]
    assert {job_id for page in found for job_id in page} == ids


def test_a_page_goes_on_after_a_job_that_is_gone_by_now(api: httpx.Client, valkey: Redis) -> None:
    ids = [fail(valkey, ask(api), at=at // 4) for at in range(8)]
    page = api.get("/jobs", params={"status": "failed", "limit": 6}).json()
    seen = [job["job_id"] for job in page["jobs"]]
    api.delete(f"/jobs/{seen[-1]}").raise_for_status()
    rest = api.get("/jobs", params={"status": "failed", "cursor": page["next_cursor"]}).json()
    assert {job["job_id"] for job in rest["jobs"]} == set(ids) - set(seen)
    assert rest["next_cursor"] is None


def test_a_page_looks_at_so_many_jobs_and_says_where_it_goes_on(
    api: httpx.Client, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in {"LOOK_MAX": 3, "STEP": 2, "CHUNK": 2}.items():
        monkeypatch.setattr(failed, name, number)
    for at in range(5, 12):
        fail(valkey, ask(api, key=OTHER), at=at)
    mine = [fail(valkey, ask(api), at=at) for at in (4, 3, 2, 1, 20)]
    assert pages(api, limit=2) == [[mine[4], mine[0]], mine[1:3], [mine[3]]], "others' are looked through at once"
    other = fail(valkey, ask(api), at=0, code="model_auth_failed")
    found = pages(api, code="model_auth_failed")
    assert [] in found, "pages of own jobs that do not fit"
    assert [job_id for page in found for job_id in page] == [other]


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({}, {"timeout", "auth", "search", "document"}),
    ({"queue": QUERY_QUEUE}, {"timeout", "auth", "search"}),
    ({"queue": INGEST_QUEUE}, {"document"}),
    ({"kind": "search"}, {"search"}),
    ({"kind": "ingest"}, {"document"}),
    ({"kind": "ingest", "queue": QUERY_QUEUE}, set()),
    ({"code": "model_timeout"}, {"timeout", "search"}),
    ({"code": "model_timeout", "kind": "answer"}, {"timeout"}),
    ({"text": "THE MODEL DID NOT ANSWER"}, {"timeout", "search"}),
    ({"text": "no such words"}, set()),
    ({"since": "2026-11-26T00:00:03Z"}, {"search", "document"}),
    ({"since": "2026-11-26T01:00:03+01:00"}, {"search", "document"}),
]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS, ids=str)
def test_a_filter_lets_through_what_all_of_it_fits(
    api: httpx.Client, valkey: Redis, wanted: dict[str, str], expected: set[str]
) -> None:
    sent = api.post("/documents", files={"files": ("a.txt", b"Text.", "text/plain")}).json()["documents"][0]["job_id"]
    ids = {
        fail(valkey, ask(api), at=1): "timeout",
        fail(valkey, ask(api), at=2, code="model_auth_failed"): "auth",
        fail(valkey, ask(api, path="/search"), at=3): "search",
        fail(valkey, sent, at=4, code="internal_error"): "document",
    }
    assert {ids[job_id] for job_id in listed(api, **wanted)} == expected


@pytest.mark.parametrize("asked", [
    {"queue": "rag_webhooks"}, {"kind": "webhook"}, {"code": "no_such"}, {"since": "yesterday"}, {"cursor": "1"},
    {"since": "2026-11-26T00:00:00"}, {"cursor": "inf:a"}, {"cursor": "1:\n"}, {"limit": "0"}, {"limit": "1001"},
    {"cursor": "1e5:a"}, {"text": "x" * 201}, {"status": "finished"}, {"more": "1"},
], ids=str)  # fmt: skip
def test_a_filter_of_another_form_is_a_422(api: httpx.Client, asked: dict[str, str]) -> None:
    assert api.get("/jobs", params={"status": "failed", **asked}).status_code == 422


def test_those_chosen_are_sent_back_and_the_others_are_told_why(api: httpx.Client, valkey: Redis) -> None:
    chosen, left, waits = fail(valkey, ask(api)), fail(valkey, ask(api)), ask(api)
    foreign = fail(valkey, ask(api, key=OTHER))
    answer = api.post("/failed-jobs/requeue", json={"job_ids": [chosen, waits, foreign, "no-such", chosen]}).json()
    assert (answer["done"], answer["next_cursor"]) == (1, None)
    assert {problem["job_id"]: problem["type"] for problem in answer["problems"]} == {
        waits: "urn:problem:job-not-failed",
        foreign: "urn:problem:job-not-found",
        "no-such": "urn:problem:job-not-found",
    }
    assert api.get(f"/job-status/{chosen}").json()["status"] == "queued"
    assert listed(api) == [left]
    assert valkey.hget(Job.key_for(foreign), "status") == b"failed"


def test_those_chosen_are_removed_if_they_have_failed(api: httpx.Client, valkey: Redis) -> None:
    gone, waits, foreign = fail(valkey, ask(api)), ask(api), fail(valkey, ask(api, key=OTHER))
    answer = api.post("/failed-jobs/delete", json={"job_ids": [gone, waits, foreign]}).json()
    assert (answer["done"], len(answer["problems"])) == (1, 2)
    assert [key for key in valkey.scan_iter() if gone.encode() in key] == []
    assert api.get(f"/job-status/{waits}").json()["status"] == "queued"
    assert valkey.exists(Job.key_for(foreign))


@pytest.mark.parametrize("act", ["requeue", "delete"])
def test_all_that_match_are_done_some_at_a_time(
    api: httpx.Client, valkey: Redis, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    monkeypatch.setattr(failed_jobs, "CHOSEN_MAX", 3)
    wanted = {fail(valkey, ask(api)) for _ in range(7)}
    other = fail(valkey, ask(api), code="model_auth_failed")
    foreign = fail(valkey, ask(api, key=OTHER))
    body: dict[str, Any] = {"filter": {"code": "model_timeout"}}
    done = []
    while True:
        answer = api.post(f"/failed-jobs/{act}", json=body).raise_for_status().json()
        done.append(answer["done"])
        assert answer["problems"] == []
        if answer["next_cursor"] is None:
            break
        body["cursor"] = answer["next_cursor"]
    assert sum(done) == 7
    assert max(done) == 3
    assert listed(api) == [other]
    assert valkey.hget(Job.key_for(foreign), "status") == b"failed"
    left = {job_id for job_id in wanted if valkey.exists(Job.key_for(job_id))}
    assert left == (wanted if act == "requeue" else set())


def test_at_the_tenants_share_the_rest_stays_failed_and_the_cursor_goes_on(api: httpx.Client, valkey: Redis) -> None:
    ids = [fail(valkey, ask(api), at=at) for at in range(5)]
    for _ in range(DEPTH // 2 - 2):
        ask(api)
    body: dict[str, Any] = {"filter": {}}
    answer = api.post("/failed-jobs/requeue", json=body).json()
    assert answer["done"] == 2
    assert answer["next_cursor"].endswith(ids[3])
    assert listed(api) == ids[2::-1]
    refused = api.post("/failed-jobs/requeue", json=body | {"cursor": answer["next_cursor"]})
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:problem:queue-share-full")
    for job_id in waiting(valkey, QUERY_QUEUE):
        take_off(valkey, QUERY_QUEUE, job_id)
    valkey.delete(f"rag:waiting:{QUERY_QUEUE}")
    rest = api.post("/failed-jobs/requeue", json=body | {"cursor": answer["next_cursor"]}).json()
    assert (rest["done"], rest["next_cursor"]) == (3, None)


@pytest.mark.parametrize("body", [
    {}, {"job_ids": []}, {"job_ids": ["a"], "filter": {}}, {"job_ids": ["a b"]}, {"job_ids": ["a"] * 501},
    {"job_ids": ["a"], "cursor": "1:a"}, {"filter": {"more": 1}}, {"filter": {}, "cursor": "x"}, {"filter": None},
], ids=lambda body: str(body)[:40])  # fmt: skip
@pytest.mark.parametrize("act", ["requeue", "delete"])
def test_a_choice_of_another_form_is_a_422_and_nothing_happens(
    api: httpx.Client, valkey: Redis, act: str, body: dict[str, Any]
) -> None:
    job_id = fail(valkey, ask(api))
    assert api.post(f"/failed-jobs/{act}", json=body).status_code == 422
    assert listed(api) == [job_id]


def test_a_hostile_registry_hides_nobodys_jobs(api: httpx.Client, valkey: Redis) -> None:
    job_id = fail(valkey, ask(api))
    registry = f"rq:failed:{QUERY_QUEUE}"
    hostile: dict[Any, Any] = {b"\xff": 3e9, "a b": 3e9, "x" * 200: 3e9, "text": 3e9, "gone": "inf", "nobody": 1e300}
    valkey.zadd(registry, hostile)
    valkey.set(Job.key_for("text"), "no record")
    valkey.hset(Job.key_for("nobody"), mapping={"status": "failed", "meta": b"no pickle"})
    assert listed(api) == [job_id]
    assert listed(api, limit=1) == [job_id]
    assert api.post("/failed-jobs/delete", json={"filter": {}}).json()["done"] == 1


def test_a_removed_documents_job_tells_the_catalog(api: httpx.Client, valkey: Redis) -> None:
    sent = api.post("/documents", files={"files": ("a.txt", b"Text.", "text/plain")}).json()["documents"][0]
    fail(valkey, sent["job_id"], code="internal_error")
    assert api.post("/failed-jobs/delete", json={"filter": {"kind": "ingest"}}).json()["done"] == 1
    assert api.get(f"/documents/{sent['document_id']}").json()["status"] == "failed"


def test_a_documents_job_that_is_sent_back_waits_in_the_catalog(api: httpx.Client, valkey: Redis) -> None:
    sent = api.post("/documents", files={"files": ("a.txt", b"Text.", "text/plain")}).json()["documents"][0]
    fail(valkey, sent["job_id"], code="internal_error")
    assert api.post("/failed-jobs/requeue", json={"filter": {"kind": "ingest"}}).json()["done"] == 1
    assert api.get(f"/documents/{sent['document_id']}").json()["status"] == "queued"
