"""Idempotency, removal, dead letters and queues, on a real Valkey."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.registry import FailedJobRegistry

from app.core.budget_keys import LEASES
from app.core.contract import QUERY_QUEUE
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.integration.app.test_waiting import append, finish, start
from tests.support.api import serving
from worker.runtime.budget import Budget, Limits


@pytest.fixture
def api(valkey: Redis, valkey_url: str) -> Iterator[httpx.Client]:
    settings = Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", max_queue_depth=5)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def ask(api: httpx.Client, query: str = "?", **headers: str) -> httpx.Response:
    return api.post("/chat", json={"query": query}, headers=headers)


def fail(valkey: Redis, job_id: str) -> None:
    """What a worker writes when a job has failed."""
    job = Job.fetch(job_id, connection=valkey, serializer=PlainSerializer)
    valkey.lrem(f"rq:queue:{QUERY_QUEUE}", 0, job_id)
    with valkey.pipeline() as pipeline:
        job.set_status(RqStatus.FAILED, pipeline)
        job.meta["error"] = "model_timeout"
        job.retries_left = 0
        job.save(pipeline=pipeline)
        job._handle_failure("trace", pipeline)
        pipeline.execute()


def test_the_same_key_and_body_are_the_same_job(api: httpx.Client, valkey: Redis) -> None:
    headers = {"Idempotency-Key": '"order-7"'}
    first, second = ask(api, **headers), ask(api, **headers)
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert valkey.llen(f"rq:queue:{QUERY_QUEUE}") == 1


def test_a_key_with_another_body_is_a_422_and_no_job(api: httpx.Client, valkey: Redis) -> None:
    headers = {"Idempotency-Key": "k"}
    ask(api, "one", **headers)
    other = ask(api, "two", **headers)
    assert (other.status_code, other.json()["type"]) == (422, "urn:problem:idempotency-key-reused")
    assert valkey.llen(f"rq:queue:{QUERY_QUEUE}") == 1


def test_a_key_lives_as_long_as_its_result(api: httpx.Client, valkey: Redis) -> None:
    headers = {"Idempotency-Key": "k"}
    first = ask(api, **headers).json()["job_id"]
    finish(valkey, first)
    assert ask(api, **headers).json()["job_id"] == first
    assert api.delete(f"/jobs/{first}").status_code == 204
    assert ask(api, **headers).json()["job_id"] != first


def test_a_replay_with_prefer_wait_has_the_result(api: httpx.Client, valkey: Redis) -> None:
    headers = {"Idempotency-Key": "k"}
    finish(valkey, ask(api, **headers).json()["job_id"])
    again = ask(api, **headers, Prefer="wait=5")
    assert (again.status_code, again.json()["result"]["answer"]) == (200, "Six.")
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("key", ["", '""', "a" * 256, "two words", 'a"b'])
def test_a_key_that_is_none_is_a_400(api: httpx.Client, key: str) -> None:
    response = ask(api, **{"Idempotency-Key": key})
    assert (response.status_code, response.json()["type"]) == (400, "urn:problem:bad-idempotency-key")


def test_keys_hold_for_search_and_chat_apart(api: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    ask(api, **headers)
    assert api.post("/search", json={"query": "?"}, headers=headers).status_code == 422


def test_a_full_queue_is_a_503_and_readiness_says_so(api: httpx.Client, valkey: Redis) -> None:
    assert [ask(api).json()["position"] for _ in range(5)] == [1, 2, 3, 4, 5]
    full = ask(api)
    assert (full.status_code, full.json()["type"]) == (503, "urn:problem:queue-full")
    assert full.headers["retry-after"]
    assert api.get("/readyz").json()["checks"]["queue"] == "full"


def test_a_removed_job_leaves_nothing(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api).json()["job_id"]
    start(valkey, job_id)
    finish(valkey, job_id)
    assert api.delete(f"/jobs/{job_id}").status_code == 204
    assert [key for key in valkey.scan_iter() if job_id.encode() in key] == []
    assert api.get(f"/result/{job_id}").status_code == 404
    assert api.delete(f"/jobs/{job_id}").status_code == 404


def test_a_waiting_job_that_is_removed_never_runs(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api).json()["job_id"]
    assert api.delete(f"/jobs/{job_id}").status_code == 204
    assert Queue(QUERY_QUEUE, connection=valkey).is_empty()


def test_failed_jobs_are_listed_sent_back_and_removed(api: httpx.Client, valkey: Redis) -> None:
    ids = [ask(api, str(number)).json()["job_id"] for number in range(3)]
    for job_id in ids:
        fail(valkey, job_id)
    listed = api.get("/jobs", params={"status": "failed"}).json()["jobs"]
    assert {job["job_id"] for job in listed} == set(ids)
    assert {job["error"]["code"] for job in listed} == {"model_timeout"}
    sent_back = api.post(f"/jobs/{ids[0]}/requeue")
    assert (sent_back.status_code, sent_back.json()["status"], sent_back.json()["attempt"]) == (200, "queued", 0)
    assert sent_back.json()["position"] == 1
    assert api.delete("/jobs", params={"status": "failed"}).json() == {"removed": 2}
    assert FailedJobRegistry(QUERY_QUEUE, connection=valkey).count == 0
    assert api.get(f"/job-status/{ids[0]}").json()["status"] == "queued"


def test_only_a_failed_job_is_sent_back(api: httpx.Client) -> None:
    response = api.post(f"/jobs/{ask(api).json()['job_id']}/requeue")
    assert (response.status_code, response.json()["type"]) == (409, "urn:problem:job-not-failed")


def test_a_job_that_was_sent_back_streams_on(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api).json()["job_id"]
    start(valkey, job_id)
    fail(valkey, job_id)
    from app.core.events import EventType

    append(valkey, job_id, EventType.ENDED)
    api.post(f"/jobs/{job_id}/requeue")
    start(valkey, job_id)
    finish(valkey, job_id)
    text = api.get(f"/stream/{job_id}").text
    assert [line[7:] for line in text.splitlines() if line.startswith("event: ")] == [
        "job.queued",
        "job.started",
        "job.started",
        "answer.completed",
    ]


def test_queues_show_depth_age_and_workers(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api).json()["job_id"]
    valkey.sadd(f"rq:workers:{QUERY_QUEUE}", "rq:worker:w1")
    valkey.hset("rq:worker:w1", mapping={"state": "busy", "current_job": job_id, "birth": "2026-01-01T00:00:00Z"})
    questions = api.get("/queues").json()["queues"][0]
    assert (questions["name"], questions["queued"]) == (QUERY_QUEUE, 1)
    assert 0 <= questions["oldest_seconds"] < 60
    assert questions["workers"] == [{"name": "w1", "state": "busy", "job_id": job_id}]


def test_workers_are_told_by_process_and_their_jobs_to_their_tenant_alone(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api).json()["job_id"]
    valkey.hset(Job.key_for("foreign"), "tenant", "other")
    about: dict[Any, Any] = {
        "birth": "2026-01-01T00:00:00.000000Z",
        "hostname": "h",
        "pid": 7,
        "last_heartbeat": "no time",
    }
    for number, running in enumerate((job_id, "foreign", "")):
        name = f"rq:worker:p.{QUERY_QUEUE}.{number}.0000000{number}"
        valkey.sadd(f"rq:workers:{QUERY_QUEUE}", name)
        valkey.hset(name, mapping=about | {"state": "busy" if running else "idle", "current_job": running})
    assert api.get("/workers").json()["workers"] == [
        {
            "name": "p",
            "hostname": "h",
            "pid": 7,
            "queues": [QUERY_QUEUE],
            "threads": 3,
            "busy": 2,
            "job_ids": [job_id],
            "started_at": "2026-01-01T00:00:00Z",
            "heartbeat_at": None,
        }
    ]


def test_without_limits_nothing_is_said_of_the_budget(api: httpx.Client) -> None:
    assert set(api.get("/queues").json()["budget"].values()) == {None}


def test_the_budget_is_what_all_workers_hold(valkey: Redis, valkey_url: str) -> None:
    model: dict[str, Any] = {"openai_base_url": "http://127.0.0.1:9", "chat_model": "m", "model_max_concurrency": 4}
    settings = Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", **model)
    held = Budget(valkey, Limits.of(settings), lease_seconds=60)
    assert held.acquire("one")
    assert held.acquire("two")
    assert held.acquire("one that waits for a job")
    valkey.zadd(LEASES, {"dead": 1})
    valkey.zadd(f"rq:wip:{QUERY_QUEUE}", {"a:e": 2e9, "b:e": 2e9})
    held.heed(429, {"retry-after": "30"})
    with serving(settings) as url:
        told = httpx.get(f"{url}/queues").json()["budget"]
        assert (told["in_flight"], told["concurrency"], told["requests_per_minute"]) == (2, 4, None)
        assert 20 < told["paused_seconds"] <= 30
        valkey.zrem(LEASES, "one")
        valkey.zrem(LEASES, "two")
        assert httpx.get(f"{url}/queues").json()["budget"]["in_flight"] == 1
        valkey.delete(LEASES)
        valkey.set(LEASES, "text")
        assert httpx.get(f"{url}/queues").json()["budget"]["in_flight"] == 0


def test_a_search_is_a_job_of_its_own_kind(api: httpx.Client) -> None:
    taken = api.post("/search", json={"query": "pump", "top_k": 3})
    assert taken.status_code == 202
    assert api.get(taken.json()["urls"]["status"]).json()["kind"] == "search"


@pytest.mark.parametrize("path", ["job-status", "result"])
def test_a_read_takes_a_wait_of_0_to_60_seconds_and_get_alone(api: httpx.Client, path: str) -> None:
    url = f"/{path}/{ask(api).json()['job_id']}"
    assert api.get(url, params={"wait": "0"}).is_success
    for wait in ("61", "-1", "x", ""):
        refused = api.get(url, params={"wait": wait})
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
        [error] = refused.json()["errors"]
        assert (error["in"], error["pointer"]) == ("query", "/wait")
    refused = api.post(url)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
