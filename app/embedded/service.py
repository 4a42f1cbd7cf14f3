"""The whole service on one machine: Valkey, Qdrant and workers as children, HTTP in this process."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
import uvloop
from pydantic import SecretStr

from app.auth.gate import check_address
from app.chat_log.place import embedded as embedded_log
from app.core.child_environment import QDRANT_KEY_VARIABLE, for_store, for_worker
from app.core.children import Child
from app.core.errors import ConfigurationError
from app.core.index_notes import SMALL_CHUNKS, lacks_vectors_of, noted
from app.core.logging import get_logger
from app.core.private_files import OTHERS
from app.core.proxies import proxy_for
from app.core.qdrant_addresses import addresses
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.producer import JobQueue
from app.core.services import Services, publish, redis_url, services_file
from app.core.settings import AUTO, Settings
from app.core.worker_processes import metrics_ports, worker_children
from app.embedded.credentials import Credentials, credentials
from app.embedded.data_dir import DataDirLock, tighten
from app.embedded.ports import LOOPBACK, CannotListenError, free_port, listen
from app.embedded.valkey import valkey_command
from app.main import create_app
from app.server import HttpProtocol

if TYPE_CHECKING:
    from app.metrics.process import ApiMetrics

VALKEY_PORT = 6379
QDRANT_PORT = 6333
READY_POLL_SECONDS = 0.05
HTTP_GRACE_SECONDS = 10
"""For the requests in flight, streams among them."""
STORE_GRACE_SECONDS = 20.0
"""For Valkey and Qdrant to write to disk what they hold; a killed one replays its log at the next start."""
REEMBED_AGAIN_SECONDS = 30.0
"""Until it is looked again: the model may be back."""
REEMBED_AGAIN_SECONDS_MAX = 600.0
"""It may also never be: a key may lack that model."""
CHOICE_POLL_SECONDS = 2.0
"""Between two looks whether a worker has chosen a model."""
UNSPECIFIED_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104  compared with, not bound to

log = get_logger(__name__)


class Service:
    """`python -m app`: what is not configured elsewhere runs as a child of this process.

    `documents` is indexed when the index is empty; None indexes nothing. Raises `ConfigurationError` when the port
    is taken, HOST is not loopback and there are no keys, or DATA_DIR is another's or can't be written.
    """

    def __init__(self, settings: Settings, *, documents: Path | None) -> None:
        self._settings = settings
        self._documents = documents

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, then stop everything in order."""
        os.umask(OTHERS)  # what this process and its children write is for this user alone
        with ExitStack() as stack:
            listener = stack.enter_context(self._listener())
            host, port = listener.getsockname()[:2]
            check_address(host, self._settings)
            lock = stack.enter_context(DataDirLock(self._settings.data_dir))
            shown = LOOPBACK if host in UNSPECIFIED_ADDRESSES else host
            tighten(self._settings.data_dir)
            secrets = credentials(self._settings.data_dir)
            services = self._services(f"http://{f'[{shown}]' if ':' in shown else shown}:{port}", secrets)
            publish(services, self._settings.data_dir)
            stack.callback(services_file(self._settings.data_dir).unlink, missing_ok=True)
            settings = self._settings.model_copy(
                update={
                    "redis_url": services.redis_url,
                    "qdrant_url": services.qdrant_url,
                    **embedded_log(self._settings),
                }
            )
            app = create_app(settings)
            self._open_metrics(app.state.api.metrics, stack)
            server = _Server(
                uvicorn.Config(
                    app,
                    http=HttpProtocol,
                    log_config=None,
                    log_level="warning",
                    access_log=False,
                    server_header=False,
                    proxy_headers=False,  # TRUSTED_PROXIES says whom to believe
                    timeout_graceful_shutdown=HTTP_GRACE_SECONDS,
                )
            )
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                stores, workers = self._stores(services, secrets, lock.fd), self._workers(services, lock.fd)
                runner.run(self._serve(server, listener, services, stores, workers, app.state.api.queue))

    def _listener(self) -> socket.socket:
        port = self._settings.port
        try:
            return listen(self._settings.host, port)
        except CannotListenError as error:
            raise ConfigurationError(f"{error}; set PORT or HOST to another, e.g. PORT={port + 1}") from error

    def _open_metrics(self, metrics: "ApiMetrics | None", stack: ExitStack) -> None:
        """Before a child is started: a port that can't be had is a wrong configuration. The next are the workers'."""
        port = self._settings.metrics_port
        if metrics is None or port is None:
            return
        stack.callback(metrics.close)
        metrics.open()
        for next_port in filter(None, metrics_ports(self._settings, others=1)):
            try:
                listen(self._settings.metrics_host, next_port).close()
            except CannotListenError as error:
                raise ConfigurationError(f"METRICS_PORT: {error}, a port after it, for a worker") from error

    def _services(self, http_url: str, secrets: Credentials) -> Services:
        """Where everything is, or will be."""
        given = self._settings
        own_valkey = f"redis://:{secrets.valkey_password}@{LOOPBACK}:{free_port(VALKEY_PORT)}/0"
        return Services(
            pid=os.getpid(),
            http_url=http_url,
            redis_url=SecretStr(redis_url(given) if given.redis_url else own_valkey),
            qdrant_url=given.qdrant_url or f"http://{LOOPBACK}:{free_port(QDRANT_PORT)}",
            qdrant_api_key=None if given.qdrant_url else SecretStr(secrets.qdrant_api_key),
        )

    def _stores(self, services: Services, secrets: Credentials, lock_fd: int) -> list[Child]:
        """In the order of their start; they stop in the reverse. None is told a secret by its command line."""
        given, data_dir = self._settings, self._settings.data_dir
        children = []
        if given.redis_url is None:
            command = valkey_command(
                data_dir,
                _port(services.redis_url.get_secret_value()),
                password=secrets.valkey_password,
                maxmemory_mb=given.valkey_maxmemory_mb,
            )
            env = for_store(os.environ)
            children.append(Child("valkey", command, env=env, fds=[lock_fd], grace_seconds=STORE_GRACE_SECONDS))
        if given.qdrant_url is None:
            place = ["--data-dir", str(data_dir / "qdrant"), "--port", str(_port(services.qdrant_url))]
            command = [sys.executable, "-m", "app.embedded.qdrant", *place]
            env = for_store(os.environ) | {QDRANT_KEY_VARIABLE: secrets.qdrant_api_key}
            children.append(Child("qdrant", command, env=env, fds=[lock_fd], grace_seconds=STORE_GRACE_SECONDS))
        return children

    def _workers(self, services: Services, lock_fd: int) -> list[Child]:
        given, ports = self._settings, metrics_ports(self._settings, others=1)
        return worker_children(given, environment=_environment(services, given), metrics_ports=ports, fds=[lock_fd])

    async def _serve(
        self,
        server: uvicorn.Server,
        listener: socket.socket,
        services: Services,
        stores: Sequence[Child],
        workers: Sequence[Child],
        queue: JobQueue,
    ) -> None:
        loop, children = asyncio.get_running_loop(), [*stores, *workers]
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, server, children)
        for child in children:
            child.start()
        welcome = asyncio.create_task(self._welcome(services, queue))
        try:
            await server.serve([listener])
        finally:
            print("stopping; once more Ctrl-C ends it at once", file=sys.stderr)
            welcome.cancel()
            await asyncio.gather(welcome, return_exceptions=True)
            await asyncio.gather(*(worker.stop() for worker in workers))
            for store in reversed(stores):
                await store.stop()
            print("stopped; DATA_DIR keeps everything for the next start", file=sys.stderr)

    @staticmethod
    def _on_signal(server: uvicorn.Server, children: Sequence[Child]) -> None:
        """First: stop in order. Again: kill what is still there; the queue hands unfinished jobs out again."""
        if server.should_exit:
            server.force_exit = True
            for child in children:
                child.kill()
        server.should_exit = True

    async def _welcome(self, services: Services, queue: JobQueue) -> None:
        """When all is ready: index the documents of a first start, then say how to use it."""
        straight = httpx.AsyncHTTPTransport()  # no proxy is asked for what this process serves itself
        async with httpx.AsyncClient(transport=straight, base_url=services.http_url, timeout=5) as client:
            while not await _is_ready(client):
                await asyncio.sleep(READY_POLL_SECONDS)
        if self._documents is not None and await self._is_empty(services):
            await _run_ingest(str(self._documents), environment=_environment(services, self._settings))
        publish(services.model_copy(update={"is_ready": True}), self._settings.data_dir)
        print(
            f"\nReady: open {services.http_url}/ in a browser  (API at {services.http_url}/docs)\n"
            f"  ask:   curl -s '{services.http_url}/chat' --json '{{\"query\": \"...\"}}'\n"
            f"  then:  curl -s '{services.http_url}/result/JOB_ID'      or both: make ask q=\"...\"\n"
            f"{self._shell_line()}"
            "  stop:  Ctrl-C\n",
            file=sys.stderr,
        )
        await self._reembed(services, queue)

    async def _reembed(self, services: Services, queue: JobQueue) -> None:
        """Give a small index vectors of the embedding model, when it has those of another one, or none.

        Again after a while when that has failed: what is done is kept. Where the model is chosen, what was chosen is
        looked for as long as this runs: a worker may come to it late, or to another one than the last time.
        """
        is_chosen = self._settings.embedding_model == AUTO
        patience = REEMBED_AGAIN_SECONDS
        while self._settings.embedding_model is not None:
            seconds = REEMBED_AGAIN_SECONDS
            try:
                model = await queue.embedding_model()
                info = await self._index(services) if model else None
            except (httpx.HTTPError, *VALKEY_UNAVAILABLE) as error:
                log.warning("index_not_looked_at", reason=type(error).__name__)
            else:
                if not model:
                    seconds = CHOICE_POLL_SECONDS
                elif info is None or not lacks_vectors_of(model, noted(info)):
                    if not is_chosen:
                        return
                elif info["points_count"] > SMALL_CHUNKS:
                    chunks, command = info["points_count"], "python -m ingest --reembed"
                    log.warning("index_not_reembedded", chunks=chunks, command=command)
                    return
                else:
                    await _run_ingest("--reembed", environment=_environment(services, self._settings))
                    seconds, patience = patience, min(2 * patience, REEMBED_AGAIN_SECONDS_MAX)
            await asyncio.sleep(seconds)

    def _shell_line(self) -> str:
        """How other programs reach what is embedded, which lets in nobody without its secrets; else nothing."""
        given = self._settings
        if given.redis_url is not None and given.qdrant_url is not None:
            return ""
        return '  shell: eval "$(python -m app env)"     then `rq worker rag_queries`, `rq info` and others find it\n'

    async def _is_empty(self, services: Services) -> bool:
        """Whether the index holds no chunk, by Qdrant's own count."""
        info = await self._index(services)
        return info is None or info["points_count"] == 0

    async def _index(self, services: Services) -> dict[str, Any] | None:
        """The index as Qdrant describes it; None when nothing was ever indexed."""
        key = services.qdrant_api_key or self._settings.qdrant_api_key
        headers = {"api-key": key.get_secret_value()} if key else {}
        answer = await _first_answer(services.qdrant_url, f"/collections/{self._settings.qdrant_collection}", headers)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        found: dict[str, Any] = answer.raise_for_status().json()["result"]
        return found


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `Service`: uvicorn raises them again at its end, before the children are stopped."""
        yield


async def _first_answer(qdrant_url: str, path: str, headers: dict[str, str]) -> httpx.Response:
    """What the first node of Qdrant says that can be reached. Raises `httpx.HTTPError`."""
    *others, last = addresses(qdrant_url)
    for node in (*others, last):
        transport = httpx.AsyncHTTPTransport(proxy=proxy_for(node))
        async with httpx.AsyncClient(transport=transport, headers=headers, timeout=10) as client:
            try:
                return await client.get(node + path)
            except httpx.TransportError:
                if node is last:
                    raise
    raise AssertionError("there is one node at least")


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).is_success
    except httpx.HTTPError:
        return False


async def _run_ingest(*arguments: str, environment: dict[str, str]) -> int:
    """Run `python -m ingest`; gives the exit code."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "ingest", *arguments, env=environment)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if code:
        log.warning("ingest_failed", arguments=arguments, exit_code=code)
    return code


def _environment(services: Services, settings: Settings) -> dict[str, str]:
    """What a worker needs of this process's environment, and where the services are."""
    found = {"REDIS_URL": services.redis_url.get_secret_value(), "QDRANT_URL": services.qdrant_url}
    if services.qdrant_api_key is not None:
        found["QDRANT_API_KEY"] = services.qdrant_api_key.get_secret_value()
    kept = for_worker(os.environ, Settings.model_fields, has_packages=settings.has_packages)
    return {name: value for name, value in kept.items() if name.upper() not in found} | found


def _port(url: str) -> int:
    port = httpx.URL(url).port
    assert port is not None
    return port
