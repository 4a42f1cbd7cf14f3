"""A cookie that lets in: as its key does and no further, from the service's own pages alone, and until its time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
from redis import Redis

from app.auth.principals import Role
from app.auth.sessions import COOKIE, SESSION_SECONDS
from app.core.settings import Settings
from app.core.signed import Grant, Purpose, read, sign
from tests.integration.app.test_isolation import ROLES, ROUTES, Route, path_of, shown, status_of
from tests.support.api import serving
from tests.support.credentials import SECRET, api_key, bearer, token
from tests.support.processes import wait_until

OWN = "the operator's own secret, 32 bytes"
KEYS = {role: api_key(role.value, tenant="acme", role=role.value) for role in Role}
RATED_KEY, RATED_ENTRY = api_key("rated", tenant="acme", rate="3/minute")
ENTRIES = ",".join([*(entry for _, entry in KEYS.values()), RATED_ENTRY])
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
UNSAFE = [route for route in ROUTES if route[0] != "GET"]
SAFE = [route for route in ROUTES if route[0] == "GET"]


@contextmanager
def service(valkey_url: str, folder: Path, **settings: Any) -> Iterator[httpx.Client]:
    """A client that shows nothing of itself, and keeps no cookie."""
    stated: Mapping[str, Any] = {
        "redis_url": valkey_url,
        "qdrant_url": "http://127.0.0.1:9",
        "data_dir": folder,
        "api_keys": ENTRIES,
        "jwt_secret": SECRET,
        "link_secret": OWN,
        "address_rate_limit": "99999/second",
    }
    with serving(Settings(_env_file=None, **{**stated, **settings})) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def client(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with Redis.from_url(valkey_url) as valkey:
        valkey.flushall()
    with service(valkey_url, tmp_path_factory.mktemp("sessions")) as client:
        yield client


def signed_in(client: httpx.Client, key: str) -> str:
    """The cookie's value, which the client does not keep."""
    answer = client.post("/session", json={"key": key}).raise_for_status()
    value = answer.cookies[COOKIE]
    client.cookies.clear()
    return value


def cookie(value: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={value}", **headers}


def forged(**other: Any) -> str:
    """A session that the operator's secret has signed."""
    given = {"purpose": Purpose.SESSION, "tenant": "acme", "name": "jwt:anna", "thing": "ask:", "page": 0}
    return sign(OWN.encode(), Grant(**{**given, "expires": int(time()) + 60, **other}))


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:problem:")


def test_signing_in_sets_a_cookie_that_no_script_and_no_other_site_gets(client: httpx.Client) -> None:
    answer = client.post("/session", json={"key": KEYS[Role.INGEST][0]})
    client.cookies.clear()
    assert answer.status_code == 200
    body = answer.json()
    assert (body["tenant"], body["name"], body["role"]) == ("acme", "ingest", "ingest")
    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "SameSite=strict", "Path=/", attributes[1]}
    assert attributes[1].startswith("Max-Age=")
    assert SESSION_SECONDS - 60 < int(attributes[1].partition("=")[2]) <= SESSION_SECONDS
    assert KEYS[Role.INGEST][0] not in value
    asked = client.get("/session", headers=cookie(value.partition("=")[2]))
    assert asked.json() == body


def test_a_key_in_the_header_is_told_who_it_is_and_expires_never(client: httpx.Client) -> None:
    told = client.get("/session", headers=bearer(KEYS[Role.ADMIN][0])).json()
    assert told == {"tenant": "acme", "name": "admin", "role": "admin", "expires_at": None}


def test_a_tokens_session_ends_with_the_token(client: httpx.Client) -> None:
    soon = int(time()) + 100
    held = read(OWN.encode(), signed_in(client, token(exp=soon, iss=None, aud=None)))
    assert held.expires == soon
    late = read(OWN.encode(), signed_in(client, token(exp=soon + 10**6, iss=None, aud=None)))
    assert late.expires <= time() + SESSION_SECONDS


