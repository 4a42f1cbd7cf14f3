"""Which methods an address takes, over all routes: a route that refuses a method knows its own alone."""

from starlette.requests import Request
from starlette.routing import Match

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
"""Those of RFC 9110 and RFC 5789 that an address may take."""


def allowed(request: Request) -> str:
    """The value of Allow (RFC 9110, 10.2.1) for the request's address. Whatever takes GET takes HEAD."""
    taken = [method for method in METHODS if _is_taken(request, "GET" if method == "HEAD" else method)]
    return ", ".join(taken)


def _is_taken(request: Request, method: str) -> bool:
    scope = {key: value for key, value in request.scope.items() if key in ("type", "path", "root_path", "headers")}
    return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in request.app.routes)
