"""Request bodies above the limit are refused before anything parses them.

FastAPI's own `max_body_size` answers in plain text, and refuses routes that read no body as well.
"""

from collections.abc import Mapping

from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_MAX_BYTES = 256 * 1024
"""A question of 8,000 characters in its longest spelling, and as much again for the rest."""


class BodyTooLargeError(HTTPException):
    """The body is larger than `limit` bytes. An HTTPException, since FastAPI takes others for bad JSON."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(413, headers={"Connection": "close"})
        self.limit = limit


class BodyLimitMiddleware:
    """Makes reading a body that is too large, stated or sent, raise `BodyTooLargeError`.

    The limit is `BODY_MAX_BYTES`, or what `larger` says for the path. Who has begun to answer reads no body any more
    and listens for the client's leaving alone, so that nothing is raised then.
    """

    def __init__(self, app: ASGIApp, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on with a `receive` that counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(get_route_path(scope), BODY_MAX_BYTES)
        stated = _content_length(scope)
        received = 0
        is_answered = False

        async def limited() -> Message:
            nonlocal received
            if stated > limit and not is_answered:
                raise BodyTooLargeError(limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit and not is_answered:
                raise BodyTooLargeError(limit)
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        await self._app(scope, limited, send_and_note)


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)  # the server has checked its digits
    return 0
