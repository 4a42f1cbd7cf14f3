"""The HTTP contract, on a fake Valkey: every answer is what the contract says, every error a problem document."""

from collections.abc import Iterator
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from fastapi.testclient import TestClient
from redis import Redis
from rq import Queue
from rq.job import Job

from app.core.contract import QUERY_QUEUE, AnswerResult, Timings, Usage
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.main import create_app
from tests.support.problems import assert_problem

RESULT = AnswerResult(
    answer="Six.",
    mode="extractive",
    grounded=False,
    citations=(),
    model=None,
    usage=Usage(),
    timings_ms=Timings(queued=1, retrieval=2, generation=3, total=6),
)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def valkey(server: FakeServer) -> Redis:
    return FakeRedis(server=server)


@pytest.fixture
def client(server: FakeServer) -> Iterator[TestClient]:
    settings = Settings(max_queue_depth=3, qdrant_url="http://127.0.0.1:9")
    app = create_app(settings, valkey=FakeAsyncRedis(server=server))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def fetch(valkey: Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=valkey, serializer=PlainSerializer)


def end(valkey: Redis, job_id: str, outcome: Any = None, *, trace: str = "", **meta: str) -> None:
    """Write what a worker writes at a job's end."""
    job = fetch(valkey, job_id)
    job.meta.update(meta)
    job.save_meta()  # type: ignore[no-untyped-call]
    with valkey.pipeline() as pipeline:
        if outcome is not None:
            job._result = outcome
            job._handle_success(60, pipeline)
        else:
            from rq.job import JobStatus

            job.set_status(JobStatus.FAILED, pipeline)
            job._handle_failure(trace, pipeline)
        pipeline.execute()


def test_a_question_is_accepted_with_where_to_look_next(client: TestClient) -> None:
    response = client.post("/chat", json={"query": " When? "})
    assert response.status_code == 202
    body = response.json()
    assert (body["status"], body["position"]) == ("queued", 1)
    assert response.headers["location"] == body["urls"]["status"] == f"/job-status/{body['job_id']}"
    assert int(response.headers["retry-after"]) >= 1
    assert body["expires_at"].endswith("Z")
    assert client.post("/chat", json={"query": "And?"}).json()["position"] == 2


def test_a_question_may_be_a_parameter_as_long_as_an_address_can_hold(client: TestClient) -> None:
    assert client.post("/chat", params={"query": "When?"}).status_code == 202
    assert client.post("/chat", params={"query": "\U0001f6a2" * 4_000}).status_code == 202


def test_a_job_carries_plain_data_and_no_question_in_its_description(client: TestClient, valkey: Redis) -> None:
    job = fetch(valkey, client.post("/chat", json={"query": "secret question"}).json()["job_id"])
    assert "secret" not in (job.description or "")
    assert job.args[0]["query"] == "secret question"


def test_status_and_result_of_a_waiting_job(client: TestClient) -> None:
    job_id = client.post("/chat", json={"query": "?"}).json()["job_id"]
    status = client.get(f"/job-status/{job_id}")
    assert status.status_code == 200
    assert status.headers["retry-after"]
    assert status.json() | {"enqueued_at": ""} == {
        "job_id": job_id, "kind": "answer", "status": "queued", "position": 1, "attempt": 0, "stage": None,
        "progress": None, "enqueued_at": "", "started_at": None, "ended_at": None, "error": None,
    }  # fmt: skip
    result = client.get(f"/result/{job_id}")
    assert (result.status_code, result.json()["result"]) == (202, None)
    assert result.headers["retry-after"]


