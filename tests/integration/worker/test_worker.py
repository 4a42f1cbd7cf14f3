"""The worker on a real Valkey, a real index and a model over HTTP."""

import pickle
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import monotonic
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.worker import BaseWorker

from app.core.contract import ANSWER_JOB, DEFAULT_TENANT, QUERY_QUEUE, AnswerJob, AnswerResult, JobStatus
from app.core.errors import ErrorCode
from app.core.queue.connections import connect
from app.core.queue.records import JobView
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.support import jobs
from tests.support.contents import everything_in
from tests.support.documents import HANDBOOK, add_document
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.proxy import proxying
from tests.support.queue import JobQueue
from worker.concurrent import ConcurrentWorker
from worker.index.vector_index import open_index
from worker.resources import end
from worker.runtime.recovery import recover
from worker.runtime.retries import Backoff


@pytest.fixture
def settings(valkey_url: str, qdrant_url: str, handbook: str) -> Iterator[Settings]:
    yield Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        worker_concurrency=4,
    )
    end()


def with_model(settings: Settings, model: ModelServer, name: str, **more: object) -> Settings:
    return settings.model_copy(update={"openai_base_url": model.url, "chat_model": name, **more})


def work(settings: Settings) -> None:
    """Work the queue until it is empty."""
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        ConcurrentWorker([QUERY_QUEUE], connection=connection, settings=settings).work(burst=True)


def ask(valkey: Redis, settings: Settings, query: str, **more: object) -> JobView:
    queue = JobQueue(valkey, settings)
    job_id = queue.submit(AnswerJob(query=query, **more)).job_id
    work(settings)
    return queue.view(job_id, tenant=DEFAULT_TENANT)


def test_without_a_model_a_question_is_answered_in_the_documents_words(valkey: Redis, settings: Settings) -> None:
    view = ask(valkey, settings, "When does the harbour open in winter?")
    assert view.status is JobStatus.FINISHED
    assert isinstance(view.result, AnswerResult)
    assert view.result.answer == "The harbour opens at six in winter. [1]"
    assert view.result.mode == "extractive"
    assert [(c.filename, c.page) for c in view.result.citations] == [("handbook.pdf", 1)]
    assert view.result.timings_ms.total >= view.result.timings_ms.retrieval > 0
    assert view.attempt == 1
    assert view.started_at is not None
    assert view.ended_at is not None


