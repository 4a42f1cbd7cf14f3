"""What was deleted from the embedded Qdrant leaves its disk when it is asked to look for that, and all else stays."""

from pathlib import Path

import httpx
from qdrant_client import QdrantClient, models

from tests.support.processes import wait_until
from tests.support.qdrant_points import DENSE, SPARSE, SPARSE_QUERY, connect, corpus, create, ids
from tests.support.qdrant_server import QdrantServer

WORD = "zanzibarwort"


def holders(folder: Path, word: str) -> list[Path]:
    """The files below that hold the word."""
    return [path for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def is_green(client: QdrantClient) -> bool:
    return client.get_collection("kept").status == models.CollectionStatus.GREEN


def test_deleted_words_leave_the_disk_and_nothing_else_does(tmp_path: Path) -> None:
    with QdrantServer(tmp_path) as server:
        client = connect(server.url)
        client.create_collection(
            "kept", vectors_config={"dense": DENSE}, sparse_vectors_config={"sparse": SPARSE}, metadata={"a": 1}
        )
        client.create_payload_index("kept", "tenant", models.KeywordIndexParams(type="keyword", is_tenant=True))
        client.upsert("kept", corpus())
        client.set_payload("kept", {"text": WORD}, points=[3])
        everything = client.scroll("kept", limit=20, with_payload=True, with_vectors=True)[0]
        hits = ids(client.query_points("kept", query=SPARSE_QUERY, using="sparse").points)
        client.delete("kept", [3])
        assert holders(tmp_path, WORD), "deleted words are on the disk, else this test holds nothing"

        answer = httpx.patch(f"{server.url}/collections/kept", json={"optimizers_config": {}})
        assert answer.json()["result"] is True
        assert not is_green(client), "who waits for green must not find it too early"
        client.set_payload("kept", {"page": 77}, points=[4])  # while it is at work
        wait_until(lambda: is_green(client), "the shard is written anew", seconds=60)

        assert holders(tmp_path, WORD) == []
        left = client.scroll("kept", limit=20, with_payload=True, with_vectors=True)[0]
        for point in everything:
            if point.id == 4:
                assert point.payload is not None
                point.payload["page"] = 77
        assert left == [point for point in everything if point.id != 3]
        assert ids(client.query_points("kept", query=SPARSE_QUERY, using="sparse").points) == [
            hit for hit in hits if hit != 3
        ]
        client.upsert("kept", [point for point in corpus() if point.id == 5])
        client.set_payload("kept", {"page": 99}, points=[5])
        server.kill()
    with QdrantServer(tmp_path) as server:
        client = connect(server.url)
        info = client.get_collection("kept")
        assert (info.points_count, info.config.metadata) == (len(everything) - 1, {"a": 1})
        assert list(info.payload_schema) == ["tenant"]
        assert (client.retrieve("kept", [5])[0].payload or {})["page"] == 99, "what was written after it counts"


def test_the_optimizers_are_not_changed(http: httpx.Client, embedded: QdrantClient) -> None:
    body = {"optimizers_config": {"deleted_threshold": 0.1}}
    assert http.patch(f"/collections/{create(embedded)}", json=body).status_code == 501