def test_a_finished_job_has_its_answer(client: TestClient, valkey: Redis) -> None:
    job_id = client.post("/chat", json={"query": "?"}).json()["job_id"]
    end(valkey, job_id, RESULT.model_dump(mode="json"))
    result = client.get(f"/result/{job_id}")
    assert result.status_code == 200
    assert "retry-after" not in result.headers
    assert result.json() == {
        "job_id": job_id, "status": "finished", "result": RESULT.model_dump(mode="json"), "error": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("meta", "trace", "code"),
    [
        ({"error": "model_timeout"}, "Traceback ... sk-secret", "model_timeout"),
        ({}, "Moved to FailedJobRegistry, due to AbandonedJobError, at ...", "worker_lost"),
        ({}, "Work-horse terminated unexpectedly; waitpid returned 9", "worker_lost"),
        ({}, "rq.timeouts.JobTimeoutException: Task exceeded", "job_timeout"),
        ({"error": "surprise"}, "KeyError: sk-secret", "internal_error"),
    ],
)
def test_a_failed_job_tells_a_code_and_never_its_traceback(
    client: TestClient, valkey: Redis, meta: dict[str, str], trace: str, code: str
) -> None:
    job_id = client.post("/chat", json={"query": "?"}).json()["job_id"]
    end(valkey, job_id, trace=trace, **meta)
    result = client.get(f"/result/{job_id}")
    assert result.status_code == 200
    assert result.json()["status"] == "failed"
    assert result.json()["error"]["code"] == code
    assert "sk-secret" not in result.text
    assert client.get(f"/job-status/{job_id}").json()["error"] == result.json()["error"]


@pytest.mark.parametrize("outcome", [{"answer": 1}, "text", {"answer": "x", "extra": "<script>"}])
def test_a_result_that_is_not_an_answer_is_not_passed_on(client: TestClient, valkey: Redis, outcome: Any) -> None:
    job_id = client.post("/chat", json={"query": "?"}).json()["job_id"]
    end(valkey, job_id, outcome)
    result = client.get(f"/result/{job_id}").json()
    assert (result["result"], result["error"]["code"]) == (None, "payload_invalid")


@pytest.mark.parametrize(
    "body",
    [{}, {"query": ""}, {"query": "  \n"}, {"query": "x" * 8001}, {"query": 5}, {"query": None},
     {"query": "x", "secret-sk": 1},
     {"query": "x", "top_k": 0}, {"query": "x", "top_k": 51}, {"query": "x", "document_ids": "d"},
     {"query": "x", "collection": "../x"},
     [], "text", None, 5],
)  # fmt: skip
def test_a_body_that_is_no_question_says_what_is_wrong_without_repeating_it(client: TestClient, body: Any) -> None:
    response = client.post("/chat", json=body)
    problem = assert_problem(response, 422, "invalid-request")
    assert problem["errors"][0]["detail"]
    assert "secret-sk" not in response.text
    assert "xxxx" not in response.text


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"query": "\\ud800"}'])
def test_a_body_that_is_no_json_is_refused(client: TestClient, body: bytes) -> None:
    response = client.post("/chat", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"query": "\xff"}', b"\xff\xfe{"], ids=["deep", "no UTF-8", "UTF-16"]
)
def test_a_body_that_cannot_be_decoded_is_a_400_in_our_words_on_every_route(client: TestClient, body: bytes) -> None:
    routes = [path for path, item in client.get("/openapi.json").json()["paths"].items() if _takes_json(item)]
    assert {"/chat", "/search", "/v1/responses"} <= set(routes)
    for path in routes:
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400, path
        assert "cannot be read as JSON" in answer.text or "not JSON" in answer.text, path


def _takes_json(item: dict[str, Any]) -> bool:
    return "application/json" in item.get("post", {}).get("requestBody", {}).get("content", {})


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_another_media_type_is_refused(client: TestClient, media_type: str | None) -> None:
    headers = {"content-type": media_type} if media_type else {}
    assert_problem(client.post("/chat", content=b'{"query": "x"}', headers=headers), 415, "unsupported-media-type")


