"""What the embedded Qdrant has answered for is there after any end."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient, models

from tests.support.qdrant_points import DENSE, SPARSE, SPARSE_QUERY, connect, corpus, ids, tenant
from tests.support.qdrant_server import QdrantServer


def fill_everything(client: QdrantClient) -> None:
    """One of each thing that must last."""
    for name in ("kept", "dropped"):
        client.create_collection(
            name, vectors_config={"dense": DENSE}, sparse_vectors_config={"sparse": SPARSE}, metadata={"a": 1}
        )
    client.create_payload_index("kept", "tenant", models.KeywordIndexParams(type="keyword", is_tenant=True))
    client.create_payload_index("kept", "page", models.PayloadSchemaType.INTEGER)
    client.delete_payload_index("kept", "page")
    client.upsert("kept", corpus())
    client.delete("kept", [1])
    client.set_payload("kept", {"page": 100}, points=[2])
    client.update_collection("kept", metadata={"b": 2})
    client.delete_collection("dropped")


def check_everything(client: QdrantClient) -> None:
    assert [collection.name for collection in client.get_collections().collections] == ["kept"]
    info = client.get_collection("kept")
    assert info.config.metadata == {"a": 1, "b": 2}
    assert list(info.payload_schema) == ["tenant"]
    params = info.payload_schema["tenant"].params
    assert isinstance(params, models.KeywordIndexParams)
    assert params.is_tenant is True
    assert ids(client.scroll("kept", limit=20)[0]) == list(range(2, 13))
    assert (client.retrieve("kept", [2])[0].payload or {})["page"] == 100
    hits = client.query_points("kept", query=SPARSE_QUERY, using="sparse", query_filter=tenant("a")).points
    assert ids(hits) == [7, 5]


@pytest.mark.parametrize("ending", ["kill", "terminate"])
def test_what_was_acknowledged_survives(tmp_path: Path, ending: str) -> None:
    """SIGKILL loses nothing that was answered; SIGTERM ends with exit code 0 and nothing more on stdout."""
    with QdrantServer(tmp_path) as server:
        client = connect(server.url)
        fill_everything(client)
        client.close()
        if ending == "kill":
            server.kill()
        else:
            assert server.terminate() == (0, "", "")
    (tmp_path / "collections" / "half").mkdir()  # as if killed while creating
    (tmp_path / "trash" / "old").mkdir()  # as if killed while deleting
    (tmp_path / "collections" / "kept" / "shard-old").mkdir()  # as if killed while optimizing
    with QdrantServer(tmp_path) as server:
        client = connect(server.url)
        check_everything(client)
        client.close()
    assert [path.name for path in (tmp_path / "collections").iterdir()] == ["kept"]
    assert len(list((tmp_path / "collections" / "kept").iterdir())) == 2
    assert not list((tmp_path / "trash").iterdir())


def test_indexes_are_built_while_writes_go_on(tmp_path: Path) -> None:
    """Points written while indexes are built are there afterwards, also when the process is killed then."""
    size, count = 512, 6_000  # more than the 10 MB of vectors from which Qdrant builds a graph
    with QdrantServer(tmp_path) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        http.put("/collections/c", json={"vectors": {"size": size, "distance": "Dot"}}).raise_for_status()

        def write(first: int, number: int) -> None:
            points = [
                {"id": i, "vector": [((i * 31 + j) % 97) / 97 for j in range(size)]}
                for i in range(first, first + number)
            ]
            http.put("/collections/c/points?wait=true", json={"points": points}).raise_for_status()

        def state() -> dict[str, Any]:
            result: dict[str, Any] = http.get("/collections/c").json()["result"]
            return result

        for first in range(0, count, 500):
            write(first, 500)
        assert state()["status"] == "yellow"
        written, deadline = count, time.monotonic() + 60
        while not list((tmp_path / "collections" / "c").glob("shard-*"))[1:]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        while state()["status"] != "green":
            write(written, 3)
            written += 3
            assert time.monotonic() < deadline
        assert state()["indexed_vectors_count"] >= count
        assert state()["points_count"] == written > count
        server.kill()
        with QdrantServer(tmp_path) as again:
            answer = httpx.post(f"{again.url}/collections/c/points/count", json={}).json()
            assert answer["result"]["count"] == written
