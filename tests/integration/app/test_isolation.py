"""The isolation table: every route that takes an id, tried with everyone's credentials but its owner's.

Routes are read from the application: one that nobody has entered here fails the test.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from redis import Redis

from app.auth.principals import Role
from app.auth.sessions import COOKIE
from app.core.settings import Settings
from app.main import create_app
from tests.support.api import serving
from tests.support.conversations import add_conversation
from tests.support.credentials import AUDIENCE, ISSUER, SECRET, api_key, bearer, token, unsigned_token

Route = tuple[str, str]
"""Method and path template."""

OWNER_KEY, OWNER_ENTRY = api_key("owner", tenant="acme", role="admin")
ASK_KEY, ASK_ENTRY = api_key("asker", tenant="acme", role="ask")
INGEST_KEY, INGEST_ENTRY = api_key("loader", tenant="acme", role="ingest")
STRANGER_KEY, STRANGER_ENTRY = api_key("owner", tenant="other", role="admin")
REVOKED_KEY, _ = api_key("revoked", tenant="acme", role="admin")
OWN_CLAIMS: dict[str, Any] = {"tenant": "acme", "role": "admin", "sub": "owner"}

NOBODY: Mapping[str, Mapping[str, str]] = {
    "nothing": {},
    "a wrong key": bearer("rag_wrong"),
    "a wrong key, in the other header": {"X-API-Key": "rag_wrong"},
    "a revoked key": bearer(REVOKED_KEY),
    "the hash of the owner's key": bearer(OWNER_ENTRY.rsplit(":", 1)[1]),
    "alg: none": bearer(unsigned_token(**OWN_CLAIMS)),
    "an expired token": bearer(token(**OWN_CLAIMS, exp=1)),
    "a token signed by someone else": bearer(token(**OWN_CLAIMS, key="another secret of enough bytes, 32")),
    "a token for another service": bearer(token(**OWN_CLAIMS, aud="another-service")),
    "a token of another issuer": bearer(token(**OWN_CLAIMS, iss="https://evil.example")),
    "a cookie of one's own making": {"Cookie": f"{COOKIE}=WyJzZXNzaW9uIl0.c2lnbmF0dXJl"},
}
"""Who gets 401."""
STRANGERS = {
    "another tenant's key": bearer(STRANGER_KEY),
    "another tenant's token": bearer(token(**OWN_CLAIMS | {"tenant": "other"})),
}
"""Who gets 404: for them there is no such thing."""


def add_job(client: httpx.Client) -> str:
    return str(client.post("/chat", json={"query": "Whose is it?"}).raise_for_status().json()["job_id"])


def add_document(client: httpx.Client) -> str:
    answer = client.post("/documents", files={"files": ("notes.txt", b"Nobody else's.", "text/plain")})
    return str(answer.raise_for_status().json()["documents"][0]["document_id"])


def add_response(client: httpx.Client) -> str:
    asked = {"model": "rag-queue", "input": "Whose is it?", "background": True}
    return str(client.post("/v1/responses", json=asked).raise_for_status().json()["id"])


def add_file(client: httpx.Client) -> str:
    answer = client.post("/v1/files", data={"purpose": "batch"}, files={"file": ("lines.jsonl", b"Nobody else's.")})
    return str(answer.raise_for_status().json()["id"])


def batch_of(file_id: str) -> Mapping[str, str]:
    return {"input_file_id": file_id, "endpoint": "/v1/responses", "completion_window": "24h"}


def add_batch(client: httpx.Client) -> str:
    return str(client.post("/v1/batches", json=batch_of(add_file(client))).raise_for_status().json()["id"])


def add_collection(client: httpx.Client) -> str:
    return str(client.put("/collections/manuals-of-pumps", json={"title": "Pumps"}).raise_for_status().json()["name"])


@dataclass(frozen=True)
class Entry:
    """A route that takes an id: how its owner makes such a thing, and how the route is called beside its id."""

    add: Callable[[httpx.Client], str]
    call: Mapping[str, Any] = field(default_factory=dict)


WITH_ID: Mapping[Route, Entry] = {
    ("GET", "/job-status/{job_id}"): Entry(add_job),
    ("GET", "/result/{job_id}"): Entry(add_job),
    ("GET", "/stream/{job_id}"): Entry(add_job),
    ("POST", "/jobs/{job_id}/cancel"): Entry(add_job),
    ("DELETE", "/jobs/{job_id}"): Entry(add_job),
    ("POST", "/jobs/{job_id}/requeue"): Entry(add_job),
    ("POST", "/jobs/{job_id}/ticket"): Entry(add_job),
    ("GET", "/jobs/{job_id}/timeline"): Entry(add_job),
    ("POST", "/jobs/{job_id}/feedback"): Entry(add_job, {"json": {"rating": "up"}}),
    ("GET", "/page/answers/{job_id}"): Entry(add_job),
    ("GET", "/documents/{document_id}"): Entry(add_document),
    ("DELETE", "/documents/{document_id}"): Entry(add_document),
    ("GET", "/documents/{document_id}/file"): Entry(add_document),
    ("GET", "/documents/{document_id}/pages/{n}"): Entry(add_document, {"params": {"wait": 0}}),
    ("GET", "/documents/{document_id}/pages/{n}.png"): Entry(add_document, {"params": {"wait": 0}}),
    ("GET", "/conversations/{session_id}"): Entry(add_conversation),
    ("DELETE", "/conversations/{session_id}"): Entry(add_conversation),
    ("GET", "/v1/responses/{response_id}"): Entry(add_response),
    ("GET", "/v1/responses/{response_id}/input_items"): Entry(add_response),
    ("POST", "/v1/responses/{response_id}/cancel"): Entry(add_response),
    ("DELETE", "/v1/responses/{response_id}"): Entry(add_response),
    ("GET", "/collections/{name}"): Entry(add_collection),
    ("DELETE", "/tenants/{tenant}"): Entry(lambda _: "acme"),
    ("GET", "/v1/conversations/{conversation_id}"): Entry(add_conversation),
    ("GET", "/v1/conversations/{conversation_id}/items"): Entry(add_conversation),
    ("DELETE", "/v1/conversations/{conversation_id}"): Entry(add_conversation),
    ("GET", "/v1/files/{file_id}"): Entry(add_file),
    ("GET", "/v1/files/{file_id}/content"): Entry(add_file),
    ("DELETE", "/v1/files/{file_id}"): Entry(add_file),
    ("GET", "/v1/batches/{batch_id}"): Entry(add_batch),
    ("POST", "/v1/batches/{batch_id}/cancel"): Entry(add_batch),
}
SHARED = {("GET", "/v1/models/{model}"), ("PUT", "/collections/{name}")}
"""Routes whose id names nothing of another tenant's: who puts a collection has one of their own of that name."""

