"""The table of errors: each row is what a client gets, and whatever a route may raise has one."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.exceptions import HTTPException
from structlog.testing import LogCapture

from app import problems
from app.auth.principals import (
    ForbiddenError,
    KeysUnavailableError,
    NotAuthenticatedError,
    NotLocalError,
    OtherSiteError,
    Role,
)
from app.auth.rate_limits import RateLimitedError, Standing
from app.auth.sessions import BadSessionError
from app.auth.signed import BadLinkError
from app.chat_log import ChatLogOffError, ChatLogUnavailableError
from app.core.documents.collections import CollectionNotFoundError
from app.core.documents.files import StorageUnavailableError, StoredFileNotFoundError
from app.core.documents.operations import FileBusyError
from app.core.errors import Limit, LimitReachedError
from app.core.queue.acknowledged import NotReplicatedError
from app.core.queue.connections import VALKEY_FULL, VALKEY_UNAVAILABLE, VALKEY_UNREACHABLE
from app.core.queue.conversations import ConversationNotFoundError
from app.core.queue.erasing import TenantBeingErasedError, TenantNotFoundError
from app.core.queue.producer import (
    IdempotencyConflictError,
    JobNotEndedError,
    JobNotFailedError,
    JobNotFoundError,
    JobNotStoppableError,
    JobRunningError,
    QueueFullError,
    QueueShareError,
)
from app.core.queue.usage import TokenBudget, TokenBudgetError
from app.documents.downloads import RangeNotSatisfiableError
from app.documents.looks import (
    NoPictureError,
    OtherVersionError,
    PageNotDrawnError,
    PageNotFoundError,
    PagePendingError,
    PageUnreadableError,
)
from app.documents.service import DocumentNotFoundError
from app.documents.uploads import Refusal, UploadRefusedError
from app.metrics import MetricsOffError
from app.middleware.body_limit import BodyTooLargeError
from app.problems.table import TABLE, UNEXPECTED
from app.request_headers import BadIdempotencyKeyError
from app.routes.openai import errors as openai_errors
from app.routes.openai.errors import OpenAIRoute
from tests.support import ROOT
from tests.support.problems import assert_problem

STANDING = Standing("default", 5, 60, is_within=False, remaining=0, reset_seconds=7)
CLOSE = {"connection": "close"}
BEARER = 'Bearer realm="rag-queue"'
TEXT = {"content": "x", "headers": {"content-type": "text/plain"}}

PROGRAMS = ("app.cli", "app.embedded", "app.__main__", "app.core.launch")
"""They run beside the API, or start it; the embedded Qdrant has a table of its own, as Qdrant's clients want it."""
ELSEWHERE = {
    "app.core.places.PlaceError": "commands alone read and write archives",
    "app.chat_log.migration.NewerDatabaseError": "the log makes it a `ChatLogUnavailableError`",
    "app.core.errors.ConfigurationError": "it stops the start",
    "app.core.errors.ServiceError": "the worker's: it becomes the error of a job",
    "app.batches.lines.WrongLineError": "it becomes an error of the batch",
    "app.core.queue.batches.BatchNotFoundError": "the route answers in OpenAI's shape",
    "app.core.queue.batches.FileNotFoundHereError": "the route answers in OpenAI's shape",
    "app.core.documents.files.BucketNotFoundError": "the store makes it a `StorageUnavailableError`",
    "app.core.documents.files.NotAllRemovedError": "the store makes it a `StorageUnavailableError`",
    "app.core.queue.removal.JobsStillRunError": "a job's, which is tried again for it",
    "app.core.queue.records.BadRecordError": "the queue takes a record that can't be read for none",
    "app.core.signed.BadSignatureError": "`app.auth.signed` makes it a `BadLinkError`",
    "app.jobs.usage.TooManyTenantsError": "the route makes it a question that is wrong: it asks for too much",
    "app.routes.openai.errors.OpenAIError": "it is an answer itself, in OpenAI's shape",
    "app.routes.openai.jobs.RestartedError": "it ends a stream, whose status has long been sent",
}
"""Exceptions that never reach the table, and why."""


