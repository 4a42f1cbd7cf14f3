"""Every address with every method: Allow is complete, HEAD is GET without a body, below /v1 errors are OpenAI's."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from httpx2 import Response

from app.core.settings import Settings
from app.main import create_app
from app.middleware.body_limit import BODY_MAX_BYTES
from app.routes.openai import FILES_PATH, HISTORY_BYTES_MAX, HISTORY_PATHS
from tests.support.credentials import LOCAL_URL, api_key, bearer

KEY, ENTRY = api_key("asker", tenant="acme", role="ask")
LOADER_KEY, LOADER_ENTRY = api_key("loader", tenant="acme", role="admin", rate="1/hour")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
AN_ID = "0" * 32

OF_OPENAI = [
    "completions",
    "chat/completions/x",
    "chat/completions/x/messages",
    "moderations",
    "models/ft:gpt/x",
    "responses/x/nothing",
    "responses/input_tokens/x",
    "responses/compact/x",
    "engines",
    "engines/davinci/completions",
    "edits",
    "files/x/nothing",
    "uploads",
    "uploads/x/parts",
    "uploads/x/complete",
    "uploads/x/cancel",
    "batches/x/nothing",
    "vector_stores",
    "vector_stores/x",
    "vector_stores/x/files",
    "vector_stores/x/file_batches/y",
    "vector_stores/x/search",
    "assistants",
    "assistants/x",
    "threads",
    "threads/runs",
    "threads/x/messages",
    "threads/x/runs/y/steps",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "realtime",
    "realtime/sessions",
    "realtime/client_secrets",
    "realtime/calls",
    "images/generations",
    "images/edits",
    "images/variations",
    "videos",
    "videos/x/content",
    "fine_tuning/jobs",
    "fine_tuning/jobs/x/events",
    "fine_tuning/alpha/graders/run",
    "fine-tunes",
    "evals",
    "evals/x/runs",
    "containers",
    "containers/x/files",
    "chatkit/sessions",
    "skills",
    "organization/usage/completions",
    "organization/projects",
    "organization/costs",
    "projects/x/certificates",
    "dashboard/billing/usage",
    "nothing",
]
"""Addresses of OpenAI's API, below /v1, that this service has not."""
ODD = ("/v1", "/v1/", "/v1//chat/completions", "/v1/v1/models", "/v1/%2e%2e/queues", "/v1/\u00fc")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return application(tmp_path_factory.mktemp("addresses"))