def test_with_a_model_the_answer_is_the_models_and_cites(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    view = ask(valkey, with_model(settings, model, "test"), "When does the harbour open in winter?")
    assert isinstance(view.result, AnswerResult)
    assert (view.result.mode, view.result.grounded, view.result.model) == ("model", True, "test")
    assert view.result.citations[0].page == 1
    assert view.result.usage.input_tokens > 0


def test_the_model_is_given_the_sources_and_the_question(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    view = ask(valkey, with_model(settings, model, "test-echo"), "When does the harbour open?")
    assert isinstance(view.result, AnswerResult)
    assert "The harbour opens at six in winter." in view.result.answer
    assert "Question: When does the harbour open?" in view.result.answer


def test_when_nothing_is_found_the_model_is_not_called(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    model.reset()
    view = ask(valkey, with_model(settings, model, "test"), "zork blorf")
    assert isinstance(view.result, AnswerResult)
    assert not view.result.grounded
    assert model.stats()["requests"] == 0


def test_with_an_embedding_model_retrieval_is_hybrid(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    hybrid = settings.model_copy(
        update={
            "embedding_model": "test",
            "embedding_base_url": model.url,
            "qdrant_collection": f"t{uuid4().hex}",
        }
    )
    with closing(open_index(hybrid)) as index:
        add_document(index, *HANDBOOK)
    view = ask(valkey, hybrid, "When does the harbour open?")
    assert isinstance(view.result, AnswerResult)
    assert view.result.citations[0].page == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("test-error401", ErrorCode.MODEL_AUTH_FAILED),
        ("test-error400", ErrorCode.MODEL_REJECTED),
        ("test-error404", ErrorCode.MODEL_REJECTED),
        ("test-quota", ErrorCode.MODEL_REJECTED),
        ("test-filter", ErrorCode.CONTENT_FILTERED),
        ("test-error429", ErrorCode.MODEL_RATE_LIMITED),
        ("test-error500", ErrorCode.MODEL_UNAVAILABLE),
        ("test-truncate", ErrorCode.MODEL_UNAVAILABLE),
        ("test-badjson", ErrorCode.MODEL_UNAVAILABLE),
        ("test-hang", ErrorCode.MODEL_TIMEOUT),
    ],
)
def test_a_model_that_fails_ends_the_job_with_a_code(
    valkey: Redis, settings: Settings, model: ModelServer, name: str, code: ErrorCode
) -> None:
    once = with_model(settings, model, name, model_timeout_seconds=0.3, max_attempts=1)
    view = ask(valkey, once, "harbour")
    assert view.status is JobStatus.FAILED
    assert view.error is not None
    assert view.error.code is code


def test_a_model_that_is_nowhere_ends_the_job_with_a_code(valkey: Redis, settings: Settings) -> None:
    nowhere = settings.model_copy(update={"openai_base_url": "http://127.0.0.1:9/v1", "max_attempts": 1})
    view = ask(valkey, nowhere, "harbour")
    assert view.error is not None
    assert view.error.code is ErrorCode.MODEL_UNAVAILABLE


def test_qdrant_unavailable_ends_the_job_with_a_code(valkey: Redis, settings: Settings) -> None:
    view = ask(valkey, settings.model_copy(update={"qdrant_url": "http://127.0.0.1:9", "max_attempts": 1}), "harbour")
    assert view.error is not None
    assert view.error.code is ErrorCode.INDEX_UNAVAILABLE


def test_a_secret_in_an_error_reaches_neither_valkey_nor_the_client(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    keyed = with_model(settings, model, "test-error401", openai_api_key=SecretStr("sk-hunter2"))
    view = ask(valkey, keyed, "harbour hunter3")
    record = Job.fetch(view.job_id, connection=valkey, serializer=PlainSerializer)
    latest = record.latest_result()
    assert latest is not None
    kept = f"{latest.exc_string} {record.description} {record.meta} {view.error}"
    assert "hunter" not in kept
    assert "model_auth_failed" in kept


@pytest.mark.parametrize("payload", [{"query": ""}, {"query": "x", "tenant": 5}, "text", None, {"query": "x" * 9000}])
def test_a_payload_that_is_no_question_fails_with_a_code(valkey: Redis, settings: Settings, payload: object) -> None:
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    job = queue.enqueue_call(ANSWER_JOB, args=(payload,), meta={"tenant": DEFAULT_TENANT}, failure_ttl=60)
    work(settings)
    view = JobQueue(valkey, settings).view(job.id, tenant=DEFAULT_TENANT)
    assert view.error is not None
    assert view.error.code is ErrorCode.PAYLOAD_INVALID


def test_a_pickle_with_code_is_not_run_and_the_next_job_is(
    valkey: Redis, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("pwned",)

    queue = Queue(QUERY_QUEUE, connection=valkey)
    job = queue.create_job(ANSWER_JOB, args=({},))
    job.data = pickle.dumps((ANSWER_JOB, None, (Hostile(),), {}))
    queue.enqueue_job(job)
    view = ask(valkey, settings, "When does the harbour open?")
    assert view.status is JobStatus.FINISHED
    assert "pwned" not in capfd.readouterr().out


def test_a_stock_worker_works_the_same_queue(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", settings.qdrant_url or "")
    monkeypatch.setenv("QDRANT_COLLECTION", settings.qdrant_collection)
    queue = JobQueue(valkey, settings)
    job_id = queue.submit(AnswerJob(query="When does the harbour open?")).job_id
    SimpleWorker([QUERY_QUEUE], connection=valkey).work(burst=True)
    end()
    view = queue.view(job_id, tenant=DEFAULT_TENANT)
    assert isinstance(view.result, AnswerResult)
    assert view.result.citations


def test_questions_wait_for_the_model_side_by_side(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    slow = with_model(settings, model, "test-ttft=500ms", worker_concurrency=16)
    queue = JobQueue(valkey, slow)
    ids = [queue.submit(AnswerJob(query="harbour")).job_id for _ in range(16)]
    model.reset()
    work(slow)
    assert {queue.view(job_id, tenant=DEFAULT_TENANT).status for job_id in ids} == {JobStatus.FINISHED}
    assert model.stats()["max_in_flight"] == 16


def test_each_thread_is_a_worker_in_valkey_and_none_is_left_behind(valkey: Redis, settings: Settings) -> None:
    with working(settings):
        wait_until(lambda: JobQueue(valkey, settings).workers_alive() == 4, "four workers are registered")
        assert {w.get_state() for w in BaseWorker.all(connection=valkey)} == {"idle"}
        queue = JobQueue(valkey, settings)
        ids = submit(queue, 12)
        wait_until(lambda: states(queue, ids)["finished"] == 12, "all are answered")
        assert {w.get_state() for w in BaseWorker.all(connection=valkey)} == {"idle"}
    assert BaseWorker.all(connection=valkey) == []


def test_a_stop_lets_running_questions_finish_and_leaves_the_rest_queued(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    slow = with_model(settings, model, "test-ttft=1s", worker_concurrency=2)
    queue = JobQueue(valkey, slow)
    ids = [queue.submit(AnswerJob(query="harbour")).job_id for _ in range(4)]
    model.reset()
    with working(slow):
        model.wait_until(lambda stats: stats["in_flight"] == 2)
    assert states(queue, ids) == {"finished": 2, "queued": 2}


def test_a_job_past_its_limit_fails_with_a_code_and_its_thread_works_on(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.allow(monkeypatch)
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    late = queue.enqueue_call("tests.support.jobs.spin", args=({"seconds": 30},), timeout=1, failure_ttl=60)
    began = monotonic()
    view = ask(valkey, settings.model_copy(update={"worker_concurrency": 1}), "When does the harbour open?")
    assert monotonic() - began < 10
    assert late.get_status() == "failed"
    assert view.status is JobStatus.FINISHED


@contextmanager
def working(settings: Settings, *queues: str) -> Iterator[ConcurrentWorker]:
    """A worker of these queues, or of the questions', in a thread; stopped at the end."""
    worker = ConcurrentWorker(queues or [QUERY_QUEUE], connection=connect_again(settings), settings=settings)
    thread = threading.Thread(target=worker.work)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()


def submit(queue: JobQueue, count: int, query: str = "harbour") -> list[str]:
    return [queue.submit(AnswerJob(query=query)).job_id for _ in range(count)]


def states(queue: JobQueue, ids: list[str]) -> Counter[str]:
    return Counter(queue.view(job_id, tenant=DEFAULT_TENANT).status for job_id in ids)


@pytest.mark.parametrize("fault", ["error429=2x-retry=1s", "error500=1x", "truncate=1x", "error503=1x"])
def test_a_failure_that_a_retry_may_help_is_tried_again(
    valkey: Redis, settings: Settings, model: ModelServer, fault: str
) -> None:
    flaky = with_model(settings, model, f"test-{fault}-seed={uuid4().int % 10**6}")
    queue = JobQueue(valkey, flaky)
    with working(flaky):
        [job_id] = submit(queue, 1)
        wait_until(lambda: states(queue, [job_id])["finished"], "the job finishes")
    assert queue.view(job_id, tenant=DEFAULT_TENANT).attempt == (3 if "2x" in fault else 2)


def test_a_waiting_retry_holds_no_thread_and_tells_its_attempt(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    flaky = with_model(settings, model, f"test-error500=1x-seed={uuid4().int % 10**6}", worker_concurrency=1)
    queue = JobQueue(valkey, flaky)
    with working(flaky):
        first, second = submit(queue, 2)
        wait_until(lambda: states(queue, [second])["finished"], "the second job is answered")
        waiting = queue.view(first, tenant=DEFAULT_TENANT)
    assert (waiting.status, waiting.position, waiting.attempt) == (JobStatus.QUEUED, None, 1)


def test_attempts_are_limited(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    broken = with_model(settings, model, "test-error500", max_attempts=2)
    queue = JobQueue(valkey, broken)
    with working(broken):
        [job_id] = submit(queue, 1)
        wait_until(lambda: states(queue, [job_id])["failed"], "the job fails")
    view = queue.view(job_id, tenant=DEFAULT_TENANT)
    assert view.attempt == 2
    assert view.error is not None
    assert view.error.code is ErrorCode.MODEL_UNAVAILABLE


def test_a_call_that_gives_no_answer_is_paid_for_three_times_at_most(
    valkey: Redis, settings: Settings, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.jobs.BACKOFF", Backoff(base_seconds=1.0, max_seconds=1.0))
    silent = with_model(settings, model, "test-manner=null", max_attempts=10)
    queue = JobQueue(valkey, silent)
    model.reset()
    with working(silent):
        [job_id] = submit(queue, 1)
        wait_until(lambda: states(queue, [job_id])["failed"], "the job fails")
    view = queue.view(job_id, tenant=DEFAULT_TENANT)
    assert (view.attempt, model.stats()["requests"]) == (3, 3)
    assert view.error is not None
    assert view.error.code is ErrorCode.MODEL_NO_ANSWER


def test_a_short_context_is_given_fewer_sources_and_the_next_question_pays_no_more_for_it(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    short = with_model(settings, model, "test-context=165", worker_concurrency=1)
    queue = JobQueue(valkey, short)
    model.reset()
    ids = submit(queue, 2, "harbour boat warranty")
    work(short)
    for job_id in ids:
        view = queue.view(job_id, tenant=DEFAULT_TENANT)
        assert isinstance(view.result, AnswerResult)
        assert view.result.grounded
    assert model.stats()["by_status"] == {"400": 1, "200": 2}


def test_a_context_that_takes_no_source_at_all_is_an_error_of_its_own(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    view = ask(valkey, with_model(settings, model, "test-context=10"), "When does the harbour open in winter?")
    assert view.error is not None
    assert (view.error.code, view.error.retryable, view.attempt) == (ErrorCode.CONTEXT_TOO_LONG, False, 1)


def test_a_cancelled_job_that_waits_never_runs(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    answered = with_model(settings, model, "test")
    queue = JobQueue(valkey, answered)
    model.reset()
    keep, drop = submit(queue, 2)
    assert queue.cancel(drop, tenant=DEFAULT_TENANT).status is JobStatus.STOPPED
    valkey.rpush("rq:queue:rag_queries", drop)  # as if a worker had popped it a moment before
    work(answered)
    assert states(queue, [keep, drop]) == {"finished": 1, "stopped": 1}
    assert model.stats()["requests"] == 1
    assert queue.cancel(keep, tenant=DEFAULT_TENANT).status is JobStatus.FINISHED
    assert valkey.lrange("rq:queue:rag_queries:intermediate", 0, -1) == []


def test_a_running_job_that_is_cancelled_leaves_its_model_call(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    slow = with_model(settings, model, "test-ttft=30s")
    queue = JobQueue(valkey, slow)
    model.reset()
    with working(slow):
        ids = submit(queue, 4)
        model.wait_until(lambda stats: stats["in_flight"] == 4)
        began = monotonic()
        for job_id in ids:
            queue.cancel(job_id, tenant=DEFAULT_TENANT)
        wait_until(lambda: states(queue, ids)["stopped"] == 4, "all are stopped")
        assert monotonic() - began < 5
        model.wait_until(lambda stats: stats["in_flight"] == 0)
    assert model.stats()["cancelled"] == 4
    assert queue.view(ids[0], tenant=DEFAULT_TENANT).error is None


def test_a_cancel_that_no_worker_heard_is_found_by_the_heartbeat(
    valkey: Redis, settings: Settings, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.queue.producer.PUBSUB_CHANNEL_TEMPLATE", "to-nobody:%s")
    slow = with_model(settings, model, "test-ttft=30s")
    queue = JobQueue(valkey, slow)
    model.reset()
    with working(slow):
        [job_id] = submit(queue, 1)
        model.wait_until(lambda stats: stats["in_flight"] == 1)
        queue.cancel(job_id, tenant=DEFAULT_TENANT)
        wait_until(lambda: states(queue, [job_id])["stopped"], "it is stopped")


def test_when_the_grace_is_over_running_jobs_go_back_on_the_queue(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    slow = with_model(settings, model, "test-ttft=30s", shutdown_grace_seconds=0.2)
    queue = JobQueue(valkey, slow)
    model.reset()
    with working(slow):
        ids = submit(queue, 4)
        model.wait_until(lambda stats: stats["in_flight"] == 4)
    assert states(queue, ids) == {"queued": 4}
    assert {queue.view(job_id, tenant=DEFAULT_TENANT).attempt for job_id in ids} == {0}
    work(with_model(settings, model, "test"))
    assert states(queue, ids) == {"finished": 4}


def die_with(valkey: Redis, job_id: str) -> None:
    """Leave the job as a worker leaves it that is killed while it runs: started, its heartbeat over."""
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    valkey.lrem(queue.key, 0, job_id)
    valkey.hset(f"rq:job:{job_id}", mapping={"status": "started"})
    valkey.zadd(queue.started_job_registry.key, {f"{job_id}:gone": 1})


def test_a_dead_workers_job_is_run_again(valkey: Redis, settings: Settings) -> None:
    queue = JobQueue(valkey, settings)
    [job_id] = submit(queue, 1)
    die_with(valkey, job_id)
    with working(settings):
        wait_until(lambda: states(queue, [job_id])["finished"], "another worker answers")
    assert queue.view(job_id, tenant=DEFAULT_TENANT).attempt == 2


def test_a_job_that_kills_its_workers_fails_in_the_end(valkey: Redis, settings: Settings) -> None:
    queue = JobQueue(valkey, settings.model_copy(update={"max_attempts": 1}))
    [job_id] = submit(queue, 1)
    die_with(valkey, job_id)
    recover(Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer))
    view = queue.view(job_id, tenant=DEFAULT_TENANT)
    assert view.error is not None
    assert (view.status, view.error.code) == (JobStatus.FAILED, ErrorCode.WORKER_LOST)


def test_a_finished_job_is_never_run_or_failed_by_a_late_clean_up(valkey: Redis, settings: Settings) -> None:
    queue = JobQueue(valkey, settings)
    [job_id] = submit(queue, 1)
    work(settings)
    before = queue.view(job_id, tenant=DEFAULT_TENANT)
    valkey.zadd("rq:wip:rag_queries", {f"{job_id}:late": 1})
    recover(Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer))
    valkey.rpush("rq:queue:rag_queries", job_id)
    work(settings)
    assert queue.view(job_id, tenant=DEFAULT_TENANT) == before
    assert valkey.zcard("rq:wip:rag_queries") == 0


def test_a_job_popped_by_a_worker_that_died_before_it_started_comes_back(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.runtime.recovery.UNSTARTED_SECONDS", 0)
    queue = JobQueue(valkey, settings)
    [job_id] = submit(queue, 1)
    assert valkey.lmove("rq:queue:rag_queries", "rq:queue:rag_queries:intermediate") == job_id.encode()
    recover(Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer))
    work(settings)
    assert states(queue, [job_id]) == {"finished": 1}
    assert queue.view(job_id, tenant=DEFAULT_TENANT).attempt == 1


def test_maintenance_goes_on_after_a_process_died_with_rqs_lock(valkey: Redis) -> None:
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    recover(queue)
    assert queue.acquire_maintenance_lock()
    recover(queue)  # someone else has the lock: nothing happens
    assert valkey.exists(queue.registry_cleaning_key)


def test_calls_in_flight_never_exceed_the_budget_of_all_workers(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    tight = with_model(settings, model, "test-ttft=100ms", worker_concurrency=6, model_max_concurrency=3)
    queue = JobQueue(valkey, tight)
    ids = submit(queue, 18)
    model.reset()
    with working(tight), working(tight):
        wait_until(lambda: states(queue, ids)["finished"] == 18, "all are answered")
    assert model.stats()["max_in_flight"] == 3
    assert valkey.zcard("rag:budget:leases") == 0


def test_requests_beyond_the_budget_wait_in_the_queue_in_their_order(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    tight = with_model(settings, model, "test", model_requests_per_minute=3)
    queue = JobQueue(valkey, tight)
    ids = submit(queue, 5)
    model.reset()
    with working(tight):
        wait_until(lambda: states(queue, ids)["finished"] == 3, "three are answered")
    assert model.stats()["requests"] == 3
    waiting = [queue.view(job_id, tenant=DEFAULT_TENANT) for job_id in ids[3:]]
    assert [(view.status, view.position, view.attempt) for view in waiting] == [("queued", 1, 0), ("queued", 2, 0)]


def test_tokens_beyond_the_budget_keep_jobs_in_the_queue(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    tight = with_model(settings, model, "test", model_tokens_per_minute=1, worker_concurrency=1)
    queue = JobQueue(valkey, tight)
    ids = submit(queue, 3)
    model.reset()
    with working(tight):
        wait_until(lambda: states(queue, ids)["finished"] == 1, "one is answered")
    assert states(queue, ids) == {"finished": 1, "queued": 2}


def stock_settings(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Tell a stock worker of the model and of its budget."""
    for name in ("qdrant_url", "qdrant_collection", "chat_model", "openai_base_url"):
        monkeypatch.setenv(name.upper(), getattr(settings, name))
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("MODEL_REQUESTS_PER_MINUTE", str(settings.model_requests_per_minute))
    monkeypatch.setenv("MODEL_MAX_CONCURRENCY", str(settings.model_max_concurrency))


def test_stock_workers_keep_to_the_budget_and_put_back_what_is_over_it(
    valkey: Redis, settings: Settings, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = with_model(settings, model, "test", model_requests_per_minute=2, model_max_concurrency=1)
    stock_settings(monkeypatch, tight)
    monkeypatch.setattr("worker.jobs.HELD_SECONDS", 0)
    queue = JobQueue(valkey, tight)
    ids = submit(queue, 4)
    model.reset()
    SimpleWorker([QUERY_QUEUE], connection=valkey).work(burst=True, max_jobs=5)
    end()
    assert states(queue, ids) == {"finished": 2, "queued": 2}
    assert model.stats()["requests"] == 2
    waiting = [queue.view(job_id, tenant=DEFAULT_TENANT) for job_id in ids[2:]]
    assert [(view.position, view.attempt) for view in waiting] == [(1, 0), (2, 0)]
    assert valkey.zcard("rag:budget:leases") == 0


def test_an_answer_that_is_paid_for_outlives_the_count_of_its_cost(
    valkey: Redis, settings: Settings, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RedisConnectionError

    tight = with_model(settings, model, "test", model_requests_per_minute=2, model_max_concurrency=1)
    stock_settings(monkeypatch, tight)
    for name in ("spend_tokens", "release"):
        monkeypatch.setattr(f"worker.runtime.budget.Budget.{name}", away)
    queue = JobQueue(valkey, tight)
    ids = submit(queue, 1)
    SimpleWorker([QUERY_QUEUE], connection=valkey).work(burst=True)
    end()
    assert states(queue, ids) == {"finished": 1}


def test_a_providers_retry_after_pauses_everybody(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    limited = with_model(
        settings, model, f"test-error429=1x-retry=2s-seed={uuid4().int % 10**6}", worker_concurrency=1
    )
    queue = JobQueue(valkey, limited)
    ids = submit(queue, 2)
    began = monotonic()
    with working(limited):
        wait_until(lambda: states(queue, ids)["finished"] == 2, "both are answered")
    assert monotonic() - began > 2


def connect_again(settings: Settings) -> Redis:
    assert settings.redis_url
    return connect(settings.redis_url.get_secret_value())


def test_a_proxys_password_is_in_no_record_of_a_question_that_failed_by_it(
    valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    far = settings.model_copy(update={"openai_base_url": "https://far.test/v1", "chat_model": "m"})
    with proxying(credentials=("me", "s3cret"), refuses_with=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        job = ask(valkey, far, "When does the harbour open in winter?")
    assert proxy.seen
    held = everything_in(valkey)
    assert job.job_id.encode() in held
    assert b"model_unavailable" in held
    said = "".join(capfd.readouterr())
    assert f"127.0.0.1:{proxy.port}" in said
    for secret in ("s3cret", proxy.url, "bWU6czNjcmV0"):  # the last is what the header holds
        assert secret.encode() not in held
        assert secret not in said