def invalid(kind: str, *where: str) -> RequestValidationError:
    return RequestValidationError([{"type": kind, "loc": where, "msg": "is wrong", "input": "secret"}])


def refused(status: int, kind: str) -> UploadRefusedError:
    refusal = Refusal(status, kind, "What to do.")
    return UploadRefusedError(refusal, {2: refusal})


@dataclass(frozen=True)
class Sample:
    """An error, and the answer to it; `members` are those beside RFC 9457's own, `request` what raises it."""

    error: Exception
    status: int
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)


def upload(status: int, kind: str) -> Sample:
    title = HTTPStatus(status).phrase
    file = {"index": 2, "type": f"urn:problem:{kind}", "title": title, "status": status, "detail": "What to do."}
    return Sample(refused(status, kind), status, kind, CLOSE, {"problems": [file]})


SAMPLES = [
    Sample(invalid("json_invalid", "body"), 400, "malformed-json", request=TEXT),
    Sample(invalid("missing", "body"), 415, "unsupported-media-type", request=TEXT),
    Sample(
        invalid("missing", "body", "query"), 422, "invalid-request",
        members={"errors": [{"in": "body", "pointer": "/query", "detail": "is wrong"}]},
    ),
    Sample(BodyTooLargeError(), 413, "body-too-large", CLOSE),
    Sample(BadIdempotencyKeyError(), 400, "bad-idempotency-key"),
    Sample(IdempotencyConflictError(), 422, "idempotency-key-reused"),
    Sample(HTTPException(400, "secret"), 400, "bad-request"),
    Sample(HTTPException(404, "secret"), 404, "not-found"),
    Sample(HTTPException(405, "secret", {"Allow": "PUT"}), 405, "method-not-allowed", {"allow": "POST"}),
    Sample(MetricsOffError(), 404, "metrics-off"),
    Sample(ChatLogOffError(), 404, "chat-log-off"),
    Sample(ChatLogUnavailableError("secret"), 503, "chat-log-unavailable", {"retry-after": "5"}),
    Sample(
        BadLinkError(is_over=True), 401, "link-expired", {"www-authenticate": f'{BEARER}, error="invalid_token"'},
    ),
    Sample(
        BadSessionError(is_over=True), 401, "session-ended", {"www-authenticate": f'{BEARER}, error="invalid_token"'},
    ),
    Sample(NotAuthenticatedError(is_wrong=False), 401, "unauthorized", {"www-authenticate": BEARER}),
    Sample(
        NotAuthenticatedError(is_wrong=True), 401, "unauthorized",
        {"www-authenticate": f'{BEARER}, error="invalid_token"'},
    ),
    Sample(
        ForbiddenError(Role.ADMIN), 403, "forbidden", {"www-authenticate": f'{BEARER}, error="insufficient_scope"'}
    ),
    Sample(OtherSiteError(), 403, "other-site"),
    Sample(NotLocalError(), 403, "keys-required"),
    Sample(
        RateLimitedError(STANDING), 429, "quota-exceeded", {"retry-after": "7"}, {"violated-policies": ["default"]}
    ),
    Sample(
        LimitReachedError(Limit.STREAMS, 1000), 429, "limit-reached", {"retry-after": "5"}, {"limit": "streams"}
    ),
    Sample(KeysUnavailableError(), 503, "issuer-unavailable", {"retry-after": "10"}),
    Sample(JobNotFoundError("secret"), 404, "job-not-found"),
    Sample(JobRunningError("secret"), 409, "job-running"),
    Sample(JobNotStoppableError("secret"), 409, "job-not-stoppable"),
    Sample(TenantNotFoundError("secret"), 404, "tenant-not-found"),
    Sample(TenantBeingErasedError("secret"), 409, "tenant-being-erased"),
    Sample(ConversationNotFoundError("secret"), 404, "conversation-not-found"),
    Sample(JobNotEndedError("secret"), 409, "job-not-ended"),
    Sample(JobNotFailedError("secret"), 409, "job-not-failed"),
    Sample(QueueFullError(3), 503, "queue-full", {"retry-after": "10"}),
    Sample(
        TokenBudgetError(TokenBudget(100, "day"), 120, datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC)), 429,
        "token-budget", {"retry-after": "10"},
        {"limit": 100, "used": 120, "window": "day", "ends_at": "2026-12-01T00:00:00Z"},
    ),
    Sample(QueueShareError(3), 429, "queue-share-full", {"retry-after": "10"}),
    *(Sample(error("secret"), 503, "queue-unavailable", {"retry-after": "2"}) for error in VALKEY_UNREACHABLE),
    Sample(NotReplicatedError(), 503, "queue-not-replicated", {"retry-after": "2"}),
    Sample(VALKEY_FULL("secret"), 503, "queue-memory-full", {"retry-after": "10"}),
    Sample(DocumentNotFoundError("secret"), 404, "document-not-found"),
    Sample(CollectionNotFoundError("secret"), 404, "collection-not-found"),
    Sample(StoredFileNotFoundError("secret"), 404, "file-not-kept"),
    Sample(PageNotFoundError(12), 404, "page-not-found"),
    Sample(OtherVersionError("secret"), 404, "other-version"),
    Sample(NoPictureError("secret"), 404, "no-picture"),
    Sample(PageUnreadableError("secret"), 422, "page-unreadable"),
    Sample(PagePendingError("secret"), 503, "page-pending", {"retry-after": "2"}),
    Sample(PageNotDrawnError("secret"), 503, "page-not-drawn", {"retry-after": "5"}),
    Sample(
        RangeNotSatisfiableError(12), 416, "range-not-satisfiable",
        {"content-range": "bytes */12", "accept-ranges": "bytes"},
    ),
    Sample(StorageUnavailableError("secret"), 503, "storage-unavailable", {"retry-after": "5"}),
    Sample(FileBusyError("secret"), 503, "file-busy", {"retry-after": "1"}),
    upload(400, "malformed-multipart"),
    upload(413, "body-too-large"),
    upload(413, "too-many-files"),
    upload(413, "file-too-large"),
    upload(415, "unsupported-media-type"),
    upload(415, "unsupported-file-type"),
    upload(422, "invalid-request"),
    upload(422, "invalid-filename"),
    upload(422, "empty-file"),
    upload(422, "no-file-taken"),
    Sample(KeyError("secret"), 500, "internal-error"),
]  # fmt: skip
EXACT = {
    BodyTooLargeError: "The body is larger than 256 KiB.",
    ForbiddenError: "This needs a key with the role admin.",
    LimitReachedError: "Your key has 1,000 streams open here, as many as it may. Close one.",
    PageNotFoundError: "The document has 12 pages.",
    RequestValidationError: "See `errors`, and /docs for what this address takes.",
    UploadRefusedError: "What to do.",
}
"""The details that say more than their row."""


