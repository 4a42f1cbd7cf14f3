"""Who asks: `Asker`, `Ingester` and `Admin` are what a route declares to be given the `Principal`.

    router = APIRouter(route_class=AdmittedRoute)

    @router.get("/things/{thing_id}")
    async def thing(thing_id: str, principal: Asker) -> Thing: ...

With API_KEYS or JWTs configured, a request shows a key or a token; without, it must come from this machine.
"""

from typing import Annotated

from fastapi import Depends, FastAPI

from app.auth.admission import AdmittedRoute, Needs
from app.auth.gate import open_gate
from app.auth.principals import Principal, Role
from app.core.queue.pipelined import Link
from app.core.settings import Settings

__all__ = ["ASKER", "Admin", "AdmittedRoute", "Asker", "Ingester", "Principal", "Role", "install"]

ASKER = Needs(Role.ASK)

Asker = Annotated[Principal, Depends(ASKER)]
Ingester = Annotated[Principal, Depends(Needs(Role.INGEST))]
Admin = Annotated[Principal, Depends(Needs(Role.ADMIN))]


def install(app: FastAPI, settings: Settings, link: Link) -> None:
    """Let the routes of `app` ask for principals. Raises `ConfigurationError` when API_KEYS has a wrong form."""
    app.state.gate = open_gate(settings, link)
    app.router.route_class = AdmittedRoute  # of the application's own routes; routers name it themselves
