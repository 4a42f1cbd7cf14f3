"""The HTTP application: `create_app(settings)`, and the factory that uvicorn calls."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app import middleware
from app.auth import dependencies as auth
from app.batches.runner import Batches
from app.core import garbage
from app.core.documents.files import DocumentStore, StorageUnavailableError, open_store
from app.core.logging import configure_logging, get_logger
from app.core.overview import overview
from app.core.proxies import proxy_for
from app.core.qdrant_addresses import addresses
from app.core.queue.connections import connect_async
from app.core.queue.pipelined import end
from app.core.queue.producer import JobQueue
from app.core.services import redis_url
from app.core.settings import Settings
from app.core.tracing import process
from app.core.version import VERSION
from app.dependencies import Api
from app.documents.uploads import body_bytes_max
from app.jobs.documents import DocumentJobs
from app.jobs.history import History
from app.jobs.outbox import Reader, Sweep
from app.jobs.places import Places
from app.jobs.waiters import Waiters
from app.jobs.webhooks import Webhooks
from app.middleware.body_limit import BodyLimitMiddleware
from app.middleware.head import HeadMiddleware
from app.openapi import document as openapi
from app.pages import routes as pages
from app.routes import (
    chat,
    collections,
    conversations,
    docs,
    document_pages,
    documents,
    failed_jobs,
    feedback,
    health,
    history,
    jobs,
    openai,
    queues,
    search,
    session,
    tenants,
    timeline,
    usage,
)
from app.routes import (
    metrics as metrics_page,
)
from app.stopping import on_stop

if TYPE_CHECKING:
    from app.chat_log.log import ChatLog
    from app.metrics.process import ApiMetrics

UPKEEP_SECONDS = 1.0
"""Between two looks at retries that are due and at jobs that have ended."""
FEED_SECONDS = 0.5
"""How often RQ's lists are filled where only stock workers run, which take no more than what stands there."""
SERVER = "app.server"
"""The module of the class that uvicorn should read HTTP with. Not imported here: that it is tells that it is used."""

log = get_logger(__name__)

DESCRIPTION = "Ask questions over your PDFs, through a queue. POST /chat, then poll /result/{job_id}."


