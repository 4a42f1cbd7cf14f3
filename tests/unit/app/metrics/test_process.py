"""What one API process counts, and its page."""

import gzip
import random
import socket
import string
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Gauge
from redis.asyncio import Redis

from app.core.errors import ConfigurationError
from app.core.metrics.page import page
from app.core.queue.producer import JobQueue
from app.core.settings import Settings
from app.jobs.waiters import Waiters
from app.main import create_app
from app.metrics.process import METHODS, ApiMetrics
from tests.support.credentials import LOCAL_URL
from tests.support.metrics import samples
from tests.support.problems import assert_problem

AWAY = "redis://127.0.0.1:9/0"

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 sends."""


def metrics_of(**given: object) -> ApiMetrics:
    settings = Settings(redis_url=AWAY, **given)  # type: ignore[arg-type]
    valkey = Redis.from_url(AWAY)
    return ApiMetrics(settings, Waiters(valkey, JobQueue(valkey, settings)))


@pytest.fixture
def metrics() -> Iterator[ApiMetrics]:
    counting = metrics_of(metrics=True)
    yield counting
    counting.close()


def read(metrics: ApiMetrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return samples(metrics.page("", "")[1].decode())


def of(method: str, route: str, status: str) -> frozenset[tuple[str, str]]:
    return frozenset({"method": method, "route": route, "status": status}.items())


def test_a_request_is_counted_and_timed_by_its_template(metrics: ApiMetrics) -> None:
    metrics.count("GET", "/result/{job_id}", 200, 0.02)
    metrics.count("GET", "/result/{job_id}", 200, 3)
    metrics.count("GET", None, 404, 0.001)
    metrics.count("POST", "/chat", None, 0.001)
    found, labels = read(metrics), of("GET", "/result/{job_id}", "200")
    assert found["rag_http_requests_total", labels] == 2
    assert found["rag_http_request_duration_seconds_sum", labels] == pytest.approx(3.02)
    assert found["rag_http_request_duration_seconds_bucket", labels | {("le", "0.025")}] == 1
    assert found["rag_http_requests_total", of("GET", "none", "404")] == 1
    assert found["rag_http_requests_total", of("POST", "/chat", "none")] == 1, "who was left before the answer"


def test_methods_that_nobody_knows_are_one(metrics: ApiMetrics) -> None:
    for _ in range(50):
        metrics.count("".join(random.choices(string.ascii_letters, k=8)), "/chat", 405, 0.001)
    methods = {dict(labels)["method"] for name, labels in read(metrics) if name == "rag_http_requests_total"}
    assert methods == {"_OTHER"}
    assert len(METHODS) == 9


def test_a_page_says_nothing_of_when_a_series_began(metrics: ApiMetrics) -> None:
    metrics.count("GET", "/", 200, 1)
    assert not [name for name, _ in read(metrics) if name.endswith("_created")]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
        ("text/plain;version=abc", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.x", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=9.9.9sk-secret", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain" + ";q=1" * 5000 + "!", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_format_is_one_that_was_asked_for_and_is_known(accept: str, content_type: str) -> None:
    registry = CollectorRegistry()
    Gauge("one", "", registry=registry).set(1)
    headers, body = page(registry, accept, "")
    assert headers == {"Content-Type": content_type}
    assert b"one 1.0\n" in body
    assert body.endswith(b"# EOF\n") is content_type.startswith("application/openmetrics-text")


def test_a_page_is_packed_for_who_can_unpack_it() -> None:
    headers, body = page(CollectorRegistry(), PROMETHEUS, "gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == b"# EOF\n"


def test_a_port_of_its_own_is_open_until_it_is_closed() -> None:
    metrics = metrics_of(metrics_port=0)
    metrics.open()
    port = metrics.port
    metrics.open()
    assert port is not None
    assert metrics.port == port, "it was open"
    socket.create_connection(("127.0.0.1", port)).close()
    metrics.close()
    metrics.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_that_is_taken_is_said_and_why_that_may_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        metrics = metrics_of(metrics_port=other.getsockname()[1])
        with pytest.raises(ConfigurationError, match=r"METRICS_PORT: cannot listen .*--workers"):
            metrics.open()
        metrics.close()


def test_without_a_port_none_is_opened(metrics: ApiMetrics) -> None:
    metrics.open()
    assert metrics.port is None


def client_of(**given: object) -> TestClient:
    settings = Settings(redis_url=AWAY, **given)  # type: ignore[arg-type]
    return TestClient(create_app(settings), base_url=LOCAL_URL, raise_server_exceptions=False)


def test_off_there_is_no_page() -> None:
    assert_problem(client_of().get("/metrics"), 404, "metrics-off")


def test_the_page_is_in_the_document_with_both_its_formats() -> None:
    operation = client_of().get("/openapi.json").json()["paths"]["/metrics"]["get"]
    assert set(operation["responses"]["200"]["content"]) == {"text/plain", "application/openmetrics-text"}
    assert {"403", "404"} <= set(operation["responses"])
