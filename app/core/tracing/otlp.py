"""Traces by OpenTelemetry's SDK, sent over OTLP in the background: who is traced never waits for the collector.

Spans of models and searches are those of `opentelemetry-util-genai`, so that a convention's new names come with its
new versions. The SDK's global provider is left alone: FastAPI would add spans of its own to it, with the request's
query, which is the question.
"""

import logging
import os
import time
from collections.abc import Sequence
from contextvars import ContextVar
from threading import Thread
from typing import Any, Self, cast
from uuid import uuid4

import requests
from opentelemetry import context as contexts
from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.invocation import InferenceInvocation, RetrievalInvocation
from opentelemetry.util.genai.types import Error, InputMessage, OutputMessage, TextPart

from app.core.errors import ServiceError
from app.core.logging import get_logger
from app.core.proxies import proxy_for
from app.core.tracing.traceparent import KNOWN_FLAGS, Place, read
from app.core.tracing.traces import NO_CALL, Call, Request, Span, Value
from app.core.version import VERSION

SCOPE = "rag-queue"
SYSTEM = "rq"
"""`messaging.system`: the convention has no name of its own for RQ."""
STOP_SECONDS = 1.0
"""How long the end of a process waits for what has ended to be sent."""
TELL_SECONDS = 60.0
"""Between two lines that spans are lost."""
CERTIFICATES = ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
EXPORTER_LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
ERROR_TYPE = "error.type"
SERVER_ERROR = 500

log = get_logger(__name__)

_conversation: ContextVar[str | None] = ContextVar("conversation", default=None)


class OtlpTraces:
    """Traces of this process as `service`, for the collector at `endpoint`; the rest is as the environment says."""

    is_on = True

    def __init__(self, service: str, endpoint: str) -> None:
        self._provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OtlpExporter(endpoint)))
        self._tracer = self._provider.get_tracer(SCOPE, VERSION)
        self._models = TelemetryHandler(
            tracer_provider=self._provider,
            meter_provider=NoOpMeterProvider(),
            logger_provider=NoOpLoggerProvider(),
            instrumentation_scope_name=SCOPE,
            instrumentation_scope_version=VERSION,
        )

    def request(self, method: str, traceparent: str | None) -> Request:
        """As `Traces` has it."""
        return _Request(
            self._tracer.start_span(
                method,
                context=_within(read(traceparent)),
                kind=SpanKind.SERVER,
                attributes={"http.request.method": method},
            ),
            method,
        )

    def send(self, queue: str, after: object = None) -> Span:
        """As `Traces` has it."""
        place = read(after)
        return _Step(
            self._tracer.start_span(
                f"send {queue}",
                context=_within(place) if place is not None else None,
                kind=SpanKind.PRODUCER,
                attributes=_message(queue, "send"),
            )
        )

    def process(self, queue: str, job_id: str, traceparent: object) -> Span:
        """As `Traces` has it."""
        _conversation.set(None)
        context = _within(read(traceparent))
        sent = get_current_span(context).get_span_context()
        return _Step(
            self._tracer.start_span(
                f"process {queue}",
                context=context,
                kind=SpanKind.CONSUMER,
                attributes=_message(queue, "process") | {"messaging.message.id": job_id},
                links=[Link(sent)] if sent.is_valid else None,
            )
        )

    def step(self, name: str) -> Span:
        """As `Traces` has it."""
        return _Step(self._tracer.start_span(name))

    def retrieval(self, collection: str, top_k: int) -> Call:
        """As `Traces` has it."""
        if _is_left_out():
            return NO_CALL
        call = self._models.retrieval(data_source_id=collection)
        call.top_k = top_k
        return _Call(call)

    def embeddings(self, provider: str, model: str) -> Call:
        """As `Traces` has it."""
        return NO_CALL if _is_left_out() else _Call(self._models.embedding(provider, request_model=model))

    def rerank(self, model: str | None) -> Call:
        """As `Traces` has it. The conventions have no span for it yet."""
        if _is_left_out():
            return NO_CALL
        attributes = {"gen_ai.operation.name": "rerank"} | ({"gen_ai.request.model": model} if model else {})
        name = f"rerank {model}" if model else "rerank"
        return _Rerank(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes))

    def chat(self, provider: str, model: str) -> Call:
        """As `Traces` has it."""
        if _is_left_out():
            return NO_CALL
        return _Call(self._models.inference(provider, request_model=model, conversation_id=_conversation.get()))

    def converse(self, session_id: str | None) -> None:
        """As `Traces` has it."""
        _conversation.set(session_id)

    def trace_id(self) -> str | None:
        """As `Traces` has it."""
        context = get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else None

    def flush(self) -> None:
        """As `Traces` has it."""
        self._within_time(self._provider.force_flush)

    def stop(self) -> None:
        """As `Traces` has it."""
        self._within_time(self._provider.shutdown)

    @staticmethod
    def _within_time(act: Any) -> None:
        """The SDK's own limit on both is half a minute, of a collector that hangs; a daemon may be left behind."""
        thread = Thread(target=act, name="traces", daemon=True)
        thread.start()
        thread.join(STOP_SECONDS)


