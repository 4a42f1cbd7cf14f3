"""What tenants have spent, counted by real workers on a real Valkey: once for each answer, whatever becomes of it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.utils import utcformat

from app.core.contract import DEFAULT_TENANT, INGEST_QUEUE, QUERY_QUEUE, AnswerJob, EmbedJob, SearchJob
from app.core.documents.catalog import Catalog
from app.core.documents.files import open_store
from app.core.queue import producer
from app.core.queue.connections import connect, connect_async
from app.core.queue.outbox import OPEN
from app.core.queue.usage import KEEP_DAYS, KEY_KEEP_DAYS, Spender, TokenBudget, spent_keys, tenants_key, usage_key
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.jobs import usage
from app.jobs.history import History
from app.jobs.outbox import Reader
from app.jobs.usage import Spending, TooManyTenantsError, UsageBook
from tests.integration.ingest.test_ingest_jobs import uploaded
from tests.integration.worker.test_worker import die_with, stock_settings, with_model, work, working
from tests.security.test_full_memory import full
from tests.support import pdfs
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.queue import JobQueue, on_valkey
from worker.concurrent import ConcurrentWorker
from worker.index.vector_index import open_index
from worker.resources import end
from worker.runtime.ending import Endings, Outcome
from worker.runtime.recovery import recover

QUESTION = "When does the harbour open?"
SPENDER = Spender("web", TokenBudget(10**6, "month"))


@pytest.fixture
def settings(
    valkey: Redis, valkey_url: str, qdrant_url: str, handbook: str, model: ModelServer
) -> Iterator[Settings]:
    stated = Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        worker_concurrency=2,
    )
    yield with_model(stated, model, "test")
    end()


def today() -> date:
    return datetime.now(UTC).date()


def told(settings: Settings, tenant: str | None = None) -> list[Spending]:
    """What is told of today and yesterday, should midnight pass."""
    found: list[Spending] = on_valkey(
        settings, lambda valkey: UsageBook(valkey).of(today() - timedelta(days=1), today(), tenant=tenant)
    )
    return found


def asked(valkey: Redis, settings: Settings, count: int = 1, **options: Any) -> list[str]:
    queue = JobQueue(valkey, settings)
    return [queue.submit(AnswerJob(query=QUESTION), **options).job_id for _ in range(count)]


def tokens_of(valkey: Redis, *job_ids: str) -> tuple[int, int]:
    """What the jobs' records say that they have cost."""
    found: list[Any] = [valkey.hmget(Job.key_for(each), ["input_tokens", "output_tokens"]) for each in job_ids]
    return sum(int(each[0]) for each in found), sum(int(each[1]) for each in found)


def by_key(valkey: Redis, name: str = "web") -> int:
    keys = spent_keys(DEFAULT_TENANT, [today(), today() - timedelta(days=1)])
    return sum(int(valkey.hget(key, name) or 0) for key in keys)


def assert_counted(valkey: Redis, settings: Settings, *job_ids: str) -> None:
    """That these answers are all that was counted, and that each was once."""
    [row] = told(settings)
    assert (row.tenant, row.model, row.answers) == (DEFAULT_TENANT, settings.chat_model, len(job_ids))
    assert (row.input_tokens, row.output_tokens) == tokens_of(valkey, *job_ids)
    assert row.input_tokens > row.output_tokens > 0


def test_an_answer_counts_by_tenant_and_model_and_by_the_key_that_has_a_budget(
    valkey: Redis, settings: Settings
) -> None:
    ids = [*asked(valkey, settings, 2), *asked(valkey, settings, spender=SPENDER)]
    work(settings)
    assert_counted(valkey, settings, *ids)
    assert by_key(valkey) == sum(tokens_of(valkey, ids[-1]))


def test_counts_and_what_leads_to_them_end_by_themselves(valkey: Redis, settings: Settings) -> None:
    asked(valkey, settings, spender=SPENDER)
    work(settings)
    day = told(settings)[0].day
    for key, days in (
        (tenants_key(day), KEEP_DAYS),
        (usage_key(DEFAULT_TENANT, day), KEEP_DAYS),
        (spent_keys(DEFAULT_TENANT, [day])[0], KEY_KEEP_DAYS),
    ):
        assert (days - 1) * 86_400 < valkey.ttl(key) <= days * 86_400


