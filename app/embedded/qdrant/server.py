"""The embedded Qdrant's application: its routes, for programs of this machine alone, and the upkeep of its store."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.loopback import is_local
from app.embedded.qdrant.envelope import refusal, unknown
from app.embedded.qdrant.keys import KeyRequired
from app.embedded.qdrant.routes import routes
from app.embedded.qdrant.store import Store


class LocalOnly:
    """Refuses what a web page in the user's browser could send: another host's name, or an `Origin`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and (is_from_a_page(scope) or not is_local(scope)):
            respond = refusal(403, "Forbidden: only programs on this machine may use the embedded Qdrant")
            await respond(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_from_a_page(scope: Scope) -> bool:
    """Whether a browser sent it for a page, be it one of this machine: none has business here."""
    return any(name == b"origin" for name, _ in scope["headers"])


def create_app(store: Store, *, api_key: str | None, on_ready: Callable[[], None]) -> ASGIApp:
    """The server's application; `on_ready` is called once, before the first request.

    Only who shows `api_key` is let in, if there is one.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        upkeep = [asyncio.create_task(task()) for task in (store.flush_forever, store.optimize_forever)]
        on_ready()
        yield
        for task in upkeep:
            task.cancel()
        await asyncio.gather(*upkeep, return_exceptions=True)

    app = Starlette(routes=routes(), lifespan=lifespan, exception_handlers={HTTPException: unknown})
    app.state.store = store
    return LocalOnly(KeyRequired(app, api_key) if api_key else app)
