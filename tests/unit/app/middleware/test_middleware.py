"""What every response carries and every request leaves in the log, errors and streams included."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog
from fakeredis import FakeAsyncRedis
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.responses import Response
from structlog.testing import LogCapture

from app import middleware, problems
from app.auth import dependencies as auth
from app.auth.dependencies import Asker
from app.core.queue.pipelined import Link
from app.core.settings import Settings
from app.middleware import access_log
from app.middleware.body_limit import BODY_MAX_BYTES, BodyLimitMiddleware
from tests.support.credentials import LOCAL_URL, api_key, bearer

KEY, ENTRY = api_key("web", tenant="acme", rate="5/minute")


def client_of(**settings: Any) -> TestClient:
    app = FastAPI()
    configured = Settings(**settings)
    problems.install(app)
    auth.install(app, configured, Link(FakeAsyncRedis()))
    app.add_middleware(BodyLimitMiddleware, larger={"/large": BODY_MAX_BYTES + 10})
    middleware.install(app, configured)

    @app.get("/things/{thing_id}")
    async def thing(thing_id: str, request: Request, principal: Asker) -> dict[str, str]:
        context = structlog.contextvars.get_contextvars()
        return {"state": request.state.request_id, "context": context["request_id"]}

    @app.get("/stream")
    async def stream(principal: Asker) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one "
            yield b"two"

        return StreamingResponse(pieces(), media_type="text/event-stream")

    @app.get("/own")
    async def own() -> Response:
        return Response(headers={"Cache-Control": "max-age=60", "Content-Security-Policy": "sandbox"})

    @app.get("/healthz")
    async def healthz() -> None: ...

    @app.get("/explode")
    async def explode() -> None:
        raise RuntimeError("sk-secret")

    @app.post("/small")
    @app.post("/large")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.get("/address")
    async def address(request: Request) -> str:
        return request.client.host if request.client else ""

    return TestClient(app, base_url=LOCAL_URL, raise_server_exceptions=False, client=("203.0.113.9", 1234))


@pytest.fixture
def client() -> Iterator[TestClient]:
    with client_of() as client:
        yield client


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The access log, as structured as it is written."""
    capture = LogCapture()
    logger = structlog.wrap_logger(None, [structlog.contextvars.merge_contextvars, capture])
    monkeypatch.setattr(access_log, "log", logger)
    return capture.entries


PATHS = ["/things/1", "/stream", "/own", "/healthz", "/explode", "/nowhere", "/docs"]


@pytest.mark.parametrize("path", PATHS)
def test_every_response_has_an_id_and_headers_that_keep_it_safe(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert len(headers["x-request-id"]) == 32
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"]
    assert headers["content-security-policy"]


def test_answers_are_not_stored_and_load_nothing(client: TestClient) -> None:
    headers = client.get("/things/1").headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_route_may_say_otherwise(client: TestClient) -> None:
    headers = client.get("/own").headers
    assert headers.get_list("cache-control") == ["max-age=60"]
    assert headers.get_list("content-security-policy") == ["sandbox"]


@pytest.mark.parametrize("given", ["abc-123", "A.b:c_d-e", "x" * 128])
def test_the_callers_id_is_kept(client: TestClient, given: str) -> None:
    answer = client.get("/things/1", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json() == {"state": given, "context": given}


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", "new\tline", "<script>", "a/b", "é", "a,b", '"'])
def test_an_id_that_is_no_plain_word_is_replaced(client: TestClient, given: str) -> None:
    answer = client.get("/things/1", headers={b"x-request-id": given.encode()})
    assert answer.headers["x-request-id"] != given
    assert answer.json()["state"] == answer.json()["context"] == answer.headers["x-request-id"]


def test_each_request_has_an_id_of_its_own(client: TestClient) -> None:
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(5)}) == 5


def test_a_request_leaves_one_line_with_the_routes_template_and_nothing_of_the_callers(
    client: TestClient, lines: list[Any]
) -> None:
    client.get("/things/secret-id?query=secret-question", headers={"X-Request-ID": "r1"})
    (line,) = lines
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request", "log_level": "info", "method": "GET", "route": "/things/{thing_id}", "status": 200,
        "principal": "default/anonymous", "tenant": "default", "request_id": "r1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [("/nowhere/secret", None, 404), ("/explode", "/explode", 500), ("/stream", "/stream", 200)],
)
def test_errors_and_streams_leave_a_line_too(
    client: TestClient, lines: list[Any], path: str, route: str | None, status: int
) -> None:
    client.get(path)
    (line,) = lines
    assert (line["route"], line["status"]) == (route, status)
    assert "secret" not in json.dumps(line)


