"""Collections, the same in local mode and on the embedded Qdrant."""

from collections.abc import Callable
from typing import Any

import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from tests.support.qdrant_points import DENSE, NAMES, corpus, create


def test_a_collection_exists_from_create_to_delete(client: QdrantClient) -> None:
    name = next(NAMES)
    assert not client.collection_exists(name)
    assert client.create_collection(name, vectors_config=DENSE)
    assert client.collection_exists(name)
    assert name in [collection.name for collection in client.get_collections().collections]
    assert client.delete_collection(name)
    assert not client.collection_exists(name)
    assert not client.delete_collection(name)


def test_info_tells_vectors_and_points(client: QdrantClient, filled: str) -> None:
    info = client.get_collection(filled)
    assert info.points_count == 12
    assert info.status == models.CollectionStatus.GREEN
    assert info.config.params.vectors == {"dense": DENSE}
    assert info.config.params.sparse_vectors is not None
    assert info.config.params.sparse_vectors["sparse"].modifier == models.Modifier.IDF


def test_metadata_is_kept_merged_and_removed_by_null(client: QdrantClient) -> None:
    name = next(NAMES)
    client.create_collection(name, vectors_config=DENSE, metadata={"model": "m", "size": 4})
    client.update_collection(name, metadata={"size": None, "note": "n"})
    assert client.get_collection(name).config.metadata == {"model": "m", "note": "n"}


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_collection("nowhere"),
        lambda client: client.upsert("nowhere", corpus()),
        lambda client: client.query_points("nowhere", query=[1.0]),
        lambda client: client.count("nowhere"),
    ],
)
def test_an_unknown_collection_is_named(client: QdrantClient, call: Callable[[QdrantClient], Any]) -> None:
    """Local mode raises `ValueError`, the server answers 404."""
    with pytest.raises((ValueError, UnexpectedResponse), match="nowhere") as raised:
        call(client)
    if isinstance(raised.value, UnexpectedResponse):
        assert raised.value.status_code == 404
        assert raised.value.structured()["status"]["error"] == "Not found: Collection `nowhere` doesn't exist!"


def test_a_collection_cannot_be_created_twice(client: QdrantClient, empty: str) -> None:
    """Local mode raises `ValueError`, the server answers 409."""
    with pytest.raises((ValueError, UnexpectedResponse), match="already exists") as raised:
        client.create_collection(empty, vectors_config=DENSE)
    assert getattr(raised.value, "status_code", 409) == 409


@pytest.mark.parametrize("kind", ["keyword", "integer", "float", "bool", "datetime", "uuid"])
def test_every_kind_of_payload_index_is_made_told_and_dropped(embedded: QdrantClient, kind: str) -> None:
    """Local mode has none."""
    name = create(embedded)
    embedded.create_payload_index(name, "field", models.PayloadSchemaType(kind))
    assert embedded.get_collection(name).payload_schema["field"].data_type == kind
    embedded.delete_payload_index(name, "field")
    assert not embedded.get_collection(name).payload_schema


def test_how_graphs_are_built_and_where_things_lie_is_kept_as_asked(embedded: QdrantClient) -> None:
    name = next(NAMES)
    graph = models.HnswConfigDiff(m=8, ef_construct=50)
    vector = models.VectorParams(size=4, distance=models.Distance.DOT, on_disk=True, hnsw_config=graph)
    embedded.create_collection(name, vectors_config=vector, hnsw_config=graph, on_disk_payload=False)
    config = embedded.get_collection(name).config
    assert config.params.vectors == vector
    assert config.params.on_disk_payload is False
    assert (config.hnsw_config.m, config.hnsw_config.ef_construct) == (8, 50)