def answer_to(error: Exception, route: str = "/raise", **request: Any) -> Response:
    """What an application that raises `error` answers; below /v1 in OpenAI's shape."""
    app = FastAPI()
    problems.install(app)

    async def fail() -> None:
        raise error

    app.add_api_route("/raise", fail, methods=["POST"])
    app.router.routes.append(OpenAIRoute("/v1/raise", fail, methods=["POST"]))
    with TestClient(app, raise_server_exceptions=False) as client:
        return client.post(route, **request)


def own_headers(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in ("content-type", "content-length")}


def name_of(sample: Sample) -> str:
    return f"{type(sample.error).__name__}-{sample.kind}"


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_an_error_is_answered_as_its_row_says(sample: Sample) -> None:
    response = answer_to(sample.error, **sample.request)
    problem = assert_problem(response, sample.status, sample.kind)
    [row] = [row for row in TABLE if isinstance(sample.error, row.error) and row.kind == sample.kind]
    assert problem["detail"] == (EXACT[type(sample.error)] if row.exactly else row.detail)
    assert problem["title"] == HTTPStatus(sample.status).phrase
    assert {name: problem[name] for name in list(problem)[4:]} == sample.members
    assert "secret" not in response.text
    assert own_headers(response) == sample.headers


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_below_v1_it_has_the_same_status_and_headers_in_openais_shape(sample: Sample) -> None:
    response = answer_to(sample.error, "/v1/raise", **sample.request)
    if sample.status == 500:  # what nobody expected is the application's to answer
        assert_problem(response, 500, "internal-error")
        return
    assert response.status_code == (400 if sample.status == 422 else sample.status)
    assert set(response.json()) == {"error"}
    assert "secret" not in response.text
    for_days = openai_errors.NOT_AGAIN if sample.kind == "token-budget" else {}
    assert own_headers(response) == {**sample.headers, **for_days}


