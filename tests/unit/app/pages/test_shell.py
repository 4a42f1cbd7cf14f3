"""The page's HTML before any script has run: who gets it, and that nothing in it is anyone's script or secret."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis
from fastapi.testclient import TestClient
from jinja2 import UndefinedError

from app.auth.sessions import COOKIE
from app.core.settings import Settings
from app.main import create_app
from app.pages import shell
from app.pages.assets import load
from tests.support.credentials import LOCAL_URL, api_key, bearer

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
HTML = {"Accept": CHROME}
KEY, ENTRY = api_key("anna", tenant="acme", role="admin")
POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
    "connect-src": "'self'", "form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'",
}  # fmt: skip
TEMPLATES = sorted(shell.FOLDER.iterdir())
VIEWS = [path.stem for path in TEMPLATES if "frame.html" in path.read_text()]
"""Templates that are a whole page."""
ASKS = "data-asks-for-key"


def service(**settings: Any) -> TestClient:
    app = create_app(Settings(qdrant_url="http://127.0.0.1:9", **settings), valkey=FakeAsyncRedis())
    return TestClient(app, base_url=LOCAL_URL, raise_server_exceptions=False)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with service() as client:
        yield client


@pytest.fixture
def keyed() -> Iterator[TestClient]:
    with service(api_keys=ENTRY) as client:
        yield client


def test_a_browser_gets_the_page_and_whoever_else_the_json(client: TestClient) -> None:
    page = client.get("/", headers=HTML)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text.startswith("<!doctype html>")
    for accept in ({"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": ""}):
        answer = client.get("/", headers=accept)
        assert answer.json()["status"] == "ok"
        assert answer.headers["vary"] == "Accept"
    assert client.head("/", headers=HTML).headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/page/documents", "/page/watch", "/page/jobs/any"])
def test_a_view_runs_its_own_scripts_alone_and_is_shown_in_no_frame(client: TestClient, path: str) -> None:
    headers = client.get(path, headers=HTML).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == POLICY
    assert headers["vary"] == "Accept, Cookie"
    assert headers["cache-control"] == "private, no-cache"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_a_script_a_style_or_a_handler_of_its_own(path: Any) -> None:
    """The policy forbids them: they would silently not work."""
    text = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+\s*=|javascript:", text)
    assert re.sub(r'<script type="module" src="[^"]+"></script>', "", text).count("<script") == 0
    assert "|safe" not in text.replace(" ", "")


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_view_names_is_there(client: TestClient, view: str) -> None:
    address = {"ask": "/", "job": "/page/jobs/0"}.get(view, f"/page/{view}")
    text = client.get(address, headers=HTML).text
    named = re.findall(r'(?:src|href)="([^"]+)"', text)
    static = [one for one in named if "/static/" in one]
    assert f"/page/static/{load().digest}/{view}.js" in static
    for one in static:
        assert client.get(one).status_code == 200
    assert len(re.findall(r'\sid="', text)) == len(set(re.findall(r'\sid="([^"]+)"', text))), "an id stands twice"


def test_what_a_template_is_given_is_text_and_what_it_is_not_given_is_an_error() -> None:
    hostile = '"><script>alert(1)</script>'
    made = shell.shell("ask", hostile, asks_for_key=False, keeps_ratings=True, upload_max_mb=1)
    assert "<script>alert" not in bytes(made.body).decode()
    templates = shell._templates()
    with pytest.raises(UndefinedError):
        templates.get_template("ask.html").render(view="ask", base="")


@pytest.mark.parametrize("path", ["/", "/page/documents", "/page/watch", "/page/jobs/any"])
@pytest.mark.parametrize(("shown", "asks"), [
    ({}, True), (bearer("any"), False), ({"X-API-Key": "any"}, False), ({"Cookie": f"{COOKIE}=any"}, False),
    ({"Cookie": "other=1"}, True),
])  # fmt: skip
def test_the_page_asks_for_a_key_at_once_where_nothing_is_shown(
    keyed: TestClient, path: str, shown: Mapping[str, str], asks: bool
) -> None:
    text = keyed.get(path, headers={**HTML, **shown}).text
    assert (ASKS in text) is asks


def test_whether_an_answer_was_good_is_asked_where_it_is_kept(client: TestClient, tmp_path: Path) -> None:
    asks = "Was this answer good?"
    assert asks not in client.get("/", headers=HTML).text
    with service(database_url=f"sqlite:///{tmp_path}/log.db") as keeping:
        assert asks in keeping.get("/", headers=HTML).text


def test_without_keys_nobody_is_asked(client: TestClient) -> None:
    assert ASKS not in client.get("/", headers=HTML).text


def test_behind_a_proxys_prefix_every_address_has_it() -> None:
    with service(public_url="https://host.example/rag", api_keys=ENTRY) as client:
        text = client.get("/", headers=HTML).text
    addresses = re.findall(r'(?:src|href|data-base)="([^"#]+)"', text)
    assert len(addresses) > 5
    assert all(one == "/rag" or one.startswith("/rag/") for one in addresses), addresses
