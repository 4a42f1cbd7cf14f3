"""A process that brings a batch on dies before or after each of its steps: no line is lost, none asked twice.

What it does that lasts is to change a record, to put a job on the queue, and to keep or remove a file: each of them,
in turn, is its last. Another process then goes on.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.batches import runner
from app.batches.runner import Batches
from app.core.documents.files import DocumentStore, open_store
from app.core.queue.batches import BatchRecord, BatchStore, FileRecord, new_batch_id, new_file_id
from app.core.queue.connections import connect_async
from app.core.queue.producer import JobQueue
from app.core.settings import Settings
from tests.support.acting import ActingWorker, answer
from tests.support.batches import json_lines, line
from tests.support.queue import waiting

LINES = 4
WINDOW = 2
STEPS = (
    (BatchStore, "save"),
    (BatchStore, "put_file"),
    (BatchStore, "close"),
    (JobQueue, "submit"),
    (DocumentStore, "keep_batch_file"),
    (DocumentStore, "delete_batch_parts"),
)
PUT_FILE = BatchStore.put_file
"""As a client's upload does it, which does not die here."""
NOW = 1_790_000_000


class DeathError(BaseException):
    """The process is gone: nothing of it catches this."""


@pytest.fixture
def settings(valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(runner, "IN_FLIGHT_MAX", WINDOW)
    monkeypatch.setattr(runner, "ROUND_SECONDS", 0)
    return Settings(redis_url=valkey_url, data_dir=tmp_path)


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Lets the process die at its step of this number, before it is done or after it."""
    left, is_after = [10**9], [False]

    def dies(done: bool) -> None:
        if left[0] == 0 and done is is_after[0]:
            left[0] = 10**9
            raise DeathError

    def wrapped(act: Callable[..., Any]) -> Callable[..., Any]:
        def blocking(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            dies(done=False)
            result = act(*args, **kwargs)
            dies(done=True)
            return result

        async def waiting(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            dies(done=False)
            result = await act(*args, **kwargs)
            dies(done=True)
            return result

        return waiting if asyncio.iscoroutinefunction(act) else blocking

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, wrapped(getattr(owner, name)))

    def at(number: int, after: bool) -> None:
        left[0], is_after[0] = number, after

    return at


def test_whatever_step_is_its_last_no_line_is_lost_or_doubled(
    settings: Settings, valkey: Redis, mortal: Callable[[int, bool], None]
) -> None:
    number, has_died = 1, True
    while has_died:
        for after in (False, True):
            valkey.flushall()
            mortal(number, after)
            has_died = asyncio.run(lived(settings, valkey))
            mortal(10**9, False)
        number += 1
    assert number > 2 * LINES, "it had as many steps as it needs"


def test_two_processes_at_once_lose_and_double_nothing(settings: Settings, valkey: Redis) -> None:
    """As when one is thought dead: its lock has ended, and it goes on."""
    asyncio.run(lived(settings, valkey, processes=2))


@pytest.mark.parametrize("hostile", ["{", "[]", '{"id": "x"}', "x" * 300_000, '{"id": "batch_1", "endpoint": "/x"}'])
def test_a_record_that_is_none_of_ours_is_no_batch(settings: Settings, valkey: Redis, hostile: str) -> None:
    batch_id = new_batch_id()
    valkey.hset(f"rag:batch:default/{batch_id}", "record", hostile)
    valkey.zadd("rag:batches-open", {f"default/{batch_id}".encode(): 1, b"../../x/y": 2, b"\xff": 3, b"no-slash": 4})
    valkey.zadd("rag:batches:default", {batch_id: 1})

    async def step() -> list[Any]:
        async with connected(settings) as connection, aclosing(JobQueue(connection, settings)) as queue:
            await Batches(connection, queue, settings)._round()
            return list(await BatchStore(connection).newest("default", after=None, limit=10))

    assert asyncio.run(step()) == []
    assert not valkey.zscore("rag:batches-open", f"default/{batch_id}")


@pytest.mark.parametrize("hostile", ["{", "[]", '{"custom_id": "x", "job_id": "../../x"}', '{"custom_id": 7}'])
def test_a_line_that_is_none_of_ours_has_no_answer(settings: Settings, valkey: Redis, hostile: str) -> None:
    """And the others have theirs."""

    def spoil(batch_id: str) -> None:
        valkey.hset(f"rag:batch-lines:default/{batch_id}", "99", hostile)

    asyncio.run(lived(settings, valkey, spoil=spoil))


async def lived(
    settings: Settings, valkey: Redis, *, processes: int = 1, spoil: Callable[[str], None] | None = None
) -> bool:
    """A batch from its beginning to its end; whether a process has died over it."""
    async with connected(settings) as connection:
        batch_id = await begun(settings, connection)
    if spoil is not None:
        spoil(batch_id)
    has_died = await work_until_over(settings, valkey, batch_id, processes)
    async with connected(settings) as connection:
        kept = (await BatchStore(connection).get("default", batch_id)).record
        spoiled = spoil is not None
        assert (kept.status, kept.total, kept.completed, kept.failed) == ("completed", LINES, LINES - 1, 1 + spoiled)
        folder = settings.data_dir / "documents" / "default" / "@batches"
        files = [(folder / str(name)).read_bytes() for name in (kept.output_file_id, kept.error_file_id)]
        told = [orjson.loads(each)["custom_id"] for file in files for each in file.splitlines()]
        assert Counter(each for each in told if each.startswith("line-")) == Counter(
            f"line-{number}" for number in range(LINES)
        )
        assert len(told) == LINES + spoiled
        assert len([key async for key in connection.scan_iter("rq:job:*")]) == LINES - 1, "each was asked once"
        assert {path.name for path in folder.iterdir()} >= {kept.output_file_id, kept.error_file_id}
        assert not list(folder.glob(f"{batch_id}.*")), "no part is left"
        assert not [key async for key in connection.scan_iter("rag:batch-*")]
    return has_died


def connected(settings: Settings) -> AsyncRedis:
    assert settings.redis_url
    return connect_async(settings.redis_url.get_secret_value())


async def begun(settings: Settings, connection: AsyncRedis) -> str:
    """A batch whose last line is wrong."""
    lines = [line(number) for number in range(LINES)]
    lines[-1] = line(LINES - 1, n=2)
    store, file_id = open_store(settings), new_file_id()
    with store.draft() as draft:
        draft.write(json_lines(lines))
        draft.keep_as(f"default/@batches/{file_id}")
        size = draft.size
    file = FileRecord(id=file_id, filename="a.jsonl", bytes=size, created_at=NOW, expires_at=NOW * 2)
    await PUT_FILE(BatchStore(connection), "default", file)
    record = BatchRecord(
        id=new_batch_id(),
        endpoint="/v1/chat/completions",
        input_file_id=file_id,
        created_at=NOW,
        expires_at=NOW * 2,
        asker="anonymous",
        base_url="http://localhost",
    )
    await BatchStore(connection).put("default", record)
    return record.id


async def work_until_over(settings: Settings, valkey: Redis, batch_id: str, processes: int) -> bool:
    """Processes bring the batch on, one after the other's death, while a worker answers."""
    has_died, worker = False, ActingWorker(valkey)
    while True:
        async with connected(settings) as connection, aclosing(JobQueue(connection, settings)) as queue:
            alive = [Batches(connection, queue, settings) for _ in range(processes)]
            try:
                while valkey.zcard("rag:batches-open"):
                    if processes > 1:
                        valkey.delete(f"rag:batch-lock:default/{batch_id}")
                    await asyncio.gather(*(process._round() for process in alive))
                    while waiting(valkey, "rag_queries"):
                        job_id = worker.take()
                        worker.start(job_id)
                        worker.finish(job_id, answer("At six [1].", pages=[1]))
                        await queue.enqueue_due()
            except DeathError:
                has_died = True
                valkey.delete(f"rag:batch-lock:default/{batch_id}")  # it has expired by now
                continue
            return has_died
