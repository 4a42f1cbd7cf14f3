"""Whoever can write to Valkey makes no worker run anything but this service's own jobs, with pickles or without."""

import hashlib
import io
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

from app.core.contract import (
    DELETE_JOB,
    INGEST_QUEUE,
    PAGE_JOB,
    PAGE_QUEUE,
    QUERY_QUEUE,
    SEARCH_JOB,
    WEBHOOK_JOB,
    WEBHOOK_QUEUE,
)
from app.core.documents.files import open_store
from app.core.queue.connections import connect
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.support import ROOT
from worker import ConcurrentWorker
from worker.runtime.own_job import COMMANDS, FUNCTIONS

FILE = b"Nobody may row alone."

OWN: dict[str, tuple[str, dict[str, Any]]] = {
    QUERY_QUEUE: (SEARCH_JOB, {"query": "anything"}),
    INGEST_QUEUE: (DELETE_JOB, {"document_id": "none", "collection": "default"}),
    WEBHOOK_QUEUE: (WEBHOOK_JOB, {"job_id": "none"}),
    PAGE_QUEUE: (
        PAGE_JOB,
        {"document_id": "none", "filename": "a.txt", "sha256": hashlib.sha256(FILE).hexdigest(), "page": 1},
    ),
}
"""A job of each queue that ends well with nothing there but `FILE`: no documents, no webhook."""


@pytest.fixture(autouse=True)
def _file() -> None:
    open_store(Settings()).put_file("default", io.BytesIO(FILE))


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


def own_data(queue: str) -> bytes:
    function, payload = OWN[queue]
    return pickle.dumps((function, None, (payload,), {}))


def put(valkey: Redis, queue: str, data: bytes, fields: dict[str, str] | None = None) -> Job:
    """A job whose record holds `data`, as RQ writes records."""
    on = Queue(queue, connection=valkey, serializer=PlainSerializer)
    job = on.create_job(OWN[queue][0], args=({},))
    job.data = data
    on.enqueue_job(job)
    valkey.hset(job.key, "data", zlib.compress(data))
    for name, value in (fields or {}).items():
        valkey.hset(job.key, name, value)
    return job


def hostile_calls(queue: str, mark: Path) -> list[Any]:
    """What a record may ask to be called, none of it a job of ours as we enqueue it."""
    own, payload = OWN[queue]
    touch = f"touch {mark}"
    another, its_payload = next(job for other, job in OWN.items() if other != queue)
    return [
        ("os.system", None, (touch,), {}),
        ("subprocess.getoutput", None, (touch,), {}),
        ("builtins.eval", None, (f"open({str(mark)!r}, 'w')",), {}),
        ("builtins.dict", None, ({},), {}),
        ("tests.support.jobs.spin", None, ({"seconds": 0},), {}),
        (another, None, (its_payload,), {}),
        ("title", "an instance", (), {}),
        (own, "an instance", (payload,), {}),
        (own, None, (payload,), {"more": 1}),
        (own, None, (payload, payload), {}),
        (own, None, (), {}),
        (own, None, (), {"payload": payload}),
        (own, None, {"payload": payload}, {}),
        (None, None, (payload,), {}),
        ([own], None, (payload,), {}),
        (own, None, (payload,)),
        "os.system",
    ]


@pytest.mark.parametrize("queue", OWN)
def test_what_is_ours_is_run(
    valkey: Redis, settings: Settings, queue: str, work: Callable[[Settings, str], None]
) -> None:
    """Else the tests below would pass whatever was refused."""
    job = put(valkey, queue, own_data(queue))
    work(settings, queue)
    assert valkey.hget(job.key, "status") == b"finished"


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


VALUES = {"dependency_ids": '["x"]', "repeats_left": "1", "webhooks": '[{"url": "http://127.0.0.1:9/"}]'}
"""Of the commands in a record; the others name a function or a job."""


@pytest.mark.parametrize("queue", OWN)
def test_a_record_that_asks_for_more_than_its_function_fails(
    valkey: Redis, settings: Settings, queue: str, work: Callable[[Settings, str], None]
) -> None:
    jobs = [put(valkey, queue, own_data(queue), {name: VALUES.get(name, "os.abort")}) for name in COMMANDS]
    work(settings, queue)
    assert {valkey.hget(job.key, "status") for job in jobs} == {b"failed"}


def test_a_job_under_another_queues_name_fails(valkey: Redis, settings: Settings) -> None:
    job = put(valkey, QUERY_QUEUE, own_data(INGEST_QUEUE), {"origin": INGEST_QUEUE})
    by_ours(settings, QUERY_QUEUE)
    assert valkey.hget(job.key, "status") == b"failed"


def test_a_stock_worker_calls_what_it_is_told(valkey: Redis, settings: Settings, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    put(valkey, QUERY_QUEUE, pickle.dumps(("os.system", None, (f"touch {mark}",), {})))
    by_stock(settings, QUERY_QUEUE)
    assert mark.exists(), "what README warns of is no longer so"


def test_every_queue_is_tried() -> None:
    assert set(OWN) == set(FUNCTIONS)
    assert all(OWN[queue][0] in functions for queue, functions in FUNCTIONS.items())
