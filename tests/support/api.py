"""The API as a server in this process: a thread, a free port, real sockets."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn

from app.core.settings import Settings
from app.main import create_app
from app.server import HttpProtocol
from tests.support.processes import wait_until


@contextmanager
def serving(settings: Settings, protocol: type[HttpProtocol] = HttpProtocol, *, root_path: str = "") -> Iterator[str]:
    """The API of `settings`, answering until the block ends; its URL. `root_path` is uvicorn's `--root-path`."""
    app = create_app(settings)
    stop = app.state.api.waiters.close
    with serving_app(app, protocol, before_stop=stop, root_path=root_path) as url:
        yield url


@contextmanager
def serving_app(
    app: Any,
    protocol: type[HttpProtocol] = HttpProtocol,
    *,
    lifespan: Literal["on", "off"] = "on",
    before_stop: Callable[[], object] = lambda: None,
    root_path: str = "",
) -> Iterator[str]:
    """An ASGI application, answering until the block ends, when its loop first calls `before_stop`; its URL."""
    with _listener() as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=protocol,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
                lifespan=lifespan,
                root_path=root_path,
                proxy_headers=False,  # as the service is run: TRUSTED_PROXIES says whom to believe
            )
        )
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(loop, server, listener))
        thread.start()
        try:
            wait_until(lambda: server.started, "the API is started")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(before_stop)
            server.should_exit = True
            thread.join()


def _listener() -> socket.socket:
    """On a free port. TCP by name: else asyncio leaves Nagle's algorithm on, and each answer takes 40 ms."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    return listener


def _run(loop: asyncio.AbstractEventLoop, server: uvicorn.Server, listener: socket.socket) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(server.serve([listener]))
