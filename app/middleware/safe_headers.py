"""Headers that every response has unless its route says otherwise, and the client's standing when a rate applies."""

from urllib.parse import urlsplit, urlunsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""JSON loads nothing, and nobody shows it in a frame."""


REDIRECT = 307
"""Starlette's, from a path with a slash too many. Its address says the host that the request named, which may be a
proxy's name for us, or anyone's; a path alone is right whatever we are called."""


class SafeHeadersMiddleware:
    """Adds the headers above as the response starts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on with a `send` that adds headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        defaults = (*SAFE, NOTHING)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                names = {name for name, _ in given}
                standing = scope["state"].get("standing")
                rate = standing.headers if standing is not None else ()
                if message["status"] == REDIRECT:
                    given = [(name, _path(value) if name == b"location" else value) for name, value in given]
                added = [header for header in defaults if header[0] not in names]
                message = {**message, "headers": [*given, *added, *rate]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _path(location: bytes) -> bytes:
    """The address without its scheme and host."""
    parts = urlsplit(location)
    return urlunsplit((b"", b"", b"/" + parts.path.lstrip(b"/"), parts.query, b""))
