"""Collections over HTTP: what is said of them and counted, for whom, within which limits."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr
from redis import Redis

from app.core import index_notes
from app.core.contract import INSTRUCTIONS_MAX_CHARACTERS
from app.core.documents import collections, operations, scripts
from app.core.documents.catalog import Catalog
from app.core.documents.collections import DESCRIBED_MAX, collections_key
from app.core.documents.operations import chunks_key, names_key
from app.core.documents.records import DocumentRecord, DocumentStatus
from app.core.formats import MediaType
from app.core.queue.erasing import erasing_key
from app.core.queue.versions import Versions, version_key
from app.core.settings import Settings
from tests.support.api import serving
from tests.support.credentials import api_key, bearer

NOW = datetime(2026, 11, 27, tzinfo=UTC)
ANNA, ANNAS = api_key("anna", tenant="anna", role="admin", rate="9999/second")
BERT, BERTS = api_key("bert", tenant="bert", role="admin", rate="9999/second")
SAID = {"title": "Manuals", "description": "Of every pump.", "instructions": "Name the type.", "top_k": 8}


@pytest.fixture(scope="module")
def api(valkey_url: str) -> Iterator[httpx.Client]:
    settings = Settings(redis_url=SecretStr(valkey_url), api_keys=f"{ANNAS} {BERTS}", embedding_model="embedder")
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30, headers=bearer(ANNA)) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty(valkey: Redis) -> None:
    """No test finds what another has left."""


def record(name: str, collection: str, *, chunks: int = 0) -> DocumentRecord:
    return DocumentRecord(
        document_id=name, collection=collection, filename=f"{name}.pdf", sha256="a" * 64, size_bytes=5,
        media_type=MediaType.PDF, chunks=chunks, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def put(valkey: Redis, name: str, collection: str, *, chunks: int = 0, tenant: str = "anna") -> None:
    Catalog(valkey).do(operations.put(tenant, record(name, collection, chunks=chunks)))


def listed(api: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/collections", params=params).raise_for_status().json()["collections"]
    return found


def counts(api: httpx.Client) -> dict[str, tuple[int, int]]:
    return {each["name"]: (each["documents"], each["chunks"]) for each in listed(api)}


def test_what_is_said_of_a_collection_is_read_again_and_replaced(api: httpx.Client) -> None:
    assert api.get("/collections/manuals").json()["type"] == "urn:problem:collection-not-found"
    made = api.put("/collections/manuals", json=SAID)
    assert made.status_code == 201
    view = made.json()
    assert view == {"name": "manuals", **SAID, "documents": 0, "chunks": 0} | {
        "embedding_model": "embedder", "version": view["version"],
    }  # fmt: skip
    assert api.get("/collections/manuals").json() == view
    assert listed(api) == [view]
    again = api.put("/collections/manuals", json={"title": "  Books "})
    assert (again.status_code, again.json()["title"]) == (200, "Books")
    assert [again.json()[name] for name in ("description", "instructions", "top_k")] == [None, None, None]
    assert again.json()["version"] != view["version"]


def test_a_collection_with_documents_is_there_without_a_word_said_of_it(api: httpx.Client, valkey: Redis) -> None:
    put(valkey, "d1", "legal", chunks=3)
    found = api.get("/collections/legal").json()
    assert (found["documents"], found["chunks"], found["title"], found["version"]) == (1, 3, None, None)
    assert api.put("/collections/legal", json=SAID).status_code == 200, "it was there"


def test_documents_and_chunks_are_counted_through_every_change_of_the_catalog(
    api: httpx.Client, valkey: Redis
) -> None:
    catalog = Catalog(valkey)
    put(valkey, "d1", "a", chunks=3)
    put(valkey, "d2", "b", chunks=5)
    assert counts(api) == {"a": (1, 3), "b": (1, 5)}
    put(valkey, "d3", "a")
    assert counts(api) == {"a": (2, 3), "b": (1, 5)}
    catalog.do(operations.update("anna", "d3", status=DocumentStatus.INDEXED, chunks=4))
    catalog.do(operations.update("anna", "d3", pages=9))
    assert counts(api) == {"a": (2, 7), "b": (1, 5)}
    put(valkey, "d1", "a")  # other bytes, which are not indexed yet
    assert counts(api) == {"a": (2, 4), "b": (1, 5)}
    catalog.do(operations.delete("anna", "d2"))
    catalog.do(operations.delete("anna", "d2"))
    put(valkey, "d4", "c", chunks=1)
    assert counts(api) == {"a": (2, 4), "c": (1, 1)}
    kept = counts(api)
    valkey.delete(names_key("anna"), chunks_key("anna"))
    assert counts(api) == kept, "counted anew, it is the same"


def test_what_is_counted_is_counted_anew_within_a_day_and_read_from_no_record_until_then(
    api: httpx.Client, valkey: Redis
) -> None:
    put(valkey, "d1", "a", chunks=3)
    counts(api)
    for key in (names_key("anna"), chunks_key("anna")):
        assert 0 < valkey.ttl(key) <= scripts.COUNTED_SECONDS
    valkey.hset("rag:document:anna/d1", "chunks", "9")  # behind the catalog's back
    assert counts(api) == {"a": (1, 3)}
    valkey.delete(names_key("anna"))
    assert counts(api) == {"a": (1, 9)}


def test_many_documents_are_counted_in_steps_and_what_changes_meanwhile_counts_once(
    api: httpx.Client, valkey: Redis
) -> None:
    number = 2 * scripts.COUNT_BATCH + 100
    with valkey.pipeline(transaction=False) as pipeline:
        for n in range(number):
            fields = record(f"d{n}", "ab"[n % 2], chunks=2).model_dump(mode="json")
            pipeline.hset(f"rag:document:anna/d{n}", mapping={k: orjson.dumps(v) for k, v in fields.items()})
            pipeline.zadd("rag:documents:anna", {f"d{n}": n + 1})
            pipeline.zadd(f"rag:documents:anna/{'ab'[n % 2]}", {f"d{n}": n + 1})
        pipeline.execute()
    catalog = Catalog(valkey)
    assert catalog.do(collections.page("anna", after="", limit=10)) is None
    for n in (0, number - 2):  # counted, and not yet counted
        catalog.do(operations.update("anna", f"d{n}", chunks=12))
        catalog.do(operations.delete("anna", f"d{n + 1}"))
    put(valkey, "new", "c", chunks=5)
    found = counts(api)
    assert found == {"a": (number // 2, number + 20), "b": (number // 2 - 2, number - 4), "c": (1, 5)}
    valkey.delete(names_key("anna"))
    assert counts(api) == found


def test_the_version_changes_with_content_and_with_what_is_said(api: httpx.Client, valkey: Redis) -> None:
    versions = [api.put("/collections/a", json=SAID).json()["version"]]
    with Versions(valkey, must_tell=True).changing([("anna", "a")]):
        versions.append(api.get("/collections/a").json()["version"])
    versions.append(api.get("/collections/a").json()["version"])
    Versions(valkey, must_tell=True).raise_all()
    versions.append(api.get("/collections/a").json()["version"])
    versions.append(api.put("/collections/a", json=SAID).json()["version"])
    assert len(set(versions)) == len(versions)
    assert api.get("/collections/a").json()["version"] == versions[-1]


def test_the_embedding_model_is_the_one_whose_vectors_are_there(api: httpx.Client, valkey: Redis) -> None:
    put(valkey, "d1", "a")
    assert listed(api)[0]["embedding_model"] == "embedder"
    valkey.set(index_notes.KEY, index_notes.IndexState.BEING_REEMBEDDED.value)
    assert listed(api)[0]["embedding_model"] is None


def test_a_list_is_read_in_pages_in_the_order_of_names(api: httpx.Client, valkey: Redis) -> None:
    names = sorted(["a", "B", "a.b", "a:b", "z_1", "-x", "10", "9"])
    for number, name in enumerate(names):
        if number % 2:
            put(valkey, f"d{number}", name)
        else:
            api.put(f"/collections/{name}", json={})
    put(valkey, "gone", "a.a")
    assert len(listed(api)) == len(names) + 1
    Catalog(valkey).do(operations.delete("anna", "gone"))
    found, cursor = [], None
    while True:
        page = api.get("/collections", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        found += [each["name"] for each in page["collections"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == names


def test_a_tenant_has_its_own_collections_of_the_same_name(api: httpx.Client, valkey: Redis) -> None:
    api.put("/collections/manuals", json=SAID).raise_for_status()
    put(valkey, "d1", "manuals", chunks=2)
    before = api.get("/collections/manuals").json()
    bert = bearer(BERT)
    assert api.get("/collections/manuals", headers=bert).status_code == 404
    assert api.get("/collections", headers=bert).json() == {"collections": [], "next_cursor": None}
    assert api.put("/collections/manuals", json={"title": "Bert's"}, headers=bert).status_code == 201
    assert api.get("/collections/manuals").json() == before, "nothing of it has changed"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("manuals", {"title": ""}),
        ("manuals", {"title": "x" * 201}),
        ("manuals", {"description": "x" * 1_001}),
        ("manuals", {"instructions": "x" * (INSTRUCTIONS_MAX_CHARACTERS + 1)}),
        ("manuals", {"instructions": " "}),
        ("manuals", {"top_k": 0}),
        ("manuals", {"top_k": 51}),
        ("manuals", {"name": "other"}),
        ("manuals", []),
        ("a b", {}),
        ("..", {}),
        ("x" * 129, {}),
    ],
)
def test_what_cannot_be_said_is_refused(api: httpx.Client, valkey: Redis, name: str, body: Any) -> None:
    answer = api.put(f"/collections/{name.replace('..', '%2e%2e')}", json=body)
    assert answer.status_code in (404, 405, 422), answer.text
    assert not valkey.exists(collections_key("anna"))


@pytest.mark.parametrize("name", ["a b", "x" * 129, "%00", "☕"])
def test_a_name_that_is_none_is_a_collection_that_is_not_there(api: httpx.Client, name: str) -> None:
    assert api.get(f"/collections/{name}").status_code == 404


def test_the_longest_texts_that_are_taken_are_read_again(api: httpx.Client) -> None:
    longest = {
        "title": "\x01" * 200, "description": "\x01" * 1_000, "instructions": "\x01" * INSTRUCTIONS_MAX_CHARACTERS,
        "top_k": 50,
    }  # fmt: skip
    api.put("/collections/a", json=longest).raise_for_status()
    found = api.get("/collections/a").json()
    assert {name: found[name] for name in longest} == longest


def test_something_may_be_said_of_so_many_collections(api: httpx.Client, valkey: Redis) -> None:
    valkey.hset(collections_key("anna"), mapping={f"c{n}": "{}" for n in range(DESCRIBED_MAX)})
    refused = api.put("/collections/more", json=SAID)
    assert (refused.status_code, refused.json()["limit"]) == (429, "collections")
    assert "retry-after" not in refused.headers
    assert not valkey.exists(version_key("anna", "more"))
    assert api.put("/collections/c7", json=SAID).status_code == 200, "what is there may be replaced"


def test_nothing_is_said_of_a_tenants_collection_while_it_is_erased(api: httpx.Client, valkey: Redis) -> None:
    valkey.set(erasing_key("anna"), "job")
    refused = api.put("/collections/manuals", json=SAID)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:problem:tenant-being-erased")
    assert not valkey.exists(collections_key("anna"), version_key("anna", "manuals"))


HOSTILE_SAYINGS = (
    b"", b"\xff", b"[]", b"null", b'"x"', b"{", b"x" * 100_000, b'{"top_k": 1e9}', b'{"top_k": 0.5}',
    b'{"instructions": ["a"]}', b'{"more": 1}', b"[" * 10_000, b'{"title": "\\ud800"}',
)  # fmt: skip


@pytest.mark.parametrize("said", HOSTILE_SAYINGS)
def test_what_somebody_else_wrote_is_nothing_said(api: httpx.Client, valkey: Redis, said: bytes) -> None:
    put(valkey, "d1", "a")
    valkey.hset(collections_key("anna"), "a", said)
    found = api.get("/collections/a").raise_for_status().json()
    assert [found[name] for name in SAID] == [None] * 4
    assert listed(api) == [found]
    assert Catalog(valkey).do(collections.settings_of("anna", "a")) == collections.NOTHING_SAID


@pytest.mark.parametrize("kind", ["string", "list", "set"])
@pytest.mark.parametrize("key", [collections_key("anna"), names_key("anna"), chunks_key("anna"), "version", "record"])
def test_a_key_of_another_type_breaks_nothing(api: httpx.Client, valkey: Redis, key: str, kind: str) -> None:
    put(valkey, "d1", "a", chunks=1)
    place = {"version": version_key("anna", "a"), "record": "rag:document:anna/d2"}.get(key, key)
    if key == "record":
        valkey.zadd("rag:documents:anna", {"d2": 2})
    elif key == chunks_key("anna"):
        counts(api)
    valkey.delete(place)
    {"string": valkey.set, "list": valkey.rpush, "set": valkey.sadd}[kind](place, "x")  # type: ignore[operator]
    assert api.get("/collections/a").json()["documents"] == 1
    put(valkey, "d3", "a", chunks=2)
    assert listed(api)[0]["documents"] == 2
    assert Catalog(valkey).do(collections.settings_of("anna", "a")) == collections.NOTHING_SAID
    assert api.put("/collections/a", json=SAID).json()["title"] == "Manuals"
    assert counts(api) == {"a": (2, 3)}


@pytest.mark.parametrize("count", [b"", b"x", b"-1", b"1e9", b"9" * 400, b"\xff", b"9" * 19])
def test_a_count_that_is_none_breaks_nothing(api: httpx.Client, valkey: Redis, count: bytes) -> None:
    put(valkey, "d1", "a", chunks=1)
    counts(api)
    valkey.hset(chunks_key("anna"), "a", count)
    assert listed(api)[0]["chunks"] >= 0
    valkey.hset("rag:document:anna/d1", "chunks", count)
    put(valkey, "d2", "a", chunks=2)
    put(valkey, "d1", "a", chunks=1)
    assert listed(api)[0]["documents"] == 2
    valkey.delete(names_key("anna"))
    assert counts(api) == {"a": (2, 3)}


@pytest.mark.parametrize("name", [b"", b"a b", b"\xff", b"../x", b"x" * 200])
def test_a_name_that_somebody_else_wrote_is_not_shown(api: httpx.Client, valkey: Redis, name: bytes) -> None:
    valkey.hset(collections_key("anna"), name, b"{}")
    valkey.hset("rag:document:anna/d1", mapping={"collection": b'"' + name + b'"', "chunks": "1"})
    valkey.zadd("rag:documents:anna", {"d1": 1})
    put(valkey, "d2", "z")
    assert counts(api) == {"z": (1, 0)}
