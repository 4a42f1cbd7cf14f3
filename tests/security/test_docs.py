"""Whoever can change what a CDN serves: the pages of the documentation run what is pinned, or nothing."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from app.core.settings import Settings
from app.main import create_app
from tests.support.credentials import LOCAL_URL

PAGES = ["/docs", "/redoc"]
PINNED = re.compile(r"https://cdn\.jsdelivr\.net/npm/[a-z-]+@\d+\.\d+\.\d+/[\w./-]+")


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(Settings(redis_url="redis://nowhere")), base_url=LOCAL_URL)


class _Tags(HTMLParser):
    """The attributes of each tag, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and data.strip():
            self.scripts.append(data)


@pytest.mark.parametrize("path", PAGES)
def test_all_that_a_page_loads_from_elsewhere_is_of_one_version_and_of_one_hash(
    client: TestClient, path: str
) -> None:
    found = [
        (tag, given) for tag, given in _Tags(client.get(path).text).tags if given.get("src") or given.get("href")
    ]
    assert found
    for tag, given in found:
        assert tag in ("script", "link")
        assert PINNED.fullmatch(str(given.get("src") or given.get("href")))
        assert len(base64.b64decode(str(given["integrity"]).removeprefix("sha384-"), validate=True)) == 48
        assert given["crossorigin"] == "anonymous"


@pytest.mark.parametrize("path", PAGES)
def test_the_policy_lets_run_what_the_page_names_and_no_other_script(client: TestClient, path: str) -> None:
    answer = client.get(path)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    seen = _Tags(answer.text)
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in seen.scripts
    }
    sources = {str(given["src"]) for _, given in seen.tags if given.get("src")}
    assert set(policy["script-src"].split()) == hashes | sources
    assert (
        policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    )
    assert policy["connect-src"] == "'self'"
    for _, given in seen.tags:
        assert not [name for name in given if name.startswith("on")]
        assert not given.get("href") or str(given["href"]) in policy["style-src"]


def test_no_other_page_runs_a_script(client: TestClient) -> None:
    for path in ("/", "/healthz", "/openapi.json", "/nowhere", "/docs/oauth2-redirect"):
        assert client.get(path).headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_the_document_that_they_show_is_there(client: TestClient) -> None:
    assert 'url: "openapi.json"' in client.get("/docs").text
    assert 'spec-url="openapi.json"' in client.get("/redoc").text
    assert client.get("/openapi.json").json()["info"]["title"] == "rag-queue"
