"""Who is let in, and what the others are told."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from httpx2 import Response

from app import problems
from app.auth import dependencies as auth
from app.auth.dependencies import Admin, Asker, Ingester
from app.auth.principals import Role
from app.core.errors import ConfigurationError
from app.core.queue.pipelined import Link
from app.core.settings import Settings
from tests.support.credentials import AUDIENCE, ISSUER, LOCAL_URL, SECRET, api_key, bearer, token, unsigned_token

ADMIN_KEY, ADMIN_ENTRY = api_key("boss", tenant="acme", role="admin")
INGEST_KEY, INGEST_ENTRY = api_key("loader", tenant="acme", role="ingest")
ASK_KEY, ASK_ENTRY = api_key("web", tenant="other", role="ask")
KEYS = f"{ADMIN_ENTRY}, {INGEST_ENTRY}\n{ASK_ENTRY}"
JWT: dict[str, Any] = {"jwt_secret": SECRET, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}


def client_of(
    *, base_url: str = "http://rag.example", server: FakeServer | None = None, **settings: Any
) -> TestClient:
    """A service of three routes, one for each role."""
    app = FastAPI()
    valkey = FakeAsyncRedis(server=server or FakeServer())
    problems.install(app)
    auth.install(app, Settings(**settings), Link(valkey))

    @app.get("/ask")
    async def ask(principal: Asker) -> dict[str, str]:
        return {"tenant": principal.tenant, "name": principal.name, "key": principal.key}

    @app.get("/ingest")
    async def ingest(principal: Ingester) -> None: ...

    @app.get("/admin")
    async def admin(principal: Admin) -> None: ...

    @app.get("/address")
    async def address(request: Request) -> None: ...

    return TestClient(app, base_url=base_url)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with client_of(api_keys=KEYS) as client:
        yield client


@pytest.fixture
def anonymous() -> Iterator[TestClient]:
    with client_of(base_url=LOCAL_URL) as client:
        yield client


def assert_unauthorized(response: Response, *, is_wrong: bool) -> None:
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:problem:unauthorized"
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="rag-queue"')
    assert ('error="invalid_token"' in challenge) is is_wrong


def test_a_role_may_do_what_those_before_it_may() -> None:
    assert [[role.may(needed) for needed in Role] for role in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize(
    "headers", [bearer(ASK_KEY), {"X-API-Key": ASK_KEY}, {"Authorization": f"bearer  {ASK_KEY} "}]
)
def test_a_key_is_taken_from_either_header(client: TestClient, headers: Mapping[str, str]) -> None:
    answer = client.get("/ask", headers=headers)
    assert answer.json() == {"tenant": "other", "name": "web", "key": "other/web"}


def test_a_proxys_own_authorization_does_not_hide_the_key(client: TestClient) -> None:
    assert client.get("/ask", headers={"Authorization": "Basic eDp5", "X-API-Key": ASK_KEY}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}])
def test_no_credentials_are_a_401_that_says_how_to_show_some(client: TestClient, headers: Mapping[str, str]) -> None:
    assert_unauthorized(client.get("/ask", headers=headers), is_wrong=False)


def test_all_wrong_credentials_get_the_same_answer(client: TestClient) -> None:
    revoked, _ = api_key("gone", tenant="acme")
    shown = [revoked, ADMIN_KEY[:-1], ADMIN_KEY + "x", ADMIN_ENTRY, token(), unsigned_token(), "\xff", "x" * 9000]
    answers = [client.get("/ask", headers={b"authorization": b"Bearer " + one.encode()}) for one in shown]
    for answer in answers:
        assert_unauthorized(answer, is_wrong=True)
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json() == client.get("/ask").json()


@pytest.mark.parametrize(
    ("key", "statuses"), [(ASK_KEY, (200, 403, 403)), (INGEST_KEY, (200, 200, 403)), (ADMIN_KEY, (200, 200, 200))]
)
def test_a_role_that_is_too_small_is_a_403(client: TestClient, key: str, statuses: tuple[int, ...]) -> None:
    answers = [client.get(path, headers=bearer(key)) for path in ("/ask", "/ingest", "/admin")]
    assert tuple(answer.status_code for answer in answers) == statuses
    for answer in answers:
        if answer.status_code == 403:
            assert answer.json()["type"] == "urn:problem:forbidden"
            assert "insufficient_scope" in answer.headers["www-authenticate"]


def test_tokens_are_accepted_beside_keys() -> None:
    with client_of(api_keys=KEYS, **JWT) as client:
        assert client.get("/ask", headers=bearer(token())).json()["key"] == "acme/jwt:user-1"
        assert client.get("/ask", headers=bearer(ASK_KEY)).status_code == 200
        assert client.get("/admin", headers=bearer(token(role="admin"))).status_code == 200
        assert_unauthorized(client.get("/ask", headers=bearer(unsigned_token(role="admin"))), is_wrong=True)
        assert_unauthorized(client.get("/ask", headers=bearer(token(exp=1))), is_wrong=True)


def test_tokens_alone_are_credentials_too() -> None:
    with client_of(base_url=LOCAL_URL, **JWT) as client:
        assert_unauthorized(client.get("/ask"), is_wrong=False)
        assert client.get("/ask", headers=bearer(token())).status_code == 200


def test_an_issuer_that_is_away_is_a_503_that_says_when_to_come_back() -> None:
    with client_of(jwt_jwks_url="http://127.0.0.1:9/", jwt_issuer=ISSUER, jwt_audience=AUDIENCE) as client:
        answer = client.get("/ask", headers=bearer(token(kid="k1")))
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:issuer-unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_a_wrong_entry_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="API_KEYS: entry 1"):
        client_of(api_keys="nonsense")


def test_without_keys_this_machine_is_admin_and_needs_to_show_nothing(anonymous: TestClient) -> None:
    assert anonymous.get("/ask").json() == {"tenant": "default", "name": "anonymous", "key": "default/anonymous"}
    assert anonymous.get("/admin").status_code == 200


@pytest.mark.parametrize("base_url", ["http://10.0.0.1:8000", "http://testserver", "http://rag.example"])
def test_without_keys_every_other_address_is_a_403_that_names_the_remedy(base_url: str) -> None:
    with client_of(base_url=base_url) as client:
        answer = client.get("/ask")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:problem:keys-required")
    assert "API_KEYS" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"X-Forwarded-For": "9.9.9.9"}]
)
def test_without_keys_pages_of_other_sites_and_proxies_are_a_403(
    anonymous: TestClient, headers: Mapping[str, str]
) -> None:
    assert anonymous.get("/ask", headers=headers).status_code == 403


def test_the_openapi_document_says_that_a_key_is_needed(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"] | {"description": ""} == {
        "type": "http", "scheme": "bearer", "description": ""
    }  # fmt: skip
    assert document["paths"]["/ask"]["get"]["security"] == [{"key": []}]
