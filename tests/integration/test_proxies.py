"""Every way out of the service, and whether it goes through the proxy that the environment names.

A way that is made and not listed in WAYS is found in the code.
"""

import asyncio
import json
import os
import re
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from pydantic import SecretStr
from redis import Redis

from app.auth.jwks import JwksKeys
from app.cli.ask import AskError
from app.cli.ask import ask as ask_service
from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.logging import configure_logging
from app.core.services import QdrantServer, Services
from app.core.settings import LogFormat, Settings
from app.core.tracing.otlp import OtlpExporter
from app.embedded.backup.qdrant_copy import make_copy
from app.embedded.service import Service
from tests.support import ROOT
from tests.support.api import serving
from tests.support.proxy import Proxy, proxying
from tests.support.tls import make_certificate
from worker.http.qdrant import NotFoundError, QdrantHttp
from worker.index.langchain_store import open_client
from worker.model.chat import ChatModel
from worker.model.embeddings import ProviderEmbeddings
from worker.model.model_check import check, servers_of
from worker.model.opening import open_chat_model
from worker.retrieval.rerank import EndpointReranker
from worker.webhooks import send

KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
FAR = "far.test"
"""A host that no resolver knows: who reaches it has been helped by the proxy."""
LOOPBACK = ("127.0.0.1", "localhost")
SCHEMES = ("http", "https")
PASSWORD = "pr0xy/p@ss"
REFUSALS = (407, 502)

CHAT = b'{"model":"m","choices":[{"message":{"content":"Yes."},"finish_reason":"stop"}]}'
STREAM = b'data: {"model":"m","choices":[{"delta":{"content":"Yes."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
RESPONSE = (
    b'{"id":"r","object":"response","created_at":1,"model":"m","status":"completed","error":null,"tools":[],'
    b'"tool_choice":"auto","parallel_tool_calls":true,"usage":null,"incomplete_details":null,"output":[{"id":"o",'
    b'"type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Yes.",'
    b'"annotations":[]}]}]}'
)
ANSWERS: dict[str, bytes] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSE,
    "/v1/embeddings": b'{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5]}]}',
    "/v1/models": b'{"object":"list","data":[{"id":"m"},{"id":"e"}]}',
    "/rerank": b'{"results":[{"index":0,"relevance_score":0.5}]}',
    "/x": b'{"result":1}',
    "/collections": b'{"result":{"collections":[]},"status":"ok","time":0}',
    "/embedded/copies": b'{"result":{"name":"x"}}',
    "/jwks.json": json.dumps({"keys": [json.loads(ECAlgorithm.to_jwk(KEY)) | {"kid": "x"}]}).encode(),
}


class Upstream(ThreadingHTTPServer):
    """All the servers that the service calls, in one; `seen` are the paths that were asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.seen: list[str] = []


class _Answers(BaseHTTPRequestHandler):
    server: Upstream
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        assert "proxy-authorization" not in self.headers
        self.server.seen.append(self.path)
        content = STREAM if b'"stream":true' in body else ANSWERS.get(self.path, b"{}")
        self.send_response(404 if self.path == "/collections/documents" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the test asks `seen`."""


@contextmanager
def upstream(tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    with Upstream() as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "all.pem", FAR, *LOOPBACK, "hook.test")


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The servers' side; the clients trust the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def settings_for(url: str, **more: Any) -> Settings:
    named: dict[str, Any] = {
        "openai_base_url": f"{url}/v1",
        "openai_api_key": SecretStr("k"),
        "chat_model": "m",
        "embedding_model": "e",
        "rerank_url": f"{url}/rerank",
        "qdrant_url": url,
        "webhook_allow_private": True,
        "model_timeout_seconds": 10,
    }
    return Settings(_env_file=None, **(named | more))


def chat(url: str, *, way: int = 0, **more: Any) -> None:
    with closing(ChatModel(settings_for(url, **more))) as model:
        model._way = way
        assert model.complete([{"role": "user", "content": "Is it so?"}], lambda _: None).text == "Yes."


def whole_chat(url: str) -> None:
    chat(url, way=2)


def chat_by_langchain(url: str) -> None:
    with closing(open_chat_model(settings_for(url, chat_model="gpt-5-pro"))) as model:
        assert model.complete([{"role": "user", "content": "Is it so?"}], lambda _: None).text == "Yes."


def embedded_question(url: str) -> None:
    with closing(ProviderEmbeddings(settings_for(url), "e")) as model:
        assert model.embed_query("why?") == [0.5]


def embedded_documents(url: str) -> None:
    with closing(ProviderEmbeddings(settings_for(url), "e")) as model:
        assert model.embed_documents(["why"]) == [[0.5]]


def models_asked_for(url: str) -> None:
    settings = settings_for(url)
    [server] = servers_of(settings)
    if check(server, settings):
        raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)  # it only says so


