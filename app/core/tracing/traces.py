"""What can be traced, and the twin that traces nothing.

Spans are context managers: a `with` around what they are of. Their names and attributes are OpenTelemetry's
conventions for HTTP, messaging and generative AI. No question, answer, file name or error's text is ever among them,
but for what `Call.said` and `Call.asked` give, where OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT wants it.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

Value = str | int | float | bool


class Span:
    """A step of a trace. This one is of none: it does nothing."""

    @property
    def traceparent(self) -> str | None:
        """Its place, for whoever goes on with the trace; None when there is no trace."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it. What is raised makes it an error, of which the kind is told alone."""

    def set(self, name: str, value: Value) -> None:
        """Say more of it: an attribute of the conventions."""

    def failed(self, error_type: str) -> None:
        """It is an error of this kind: a code, or a class's name."""


class Request(Span):
    """An HTTP request that is answered."""

    def answered(self, route: str | None, status: int | None) -> None:
        """The route's template, and the status; None when there was none."""


class Call(Span):
    """A call to a model, or a search."""

    @property
    def wants_content(self) -> bool:
        """Whether `asked` and `said` are kept: who has to make up their arguments need not, when not."""
        return False

    def asked(self, query: str) -> None:
        """What was searched for."""

    def chunk(self) -> None:
        """The first piece of a streamed answer has come."""

    def answered(self, model: str | None, input_tokens: int, output_tokens: int, finish_reason: str | None) -> None:
        """Which model has answered, what it has counted, and why the answer ended."""

    def said(self, messages: Sequence[dict[str, str]], text: str) -> None:
        """The conversation, each message with `role` and `content`, and the answer."""


class Traces(Protocol):
    """Begins spans."""

    @property
    def is_on(self) -> bool:
        """Whether anything is traced."""

    def request(self, method: str, traceparent: str | None) -> Request:
        """A request, part of the caller's trace if its header names one."""

    def send(self, queue: str, after: object = None) -> Span:
        """A job's way onto its queue, part of what runs, or of the trace in `after`, which may be anything."""

    def process(self, queue: str, job_id: str, traceparent: object) -> Span:
        """An attempt at a job, whose record names a place, or anything else."""

    def step(self, name: str) -> Span:
        """A part of what runs."""

    def retrieval(self, collection: str, top_k: int) -> Call:
        """A search in a collection."""

    def embeddings(self, provider: str, model: str) -> Call:
        """A request to an embedding model."""

    def rerank(self, model: str | None) -> Call:
        """A request to a reranker."""

    def chat(self, provider: str, model: str) -> Call:
        """A request to a chat model."""

    def converse(self, session_id: str | None) -> None:
        """What is called from now on in this context is part of the conversation."""

    def trace_id(self) -> str | None:
        """The id of the trace that what runs is part of, as logs have it."""

    def flush(self) -> None:
        """Send what has ended, within `otlp.STOP_SECONDS`."""

    def stop(self) -> None:
        """The same, and then send nothing more."""


NO_SPAN, NO_REQUEST, NO_CALL = Span(), Request(), Call()


class NoTraces:
    """Traces nothing, at the cost of a call for each span."""

    is_on = False

    def request(self, method: str, traceparent: str | None) -> Request:
        """Nothing."""
        return NO_REQUEST

    def send(self, queue: str, after: object = None) -> Span:
        """Nothing."""
        return NO_SPAN

    def process(self, queue: str, job_id: str, traceparent: object) -> Span:
        """Nothing."""
        return NO_SPAN

    def step(self, name: str) -> Span:
        """Nothing."""
        return NO_SPAN

    def retrieval(self, collection: str, top_k: int) -> Call:
        """Nothing."""
        return NO_CALL

    def embeddings(self, provider: str, model: str) -> Call:
        """Nothing."""
        return NO_CALL

    def rerank(self, model: str | None) -> Call:
        """Nothing."""
        return NO_CALL

    def chat(self, provider: str, model: str) -> Call:
        """Nothing."""
        return NO_CALL

    def converse(self, session_id: str | None) -> None:
        """Nothing."""

    def trace_id(self) -> str | None:
        """None."""
        return None

    def flush(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""
