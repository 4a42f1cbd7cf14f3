"""The shape of an error's answer: `application/problem+json` (RFC 9457), and a row of the table of answers."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse

URN = "urn:problem:"

Raised = TypeVar("Raised", bound=Exception)


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemDetails:
    """What a client is told: a problem of type `urn:problem:{kind}`. `members` are its extension members."""

    status: int
    kind: str
    detail: str
    headers: Mapping[str, str] | None = None
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def standard(self) -> dict[str, Any]:
        """The members that every problem has."""
        title = HTTPStatus(self.status).phrase
        return {"type": URN + self.kind, "title": title, "status": self.status, "detail": self.detail}

    def response(self) -> ProblemResponse:
        """The problem document."""
        headers = dict(self.headers) if self.headers else None
        return ProblemResponse({**self.standard, **self.members}, self.status, headers)


@dataclass(frozen=True, slots=True)
class Row(Generic[Raised]):
    """A row of the table: what a client is told of `error`, or of those errors for which `when` holds.

    `detail` is what the documentation says and, unless `exactly` knows better, the answer as well. No answer repeats
    what the caller sent. `event` is a warning for the operator's log.
    """

    error: type[Raised]
    status: int
    kind: str
    detail: str
    _: KW_ONLY
    when: Callable[[Request, Raised], bool] | None = None
    exactly: Callable[[Request, Raised], str] | None = None
    headers: Callable[[Raised], Mapping[str, str] | None] | None = None
    members: Callable[[Raised], Mapping[str, Any]] | None = None
    event: str | None = None

    def is_about(self, request: Request, error: Raised) -> bool:
        """Whether this row is `error`'s, which is of its class."""
        return self.when is None or self.when(request, error)

    def details(self, request: Request, error: Raised) -> ProblemDetails:
        """What the client that sent `request` is told of `error`."""
        return ProblemDetails(
            self.status,
            self.kind,
            self.exactly(request, error) if self.exactly else self.detail,
            self.headers(error) if self.headers else None,
            self.members(error) if self.members else {},
        )
