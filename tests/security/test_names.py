"""A tenant, or whoever makes its tokens, with names that are no names: each becomes part of a key or of a path.

Every way in is tried: tokens, API keys, every parameter and field of the OpenAPI document, the queue, the command.
"""

# ruff: noqa: E501, RUF001  tables of hostile text
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pydantic import ValidationError

from app.auth.api_keys import KeyEntry, KeyRing, make_key
from app.auth.jwt import Claims
from app.auth.principals import Role
from app.core import contract
from app.core.contract import LABEL_MAX_CHARACTERS, Frozen, is_label
from app.core.documents import operations
from app.core.documents.files import DocumentStore
from app.core.errors import ConfigurationError
from app.core.settings import Settings
from app.main import create_app
from ingest.__main__ import main
from tests.support.api import serving
from tests.support.credentials import AUDIENCE, ISSUER, SECRET, bearer, token

HOSTILE = [
    ".", "..", "...", "." * 128, "", " ", "/", "a/b", "../x", "..\\x", "a\\b", "a\0", "\0", "a\n", "\n", "a b", "é", "ａ", "a\u200b",
    "*", "?", "a%2e", "%2e%2e", "{a}", "a,b", "'", '"', "x" * 129, "..:" + "x" * 128, "\u202ea", "\ud800", "@drafts", "a" * 100_000,
]  # fmt: skip
GOOD = ["a", "-", ":", "_", ".a", "a.", "..a", "a..b", "a:b", "A-1_b.c:d", "x" * 128, "." * 127 + "a", "0"]
NAMES = ("tenant", "collection", "document_id", "session_id", "request_id", "job_id")


@pytest.mark.parametrize("name", GOOD)
def test_what_is_a_name_is_one_everywhere(name: str) -> None:
    assert is_label(name)
    assert Claims(sub="s", tenant=name, exp=1).tenant == name
    assert KeyEntry.parse(f"n:{name}:ask::{'0' * 64}").tenant == name
    assert contract.SearchJob(query="?", tenant=name, collection=name, request_id=name).collection == name


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_none(name: str) -> None:
    assert not is_label(name)
    with pytest.raises(ValidationError):
        Claims(sub="s", tenant=name, exp=1)
    with pytest.raises(ValueError, match="tenant"):
        make_key(name="n", tenant=name, role=Role.ASK, rate=None)
    with pytest.raises(ConfigurationError):
        KeyRing([f"n:{name}:ask::{'0' * 64}"])


def _subclasses(model: type[Frozen]) -> Iterator[type[Frozen]]:
    for one in model.__subclasses__():
        yield one
        yield from _subclasses(one)


JOBS = [model for model in _subclasses(Frozen) if model.__name__.endswith("Job")]
GOOD_FIELDS: dict[str, Any] = {
    "query": "?", "document_id": "d", "filename": "f.pdf", "sha256": "0" * 64, "job_id": "j", "texts": ["?"], "model": "m",
    "task": "A title.",
    "page": 1, "erased": "t",
}  # fmt: skip


@pytest.mark.parametrize("model", JOBS)
@pytest.mark.parametrize("field", NAMES)
def test_no_job_carries_one(model: type[Frozen], field: str) -> None:
    if field not in model.model_fields:
        pytest.skip("it has no such field")
    fields = {name: value for name, value in GOOD_FIELDS.items() if name in model.model_fields}
    model.model_validate(fields)
    for name in HOSTILE:
        with pytest.raises(ValidationError):
            model.model_validate({**fields, field: name})


@pytest.mark.parametrize("name", HOSTILE)
def test_none_becomes_a_key_or_a_path(name: str, tmp_path: Any) -> None:
    store = DocumentStore(str(tmp_path))
    with pytest.raises(ValueError, match="tenant"):
        store.exists(name, "0" * 64)
    if name:
        with pytest.raises(ValueError, match="label"):
            operations.get(name, "d")
        with pytest.raises(ValueError, match="label"):
            operations.get("t", name)


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\0" not in name])
def test_the_command_takes_none(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([".", f"--collection={name}"])
    assert caught.value.code == 2
    assert "not dots alone" in capsys.readouterr().err


@pytest.fixture
def client(valkey_url: str, tmp_path: Any) -> Iterator[httpx.Client]:
    settings = Settings(
        redis_url=valkey_url,
        data_dir=tmp_path,
        address_rate_limit="99999/second",
        jwt_secret=SECRET,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
    )
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


PATHS = create_app(Settings(redis_url="redis://nowhere")).openapi()["paths"]
OPERATIONS = [(method, path, operation) for path, methods in PATHS.items() for method, operation in methods.items()]
TRIED = [name for name in HOSTILE if len(name) < 1_000 and name != "\ud800"]


def test_a_token_of_such_a_tenant_is_a_401_everywhere(client: httpx.Client) -> None:
    for tenant in ("..", ".", "a/b", "", "x" * (LABEL_MAX_CHARACTERS + 1)):
        headers = bearer(token(tenant=tenant, role="admin"))
        for method, path, operation in OPERATIONS:
            if operation.get("security"):
                url = path.replace("{", "").replace("}", "")
                assert client.request(method, url, headers=headers).status_code == 401, (method, path)


@pytest.mark.parametrize("name", TRIED)
def test_no_parameter_or_field_makes_an_error_of_ours_of_it(client: httpx.Client, name: str) -> None:
    headers = bearer(token(tenant="acme", role="admin"))
    for method, path, operation in OPERATIONS:
        shown = path
        query = {}
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                shown = shown.replace(f"{{{parameter['name']}}}", quote(name, safe="") or "%20")
            elif parameter["in"] == "query" and parameter["name"] != "wait":
                query[parameter["name"]] = name
        body = {
            "query": "?", "collection": name, "session_id": name, "document_ids": [name], "model": f"rag-queue:{name or '/'}",
            "input": "?", "messages": [{"role": "user", "content": "?"}], "previous_response_id": name,
        }  # fmt: skip
        raw = (
            {"X-Request-ID": name.encode(), "Idempotency-Key": name.encode()}
            if name.isprintable() and name.strip()
            else {}
        )
        for content in ({"json": body}, {"data": {"collection": name}}) if method in ("post", "put") else ({},):
            answer = client.request(method, shown, params=query, headers={**headers, **raw}, **content)  # type: ignore[arg-type]
            assert answer.status_code < 500 or path == "/readyz", (method, path, answer.text)


@pytest.mark.parametrize("name", [name for name in TRIED if name.isprintable() and name.strip()])
def test_a_request_whose_id_is_none_gets_another_and_its_job_is_taken(client: httpx.Client, name: str) -> None:
    headers = {**bearer(token(tenant="acme")), "X-Request-ID": name.encode()}
    answer = client.post("/chat", json={"query": "?"}, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 202
    assert is_label(answer.headers["x-request-id"])
