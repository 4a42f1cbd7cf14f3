"""A client that goes away before its answer: which jobs are stopped for it, on every route that waits or follows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from rq.job import Job

from app.core.contract import DEFAULT_TENANT, JobStatus
from app.core.queue.producer import JobNotFoundError
from app.core.settings import Settings
from app.main import create_app
from tests.support.acting import ActingWorker, answer
from tests.support.api import serving
from tests.support.credentials import api_key, bearer
from tests.support.nginx import needs_nginx, nginx
from tests.support.processes import wait_until
from tests.support.queue import JobQueue

QUESTION = "When does the harbour open?"
CHAT: dict[str, Any] = {"model": "rag-queue", "messages": [{"role": "user", "content": QUESTION}]}
RESPONSE: dict[str, Any] = {"model": "rag-queue", "input": QUESTION}


@dataclass(frozen=True)
class Way:
    """A request that stays open until there is an answer."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


WAYS = {
    "completion": Way("/v1/chat/completions", CHAT),
    "completion streamed": Way("/v1/chat/completions", CHAT | {"stream": True}),
    "response": Way("/v1/responses", RESPONSE),
    "response streamed": Way("/v1/responses", RESPONSE | {"stream": True}),
    "embeddings": Way("/v1/embeddings", {"model": "embedder", "input": QUESTION}),
}
STORING = {name: way for name, way in WAYS.items() if name != "embeddings"}
"""Vectors are kept for nobody."""
WITHOUT_A_JOB = {"/v1/conversations", "/v1/files", "/v1/batches"}
"""Routes that take a body and answer by themselves: nothing waits, and nothing is to be stopped."""


@pytest.fixture(scope="module")
def settings(valkey_url: str) -> Settings:
    return Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", embedding_model="embedder")


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[str]:
    with serving(settings) as url:
        yield url


@pytest.fixture
def worker(valkey: Redis) -> ActingWorker:
    return ActingWorker(valkey)


def opened(api: str, way: Way) -> HTTPConnection:
    """A connection on which the request was sent, and nothing read."""
    connection = HTTPConnection(urlsplit(api).netloc, timeout=30)
    connection.request("POST", way.path, json.dumps(way.body), {"Content-Type": "application/json"} | way.headers)
    return connection


def status(worker: ActingWorker, job_id: str) -> JobStatus:
    return JobQueue(worker.valkey, Settings()).view(job_id, tenant=DEFAULT_TENANT).status


def is_told_to_stop(worker: ActingWorker, job_id: str) -> bool:
    return worker.valkey.hget(Job.key_for(job_id), "stop_requested") == b"1"


def left(api: str, way: Way, worker: ActingWorker, *, runs: bool) -> str:
    """The job of a client that has left, and is not followed any more."""
    connection = opened(api, way)
    job_id = worker.take()
    worker.wait_for_client(job_id)
    if runs:
        worker.start(job_id)
    connection.close()
    worker.wait_for_client(job_id, 0)
    return job_id


def test_every_route_that_waits_below_v1_is_tried() -> None:
    paths = create_app(Settings(redis_url="redis://127.0.0.1:9/0")).openapi()["paths"]
    asking = {
        path
        for path, methods in paths.items()
        if path.startswith("/v1/") and "requestBody" in methods.get("post", {})
    }
    assert asking - WITHOUT_A_JOB == {way.path for way in WAYS.values()}


@pytest.mark.parametrize("way", WAYS)
def test_who_leaves_stops_a_job_that_waits(api: str, worker: ActingWorker, way: str) -> None:
    job_id = left(api, WAYS[way], worker, runs=False)
    wait_until(lambda: has_stopped(worker, job_id), "it is stopped")


@pytest.mark.parametrize("way", WAYS)
def test_who_leaves_stops_a_job_that_runs(api: str, worker: ActingWorker, way: str) -> None:
    job_id = left(api, WAYS[way], worker, runs=True)
    wait_until(lambda: is_told_to_stop(worker, job_id), "its worker is told to stop it")


