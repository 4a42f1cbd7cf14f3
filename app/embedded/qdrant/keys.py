"""The embedded Qdrant's key, asked for as Qdrant does it: in its headers, with its answers, at its addresses."""

from hmac import compare_digest

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = frozenset({"/", "/healthz", "/readyz", "/livez"})
"""What Qdrant answers to everyone: its version, and that it is there."""
BEARER = b"bearer "


class KeyRequired:
    """Lets in who shows `key`, before anything of a body is read."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "lifespan" or scope.get("path") in OPEN:
            await self._app(scope, receive, send)
        elif (shown := shown_key(scope)) is None:
            await refused("Must provide an API key or an Authorization bearer token")(scope, receive, send)
        elif not compare_digest(shown, self._key):
            await refused("Invalid API key or JWT")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def shown_key(scope: Scope) -> bytes | None:
    """The key in the header `api-key`, else in `Authorization: Bearer`."""
    bearer: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"api-key":
            return bytes(value)
        if name == b"authorization" and value[: len(BEARER)].lower() == BEARER:
            bearer = value[len(BEARER) :]
    return bearer


def refused(reason: str) -> PlainTextResponse:
    """Qdrant's refusal. The connection ends with it: nobody reads the body."""
    return PlainTextResponse(reason, status_code=401, headers={"Connection": "close"})