ROLES: Mapping[Route, Role] = {
    ("POST", "/chat"): Role.ASK,
    ("POST", "/search"): Role.ASK,
    ("GET", "/job-status/{job_id}"): Role.ASK,
    ("GET", "/result/{job_id}"): Role.ASK,
    ("GET", "/stream/{job_id}"): Role.ASK,
    ("POST", "/jobs/{job_id}/cancel"): Role.ASK,
    ("DELETE", "/jobs/{job_id}"): Role.ASK,
    ("POST", "/jobs/{job_id}/ticket"): Role.ASK,
    ("GET", "/v1/models"): Role.ASK,
    ("GET", "/v1/models/{model}"): Role.ASK,
    ("POST", "/v1/chat/completions"): Role.ASK,
    ("POST", "/v1/embeddings"): Role.ASK,
    ("POST", "/v1/responses"): Role.ASK,
    ("GET", "/v1/responses/{response_id}"): Role.ASK,
    ("GET", "/v1/responses/{response_id}/input_items"): Role.ASK,
    ("POST", "/v1/responses/{response_id}/cancel"): Role.ASK,
    ("DELETE", "/v1/responses/{response_id}"): Role.ASK,
    ("POST", "/v1/conversations"): Role.ASK,
    ("GET", "/v1/conversations/{conversation_id}"): Role.ASK,
    ("GET", "/v1/conversations/{conversation_id}/items"): Role.ASK,
    ("DELETE", "/v1/conversations/{conversation_id}"): Role.ASK,
    ("POST", "/v1/files"): Role.ASK,
    ("GET", "/v1/files"): Role.ASK,
    ("GET", "/v1/files/{file_id}"): Role.ASK,
    ("GET", "/v1/files/{file_id}/content"): Role.ASK,
    ("DELETE", "/v1/files/{file_id}"): Role.ASK,
    ("POST", "/v1/batches"): Role.ASK,
    ("GET", "/v1/batches"): Role.ASK,
    ("GET", "/v1/batches/{batch_id}"): Role.ASK,
    ("POST", "/v1/batches/{batch_id}/cancel"): Role.ASK,
    ("GET", "/conversations"): Role.ASK,
    ("GET", "/conversations/{session_id}"): Role.ASK,
    ("DELETE", "/conversations/{session_id}"): Role.ASK,
    ("GET", "/documents"): Role.ASK,
    ("GET", "/documents/{document_id}"): Role.ASK,
    ("GET", "/documents/{document_id}/file"): Role.ASK,
    ("GET", "/documents/{document_id}/pages/{n}"): Role.ASK,
    ("GET", "/documents/{document_id}/pages/{n}.png"): Role.ASK,
    ("GET", "/collections"): Role.ASK,
    ("GET", "/collections/{name}"): Role.ASK,
    ("PUT", "/collections/{name}"): Role.ADMIN,
    ("POST", "/documents"): Role.INGEST,
    ("DELETE", "/documents/{document_id}"): Role.INGEST,
    ("GET", "/jobs"): Role.ADMIN,
    ("DELETE", "/jobs"): Role.ADMIN,
    ("POST", "/jobs/{job_id}/requeue"): Role.ADMIN,
    ("POST", "/failed-jobs/requeue"): Role.ADMIN,
    ("POST", "/failed-jobs/delete"): Role.ADMIN,
    ("GET", "/jobs/{job_id}/timeline"): Role.ASK,
    ("GET", "/queues"): Role.ADMIN,
    ("GET", "/queues/history"): Role.ADMIN,
    ("GET", "/workers"): Role.ADMIN,
    ("GET", "/metrics"): Role.ADMIN,
    ("GET", "/usage"): Role.ASK,
    ("DELETE", "/tenants/{tenant}"): Role.ADMIN,
    ("GET", "/history"): Role.ADMIN,
    ("POST", "/jobs/{job_id}/feedback"): Role.ASK,
    ("GET", "/session"): Role.ASK,
    ("GET", "/page/answers/{job_id}"): Role.ASK,
}
"""The least role that each route is for."""
PUBLIC = {"/", "/healthz", "/readyz", "/docs", "/redoc", "/openapi.json"}
VIEWS = {"/page/documents", "/page/watch", "/page/jobs/{job_id}", "/page/static/{digest}/{name}"}
"""The page's shells and files, which are the same for everyone."""
SIGNING = {("POST", "/session"), ("DELETE", "/session")}
"""Routes for who shows no key in the header: to sign in, and out."""