def rerank(url: str) -> None:
    with closing(EndpointReranker(settings_for(url))) as model:
        if model("why?", ["so"]) != [0.5]:
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)  # it only logs


def qdrant(url: str) -> None:
    with closing(QdrantHttp(url, api_key="q", timeout_seconds=10)) as http:
        http.post("/x", {})


def vector_store(url: str) -> None:
    open_client(settings_for(url)).get_collections()


def webhook(url: str) -> None:
    send(f"{url}/hook", b"{}", {}, settings_for(url))


def key_set(url: str) -> None:
    assert asyncio.run(JwksKeys(f"{url}/jwks.json").get("x")) is not None


def readiness(url: str) -> None:
    with (
        serving(settings_for(url, redis_url=SecretStr(os.environ["TEST_VALKEY_URL"]))) as api,
        httpx.Client(trust_env=False) as client,
    ):
        if client.get(f"{api}/readyz").json()["checks"]["qdrant"] != "ok":
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE)


def first_start(url: str) -> None:
    """`python -m app` asks whether the index is empty."""
    services = Services(pid=1, http_url="http://127.0.0.1:9", redis_url="redis://127.0.0.1:9", qdrant_url=url)
    assert asyncio.run(Service(settings_for(url), documents=None)._is_empty(services))


def backup(url: str) -> None:
    """`python -m app backup` has the embedded Qdrant copy its files."""
    make_copy(QdrantServer(url, None))


def asked_from_the_shell(url: str) -> None:
    try:
        ask_service(url, "why?")
    except AskError as error:
        if "no service" in str(error) or "407" in str(error) or "502" in str(error):
            raise


def traces(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        patch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        exporter = OtlpExporter(url)
        span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("request")
        span.end()
        assert isinstance(span, ReadableSpan)
        result = exporter.export([span])
        exporter.shutdown()
        if result is not SpanExportResult.SUCCESS:
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)  # it only logs


@dataclass(frozen=True)
class Way:
    """`call` goes out from `source`; raises when it was not answered."""

    call: Callable[[str], None]
    source: str


WAYS = (
    Way(chat, "worker/http/connection.py"),
    Way(whole_chat, "worker/http/wire.py"),
    Way(chat_by_langchain, "worker/model/http_clients.py"),
    Way(chat_by_langchain, "worker/model/responses_api.py"),
    Way(embedded_question, "worker/http/wire.py"),
    Way(embedded_documents, "worker/http/wire.py"),
    Way(models_asked_for, "worker/http/wire.py"),
    Way(rerank, "worker/http/wire.py"),
    Way(qdrant, "worker/http/qdrant.py"),
    Way(vector_store, "worker/index/langchain_store.py"),
    Way(webhook, "worker/webhooks.py"),
    Way(key_set, "app/auth/jwks.py"),
    Way(readiness, "app/main.py"),
    Way(first_start, "app/embedded/service.py"),
    Way(backup, "app/embedded/backup/qdrant_copy.py"),
    Way(asked_from_the_shell, "app/cli/ask.py"),
    Way(traces, "app/core/tracing/otlp.py"),
)
CALLS = list(dict.fromkeys(way.call for way in WAYS))
OPENS = re.compile(
    r"httpx2?\.(Async)?Client\(|httpx2?\.(get|post|put|stream|request)\(|QdrantClient\(|Connections\(Server\(|"
    r"create_connection\(|open_connection\(|urlopen\(|HTTPS?Connection\(|ChatOpenAI\(|OpenAIEmbeddings\(|"
    r"OTLPSpanExporter\("
)
"""What opens connections to other machines."""


def test_every_place_that_opens_connections_is_among_the_ways() -> None:
    files = [path for package in ("app", "worker", "ingest") for path in (ROOT / package).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if OPENS.search(path.read_text())}
    assert found == {way.source for way in WAYS}


