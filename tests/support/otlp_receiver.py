"""A collector of the tests' own: takes traces over OTLP's HTTP, and keeps their spans as plain data.

    with OtlpReceiver() as receiver:
        environment = receiver.environment()

    python -m tests.support.otlp_receiver --port 4318

It speaks http/protobuf as the specification has it (https://opentelemetry.io/docs/specs/otlp/#otlphttp); `status`
answers otherwise.
"""

import argparse
import gzip
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.processes import wait_until

PATH = "/v1/traces"


@dataclass(frozen=True)
class Span:
    """A span as it came. Ids are in hexadecimal, a root's `parent` is empty; times are in nanoseconds since 1970."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, Any]
    events: tuple[str, ...]
    is_error: bool
    message: str
    began: int
    ended: int
    service: str
    resource: dict[str, Any] = field(repr=False)


class OtlpReceiver:
    """Serves until it is closed."""

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self._spans: list[Span] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == PATH
                assert self.headers["content-type"] == "application/x-protobuf"
                if outer.status == 200:
                    outer._spans += spans_in(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(outer.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def forget(self) -> None:
        """Drop the spans that have come."""
        self._spans.clear()

    def environment(self) -> dict[str, str]:
        """What makes a process send its traces here, five times a second."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}

    @property
    def spans(self) -> list[Span]:
        """All that have come, in the order of their begin."""
        return sorted(self._spans, key=lambda span: (span.began, span.ended))

    def named(self, name: str) -> list[Span]:
        """Those of this name."""
        return [span for span in self.spans if span.name == name]

    def wait_for(self, *names: str) -> list[Span]:
        """All spans, once there is one of each of these names; as many as the name is given."""
        return wait_until(
            lambda: all(len(self.named(name)) >= names.count(name) for name in names) and self.spans,
            f"spans {names}",
        )


def spans_in(body: bytes) -> Iterable[Span]:
    """The spans of a request to `PATH`."""
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _span(span, resource)


def _span(span: trace_pb2.Span, resource: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes=_attributes(span.attributes),
        events=tuple(event.name for event in span.events),
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=span.status.message,
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        service=resource["service.name"],
        resource=resource,
    )


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def walk(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """The spans of one trace with their depths, each below its parent, in the order of their begin."""
    ids = {span.id for span in spans}

    def below(parent: str | None, depth: int) -> Iterator[tuple[int, Span]]:
        for span in spans:
            if span.parent == parent if parent is not None else span.parent not in ids:
                yield depth, span
                yield from below(span.id, depth + 1)

    yield from below(None, 0)


def shape(spans: Sequence[Span]) -> list[str]:
    """The names of one trace's spans as `walk` gives them, indented by their depth."""
    return ["  " * depth + span.name for depth, span in walk(spans)]


def main() -> None:
    """Take traces until told to end, and forget them every second."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.otlp_receiver", description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    with OtlpReceiver(parser.parse_args().port) as receiver:
        forever = threading.Event()
        while not forever.wait(1):
            receiver.forget()


if __name__ == "__main__":
    main()
