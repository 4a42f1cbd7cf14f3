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
from app.core.signed import Purpose

__all__ = [
    "ASKER", "JOB_READER", "Admin", "AdmittedRoute", "Asker", "FileReader", "Ingester", "JobReader", "Principal",
    "Role", "install",
]  # fmt: skip

ASKER = Needs(Role.ASK)
JOB_READER = Needs(Role.ASK, Purpose.JOB)

Asker = Annotated[Principal, Depends(ASKER)]
JobReader = Annotated[Principal, Depends(JOB_READER)]
"""An asker, or who has a ticket to the job of the route's `job_id`."""
FileReader = Annotated[Principal, Depends(Needs(Role.ASK, Purpose.FILE))]
"""An asker, or who has a signed link to the file of the route's `document_id`."""
Ingester = Annotated[Principal, Depends(Needs(Role.INGEST))]
Admin = Annotated[Principal, Depends(Needs(Role.ADMIN))]


def install(app: FastAPI, settings: Settings, link: Link) -> None:
    """Let the routes of `app` ask for principals. Raises `ConfigurationError` when API_KEYS has a wrong form."""
    app.state.gate = open_gate(settings, link)
    app.router.route_class = AdmittedRoute  # of the application's own routes; routers name it themselves
