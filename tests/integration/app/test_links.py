"""Every link of every response, by every way to say where the service is: each leads back to it, through the proxy.

Links are found in the responses, not listed: a field or a header that is added is followed as well.
"""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urlsplit

import httpx
import orjson
import pytest
from redis import Redis

from app.core.contract import SearchHit, SearchResult, Timings, page_url
from app.core.settings import Settings
from tests.support.acting import ActingWorker, answer
from tests.support.api import serving
from tests.support.credentials import api_key, bearer

KEY, ENTRY = api_key("web", tenant="acme", role="admin")
HOST = "rag.example"


@dataclass(frozen=True)
class Way:
    """A way to say where the service is, and how each link begins then."""

    begins: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    root_path: str = ""
    whole: str = f"http://{HOST}"
    """How links begin that have scheme and host, as OpenAI's clients want them."""


TRUSTED = {"trusted_proxies": "127.0.0.1"}
PROXIED = {"X-Forwarded-Prefix": "/rag", "X-Forwarded-Host": "x.example", "X-Forwarded-Proto": "https"}
WAYS: Mapping[str, Way] = {
    "nothing": Way("/"),
    "uvicorn --root-path": Way("/rag/", root_path="/rag", whole=f"http://{HOST}/rag"),
    "PUBLIC_URL": Way(
        "https://x.example/", {"public_url": "https://x.example"}, whole="https://x.example"
    ),
    "PUBLIC_URL with a path": Way(
        "https://x.example/rag/", {"public_url": "https://x.example/rag/"}, whole="https://x.example/rag"
    ),
    "PUBLIC_URL with a path of ours": Way(
        "https://x.example/search/", {"public_url": "https://x.example/search"}, whole="https://x.example/search"
    ),
    "PUBLIC_URL, --root-path and a proxy's headers": Way(
        "https://y.example/one/two/", TRUSTED | {"public_url": "https://y.example/one/two"}, PROXIED, "/rag",
        "https://y.example/one/two",
    ),
    "a trusted proxy's prefix": Way(
        "/rag/", TRUSTED, {"X-Forwarded-Prefix": "/rag"}, whole=f"http://{HOST}/rag"
    ),
    "a trusted proxy's prefix, host and scheme": Way("/rag/", TRUSTED, PROXIED, whole="https://x.example/rag"),
    "a trusted proxy's prefix instead of --root-path": Way(
        "/rag/", TRUSTED, {"X-Forwarded-Prefix": "/rag/"}, "/other", f"http://{HOST}/rag"
    ),
    "a proxy that nobody trusts": Way("/", {}, PROXIED, whole=f"http://{HOST}"),
}  # fmt: skip


