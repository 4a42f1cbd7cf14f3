"""The worker on a real Valkey, a real index and a model over HTTP."""

import pickle
import threading
from collections.abc import Iterator
from time import monotonic
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.worker import BaseWorker

from app.core.contract import ANSWER_JOB, DEFAULT_TENANT, QUERY_QUEUE, AnswerJob, JobStatus
from app.core.errors import ErrorCode
from app.core.queue import JobQueue, JobView, connect
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.support.documents import HANDBOOK, add_document
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from worker.concurrent import ConcurrentWorker
from worker.index import open_index
from worker.resources import share


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def settings(valkey_url: str, qdrant_url: str) -> Iterator[Settings]:
    settings = Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        worker_concurrency=4,
    )
    add_document(open_index(settings), *HANDBOOK)
    yield settings
    share(None)


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
    assert view.result is not None
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
    assert view.result is not None
    assert (view.result.mode, view.result.grounded, view.result.model) == ("model", True, "test")
    assert view.result.citations[0].page == 1
    assert view.result.usage.input_tokens > 0


def test_the_model_is_given_the_sources_and_the_question(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    view = ask(valkey, with_model(settings, model, "test-echo"), "When does the harbour open?")
    assert view.result is not None
    assert "The harbour opens at six in winter." in view.result.answer
    assert "Question: When does the harbour open?" in view.result.answer


def test_when_nothing_is_found_the_model_is_not_called(valkey: Redis, settings: Settings, model: ModelServer) -> None:
    model.reset()
    view = ask(valkey, with_model(settings, model, "test"), "zork blorf")
    assert view.result is not None
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
    add_document(open_index(hybrid), *HANDBOOK)
    view = ask(valkey, hybrid, "When does the harbour open?")
    assert view.result is not None
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
    view = ask(valkey, with_model(settings, model, name, model_timeout_seconds=0.3), "harbour")
    assert view.status is JobStatus.FAILED
    assert view.error is not None
    assert view.error.code is code


def test_a_model_that_is_nowhere_ends_the_job_with_a_code(valkey: Redis, settings: Settings) -> None:
    nowhere = settings.model_copy(update={"openai_base_url": "http://127.0.0.1:9/v1"})
    view = ask(valkey, nowhere, "harbour")
    assert view.error is not None
    assert view.error.code is ErrorCode.MODEL_UNAVAILABLE


def test_qdrant_away_ends_the_job_with_a_code(valkey: Redis, settings: Settings) -> None:
    view = ask(valkey, settings.model_copy(update={"qdrant_url": "http://127.0.0.1:9"}), "harbour")
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
    view = queue.view(job_id, tenant=DEFAULT_TENANT)
    assert view.result is not None
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
    worker = ConcurrentWorker([QUERY_QUEUE], connection=connect_again(settings), settings=settings)
    thread = threading.Thread(target=worker.work)
    thread.start()
    try:
        wait_until(lambda: JobQueue(valkey, settings).workers_alive() == 4, "four workers are registered")
        assert {w.get_state() for w in BaseWorker.all(connection=valkey)} == {"idle"}
    finally:
        worker.stop()
        thread.join(10)
    assert not thread.is_alive()
    assert BaseWorker.all(connection=valkey) == []


def test_a_stop_lets_running_questions_finish_and_leaves_the_rest_queued(
    valkey: Redis, settings: Settings, model: ModelServer
) -> None:
    slow = with_model(settings, model, "test-ttft=1s", worker_concurrency=2)
    queue = JobQueue(valkey, slow)
    ids = [queue.submit(AnswerJob(query="harbour")).job_id for _ in range(4)]
    model.reset()
    worker = ConcurrentWorker([QUERY_QUEUE], connection=connect_again(slow), settings=slow)
    thread = threading.Thread(target=worker.work)
    thread.start()
    model.wait_until(lambda stats: stats["in_flight"] == 2)
    worker.stop()
    thread.join(10)
    states = sorted(queue.view(job_id, tenant=DEFAULT_TENANT).status for job_id in ids)
    assert states == ["finished", "finished", "queued", "queued"]


def test_a_job_past_its_limit_fails_with_a_code_and_its_thread_works_on(valkey: Redis, settings: Settings) -> None:
    queue = Queue(QUERY_QUEUE, connection=valkey, serializer=PlainSerializer)
    late = queue.enqueue_call("tests.support.jobs.spin", args=(30,), timeout=1, failure_ttl=60)
    began = monotonic()
    view = ask(valkey, settings.model_copy(update={"worker_concurrency": 1}), "When does the harbour open?")
    assert monotonic() - began < 10
    assert late.get_status() == "failed"
    assert view.status is JobStatus.FINISHED


def connect_again(settings: Settings) -> Redis:
    assert settings.redis_url
    return connect(settings.redis_url.get_secret_value())