def test_openais_names_are_for_kinds_of_the_table() -> None:
    assert set(openai_errors._CODES) <= {row.kind for row in TABLE}


def test_every_row_has_a_sample() -> None:
    assert {(row.error, row.status, row.kind) for row in TABLE if row is not UNEXPECTED} == {
        (type(sample.error), sample.status, sample.kind) for sample in SAMPLES if sample.status != 500
    }


def test_a_kind_has_one_status() -> None:
    kinds = {row.kind for row in TABLE}
    assert len({(row.kind, row.status) for row in TABLE}) == len(kinds)


def test_an_error_of_the_framework_without_a_row_has_its_statuss_own_words() -> None:
    problem = assert_problem(answer_to(HTTPException(418, "secret")), 418, "i'm-a-teapot")
    assert problem["detail"] == HTTPStatus(418).description


@pytest.mark.parametrize("route", ["/raise", "/v1/raise"])
@pytest.mark.parametrize("error", VALKEY_UNAVAILABLE)
def test_that_valkey_is_away_is_logged_whatever_the_shape_of_the_answer(
    route: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = LogCapture()
    monkeypatch.setattr(problems, "log", structlog.wrap_logger(None, processors=[lines]))
    answer_to(error("secret"), route)
    answer_to(JobNotFoundError("secret"), route)
    assert lines.entries == [
        {"event": "valkey_unavailable", "during": route, "reason": error.__name__, "log_level": "warning"}
    ]


def modules() -> list[str]:
    """The API's own: all of `app` but the programs."""
    found = pkgutil.walk_packages([str(ROOT / "app")], "app.")
    return [module.name for module in found if not module.name.startswith(PROGRAMS)]


def exceptions() -> Iterator[type[Exception]]:
    """Every public exception that the API defines."""
    for module in modules():
        for name, defined in vars(importlib.import_module(module)).items():
            is_own = inspect.isclass(defined) and defined.__module__ == module and not name.startswith("_")
            if is_own and issubclass(defined, Exception):
                yield defined


def test_every_exception_is_in_the_table_or_never_reaches_it() -> None:
    known = {row.error for row in TABLE}
    own = set(exceptions())
    excused = {error for error in own if f"{error.__module__}.{error.__qualname__}" in ELSEWHERE}
    assert own - known - excused == set()
    assert known & excused == set()
    assert len(excused) == len(ELSEWHERE)


def test_the_api_imports_no_program() -> None:
    for module in modules():
        source = inspect.getsource(importlib.import_module(module))
        assert not [name for name in PROGRAMS if f"from {name}" in source or f"import {name}" in source], module


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    """Where `app` calls a function or class of one of these names: the file's path, and the call."""
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield path.relative_to(ROOT).as_posix(), node


def test_every_reason_to_refuse_an_upload_is_a_row() -> None:
    rows = {(row.status, row.kind) for row in TABLE if row.error is UploadRefusedError}
    reasons = {tuple(ast.literal_eval(argument) for argument in call.args[:2]) for _, call in calls("Refusal")}
    assert reasons == rows


def test_nothing_answers_with_a_problem_beside_the_table() -> None:
    found = calls("ProblemDetails", "ProblemResponse", "HTTPException")
    assert {path for path, _ in found} == {"app/problems/details.py", "app/problems/table.py"}
