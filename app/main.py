"""The HTTP application: `create_app(settings)`, and the factory that uvicorn calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from redis import Redis

from app import problems
from app.body_limit import BodyLimitMiddleware
from app.core.logging import configure_logging
from app.core.queue import VALKEY_AWAY, JobQueue, connect
from app.core.services import redis_url
from app.core.settings import Settings
from app.routes import chat, health, jobs
from app.version import VERSION

DUE_SECONDS = 1.0

DESCRIPTION = "Ask questions over your PDFs, through a queue. POST /chat, then poll /result/{job_id}."


def create_app(settings: Settings, *, connection: Redis | None = None) -> FastAPI:
    """The application. Opens no connection. Raises `ConfigurationError` when there is no Valkey to go to.

    `connection` is used instead of one to the settings' Valkey.
    """
    valkey = connection if connection is not None else connect(redis_url(settings))

    queue = JobQueue(valkey, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        due = asyncio.create_task(_enqueue_due_forever(queue))
        yield
        due.cancel()
        await asyncio.gather(due, return_exceptions=True)
        valkey.close()

    app = FastAPI(title="rag-queue", version=VERSION, description=DESCRIPTION, lifespan=lifespan)
    app.state.settings = settings
    app.state.queue = queue
    problems.install(app)
    app.add_middleware(BodyLimitMiddleware)
    app.include_router(health.router)
    app.include_router(chat.router)
    app.include_router(jobs.router)
    return app


async def _enqueue_due_forever(queue: JobQueue) -> None:
    """Retries must become due even where only stock workers run, which start no scheduler."""
    while True:
        with suppress(*VALKEY_AWAY):  # whoever asks hears of it
            await run_in_threadpool(queue.enqueue_due)
        await asyncio.sleep(DUE_SECONDS)


def from_environment() -> FastAPI:
    """For `uvicorn --factory app.main:from_environment`."""
    settings = Settings()
    configure_logging(settings)
    return create_app(settings)