@pytest.mark.parametrize("route", ROUTES, ids=shown)
def test_on_every_route_a_cookie_is_what_its_key_is(client: httpx.Client, route: Route) -> None:
    for role, (key, _) in KEYS.items():
        by_key = status_of(client, route, path_of(route[1]), bearer(key))
        by_cookie = status_of(client, route, path_of(route[1]), cookie(signed_in(client, key), **SAME_ORIGIN))
        assert by_cookie == by_key
        assert (by_cookie == 403) is not role.may(ROLES[route])


@pytest.mark.parametrize("sent", [
    {}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "http://["},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("route", UNSAFE, ids=shown)
def test_what_changes_anything_is_taken_from_own_pages_alone(
    client: httpx.Client, route: Route, sent: Mapping[str, str]
) -> None:
    value = signed_in(client, KEYS[Role.ADMIN][0])
    answer = client.request(route[0], path_of(route[1]), headers=cookie(value, **sent))
    assert answer.status_code == 403
    assert "other_site" in answer.text or "urn:problem:other-site" in answer.text


def test_another_page_with_a_forged_origin_beside_is_another_page(client: httpx.Client) -> None:
    value, own = signed_in(client, KEYS[Role.ADMIN][0]), str(client.base_url).rstrip("/")
    headers = cookie(value, Origin=own, **{"Sec-Fetch-Site": "cross-site"})
    assert kind(client.post("/chat", json={"query": "?"}, headers=headers)) == (403, "other-site")


def test_without_sec_fetch_site_the_services_own_origin_will_do(client: httpx.Client) -> None:
    value, own = signed_in(client, KEYS[Role.ADMIN][0]), str(client.base_url).rstrip("/")
    assert client.post("/chat", json={"query": "?"}, headers=cookie(value, Origin=own)).status_code == 202


@pytest.mark.parametrize("route", SAFE, ids=shown)
def test_what_changes_nothing_may_be_opened_from_anywhere(client: httpx.Client, route: Route) -> None:
    value = signed_in(client, KEYS[Role.ADMIN][0])
    assert status_of(client, route, path_of(route[1]), cookie(value, **{"Sec-Fetch-Site": "none"})) not in (401, 403)


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}], ids=str)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_another_site_signs_nobody_in_or_out(client: httpx.Client, method: str, headers: Mapping[str, str]) -> None:
    body = {"key": KEYS[Role.ASK][0]} if method == "POST" else None
    answer = client.request(method, "/session", headers=headers, json=body)
    assert kind(answer) == (403, "other-site")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("make", [
    lambda: "", lambda: "x", lambda: "x.y", lambda: forged(purpose=Purpose.FILE), lambda: forged(purpose=Purpose.JOB),
    lambda: forged(thing="root:"), lambda: forged(thing="admin"), lambda: forged(expires=1),
    lambda: forged(name="admin", thing="admin:"), lambda: forged(name="admin", thing="admin:" + "0" * 32),
    lambda: forged(name="gone"), lambda: forged(tenant="other", name="admin"),
    lambda: sign(b"another secret", Grant(Purpose.SESSION, "acme", "jwt:anna", "ask:", 0, 2**40)),
])  # fmt: skip
def test_what_is_no_session_of_a_key_that_is_known_lets_nobody_in(
    client: httpx.Client, make: Callable[[], str]
) -> None:
    answer = client.get("/session", headers=cookie(make()))
    assert kind(answer) == (401, "session-ended")


def test_a_session_is_no_link_and_no_ticket(client: httpx.Client) -> None:
    value = signed_in(client, KEYS[Role.ADMIN][0])
    job_id = client.post("/chat", json={"query": "?"}, headers=bearer(KEYS[Role.ADMIN][0])).json()["job_id"]
    assert client.get(f"/job-status/{job_id}", params={"ticket": value}).status_code == 401
    assert client.get("/documents/d/file", params={"sig": value, "page": 0}).status_code == 401


