"""Request bodies above the limit are refused before anything parses them."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_MAX_BYTES = 256 * 1024
"""A question of 8,000 characters in its longest spelling, and as much again for the rest."""


class BodyTooLargeError(HTTPException):
    """The body is larger than `BODY_MAX_BYTES`. An HTTPException, since FastAPI takes others for bad JSON."""

    def __init__(self) -> None:
        super().__init__(413, headers={"Connection": "close"})


class BodyLimitMiddleware:
    """Makes reading a body of more than `BODY_MAX_BYTES`, stated or sent, raise `BodyTooLargeError`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on with a `receive` that counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = int(dict(scope["headers"]).get(b"content-length", b"0"))  # the server has checked its digits
        received = 0

        async def limited() -> Message:
            nonlocal received
            if stated > BODY_MAX_BYTES:
                raise BodyTooLargeError
            message = await receive()
            received += len(message.get("body", b""))
            if received > BODY_MAX_BYTES:
                raise BodyTooLargeError
            return message

        await self._app(scope, limited, send)
