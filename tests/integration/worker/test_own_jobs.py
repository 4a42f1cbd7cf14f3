"""Whoever can write to Valkey makes no worker run anything but this service's own jobs, with pickles or without."""

import os
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue
from rq.job import Job

from app.core.contract import ANSWER_JOB, INGEST_JOB, INGEST_QUEUE, QUERY_QUEUE, WEBHOOK_JOB, WEBHOOK_QUEUE
from app.core.queue.connections import connect
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.support import ROOT
from worker import ConcurrentWorker
from worker.runtime.own_job import FUNCTIONS, UNPACKED_BYTES_MAX

OWN = {QUERY_QUEUE: ANSWER_JOB, INGEST_QUEUE: INGEST_JOB, WEBHOOK_QUEUE: WEBHOOK_JOB}


@pytest.fixture
def settings(valkey_url: str, qdrant_url: str) -> Settings:
    return Settings(redis_url=SecretStr(valkey_url), qdrant_url=qdrant_url, qdrant_collection=f"t{uuid4().hex}")


def by_ours(settings: Settings, queue: str) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        ConcurrentWorker([queue], connection=connection, settings=settings).work(burst=True)


def by_stock_with_our_job_class(settings: Settings, queue: str) -> None:
    by_stock(settings, queue, RQ_JOB_CLASS="worker.OwnJob")


def by_stock(settings: Settings, queue: str, **variables: str) -> None:
    assert settings.redis_url
    environment = os.environ | {
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "QDRANT_URL": settings.qdrant_url or "",
    }
    command = [str(Path(sys.executable).with_name("rq")), "worker", "--burst", queue]
    subprocess.run(command, env=environment | variables, cwd=ROOT, check=True, capture_output=True, timeout=60)


@pytest.fixture(params=[by_ours, by_stock_with_our_job_class])
def work(request: pytest.FixtureRequest) -> Callable[[Settings, str], None]:
    return request.param  # type: ignore[no-any-return]


def put(valkey: Redis, queue: str, data: bytes, fields: dict[str, str] | None = None) -> Job:
    """A job whose record holds `data`, as RQ writes records."""
    on = Queue(queue, connection=valkey, serializer=PlainSerializer)
    job = on.create_job(OWN[queue], args=({},))
    job.data = data
    on.enqueue_job(job)
    valkey.hset(job.key, "data", zlib.compress(data))
    for name, value in (fields or {}).items():
        valkey.hset(job.key, name, value)
    return job


def hostile_calls(queue: str, mark: Path) -> list[Any]:
    """What a record may ask to be called, none of it a job of ours as we enqueue it."""
    own = OWN[queue]
    touch = f"touch {mark}"
    another = next(name for other, name in OWN.items() if other != queue)
    return [
        ("os.system", None, (touch,), {}),
        ("subprocess.getoutput", None, (touch,), {}),
        ("builtins.eval", None, (f"open({str(mark)!r}, 'w')",), {}),
        ("os.system", None, ({"command": touch},), {}),
        ("pathlib.Path.touch", None, ({},), {}),
        ("tests.support.jobs.spin", None, ({"seconds": 0},), {}),
        (another, None, ({},), {}),
        ("touch", "anything", ({},), {}),
        (own, "an instance", ({},), {}),
        (own, None, ({},), {"more": 1}),
        (own, None, ({}, {}), {}),
        (own, None, (), {}),
        (own, None, ([],), {}),
        (own, None, {"payload": {}}, {}),
        (None, None, ({},), {}),
        ([own], None, ({},), {}),
        (own, None, ({},)),
        "os.system",
    ]


@pytest.mark.parametrize("queue", OWN)
def test_what_is_none_of_ours_is_not_called_and_fails(
    valkey: Redis, settings: Settings, tmp_path: Path, queue: str, work: Callable[[Settings, str], None]
) -> None:
    mark = tmp_path / "mark"
    jobs = [put(valkey, queue, pickle.dumps(call)) for call in hostile_calls(queue, mark)]
    work(settings, queue)
    assert not mark.exists()
    assert {valkey.hget(job.key, "status") for job in jobs} == {b"failed"}
    assert valkey.llen(f"rq:queue:{queue}") == 0


@pytest.mark.parametrize("queue", OWN)
def test_what_a_record_names_beside_its_function_is_not_called(
    valkey: Redis, settings: Settings, queue: str, work: Callable[[Settings, str], None]
) -> None:
    own = pickle.dumps((OWN[queue], None, ({},), {}))
    extras: list[dict[str, str]] = [
        {"success_callback_name": "builtins.print"},
        {"failure_callback_name": "os.abort"},
        {"stopped_callback_name": "os.abort"},
        {"webhooks": '[{"url": "http://127.0.0.1:9/", "method": "POST"}]'},
        {"dependency_ids": '["x"]'},
        {"dependency_id": "x"},
    ]
    jobs = [put(valkey, queue, own, fields) for fields in extras]
    work(settings, queue)
    assert {valkey.hget(job.key, "status") for job in jobs} == {b"failed"}


def test_a_stock_worker_calls_what_it_is_told(valkey: Redis, settings: Settings, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    put(valkey, QUERY_QUEUE, pickle.dumps(("os.system", None, (f"touch {mark}",), {})))
    by_stock(settings, QUERY_QUEUE)
    assert mark.exists(), "what README warns of is no longer so"


@pytest.mark.parametrize("queue", OWN)
def test_a_payload_is_unpacked_to_a_limit(
    valkey: Redis, settings: Settings, queue: str, work: Callable[[Settings, str], None]
) -> None:
    large = pickle.dumps((OWN[queue], None, ({"query": "x" * (2 * UNPACKED_BYTES_MAX)},), {}))
    jobs = [put(valkey, queue, large), put(valkey, queue, zlib.compress(large))]
    work(settings, queue)
    assert {valkey.hget(job.key, "status") for job in jobs} == {b"failed"}


def test_every_queue_is_tried() -> None:
    assert set(OWN) == set(FUNCTIONS)
    assert all(OWN[queue] in functions for queue, functions in FUNCTIONS.items())
