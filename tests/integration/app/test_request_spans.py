"""Which requests are traced, and what is told of them."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from redis import Redis

from app.core.settings import Settings
from app.core.tracing import process
from tests.support.api import serving
from tests.support.otlp_receiver import OtlpReceiver, Span

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"00-{TRACE}-{SPAN}-01".encode()

Headers = tuple[tuple[bytes, bytes], ...]
Asked = tuple[str, str, Headers]
"""Method, path and headers."""


@pytest.fixture
def traced(valkey: Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Span]]]:
    """Sends requests to an API that is traced, and gives their spans, those of servers alone."""
    with OtlpReceiver() as receiver:
        for name, value in receiver.environment().items():
            monkeypatch.setenv(name, value)

        def send(*requests: Asked) -> list[Span]:
            process.start(process.API)
            with serving(Settings(redis_url=valkey_url)) as url, httpx.Client(base_url=url) as client:
                for method, path, headers in requests:
                    client.request(method, path, headers=headers)
            return [span for span in receiver.spans if span.kind == "server"]  # its end has sent them

        yield send


def request(method: str, path: str, *headers: tuple[bytes, bytes]) -> Asked:
    return method, path, headers


def test_what_changes_something_is_traced_and_what_looks_is_not(traced: Callable[..., list[Span]]) -> None:
    looks = [
        request("GET", path) for path in ("/", "/healthz", "/readyz", "/queues", "/jobs", "/result/a", "/documents")
    ]
    spans = traced(*looks, request("DELETE", "/jobs/secret-id"), request("POST", "/search"), request("HEAD", "/"))
    assert [span.name for span in spans] == ["DELETE /jobs/{job_id}", "POST /search"]
    assert [span.attributes["http.response.status_code"] for span in spans] == [404, 422]
    assert not any(span.is_error for span in spans)
    assert "secret-id" not in repr(spans)


def test_a_path_that_is_no_routes_is_not_told(traced: Callable[..., list[Span]]) -> None:
    [span] = traced(request("POST", "/no/such/place"))
    assert span.name == "POST"
    assert span.attributes == {"http.request.method": "POST", "http.response.status_code": 404}


def test_the_callers_trace_is_gone_on_with_when_it_names_one(traced: Callable[..., list[Span]]) -> None:
    given: list[Headers] = [
        ((b"traceparent", CALLER),),
        ((b"traceparent", CALLER), (b"traceparent", CALLER)),
        ((b"traceparent", b"00-\xe9" + b"0" * 51),),
        ((b"tracestate", b"a=b"), (b"baggage", b"question=secret")),
    ]
    known, *others = traced(*(request("DELETE", "/jobs/x", *headers) for headers in given))
    assert (known.trace, known.parent) == (TRACE, SPAN)
    assert {span.parent for span in others} == {""}
    assert len({span.trace for span in others}) == len(others)
    assert "secret" not in repr(others)


def test_an_error_of_ours_is_one_and_its_text_is_not_told(
    traced: Callable[..., list[Span]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("app.core.queue.producer.JobQueue.submit", fail)
    [span] = traced(request("POST", "/chat?query=a+secret"))
    assert (span.is_error, span.attributes["error.type"]) == (True, "RuntimeError")
    assert (span.message, span.events) == ("", ())
    assert "secret" not in repr(span)
