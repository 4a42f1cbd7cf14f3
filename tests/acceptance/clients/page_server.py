"""The web server of a page: static files from a few folders, what the page asks for, and what it tells."""

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Self

from tests.acceptance.clients.report import Target

TYPES = {".html": "text/html; charset=utf-8", ".mjs": "text/javascript", ".json": "application/json"}


class PageServer:
    """A page's origin: `url` while it is entered. `places`: what paths begin with, and the file or folder there."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        self.places = places
        self.told: Queue[dict[str, Any]] = Queue()
        self.target: Target | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Listen, on a free port."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def at(self, path: str) -> bytes | None:
        """What is at `path`, if something is."""
        if path == "/target.json" and self.target is not None:
            return self.target.model_dump_json().encode()
        for begins, place in self.places.items():
            file = place if path == begins else place / path.removeprefix(begins)
            if path.startswith(begins) and ".." not in path and file.is_file():
                return file.read_bytes()
        return None

    def wait(self, seconds: float) -> dict[str, Any]:
        """What the page told. Raises AssertionError when it tells nothing in time."""
        try:
            return self.told.get(timeout=seconds)
        except Empty:
            raise AssertionError(f"the page told nothing in {seconds:g} s") from None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                self.answer(page.at(path), TYPES.get(Path(path).suffix, TYPES[".html"]))

            def do_POST(self) -> None:
                page.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(b"", TYPES[".json"])

            def answer(self, body: bytes | None, media_type: str) -> None:
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base's name)
                pass

        return Handler