@pytest.fixture(autouse=True)
def _valkey(valkey: Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_VALKEY_URL", valkey_url)


def use(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in (proxy.variables() | more).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("call", CALLS)
def test_every_way_goes_through_the_proxy(
    call: Callable[[str], None], scheme: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a tunnel for TLS, in absolute form else."""
    with upstream(tls if scheme == "https" else None) as server, proxying(credentials=("me", PASSWORD)) as proxy:
        use(proxy, monkeypatch)
        authority = f"{FAR}:{server.server_port}"
        call(f"{scheme}://{authority}")
        assert server.seen
    if scheme == "https":
        assert {("CONNECT", authority)} == set(proxy.seen)
    else:
        assert {f"http://{authority}{path}" for path in server.seen} == {target for _, target in proxy.seen}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("call", CALLS)
def test_no_way_goes_through_the_proxy_to_what_no_proxy_names(
    call: Callable[[str], None], scheme: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def known(host: Any, *more: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host in (FAR, FAR.encode()) else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    with upstream(tls if scheme == "https" else None) as server, proxying() as proxy:
        use(proxy, monkeypatch, NO_PROXY="x.test,far.test")
        call(f"{scheme}://{FAR}:{server.server_port}")
        assert server.seen
        assert not proxy.seen


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("call", CALLS)
def test_no_way_goes_through_the_proxy_to_this_machine(
    call: Callable[[str], None], scheme: str, host: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not through one that nobody here could use, either."""
    with upstream(tls if scheme == "https" else None) as server, proxying() as proxy:
        use(proxy, monkeypatch, ALL_PROXY="socks5://127.0.0.1:9")
        call(f"{scheme}://{host}:{server.server_port}")
        assert server.seen
        assert not proxy.seen


def logged_error(call: Callable[[str], None], url: str, capfd: pytest.CaptureFixture[str]) -> tuple[Exception, str]:
    """What `call` raises, and all that it has said: its log at its most talkative, and its trace."""
    configure_logging(Settings(_env_file=None, log_level="debug", log_format=LogFormat.JSON))
    try:
        with pytest.raises(Exception) as raised:  # noqa: PT011  which, is the tests' business
            call(url)
    finally:
        configure_logging(Settings(_env_file=None))
    return raised.value, "".join(traceback.format_exception(raised.value)) + "".join(capfd.readouterr())


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("call", CALLS)
def test_a_proxy_that_refuses_makes_the_call_fail_and_its_password_is_nowhere(
    call: Callable[[str], None],
    scheme: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with proxying(credentials=("me", PASSWORD), refuses_with=status) as proxy:
        use(proxy, monkeypatch)
        error, said = logged_error(call, f"{scheme}://{FAR}", capfd)
    assert proxy.seen
    assert not isinstance(error, AssertionError | ConfigurationError | NotFoundError), said
    for secret in (PASSWORD, proxy.url, "pr0xy", "bWU6cHIweH"):  # the last begins the header's value
        assert secret not in said


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("call", [chat_by_langchain, embedded_documents])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_proxy_that_refuses_langchain_is_a_model_away(
    call: Callable[[str], None], scheme: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying(refuses_with=status) as proxy:
        use(proxy, monkeypatch)
        with pytest.raises(ServiceError) as raised:
            call(f"{scheme}://{FAR}")
    assert raised.value.code is ErrorCode.MODEL_UNAVAILABLE


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("call", [chat, whole_chat, embedded_question, rerank])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_proxy_that_refuses_is_a_model_away_and_a_log_line_names_it(
    call: Callable[[str], None],
    scheme: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with proxying(refuses_with=status) as proxy:
        use(proxy, monkeypatch)
        error, said = logged_error(call, f"{scheme}://{FAR}", capfd)
    assert isinstance(error, ServiceError)
    assert error.code is ErrorCode.MODEL_UNAVAILABLE
    if scheme == "https" or status == 407:  # else it may be the server's own word
        [line] = [json.loads(line) for line in said.splitlines() if "proxy_failed" in line]
        assert (line["proxy"], line["status"]) == (f"127.0.0.1:{proxy.port}", status)


def test_a_proxy_that_is_away_is_named_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{'s3cret'}@127.0.0.1:9")
    error, said = logged_error(chat, f"https://{FAR}", capfd)
    assert isinstance(error, ServiceError)
    assert error.code is ErrorCode.MODEL_UNAVAILABLE
    [line] = [json.loads(line) for line in said.splitlines() if "proxy_failed" in line]
    assert (line["proxy"], line["reason"]) == ("127.0.0.1:9", "ConnectionRefusedError")
    assert "s3cret" not in said


@pytest.mark.parametrize("proxy", ["https://me:s3cret@p.test", "socks5://me:s3cret@p.test"])
@pytest.mark.parametrize("call", [chat, embedded_question, rerank, qdrant])
def test_a_proxy_that_the_wire_does_not_speak_to_is_said_at_the_start(
    call: Callable[[str], None], proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=r"proxy|PROXY") as raised:
        call(f"https://{FAR}")
    assert "s3cret" not in str(raised.value)


def test_a_tunnel_is_kept_for_the_next_call(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with upstream(tls) as server, proxying() as proxy:
        use(proxy, monkeypatch)
        with closing(QdrantHttp(f"https://{FAR}:{server.server_port}", api_key=None, timeout_seconds=10)) as http:
            assert [http.post("/x", {}) for _ in range(3)] == [1, 1, 1]
        assert len(proxy.seen) == 1


def test_the_environment_is_not_read_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with upstream() as server, proxying() as proxy:
        with closing(QdrantHttp(f"http://127.0.0.1:{server.server_port}", api_key=None, timeout_seconds=10)) as http:
            monkeypatch.setattr("app.core.proxies.getproxies", lambda: sys.exit("read again"))
            assert http.post("/x", {}) == 1
        assert not proxy.seen
