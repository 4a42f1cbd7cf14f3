"""A real HTTP proxy with knobs: CONNECT, and requests in absolute form. It remembers what came through it.

It connects to this machine, whatever host it is asked for, at the port that was asked for: so a test can give servers
of its own any name.
"""

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote, urlsplit

HOP_BY_HOP = {"proxy-authorization", "proxy-connection", "connection", "host"}


@dataclass
class Proxy:
    """Where it is, and what it has seen: method and target of each request, as they came."""

    port: int = 0
    credentials: tuple[str, str] | None = None
    refuses_with: int | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, with user and password as the proxy variables have them."""
        user = "".join(
            f"{quote(part, safe='')}{end}" for part, end in zip(self.credentials or (), ":@", strict=False)
        )
        return f"http://{user}127.0.0.1:{self.port}"

    def variables(self, no_proxy: str = "") -> dict[str, str]:
        """The environment of a user behind it."""
        return {"HTTP_PROXY": self.url, "HTTPS_PROXY": self.url, "NO_PROXY": no_proxy}


@contextmanager
def proxying(*, credentials: tuple[str, str] | None = None, refuses_with: int | None = None) -> Iterator[Proxy]:
    """A proxy on a free port. Without `credentials` one gets a 407; `refuses_with` is for everybody."""
    proxy = Proxy(credentials=credentials, refuses_with=refuses_with)

    class Handler(_Handler):
        state = proxy

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy.port = server.server_port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Proxy

    def do_CONNECT(self) -> None:
        """Pass bytes both ways until one side ends."""
        if not self._is_let_through():
            return
        with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as server:
            self.send_response(200)
            self.end_headers()
            back = Thread(target=_pump, args=(server, self.connection), daemon=True)
            back.start()
            _pump(self.connection, server)
            back.join()
        self.close_connection = True

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        """Ask the server, and send its answer back."""
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not self._is_let_through():
            return
        server = HTTPConnection("127.0.0.1", target.port or 80, timeout=10)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        server.request(
            self.command, self.path.partition(target.netloc)[2] or "/", body, headers | {"Host": target.netloc}
        )
        answer = server.getresponse()
        content = answer.read()
        server.close()
        self.send_response(answer.status)
        if kind := answer.headers["content-type"]:
            self.send_header("Content-Type", kind)
        self._end(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the test asks `seen`."""

    def _is_let_through(self) -> bool:
        self.state.seen.append((self.command, self.path))
        credentials = self.state.credentials
        if self.state.refuses_with is not None:
            self.send_response(self.state.refuses_with)
        elif credentials is not None and self.headers["proxy-authorization"] != _basic(*credentials):
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="tests"')
        else:
            return True
        self._end(b"")
        return False

    def _end(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
