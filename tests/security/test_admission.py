"""Network client: sends a request, or half of one, to each address of the service, with no key, a wrong one, or one
that may not do this; or leaves in the middle.

Who asks is known before a byte of the body is read, whatever the route. Routes are read from the application, so that
the next one is held to it as well.
"""

import asyncio
import gc
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from fakeredis import FakeAsyncRedis
from fastapi.routing import iter_route_contexts
from redis import Redis
from starlette.routing import Route as StarletteRoute
from starlette.types import Message
from structlog.testing import LogCapture

from app.auth.principals import Role
from app.core.settings import Settings
from app.documents.uploads import FEED_BYTES
from app.main import create_app
from app.middleware import access_log
from app.problems import CLIENT_LEFT
from tests.integration.app.test_isolation import ROLES, Route, is_public, path_of, shown
from tests.support.api import serving
from tests.support.credentials import api_key, bearer
from tests.support.processes import wait_until

ASK_KEY, ASK_ENTRY = api_key("asker", tenant="acme", role="ask")
INGEST_KEY, INGEST_ENTRY = api_key("loader", tenant="acme", role="ingest")
ADMIN_KEY, ADMIN_ENTRY = api_key("boss", tenant="acme", role="admin")
RATED_KEY, RATED_ENTRY = api_key("rated", tenant="acme", role="admin", rate="3/minute")
KEYS = ",".join([ASK_ENTRY, INGEST_ENTRY, ADMIN_ENTRY, RATED_ENTRY])
KEY_OF = {Role.ASK: ASK_KEY, Role.INGEST: INGEST_KEY, Role.ADMIN: ADMIN_KEY}

PAGE = "https://app.example"
STATED_BYTES = 100_000
"""Of a body that never comes whole; every route with a body takes as many."""
LARGE_BYTES = 2**40
SECONDS = 5
"""In which a refusal is there, although the body is not."""
SETTLE_SECONDS = 0.05
"""In which a route has begun to read."""


@dataclass(frozen=True)
class Place:
    """Where a service of the test's own is."""

    host: str
    port: int
    data_dir: Path


def of_the_document() -> list[Route]:
    """Every operation of the OpenAPI document but the public ones."""
    paths = create_app(Settings(redis_url="redis://127.0.0.1:9/0")).openapi()["paths"]
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    return [route for route in found if not is_public(route)]


def of_the_application() -> list[Route]:
    """Every route but the public ones: those that the document hides, and those that Starlette serves, too."""
    app = create_app(Settings(redis_url="redis://127.0.0.1:9/0"))
    found = {(method, str(c.path_format)) for c in iter_route_contexts(app.routes) for method in c.methods or ()}
    return sorted(route for route in found if not is_public(route))


def with_a_body() -> set[Route]:
    """The operations that read one, as the document says."""
    paths = create_app(Settings(redis_url="redis://127.0.0.1:9/0")).openapi()["paths"]
    return {(method.upper(), path) for path in paths for method, it in paths[path].items() if "requestBody" in it}


ROUTES = of_the_application()
WITH_A_BODY = with_a_body()
FOR_MORE_THAN_ASKING = [route for route in ROUTES if ROLES[route] is not Role.ASK]


def test_the_documents_routes_are_among_those_that_are_tried() -> None:
    assert set(of_the_document()) <= set(ROUTES)


def test_there_are_bodies_to_try() -> None:
    assert {("POST", "/chat"), ("POST", "/search"), ("POST", "/documents")} < WITH_A_BODY


def test_no_route_is_of_a_kind_that_these_tests_do_not_know() -> None:
    """Mounted applications and websockets would have no methods, and pass unseen."""
    app = create_app(Settings(redis_url="redis://127.0.0.1:9/0"))
    kinds = [c.original_route for c in iter_route_contexts(app.routes)]
    assert kinds
    assert all(isinstance(route, StarletteRoute) for route in kinds)


@contextmanager
def capture_lines() -> Iterator[list[Any]]:
    """The access log's lines."""
    kept, capture = access_log.log, LogCapture()
    access_log.log = structlog.wrap_logger(None, [structlog.contextvars.merge_contextvars, capture])
    try:
        yield capture.entries
    finally:
        access_log.log = kept


# -- Nothing is read


class Unread:
    """The body of a request that nobody may read: counts who tries."""

    def __init__(self) -> None:
        self.reads = 0

    async def __call__(self) -> Message:
        self.reads += 1
        return {"type": "http.request", "body": b"x", "more_body": True}