def create_app(settings: Settings, *, valkey: Redis | None = None) -> FastAPI:
    """The application. Opens no connection. Raises `ConfigurationError` when there is no Valkey to go to.

    `valkey` is used instead of a client of the settings' Valkey.
    """
    valkey = valkey if valkey is not None else connect_async(redis_url(settings))
    queue = JobQueue(valkey, settings)
    waiters = Waiters(valkey, queue)
    upkeep: dict[str, Callable[[], Awaitable[int]]] = {
        "enqueue_due": queue.enqueue_due,  # also where only stock workers run, which start no scheduler
        "sweep": Sweep(valkey, keep_seconds=settings.result_ttl_seconds).step,
        "webhooks": Reader("webhooks", valkey, Webhooks(valkey, settings).enqueue).read,
        "documents": Reader("documents", valkey, DocumentJobs(valkey).ended).read,
        "history": Reader("history", valkey, History(valkey).ended).read,
        "batches": Batches(valkey, queue, settings).step,
    }
    metrics = _metrics(settings, waiters)
    if metrics is not None:
        queue.on_given = metrics.count_given
    chat_log = _chat_log(settings, valkey, queue)
    if chat_log is not None:
        upkeep["chat_log"] = chat_log.step
    # The embedded one is on loopback, and the nodes of a cluster are behind one proxy.
    qdrant_proxy = proxy_for(addresses(settings.qdrant_url)[0]) if settings.qdrant_url else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Settings]]:
        gc.set_threshold(garbage.THRESHOLD)
        async with AsyncExitStack() as stack:  # ends, whatever else does not begin or end
            stack.push_async_callback(asyncio.to_thread, process.stop)
            if metrics is not None:
                stack.callback(metrics.close)
                metrics.open()
            log.info("api_started", version=VERSION, **overview(settings))
            waiters.start()
            tasks = [asyncio.create_task(_again_and_again(name, act)) for name, act in upkeep.items()]
            tasks.append(asyncio.create_task(_look_at(open_store(settings))))
            loop = asyncio.get_running_loop()
            async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(proxy=qdrant_proxy)) as http, valkey:
                app.state.http = http
                with on_stop(lambda: loop.call_soon_threadsafe(waiters.close)):
                    yield {"settings": settings}  # for `app.server`
                await waiters.aclose()
                await end(*tasks)
                if chat_log is not None:
                    await chat_log.aclose()
                await queue.aclose()

    app = FastAPI(
        title="rag-queue",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # app.core.tracing, which tells no query
    )
    if settings.public_url is not None:
        app.servers, app.root_path_in_servers = [{"url": settings.public_url}], False
    app.state.api = Api(settings, valkey, queue, waiters, Places(settings), metrics, chat_log)
    openapi.install(app)
    openai.install(app)
    auth.install(app, settings, queue.link)
    larger = {"/documents": body_bytes_max(settings), **dict.fromkeys(openai.HISTORY_PATHS, openai.HISTORY_BYTES_MAX)}
    larger[openai.FILES_PATH] = openai.FILE_FORM.body_bytes_max
    app.add_middleware(BodyLimitMiddleware, larger=larger)
    app.add_middleware(HeadMiddleware)
    for routes in (
        chat,
        jobs,
        failed_jobs,
        feedback,
        timeline,
        conversations,
        search,
        openai,
        queues,
        usage,
        tenants,
        history,
        health,
        metrics_page,
        documents,
        document_pages,
        collections,
        session,
        docs,
        pages,
    ):  # matched in this order; as they stand, for `include_router` would build each again, for every application
        app.router.routes.extend(routes.router.routes)
    app.router.routes[:0] = (chat.DIRECT, *jobs.DIRECT)
    middleware.install(app, settings, metrics.count if metrics else None)
    return app


def _metrics(settings: Settings, waiters: Waiters) -> "ApiMetrics | None":
    """What this process counts; None, and nothing imported for it, where nothing is to be counted."""
    if not settings.counts:
        return None
    from app.metrics.process import ApiMetrics

    return ApiMetrics(settings, waiters)


def _chat_log(settings: Settings, valkey: Redis, queue: JobQueue) -> "ChatLog | None":
    """Where there is a database for it; else nothing is imported for it. Raises `ConfigurationError`."""
    if settings.database_url is None:
        return None
    from app.chat_log.log import ChatLog
    from app.chat_log.place import check

    check(settings.database_url.get_secret_value())
    return ChatLog(valkey, queue, settings)


async def _look_at(store: DocumentStore) -> None:
    """Have it said in the log now, and not at the first upload, that the store of files is away or refuses."""
    with suppress(StorageUnavailableError):
        await asyncio.to_thread(store.check)


async def _again_and_again(name: str, act: Callable[[], Awaitable[int]]) -> None:
    """Call `act` again and again, whatever becomes of it: what it could not do now, it does the next time."""
    while True:
        try:
            await act()
        except RedisError as error:
            log.warning("valkey_unavailable", during=name, reason=type(error).__name__)
        except Exception:  # what stands in Valkey may be hostile, and the others must go on
            log.exception("upkeep_failed", during=name)
        await asyncio.sleep(FEED_SECONDS if name == "enqueue_due" else UPKEEP_SECONDS)


def from_environment() -> FastAPI:
    """For `uvicorn --http app.server:HttpProtocol --factory app.main:from_environment`."""
    settings = Settings()
    configure_logging(settings)
    process.start(process.API)
    if SERVER not in sys.modules:  # uvicorn imports its protocol before the application
        log.warning(
            "headers_and_time_unlimited",
            hint=f"run uvicorn with --http {SERVER}:HttpProtocol, or set UVICORN_HTTP to it",
        )
    return create_app(settings)
