"""A worker process opens what the queues that it serves need, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.core.contract import INGEST_QUEUE, PAGE_QUEUE, QUERY_QUEUE, WEBHOOK_QUEUE
from app.core.errors import ConfigurationError
from app.core.queue.connections import connect
from app.core.settings import Settings
from ingest.page_job import open_looking
from ingest.resources import open_ingestion
from worker import resources
from worker.concurrent import ConcurrentWorker
from worker.resources import Answering, Process, begin, end, open_answering, shared

NEEDS = {
    QUERY_QUEUE: {open_answering},
    INGEST_QUEUE: {open_ingestion},
    WEBHOOK_QUEUE: set(),
    PAGE_QUEUE: {open_looking},
}
IN_QDRANT = {QUERY_QUEUE, INGEST_QUEUE}
"""Queues whose jobs read or write the index."""


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    end()


def _work(url: str, queue: str, settings: Settings) -> None:
    with connect(url) as connection:
        ConcurrentWorker([queue], connection=connection, settings=settings).work(burst=True)


@pytest.mark.parametrize("queue", NEEDS)
def test_what_a_queue_needs_is_opened_from_the_workers_own_settings(
    valkey: Redis, valkey_url: str, qdrant_url: str, queue: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: set[object] = set()
    monkeypatch.setattr(resources, "end", lambda: opened.update(resources._opened))
    settings = Settings(redis_url=valkey_url, qdrant_url=qdrant_url, documents_url=str(tmp_path), chat_model="mine")
    _work(valkey_url, queue, settings)
    assert opened == NEEDS[queue]
    assert resources.this_process().settings is settings


@pytest.mark.parametrize("queue", NEEDS)
def test_a_worker_asks_for_a_qdrant_only_where_one_is_needed(
    valkey: Redis, valkey_url: str, queue: str, tmp_path: Path
) -> None:
    settings = Settings(redis_url=valkey_url, data_dir=tmp_path)
    if queue in IN_QDRANT:
        with pytest.raises(ConfigurationError, match="QDRANT_URL"):
            _work(valkey_url, queue, settings)
    else:
        _work(valkey_url, queue, settings)


def test_what_is_shared_is_made_once_and_closed_at_the_end(qdrant_url: str) -> None:
    closed = []
    begin(Process(Settings(qdrant_url=qdrant_url)))

    def make(process: Process) -> Answering:
        made = open_answering(process)
        return Answering(made.settings, made.searcher, made.complete, closing=(lambda: closed.append(1),))

    assert shared(make) is shared(make)
    assert not closed
    end()
    assert closed == [1]
