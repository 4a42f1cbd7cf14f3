"""Aliases, the same in local mode and on the embedded Qdrant."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from tests.support.qdrant_points import DENSE, NAMES, SPARSE_QUERY, connect, corpus, create, ids
from tests.support.qdrant_server import QdrantServer


def named(alias: str, collection: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=alias, collection_name=collection))


def dropped(alias: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))


def renamed(old: str, new: str) -> models.RenameAliasOperation:
    return models.RenameAliasOperation(rename_alias=models.RenameAlias(old_alias_name=old, new_alias_name=new))


def aliases(client: QdrantClient, collection: str) -> set[str]:
    return {alias.alias_name for alias in client.get_collection_aliases(collection).aliases}


def test_an_alias_is_taken_wherever_a_collection_is_named(client: QdrantClient, filled: str) -> None:
    alias = next(NAMES)
    assert client.update_collection_aliases([named(alias, filled)])
    assert client.collection_exists(alias)
    assert client.get_collection(alias).points_count == 12
    assert client.count(alias).count == 12
    assert ids(client.retrieve(alias, [1, 2])) == [1, 2]
    assert ids(client.scroll(alias, limit=2)[0]) == ids(client.scroll(filled, limit=2)[0])
    by_alias, by_name = (client.query_points(name, query=SPARSE_QUERY, using="sparse") for name in (alias, filled))
    assert ids(by_alias.points) == ids(by_name.points)
    client.upsert(alias, [corpus()[0].model_copy(update={"id": 99})])
    client.set_payload(alias, {"page": 1_000}, points=[99])
    assert (client.retrieve(filled, [99])[0].payload or {})["page"] == 1_000
    client.delete(alias, [99])
    assert client.count(filled).count == 12
    client.update_collection(alias, metadata={"note": "n"})
    assert client.get_collection(filled).config.metadata == {"note": "n"}


def test_aliases_are_listed_with_their_collections(client: QdrantClient) -> None:
    first, second = create(client), create(client)
    one, two, three = next(NAMES), next(NAMES), next(NAMES)
    client.update_collection_aliases([named(one, first), named(two, first), named(three, second)])
    assert aliases(client, first) == {one, two}
    assert aliases(client, second) == {three}
    assert aliases(client, one) == set()
    assert aliases(client, "nowhere") == set()
    listed = {alias.alias_name: alias.collection_name for alias in client.get_aliases().aliases}
    assert listed.items() >= {one: first, two: first, three: second}.items()
    assert one not in [collection.name for collection in client.get_collections().collections]


def test_an_alias_moves_in_one_request(client: QdrantClient, filled: str) -> None:
    old, alias, following = create(client), next(NAMES), next(NAMES)
    client.update_collection_aliases([named(alias, old), named(following, filled)])
    client.update_collection_aliases([dropped(alias), named(alias, filled), dropped(following)])
    assert (aliases(client, old), aliases(client, filled)) == (set(), {alias})
    client.update_collection_aliases([named(alias, old)])  # without a deletion as well
    assert client.count(alias).count == 0
    client.update_collection_aliases([renamed(alias, following)])
    assert aliases(client, old) == {following}
    client.update_collection_aliases([dropped("nowhere")])


def test_a_deleted_collection_takes_its_aliases_with_it(client: QdrantClient) -> None:
    name, alias = create(client), next(NAMES)
    client.update_collection_aliases([named(alias, name)])
    assert not client.delete_collection(alias), "an alias is no collection"
    assert client.collection_exists(name)
    assert client.delete_collection(name)
    assert not client.collection_exists(alias)
    create(client, alias)


@pytest.mark.parametrize("refused", ["unknown", "taken", "renamed", "renamed to a collection"])
def test_one_refused_action_refuses_them_all(client: QdrantClient, refused: str) -> None:
    name, alias, other = create(client), next(NAMES), create(client)
    wrong: dict[str, tuple[Any, int]] = {
        "unknown": (named(next(NAMES), "nowhere"), 404),
        "taken": (named(other, name), 409),
        "renamed": (renamed("nowhere", next(NAMES)), 404),
        "renamed to a collection": (renamed(alias, other), 409),
    }
    action, status = wrong[refused]
    with pytest.raises((ValueError, UnexpectedResponse)) as raised:
        client.update_collection_aliases([named(alias, name), action])
    assert getattr(raised.value, "status_code", status) == status
    assert aliases(client, name) == set()


def test_a_collection_takes_no_alias_s_name(client: QdrantClient, empty: str) -> None:
    alias = next(NAMES)
    client.update_collection_aliases([named(alias, empty)])
    with pytest.raises((ValueError, UnexpectedResponse), match="already exists") as raised:
        client.create_collection(alias, vectors_config=DENSE)
    assert getattr(raised.value, "status_code", 409) == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"actions": "all"},
        {"actions": [{"create_alias": {"collection_name": "c"}}]},
        {"actions": [{"create_alias": {"collection_name": "c", "alias_name": 1}}]},
        {"actions": [{"swap_alias": {}}]},
        {"actions": [{"create_alias": {"collection_name": "c", "alias_name": "d", "x": 1}}]},
        {"actions": [{}]},
    ],
)
def test_a_request_that_is_none_is_refused(http: httpx.Client, body: Any) -> None:
    assert http.post("/collections/aliases", json=body).status_code == 400


@pytest.mark.parametrize("ending", ["kill", "terminate"])
def test_aliases_survive(tmp_path: Path, ending: str) -> None:
    with QdrantServer(tmp_path) as server:
        client = connect(server.url)
        for name in ("a", "b"):
            create(client, name)
        client.update_collection_aliases([named("x", "a"), named("y", "b"), named("z", "b")])
        client.update_collection_aliases([dropped("y")])
        client.close()
        server.kill() if ending == "kill" else server.terminate()
    (tmp_path / "collections" / "b" / "collection.json").unlink()  # as if killed while it was deleted
    with QdrantServer(tmp_path) as server:
        client = connect(server.url)
        assert [(alias.alias_name, alias.collection_name) for alias in client.get_aliases().aliases] == [("x", "a")]
        client.close()
