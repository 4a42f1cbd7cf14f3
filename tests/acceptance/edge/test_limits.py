"""What nginx answers by itself: limits of an address, bodies too large, replicas that are away."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.edge.conftest import KEY, Deployment, nginx_before
from tests.support.credentials import bearer
from tests.support.nginx import COMPOSE_NGINX, Edge, edge_command, needs_nginx, prepare_edge

REQUESTS, QUESTIONS = 60, 20
"""A minute, of one address."""
TITLES = {413: "Request Entity Too Large", 429: "Too Many Requests", 502: "Bad Gateway", 504: "Gateway Timeout"}

pytestmark = needs_nginx


def is_problem(answer: httpx.Response, status: int, kind: str) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["detail"]
    assert answer.headers["x-request-id"]
    return (body["type"], body["title"], body["status"]) == (f"urn:problem:{kind}", TITLES[status], status)


@pytest.mark.parametrize("prefix", ["/", "/rag/"])
def test_nginx_takes_what_compose_gives_it(tmp_path: Path, prefix: str) -> None:
    own = {"EDGE_PREFIX": prefix, "EDGE_RESOLVER": str(COMPOSE_NGINX["environment"]["EDGE_RESOLVER"])}
    prepare_edge(tmp_path, **own)
    done = subprocess.run(edge_command(tmp_path, "-t"), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_an_address_has_sixty_requests_and_another_its_own(client: httpx.Client, at_root: Edge) -> None:
    statuses = [client.get("/healthz").status_code for _ in range(REQUESTS)]
    assert set(statuses) == {200}
    refused = next(answer for _ in range(10) if (answer := client.get("/healthz")).status_code != 200)
    assert is_problem(refused, 429, "quota-exceeded")
    assert int(refused.headers["retry-after"]) >= 1
    with at_root.client("127.3.0.1") as other:
        assert other.get("/healthz").status_code == 200


def test_the_pages_own_files_are_not_counted(client: httpx.Client) -> None:
    page = client.get("/", headers={"Accept": "text/html"}).text
    static = page.partition("/page/static/")[2].partition('"')[0]
    assert {client.get(f"/page/static/{static}").status_code for _ in range(REQUESTS + 10)} == {200}


@pytest.mark.parametrize("path", ["/chat", "/search", "/v1/chat/completions", "/v1/responses", "/v1/embeddings"])
def test_twenty_of_them_may_be_questions(client: httpx.Client, path: str) -> None:
    """Nobody has asked in earnest: who shows no key is refused by the API, and has still asked."""
    for _ in range(QUESTIONS):
        assert client.post(path, json={}).status_code == 401
    refused = next(answer for _ in range(5) if (answer := client.post(path, json={})).status_code != 401)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 60 / QUESTIONS
    assert client.get("/healthz").status_code == 200
    if path.startswith("/v1/"):
        assert refused.headers["content-type"] == "application/json"
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert refused.json()["error"]["type"] == "requests"
    else:
        assert is_problem(refused, 429, "quota-exceeded")


def raw(edge: Edge, head: str, body: bytes = b"") -> bytes:
    """The answer to a request of which only this much is sent."""
    parts = urlsplit(edge.url)
    context = ssl.create_default_context(cafile=edge.certificate)
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as spoken,
    ):
        spoken.sendall(f"{head}\r\nHost: localhost\r\n\r\n".encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer or b"}" not in answer:
            piece = spoken.recv(65536)
            if not piece:
                break
            answer += piece
        return answer


def test_more_than_an_upload_may_have_is_refused_unread(at_root: Edge) -> None:
    answer = raw(at_root, "POST /documents HTTP/1.1\r\nContent-Length: 99000000000")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer
    assert b'"urn:problem:body-too-large"' in answer


def test_who_shows_no_key_is_refused_before_a_byte_of_the_body_is_sent(at_root: Edge) -> None:
    answer = raw(at_root, "POST /documents HTTP/1.1\r\nContent-Length: 100000000")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"urn:problem:unauthorized"' in answer


@pytest.mark.parametrize("size", [300_000, 5_000_000], ids=["the API", "nginx"])
def test_a_question_too_large_is_a_413_whoever_says_so(client: httpx.Client, size: int) -> None:
    json = bearer(KEY) | {"Content-Type": "application/json"}
    assert is_problem(client.post("/chat", content=b" " * size, headers=json), 413, "body-too-large")


def test_an_answer_in_the_middle_of_an_upload_is_never_lost(client: httpx.Client) -> None:
    """The API hangs up on the rest of the body; who is still sending it, nginx, must not take that for its end."""
    for _ in range(8):
        refused = client.post("/documents", content=b"x" * 20_000_000)
        assert (refused.status_code, refused.json()["type"]) == (401, "urn:problem:unauthorized")


def test_a_header_too_large_is_a_problem(client: httpx.Client) -> None:
    refused = client.get("/healthz", headers={"X-Large": "x" * 40_000})
    assert refused.status_code == 400
    assert refused.json()["type"] == "urn:problem:bad-request"


def test_below_the_prefix_alone_is_anything(below_rag: Edge, address: str) -> None:
    with below_rag.client(address) as client:
        nothing = client.get("/chat")
        assert (nothing.status_code, nothing.json()["type"]) == (404, "urn:problem:not-found")
        assert client.get("/.error").status_code == 404
        assert client.post("/rag/../chat").status_code == 404


@pytest.fixture(scope="module")
def nobody(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Edge, Edge]]:
    """nginx before replicas of which none is there, and before one that takes connections and says nothing."""
    folder = tmp_path_factory.mktemp("nobody")
    deployment.names.hosts["nobody"] = ["127.0.0.8", "127.0.0.9"]
    with socket.create_server(("127.0.0.1", 0)) as mute:
        deployment.names.hosts["mute"] = ["127.0.0.1"]
        port = mute.getsockname()[1]
        with (
            nginx_before(deployment, folder / "a", EDGE_API=f"nobody:{port}") as away,
            nginx_before(deployment, folder / "b", EDGE_API=f"mute:{port}", EDGE_TIMEOUT="500ms") as silent,
        ):
            yield away, silent


def test_replicas_that_are_away_or_silent_are_problems_and_no_secret_is_logged(nobody: tuple[Edge, Edge]) -> None:
    away, silent = nobody
    for edge, status, kind in ((away, 502, "bad-gateway"), (silent, 504, "gateway-timeout")):
        with edge.client() as client:
            refused = client.post("/chat?query=my-secret", headers=bearer("rag_my-secret"))
            assert is_problem(refused, status, kind)
            assert int(refused.headers["retry-after"]) >= 1
            openai = client.post("/v1/responses", json={"input": "my-secret"})
            assert openai.status_code == status
            assert openai.json()["error"]["type"] == "server_error"
        logs = [(edge.folder / name).read_text() for name in ("access.log", "stderr.log")]
        assert f'"status":"{status}"' in logs[0]
        assert "my-secret" not in "".join(logs)


def test_no_name_for_the_replicas_is_a_problem_too(deployment: Deployment, tmp_path: Path) -> None:
    with (
        nginx_before(deployment, tmp_path / "nginx", EDGE_API="nowhere:80") as lost,
        lost.client() as client,
    ):
        assert is_problem(client.get("/healthz"), 502, "bad-gateway")
