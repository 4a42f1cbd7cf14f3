"""What turns traces on, and that nothing is done while they are off."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.queue.records import new_record
from app.core.settings import Settings
from app.core.tracing import process
from app.core.tracing.process import collector, tracing
from app.core.tracing.traces import NO_CALL, NO_REQUEST, NO_SPAN
from tests.support import ROOT
from worker.answer.pipeline import Completion
from worker.model.traced import traced_chat, traced_embeddings, traced_rerank

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
URL = "http://127.0.0.1:4318"


@pytest.fixture(autouse=True)
def _off() -> Iterator[None]:
    yield
    process.stop()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({ENDPOINT: URL}, URL),
        ({ENDPOINT: " "}, None),
        ({ENDPOINT: URL, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a/v1/traces"}, "http://a/v1/traces"),
        ({ENDPOINT: URL, "OTEL_SDK_DISABLED": "TRUE"}, None),
        ({ENDPOINT: URL, "OTEL_SDK_DISABLED": "false"}, URL),
        ({ENDPOINT: URL, "OTEL_TRACES_EXPORTER": "none"}, None),
        ({ENDPOINT: URL, "OTEL_TRACES_EXPORTER": "console, otlp"}, URL),
        ({ENDPOINT: URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, URL),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, None),
    ],
)
def test_an_endpoint_turns_traces_on(environment: dict[str, str], expected: str | None) -> None:
    assert collector(environment) == expected


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_a_protocol_that_we_do_not_speak_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        collector({ENDPOINT: URL, name: "grpc"})
    assert collector({name: "grpc"}) is None


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, URL)
    monkeypatch.delitem(sys.modules, "app.core.tracing.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rag-queue\[otel\]'"):
        process.start(process.API)
    assert not tracing().is_on


def test_off_the_calls_are_the_very_functions() -> None:
    def complete(*_: object) -> Completion:
        return Completion()

    def rerank(*_: object) -> None:
        return None

    settings, model = Settings(_env_file=None, chat_model="m", embedding_model="e"), object()
    assert traced_chat(complete, settings) is complete
    assert traced_rerank(rerank, settings) is rerank
    assert traced_embeddings(model, settings) is model  # type: ignore[arg-type]


def test_off_a_span_is_the_one_that_does_nothing() -> None:
    traces = tracing()
    assert traces.request("POST", None) is NO_REQUEST
    assert {traces.send("q"), traces.process("q", "j", None), traces.step("s")} == {NO_SPAN}
    assert {traces.retrieval("c", 1), traces.embeddings("p", "m"), traces.rerank(None), traces.chat("p", "m")} == {
        NO_CALL
    }
    with NO_SPAN as span:
        span.set("a", 1)
        span.failed("e")
    assert span.traceparent is None
    assert traces.trace_id() is None


def test_off_a_jobs_record_says_nothing_of_traces() -> None:
    from app.core.contract import AnswerJob

    fields, _ = new_record(AnswerJob(query="?"), Settings(_env_file=None))
    assert b"traceparent" not in fields["meta"]


@pytest.mark.parametrize("module", ["app.main", "worker.jobs", "worker.concurrent", "ingest.jobs", "ingest.__main__"])
def test_off_nothing_that_traces_is_imported(module: str) -> None:
    """FastAPI imports OpenTelemetry's API, and redis-py its metrics where they are installed, whatever we do."""
    code = f"import sys, {module}\nfrom app.core.tracing import process\nprocess.start('x')\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    traces = (
        "opentelemetry.sdk.trace",
        "opentelemetry.exporter",
        "opentelemetry.util.genai",
        "app.core.tracing.otlp",
    )
    loaded = done.stdout.split()
    assert module in loaded
    assert not [name for name in loaded if name.startswith((*traces, "requests"))]


def test_an_error_is_told_by_its_kind_alone() -> None:
    from app.core.tracing.otlp import _kind_of

    assert _kind_of(ServiceError(ErrorCode.MODEL_TIMEOUT)) == "model_timeout"
    assert _kind_of(ValueError("the question")) == "ValueError"
