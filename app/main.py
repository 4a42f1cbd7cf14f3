"""The HTTP application: `create_app(settings)`, and the factory that uvicorn calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis

from app import auth, openapi, problems
from app.body_limit import BodyLimitMiddleware
from app.core.logging import configure_logging
from app.core.queue import VALKEY_AWAY, JobQueue, connect_async
from app.core.services import redis_url
from app.core.settings import Settings
from app.routes import chat, health, jobs, queues, search
from app.version import VERSION
from app.waiters import Waiters

DUE_SECONDS = 1.0

DESCRIPTION = "Ask questions over your PDFs, through a queue. POST /chat, then poll /result/{job_id}."


def create_app(settings: Settings, *, valkey: Redis | None = None) -> FastAPI:
    """The application. Opens no connection. Raises `ConfigurationError` when there is no Valkey to go to.

    `valkey` is used instead of a client of the settings' Valkey.
    """
    valkey = valkey if valkey is not None else connect_async(redis_url(settings))
    queue = JobQueue(valkey, settings)
    waiters = Waiters(valkey, queue)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        background = [asyncio.create_task(waiters.run()), asyncio.create_task(_enqueue_due_forever(queue))]
        async with httpx.AsyncClient() as http, valkey:
            app.state.http = http
            yield
            waiters.close()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    app = FastAPI(title="rag-queue", version=VERSION, description=DESCRIPTION, lifespan=lifespan)
    app.state.settings = settings
    app.state.valkey = valkey
    app.state.queue = queue
    app.state.waiters = waiters
    openapi.install(app)
    problems.install(app)
    auth.install(app, settings, valkey)
    app.add_middleware(BodyLimitMiddleware)
    for routes in (health, chat, search, jobs, queues):
        app.include_router(routes.router)
    return app


async def _enqueue_due_forever(queue: JobQueue) -> None:
    """Retries must become due even where only stock workers run, which start no scheduler."""
    while True:
        with suppress(*VALKEY_AWAY):  # whoever asks hears of it
            await queue.enqueue_due()
        await asyncio.sleep(DUE_SECONDS)


def from_environment() -> FastAPI:
    """For `uvicorn --factory app.main:from_environment`."""
    settings = Settings()
    configure_logging(settings)
    return create_app(settings)