def is_public(route: Route) -> bool:
    """Whether the route asks nobody who they are."""
    return route[1] in PUBLIC | VIEWS or route in SIGNING


def routes() -> list[Route]:
    """Every route of the application but the public ones."""
    app = create_app(Settings(redis_url="redis://127.0.0.1:9/0"))
    found = [
        (method, str(c.path_format)) for c in iter_route_contexts(app.routes) for method in sorted(c.methods or ())
    ]
    return [route for route in found if not is_public(route)]


ROUTES = routes()
ROUTES_WITH_ID = [route for route in ROUTES if "{" in route[1] and route not in SHARED]


@pytest.fixture(scope="module")
def url(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data_dir: Path = tmp_path_factory.mktemp("isolation")
    settings = Settings(
        redis_url=valkey_url,
        data_dir=data_dir,
        api_keys=",".join([OWNER_ENTRY, ASK_ENTRY, INGEST_ENTRY, STRANGER_ENTRY]),
        jwt_secret=SECRET,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        address_rate_limit="99999/second",
        metrics=True,
        database_url=f"sqlite:///{data_dir}/history.sqlite3",
    )
    with Redis.from_url(valkey_url) as valkey:
        valkey.flushall()
    with serving(settings) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    """A client that shows nothing of itself."""
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def owner(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=bearer(OWNER_KEY), timeout=30) as client:
        yield client


def shown(route: Route) -> str:
    return " ".join(route)


def path_of(template: str, thing_id: str = "0" * 32) -> str:
    """The path of one thing, and of the first of what it has; a template without an id is a path."""
    return re.sub(r"{\w+}", "1", re.sub(r"{\w+}", thing_id, template, count=1))


def status_of(
    client: httpx.Client, route: Route, path: str, headers: Mapping[str, str], call: Mapping[str, Any] | None = None
) -> int:
    """The status alone, since a stream has no end."""
    with client.stream(route[0], path, headers=headers, **(call or {})) as answer:
        return answer.status_code


def test_every_route_with_an_id_is_in_the_table() -> None:
    assert {shown(route) for route in ROUTES_WITH_ID} == {shown(route) for route in WITH_ID}


def test_every_route_says_whom_it_is_for() -> None:
    assert {shown(route) for route in ROUTES} == {shown(route) for route in ROLES}


@pytest.mark.parametrize("route", ROUTES_WITH_ID, ids=shown)
def test_nobody_but_the_owner_finds_the_thing(client: httpx.Client, owner: httpx.Client, route: Route) -> None:
    entry = WITH_ID[route]
    thing_id = entry.add(owner)
    path, unknown = path_of(route[1], thing_id), path_of(route[1], thing_id[:-8] + 8 * "0")
    for who, headers in NOBODY.items():
        assert status_of(client, route, path, headers, entry.call) == 401, who
    for who, headers in STRANGERS.items():
        assert status_of(client, route, path, headers, entry.call) == 404, who
        foreign = client.request(route[0], path, headers=headers, **entry.call)
        missing = client.request(route[0], unknown, headers=headers, **entry.call)
        assert foreign.content == missing.content, "what is another's can be told from what does not exist"
    assert status_of(client, route, path, bearer(OWNER_KEY), entry.call) not in (401, 403, 404), "its owner finds it"


@pytest.mark.parametrize("route", ROUTES, ids=shown)
def test_every_route_asks_who_you_are_before_anything_else(client: httpx.Client, route: Route) -> None:
    for who, headers in NOBODY.items():
        assert status_of(client, route, path_of(route[1]), headers) == 401, who


@pytest.mark.parametrize("route", ROUTES, ids=shown)
def test_a_route_is_for_its_role_and_those_above(client: httpx.Client, route: Route) -> None:
    for key, role in ((ASK_KEY, Role.ASK), (INGEST_KEY, Role.INGEST), (OWNER_KEY, Role.ADMIN)):
        status = status_of(client, route, path_of(route[1]), bearer(key))
        assert (status == 403) is not role.may(ROLES[route]), f"{role}: {status}"


def test_a_tenants_lists_hold_nothing_of_anothers(client: httpx.Client, owner: httpx.Client) -> None:
    job_id, document_id, session_id = add_job(owner), add_document(owner), add_conversation(owner)
    name, file_id, batch_id = add_collection(owner), add_file(owner), add_batch(owner)
    assert file_id in owner.get("/v1/files").text
    assert batch_id in owner.get("/v1/batches").text
    assert session_id in owner.get("/conversations").text
    assert name in owner.get("/collections").text
    for headers in STRANGERS.values():
        for path in (
            "/documents",
            "/conversations",
            "/collections",
            "/jobs?status=failed",
            "/queues",
            "/queues/history",
            "/workers",
            "/metrics",
            "/history",
            "/v1/files",
            "/v1/batches",
        ):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 200
            assert job_id not in answer.text
            assert document_id not in answer.text
            assert session_id not in answer.text
            assert name not in answer.text
            assert file_id not in answer.text
            assert batch_id not in answer.text
