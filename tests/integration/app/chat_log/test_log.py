"""Every ended question has its row, once, whatever dies or is away meanwhile; what was removed has none."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq.job import Job
from structlog.testing import capture_logs

from app.chat_log.log import ChatLog
from app.chat_log.store import Store
from app.core.contract import AnswerJob, EmbedJob, SearchJob, Usage
from app.core.errors import ErrorCode
from app.core.queue.connections import connect_async
from app.core.queue.erasures import ERASED, ERASED_JOBS
from app.core.queue.outbox import OUTBOX, READERS, cursor_key
from app.core.queue.producer import JobQueue
from app.core.queue.records import Payload
from app.core.settings import PriceTable, Settings
from app.jobs.outbox import Reader
from tests.support.acting import ActingWorker, answer
from tests.support.chat_log import file_bytes, job_ids, rows

QUESTION = "When does the secret harbour open?"


def settings_for(valkey_url: str, database_url: str, **more: Any) -> Settings:
    given: dict[str, Any] = {"chat_log_content": True, "model_prices": PriceTable({"test": (1, 2)})} | more
    return Settings(redis_url=SecretStr(valkey_url), database_url=SecretStr(database_url), **given)


@pytest.fixture
def settings(valkey: Redis, valkey_url: str, tmp_path: Path) -> Settings:
    return settings_for(valkey_url, f"sqlite:///{tmp_path}/history.sqlite3")


def url_of(settings: Settings) -> str:
    assert settings.database_url
    return settings.database_url.get_secret_value()


def with_log(settings: Settings, act: Callable[[ChatLog, JobQueue, AsyncRedis], Awaitable[Any]]) -> Any:
    """What `act` gives, in an API process that has begun."""

    async def run() -> Any:
        assert settings.redis_url
        async with (
            connect_async(settings.redis_url.get_secret_value()) as valkey,
            aclosing(JobQueue(valkey, settings)) as queue,
            aclosing(ChatLog(valkey, queue, settings)) as log,
        ):
            assert await log.step() == 0
            return await act(log, queue, valkey)

    return asyncio.run(run())


def step(settings: Settings) -> int:
    return int(with_log(settings, lambda log, *_: log.step()))


def submitted(settings: Settings, payload: Payload | None = None) -> str:
    async def submit(log: ChatLog, queue: JobQueue, valkey: AsyncRedis) -> str:
        return (await queue.submit(payload or AnswerJob(query=QUESTION, tenant="acme", session_id="s1"))).job_id

    return str(with_log(settings, submit))


def answered(valkey: Redis, settings: Settings, payload: Payload | None = None) -> str:
    """A question that has its answer, and stands in the outbox."""
    job_id = submitted(settings, payload)
    result = answer("At six [1].", pages=[3], model="test", usage=Usage(input_tokens=10, output_tokens=4))
    ActingWorker(valkey).finish(job_id, result)
    valkey.xadd(OUTBOX, {"job": job_id})
    return job_id


def delete(settings: Settings, job_id: str) -> None:
    with_log(settings, lambda _, queue, __: queue.delete(job_id, tenant="acme"))


def test_an_answer_is_a_row_with_all_that_is_known_of_it(valkey: Redis, valkey_url: str, database_url: str) -> None:
    settings = settings_for(valkey_url, database_url)
    job_id = answered(valkey, settings)
    assert step(settings) == 1
    [row] = rows(database_url)
    assert {name: row[name] for name in ("job_id", "tenant", "session_id", "collection", "status")} == {
        "job_id": job_id, "tenant": "acme", "session_id": "s1", "collection": "default", "status": "finished",
    }  # fmt: skip
    assert (row["model"], row["input_tokens"], row["output_tokens"]) == ("test", 10, 4)
    assert row["cost_usd"] == pytest.approx(18 / 1_000_000)
    assert (row["mode"], row["grounded"], row["cached"], row["error"]) == ("model", 1, None, None)
    assert (row["question"], row["answer"]) == (QUESTION, "At six [1].")
    assert "The harbour opens at six." in str(row["citations"])
    assert row["enqueued_at"] <= row["ended_at"]


def test_without_content_no_word_of_it_reaches_the_database(valkey: Redis, valkey_url: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.sqlite3"
    settings = settings_for(valkey_url, url, chat_log_content=None)
    answered(valkey, settings)
    step(settings)
    [row] = rows(url)
    assert (row["question"], row["answer"], row["citations"], row["grounded"]) == (None, None, None, 1)
    assert b"secret harbour" not in file_bytes(url)
    assert b"At six" not in file_bytes(url)


def test_a_question_that_failed_or_was_stopped_has_its_row_and_other_jobs_have_none(
    valkey: Redis, settings: Settings
) -> None:
    worker = ActingWorker(valkey)
    failed, stopped = submitted(settings), submitted(settings)
    others = [
        submitted(settings, SearchJob(query="?", tenant="acme")),
        submitted(settings, EmbedJob(texts=("?",), model="m", tenant="acme")),
    ]
    worker.fail(failed, ErrorCode.MODEL_TIMEOUT)
    with_log(settings, lambda _, queue, __: queue.cancel(stopped, tenant="acme"))
    for job_id in others:
        worker.fail(job_id, ErrorCode.MODEL_TIMEOUT)
    for job_id in (failed, *others, "never-was"):
        valkey.xadd(OUTBOX, {"job": job_id})
    assert step(settings) == 5
    found = {row["job_id"]: (row["status"], row["error"], row["question"]) for row in rows(url_of(settings))}
    assert found == {failed: ("failed", "model_timeout", QUESTION), stopped: ("stopped", None, QUESTION)}


def test_a_process_that_dies_between_writing_and_noting_that_it_has_leaves_one_row(
    valkey: Redis, settings: Settings
) -> None:
    job_id = answered(valkey, settings)
    step(settings)
    valkey.set(cursor_key("chat_log"), "0-0")  # it died before
    assert step(settings) == 1
    assert job_ids(url_of(settings)) == [job_id]


def test_a_job_that_is_sent_back_is_one_row_with_its_latest_end(valkey: Redis, settings: Settings) -> None:
    worker, job_id = ActingWorker(valkey), submitted(settings)
    worker.fail(job_id, ErrorCode.MODEL_TIMEOUT)
    valkey.xadd(OUTBOX, {"job": job_id})
    step(settings)
    with_log(settings, lambda _, queue, __: queue.requeue(job_id, tenant="acme"))
    valkey.xadd(OUTBOX, {"job": job_id})  # read late: it runs again by now
    step(settings)
    assert [row["status"] for row in rows(url_of(settings))] == ["failed"]
    worker.finish(job_id, answer("At six."))
    valkey.xadd(OUTBOX, {"job": job_id})
    step(settings)
    assert [row["status"] for row in rows(url_of(settings))] == ["finished"]


def test_a_database_that_is_away_delays_loses_nothing_and_is_told_once(
    valkey: Redis, valkey_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "mounted"
    folder.write_text("not mounted yet")
    settings = settings_for(valkey_url, f"sqlite:///{folder}/history.sqlite3")
    step(settings)
    asked = sorted(answered(valkey, settings) for _ in range(3))

    async def nothing(job_ids: object) -> None:
        return None

    async def outage(log: ChatLog, queue: JobQueue, valkey: AsyncRedis) -> None:
        for _ in range(3):
            for name in READERS:  # after which an entry goes, unless the log is waited for
                await Reader(name, valkey, nothing).read()
            assert await log.step() == 0
        folder.unlink()
        assert await log.step() == 3
        assert await log.step() == 0

    with capture_logs() as lines:
        with_log(settings, outage)
    assert job_ids(url_of(settings)) == asked
    told = [(line["event"], line["log_level"]) for line in lines if line["event"].startswith("chat_log")]
    assert told == [("chat_log_unavailable", "warning"), ("chat_log_available", "info")]
    assert str(tmp_path) not in str(lines)


def test_entries_are_kept_for_a_log_that_is_away_and_for_none_that_never_was(
    valkey: Redis, settings: Settings
) -> None:
    async def nothing(job_ids: object) -> None:
        return None

    def others_read(*, has_log: bool = True) -> None:
        async def read(_: ChatLog, __: JobQueue, client: AsyncRedis) -> None:
            if not has_log:
                await client.delete(cursor_key("chat_log"))
            for name in READERS:
                await Reader(name, client, nothing).read()

        with_log(settings, read)

    for _ in range(2):
        answered(valkey, settings)
    others_read(has_log=False)
    assert valkey.xlen(OUTBOX) == 1  # no log has ever been here; the last one read stays
    step(settings)
    assert valkey.ttl(cursor_key("chat_log")) > 0
    for _ in range(2):
        answered(valkey, settings)
    others_read()
    assert valkey.xlen(OUTBOX) == 3
    assert step(settings) == 2
    assert valkey.xlen(OUTBOX) == 1


@pytest.mark.parametrize("field", ["data", "meta", "enqueued_at", "everything"])
def test_a_record_that_is_none_of_ours_holds_no_other_back(valkey: Redis, settings: Settings, field: str) -> None:
    bad, good = answered(valkey, settings), answered(valkey, settings)
    if field == "everything":
        valkey.delete(Job.key_for(bad))
        valkey.set(Job.key_for(bad), "a text")
    else:
        valkey.hset(Job.key_for(bad), field, b"\x80\x05garbage\xff")
    step(settings)
    assert good in job_ids(url_of(settings))


def test_a_removed_job_is_in_no_byte_of_the_file_a_moment_later(valkey: Redis, settings: Settings) -> None:
    gone, stays = answered(valkey, settings), answered(valkey, settings, AnswerJob(query="Else?", tenant="acme"))
    step(settings)
    assert b"secret harbour" in file_bytes(url_of(settings))
    delete(settings, gone)
    step(settings)
    assert job_ids(url_of(settings)) == [stays]
    assert b"secret harbour" not in file_bytes(url_of(settings))


def test_a_job_removed_while_its_row_is_being_written_has_none(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = answered(valkey, settings)
    write = Store.write

    def removed_meanwhile(store: Store, entries: Any) -> None:
        delete(settings, job_id)  # in this thread, which has no loop
        write(store, entries)

    monkeypatch.setattr(Store, "write", removed_meanwhile)
    assert step(settings) == 1
    assert job_ids(url_of(settings)) == []


def test_a_job_removed_while_a_process_dies_over_its_row_has_none(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = answered(valkey, settings)
    write = Store.write

    def dies(store: Store, entries: Any) -> None:
        write(store, entries)
        delete(settings, job_id)
        raise SystemError("killed")

    monkeypatch.setattr(Store, "write", dies)
    with pytest.raises(SystemError):
        step(settings)
    monkeypatch.setattr(Store, "write", write)
    assert job_ids(url_of(settings)) == [job_id]
    step(settings)
    assert job_ids(url_of(settings)) == []


def test_an_erased_conversation_is_gone_and_what_it_still_asked_before_never_comes(
    valkey: Redis, valkey_url: str, database_url: str
) -> None:
    settings = settings_for(valkey_url, database_url)
    answered(valkey, settings)
    other = answered(valkey, settings, AnswerJob(query="?", tenant="acme", session_id="s2"))
    another = answered(valkey, settings, AnswerJob(query="?", tenant="globex", session_id="s1"))
    running = submitted(settings)
    step(settings)
    with_log(settings, lambda log, *_: log.erase_conversation("acme", "s1"))
    assert job_ids(database_url) == sorted([other, another])
    ActingWorker(valkey).finish(running, answer("Too late."))
    valkey.xadd(OUTBOX, {"job": running})
    new = answered(valkey, settings)
    step(settings)
    assert job_ids(database_url) == sorted([other, another, new])
    with_log(settings, lambda log, *_: log.erase_tenant("acme"))
    assert job_ids(database_url) == [another]


def test_what_can_not_be_erased_now_is_erased_when_the_database_is_back(
    valkey: Redis, settings: Settings, tmp_path: Path
) -> None:
    job_id = answered(valkey, settings)
    step(settings)
    file = tmp_path / "history.sqlite3"
    file.rename(tmp_path / "away")
    file.mkdir()
    delete(settings, job_id)
    with_log(settings, lambda log, *_: log.erase_conversation("acme", "s1"))  # raises nothing
    step(settings)
    file.rmdir()
    (tmp_path / "away").rename(file)
    assert job_ids(url_of(settings)) == [job_id]
    step(settings)
    assert job_ids(url_of(settings)) == []
    assert (valkey.zcard(ERASED_JOBS), valkey.zcard(ERASED)) == (1, 1)  # remembered for who is writing just now


def test_without_a_log_nothing_is_noted_to_be_erased(valkey: Redis, settings: Settings) -> None:
    plain = settings.model_copy(update={"database_url": None})
    job_id = answered(valkey, settings)

    async def run() -> None:
        assert settings.redis_url
        client = connect_async(settings.redis_url.get_secret_value())
        async with client, aclosing(JobQueue(client, plain)) as queue:
            await queue.delete(job_id, tenant="acme")

    asyncio.run(run())
    assert not valkey.exists(ERASED_JOBS)


def test_what_is_older_than_the_retention_goes(valkey: Redis, settings: Settings) -> None:
    old, new = answered(valkey, settings), answered(valkey, settings)
    valkey.hset(Job.key_for(old), mapping={"ended_at": "2026-01-01T12:00:00.000000Z"})
    step(settings)
    assert job_ids(url_of(settings)) == sorted([old, new])
    step(settings.model_copy(update={"chat_log_retention_days": 1}))
    assert job_ids(url_of(settings)) == [new]
