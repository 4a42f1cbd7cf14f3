"""Errors as `application/problem+json` (RFC 9457): one table (`app.problems.table`), and one handler."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from app.core.logging import get_logger
from app.problems.allowed import allowed
from app.problems.details import ProblemDetails, Row
from app.problems.table import STANDARD, TABLE, UNEXPECTED

CLIENT_LEFT = 499
"""nginx's status for a client that left before its answer: nobody gets it, and the log shows it."""

log = get_logger(__name__)


async def respond(request: Request, error: Exception) -> Response:
    """The handler of them all. Async: Starlette sends others through a thread."""
    problem = problem_of(request, error) or UNEXPECTED.details(request, error)
    return problem.response()


def install(app: FastAPI, respond: Callable[[Request, Exception], Awaitable[Response]] = respond) -> None:
    """Answer every error of `app` with a problem document, or as `respond` does."""
    for error in _ROWS:
        app.add_exception_handler(error, respond)
    app.add_exception_handler(ClientDisconnect, _respond_to_nobody)


async def _respond_to_nobody(request: Request, error: Exception) -> Response:
    """To a client that left in the middle of its body: no error of the service's, nor one that it could be told."""
    return Response(status_code=CLIENT_LEFT)


def problem_of(request: Request, error: Exception) -> ProblemDetails | None:
    """What the table tells of `error`, a line in the log if it asks for one; None for what nobody expected."""
    row = _row_of(request, error)
    if row is UNEXPECTED:
        return None
    if row.event is not None:
        route = getattr(request.scope.get("route"), "path_format", None)  # the path has what the client wrote
        log.warning(row.event, during=route, reason=type(error).__name__)
    problem = row.details(request, error)
    return replace(problem, headers={"Allow": allowed(request)}) if problem.status == 405 else problem


def _row_of(request: Request, error: Exception) -> Row[Any]:
    """Ends at `UNEXPECTED`, as every error's classes do."""
    rows = (row for kind in type(error).__mro__ for row in _ROWS.get(kind, ()))
    return next(row for row in rows if row.is_about(request, error))


_ROWS = {error: [row for row in (*TABLE, *STANDARD) if row.error is error] for error in {row.error for row in TABLE}}