class Answer:
    """What an ASGI application sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        self.content += message.get("body", b"")


def scope_of(route: Route, headers: Mapping[str, str], server: str = "127.0.0.1") -> dict[str, Any]:
    """A request with a body that is stated and never comes."""
    sent = {"Host": "127.0.0.1:8000", "Content-Type": "application/json", "Content-Length": str(STATED_BYTES)}
    path = path_of(route[1])
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "http",
        "method": route[0], "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in {**sent, **headers}.items()],
        "client": ("127.0.0.1", 1234), "server": (server, 8000), "state": {},
    }  # fmt: skip


class Service:
    """An application on a fake Valkey, asked without a server between."""

    def __init__(self, **settings: Any) -> None:
        self._app = create_app(Settings(_env_file=None, **settings), valkey=FakeAsyncRedis())
        self._runner = asyncio.Runner()

    def send(self, scope: dict[str, Any]) -> tuple[Answer, Unread]:
        """What is answered, and who tried to read the body."""
        answer, body = Answer(), Unread()
        self._runner.run(self._app(scope, body, answer))
        return answer, body

    def close(self) -> None:
        self._runner.close()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with closing(Service(api_keys=KEYS, cors_origins=PAGE)) as service:
        yield service


@pytest.fixture(scope="module")
def without_keys() -> Iterator[Service]:
    with closing(Service()) as service:
        yield service


def assert_in_shape(route: Route, answer: Answer, kind: str, code: str) -> None:
    """OpenAI's error object below /v1, a problem document elsewhere."""
    if route[1].startswith("/v1/"):
        assert json.loads(answer.content)["error"]["code"] == code
        assert answer.headers["content-type"] == "application/json"
    else:
        assert json.loads(answer.content)["type"] == f"urn:problem:{kind}"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("headers", [{}, bearer("rag_wrong")], ids=["no key", "a wrong key"])
@pytest.mark.parametrize("route", ROUTES, ids=shown)
def test_who_shows_no_good_key_is_refused_with_the_body_unread(
    service: Service, route: Route, headers: Mapping[str, str]
) -> None:
    answer, body = service.send(scope_of(route, {**headers, "Origin": PAGE}))
    assert (answer.status, body.reads) == (401, 0)
    assert_in_shape(route, answer, "unauthorized", "invalid_api_key")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("route", FOR_MORE_THAN_ASKING, ids=shown)
def test_who_may_not_do_this_is_refused_with_the_body_unread(service: Service, route: Route) -> None:
    with capture_lines() as lines:
        answer, body = service.send(scope_of(route, bearer(ASK_KEY)))
    assert (answer.status, body.reads) == (403, 0)
    assert_in_shape(route, answer, "forbidden", "forbidden")
    assert [(line["route"], line["status"], line["principal"]) for line in lines] == [(route[1], 403, "acme/asker")]


@pytest.mark.parametrize("route", ROUTES, ids=shown)
def test_without_keys_who_comes_from_elsewhere_is_refused_with_the_body_unread(
    without_keys: Service, route: Route
) -> None:
    answer, body = without_keys.send(scope_of(route, {}, server="192.0.2.1"))
    assert (answer.status, body.reads) == (403, 0)
    assert_in_shape(route, answer, "keys-required", "keys_required")


@pytest.mark.parametrize("route", ROUTES, ids=shown)
def test_who_asks_too_often_is_refused_with_the_body_unread_and_is_counted_once(route: Route) -> None:
    spend = ("GET", "/v1/models/{model}")
    with closing(Service(api_keys=KEYS)) as service:
        allowed = [service.send(scope_of(spend, bearer(RATED_KEY)))[0] for _ in range(3)]
        answer, body = service.send(scope_of(route, bearer(RATED_KEY)))
    assert [one.headers["ratelimit"].split(";")[1] for one in allowed] == ["r=2", "r=1", "r=0"]
    assert (answer.status, body.reads) == (429, 0)
    assert_in_shape(route, answer, "quota-exceeded", "rate_limit_exceeded")


# -- Half a body on a real connection