class Proxied:
    """A client behind a proxy that takes the prefix away, as nginx does with a slash after `proxy_pass`'s address."""

    def __init__(self, client: httpx.Client, way: Way) -> None:
        self._client = client
        self._prefix = urlsplit(way.begins).path.rstrip("/")
        self._way = way

    def request(self, method: str, url: str, *, key: str | None = KEY, **options: Any) -> httpx.Response:
        """The answer to a link as a browser follows it."""
        parts = urlsplit(urldefrag(url).url)
        assert parts.netloc in ("", urlsplit(self._way.whole).netloc), f"{url} leads elsewhere"
        assert parts.path.startswith(self._prefix + "/"), f"{url} does not begin with the prefix"
        path = parts.path[len(self._prefix) :] + (f"?{parts.query}" if parts.query else "")
        headers = {"Host": HOST, **self._way.headers, **(bearer(key) if key else {}), **options.pop("headers", {})}
        return self._client.request(method, path, headers=headers, **options)

    def ours(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer to a path of ours, which the client has put behind the prefix."""
        return self.request(method, self._prefix + path, **options)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@contextmanager
def behind(way: Way, valkey_url: str, folder: Path, **more: Any) -> Iterator[Proxied]:
    settings = Settings(
        redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", documents_url=str(folder), **way.settings, **more
    )
    with (
        Redis.from_url(valkey_url) as valkey,
        serving(settings, root_path=way.root_path) as url,
        httpx.Client(base_url=url, timeout=20) as client,
    ):
        valkey.flushall()
        yield Proxied(client, way)


@pytest.fixture
def client(way: Way, valkey_url: str, tmp_path: Path) -> Iterator[Proxied]:
    with behind(way, valkey_url, tmp_path, api_keys=ENTRY) as client:
        yield client


@pytest.fixture
def worker(valkey_url: str) -> Iterator[ActingWorker]:
    with Redis.from_url(valkey_url) as valkey:
        yield ActingWorker(valkey)


LINK = re.compile(r"(?:https?:/)?/[A-Za-z0-9]\S*")


def links_in(value: object) -> Iterator[str]:
    """What looks like a link, in the values of a JSON document."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from links_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from links_in(inner)
    elif isinstance(value, str) and LINK.fullmatch(value):
        yield value


def links_of(response: httpx.Response) -> list[str]:
    """Every link of a response: its headers' and those of its body, or of its events."""
    found = [response.headers[name] for name in ("location", "content-location", "link") if name in response.headers]
    kind = response.headers.get("content-type", "")
    if kind.startswith("text/event-stream"):
        for line in response.text.splitlines():
            if line.startswith("data: {"):
                found += links_in(orjson.loads(line.removeprefix("data: ")))
    elif "json" in kind:
        found += links_in(response.json())
    return found


def walk(client: Proxied, worker: ActingWorker) -> Iterator[tuple[str, httpx.Response]]:
    """Every route's answer that has an answer, by name."""

    def get(path: str) -> tuple[str, httpx.Response]:
        return f"GET {path.partition('?')[0]}", client.ours("GET", path)

    uploaded = client.ours("POST", "/documents", files={"files": ("a.txt", b"Harbour.", "text/plain")})
    yield "POST /documents", uploaded
    document_id = uploaded.json()["documents"][0]["document_id"]
    yield get("/documents")
    yield get(f"/documents/{document_id}")
    yield get("/")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(client.ours, "POST", "/chat", json={"query": "q"}, headers={"Prefer": "wait=20"})
        answered_by(worker, document_id)
        yield "POST /chat, waited for", asked.result()
        messages = {"model": "rag-queue", "messages": [{"role": "user", "content": "q"}]}
        completed = pool.submit(client.ours, "POST", "/v1/chat/completions", json=messages)
        answered_by(worker, document_id)
        yield "POST /v1/chat/completions", completed.result()
        streamed = pool.submit(client.ours, "POST", "/v1/chat/completions", json=messages | {"stream": True})
        answered_by(worker, document_id)
        yield "POST /v1/chat/completions, streamed", streamed.result()
        body = {"model": "rag-queue", "input": "q"}
        responded = pool.submit(client.ours, "POST", "/v1/responses", json=body)
        answered_by(worker, document_id)
        yield "POST /v1/responses", responded.result()
    response_id = responded.result().json()["id"]
    yield get(f"/v1/responses/{response_id}")
    yield get(f"/v1/responses/{response_id}?stream=true")
    taken = client.ours("POST", "/chat", json={"query": "q"})
    job_id = answered_by(worker, document_id)  # first: a link to the stream of a job that waits has no end
    yield "POST /chat", taken
    for path in ("/job-status", "/result", "/stream"):
        yield get(f"{path}/{job_id}")
    yield "POST /jobs/{job_id}/ticket", client.ours("POST", f"/jobs/{job_id}/ticket")
    searched = client.ours("POST", "/search", json={"query": "q"})
    found_by(worker, document_id)
    yield "POST /search", searched
    yield get(f"/result/{searched.json()['job_id']}")
    for path in ("/queues", "/jobs?status=failed", "/v1/models", "/nowhere", "/v1/nowhere", "/result/none"):
        yield get(path)
    yield "POST /documents/", client.ours("POST", "/documents/")
    yield "GET /healthz/", client.ours("GET", "/healthz/?a=b")


def answered_by(worker: ActingWorker, document_id: str) -> str:
    job_id = worker.take()
    made = answer("At six. [1]", pages=[3])
    [cited] = made.citations
    own = cited.model_copy(update={"document_id": document_id, "url": page_url(document_id, 3)})
    worker.start(job_id)
    worker.finish(job_id, made.model_copy(update={"citations": (own,)}))
    return job_id


def found_by(worker: ActingWorker, document_id: str) -> None:
    hit = SearchHit(
        document_id=document_id, filename="a.txt", page=2, text="Harbour.", score=1, url=page_url(document_id, 2)
    )
    result = SearchResult(hits=(hit,), timings_ms=Timings(queued=0, retrieval=0, generation=0, total=0))
    worker.finish(worker.take(), result)


WITH_LINKS = {
    "POST /documents", "GET /documents", "GET /", "POST /chat", "POST /chat, waited for", "POST /search",
    "POST /v1/chat/completions", "POST /v1/chat/completions, streamed", "POST /v1/responses",
    "POST /jobs/{job_id}/ticket", "POST /documents/", "GET /healthz/",
}  # fmt: skip


def test_every_link_of_every_response_leads_back(client: Proxied, worker: ActingWorker, way: Way) -> None:
    seen = {}
    for name, response in walk(client, worker):
        assert response.status_code < 500, (name, response.text)
        for link in links_of(response):
            where = way.whole + "/" if name.partition(" ")[2].startswith("/v1") else way.begins
            if response.status_code == 307:  # a path, right by whatever name the service was called
                where = urlsplit(way.begins).path
            assert link.startswith(where), (name, link)
            method = "POST" if link.endswith("/cancel") or name == "POST /documents/" else "GET"
            followed = client.request(method, link)
            # What is at the address has answered; that this service has neither worker nor Qdrant, too.
            is_there = followed.status_code in (200, 202, 204, 415) or "checks" in followed.text
            assert is_there, (name, link, followed.text)
            seen[name] = link
    assert set(seen) >= WITH_LINKS


def test_a_citations_link_opens_the_file_without_a_key(client: Proxied, worker: ActingWorker) -> None:
    """As a person follows it, whose browser sends none."""
    tried = 0
    for _, response in walk(client, worker):
        for link in links_of(response):
            if "/file" in link and "#page=" in link:
                followed = client.request("GET", link, key=None)
                assert (followed.status_code, followed.content) == (200, b"Harbour."), link
                tried += 1
            elif "ticket=" in link:
                assert client.request("GET", link, key=None).status_code in (200, 204), link
                tried += 1
    assert tried >= 10


def test_the_openapi_document_says_where_the_service_is(client: Proxied, way: Way) -> None:
    servers = client.ours("GET", "/openapi.json", key=None).json().get("servers", [])
    base = way.begins.rstrip("/")
    assert servers == ([{"url": base}] if base else [])
    for page in ("/docs", "/redoc"):
        assert '"openapi.json"' in client.ours("GET", page, key=None).text, "a relative link, right under any prefix"


def test_limits_by_path_hold_under_a_prefix(client: Proxied) -> None:
    """300 KiB is more than a question may have and less than a file."""
    large = b"x" * 300 * 1024
    assert client.ours("POST", "/documents", files={"files": ("b.txt", large, "text/plain")}).status_code == 202
    assert client.ours("POST", "/chat", json={"query": "x" * 300 * 1024}).status_code == 413
    assert '{"query"' in client.ours("POST", "/chat", json={}).json()["detail"]


@pytest.mark.parametrize(
    "prefix",
    ["//evil.example", "/\\evil.example", "javascript:alert(1)", "https://evil.example", "/..", "/a/../b", "/.",
     "/a//b", "/a b", "/a?b", "/a#b", "/%2e%2e", "/é", "/a\tb", "evil", "/" + "x" * 300, "/a,/b", "/a;b", "/<script>",
     "/@evil"],
)  # fmt: skip
def test_a_hostile_prefix_of_a_trusted_proxy_is_not_believed(valkey_url: str, tmp_path: Path, prefix: str) -> None:
    with behind(Way("/", TRUSTED), valkey_url, tmp_path, api_keys=ENTRY) as client:
        sent = {b"X-Forwarded-Prefix": prefix.encode()}
        root = client._client.get("/", headers=sent)
        assert root.json()["docs"] == "/docs"
        assert client._client.get("/", headers=[("X-Forwarded-Prefix", "/a")] * 2).json()["docs"] == "/docs"


@pytest.mark.parametrize(
    "host", ["evil.example/path", "evil.example, x.example", "a@b", "a b", "[::1", "a:b", "a:123456", "", "é", "-"]
)
def test_a_hostile_host_of_a_trusted_proxy_is_not_believed(
    valkey_url: str, tmp_path: Path, worker: ActingWorker, host: str
) -> None:
    with behind(Way("/", TRUSTED), valkey_url, tmp_path, api_keys=ENTRY) as client:
        body = {"model": "rag-queue", "input": "q", "background": True}
        made = client.ours("POST", "/v1/responses", json=body)
        answered_by(worker, "d1")
        headers = {b"X-Forwarded-Host": host.encode()}
        shown = client._client.get(
            f"/v1/responses/{made.json()['id']}",
            headers={**headers, b"Host": HOST.encode(), b"Authorization": b"Bearer " + KEY.encode()},
        )
        [link] = [link for link in links_of(shown) if "/documents/" in link]
        assert link.startswith(f"http://{HOST}/documents/")


@pytest.mark.parametrize("path", ["//evil.example/", "//evil.example//", "/documents/", "/%2F/evil.example/"])
def test_a_redirect_leads_to_no_other_host(valkey_url: str, tmp_path: Path, path: str) -> None:
    with behind(Way("/"), valkey_url, tmp_path, api_keys=ENTRY) as client:
        where = client._client.get(path, headers={"Host": "evil.example"}).headers.get("location", "/")
        assert re.match(r"/(?![/\\])", where)
