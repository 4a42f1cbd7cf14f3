"""The service behind a real nginx that takes a prefix away: every address that it gives leads back through nginx."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from pypdf import PdfReader

from tests.acceptance.edge.conftest import KEY
from tests.support.credentials import bearer
from tests.support.nginx import Edge, needs_nginx

QUESTION = "How is a boat washed?"
PREFIX = "/rag"

pytestmark = needs_nginx


@pytest.fixture
def client(below_rag: Edge, address: str) -> Iterator[httpx.Client]:
    """A client beyond nginx, without a key."""
    with below_rag.client(address) as found:
        yield found


def answered(client: httpx.Client) -> dict[str, Any]:
    asked = client.post("/rag/chat", json={"query": QUESTION}, headers=bearer(KEY) | {"Prefer": "wait=30"})
    assert asked.status_code == 200, asked.text
    body: dict[str, Any] = asked.json()
    return body


def test_every_url_of_a_job_leads_through_nginx(client: httpx.Client) -> None:
    accepted = client.post("/rag/chat", json={"query": QUESTION}, headers=bearer(KEY))
    assert accepted.status_code == 202
    urls = accepted.json()["urls"]
    assert accepted.headers["location"] == urls["status"]
    for name in ("status", "result", "stream"):
        assert urls[name].startswith("/rag/")
        assert client.get(urls[name], headers=bearer(KEY)).status_code in (200, 202), name


def test_a_citation_opens_the_page_that_says_so_without_a_key(client: httpx.Client) -> None:
    [citation] = answered(client)["result"]["citations"]
    path, _, page = citation["url"].partition("#page=")
    assert path.startswith("/rag/documents/")
    assert client.get(path.partition("?")[0]).status_code == 401
    file = client.get(path)
    assert file.status_code == 200
    text = PdfReader(BytesIO(file.content)).pages[int(page) - 1].extract_text()
    assert " ".join(citation["quote"].split()) in " ".join(text.split())


def test_a_ticket_streams_without_a_header(client: httpx.Client) -> None:
    job_id = answered(client)["job_id"]
    ticket = client.post(f"/rag/jobs/{job_id}/ticket", headers=bearer(KEY)).json()
    stream = client.get(ticket["urls"]["stream"])
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "event: answer.completed" in stream.text


def test_openais_protocol_gives_whole_addresses(client: httpx.Client) -> None:
    asked = {"model": "rag-queue", "messages": [{"role": "user", "content": QUESTION}]}
    answer = client.post("/rag/v1/chat/completions", json=asked, headers=bearer(KEY)).json()
    [annotation] = answer["choices"][0]["message"]["annotations"]
    url = urlsplit(annotation["url_citation"]["url"])
    assert f"{url.scheme}://{url.netloc}{url.path}".startswith(
        f"{client.base_url}/rag/documents/".replace("//rag", "/rag")
    )
    assert client.get(f"{url.path}?{url.query}").status_code == 200


def test_the_document_of_the_api_names_the_prefix(client: httpx.Client) -> None:
    document = client.get("/rag/openapi.json").json()
    assert [server["url"] for server in document["servers"]] == ["/rag"]
    for page in ("/rag/docs", "/rag/redoc"):
        [address] = re.findall(r'(?:spec-url=|url: )"([^"]+)"', client.get(page).text)
        assert client.get(urljoin(page, address)).json() == document


def test_the_page_and_its_session_are_below_the_prefix(client: httpx.Client) -> None:
    assert client.get("/rag", follow_redirects=True).url.path == "/rag/"
    page = client.get("/rag/", headers={"Accept": "text/html"})
    addresses = set(re.findall(r'(?:href|src)="(/[^"]*)"', page.text))
    assert len(addresses) > 3
    for address in addresses:
        assert address.startswith("/rag/"), address
        assert client.get(address, headers={"Accept": "text/html"}).status_code == 200, address
    signed_in = client.post("/rag/session", json={"key": KEY}, headers={"Origin": str(client.base_url).rstrip("/")})
    assert signed_in.is_success, signed_in.text
    cookie = signed_in.headers["set-cookie"].lower()
    assert "path=/rag;" in f"{cookie};"
    assert "secure" in cookie
