"""Admission: a route knows who asks before it reads anything."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from structlog.contextvars import bind_contextvars

from app.auth.gate import Gate
from app.auth.principals import ForbiddenError, Principal, Role
from app.core.signed import Purpose


class Needs(SecurityBase):
    """What a route asks of a principal: at least `role`. As a dependency it gives the one whom the route let in.

    `by`: a token of this purpose in the address lets in as well.

    One dependency, and not one for each way to show a key: each costs a request 15 microseconds.
    """

    model = HTTPBearer(
        description="An API key or a JWT. Keys are taken from `X-API-Key` as well. "
        "A service without keys serves its own machine and asks for none."
    )
    scheme_name = "key"

    def __init__(self, role: Role, by: Purpose | None = None) -> None:
        self.role = role
        self.by = by

    async def admit(self, request: Request) -> Principal:
        """Let the request's principal in, its body unread. Raises what `Gate.admit` does, or `ForbiddenError`."""
        gate: Gate = request.app.state.gate
        principal = await gate.admit(request, self.by)
        request.state.principal = principal
        bind_contextvars(tenant=principal.tenant)
        if not principal.role.may(self.role):
            raise ForbiddenError(self.role)
        return principal

    async def __call__(self, request: Request) -> Principal:
        """The principal whom the route has let in. Raises `AttributeError` on a route that lets nobody in."""
        return cast(Principal, request.state.principal)


class AdmittedRoute(APIRoute):
    """Lets in the principal whom its function declares, then reads the body, then does what FastAPI's routes do.

    FastAPI reads the body first: whoever has no key could make it hold one for each connection.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler. A function that declares no principal is for everybody."""
        handle, needs = super().get_route_handler(), _needed(self.dependant)
        has_body = self.body_field is not None
        if needs is None:
            return handle

        async def handle_admitted(request: Request) -> Response:
            await needs.admit(request)
            if has_body:
                await request.body()  # kept for FastAPI, which would take a client's leaving for bad JSON
            return await handle(request)

        return handle_admitted


def _needed(dependant: Dependant) -> Needs | None:
    """The most that a function and its dependencies ask of a principal."""
    ranks = list(Role)
    return max(_declared(dependant), key=lambda needs: ranks.index(needs.role), default=None)


def _declared(dependant: Dependant) -> Iterator[Needs]:
    if isinstance(dependant.call, Needs):
        yield dependant.call
    for part in dependant.dependencies:
        yield from _declared(part)
