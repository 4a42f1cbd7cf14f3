"""Identical questions at once: one call of the model, whatever happens to the job that makes it."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from app.core.contract import DEFAULT_TENANT, QUERY_QUEUE, AnswerJob, AnswerResult, JobStatus, Webhook
from app.core.queue.outbox import OPEN, OUTBOX
from app.core.settings import Settings
from tests.integration.worker.test_worker import working
from tests.support import ROOT
from tests.support.documents import HANDBOOK, add_document
from tests.support.event_logs import log_of
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.queue import JobQueue
from worker.index.vector_index import open_index
from worker.resources import end
from worker.runtime import sharing

QUESTION = AnswerJob(query="When does the harbour open in winter?")
SLOW = "test-ttft=1500ms"
WAITING = f"rq:scheduled:{QUERY_QUEUE}"


@pytest.fixture
def settings(valkey: Redis, valkey_url: str, qdrant_url: str, model: ModelServer) -> Iterator[Settings]:
    """Answers are kept, and the model takes a while."""
    settings = Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        openai_base_url=model.url,
        chat_model=_own(SLOW),
        worker_concurrency=4,
        answer_cache_ttl_seconds=60,
        max_attempts=3,
    )
    with closing(open_index(settings)) as index:
        index.ensure()
        for tenant in (DEFAULT_TENANT, "anna"):
            add_document(index, *HANDBOOK, tenant=tenant)
    model.reset()
    yield settings
    end()


def _own(model: str) -> str:
    """A model of this test's own: its faults are counted by its name."""
    return f"{model}-seed={uuid4().int % 10**6}"


@pytest.fixture
def queue(valkey: Redis, settings: Settings) -> JobQueue:
    return JobQueue(valkey, settings)


def ask(queue: JobQueue, count: int) -> list[str]:
    return [taken.job_id for taken in queue.submit_many([QUESTION] * count)]


def states(queue: JobQueue, ids: list[str], tenant: str = DEFAULT_TENANT) -> Counter[JobStatus]:
    return Counter(view.status for view in queue.views(ids, tenant=tenant))


def results(queue: JobQueue, ids: list[str]) -> list[AnswerResult]:
    found = [view.result for view in queue.views(ids, tenant=DEFAULT_TENANT)]
    assert all(isinstance(result, AnswerResult) for result in found)
    return [result for result in found if isinstance(result, AnswerResult)]


def leader_of(valkey: Redis) -> str:
    """The job that leads now."""
    found = [key for key in valkey.scan_iter("rag:asking:*") if not key.endswith(b":waiting")]
    owner = valkey.get(found[0]) if found else None
    return owner.decode() if isinstance(owner, bytes) else ""


