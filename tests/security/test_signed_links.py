"""What stands in an address instead of a key: it lets read one thing, until a time, and nothing else.

Routes are read from the application: each is tried with a link and with a ticket.
"""

import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from redis import Redis

from app.core import link_secret, links
from app.core.link_secret import KEY as SECRET_KEY
from app.core.links import Links
from app.core.logging import configure_logging
from app.core.settings import Settings
from app.core.signed import BadSignatureError, Grant, Purpose, read, sign
from app.main import create_app
from tests.integration.app.test_isolation import PUBLIC, SIGNING, VIEWS, path_of
from tests.support.api import serving
from tests.support.credentials import AUDIENCE, ISSUER, LOCAL_URL, SECRET, api_key, bearer, token
from tests.support.problems import assert_problem

KEY, ENTRY = api_key("web", tenant="acme", role="admin", rate="500/minute")
STRANGER_KEY, STRANGER_ENTRY = api_key("web", tenant="other", role="admin")
REVOKED_KEY, REVOKED_ENTRY = api_key("gone", tenant="acme", role="admin")
OWN = "link secret of the tests, 32 bytes"

Route = tuple[str, str]


def routes() -> list[Route]:
    app = create_app(Settings(redis_url="redis://127.0.0.1:9/0"))
    found = {(m, str(c.path_format)) for c in iter_route_contexts(app.routes) for m in c.methods or ()}
    found |= {("HEAD", path) for method, path in found if method == "GET"}
    return sorted({(method, path) for method, path in found if path not in PUBLIC | VIEWS})