def test_a_key_that_is_gone_or_may_less_ends_or_lowers_its_sessions(
    valkey_url: str, tmp_path: Path, client: httpx.Client
) -> None:
    value = signed_in(client, KEYS[Role.ADMIN][0])
    _, others = KEYS[Role.ASK]
    with service(valkey_url, tmp_path, api_keys=others) as other:
        assert kind(other.get("/session", headers=cookie(value))) == (401, "session-ended")
    lowered = KEYS[Role.ADMIN][1].replace(":admin:", ":ask:")
    with service(valkey_url, tmp_path, api_keys=lowered) as other:
        assert other.get("/session", headers=cookie(value)).json()["role"] == "ask"
        assert other.get("/queues", headers=cookie(value)).status_code == 403
    _, replaced = api_key("admin", tenant="acme", role="admin")
    with service(valkey_url, tmp_path, api_keys=replaced) as other:
        assert kind(other.get("/session", headers=cookie(value))) == (401, "session-ended"), "another key of its name"
    raised = KEYS[Role.ASK][1].replace(":ask:", ":admin:")
    with service(valkey_url, tmp_path, api_keys=raised) as other:
        low = cookie(signed_in(client, KEYS[Role.ASK][0]))
        assert other.get("/session", headers=low).json()["role"] == "ask", "until they sign in again"


def test_tokens_sessions_end_where_tokens_are_taken_no_more(valkey_url: str, tmp_path: Path) -> None:
    with service(valkey_url, tmp_path, jwt_secret=None) as client:
        assert kind(client.get("/session", headers=cookie(forged()))) == (401, "session-ended")


@pytest.mark.parametrize("altered", [
    {"thing": "ask:"}, {"thing": "ask:None"}, {"thing": "ask:" + "0" * 32}, {"role": "admin"}, {"tenant": "other"},
    {"name": "jwt:otto"}, {"expires": 2**40},
], ids=str)  # fmt: skip
def test_who_knows_the_signing_secret_alone_makes_and_alters_no_tokens_session(
    client: httpx.Client, altered: dict[str, Any]
) -> None:
    """Valkey may hold that secret; it never holds JWT_SECRET."""
    value = signed_in(client, token(sub="anna", tenant="acme", iss=None, aud=None))
    assert client.get("/session", headers=cookie(value)).json()["name"] == "jwt:anna"
    held = read(OWN.encode(), value)
    if "role" in altered:
        altered = {"thing": held.thing.replace("ask:", "admin:")}
    other = sign(OWN.encode(), held._replace(**altered))
    assert kind(client.get("/session", headers=cookie(other))) == (401, "session-ended")


def test_another_secret_for_tokens_ends_their_sessions(valkey_url: str, tmp_path: Path, client: httpx.Client) -> None:
    value = signed_in(client, token(iss=None, aud=None))
    with service(valkey_url, tmp_path, jwt_secret=SECRET[:-1] + "t") as other:
        assert kind(other.get("/session", headers=cookie(value))) == (401, "session-ended")
    issuer = {"jwt_jwks_url": "http://127.0.0.1:9/jwks", "jwt_issuer": "https://i.example", "jwt_audience": "rag"}
    with service(valkey_url, tmp_path, jwt_secret=None, **issuer) as other:
        assert kind(other.get("/session", headers=cookie(value))) == (401, "session-ended")