def test_no_question_at_all_is_a_422(client: TestClient) -> None:
    assert_problem(client.post("/chat"), 422, "invalid-request")
    assert_problem(client.post("/chat", params={"query": " "}), 422, "invalid-request")
    assert_problem(client.post("/chat", params={"query": "x" * 4_001}), 422, "invalid-request")


def test_a_large_body_is_refused_unread(client: TestClient) -> None:
    assert_problem(client.post("/chat", content=b"x" * 300_000), 413, "body-too-large")

    def unstated() -> Iterator[bytes]:
        for _ in range(300):
            yield b"x" * 1000

    assert_problem(client.post("/chat", content=unstated()), 413, "body-too-large")


@pytest.mark.parametrize("job_id", ["unknown", "a" * 129, "rq:queues", "%2e%2e", "%00", "é", "*", "a/b", "'; DROP"])
@pytest.mark.parametrize("path", ["/job-status/", "/result/"])
def test_an_unknown_or_strange_job_id_is_a_404(client: TestClient, path: str, job_id: str) -> None:
    response = client.get(path + job_id)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_a_job_that_is_no_question_does_not_exist(client: TestClient, valkey: Redis) -> None:
    other = Queue("other", connection=valkey).enqueue_call("os.getcwd")
    foreign = Queue(QUERY_QUEUE, connection=valkey).enqueue_call("os.getcwd", meta={"tenant": "someone-else"})
    assert_problem(client.get(f"/result/{other.id}"), 404, "job-not-found")
    assert_problem(client.get(f"/result/{foreign.id}"), 404, "job-not-found")


def test_a_full_queue_is_a_503_that_says_when_to_come_back(client: TestClient) -> None:
    for _ in range(3):
        assert client.post("/chat", json={"query": "?"}).status_code == 202
    response = client.post("/chat", json={"query": "?"})
    assert_problem(response, 503, "queue-full")
    assert int(response.headers["retry-after"]) > 0


def test_valkey_unavailable_is_a_503_everywhere(client: TestClient, server: FakeServer) -> None:
    server.connected = False
    for response in (client.post("/chat", json={"query": "?"}), client.get("/result/x"), client.get("/job-status/x")):
        assert_problem(response, 503, "queue-unavailable")
        assert int(response.headers["retry-after"]) > 0
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["valkey"]) == (503, "unavailable")
    assert client.get("/healthz").status_code == 200


def test_readiness_names_what_is_away(client: TestClient) -> None:
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "unavailable",
        "checks": {"valkey": "ok", "workers": "unavailable", "queue": "ok", "qdrant": "unavailable"},
    }  # fmt: skip
    for _ in range(3):
        client.post("/chat", json={"query": "?"})
    assert client.get("/readyz").json()["checks"]["queue"] == "full"


def test_root_and_health(client: TestClient) -> None:
    assert client.get("/").json()["docs"] == "/docs"
    assert client.get("/healthz").json() == {"status": "ok"}


def test_unknown_addresses_and_methods_are_problems_too(client: TestClient) -> None:
    assert_problem(client.get("/nowhere"), 404, "not-found")
    response = client.get("/chat")
    assert_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


def test_a_waiting_job_can_be_cancelled_again_and_again(client: TestClient) -> None:
    accepted = client.post("/chat", json={"query": "?"}).json()
    for _ in range(2):
        cancelled = client.post(accepted["urls"]["cancel"])
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "stopped")
    result = client.get(accepted["urls"]["result"])
    assert (result.status_code, result.json()["result"], result.json()["error"]) == (200, None, None)


def test_a_job_that_is_unknown_can_not_be_cancelled(client: TestClient) -> None:
    assert_problem(client.post("/jobs/unknown/cancel"), 404, "job-not-found")


def test_an_unexpected_error_is_a_500_that_tells_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("sk-secret")

    monkeypatch.setattr("app.routes.chat.submit", explode)
    response = client.post("/chat", json={"query": "?"})
    assert_problem(response, 500, "internal-error")
    assert "sk-secret" not in response.text
