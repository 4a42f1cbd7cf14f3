"""What routes are given. Coroutines: FastAPI runs other dependencies in a thread."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request
from redis.asyncio import Redis

from app.chat_log import ChatLogOffError
from app.core.queue.producer import JobQueue
from app.core.settings import Settings
from app.jobs.places import Places
from app.jobs.waiters import Waiters

if TYPE_CHECKING:
    from app.chat_log.log import ChatLog
    from app.metrics.process import ApiMetrics


@dataclass(frozen=True, slots=True)
class Api:
    """What the application was made with. One dependency for all of it: each costs a request its time."""

    settings: Settings
    valkey: "Redis"
    queue: JobQueue
    waiters: Waiters
    places: Places
    metrics: "ApiMetrics | None" = None
    chat_log: "ChatLog | None" = None

    def logged(self) -> "ChatLog":
        """The chat log. Raises `ChatLogOffError` where there is none."""
        if self.chat_log is None:
            raise ChatLogOffError
        return self.chat_log


def api_of(request: Request) -> Api:
    """What the application was made with."""
    return cast(Api, request.app.state.api)


async def get_api(request: Request) -> Api:
    """`api_of` as a dependency."""
    return api_of(request)


def request_id_of(request: Request) -> str | None:
    """The request's id, as the logs have it."""
    return getattr(request.state, "request_id", None)


async def until_answered() -> AsyncIterator[ExitStack]:
    """What is entered here is left when the request is over, a stream's last byte too."""
    with ExitStack() as stack:
        yield stack


UntilAnswered = Annotated[ExitStack, Depends(until_answered)]
ApiDep = Annotated[Api, Depends(get_api)]
