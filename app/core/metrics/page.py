"""A process's page on a port of its own: `/metrics`, and how the process does.

Metrics are nobody's secret inside a cluster, and tell a stranger how much the service is used: the port is bound to
METRICS_HOST, this machine alone unless it is set.
"""

import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import TCPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client.exposition import ThreadingWSGIServer, choose_encoder, gzip_accepted, make_wsgi_app
from prometheus_client.registry import Collector

from app.core.errors import ConfigurationError

GZIP_LEVEL = 1
"""A tenth of the page's bytes, for a third of the time that the default takes."""
PATIENCE_SECONDS = 10
"""For a client that has connected and says nothing."""

Report = tuple[bool, Mapping[str, Any]]
"""How a process does: whether all is well, and what there is to say of it."""

FORMAT = re.compile(
    r"(?:text/plain|application/openmetrics-text)"
    r"(?: *; *(?:version=(?:0\.0\.[14]|1\.0\.0)|escaping=[a-z0-9-]+|charset=utf-8|q=[0-9.]+))*"
)
"""A format that Prometheus asks for. prometheus_client falls over other versions, and repeats them in its answer."""


def page(registry: Collector, accept: str, accept_encoding: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of `registry`'s page, as a request's Accept and Accept-Encoding want it."""
    encode, content_type = choose_encoder(_formats(accept))
    headers, body = {"Content-Type": content_type}, encode(registry)
    if not gzip_accepted(accept_encoding):
        return headers, body
    return headers | {"Content-Encoding": "gzip"}, gzip.compress(body, GZIP_LEVEL)


def _formats(accept: str) -> str:
    """Those of `accept` that are known."""
    return ",".join(part for part in accept.split(",") if FORMAT.fullmatch(part.strip()))


class OwnPort:
    """Serves GET `/metrics` from `registry` and a `reports` path each on `port` of `host`, until it is closed.

    Port 0 takes a free one, which `port` says. Raises `ConfigurationError` when the port cannot be had.
    """

    def __init__(
        self, host: str, port: int, registry: Collector, reports: Mapping[str, Callable[[], Report]] | None = None
    ) -> None:
        application = _Application(make_wsgi_app(registry), reports or {})
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server_class = type("Server", (_Server,), {"address_family": family})
        try:
            self._server: WSGIServer = make_server(host, port, application, server_class, handler_class=_Handler)
        except OSError as error:
            raise ConfigurationError(
                f"METRICS_PORT: cannot listen on {host}, port {port}: {error.strerror}"
            ) from None
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="metrics")
        self._thread.start()

    def close(self) -> None:
        """Free the port; answers that are under way end by themselves."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingWSGIServer):
    def server_bind(self) -> None:
        """Overrides the standard library: as it does, without asking a name server for this machine's name."""
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE_SECONDS

    def log_message(self, *_: object) -> None:
        """Nothing: it is asked for every few seconds."""


class _Application:
    """The paths of `OwnPort`, as WSGI."""

    def __init__(self, metrics: Callable[..., Any], reports: Mapping[str, Callable[[], Report]]) -> None:
        self._metrics = metrics
        self._reports = reports

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            known = environ | {"HTTP_ACCEPT": _formats(environ.get("HTTP_ACCEPT", ""))}
            answer: Iterable[bytes] = self._metrics(known, start_response)
            return answer
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or path not in self._reports:
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"Here are /metrics and what is beside it.\n"]
        is_well, said = self._reports[path]()
        start_response("200 OK" if is_well else "503 Service Unavailable", [("Content-Type", "application/json")])
        return [json.dumps(said).encode() + b"\n"]
