"""Who asks: `Asker`, `Ingester` and `Admin` are what a route declares to be given the `Principal`.

    @router.get("/things/{thing_id}")
    async def thing(thing_id: str, principal: Asker) -> Thing: ...

With API_KEYS or JWTs configured, a request shows a key or a token; without, it must come from this machine.
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from app.auth.gate import Gate, open_gate
from app.auth.principals import ForbiddenError, Principal, Role
from app.core.queue.pipelined import Link
from app.core.settings import Settings

__all__ = ["ASKER", "Admin", "Asker", "Ingester", "Principal", "Role", "install"]


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