def test_whose_session_another_site_has_used_is_logged(
    client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    value = signed_in(client, KEYS[Role.ADMIN][0])
    headers = cookie(value, **{"Sec-Fetch-Site": "cross-site", "X-Request-ID": "other-site-1"})
    assert client.post("/chat", json={"query": "?"}, headers=headers).status_code == 403
    written: list[str] = []

    def line() -> str | None:
        """It is written when the client has its answer, and so perhaps after the client has read it."""
        written.append(capfd.readouterr().err)
        return next((line for line in "".join(written).splitlines() if '"other-site-1"' in line), None)

    assert '"principal":"acme/admin"' in wait_until(line, "the request's line")


def test_wrong_keys_and_cookies_are_counted_by_address_and_old_ones_are_not(valkey_url: str, tmp_path: Path) -> None:
    with Redis.from_url(valkey_url) as valkey:
        valkey.flushall()
    with service(valkey_url, tmp_path, address_rate_limit="2/minute") as client:
        for _ in range(4):
            assert client.get("/session", headers=cookie(forged(expires=1))).status_code == 401
        assert kind(client.post("/session", json={"key": "rag_wrong"})) == (401, "unauthorized")
        assert client.get("/session", headers=cookie("x.y")).status_code == 401
        assert client.post("/session", json={"key": "rag_wrong"}).status_code == 429
        assert client.get("/session", headers=cookie("x.y")).status_code == 429
        assert client.post("/session", json={"key": KEYS[Role.ASK][0]}).status_code == 200


def test_the_keys_rate_is_one_for_key_and_cookie(valkey_url: str, tmp_path: Path) -> None:
    with Redis.from_url(valkey_url) as valkey:
        valkey.flushall()
    with service(valkey_url, tmp_path) as client:
        value = signed_in(client, RATED_KEY)
        assert client.get("/session", headers=cookie(value)).status_code == 200
        assert client.get("/session", headers=bearer(RATED_KEY)).status_code == 200
        assert client.get("/session", headers=cookie(value)).status_code == 429


@pytest.mark.parametrize("value", ["", "x", "x.y"])
def test_signing_out_takes_the_cookie_away_whatever_it_is_worth(client: httpx.Client, value: str) -> None:
    answer = client.delete("/session", headers=cookie(value, **SAME_ORIGIN))
    assert answer.status_code == 204
    assert answer.headers["set-cookie"].startswith(f'{COOKIE}=""; ')
    assert "Max-Age=0; Path=/;" in answer.headers["set-cookie"]


def test_under_https_and_a_prefix_the_cookie_is_for_them_alone(valkey_url: str, tmp_path: Path) -> None:
    with service(valkey_url, tmp_path, public_url="https://host.example/rag") as client:
        answer = client.post(
            "/session", json={"key": KEYS[Role.ADMIN][0]}, headers={"Origin": "https://HOST.example"}
        )
        attributes = answer.headers["set-cookie"].split("; ")
        assert {"Secure", "Path=/rag"} <= set(attributes)
        value = attributes[0].partition("=")[2]
        for origin, status in (("https://host.example", 202), (str(client.base_url).rstrip("/"), 403)):
            headers = cookie(value, Origin=origin)
            assert client.post("/chat", json={"query": "?"}, headers=headers).status_code == status


def test_without_keys_everyone_here_is_the_same_and_needs_no_cookie(valkey_url: str, tmp_path: Path) -> None:
    with service(valkey_url, tmp_path, api_keys=None, jwt_secret=None) as client:
        for answer in (client.get("/session"), client.post("/session", json={"key": "any"})):
            assert answer.json() == {"tenant": "default", "name": "anonymous", "role": "admin", "expires_at": None}
            assert "set-cookie" not in answer.headers


def test_no_other_origin_may_use_cookies(valkey_url: str, tmp_path: Path) -> None:
    page = {"Origin": "https://app.example"}
    with service(valkey_url, tmp_path, cors_origins=page["Origin"]) as client:
        value = signed_in(client, KEYS[Role.ADMIN][0])
        asked = {**page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        for answer in (
            client.options("/session", headers=asked),
            client.get("/session", headers={**page, **cookie(value)}),
        ):
            assert answer.headers["access-control-allow-origin"] == page["Origin"]
            assert "access-control-allow-credentials" not in answer.headers
        refused = client.post("/chat", json={"query": "?"}, headers={**page, **cookie(value)})
        assert kind(refused) == (403, "other-site")


def test_what_is_no_key_is_refused_without_a_word_of_it(client: httpx.Client) -> None:
    for body in ({"key": "rag_secret" * 1000}, {"key": "rag_secret", "more": 1}, {"key": ["rag_secret"]}):
        answer = client.post("/session", json=body)
        assert answer.status_code == 422
        assert "rag_secret" not in answer.text
