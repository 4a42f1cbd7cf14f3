"""Who asks: `Asker`, `Ingester` and `Admin` are what a route declares to be given the `Principal`.

    @router.get("/things/{thing_id}")
    async def thing(thing_id: str, principal: Asker) -> Thing: ...

With API_KEYS or JWTs configured, a request shows a key or a token; without, it must come from this machine.
"""

from typing import Annotated, cast

from fastapi import Depends, FastAPI, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.types import ExceptionHandler

from app.auth.gate import Gate, open_gate
from app.auth.principals import (
    ForbiddenError,
    KeysAwayError,
    NotAuthenticatedError,
    NotLocalError,
    Principal,
    Role,
)
from app.auth.rate_limits import RateLimitedError
from app.core.errors import ConfigurationError
from app.core.logging import get_logger
from app.core.loopback import is_loopback
from app.core.queue.pipelined import Link
from app.core.settings import Settings
from app.problems import ProblemResponse, problem

__all__ = ["ASKER", "Admin", "Asker", "Ingester", "Principal", "Role", "check_address", "install"]

CHALLENGE = 'Bearer realm="rag-queue"'
JWKS_RETRY_SECONDS = 10

log = get_logger(__name__)


class Needs(SecurityBase):
    """The dependency of a route that is for principals of at least `role`.

    One dependency, and not one for each way to show a key: each costs a request 15 microseconds.
    """

    model = HTTPBearer(
        description="An API key or a JWT. Keys are taken from `X-API-Key` as well. "
        "A service without keys serves its own machine and asks for none."
    )
    scheme_name = "key"

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Principal:
        """The request's principal. Raises what `Gate.admit` does, or `ForbiddenError`."""
        gate: Gate = request.app.state.gate
        principal = await gate.admit(request)
        request.state.principal = principal
        if not principal.role.may(self.role):
            raise ForbiddenError(self.role)
        return principal


ASKER = Needs(Role.ASK)
"""For a route that asks for its principal itself."""

Asker = Annotated[Principal, Depends(ASKER)]
Ingester = Annotated[Principal, Depends(Needs(Role.INGEST))]
Admin = Annotated[Principal, Depends(Needs(Role.ADMIN))]


def install(app: FastAPI, settings: Settings, link: Link) -> None:
    """Let the routes of `app` ask for principals. Raises `ConfigurationError` when API_KEYS has a wrong form."""
    app.state.gate = open_gate(settings, link)
    app.add_exception_handler(NotAuthenticatedError, cast(ExceptionHandler, _not_authenticated))
    app.add_exception_handler(ForbiddenError, cast(ExceptionHandler, _forbidden))
    app.add_exception_handler(NotLocalError, _not_local)
    app.add_exception_handler(RateLimitedError, cast(ExceptionHandler, _rate_limited))
    app.add_exception_handler(KeysAwayError, _keys_away)
    if not settings.has_credentials:
        log.info("no_credentials", serves="this machine alone", hint="API_KEYS or JWTs let others in")


def check_address(host: str, settings: Settings) -> None:
    """Raises `ConfigurationError` when `host`, an IP address, is not for a service without credentials."""
    if not settings.has_credentials and not is_loopback(host):
        raise ConfigurationError(
            f"without keys the service serves this machine alone, and HOST is {host}: set API_KEYS (`make key` makes "
            "a key and its entry) or JWTs, or HOST=127.0.0.1"
        )


# The answers, async: Starlette sends others through a thread.


async def _not_authenticated(request: Request, error: NotAuthenticatedError) -> ProblemResponse:
    """One body, whatever is wrong: only the challenge says whether something was shown (RFC 6750, section 3)."""
    challenge = f'{CHALLENGE}, error="invalid_token"' if error.is_wrong else CHALLENGE
    detail = "Show a valid API key or token: `Authorization: Bearer ...`, or `X-API-Key: ...`."
    return problem(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})


async def _forbidden(request: Request, error: ForbiddenError) -> ProblemResponse:
    challenge = f'{CHALLENGE}, error="insufficient_scope"'
    detail = f"This needs a key with the role {error.needed}."
    return problem(403, "forbidden", detail, headers={"WWW-Authenticate": challenge})


async def _not_local(request: Request, error: Exception) -> ProblemResponse:
    detail = "This service has no keys and serves its own machine alone. Its operator can set API_KEYS or JWTs."
    return problem(403, "keys-required", detail)


async def _rate_limited(request: Request, error: RateLimitedError) -> ProblemResponse:
    """`violated-policies` is the member that the RateLimit draft gives its problem type of this name."""
    headers = {"Retry-After": str(error.standing.reset_seconds)}
    detail = "Too many requests. Try again after the time in Retry-After; RateLimit-Policy says how many are allowed."
    policies = {"violated-policies": [error.standing.policy]}
    return problem(429, "quota-exceeded", detail, headers=headers, **policies)


async def _keys_away(request: Request, error: Exception) -> ProblemResponse:
    detail = (
        "The issuer's keys can't be fetched, so no token can be checked. Try again after the time in Retry-After."
    )
    return problem(503, "issuer-unavailable", detail, headers={"Retry-After": str(JWKS_RETRY_SECONDS)})
