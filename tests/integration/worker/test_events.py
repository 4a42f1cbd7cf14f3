"""What a client of the stream is told while its job runs: each event once, in order, and the end last."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue, SimpleWorker

from app.core.contract import DEFAULT_TENANT, QUERY_QUEUE, AnswerJob, AnswerResult, JobStatus, SearchJob, SearchResult
from app.core.events import EventType, log_key
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.integration.worker.test_worker import die_with, states, with_model, work, working
from tests.support.event_logs import Event, log_of
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.queue import JobQueue
from worker.resources import end
from worker.runtime.event_writer import EventLog, EventWriter
from worker.runtime.recovery import recover


@pytest.fixture
def settings(valkey_url: str, qdrant_url: str, handbook: str) -> Iterator[Settings]:
    yield Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        worker_concurrency=4,
    )
    end()


@contextmanager
def listening(valkey: Redis) -> Iterator[Callable[[], tuple[str, int, str, Any]]]:
    """The next event that is published: job, number, type and data."""
    with valkey.pubsub() as listener:  # type: ignore[no-untyped-call]
        listener.psubscribe(log_key("*"))

        def heard() -> tuple[str, int, str, Any]:
            while True:
                message = wait_until(lambda: listener.get_message(timeout=1), "something is published")
                if message["type"] == "pmessage":
                    number, kind, data = message["data"].split(b" ", 2)
                    job_id = message["channel"].decode().removeprefix(log_key(""))
                    return job_id, int(number), kind.decode(), orjson.loads(data)

        yield heard


def text_of(events: list[Event]) -> str:
    return "".join(data["text"] for kind, data in events if kind == "answer.delta")


def ask(valkey: Redis, settings: Settings, query: str = "When does the harbour open in winter?") -> str:
    return JobQueue(valkey, settings).submit(AnswerJob(query=query)).job_id


def answer_of(valkey: Redis, settings: Settings, job_id: str) -> str:
    result = JobQueue(valkey, settings).view(job_id, tenant=DEFAULT_TENANT).result
    assert isinstance(result, AnswerResult)
    return result.answer


@pytest.mark.parametrize("name", ["test-tokens=40-gap=10ms", "test", None])
def test_a_question_tells_its_start_its_hits_its_text_and_its_end(
    valkey: Redis, settings: Settings, model: ModelServer, name: str | None
) -> None:
    asked = with_model(settings, model, name) if name else settings
    job_id = ask(valkey, asked)
    work(asked)
    events = log_of(valkey, job_id)
    kinds = [kind for kind, _ in events]
    assert kinds == ["job.started", "retrieval.completed", *["answer.delta"] * (len(kinds) - 3), "ended"]
    assert events[0][1] == {"attempt": 1}
    hit = events[1][1]["hits"][0]
    assert {"document_id", "filename", "page", "score"} == set(hit)
    assert (hit["filename"], hit["page"]) == ("handbook.pdf", 1)
    assert text_of(events).strip() == answer_of(valkey, asked, job_id)
    assert 0 < valkey.ttl(log_key(job_id)) <= asked.result_ttl_seconds


def test_events_are_told_while_the_model_writes(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    slow = with_model(settings, model, "test-tokens=200-gap=50ms")
    with working(slow), listening(valkey) as heard:
        job_id = ask(valkey, slow)
        wait_until(lambda: text_of(log_of(valkey, job_id)), "the first words are there")
        assert states(JobQueue(valkey, slow), [job_id]) == {JobStatus.STARTED: 1}
        JobQueue(valkey, slow).cancel(job_id, tenant=DEFAULT_TENANT)
        wait_until(lambda: states(JobQueue(valkey, slow), [job_id])["stopped"], "the job is stopped")
        published: list[list[Any]] = []
        while not published or published[-1][1] != "ended":
            told_of, *event = heard()
            assert told_of == job_id
            published.append(event)
    events = log_of(valkey, job_id)
    assert events[-1] == ("ended", {})
    assert published == [[n, *event] for n, event in enumerate(events, start=1)]


def test_a_retry_starts_over_and_only_the_last_attempt_ends(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    flaky = with_model(settings, model, f"test-truncate=1x-gap=10ms-tokens=20-seed={uuid4().int % 10**6}")
    with working(flaky):
        job_id = ask(valkey, flaky)
        wait_until(lambda: states(JobQueue(valkey, flaky), [job_id])["finished"], "the job finishes")
    events = log_of(valkey, job_id)
    starts = [i for i, (kind, _) in enumerate(events) if kind == "job.started"]
    assert [events[i][1]["attempt"] for i in starts] == [1, 2]
    assert [kind for kind, _ in events].count("ended") == 1
    assert events[-1][0] == "ended"
    assert text_of(events[starts[1] :]).strip() == answer_of(valkey, flaky, job_id)


def test_a_job_that_fails_ends_its_log_for_as_long_as_its_record_is_kept(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    broken = with_model(settings, model, "test-error401")
    job_id = ask(valkey, broken)
    work(broken)
    assert log_of(valkey, job_id)[-1] == ("ended", {})
    assert valkey.ttl(log_key(job_id)) > broken.result_ttl_seconds


def test_a_lost_job_that_has_no_attempt_left_ends_its_log(valkey: Redis, settings: Settings) -> None:
    job_id = ask(valkey, settings.model_copy(update={"max_attempts": 1}))
    die_with(valkey, job_id)
    recover(Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer))
    assert log_of(valkey, job_id) == [("ended", {})]


def test_a_finished_job_that_is_put_back_by_hand_begins_its_log_anew(valkey: Redis, settings: Settings) -> None:
    job_id = ask(valkey, settings)
    work(settings)
    before = log_of(valkey, job_id)
    assert valkey.type(log_key(job_id)) == b"string"
    valkey.hset(f"rq:job:{job_id}", "status", "queued")
    valkey.rpush(f"rq:queue:{QUERY_QUEUE}", job_id)
    work(settings)
    assert log_of(valkey, job_id) == before


def test_a_record_is_terminal_when_its_end_is_told(valkey: Redis, settings: Settings) -> None:
    seen: list[Any] = []
    with working(settings), listening(valkey) as heard:
        ids = [ask(valkey, settings) for _ in range(20)]
        while len(seen) < len(ids):
            job_id, _, kind, _ = heard()
            if kind == "ended":
                seen.append(valkey.hget(f"rq:job:{job_id}", "status"))
    assert set(seen) == {b"finished"}


class Flaky:
    """A script that fails now and then: before it runs, or after."""

    def __init__(self, script: Callable[..., Any]) -> None:
        self._script = script
        self.calls = 0

    def __call__(self, **arguments: Any) -> Any:
        self.calls += 1
        if self.calls % 3 == 1:
            raise RedisConnectionError("before")
        answer = self._script(**arguments)
        if self.calls % 3 == 2:
            raise RedisConnectionError("after")
        return answer


def test_no_event_is_lost_or_told_twice_though_valkey_fails_now_and_then(
    valkey: Redis, settings: Settings, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.runtime.event_writer.RETRY_SECONDS", 0.01)
    made = EventWriter.__init__

    def flaky(writer: EventWriter, connection: Redis) -> None:
        made(writer, connection)
        writer._record = Flaky(writer._record)  # type: ignore[assignment]

    monkeypatch.setattr(EventWriter, "__init__", flaky)
    streamed = with_model(settings, model, "test-tokens=30-gap=20ms")
    ids = [ask(valkey, streamed) for _ in range(4)]
    work(streamed)
    for job_id in ids:
        assert text_of(log_of(valkey, job_id)).strip() == answer_of(valkey, streamed, job_id)


def test_what_a_worker_tells_of_a_job_that_it_has_lost_is_dropped(valkey: Redis) -> None:
    valkey.hset("rq:job:x", mapping={"status": "started", "worker_name": "another"})
    with closing(EventWriter(valkey)) as writer:
        ours = EventLog("x", worker="me", started=1, keep_seconds=60, writer=writer)
        theirs = EventLog("x", worker="another", started=1, keep_seconds=60, writer=writer)
        ours.delta("stale")
        wait_until(lambda: not writer._changed, "the event is dealt with")
        theirs.add(EventType.RETRIEVED, {"hits": []})
        wait_until(lambda: valkey.xlen(log_key("x")), "the other's is there")
    entries: Any = valkey.xrange(log_key("x"))
    assert [fields[b"t"] for _, fields in entries] == [b"retrieval.completed"]


def test_many_threads_tell_at_once_and_nothing_is_mixed(valkey: Redis) -> None:
    with closing(EventWriter(valkey)) as writer:
        logs = []
        for n in range(8):
            valkey.hset(f"rq:job:{n}", mapping={"status": "started", "worker_name": "me"})
            logs.append(EventLog(str(n), worker="me", started=0, keep_seconds=60, writer=writer))

        def tell(log: EventLog) -> None:
            for i in range(500):
                log.delta(f"{i} ")

        threads = [threading.Thread(target=tell, args=(log,)) for log in logs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = "".join(f"{i} " for i in range(500))
        for n in range(8):
            wait_until(lambda n=n: text_of(log_of(valkey, str(n))) == whole, "all is told")  # type: ignore[misc]


def test_under_a_stock_worker_the_job_tells_itself(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", settings.qdrant_url or "")
    monkeypatch.setenv("QDRANT_COLLECTION", settings.qdrant_collection)
    job_id = ask(valkey, settings)
    SimpleWorker([QUERY_QUEUE], connection=valkey).work(burst=True)
    end()
    events = log_of(valkey, job_id)
    assert [kind for kind, _ in events] == ["job.started", "retrieval.completed", "answer.delta"]
    assert text_of(events) == answer_of(valkey, settings, job_id)
    assert valkey.ttl(log_key(job_id)) > 0


def test_a_search_finds_chunks_and_calls_no_model(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    model.reset()
    asked = with_model(settings, model, "test")
    queue = JobQueue(valkey, asked)
    job_id = queue.submit(SearchJob(query="harbour in winter", top_k=1)).job_id
    work(asked)
    result = queue.view(job_id, tenant=DEFAULT_TENANT).result
    assert isinstance(result, SearchResult)
    [hit] = result.hits
    assert (hit.filename, hit.page) == ("handbook.pdf", 1)
    assert "harbour opens at six in winter" in hit.text
    assert [kind for kind, _ in log_of(valkey, job_id)] == ["job.started", "ended"]
    assert model.stats()["requests"] == 0


def test_a_requests_id_is_in_the_jobs_log_lines(
    valkey: Redis, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    JobQueue(valkey, settings).submit(AnswerJob(query="harbour", request_id="req-7"))
    work(settings)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "job_done" in line]
    assert [line["request_id"] for line in lines] == ["req-7"]
