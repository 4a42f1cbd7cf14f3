"""What routes are given. All are coroutines: FastAPI runs others in a thread."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from redis.asyncio import Redis

from app.core.queue import JobQueue
from app.core.settings import Settings
from app.waiters import Waiters


@dataclass(frozen=True, slots=True)
class Api:
    """What the application was made with. One dependency for all of it: each costs a request its time."""

    settings: Settings
    valkey: "Redis"
    queue: JobQueue
    waiters: Waiters


def api_of(request: Request) -> Api:
    """What the application was made with."""
    return cast(Api, request.app.state.api)


async def get_api(request: Request) -> Api:
    """What the application was made with."""
    return api_of(request)


async def get_queue(request: Request) -> JobQueue:
    """The queue that the application was made with."""
    return cast(JobQueue, request.app.state.queue)


async def get_waiters(request: Request) -> Waiters:
    """Those who wait for a job in this process."""
    return cast(Waiters, request.app.state.waiters)


async def get_valkey(request: Request) -> "Redis":
    """The process's client of Valkey."""
    return cast(Redis, request.app.state.valkey)


async def get_settings(request: Request) -> Settings:
    """The settings that the application was made with."""
    return cast(Settings, request.app.state.settings)


def request_id_of(request: Request) -> str | None:
    """The request's id, as the logs have it."""
    return getattr(request.state, "request_id", None)


async def get_request_id(request: Request) -> str | None:
    """The request's id, as the logs have it."""
    return request_id_of(request)


ApiDep = Annotated[Api, Depends(get_api)]
JobQueueDep = Annotated[JobQueue, Depends(get_queue)]
WaitersDep = Annotated[Waiters, Depends(get_waiters)]
ValkeyDep = Annotated[Redis, Depends(get_valkey)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
RequestId = Annotated[str | None, Depends(get_request_id)]