def test_a_refused_request_leaves_a_line_without_its_credentials(lines: list[Any]) -> None:
    with client_of(api_keys=ENTRY) as client:
        client.get("/things/1", headers=bearer("rag_wrong"))
        client.get("/things/1", headers=bearer(KEY))
    refused, allowed = lines
    assert (refused["status"], refused["principal"]) == (401, None)
    assert (allowed["status"], allowed["principal"]) == (200, "acme/web")
    assert "rag_" not in json.dumps(lines)


def test_probes_leave_no_line_but_for_debugging(client: TestClient, lines: list[Any]) -> None:
    client.get("/healthz")
    assert lines == []


@pytest.mark.parametrize("path", ["/things/1", "/stream"])
def test_where_a_rate_applies_every_response_says_where_the_client_stands(path: str) -> None:
    with client_of(api_keys=ENTRY) as client:
        answers = [client.get(path, headers=bearer(KEY)) for _ in range(6)]
        health = client.get("/healthz", headers=bearer(KEY))
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"default";q=5;w=60'}
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == [
        "r=4",
        "r=3",
        "r=2",
        "r=1",
        "r=0",
        "r=0",
    ]
    assert "ratelimit" not in health.headers


def test_no_rate_no_fields(client: TestClient) -> None:
    assert "ratelimit" not in client.get("/things/1").headers


def test_a_large_body_is_refused_by_its_paths_limit(client: TestClient) -> None:
    assert client.post("/small", content=b"x" * BODY_MAX_BYTES).json() == BODY_MAX_BYTES
    assert client.post("/small", content=b"x" * (BODY_MAX_BYTES + 1)).status_code == 413
    assert client.post("/large", content=b"x" * (BODY_MAX_BYTES + 10)).status_code == 200
    assert client.post("/large", content=b"x" * (BODY_MAX_BYTES + 11)).status_code == 413
    refused = client.post("/small", content=iter([b"x" * BODY_MAX_BYTES, b"x"]))
    assert refused.status_code == 413, "a body whose size nobody stated"
    assert refused.headers["content-type"] == "application/problem+json"


def test_a_route_that_reads_no_body_does_not_mind_a_large_one(client: TestClient) -> None:
    assert client.request("GET", "/healthz", content=b"x" * (BODY_MAX_BYTES + 1)).status_code == 200


PREFLIGHT = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}


def test_web_pages_of_other_sites_are_closed_out_by_default(client: TestClient) -> None:
    answer = client.options("/things/1", headers=PREFLIGHT)
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in client.get("/healthz", headers=PREFLIGHT).headers


def test_web_pages_that_are_named_may_call_and_read_the_fields() -> None:
    with client_of(cors_origins="https://app.example", api_keys=ENTRY) as client:
        asked = {**PREFLIGHT, "Access-Control-Request-Headers": "authorization,idempotency-key,prefer"}
        assert client.options("/things/1", headers=asked).status_code == 200
        answer = client.get("/things/1", headers={**bearer(KEY), "Origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        stranger = client.get("/things/1", headers={**bearer(KEY), "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers
        assert client.options("/things/1", headers=PREFLIGHT | {"Origin": "https://evil.example"}).status_code == 400


def test_an_unexpected_error_can_be_read_by_a_page_that_is_named() -> None:
    with client_of(cors_origins="https://app.example") as client:
        answer = client.get("/explode", headers={"Origin": "https://app.example"})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, "https://app.example")


@pytest.mark.parametrize(
    "origins", ["*", "app.example", "https://app.example/path", "https://app.example/", "file://x"]
)
def test_an_origin_that_is_none_is_refused(origins: str) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        Settings(cors_origins=origins)


def test_nobody_is_believed_to_be_a_proxy_by_default(client: TestClient) -> None:
    assert client.get("/address", headers={"X-Forwarded-For": "198.51.100.7"}).json() == "203.0.113.9"


def test_a_trusted_proxy_is_believed_and_only_for_what_it_added() -> None:
    with client_of(trusted_proxies="203.0.113.0/24, 2001:db8::1") as client:
        assert client.get("/address", headers={"X-Forwarded-For": "1.1.1.1, 198.51.100.7"}).json() == "198.51.100.7"
    with client_of(trusted_proxies="192.0.2.1") as client:
        assert client.get("/address", headers={"X-Forwarded-For": "198.51.100.7"}).json() == "203.0.113.9"


@pytest.mark.parametrize("proxies", ["*", "proxy.example", "10.0.0.1/8"])
def test_a_proxy_is_named_by_address(proxies: str) -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings(trusted_proxies=proxies)