@pytest.fixture(scope="module")
def place(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A service with keys."""
    data_dir = tmp_path_factory.mktemp("admission")
    settings = Settings(
        redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", data_dir=data_dir, api_keys=KEYS,
        address_rate_limit="99999/second",
    )  # fmt: skip
    with Redis.from_url(valkey_url) as connection:
        connection.flushall()
    with serving(settings) as url:
        yield Place(str(urlsplit(url).hostname), int(urlsplit(url).port or 0), data_dir)


def begun(place: Place, route: Route, *headers: str, body: bytes = b"") -> socket.socket:
    """A connection on which the request is sent, and as much of its body as `body`."""
    connection = socket.create_connection((place.host, place.port), SECONDS)
    lines = [f"{route[0]} {path_of(route[1])} HTTP/1.1", f"Host: {place.host}", *headers]
    connection.sendall("\r\n".join([*lines, "\r\n"]).encode() + body)
    return connection


STATED = f"Content-Length: {STATED_BYTES}"
CHUNKED = "Transfer-Encoding: chunked"
EXPECTING = "Expect: 100-continue"


@pytest.mark.parametrize(
    "headers", [(STATED,), (CHUNKED,), (STATED, EXPECTING)], ids=["stated", "chunked", "expecting"]
)
@pytest.mark.parametrize("route", ROUTES, ids=shown)
def test_a_refusal_does_not_wait_for_the_body_nor_ask_for_it(
    place: Place, route: Route, headers: tuple[str, ...]
) -> None:
    with begun(place, route, "Content-Type: application/json", *headers) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401 ")


# -- Who leaves


JSON_PART = b'{"query": "x'
FILE_PART = b"--b\r\nContent-Disposition: form-data; name=files; filename=x.pdf\r\n\r\n%PDF-1.7\n" + bytes(
    2 * FEED_BYTES
)
JSON, FORM = "application/json", "multipart/form-data; boundary=b"
UPLOADS = ("/documents", "/v1/files")
"""Routes that read a form."""
BODIES = {
    "no byte of JSON": (JSON, STATED, b""),
    "half of JSON": (JSON, STATED, JSON_PART),
    "a chunk of JSON": (JSON, CHUNKED, b"%x\r\n%b\r\n" % (len(JSON_PART), JSON_PART)),
    "too much JSON": (JSON, f"Content-Length: {LARGE_BYTES}", JSON_PART),
    "no byte of a form": (FORM, STATED, b""),
    "half of a file": (FORM, f"Content-Length: {2 * len(FILE_PART)}", FILE_PART),
}


@pytest.fixture
def job(place: Place) -> str:
    """A job that waits, as no worker runs."""
    asked = {"query": "Who leaves?"}
    answer = httpx.post(f"http://{place.host}:{place.port}/chat", json=asked, headers=bearer(ADMIN_KEY))
    return str(answer.raise_for_status().json()["job_id"])


@pytest.mark.parametrize("sent", BODIES)
@pytest.mark.parametrize("route", [route for route in ROUTES if route[1] not in access_log.PROBES], ids=shown)
def test_who_leaves_in_the_middle_of_a_body_is_a_quiet_line_in_the_log(
    place: Place, job: str, route: Route, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    kind, length, part = BODIES[sent]
    headers = (f"Authorization: Bearer {ADMIN_KEY}", "X-Request-ID: leaving", f"Content-Type: {kind}", length)
    path = path_of(route[1], f"resp_{job}" if "{response_id}" in route[1] else job)
    with capture_lines() as lines, caplog.at_level("WARNING"):
        with begun(place, (route[0], path), *headers, body=part):
            sleep(SETTLE_SECONDS)
        (line,) = wait_until(
            lambda: [line for line in lines if line["request_id"] == "leaving"], "its line in the log"
        )
        gc.collect(1)  # a task that failed says so when it is collected
    assert (line["log_level"], line["route"], line["principal"]) == ("info", route[1], "acme/boss")
    assert line["status"] < 500
    assert [record.getMessage() for record in caplog.records] == []
    assert not list(place.data_dir.rglob("tmp*"))
    if route in WITH_A_BODY and (kind == FORM) == (route[1] in UPLOADS) and "too much" not in sent:
        assert line["status"] == CLIENT_LEFT


WAITING = {
    "a question": (("POST", "/chat"), "Prefer: wait=1", b'{"query": "Who leaves?"}'),
    "a search": (("POST", "/search"), "Prefer: wait=1", b'{"query": "Who leaves?"}'),
    "a status": (("GET", "/job-status/{job_id}?wait=1"), "Accept: */*", b""),
    "a result": (("GET", "/result/{job_id}?wait=1"), "Accept: */*", b""),
    "a stream": (("GET", "/stream/{job_id}"), "Accept: */*", b""),
    "an upload": (("POST", "/documents"), "Accept: */*", FILE_PART + b"\r\n--b--\r\n"),
}


@pytest.mark.parametrize("what", WAITING)
def test_who_leaves_while_the_answer_is_waited_for_is_a_quiet_line_too(
    place: Place, job: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    (method, path), header, body = WAITING[what]
    length = f"Content-Length: {len(body)}"
    kind = FORM if path == "/documents" else JSON
    headers = (f"Authorization: Bearer {ADMIN_KEY}", "X-Request-ID: leaving", header, f"Content-Type: {kind}")
    with capture_lines() as lines, caplog.at_level("WARNING"):
        with begun(place, (method, path.replace("{job_id}", job)), *headers, length, body=body):
            sleep(SETTLE_SECONDS)
        (line,) = wait_until(lambda: [one for one in lines if one["request_id"] == "leaving"], "its line in the log")
        gc.collect(1)
    assert (line["log_level"], line["status"] < 300) == ("info", True)
    assert [record.getMessage() for record in caplog.records] == []
    assert not list(place.data_dir.rglob("tmp*"))
