"""What a browser may send for the pages of CORS_ORIGINS, and may read: preflights as real clients cause them."""

from collections.abc import Mapping

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import StreamingResponse

from app.middleware.cors import ASKED_MAX_CHARACTERS, RESPONSE_HEADERS, PageMiddleware

PAGE = "https://app.example"
STAINLESS = (
    "x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,"
    "x-stainless-runtime,x-stainless-runtime-version"
)
CLIENTS: Mapping[str, tuple[str, str | None]] = {
    "openai-node 4": ("POST", f"authorization,content-type,{STAINLESS}"),
    "openai-node 5": ("POST", f"authorization,content-type,{STAINLESS},x-stainless-timeout"),
    "openai-node 6": ("POST", f"authorization,content-type,idempotency-key,{STAINLESS},x-stainless-timeout"),
    "openai-node with an organization": (
        "POST", f"authorization,content-type,openai-beta,openai-organization,openai-project,{STAINLESS}",
    ),
    "openai-node, a stream's helper": ("POST", f"authorization,content-type,{STAINLESS},x-stainless-helper-method"),
    "openai-node, models": ("GET", f"authorization,{STAINLESS}"),
    "openai-node, a header of next year": ("POST", "authorization,x-stainless-of-2031"),
    "fetch with a key": ("POST", "content-type,x-api-key"),
    "fetch that resumes a stream": ("GET", "authorization,last-event-id"),
    "fetch of a part of a file": ("GET", "authorization, range, if-range"),
    "a file's removal": ("DELETE", "authorization"),
    "tracing": ("POST", "authorization,baggage,content-type,sentry-trace,traceparent,tracestate"),
    "without headers": ("DELETE", None),
}  # fmt: skip


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"data: 1\n\n"]), media_type="text/event-stream")

    app.add_middleware(PageMiddleware, origins=(PAGE,))
    return TestClient(app)


def preflight(
    client: TestClient, origin: str, method: str, asked: str | None, **more: str
) -> tuple[int, Mapping[str, str]]:
    headers = {"Origin": origin, "Access-Control-Request-Method": method, **more}
    if asked is not None:
        headers["Access-Control-Request-Headers"] = asked
    answer = client.options("/stream", headers=headers)
    return answer.status_code, answer.headers


def allowed(headers: Mapping[str, str]) -> list[str]:
    return [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize("name", CLIENTS)
def test_the_page_may_send_what_its_client_sends(client: TestClient, name: str) -> None:
    method, asked = CLIENTS[name]
    status, headers = preflight(client, PAGE, method, asked)
    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE
    assert headers.get("access-control-allow-headers") == asked
    assert method in headers["access-control-allow-methods"]
    assert int(headers["access-control-max-age"]) > 0
    assert "*" not in "".join(headers[name] for name in allowed(headers))
    assert "access-control-allow-credentials" not in headers
    assert {"Origin", "Access-Control-Request-Headers"} <= set(headers["vary"].split(", "))


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example", f"{PAGE}.evil.example", ""])
def test_no_other_page_is_told_anything(client: TestClient, origin: str, name: str) -> None:
    status, headers = preflight(client, origin, *CLIENTS[name])
    assert status == 400
    assert allowed(headers) == []
    assert allowed(client.get("/stream", headers={"Origin": origin}).headers) == []


@pytest.mark.parametrize(
    "asked", ["a b", "x\x00y", "é", "a:b", "a,,b", ",", "a;b", "<script>", "x" * 129, ",".join(["x" * 100] * 30)]
)
def test_what_is_no_list_of_headers_is_not_echoed(client: TestClient, asked: str) -> None:
    answer = client.options(
        "/stream",
        headers={
            b"origin": PAGE.encode(),
            b"access-control-request-method": b"POST",
            b"access-control-request-headers": asked.encode(),
        },
    )
    assert answer.status_code == 400
    assert allowed(answer.headers) == []
    assert asked not in answer.text


def test_the_longest_list_of_a_client_is_far_below_the_limit() -> None:
    assert 4 * max(len(asked or "") for _, asked in CLIENTS.values()) < ASKED_MAX_CHARACTERS


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "QUERY"])
def test_a_method_that_no_route_takes_is_refused(client: TestClient, method: str) -> None:
    assert preflight(client, PAGE, method, None)[0] == 400


def test_a_page_that_is_named_may_call_a_service_in_a_private_network(client: TestClient) -> None:
    asked = {"Access-Control-Request-Private-Network": "true"}
    assert preflight(client, PAGE, "GET", None, **asked)[1]["access-control-allow-private-network"] == "true"
    assert allowed(preflight(client, "https://evil.example", "GET", None, **asked)[1]) == []


@pytest.mark.parametrize("path", ["/stream", "/nowhere"])
def test_the_page_may_read_streams_and_errors_and_their_fields(client: TestClient, path: str) -> None:
    headers = client.get(path, headers={"Origin": PAGE}).headers
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-expose-headers"].split(", ") == list(RESPONSE_HEADERS)
    assert "Origin" in headers["vary"]
