"""Network client: reaches a service without keys, which takes everybody for its admin, through a proxy on its machine
or through the browser of somebody who sits there.

Every way is tried on every route of the application that is not for everybody. What passes is what a program of this
machine sends, and a page of this machine in its browser.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog
from fakeredis import FakeAsyncRedis
from structlog.testing import LogCapture

from app.auth import gate
from app.core.settings import Settings
from app.main import create_app
from tests.integration.app.test_isolation import ROUTES, Route, path_of, shown
from tests.support.api import serving
from tests.support.credentials import api_key, bearer
from tests.support.nginx import needs_nginx, nginx

Headers = Sequence[tuple[bytes, bytes]]

HOST = (b"host", b"127.0.0.1:8000")
KEY, ENTRY = api_key("web", tenant="acme", role="admin")

PROXIES = [
    "Via", "Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
    "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-Ssl",
    "X-Forwarded-By", "X-Forwarded-Client-Cert", "X-Forwarded-User", "X-Forward-For", "Forwarded-For",
    "X_Forwarded_For", "Max-Forwards", "X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP",
    "X-True-Client-IP", "X-Cluster-Client-IP", "ClientIP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr",
    "X-Remote-User", "Remote-User", "X-ProxyUser-Ip", "WL-Proxy-Client-IP", "Proxy-Client-IP", "Proxy-Connection",
    "Proxy-Authorization", "X-Nginx-Proxy", "X-Proxy-Id", "X-Original-URL", "X-Original-Host",
    "X-Original-Forwarded-For", "X-Original-URI", "X-Host", "X-HTTP-Host", "X-Scheme", "X-Url-Scheme",
    "Front-End-Https", "X-Accel-Mapping", "Surrogate-Capability", "CDN-Loop", "X-CDN", "CF-Connecting-IP",
    "CF-Connecting-IPv6", "CF-Ray", "CF-Visitor", "CF-IPCountry", "CF-Warp-Tag-ID", "X-Amz-Cf-Id",
    "CloudFront-Viewer-Address", "X-Amzn-Trace-Id", "Fastly-Client-IP", "Fastly-FF", "Akamai-Origin-Hop",
    "X-Akamai-Edgescape", "X-Varnish", "X-Envoy-External-Address", "X-Envoy-Internal",
    "X-Envoy-Expected-Rq-Timeout-Ms", "X-Traefik-Router", "X-ARR-LOG-ID", "X-ARR-SSL", "X-Azure-ClientIP",
    "X-Azure-SocketIP", "Fly-Client-IP", "X-Nf-Client-Connection-Ip", "X-Vercel-Id", "X-Appengine-User-Ip",
    "X-Cloud-Trace-Context", "Tailscale-User-Login", "ngrok-skip-browser-warning", "Bypass-Tunnel-Reminder",
]  # fmt: skip
"""Headers that proxies, content networks and tunnels add, or that are sent because of them."""

HOSTS = [
    b"evil.example", b"127.0.0.1.evil.example", b"localhost.evil.example", b"evil-localhost", b"10.0.0.1", b"0.0.0.0",
    b"", b"localhost.", b"localhost:", b"localhost:8000:", b"localhost:http", b"localhost:-1", b"localhost: 80",
    b"localhost:8000/", b"localhost/", b"localhost?", b"localhost#", b"//localhost", b"http://localhost",
    b"user@localhost", b"evil.example@localhost", b"evil.example:80@localhost", b"evil\\@localhost",
    b"localhost\\@evil.example", b"localhost\\", b"localhost evil.example", b"localhost,evil.example", b"localhost\t",
    b"evil.example,localhost", b"evil.example localhost", b"\xe2\x84\x93ocalhost", b"l\xc3\xb6calhost", b"\xff",
    b"localhost\x00", b"%6cocalhost", b"..localhost", b".localhost", b"[localhost]", b"[::1", b"::1", b"[::1%lo]",
    b"[::ffff:10.0.0.1]", b"127.1", b"127.0.0.1.", b"127.0.0.256", b"0x7f.0.0.1", b"2130706433", b"0177.0.0.1",
    b"127.0.0.1@evil.example",
]  # fmt: skip
"""Host headers of other names, and those that two programs read in two ways."""

ORIGINS = [
    b"null", b"", b"https://evil.example", b"http://127.0.0.1.evil.example", b"http://localhost.evil.example",
    b"http://evil\\@localhost", b"http://evil.example@localhost", b"http://localhost\\@evil.example",
    b"http://localhost:", b"http://localhost.", b"http://localhost/", b"http://localhost#", b"http:localhost",
    b"//localhost", b"localhost", b"http:///localhost", b"http://localhost http://evil.example",
    b"http://localhost, http://evil.example", b"http://l\xc3\xb6calhost", b"\xff", b"chrome-extension://localhost",
    b"moz-extension://localhost", b"safari-web-extension://localhost", b"file://", b"file://localhost",
    b"ftp://localhost", b"ws://localhost", b"app://localhost", b"capacitor://localhost", b"javascript://localhost",
    b"data://localhost", b"blob:http://localhost", b"http+x://localhost", b"xhttp://localhost",
]  # fmt: skip
"""Of pages of other sites, of extensions, and of forms that no browser sends."""

LINK = ((b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document"))
SITES: Mapping[str, Headers] = {
    "cross-site": ((b"sec-fetch-site", b"cross-site"),),
    "an image": (LINK[0], (b"sec-fetch-mode", b"no-cors"), (b"sec-fetch-dest", b"image")),
    "a frame": (*LINK[:2], (b"sec-fetch-dest", b"iframe")),
    "an object": (*LINK[:2], (b"sec-fetch-dest", b"object")),
    "a word of the future": ((b"sec-fetch-site", b"other"), *LINK[1:]),
    "no word": ((b"sec-fetch-site", b""),),
    "two words": ((b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"cross-site")),
}
"""Of requests that a page of another site makes a browser send."""

ATTACKS: dict[str, tuple[str, Headers]] = {
    "HTTP/1.0": ("1.0", [HOST]),
    "HTTP/0.9": ("0.9", [HOST]),
    "no Host": ("1.1", []),
    "two Hosts": ("1.1", [HOST, HOST]),
    "two Hosts, the second another": ("1.1", [HOST, (b"host", b"evil.example")]),
    "two Hosts, the first another": ("1.1", [(b"host", b"evil.example"), HOST]),
    "two Hosts, the first empty": ("1.1", [(b"host", b""), HOST]),
    "two Origins": ("1.1", [HOST, (b"origin", b"http://localhost"), (b"origin", b"http://localhost")]),
    **{f"{name}:": ("1.1", [HOST, (name.lower().encode(), b"127.0.0.1")]) for name in PROXIES},
    **{f"Host: {host!r}": ("1.1", [(b"host", host)]) for host in HOSTS},
    **{f"Origin: {origin!r}": ("1.1", [HOST, (b"origin", origin)]) for origin in ORIGINS},
    **{f"site: {name}": ("1.1", [HOST, *headers]) for name, headers in SITES.items()},
}

PROGRAMS: dict[str, Headers] = {
    "curl": [HOST, (b"user-agent", b"curl/8"), (b"accept", b"*/*")],
    "another name": [(b"host", b"localhost:8000"), (b"connection", b"close")],
    "a name of this machine": [(b"host", b"RAG.localhost")],
    "IPv6": [(b"host", b"[::1]:8000")],
    "a tunnel's port": [(b"host", b"localhost:9999")],
    "OpenAI's SDK": [
        HOST, (b"x-stainless-lang", b"python"), (b"x-stainless-async", b"false"), (b"x-stainless-os", b"Linux"),
        (b"x-stainless-raw-response", b"true"), (b"x-stainless-read-timeout", b"600"),
        (b"authorization", b"Bearer x"),
        (b"openai-organization", b"org"), (b"x-client-request-id", b"1"), (b"http-referer", b"http://x"),
    ],
    "a traced program": [
        HOST, (b"traceparent", b"00-0-0-00"), (b"baggage", b"a=b"), (b"x-request-id", b"1"), (b"x-b3-traceid", b"1"),
        (b"idempotency-key", b"1"), (b"prefer", b"wait=1"), (b"x-correlation-id", b"1"), (b"x-title", b"Chat"),
    ],
    "an address typed": [HOST, (b"sec-fetch-site", b"none"), *LINK[1:], (b"upgrade-insecure-requests", b"1")],
    "a page of the service": [
        HOST, (b"origin", b"http://127.0.0.1:8000"), (b"sec-fetch-site", b"same-origin"),
        (b"sec-fetch-mode", b"cors"), (b"sec-ch-ua", b'"Browser"'),
        (b"sec-ch-ua-platform", b'"Linux"'), (b"dnt", b"1"), (b"priority", b"u=1"),
    ],
    "an image of it": [HOST, (b"sec-fetch-site", b"same-origin"), (b"sec-fetch-dest", b"image")],
    "a page of another port": [HOST, (b"origin", b"http://127.0.0.1:3000"), (b"sec-fetch-site", b"same-site")],
    "a page under another name": [HOST, (b"origin", b"https://localhost:3000"), (b"sec-fetch-site", b"cross-site")],
}  # fmt: skip
"""What goes on being served."""


class Service:
    """A service without keys, asked without a server between."""

    def __init__(self) -> None:
        self._app = create_app(Settings(_env_file=None), valkey=FakeAsyncRedis())
        self._runner = asyncio.Runner()

    def status(self, route: Route, headers: Headers, version: str = "1.1") -> int:
        return self._runner.run(self._status(route, headers, version))

    async def _status(self, route: Route, headers: Headers, version: str) -> int:
        sent = []
        path = path_of(route[1])
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": version,
            "scheme": "http", "method": route[0], "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": b"", "headers": [*headers, (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1234), "server": ("127.0.0.1", 8000), "state": {},
        }  # fmt: skip

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, int]) -> None:
            sent.append(message.get("status"))

        await self._app(scope, receive, send)  # type: ignore[arg-type]
        return sent[0] or 0

    def close(self) -> None:
        self._runner.close()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_did_not_come_from_this_machine_is_refused_on_every_route(service: Service, attack: str) -> None:
    version, headers = ATTACKS[attack]
    assert {shown(route): service.status(route, headers, version) for route in ROUTES} == dict.fromkeys(
        map(shown, ROUTES), 403
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_and_pages_of_this_machine_are_served_on_every_route(service: Service, program: str) -> None:
    statuses = {shown(route): service.status(route, PROGRAMS[program]) for route in ROUTES}
    assert [route for route, status in statuses.items() if status in (401, 403)] == []


def test_a_link_of_another_site_may_be_followed_and_a_form_of_it_not_sent(service: Service) -> None:
    """A citation in a chat's page opens the document; a form would ask, upload or delete."""
    for route in ROUTES:
        assert (service.status(route, [HOST, *LINK]) != 403) is (route[0] == "GET"), route


