"""What routes are given."""

from typing import Annotated, cast

from fastapi import Depends, Request

from app.core.queue import JobQueue
from app.core.settings import Settings


def get_queue(request: Request) -> JobQueue:
    """The queue that the application was made with."""
    return cast(JobQueue, request.app.state.queue)


def get_settings(request: Request) -> Settings:
    """The settings that the application was made with."""
    return cast(Settings, request.app.state.settings)


JobQueueDep = Annotated[JobQueue, Depends(get_queue)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