ROUTES = routes()
FILE_ROUTES = {("GET", "/documents/{document_id}/file"), ("HEAD", "/documents/{document_id}/file")}
JOB_ROUTES = {(m, f"/{what}/{{job_id}}") for m in ("GET", "HEAD") for what in ("job-status", "result", "stream")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    """A client that shows nothing of itself."""
    settings = Settings(
        api_keys=f"{ENTRY},{STRANGER_ENTRY}", jwt_secret=SECRET, jwt_issuer=ISSUER, jwt_audience=AUDIENCE,
        link_secret=OWN, documents_url=str(folder),
        qdrant_url="http://127.0.0.1:9", address_rate_limit="9999/second",
    )  # fmt: skip
    app = create_app(settings, valkey=FakeAsyncRedis(server=FakeServer()))
    with TestClient(app, base_url="http://rag.example", raise_server_exceptions=False) as client:
        yield client


def add(client: Any, name: str = "notes.txt", key: str = KEY) -> str:
    answer = client.post("/documents", files={"files": (name, b"Harbour.", "text/plain")}, headers=bearer(key))
    return str(answer.json()["documents"][0]["document_id"])


def ask(client: Any, key: str = KEY) -> str:
    return str(client.post("/chat", json={"query": "q"}, headers=bearer(key)).json()["job_id"])


def ticket(client: Any, job_id: str, key: str = KEY) -> str:
    return str(client.post(f"/jobs/{job_id}/ticket", headers=bearer(key)).json()["ticket"])


def granted(**other: Any) -> str:
    """A token that was signed by the service's own secret, with some of what it says as an attacker wants it."""
    purpose = other.pop("purpose", Purpose.FILE)
    given: dict[str, Any] = {
        "tenant": "acme",
        "name": "web",
        "thing": "d1",
        "page": 3,
        "expires": int(time()) + 60,
    } | other
    return sign(OWN.encode(), Grant(purpose, **(given | other)))


def link(document_id: str, page: object = 3, **other: Any) -> str:
    return f"/documents/{document_id}/file?page={page}&sig={granted(thing=document_id, **other)}"


def test_a_link_opens_the_document_at_its_page(client: TestClient) -> None:
    document_id = add(client)
    answer = client.get(link(document_id))
    assert (answer.status_code, answer.content) == (200, b"Harbour.")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "no-cache" in answer.headers["cache-control"]
    assert client.head(link(document_id)).status_code == 200
    assert client.get(link(document_id), headers={"Range": "bytes=0-2"}).content == b"Har"


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_link_opens_no_other_route(client: TestClient, route: Route) -> None:
    if route in FILE_ROUTES or route in SIGNING:
        return
    document_id = add(client)
    for name in ("sig", "ticket"):
        query: dict[str, Any] = {"page": 3, name: granted(thing=document_id)}
        answer = client.request(route[0], path_of(route[1], document_id), params=query)
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_ticket_opens_no_other_route(client: TestClient, route: Route) -> None:
    if route in JOB_ROUTES or route in SIGNING:
        return
    job_id = ask(client)
    for name in ("sig", "ticket"):
        answer = client.request(route[0], path_of(route[1], job_id), params={"page": 0, name: ticket(client, job_id)})
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("route", sorted(JOB_ROUTES - {("GET", "/stream/{job_id}")}), ids=" ".join)
def test_a_ticket_opens_its_job_and_no_other(client: TestClient, route: Route) -> None:
    own, other = ask(client), ask(client)
    shown = {"ticket": ticket(client, own)}
    assert client.request(route[0], path_of(route[1], own), params=shown).status_code in (200, 202)
    assert client.request(route[0], path_of(route[1], own), params=shown).status_code in (200, 202), "more than once"
    assert_problem(client.get(path_of(route[1], other), params=shown), 401, "link-expired")
    assert_problem(client.get(path_of(route[1], own)), 401, "unauthorized")


@pytest.mark.parametrize(
    "other",
    [{"thing": "d2"}, {"page": 4}, {"page": 0}, {"purpose": Purpose.JOB}, {"expires": 1},
     {"expires": int(time()) - 1}, {"name": "nobody"}, {"name": ""}, {"tenant": "nobody"}],
    ids=str,
)  # fmt: skip
def test_a_token_for_something_else_opens_nothing(client: TestClient, other: dict[str, Any]) -> None:
    document_id = add(client)
    shown = granted(**{"thing": document_id, **other})
    answer = client.get(f"/documents/{document_id}/file", params={"page": 3, "sig": shown})
    assert_problem(answer, 401, "link-expired")
    assert "etch the answer again" in answer.json()["detail"]


@pytest.mark.parametrize("page", ["4", "03", "3 ", "٣", "", "3.0", "-3"])
def test_a_changed_page_is_refused(client: TestClient, page: str) -> None:
    document_id = add(client)
    answer = client.get(f"/documents/{document_id}/file", params={"page": page, "sig": granted(thing=document_id)})
    assert answer.status_code == 401
    assert client.get(f"/documents/{document_id}/file?sig={granted(thing=document_id)}").status_code == 401


def body_of(shown: str) -> list[Any]:
    body = shown.partition(".")[0]
    found: list[Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def with_body(shown: str, body: object) -> str:
    coded = urlsafe_b64encode(json.dumps(body, separators=(",", ":")).encode()).decode().rstrip("=")
    return f"{coded}.{shown.partition('.')[2]}"


def forged(shown: str) -> Iterator[str]:
    """What an attacker makes of a good token."""
    body, _, signature = shown.partition(".")
    for place, value in enumerate(["job", "other", "admin", "d2", 4, 2**40]):
        changed = body_of(shown)
        changed[place] = value
        yield with_body(shown, changed)
    yield sign(b"another secret of enough bytes...", Grant(*body_of(shown)))
    yield sign(b"", Grant(*body_of(shown)))
    yield from (
        body,
        f"{body}.",
        f".{signature}",
        "",
        ".",
        "..",
        f"{body}.{signature}=",
        f"{body}={shown}",
        shown * 2,
    )
    yield from (
        f"{shown}.",
        f" {shown}",
        f"{shown}\n",
        f"{body}..{signature}",
        shown[:-1],
        shown[1:],
        shown.swapcase(),
    )
    yield from ("é", "\x00", "x" * 5000, "[" * 2000, "null", shown + "x" * 3000)


def test_no_forged_token_opens_anything(client: TestClient) -> None:
    document_id = add(client)
    good = granted(thing=document_id)
    assert client.get(f"/documents/{document_id}/file", params={"page": 3, "sig": good}).status_code == 200
    for tried in forged(good):
        answer = client.get(f"/documents/{document_id}/file", params={"page": 3, "sig": tried})
        assert_problem(answer, 401, "link-expired")
        with pytest.raises(BadSignatureError):
            read(OWN.encode(), tried)


def test_every_flipped_bit_is_seen() -> None:
    good = granted()
    for place in range(len(good)):
        for bit in range(7):
            changed = good[:place] + chr(ord(good[place]) ^ (1 << bit)) + good[place + 1 :]
            with pytest.raises(BadSignatureError):
                read(OWN.encode(), changed)


def test_what_is_another_tenants_does_not_exist(client: TestClient) -> None:
    """A hostile record of an answer may cite any document: the link is for the reader's tenant."""
    document_id, job_id = add(client), ask(client)
    assert_problem(client.get(link(document_id, tenant="other")), 404, "document-not-found")
    assert client.post(f"/jobs/{job_id}/ticket", headers=bearer(STRANGER_KEY)).status_code == 404
    shown = granted(purpose=Purpose.JOB, thing=job_id, page=0, tenant="other")
    assert_problem(client.get(f"/result/{job_id}?ticket={shown}"), 404, "job-not-found")


def test_a_document_that_was_removed_is_gone_for_links_as_well(client: TestClient) -> None:
    document_id = add(client, "gone.txt")
    client.delete(f"/documents/{document_id}", headers=bearer(KEY))
    assert_problem(client.get(link(document_id)), 404, "document-not-found")


def test_a_link_ends_with_its_key(client: TestClient) -> None:
    """Whose entry was removed from API_KEYS has no links either; a token's ends by itself."""
    document_id = add(client)
    assert_problem(client.get(link(document_id, name="gone")), 401, "link-expired")
    assert client.get(link(document_id, name="jwt:user-1")).status_code == 200
    assert client.get(link(document_id, name=links.NEWS_NAME)).status_code == 200


def test_a_key_or_a_token_that_is_shown_is_what_counts(client: TestClient) -> None:
    document_id = add(client)
    assert client.get(link(document_id), headers=bearer("rag_wrong")).status_code == 401
    assert client.get(link(document_id) + "x", headers=bearer(KEY)).status_code == 200
    job_id = ask(client)
    made = client.post(f"/jobs/{job_id}/ticket", headers=bearer(token(tenant="acme"))).json()["ticket"]
    assert client.get(f"/result/{job_id}?ticket={made}").status_code == 202


def test_what_a_link_reads_counts_for_the_key_that_made_it(client: TestClient) -> None:
    document_id = add(client)
    before = client.get("/documents", headers=bearer(KEY)).headers["ratelimit"]
    after = client.get(link(document_id)).headers["ratelimit"]
    assert int(after.split("r=")[1].split(";")[0]) == int(before.split("r=")[1].split(";")[0]) - 1


def test_wrong_ones_are_counted_by_address_and_old_ones_are_not(folder: Path) -> None:
    settings = Settings(api_keys=ENTRY, link_secret=OWN, documents_url=str(folder), address_rate_limit="3/minute")
    with TestClient(create_app(settings, valkey=FakeAsyncRedis(server=FakeServer()))) as client:
        old = [client.get(link("d1", expires=1)).status_code for _ in range(9)]
        wrong = [client.get(link("d1", 4)).status_code for _ in range(4)]
    assert (old, wrong) == ([401] * 9, [401, 401, 401, 429])


def test_a_ticket_expires(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = ask(client)
    made = client.post(f"/jobs/{job_id}/ticket", headers=bearer(KEY)).json()
    assert made["expires_in"] == links.TICKET_SECONDS
    monkeypatch.setattr("app.core.signed.time", lambda: time() + links.TICKET_SECONDS + 1)
    assert_problem(client.get(made["urls"]["result"]), 401, "link-expired")


# -- The secret


def secret_of(url: str, key: str, valkey: Redis) -> Any:
    with httpx.Client(base_url=url, headers=bearer(key)) as client:
        ask(client)
    return valkey.get(SECRET_KEY)


def test_processes_share_a_secret_that_is_made_once(valkey_url: str, folder: Path) -> None:
    settings = Settings(redis_url=valkey_url, api_keys=ENTRY, documents_url=str(folder))
    with Redis.from_url(valkey_url) as valkey, serving(settings) as one, serving(settings) as two:
        valkey.flushall()
        with httpx.Client() as client:
            job_id = client.post(f"{one}/chat", json={"query": "q"}, headers=bearer(KEY)).json()["job_id"]
            made = client.post(f"{one}/jobs/{job_id}/ticket", headers=bearer(KEY)).json()
            assert client.get(two + made["urls"]["result"]).status_code == 202
            first = valkey.get(SECRET_KEY)
            assert secret_of(two, KEY, valkey) == first
            valkey.delete(SECRET_KEY)
            again = client.post(f"{two}/jobs/{job_id}/ticket", headers=bearer(KEY)).json()
            assert client.get(two + again["urls"]["result"]).status_code in (202, 401), "until it is read again"


@pytest.mark.parametrize("hostile", ["", "x" * 64, "f" * 63, "f" * 65, "F" * 64, "f" * 64 + "\n", "a" * 100_000])
def test_what_is_no_secret_signs_nothing(valkey_url: str, folder: Path, hostile: str) -> None:
    settings = Settings(redis_url=valkey_url, api_keys=ENTRY, documents_url=str(folder))
    with Redis.from_url(valkey_url) as valkey, serving(settings) as url:
        valkey.flushall()
        valkey.set(SECRET_KEY, hostile)
        assert link_secret.kept_secret(valkey, settings) is None
        assert secret_of(url, KEY, valkey) != hostile.encode()
        assert link_secret.kept_secret(valkey, settings) == valkey.get(SECRET_KEY)
        valkey.delete(SECRET_KEY)
        valkey.rpush(SECRET_KEY, "a list")
    with Redis.from_url(valkey_url) as valkey, serving(settings) as url:
        assert len(secret_of(url, KEY, valkey)) == 64


def test_with_a_secret_of_the_operators_none_is_kept_in_valkey(valkey_url: str, folder: Path) -> None:
    settings = Settings(redis_url=valkey_url, api_keys=ENTRY, documents_url=str(folder), link_secret=OWN)
    with Redis.from_url(valkey_url) as valkey, serving(settings) as url:
        valkey.flushall()
        assert secret_of(url, KEY, valkey) is None


def test_without_keys_nothing_is_signed_and_a_ticket_does_no_harm(folder: Path) -> None:
    server = FakeServer()
    app = create_app(Settings(documents_url=str(folder)), valkey=FakeAsyncRedis(server=server))
    with TestClient(app, base_url=LOCAL_URL) as client:
        job_id = client.post("/chat", json={"query": "q"}).json()["job_id"]
        made = client.post(f"/jobs/{job_id}/ticket").json()
        assert client.get(made["urls"]["result"]).status_code == 202
        elsewhere = client.get(made["urls"]["result"], headers={"Host": "evil.example"})
        assert_problem(elsewhere, 403, "keys-required")
    assert Links().page("d1", 3) == "/documents/d1/file#page=3"


# -- Where it is written


def test_neither_link_nor_ticket_is_in_a_log_line(
    valkey_url: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(redis_url=valkey_url, api_keys=ENTRY, documents_url=str(folder), link_secret=OWN)
    with serving(settings) as url, httpx.Client(base_url=url) as client:
        document_id, job_id = add(client), ask(client)
        for tried in (link(document_id), link(document_id, 4), link(document_id, expires=1)):
            client.get(tried)
        client.get(f"/result/{job_id}", params={"ticket": ticket(client, job_id)})
    written = "".join(capfd.readouterr())
    assert "/documents/{document_id}/file" in written
    assert "sig=" not in written
    assert "ticket=" not in written


def test_uvicorns_own_lines_have_no_query(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is started without --no-access-log."""
    root, uvicorns = logging.getLogger(), logging.getLogger("uvicorn.access")
    handlers, level = root.handlers[:], root.level
    for name, value in {"disabled": False, "propagate": True, "level": logging.INFO, "_cache": {}}.items():
        monkeypatch.setattr(uvicorns, name, value)
    try:
        configure_logging(Settings(log_format="json"))
        uvicorns.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/result/1?ticket=secret", "1.1", 200)
        written = capsys.readouterr().err
    finally:
        root.handlers[:], root.level = handlers, level
    assert "/result/1 HTTP/1.1" in written
    assert "secret" not in written


def test_a_links_address_can_be_read_by_any_parser() -> None:
    """Also for a document's id that is hostile: an answer's record is read from Valkey."""
    for document_id in ("d1", "../../v1", "a/b", "a?b#c", "é", "//evil.example", 'x"onclick=', ""):
        made = Links("https://x.example/rag", OWN.encode(), "acme", "web").page(document_id, 3)
        parts = urlsplit(made)
        assert (parts.netloc, parts.fragment) == ("x.example", "page=3")
        assert parts.path.startswith("/rag/documents/")
        assert parts.path.count("/") == 4
        assert read(OWN.encode(), parse_qs(parts.query)["sig"][0]).thing == document_id


def test_a_grant_says_all_that_it_is_for() -> None:
    grant = Grant(Purpose.FILE, "acme", "web", "d1", 3, int(time()) + 60)
    assert read(OWN.encode(), sign(OWN.encode(), grant)) == grant
    with pytest.raises(BadSignatureError):
        read(b"f" * 32, sign(OWN.encode(), grant))
