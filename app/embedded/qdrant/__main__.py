"""The embedded Qdrant: the part of Qdrant's REST API that qdrant-client uses, over Qdrant Edge, on loopback.

    python -m app.embedded.qdrant --data-dir DIR --port N

One process owns the directory. Port 0 takes any free one. With QDRANT__SERVICE__API_KEY set, as for Qdrant itself,
only those who show that key are let in. When it is ready, it prints {"url": ...} to stdout.
An adapter, not a database: what Edge cannot do exactly as Qdrant does it is answered with 501.
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

import orjson
import uvicorn

from app.core.child_environment import QDRANT_KEY_VARIABLE
from app.core.garbage import sparing
from app.embedded.ports import LOOPBACK, CannotListenError, listen
from app.embedded.qdrant.lines import write_lines
from app.embedded.qdrant.server import create_app
from app.embedded.qdrant.store import Store, StoreError
from app.server import HttpProtocol

KEEP_ALIVE_SECONDS = 75  # longer than a client keeps an idle connection, so that it is never us who close it
SHUTDOWN_SECONDS = 10  # for the requests in flight


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop. Exit code: 0 then, 1 when it cannot start, 2 when it is called wrongly."""
    parser = argparse.ArgumentParser(prog="python -m app.embedded.qdrant", description="The embedded Qdrant.")
    parser.add_argument("--data-dir", type=Path, required=True, help="where the collections are kept")
    parser.add_argument("--port", type=int, default=6333, help="on 127.0.0.1; 0 takes any free one (default 6333)")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65_535:
        parser.error(f"--port must be 0 to 65535, got {options.port}")
    write_lines()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        listener = listen(LOOPBACK, options.port)
        with contextlib.closing(Store.open(options.data_dir.resolve())) as store:
            serve(store, listener, api_key=os.environ.get(QDRANT_KEY_VARIABLE))
    except CannotListenError as error:
        return refuse(f"{error}. Choose another port with --port (0 takes any)")
    except StoreError as error:
        return refuse(str(error))
    return 0


def refuse(reason: str) -> int:
    """Say why it cannot start; gives the exit code."""
    print(f"qdrant: {reason}", file=sys.stderr)
    return 1


def stop(*_: object) -> NoReturn:
    """End with exit code 0. While serving, uvicorn takes the signals, and raises them again when it is done."""
    sys.exit(0)


def serve(store: Store, listener: socket.socket, *, api_key: str | None) -> None:
    """Serve `store` on `listener`, to those who show `api_key` if there is one, until a signal comes."""
    url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    app = create_app(store, api_key=api_key, on_ready=lambda: print(orjson.dumps({"url": url}).decode(), flush=True))
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(sparing(main))
