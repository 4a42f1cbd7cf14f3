"""Who is next: one tenant's flood makes no other wait, a weight is a weight, bulk work comes behind, but comes."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from redis import Redis
from rq import SimpleWorker
from rq.job import Job
from rq.registry import ScheduledJobRegistry

from app.core.contract import (
    INGEST_QUEUE,
    PAGE_QUEUE,
    QUERY_QUEUE,
    QUEUES,
    WEBHOOK_QUEUE,
    AnswerJob,
    IngestJob,
    JobStatus,
    PageJob,
)
from app.core.queue.lines import HIGH_IN_A_ROW, LINED, WORKERS_A_PLACE, line_keys
from app.core.queue.producer import add_to_queue, feed
from app.core.settings import Settings
from tests.integration.worker.test_worker import stock_settings, with_model, working
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.queue import JobQueue, waiting
from worker.resources import end

TENANTS = ("acme", "beta", "gamma")


@pytest.fixture
def settings(valkey_url: str, qdrant_url: str, handbook: str) -> Iterator[Settings]:
    yield Settings(redis_url=SecretStr(valkey_url), qdrant_url=qdrant_url, qdrant_collection=handbook)
    end()


def ask(valkey: Redis, tenant: str, **options: Any) -> str:
    return JobQueue(valkey, Settings()).submit(AnswerJob(query="?", tenant=tenant), **options).job_id


def leaving(valkey: Redis, queue: str = QUERY_QUEUE) -> "list[str]":
    """All that wait, in the order in which workers are given them."""
    left: list[str] = []
    while (found := valkey.lpop(f"rq:queue:{queue}")) is not None:
        left.append(found.decode())  # type: ignore[union-attr]
        feed(queue, valkey)
    return left


def is_clean(valkey: Redis, queue: str = QUERY_QUEUE) -> bool:
    return not valkey.exists(f"rq:queue:{queue}", *line_keys(queue), f"rag:turns:{queue}")


def tenants(valkey: Redis, ids: "list[str]") -> "list[str]":
    return [valkey.hget(Job.key_for(job_id), "tenant").decode() for job_id in ids]  # type: ignore[union-attr]


def positions(queue: JobQueue, valkey: Redis, ids: "list[str]") -> "list[int | None]":
    return [
        queue.view(job_id, tenant=tenant).position for job_id, tenant in zip(ids, tenants(valkey, ids), strict=True)
    ]


def test_every_queue_of_what_tenants_ask_for_has_lines() -> None:
    assert set(QUEUES) - LINED == {WEBHOOK_QUEUE}


def test_who_comes_new_is_next_however_many_of_another_wait(valkey: Redis) -> None:
    flood = [ask(valkey, "acme") for _ in range(200)]
    mine = JobQueue(valkey, Settings()).submit(AnswerJob(query="?", tenant="beta"))
    assert mine.position <= 3
    left = leaving(valkey)
    assert left.index(mine.job_id) == mine.position - 1
    assert [job_id for job_id in left if job_id != mine.job_id] == flood, "each tenant's own stay in order"
    assert is_clean(valkey)


@pytest.mark.parametrize("seed", range(6))
def test_a_position_is_how_many_leave_before(valkey: Redis, seed: int) -> None:
    """Whatever was asked, taken and cancelled before; and all leave, once, with nothing left of them."""
    dice, queue, ids = random.Random(seed), JobQueue(valkey, Settings()), list[str]()
    for _ in range(80):
        match dice.randrange(8):
            case 0 if ids:
                gone = ids.pop(dice.randrange(len(ids)))
                [tenant] = tenants(valkey, [gone])
                queue.cancel(gone, tenant=tenant)
            case 1 if (taken := valkey.lpop(f"rq:queue:{QUERY_QUEUE}")) is not None:
                ids.remove(taken.decode())  # type: ignore[union-attr]
                feed(QUERY_QUEUE, valkey)
            case _:
                how = {"weight": dice.choice((1, 1, 3, 100)), "priority": dice.choice(("normal", "normal", "low"))}
                ids.append(ask(valkey, dice.choice(TENANTS), **how))
    told = dict(zip(ids, positions(queue, valkey, ids), strict=True))
    left = leaving(valkey)
    assert sorted(left) == sorted(ids)
    assert told == {job_id: place for place, job_id in enumerate(left, 1)}
    assert is_clean(valkey)


def test_a_weight_is_how_many_turns_a_tenant_has_for_anothers(valkey: Redis) -> None:
    for _ in range(40):
        ask(valkey, "acme", weight=3)
        ask(valkey, "beta")
    first = Counter(tenants(valkey, leaving(valkey)[:40]))
    assert 29 <= first["acme"] <= 31


def test_bulk_work_has_a_tenth_while_others_wait_and_all_else_when_none_do(valkey: Redis) -> None:
    bulk = {ask(valkey, "acme", priority="low") for _ in range(30)}
    usual = {ask(valkey, "beta") for _ in range(90)}
    left = leaving(valkey)
    places = [place for place, job_id in enumerate(left) if job_id in bulk]
    assert places[:1] == [0], "it was in RQ's list before anybody else came"
    assert set(left[: len(usual) + 11]) >= usual, "nothing else goes before them"
    gaps = [after - before - 1 for before, after in pairwise(places)]
    assert gaps[:9] == [HIGH_IN_A_ROW] * 9
    assert set(gaps[10:]) == {0}


def test_a_tenant_that_cancels_what_it_has_asked_is_not_behind_for_it(valkey: Redis) -> None:
    queue = JobQueue(valkey, Settings())
    for _ in range(20):
        ask(valkey, "beta")
    for job_id in [ask(valkey, "acme") for _ in range(50)]:
        queue.cancel(job_id, tenant="acme")
    assert queue.submit(AnswerJob(query="?", tenant="acme")).position <= 3


def test_retries_that_are_due_wait_in_line_and_not_before_others(valkey: Redis) -> None:
    queue, scheduled = JobQueue(valkey, Settings()), ScheduledJobRegistry.key_template.format(QUERY_QUEUE)
    ids = [ask(valkey, "acme") for _ in range(40)]
    for job_id in leaving(valkey):  # as if each had failed, and were to be tried again
        valkey.hset(Job.key_for(job_id), "status", "scheduled")
        valkey.zadd(scheduled, {job_id: 1})
    assert queue.enqueue_due() == 40
    mine = queue.submit(AnswerJob(query="?", tenant="beta"))
    assert mine.position <= 3
    assert sorted(leaving(valkey)) == sorted([*ids, mine.job_id])


@pytest.mark.parametrize("queue", sorted(LINED))
@pytest.mark.parametrize("way", ["submit", "add_to_queue"])
def test_every_way_onto_a_queue_leads_into_line(valkey: Redis, queue: str, way: str) -> None:
    for number, tenant in enumerate([*["acme"] * 20, "beta"]):
        sha = f"{number:064x}"
        payload: BaseModel = {
            QUERY_QUEUE: AnswerJob(query=f"{number}?", tenant=tenant),
            INGEST_QUEUE: IngestJob(tenant=tenant, document_id=f"d{number}", filename="f.pdf", sha256=sha),
            PAGE_QUEUE: PageJob(tenant=tenant, document_id=f"d{number}", filename="f.pdf", sha256=sha, page=1),
        }[queue]
        if way == "submit":
            JobQueue(valkey, Settings()).submit(payload)  # type: ignore[arg-type]
        else:
            with valkey.pipeline(transaction=True) as pipeline:
                add_to_queue(pipeline, f"job-{number}", payload, Settings())  # type: ignore[arg-type]
                pipeline.execute()
    assert tenants(valkey, leaving(valkey, queue)).index("beta") <= 2
    assert is_clean(valkey, queue)


def test_rqs_list_is_as_long_as_its_workers_take_at_a_time(valkey: Redis) -> None:
    valkey.sadd(f"rq:workers:{QUERY_QUEUE}", *(f"rq:worker:{number}" for number in range(8 * WORKERS_A_PLACE)))
    for _ in range(20):
        ask(valkey, "acme")
    assert valkey.llen(f"rq:queue:{QUERY_QUEUE}") == 8
    assert len(waiting(valkey, QUERY_QUEUE)) == 20


def test_a_job_that_rqs_own_tools_have_removed_holds_nobody_back(valkey: Redis) -> None:
    ids = [ask(valkey, "acme") for _ in range(10)]
    for job_id in ids[2:8]:
        Job(job_id, connection=valkey).delete()
    assert leaving(valkey) == ids[:2] + ids[8:]
    assert is_clean(valkey)


def test_what_else_may_stand_in_the_clock_breaks_no_order(valkey: Redis) -> None:
    ids = [ask(valkey, "acme") for _ in range(3)]
    for value in ("nan", "inf", "-1", "x" * 1_000, "1e308"):
        valkey.hset(f"rag:turns:{QUERY_QUEUE}", mapping={"at n": value, "last n:acme": value, "since": value})
        ids.append(ask(valkey, "acme"))
    assert sorted(leaving(valkey)) == sorted(ids)


def test_a_stock_worker_is_given_all_that_wait_in_line(
    valkey: Redis,
    settings: Settings,
    model: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stock_settings(
        monkeypatch, with_model(settings, model, "test", model_requests_per_minute=1_000, model_max_concurrency=8)
    )
    queue = JobQueue(valkey, settings)
    ids = [queue.submit(AnswerJob(query="harbour", tenant="default")).job_id for _ in range(12)]
    SimpleWorker([QUERY_QUEUE], connection=valkey).work(burst=True)
    assert set(queue.statuses(ids)) == {JobStatus.FINISHED}


def test_with_a_flood_before_it_a_question_waits_for_no_more_than_a_call(
    valkey: Redis,
    settings: Settings,
    model: ModelServer,
) -> None:
    """A worker of eight places, all taken: of the flood, only what was in RQ's list starts before."""
    slow = with_model(settings, model, "test-latency200", worker_concurrency=8)
    queue = JobQueue(valkey, slow)
    with working(slow):
        wait_until(lambda: queue.workers_alive() == 8, "all places are there")
        flood = [each.job_id for each in queue.submit_many([AnswerJob(query="harbour", tenant="acme")] * 100)]
        mine = queue.submit(AnswerJob(query="harbour", tenant="beta")).job_id
        wait_until(lambda: queue.statuses([mine]) == [JobStatus.FINISHED], "it is answered")
        view = queue.view(mine, tenant="beta")
        began = [each.started_at for each in queue.views(flood, tenant="acme") if each.started_at is not None]
    assert view.enqueued_at is not None
    assert view.started_at is not None
    before = [moment for moment in began if view.enqueued_at < moment < view.started_at]
    assert len(before) <= 8