# -- The same on a real connection


@pytest.fixture(scope="module")
def port(valkey_url: str) -> Iterator[int]:
    with serving(Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9")) as url:
        yield int(urlsplit(url).port or 0)


def answer_to(port: int, *lines: str) -> bytes:
    """All that is sent back."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "\r\n"]).encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_the_server_passes_a_request_of_this_machine_on(port: int) -> None:
    assert answer_to(port, "GET /documents HTTP/1.1", f"Host: localhost:{port}").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /documents HTTP/1.0", "Host: localhost"),
        ("GET /documents HTTP/1.0",),
        ("GET /documents HTTP/1.1", "Host: localhost", "Host: localhost"),
        ("GET /documents HTTP/1.1", "Host: localhost", "hOST: evil.example"),
        ("GET /documents HTTP/1.1", "Host: evil\\@localhost"),
        ("GET /documents HTTP/1.1", "Host: localhost", "VIA: 1.1 x"),
        ("GET /documents HTTP/1.1", "Host: localhost", "Origin: null"),
        ("GET http://evil.example/documents HTTP/1.1", "Host: evil.example"),
    ],
)
def test_the_server_takes_none_of_it_back(port: int, lines: tuple[str, ...]) -> None:
    """400 where the server itself refuses."""
    answer = answer_to(port, *lines)
    assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")), answer
    if b" 403 " in answer:
        assert b"API_KEYS" in answer


def test_no_websocket_is_opened(port: int) -> None:
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    asked = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", key)
    for path in ("/", "/chat", "/documents", "/nowhere"):
        answer = answer_to(port, f"GET {path} HTTP/1.1", f"Host: localhost:{port}", *asked)
        assert b" 101 " not in answer.partition(b"\r\n")[0]


# -- A real proxy

PLAIN = ""
"""`proxy_pass` and nothing else."""
NGINX_ADDS = {
    "plain": PLAIN,
    "the client's Host": "proxy_set_header Host $host;",
    "1.1 and the address": "proxy_http_version 1.1; proxy_set_header X-Real-IP $remote_addr;",
    "1.1 and all addresses": "proxy_http_version 1.1; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    "1.1 and the client's Host": "proxy_http_version 1.1; proxy_set_header Host $http_host;",
}


@needs_nginx
@pytest.mark.parametrize("adds", NGINX_ADDS)
def test_behind_nginx_nobody_is_the_admin_without_a_key(port: int, tmp_path: Path, adds: str) -> None:
    with nginx(tmp_path, f"http://127.0.0.1:{port}", NGINX_ADDS[adds]) as proxy:
        answer = proxy.get("/documents")
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:problem:keys-required")
        assert "API_KEYS" in answer.json()["detail"]
        assert proxy.get("/v1/models").json()["error"]["code"] == "keys_required"


@needs_nginx
def test_behind_nginx_a_key_lets_in(valkey_url: str, tmp_path: Path) -> None:
    """HTTP/1.0 is for programs with keys as it was."""
    stated = Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", api_keys=ENTRY)
    with serving(stated) as url, nginx(tmp_path, url, PLAIN) as proxy:
        assert proxy.get("/documents").status_code == 401
        assert proxy.get("/documents", bearer(KEY)).status_code == 200


# -- CORS_ORIGINS


@pytest.mark.parametrize(
    ("origins", "named"),
    [
        ("https://app.example", ["https://app.example"]),
        ("http://localhost:3000, https://app.example, http://127.0.0.1.evil.example",
         ["https://app.example", "http://127.0.0.1.evil.example"]),
        ("http://localhost:3000", None),
        (None, None),
    ],
)  # fmt: skip
def test_origins_that_have_no_effect_without_keys_are_named_at_the_start(
    origins: str | None, named: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = capture(monkeypatch)
    create_app(Settings(_env_file=None, cors_origins=origins), valkey=FakeAsyncRedis())
    warnings = [line["origins"] for line in lines.entries if line["log_level"] == "warning"]
    assert warnings == ([named] if named else [])


def test_with_keys_all_origins_have_an_effect_and_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = capture(monkeypatch)
    settings = Settings(_env_file=None, cors_origins="https://app.example", api_keys=ENTRY)
    create_app(settings, valkey=FakeAsyncRedis())
    assert lines.entries == []


def capture(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    """What the gate logs; a logger that has been used heeds no new configuration."""
    lines = LogCapture()
    monkeypatch.setattr(gate, "log", structlog.wrap_logger(None, processors=[lines]))
    return lines