@contextmanager
def processes(settings: Settings, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many worker processes as an operator starts them."""
    assert settings.redis_url
    variables = {
        name.upper(): str(getattr(settings, name))
        for name in ("qdrant_url", "qdrant_collection", "openai_base_url", "chat_model", "answer_cache_ttl_seconds",
                     "worker_concurrency")
    }  # fmt: skip
    environment = (
        os.environ | variables | {"REDIS_URL": settings.redis_url.get_secret_value(), "LOG_LEVEL": "warning"}
    )
    command = [sys.executable, "-m", "worker", "--queues", QUERY_QUEUE]
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            process = subprocess.Popen(command, cwd=ROOT, env=environment)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            started.append(process)
        yield started


@pytest.mark.parametrize("count", [1, 2])
def test_a_thousand_identical_questions_at_once_make_one_call(
    count: int, valkey: Redis, settings: Settings, queue: JobQueue, model: ModelServer
) -> None:
    ids = ask(queue, 1000)
    with processes(settings, count):
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 1000, "all have an answer")
    assert model.stats()["requests"] == 1
    found = results(queue, ids)
    assert len({(result.answer, result.citations) for result in found}) == 1
    assert Counter(result.cached for result in found) == {None: 1, "exact": 999}
    assert sum(result.usage.output_tokens > 0 for result in found) == 1
    assert valkey.scard(OPEN) == 0
    assert valkey.xlen(OUTBOX) == 1000
    assert (valkey.zcard(WAITING), valkey.zcard(f"rq:wip:{QUERY_QUEUE}")) == (0, 0)


def test_each_keeps_its_own_events(valkey: Redis, settings: Settings, queue: JobQueue) -> None:
    ids = ask(queue, 3)
    with working(settings):
        wait_until(lambda: valkey.zcard(WAITING) == 2, "two wait for the first")
        held = next(view for view in queue.views(ids, tenant=DEFAULT_TENANT) if view.status is JobStatus.QUEUED)
        assert (held.attempt, held.position) == (0, None)
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 3, "all have an answer")
    for job_id in ids:
        kinds = [kind for kind, _ in log_of(valkey, job_id) if kind != "retrieval.completed"]
        assert (kinds[0], kinds[-1]) == ("job.started", "ended")
        assert "answer.delta" in kinds


def test_no_tenant_waits_for_another(settings: Settings, queue: JobQueue, model: ModelServer) -> None:
    own = ask(queue, 2)
    annas = [queue.submit(QUESTION.model_copy(update={"tenant": "anna"})).job_id for _ in range(2)]
    with working(settings):
        wait_until(lambda: states(queue, own)[JobStatus.FINISHED] == 2, "the one tenant has answers")
        wait_until(lambda: states(queue, annas, "anna")[JobStatus.FINISHED] == 2, "the other has")
    assert model.stats()["requests"] == 2


@pytest.mark.parametrize("cache", ["refresh", "off"])
def test_who_wants_it_anew_waits_for_nobody(
    cache: str, settings: Settings, queue: JobQueue, model: ModelServer
) -> None:
    ids = [queue.submit(QUESTION.model_copy(update={"cache": cache})).job_id for _ in range(2)]
    with working(settings):
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 2, "both have an answer")
    assert model.stats()["requests"] == 2


def test_one_that_waits_is_cancelled_alone(
    valkey: Redis, settings: Settings, queue: JobQueue, model: ModelServer
) -> None:
    ids = ask(queue, 4)
    with working(settings):
        wait_until(lambda: valkey.zcard(WAITING) == 3, "three wait")
        held = next(job_id for job_id in ids if job_id != leader_of(valkey))
        assert queue.cancel(held, tenant=DEFAULT_TENANT).status is JobStatus.STOPPED
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 3, "the others have an answer")
    assert states(queue, [held]) == {JobStatus.STOPPED: 1}
    assert model.stats()["requests"] == 1


def test_a_leader_that_is_cancelled_gives_its_place_to_one_that_waits(
    valkey: Redis, settings: Settings, queue: JobQueue
) -> None:
    ids = ask(queue, 4)
    with working(settings):
        wait_until(lambda: valkey.zcard(WAITING) == 3, "three wait")
        first = leader_of(valkey)
        queue.cancel(first, tenant=DEFAULT_TENANT)
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 3, "the others have an answer", seconds=15)
    assert states(queue, [first]) == {JobStatus.STOPPED: 1}


def test_a_leader_that_fails_gives_its_place_to_one_that_waits(
    valkey: Redis, settings: Settings, queue: JobQueue, model: ModelServer
) -> None:
    failing = settings.model_copy(update={"chat_model": _own("test-ttft=500ms-error400=1x"), "max_attempts": 1})
    ids = ask(JobQueue(valkey, failing), 4)
    with working(failing):
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 3, "three have an answer", seconds=15)
    assert states(queue, ids)[JobStatus.FAILED] == 1
    assert model.stats()["requests"] == 2


def test_a_killed_leader_loses_nobodys_question(
    valkey: Redis, settings: Settings, queue: JobQueue, model: ModelServer
) -> None:
    ids = ask(queue, 10)
    with processes(settings, 1) as [first]:
        wait_until(lambda: valkey.zcard(WAITING) >= 6 and model.stats()["requests"], "one asks, and most wait")
        os.kill(first.pid, signal.SIGKILL)
    with processes(settings, 1):
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 10, "all have an answer", seconds=50)
    assert model.stats()["requests"] == 2
    assert valkey.scard(OPEN) == 0


def test_who_is_put_aside_as_the_leader_ends_is_not_forgotten(
    valkey: Redis, settings: Settings, queue: JobQueue, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader has shared its answer between the question and the putting aside."""
    put_aside = sharing.Waiting.put_aside

    def late(self: sharing.Waiting, pipeline: object) -> None:
        wait_until(lambda: not leader_of(valkey), "nobody leads any more")
        put_aside(self, pipeline)  # type: ignore[arg-type]

    monkeypatch.setattr(sharing.Waiting, "put_aside", late)
    ids = ask(queue, 3)
    with working(settings):
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 3, "all have an answer", seconds=15)
    assert model.stats()["requests"] == 1


def test_its_webhook_is_told_of_each(valkey: Redis, settings: Settings, queue: JobQueue) -> None:
    hook = Webhook(url="https://example.com/hook", secret=SecretStr("whsec_" + "A" * 32))
    ids = [queue.submit(QUESTION, webhook=hook).job_id for _ in range(3)]
    with working(settings):
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 3, "all have an answer")
    entries: Any = valkey.xrange(OUTBOX)
    told = {fields[b"job"].decode() for _, fields in entries}
    assert told == set(ids)
    assert all(valkey.exists(f"rag:webhook:{job_id}") for job_id in ids)


def test_what_stands_there_and_is_none_of_ours_stops_nobody(
    valkey: Redis, settings: Settings, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = queue.submit(QUESTION.model_copy(update={"tenant": "anna", "query": "Another?"})).job_id
    put_aside = sharing.Waiting.put_aside

    def hostile(self: sharing.Waiting, pipeline: object) -> None:
        put_aside(self, pipeline)  # type: ignore[arg-type]
        valkey.zadd(f"{self.lease}:waiting", {other: 0, "nobody": 1})
        valkey.hset(f"rq:job:{other}", mapping={"status": "scheduled", "waits_for": self.lease})

    monkeypatch.setattr(sharing.Waiting, "put_aside", hostile)
    ids = ask(queue, 3)
    valkey.lrem(f"rq:queue:{QUERY_QUEUE}", 0, other)
    with working(settings):
        wait_until(lambda: states(queue, ids)[JobStatus.FINISHED] == 3, "all have an answer", seconds=45)
    assert valkey.hget(f"rq:job:{other}", "status") == b"scheduled"
