"""This process's traces: off until `start` finds that the environment wants them.

OpenTelemetry is told what to do by its own variables, OTEL_..., as every program that knows it: by the environment
alone, and not by .env. See https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

import os
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING

from app.core.errors import ConfigurationError
from app.core.tracing.traces import NoTraces, Traces

if TYPE_CHECKING:
    from app.core.tracing.otlp import OtlpTraces

API, WORKER, INGEST = "rag-queue-api", "rag-queue-worker", "rag-queue-ingest"
"""What the processes are called where OTEL_SERVICE_NAME does not say."""

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"

_lock = Lock()
_traces: Traces = NoTraces()


def tracing() -> Traces:
    """The traces of this process."""
    return _traces


def start(service: str) -> Traces:
    """Begin to trace as `service`, where the environment names a collector, and give the traces.

    Raises `ConfigurationError` when it wants what we can't do.
    """
    global _traces
    with _lock:
        if not _traces.is_on and (endpoint := collector(os.environ)) is not None:
            _traces = _imported()(service, endpoint)
        return _traces


def prepare() -> None:
    """Import what `start` will need, if anything, before a process forks: then no child has to. Raises as it does."""
    if collector(os.environ) is not None:
        _imported()


def stop() -> None:
    """Send what has ended, for a moment at most, and trace no more."""
    global _traces
    with _lock:
        stopped, _traces = _traces, NoTraces()
    stopped.stop()


def _imported() -> "type[OtlpTraces]":
    """The extra, which nobody needs whose traces are off. Raises `ConfigurationError` when it is not installed."""
    try:
        from app.core.tracing.otlp import OtlpTraces
    except ImportError:
        raise ConfigurationError(
            f"{ENDPOINTS[1]} is set, and OpenTelemetry is not installed: pip install 'rag-queue[otel]'"
        ) from None
    return OtlpTraces


def collector(environment: Mapping[str, str]) -> str | None:
    """The address that `environment` names; None when nothing is to be traced. Raises `ConfigurationError`."""
    given = {name: value.strip() for name, value in environment.items() if name.startswith("OTEL_") and value.strip()}
    exporters = given.get("OTEL_TRACES_EXPORTER", "otlp").split(",")
    endpoint = next((given[name] for name in ENDPOINTS if name in given), None)
    is_off = given.get("OTEL_SDK_DISABLED", "").lower() == "true" or "otlp" not in map(str.strip, exporters)
    if endpoint is None or is_off:
        return None
    for name in PROTOCOLS:
        if name in given:
            if given[name] != HTTP:
                raise ConfigurationError(f"{name}: only {HTTP} is spoken; collectors take it on port 4318")
            break
    return endpoint
