"""HEAD like GET on every address that takes GET (RFC 9110, 9.3.2): its status and headers, and no body.

A route knows GET alone. What would go on after the headers, a stream or a file, ends with them, so that it holds no
place; and nothing is waited for: see `is_head`.
"""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MARK = "rag.head"
"""In the scope of a GET that was a HEAD. Also the server's own scope says HEAD, so that it sends no body."""


class _HeadersSentError(BaseException):
    """Ends what answers, whatever it catches of other errors; it is raised and caught here alone."""


class HeadMiddleware:
    """Passes HEAD on as GET, and ends it when the headers are sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _HeadersSentError

        inner: dict[str, Any] = {**scope, "method": "GET", MARK: True}
        try:
            await self._app(inner, receive, send_headers)
        except _HeadersSentError:
            pass
        finally:
            if "route" in inner:  # for the log
                scope["route"] = inner["route"]


def is_head(scope: Scope) -> bool:
    """Whether the request was a HEAD, which is not to wait for anything: its answer is how things are now."""
    return MARK in scope