def application(folder: Path, **settings: str) -> FastAPI:
    configured = Settings(documents_url=str(folder), qdrant_url="http://127.0.0.1:9", **settings)  # type: ignore[arg-type]
    return create_app(configured, valkey=FakeAsyncRedis(server=FakeServer()))


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with local(app) as client:
        yield client


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Of a service with keys."""
    keys = {"api_keys": f"{ENTRY},{LOADER_ENTRY}", "key_max_streams": "1", "key_max_waits": "1"}
    with local(application(tmp_path_factory.mktemp("keyed"), **keys)) as client:
        yield client


def local(app: FastAPI) -> TestClient:
    return TestClient(app, LOCAL_URL, raise_server_exceptions=False, follow_redirects=False, client=("127.0.0.1", 1))


def taken(app: FastAPI) -> dict[str, set[str]]:
    """What each address takes, by its path with ids in it."""
    found: dict[str, set[str]] = {}
    for context in iter_route_contexts(app.routes):
        path = str(context.path_format).replace("{n}", "1")
        found.setdefault(path, set()).update(context.methods or ())
    for methods in found.values():
        if "GET" in methods:
            methods.add("HEAD")
    return found


def test_a_route_is_built_once_for_the_process_and_not_for_each_application() -> None:
    """FastAPI would build those of an included router again, in the middle of the first requests."""
    first, second = (create_app(Settings(), valkey=FakeAsyncRedis()).router.routes for _ in range(2))
    assert len(first) > 60
    own = [route for route in first if not any(route is other for other in second)]
    assert [str(context.path_format) for context in iter_route_contexts(own)] == ["/openapi.json"]


def filled(path: str) -> str:
    before, brace, rest = path.partition("{")
    return filled(before + AN_ID + rest.partition("}")[2]) if brace else path


def assert_openai_error(response: Response, status: int, code: str) -> str:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"error"}
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    return str(error["message"])


def test_allow_names_every_method_of_an_address(app: FastAPI, client: TestClient) -> None:
    addresses = taken(app)
    assert {"/jobs", "/chat", "/documents/{document_id}", "/v1/responses/{response_id}"} <= set(addresses)
    for path, methods in addresses.items():
        for method in set(METHODS) - methods:
            response = client.request(method, filled(path))
            assert response.status_code == 405, (method, path)
            assert set(response.headers["allow"].split(", ")) == methods, (method, path)


def test_head_is_get_without_a_body(app: FastAPI, client: TestClient) -> None:
    varies = {"x-request-id", "date", "ratelimit"}
    for path, methods in taken(app).items():
        if "GET" in methods:
            given, head = client.get(filled(path)), client.head(filled(path))
            assert head.content == b"", path
            assert head.status_code == given.status_code, path
            differing = {n for n in {*given.headers, *head.headers} if given.headers.get(n) != head.headers.get(n)}
            assert differing <= varies | ({"content-length"} if path == "/metrics" else set()), path


@pytest.mark.parametrize("look", ["/job-status/{}?wait=60", "/result/{}?wait=60", "/stream/{}"])
def test_head_waits_for_nothing_and_holds_no_place(keyed: TestClient, look: str) -> None:
    """It comes back, though no worker runs, and again, though a key has one place."""
    headers = bearer(KEY)
    job_id = keyed.post("/chat", json={"query": "When?"}, headers=headers).json()["job_id"]
    for _ in range(3):
        assert keyed.head(look.format(job_id), headers=headers).status_code == (202 if "result" in look else 200)


def test_head_of_a_wrong_wait_is_refused_as_get_is(client: TestClient) -> None:
    job_id = client.post("/chat", json={"query": "When?"}).json()["job_id"]
    assert client.head(f"/result/{job_id}?wait=x").status_code == 422


@pytest.mark.parametrize("path", [*(f"/v1/{path}" for path in OF_OPENAI), *ODD])
def test_an_address_below_v1_that_is_not_served_is_openais_404(client: TestClient, path: str) -> None:
    for method in METHODS:
        if method == "HEAD":
            assert client.head(path).status_code == 404
            continue
        response = client.request(method, path, json={"model": "gpt-4.1", "input": "x"} if method == "POST" else None)
        message = assert_openai_error(response, 404, "unknown_url")
        assert "ft:gpt" not in message


@pytest.mark.parametrize(
    ("path", "hint"),
    [("completions", "/v1/chat/completions"), ("files/x/nothing", "/documents"), ("assistants/x", "/v1/responses"),
     ("threads", "/v1/responses"), ("vector_stores/x/search", "/search"), ("engines", "/v1/models"),
     ("audio/speech", "text"), ("completion", "/v1/chat/completions"), ("", "/docs")],
)  # fmt: skip
def test_it_says_what_serves_instead(client: TestClient, path: str, hint: str) -> None:
    assert hint in client.post(f"/v1/{path}").json()["error"]["message"]


def test_a_method_that_an_address_below_v1_does_not_take_is_openais_405(app: FastAPI, client: TestClient) -> None:
    for path, methods in taken(app).items():
        if path.startswith("/v1/"):
            for method in set(METHODS) - methods - {"HEAD"}:
                assert_openai_error(client.request(method, filled(path)), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("method", "path", "hint"),
    [("POST", "responses/input_tokens", "usage"), ("POST", "responses/compact", "not compacted"),
     ("GET", "chat/completions", "POST /v1/responses")],
)  # fmt: skip
def test_a_405_says_what_serves_instead_where_openai_takes_the_method(
    client: TestClient, method: str, path: str, hint: str
) -> None:
    """These are calls of OpenAI's own SDKs that fall on an address of ours."""
    response = client.request(method, f"/v1/{path}")
    assert response.headers["allow"]
    assert hint in assert_openai_error(response, 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/models", "/v1/chat/completions", "/v1"])
@pytest.mark.parametrize("method", METHODS)
def test_who_shows_no_key_is_told_that_alone(keyed: TestClient, method: str, path: str) -> None:
    for headers in ({}, bearer("rag_wrong")):
        response = keyed.request(method, path, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"]
        assert "allow" not in response.headers
        if method != "HEAD":
            assert_openai_error(response, 401, "invalid_api_key")
    assert keyed.request(method, path, headers=bearer(KEY)).status_code != 401


def test_a_rate_counts_what_is_not_there_as_well(keyed: TestClient) -> None:
    statuses = [keyed.get("/v1/nothing", headers=bearer(LOADER_KEY)).status_code for _ in range(2)]
    assert statuses == [404, 429]
    refused = keyed.get("/v1/nothing", headers=bearer(LOADER_KEY))
    assert refused.json()["error"]["type"] == "requests"
    assert refused.headers["retry-after"]


def test_without_keys_a_stranger_is_refused_in_openais_shape(app: FastAPI) -> None:
    with local(app) as client:
        answer = client.get("/v1/nothing", headers={"X-Forwarded-For": "203.0.113.9"})
        assert_openai_error(answer, 403, "keys_required")


def test_a_body_that_is_too_large_is_refused_in_openais_shape(app: FastAPI, client: TestClient) -> None:
    for path, methods in taken(app).items():
        if path.startswith("/v1/") and "POST" in methods and "cancel" not in path:
            large = HISTORY_BYTES_MAX if path in HISTORY_PATHS else BODY_MAX_BYTES
            if path == FILES_PATH:  # of 200 MiB, and no JSON
                continue
            body = json.dumps({"model": "rag-queue", "x": "x" * large})
            response = client.post(filled(path), content=body, headers={"content-type": "application/json"})
            assert_openai_error(response, 413, "body_too_large")


def test_what_nobody_expected_is_openais_500(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = application(tmp_path)

    async def broken(*_: object, **__: object) -> None:
        raise KeyError("sk-secret")

    monkeypatch.setattr(app.state.api.queue, "view", broken)
    with local(app) as client:
        response = client.get(f"/v1/responses/resp_{AN_ID}")
        assert "sk-secret" not in assert_openai_error(response, 500, "internal_error")
        assert client.get(f"/job-status/{AN_ID}").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v2/models", "/v1x", "/nothing", "//v1/models"])
def test_elsewhere_it_is_a_problem_document(client: TestClient, path: str) -> None:
    assert client.get(f"{LOCAL_URL}{path}").headers["content-type"] == "application/problem+json"
