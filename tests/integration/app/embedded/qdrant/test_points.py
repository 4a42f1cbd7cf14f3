"""Points written and read back, the same in local mode and on the embedded Qdrant."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from tests.support.qdrant_points import BOTH, UUID, connect, corpus, create, ids, tenant
from tests.support.qdrant_server import QdrantServer


def test_upsert_replaces_the_whole_payload(client: QdrantClient, empty: str) -> None:
    vector: dict[str, Any] = {"dense": [1.0, 0.0, 0.0, 0.0]}
    client.upsert(empty, [models.PointStruct(id=1, vector=vector, payload={"a": 1, "b": 2})])
    client.upsert(empty, [models.PointStruct(id=1, vector=vector, payload={"b": 3})])
    assert client.retrieve(empty, [1])[0].payload == {"b": 3}
    assert client.count(empty).count == 1


def test_cosine_vectors_come_back_normalised(client: QdrantClient, empty: str) -> None:
    client.upsert(empty, [models.PointStruct(id=1, vector={"dense": [3.0, 4.0, 0.0, 0.0]})])
    vector = client.retrieve(empty, [1], with_vectors=True)[0].vector
    assert isinstance(vector, dict)
    assert vector["dense"] == pytest.approx([0.6, 0.8, 0, 0])


def test_vectors_of_several_points_come_back_as_they_were_written(client: QdrantClient, filled: str) -> None:
    def plain(points: list[Any]) -> dict[Any, Any]:
        sparse = {point.id: point.vector["sparse"] for point in points}
        return {number: dict(zip(one.indices, one.values, strict=True)) for number, one in sparse.items()}

    found = client.retrieve(filled, [7, 2], with_payload=False, with_vectors=True)
    assert plain(found) == plain([point for point in corpus() if point.id in (7, 2)])
    assert all(set(point.vector or {}) == {"dense", "sparse"} and point.payload is None for point in found)


def test_ids_are_numbers_or_uuids_in_canonical_form(client: QdrantClient, empty: str) -> None:
    vector: dict[str, Any] = {"dense": [1.0, 0.0, 0.0, 0.0]}
    points = [models.PointStruct(id=i, vector=vector) for i in (UUID.replace("-", ""), 2**64 - 1)]
    client.upsert(empty, points)
    assert sorted(map(str, ids(client.scroll(empty)[0]))) == [str(2**64 - 1), UUID]
    assert ids(client.retrieve(empty, [UUID])) == [UUID]
    assert ids(client.retrieve(empty, [UUID.upper()])) == [UUID]


def test_retrieve_keeps_the_order_and_leaves_out_what_is_missing(client: QdrantClient, filled: str) -> None:
    assert ids(client.retrieve(filled, [3, 99, 1])) == [3, 1]


@pytest.mark.parametrize(
    "selector",
    [[2, 4, 99], models.FilterSelector(filter=tenant("a")), models.Filter(must=[models.HasIdCondition(has_id=[5])])],
)
def test_delete_by_ids_and_by_filter(client: QdrantClient, filled: str, selector: Any) -> None:
    left = {"list": {2, 4}, "FilterSelector": {1, 3, 5, 7, 9, 11}, "Filter": {5}}[type(selector).__name__]
    client.delete(filled, selector)
    assert set(ids(client.scroll(filled, limit=20)[0])) == set(range(1, 13)) - left


def test_payload_is_set_overwritten_and_deleted(client: QdrantClient, filled: str) -> None:
    client.set_payload(filled, {"new": 1, "page": 0}, points=[1])
    client.overwrite_payload(filled, {"only": True}, points=[2])
    client.delete_payload(filled, ["tags", "done", "deep"], points=models.Filter(must=[tenant("a")]))
    client.clear_payload(filled, points_selector=[4])
    found = client.retrieve(filled, [1, 2, 4])
    assert [point.payload for point in found] == [{"tenant": "a", "page": 0, "new": 1}, {"only": True}, {}]


def test_what_is_returned_can_be_chosen(client: QdrantClient, filled: str) -> None:
    def one(**choice: Any) -> Any:
        return client.retrieve(filled, [1], **choice)[0]

    assert one(with_payload=False).payload is None
    assert one(with_payload=["page"]).payload == {"page": 1}
    assert one(with_payload=models.PayloadSelectorInclude(include=["deep.n"])).payload == {"deep": {"n": 1}}
    assert set(one(with_payload=models.PayloadSelectorExclude(exclude=["tags"])).payload) == {
        "tenant", "page", "done", "deep",
    }  # fmt: skip
    assert one().vector is None
    assert set(one(with_vectors=True).vector) == {"dense", "sparse"}
    assert set(one(with_vectors=["sparse"]).vector) == {"sparse"}


def test_threads_write_and_query_at_once(embedded: QdrantClient, server: QdrantServer) -> None:
    name = create(embedded)

    def work(worker: int) -> int:
        client = connect(server.url)
        for step in range(20):
            points = corpus()
            for point in points:
                point.id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{worker}-{step}-{point.id}"))
            client.upsert(name, points, wait=True)
            found = client.query_points(
                name, prefetch=BOTH, query=models.FusionQuery(fusion=models.Fusion.DBSF), limit=5
            )
            assert len(found.points) == 5
        client.close()
        return 20 * 12

    with ThreadPoolExecutor(8) as pool:
        written = sum(pool.map(work, range(8)))
    assert embedded.count(name).count == written