def test_without_tokens_nothing_is_written(valkey: Redis, settings: Settings) -> None:
    plain = settings.model_copy(update={"openai_base_url": None})
    asked(valkey, plain, spender=SPENDER)
    work(plain)
    assert not valkey.keys("rag:usage:*")
    assert not valkey.keys("rag:spent:*")


def test_a_killed_workers_job_counts_once_when_another_has_answered_it(valkey: Redis, settings: Settings) -> None:
    [job_id] = asked(valkey, settings, spender=SPENDER)
    die_with(valkey, job_id)
    with working(settings):
        wait_until(lambda: told(settings), "another worker answers")
    recover(Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer))
    assert_counted(valkey, settings, job_id)
    assert by_key(valkey) == sum(tokens_of(valkey, job_id))


def test_an_answer_that_is_put_back_in_its_middle_counts_once(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    slow = with_model(settings, model, "test-ttft=0s-gap=30s", shutdown_grace_seconds=0.1)
    model.reset()
    with working(slow):
        [job_id] = asked(valkey, slow)
        model.wait_until(lambda stats: stats["in_flight"] == 1)
    assert told(settings) == []
    work(settings)
    assert_counted(valkey, settings, job_id)


def test_what_is_tried_again_after_a_429_counts_once(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    limited = with_model(settings, model, f"test-error429=2x-retry=1s-seed={uuid4().int % 10**6}")
    with working(limited):
        [job_id] = asked(valkey, limited)
        wait_until(lambda: told(limited), "it is answered")
    assert JobQueue(valkey, limited).view(job_id, tenant=DEFAULT_TENANT).attempt == 3
    assert_counted(valkey, limited, job_id)


def test_what_fails_and_what_is_stopped_counts_nothing(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    failing = with_model(settings, model, "test-error400")
    [job_id] = asked(valkey, failing, spender=SPENDER)
    work(failing)
    assert told(failing) == []
    end()
    queue = JobQueue(valkey, settings)
    queue.requeue(job_id, tenant=DEFAULT_TENANT)
    work(settings)
    assert_counted(valkey, settings, job_id)
    assert by_key(valkey) == sum(tokens_of(valkey, job_id)), "sent back, it is its asker's still"


def test_an_answer_counts_though_its_job_is_removed_at_once(valkey: Redis, settings: Settings) -> None:
    [job_id] = asked(valkey, settings, spender=SPENDER)
    work(settings)
    spent = sum(tokens_of(valkey, job_id))

    async def delete(valkey: AsyncRedis) -> None:
        async with aclosing(producer.JobQueue(valkey, settings)) as queue:
            await queue.delete(job_id, tenant=DEFAULT_TENANT)

    on_valkey(settings, delete)
    assert by_key(valkey) == spent
    assert told(settings)[0].answers == 1


def test_two_replicas_that_read_the_outbox_count_nothing_more(valkey: Redis, settings: Settings) -> None:
    ids = asked(valkey, settings, 3)
    work(settings)

    async def replicas(one: AsyncRedis) -> None:
        assert settings.redis_url
        async with connect_async(settings.redis_url.get_secret_value()) as other:
            for _ in range(3):
                histories = [(valkey, History(valkey)) for valkey in (one, other)]
                await asyncio.gather(*(Reader("history", valkey, each.ended).read() for valkey, each in histories))
                await asyncio.gather(*(each.ended(ids) for _, each in histories))

    on_valkey(settings, replicas)
    assert_counted(valkey, settings, *ids)


def finish(key: str) -> Callable[[Pipeline], None]:
    """What writes the end of the job at `key`."""

    def write(pipeline: Pipeline) -> None:
        pipeline.hset(key, "status", "finished")

    return write


def test_an_end_that_is_written_again_counts_once(valkey: Redis, settings: Settings) -> None:
    """By a worker that does not know whether its write came through; or when somebody has put the state back."""
    [job_id] = asked(valkey, settings)
    work(settings)
    key = Job.key_for(job_id)
    endings = Endings(valkey)
    commands = endings.recorded(finish(key))
    assert endings.write(job_id, commands, keep_seconds=60) is Outcome.ENDED_ELSEWHERE
    valkey.hset(key, "status", "started")
    assert endings.write(job_id, commands, keep_seconds=60) is Outcome.WRITTEN
    assert_counted(valkey, settings, job_id)


def test_rqs_own_worker_counts_too_and_once_though_it_dies_before_the_end(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock_settings(
        monkeypatch, settings.model_copy(update={"model_requests_per_minute": 99, "model_max_concurrency": 9})
    )
    [job_id] = asked(valkey, settings, spender=SPENDER)
    SimpleWorker([QUERY_QUEUE], connection=valkey, serializer=PlainSerializer).work(burst=True)
    end()
    [row] = told(settings)
    assert (row.model, row.answers) == ("test", 1)
    assert by_key(valkey) == row.input_tokens + row.output_tokens > 0
    for name in ("MODEL_REQUESTS_PER_MINUTE", "MODEL_MAX_CONCURRENCY"):
        monkeypatch.delenv(name)
    die_with(valkey, job_id)
    with working(settings):
        queue = JobQueue(valkey, settings)
        wait_until(lambda: queue.view(job_id, tenant=DEFAULT_TENANT).status == "finished", "it is answered again")
    assert told(settings) == [row]


def test_a_full_memory_keeps_no_answer_from_being_counted(valkey: Redis, settings: Settings) -> None:
    ids = asked(valkey, settings, 2, spender=SPENDER)
    queue = JobQueue(valkey, settings)
    with full(valkey), working(settings):
        wait_until(lambda: [each for each in queue.statuses(ids) if each != "finished"] == [], "all are answered")
    assert_counted(valkey, settings, *ids)
    assert by_key(valkey) == sum(tokens_of(valkey, *ids))


def test_a_question_counts_with_its_embedding_under_that_models_name(
    valkey: Redis, settings: Settings, qdrant_url: str
) -> None:
    own = settings.model_copy(update={"embedding_model": "test-dims=8", "qdrant_collection": f"t{uuid4().hex}"})
    with closing(open_index(own)) as index:
        index.ensure()
    queue = JobQueue(valkey, own)
    queue.submit(SearchJob(query="harbour"), spender=SPENDER)
    queue.submit(EmbedJob(texts=("one two", "three"), model="test-dims=8", tenant="acme"))
    work(own)
    acme, default = told(own)
    assert (acme.model, acme.answers, acme.input_tokens, acme.output_tokens) == ("test-dims=8", 0, 3, 0)
    assert (default.tenant, default.model, default.answers, default.output_tokens) == ("default", "test-dims=8", 0, 0)
    assert by_key(valkey) == default.input_tokens > 0
    assert told(own, "acme") == [acme]
    assert told(own, "other") == []


def test_a_document_counts_with_the_tokens_of_its_chunks(valkey: Redis, settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(
        update={"embedding_model": "test-dims=8", "qdrant_collection": f"t{uuid4().hex}", "data_dir": tmp_path}
    )
    content = pdfs.make_pdf(tmp_path / "a.pdf", ["Otters sleep in groups.", "Herons wait."]).read_bytes()
    job = uploaded(Catalog(valkey), open_store(own), content)
    JobQueue(valkey, own).submit(job)
    assert own.redis_url
    with connect(own.redis_url.get_secret_value()) as connection:
        ConcurrentWorker([INGEST_QUEUE], connection=connection, settings=own).work(burst=True)
    [row] = told(own)
    assert (row.tenant, row.model, row.answers) == (DEFAULT_TENANT, "test-dims=8", 0)
    assert row.input_tokens >= 6


# What whoever writes to Valkey may have left there


@pytest.mark.parametrize("kind", ["string", "list", "hash of words", "huge count"])
def test_whatever_stands_where_counts_belong_a_job_comes_to_its_end(
    valkey: Redis, settings: Settings, kind: str
) -> None:
    day = today()
    for key in (
        tenants_key(day), usage_key(DEFAULT_TENANT, day), *spent_keys(DEFAULT_TENANT, [day]),
    ):  # fmt: skip
        match kind:
            case "string":
                valkey.set(key, "x")
            case "list":
                valkey.rpush(key, "x")
            case "hash of words":
                valkey.hset(key, mapping=dict.fromkeys(("answers test", "input test", "output test", "web"), "x"))
            case _:
                valkey.hset(key, mapping=dict.fromkeys(("answers test", "input test", "web"), str(2**63 - 1)))
    [job_id] = asked(valkey, settings)
    valkey.hset(Job.key_for(job_id), "asker", "web")
    work(settings)
    assert JobQueue(valkey, settings).view(job_id, tenant=DEFAULT_TENANT).status == "finished"
    assert_counted(valkey, settings, job_id)
    assert by_key(valkey) == sum(tokens_of(valkey, job_id))


@pytest.mark.parametrize(
    "spent",
    [
        "", "x", "null", "7", '"text"', "{}", "[]", "[7]", "[[]]", "[[7, 1, 1, 1]]", '[["m"]]',
        '[["m", "1", [], {}]]', '[["m", -1, -5, -5]]', '[["m", 1e300, 1e300, NaN]]', "[" * 5000,
        json.dumps([["m" * 5000, 1, 1, 1]]), '[["m", 0.5, 0.1, 0.9]]',
    ],
    ids=range(17),
)  # fmt: skip
def test_what_no_worker_of_ours_has_written_counts_nothing_and_keeps_nobody(
    valkey: Redis, settings: Settings, spent: str
) -> None:
    key = Job.key_for("j")
    valkey.hset(key, mapping={"status": "started", "tenant": "acme", "spent": spent, "ended_at": f"{today()}T0"})
    endings = Endings(valkey)
    commands = endings.recorded(finish(key))
    assert endings.write("j", commands, keep_seconds=60) is Outcome.WRITTEN
    assert valkey.hget(key, "status") == b"finished"
    assert told(settings) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", "a" * 129),
        ("tenant", ""),
        ("ended_at", "yesterday"),
        ("ended_at", ""),
        ("ended_at", "20261126:x"),
        ("asker", "k" * 200),
    ],
)
def test_a_record_that_is_none_of_ours_makes_no_key_of_its_own(valkey: Redis, field: str, value: str) -> None:
    key = Job.key_for("j")
    record: dict[Any, Any] = {
        "status": "started",
        "tenant": "acme",
        "spent": '[["m", 1, 5, 5]]',
        "ended_at": utcformat(datetime.now(UTC)),
    }
    valkey.hset(key, mapping=record | {field: value})
    endings = Endings(valkey)
    commands = endings.recorded(finish(key))
    assert endings.write("j", commands, keep_seconds=60) is Outcome.WRITTEN
    assert not valkey.keys("rag:spent:*")
    assert bool(valkey.keys("rag:usage:*")) is (field == "asker")


def test_what_is_none_of_ours_is_not_shown(valkey: Redis, settings: Settings) -> None:
    day = today()
    valkey.sadd(tenants_key(day), "acme", "a/b", "..", b"\xff", "<b>", "long" * 99, "gone", "full", "other")
    valkey.hset(usage_key("acme", day), mapping={
        "answers m": "3", "input m": "x", "output m": "9" * 99, "input ": "5", "input a\nb": "5", "cost m": "5",
        b"input \xff\x00": "5", "input " + "m" * 300: "5", "m": "5", "answers n": "-4", "output n": "1e3",
    })  # fmt: skip
    valkey.hset(usage_key("full", day), mapping={f"input {number}": 1 for number in range(usage.FIELDS_MAX + 1)})
    valkey.set(usage_key("other", day), "x")
    assert told(settings) == [
        Spending(day, "acme", "m", 3, 0, 0),
        Spending(day, "acme", "n", 0, 0, 0),
    ]


def test_more_tenants_than_can_be_told_are_a_word(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "TENANT_DAYS_MAX", 3)
    monkeypatch.setattr(usage, "BATCH", 2)
    for tenant in ("a", "b", "c"):
        valkey.sadd(tenants_key(today()), tenant)
        valkey.hset(usage_key(tenant, today()), "answers m", 1)
    assert [row.tenant for row in told(settings)] == ["a", "b", "c"]
    valkey.sadd(tenants_key(today() - timedelta(days=1)), "d")
    with pytest.raises(TooManyTenantsError):
        told(settings)
    assert [row.tenant for row in told(settings, "b")] == ["b"], "one tenant's can always be told"
    assert valkey.scard(OPEN) == 0