@needs_nginx
@pytest.mark.parametrize("way", WAYS)
def test_who_leaves_behind_nginx_stops_the_job_as_well(
    settings: Settings, worker: ActingWorker, way: str, tmp_path: Path
) -> None:
    key, entry = api_key("web")
    stated = Settings(**settings.model_dump(exclude_unset=True) | {"api_keys": entry, "trusted_proxies": "127.0.0.1"})
    with serving(stated) as url, nginx(tmp_path, url, "proxy_http_version 1.1; proxy_buffering off;") as proxy:
        asked = Way(WAYS[way].path, WAYS[way].body, bearer(key))
        job_id = left(proxy.url, asked, worker, runs=True)
        wait_until(lambda: is_told_to_stop(worker, job_id), "its worker is told to stop it")


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("way", STORING)
@pytest.mark.parametrize(
    "more", [({"store": True}, {}), ({}, {"Idempotency-Key": "again"})], ids=["store", "Idempotency-Key"]
)
def test_a_job_that_somebody_may_come_for_goes_on(
    api: str, worker: ActingWorker, way: str, more: tuple[dict[str, Any], dict[str, str]], *, runs: bool
) -> None:
    asked = Way(WAYS[way].path, WAYS[way].body | more[0], more[1])
    job_id = left(api, asked, worker, runs=runs)
    assert_goes_on(api, worker, job_id)


@pytest.mark.parametrize("way", STORING)
def test_what_is_not_to_be_stored_is_stopped(api: str, worker: ActingWorker, way: str) -> None:
    asked = Way(WAYS[way].path, WAYS[way].body | {"store": False})
    job_id = left(api, asked, worker, runs=True)
    wait_until(lambda: is_told_to_stop(worker, job_id), "its worker is told to stop it")


def test_a_response_in_the_background_goes_on(api: str, worker: ActingWorker) -> None:
    job_id = left(api, Way("/v1/responses", RESPONSE | {"background": True, "stream": True}), worker, runs=True)
    assert_goes_on(api, worker, job_id)


def test_who_only_watches_stops_nothing(api: str, worker: ActingWorker) -> None:
    job_id = left(api, Way("/v1/responses", RESPONSE | {"background": True, "stream": True}), worker, runs=True)
    connection = HTTPConnection(urlsplit(api).netloc, timeout=30)
    connection.request("GET", f"/v1/responses/resp_{job_id}?stream=true")
    worker.wait_for_client(job_id)
    connection.close()
    worker.wait_for_client(job_id, 0)
    assert_goes_on(api, worker, job_id)


@pytest.mark.parametrize("way", [Way("/chat", {"query": QUESTION}, {"Prefer": "wait=30"})], ids=["chat"])
def test_a_job_of_our_own_protocol_goes_on(api: str, worker: ActingWorker, way: Way) -> None:
    connection = opened(api, way)
    job_id = worker.take()
    worker.wait_for_client(job_id)
    worker.start(job_id)
    connection.close()
    assert_goes_on(api, worker, job_id)


@pytest.mark.parametrize("way", STORING)
def test_the_operator_may_let_every_job_go_on(api: str, settings: Settings, worker: ActingWorker, way: str) -> None:
    with serving(settings.model_copy(update={"cancel_on_disconnect": False})) as url:
        job_id = left(url, WAYS[way], worker, runs=True)
        assert_goes_on(api, worker, job_id)


@pytest.mark.parametrize("way", STORING)
def test_an_api_that_ends_stops_nothing(settings: Settings, worker: ActingWorker, way: str) -> None:
    """Its clients have not left: it has."""
    with serving(settings) as url:
        connection = opened(url, WAYS[way])
        job_id = worker.take()
        worker.wait_for_client(job_id)
        worker.start(job_id)
    connection.close()
    assert not is_told_to_stop(worker, job_id)
    assert status(worker, job_id) is JobStatus.STARTED


@pytest.mark.parametrize("way", ["completion", "response"])
def test_who_stays_has_the_answer(api: str, worker: ActingWorker, way: str) -> None:
    connection = opened(api, WAYS[way])
    job_id = worker.take()
    worker.wait_for_client(job_id)
    worker.start(job_id)
    worker.finish(job_id, answer("At six. [1]", pages=[3]))
    response = connection.getresponse()
    assert response.status == 200
    assert b"At six. [1]" in response.read()
    connection.close()
    assert_goes_on(api, worker, job_id, as_is=JobStatus.FINISHED)


def assert_goes_on(api: str, worker: ActingWorker, job_id: str, as_is: JobStatus | None = None) -> None:
    """Nothing was done about the job by the time that another client's leaving was acted upon."""
    before = status(worker, job_id)
    other = left(api, WAYS["completion streamed"], worker, runs=True)
    wait_until(lambda: is_told_to_stop(worker, other), "the other one's worker is told to stop it")
    assert not is_told_to_stop(worker, job_id)
    assert status(worker, job_id) is (as_is or before) is not JobStatus.STOPPED


def has_stopped(worker: ActingWorker, job_id: str) -> bool:
    """Or is gone: a request's vectors are nobody's when it has left."""
    try:
        return status(worker, job_id) is JobStatus.STOPPED
    except JobNotFoundError:
        return True
