"""The HTTP application: `create_app(settings)`, and the factory that uvicorn calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis import Redis

from app import problems
from app.body_limit import BodyLimitMiddleware
from app.core.logging import configure_logging
from app.core.queue import JobQueue, connect
from app.core.services import redis_url
from app.core.settings import Settings
from app.routes import chat, health, jobs
from app.version import VERSION

DESCRIPTION = "Ask questions over your PDFs, through a queue. POST /chat, then poll /result/{job_id}."


def create_app(settings: Settings, *, connection: Redis | None = None) -> FastAPI:
    """The application. Opens no connection. Raises `ConfigurationError` when there is no Valkey to go to.

    `connection` is used instead of one to the settings' Valkey.
    """
    valkey = connection if connection is not None else connect(redis_url(settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        valkey.close()

    app = FastAPI(title="rag-queue", version=VERSION, description=DESCRIPTION, lifespan=lifespan)
    app.state.settings = settings
    app.state.queue = JobQueue(valkey, settings)
    problems.install(app)
    app.add_middleware(BodyLimitMiddleware)
    app.include_router(health.router)
    app.include_router(chat.router)
    app.include_router(jobs.router)
    return app


def from_environment() -> FastAPI:
    """For `uvicorn --factory app.main:from_environment`."""
    settings = Settings()
    configure_logging(settings)
    return create_app(settings)
