"""Routes that Starlette serves directly: FastAPI's way from a request to a function's arguments takes longer than all
that is done with them, and these are what the service is called most for.

FastAPI knows each of them as well, for its document alone.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from app.auth.admission import Needs
from app.auth.dependencies import ASKER, Principal


class DirectRoute(Route):
    """A Starlette route, for askers unless told otherwise, which tells its name to those who ask the scope for it, as
    FastAPI's do.

    What `answer` raises is left to the application's handlers, which are the same as a route's own.
    """

    def __init__(
        self,
        method: str,
        path: str,
        answer: Callable[[Request, Principal], Awaitable[Response]],
        needs: Needs = ASKER,
    ) -> None:
        super().__init__(path, answer)
        self.methods = {method}  # without HEAD, which `app.middleware.head` makes GET
        self.app = self._respond
        self._answer = answer
        self._needs = needs

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As Starlette has it."""
        match, child = super().matches(scope)
        return match, {**child, "route": self}

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await self._answer(request, await self._needs.admit(request))
        await response(scope, receive, send)


def refusal(error: ValidationError, *where: str) -> RequestValidationError:
    """The same error as FastAPI would raise it for what stands at `where`, e.g. in the "body"."""
    found = error.errors(include_url=False, include_input=False)
    return RequestValidationError([{**problem, "loc": (*where, *problem["loc"])} for problem in found])
