"""What goes out over a connection, and TLS; what comes back is held in test_wire."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from app.core.errors import ConfigurationError
from tests.support.tls import make_certificate
from worker.http.connection import Connection, Server
from worker.http.wire import CallFailedError, CallTimeoutError, Wire, pieces


def test_a_request_goes_out_in_one_write_with_what_http_asks_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = Server(f"http://127.0.0.1:{port}/base/", {"api-key": "k"})
        with closing(Connection(server, timeout_seconds=5)) as connection:
            connection.connect(5)
            theirs, _ = listener.accept()
            with theirs:
                theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                assert connection.request("PUT", "/x?wait=true", b'{"a":1}').status == 204
                assert theirs.recv(65_536) == (
                    b"PUT /base/x?wait=true HTTP/1.1\r\n"
                    b"Host: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\napi-key: k\r\n"
                    b'Content-Length: 7\r\n\r\n{"a":1}' % port
                )


@pytest.mark.parametrize(
    ("url", "host", "port", "said"),
    [
        ("http://[::1]:6333", "::1", 6333, "[::1]:6333"),
        ("https://user@models.example", "models.example", 443, "models.example"),
        ("http://münchen.example", "xn--mnchen-3ya.example", 80, "xn--mnchen-3ya.example"),
    ],
)
def test_an_address_is_named_as_http_has_it(url: str, host: str, port: int, said: str) -> None:
    server = Server(url, {})
    assert (server.host, server.port, server.tls is not None) == (host, port, url.startswith("https"))
    assert f"Host: {said}\r\n".encode() in server.head("GET", "/", 0)


@pytest.mark.parametrize("key", ["secret\r\nX-Other: 1", "secret\n", "sécret"])
def test_a_key_that_no_header_takes_is_said_without_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"a key for models\.example") as raised:
        Server("https://models.example", {"Authorization": f"Bearer {key}"})
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: 1", "/é"])
def test_a_path_that_would_end_the_first_line_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Server("http://127.0.0.1", {}).head("GET", path, 0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "localhost.pem", "localhost")


@contextmanager
def tls_server(certificate: Path, answer: bytes | None) -> Iterator[int]:
    """The port of a server on localhost that answers one request, or keeps silent until the client leaves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve() -> None:
        plain, _ = listener.accept()
        with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as theirs:
            theirs.recv(65_536)
            if answer is not None:
                theirs.sendall(answer)
            theirs.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        served = thread.submit(serve)
        yield listener.getsockname()[1]
        served.result(10)


def test_a_server_with_a_trusted_certificate_is_asked_over_tls(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        tls_server(certificate, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as port,
        closing(Wire(f"https://localhost:{port}/v1", {}, timeout_seconds=10)) as wire,
        wire.post("/x", b"{}") as response,
    ):
        assert b"".join(pieces(response)) == b"{}"


def test_a_certificate_that_nobody_vouches_for_gets_no_request(certificate: Path) -> None:
    with (
        tls_server(certificate, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as port,
        closing(Wire(f"https://localhost:{port}/v1", {}, timeout_seconds=10)) as wire,
        pytest.raises(CallFailedError),
        wire.post("/x", b"{}"),
    ):
        pass


def test_a_call_over_tls_is_left_in_time(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        tls_server(certificate, None) as port,
        closing(Wire(f"https://localhost:{port}/v1", {}, timeout_seconds=0.5)) as wire,
        pytest.raises(CallTimeoutError),
        wire.post("/x", b"{}"),
    ):
        pass