class _Step(Span):
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        context = self._span.get_span_context()
        return str(Place(context.trace_id, context.span_id, int(context.trace_flags) & KNOWN_FLAGS))

    def __enter__(self) -> Self:
        self._token = contexts.attach(set_span_in_context(self._span))
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        contexts.detach(self._token)
        if error is not None:
            self.failed(_kind_of(error))
        self._span.end()

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def failed(self, error_type: str) -> None:
        self._span.set_attribute(ERROR_TYPE, error_type)
        self._span.set_status(StatusCode.ERROR)


class _Request(_Step, Request):
    def __init__(self, span: OtelSpan, method: str) -> None:
        super().__init__(span)
        self._method = method

    def answered(self, route: str | None, status: int | None) -> None:
        if route is not None:
            self._span.update_name(f"{self._method} {route}")
            self.set("http.route", route)
        if status is not None:
            self.set("http.response.status_code", status)
            if status >= SERVER_ERROR:
                self.failed(str(status))


class _Rerank(_Step, Call):
    """A span of our own, where `opentelemetry-util-genai` has none."""


class _Call(Call):
    """A span of `opentelemetry-util-genai`, which is begun and current already."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            self._call.stop()
        else:  # without its text, which may be a provider's, with the question in it
            self._call.fail(Error(message=None, type=_kind_of(error)))

    @property
    def wants_content(self) -> bool:
        return cast(bool, self._call.should_capture_content)

    def set(self, name: str, value: Value) -> None:
        self._call.attributes[name] = value

    def failed(self, error_type: str) -> None:
        self._call.fail(Error(message=None, type=error_type))

    def asked(self, query: str) -> None:
        if self.wants_content:
            cast(RetrievalInvocation, self._call).query_text = query

    def chunk(self) -> None:
        self._call.record_stream_chunk()

    def answered(self, model: str | None, input_tokens: int, output_tokens: int, finish_reason: str | None) -> None:
        call = cast(InferenceInvocation, self._call)
        call.response_model_name = model
        if input_tokens or output_tokens:
            call.input_tokens, call.output_tokens = input_tokens, output_tokens
        if finish_reason:
            call.finish_reasons = [finish_reason]

    def said(self, messages: Sequence[dict[str, str]], text: str) -> None:
        call = cast(InferenceInvocation, self._call)
        call.input_messages = [InputMessage(each["role"], [TextPart(each["content"])]) for each in messages]
        call.output_messages = [OutputMessage("assistant", [TextPart(text)])]


class OtlpExporter(SpanExporter):
    """Sends spans to `endpoint`, and tells of those that are lost: at once, and then once in `TELL_SECONDS`."""

    def __init__(self, endpoint: str) -> None:
        self._reasons = _Reasons()
        exporter_logger = logging.getLogger(EXPORTER_LOGGER)
        exporter_logger.addFilter(self._reasons)
        session = requests.Session()
        session.trust_env = False  # the proxy is the one that all our clients take
        if (proxy := proxy_for(endpoint)) is not None:
            session.proxies = {"http": proxy, "https": proxy}
        is_named = any(os.environ.get(name) for name in CERTIFICATES)
        certificates = None if is_named else os.environ.get("SSL_CERT_FILE")  # whom our other clients trust
        self._exporter = OTLPSpanExporter(certificate_file=certificates, session=session)
        self._lost = 0
        self._told_at = float("-inf")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Overrides the SDK: send them, and count those that do not arrive."""
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._lost += len(spans)
            if time.monotonic() - self._told_at > TELL_SECONDS:
                log.warning("spans_lost", spans=self._lost, reason=self._reasons.last)
                self._lost, self._told_at = 0, time.monotonic()
        return result

    def shutdown(self) -> None:
        """Overrides the SDK: end its waits."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Overrides the SDK: nothing is kept here."""
        return True


class _Reasons(logging.Filter):
    """Keeps the exporter's lines, which hold the collector's address and come for each try, and knows the last's
    reason: the status, or the error's class."""

    def __init__(self) -> None:
        super().__init__()
        self.last: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        for told in record.args if isinstance(record.args, tuple) else ():
            if isinstance(told, int):
                self.last = str(told)
                break
            if isinstance(told, BaseException):
                self.last = type(told).__name__
                break
        return False


def _resource(service: str) -> Resource:
    """What all spans of this process have in common; what the environment says of it goes before ours."""
    given = OTELResourceDetector().detect().attributes
    own = {"service.name": service, "service.version": VERSION, "service.instance.id": uuid4().hex}
    return Resource.create(own | dict(given))


def _within(place: Place | None) -> Context:
    """The context of what goes on at `place`; an empty one begins a trace."""
    if place is None:
        return Context()
    where = SpanContext(place.trace_id, place.span_id, is_remote=True, trace_flags=TraceFlags(place.flags))
    return set_span_in_context(NonRecordingSpan(where), Context())


def _is_left_out() -> bool:
    """Whether what runs is part of a trace that the sampler leaves out: then its parts cost nothing."""
    span = get_current_span()
    return span.get_span_context().is_valid and not span.is_recording()


def _message(queue: str, operation: str) -> dict[str, str]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
    }


def _kind_of(error: BaseException) -> str:
    """Its code, or its class: what it says may hold content, or a secret."""
    return error.code.value if isinstance(error, ServiceError) else type(error).__qualname__
