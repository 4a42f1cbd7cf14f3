"""What the embedded Qdrant refuses, and with which status and words."""

from importlib.metadata import version
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient

from tests.support.qdrant_points import UUID, create


def test_status_codes_and_names_of_bad_input(http: httpx.Client, embedded: QdrantClient) -> None:
    name = create(embedded)
    dense = [1.0, 2.0, 3.0, 4.0]
    points, query, scroll = f"/collections/{name}/points", f"/collections/{name}/points/query", "/points/scroll"
    deep: Any = 1
    for _ in range(100):
        deep = {"a": deep}
    filters: list[tuple[Any, str]] = [
        ({"mst": []}, "mst"),
        ({"must": [{"key": "a"}]}, "at least one"),
        ({"must": [{"key": "a[", "match": {"value": 1}}]}, "a["),
        ({"must": [{"key": "a", "match": {"value": 1.5}}]}, "match"),
        ({"must": [{"key": "a", "range": {"gt": "noon"}}]}, "range"),
        ({"must": [{"has_id": ["x"]}]}, "point id"),
        ({"must": deep}, "nested deeper"),
        ("a", "filter"),
    ]

    def point(**parts: Any) -> dict[str, Any]:
        return {"points": [{"id": 1, "vector": {"dense": dense}, **parts}]}

    cases: list[tuple[str, str, Any, str]] = [
        ("PUT", points, point(vector={"dense": [1.0]}), "expected dim: 4, got 1"),
        ("PUT", points, point(vector={"other": dense}), "other"),
        ("PUT", points, point(vector=dense), "Not existing vector name"),
        ("PUT", points, point(vector={"dense": [1, 2, 3, "x"]}), "numbers"),
        ("PUT", points, point(vector={"dense": [1, 2, 3, 1e300]}), "too large"),
        ("PUT", points, point(vector={"sparse": {"indices": [1, 2], "values": [1]}}), "same length"),
        ("PUT", points, point(vector={"sparse": {"indices": [1, 1], "values": [1, 2]}}), "unique"),
        ("PUT", points, point(vector={"sparse": {"indices": [-1], "values": [1]}}), "sparse"),
        ("PUT", points, point(id="x"), "point 'x'"),
        ("PUT", points, point(id=-1), "point -1"),
        ("PUT", points, point(id=True), "True"),
        ("PUT", points, point(payload=[1]), "payload"),
        ("PUT", points, point(payload=deep), "nested deeper"),
        ("PUT", points, {"points": []}, "Empty update request"),
        ("PUT", points, {}, "points"),
        ("PUT", points, [], "object"),
        ("POST", query, {"query": [1.0], "using": "dense"}, "expected dim: 4, got 1"),
        ("POST", query, {"query": dense}, "Not existing vector name"),
        ("POST", query, {"query": dense, "using": "dense", "limit": 0}, "limit"),
        ("POST", query, {"query": dense, "using": "dense", "limit": "5"}, "limit"),
        ("POST", query, {"query": {"fusion": "rrf"}}, "prefetch"),
        ("POST", query, {"query": {"fusion": "sum"}, "prefetch": [{"query": dense, "using": "dense"}]}, "fusion"),
        ("POST", query, {"prefetch": [{"query": dense, "using": "dense"}]}, "query is needed"),
        ("POST", f"/collections/{name}{scroll}", {"order_by": "page"}, "index"),
        ("PUT", f"/collections/{name}/index", {"field_name": "a", "field_schema": "words"}, "field_schema"),
        ("PUT", "/collections/a.b", {"vectors": {"size": 4, "distance": "Cosine"}}, "name"),
        ("PUT", "/collections/ok", {"vectors": {"size": 0, "distance": "Cosine"}}, "size"),
        ("PUT", "/collections/ok", {"vectors": {"size": 4, "distance": "Near"}}, "distance"),
        *(("POST", f"/collections/{name}{scroll}", {"filter": body}, message) for body, message in filters),
    ]
    for method, path, body, message in cases:
        answer = http.request(method, path, json=body)
        assert (answer.status_code, message in answer.json()["status"]["error"]) == (400, True), (body, answer.text)
    for content in (b"", b"{", b'{"points": [NaN]}', b"\xff"):
        answer = http.put(points, content=content)
        assert answer.status_code == 400
        assert "JSON" in answer.json()["status"]["error"]
    assert embedded.count(name).count == 0


def test_what_is_missing_is_404(http: httpx.Client, embedded: QdrantClient) -> None:
    name = create(embedded)
    assert http.get(f"/collections/{name}x").status_code == 404
    payload = {"payload": {"a": 1}, "points": [7]}
    assert http.post(f"/collections/{name}/points/payload", json=payload).status_code == 404


PLACE = {"lon": 1.0, "lat": 2.0}
UNMAPPED_CONDITIONS: list[dict[str, Any]] = [
    {"min_should": {"conditions": [{"has_id": [1]}], "min_count": 1}},
    {"nested": {"key": "deep", "filter": {"must": [{"key": "n", "match": {"value": 1}}]}}},
    {"slice": {"total": 2, "index": 0}},
    {"key": "place", "geo_radius": {"center": PLACE, "radius": 10.0}},
    {"key": "place", "geo_bounding_box": {"top_left": PLACE, "bottom_right": PLACE}},
    {"key": "place", "geo_polygon": {"exterior": {"points": [PLACE, PLACE, PLACE, PLACE]}}},
    {"key": "tags", "values_count": {"gte": 2}},
    {"key": "tags", "is_empty": True},
    {"key": "tags", "is_null": True},
    {"key": "tags", "match": {"text_any": "x y"}},
    {"key": "tags", "match": {"phrase": "x y"}},
    {"key": "tags", "match": {"prefix": "x"}},
    {"key": "tags", "match": {"substring": "x"}},
]
UNMAPPED_QUERIES: list[Any] = [
    7,
    UUID,
    {"nearest": 7},
    {"nearest": 7, "mmr": {"diversity": 0.5}},
    {"recommend": {"positive": [1]}},
    {"discover": {"target": 1, "context": []}},
    {"context": [{"positive": 1, "negative": 2}]},
    {"order_by": "page"},
    {"formula": {"sum": ["$score", 1]}},
    {"sample": "random"},
    {"text": "a question", "model": "m"},
    {"image": "https://host/image.png", "model": "m"},
    {"object": {}, "model": "m"},
]
WEIGHTS = {"indices": [1], "values": [1.0]}
BATCH = {"ids": [1], "vectors": {"dense": [[1, 2, 3, 4]]}}
UPSERT = {"points": [{"id": 1, "vector": {"dense": [1, 2, 3, 4]}}]}
UNMAPPED: list[tuple[str, str, Any]] = [
    *(("POST", "/collections/{c}/points/count", {"filter": {"must": [body]}}) for body in UNMAPPED_CONDITIONS),
    ("POST", "/collections/{c}/points/count", {"filter": UNMAPPED_CONDITIONS[0]}),
    *(("POST", "/collections/{c}/points/query", {"query": body, "using": "dense"}) for body in UNMAPPED_QUERIES),
    ("POST", "/collections/{c}/points/query", {"query": {"nearest": WEIGHTS, "mmr": {}}, "using": "sparse"}),
    ("POST", "/collections/{c}/points/query", {"query": [1, 2, 3, 4], "lookup_from": {"collection": "x"}}),
    ("POST", "/collections/{c}/points/query/groups", {}),
    ("GET", "/collections/{c}/points/7", None),
    ("PUT", "/collections/{c}/points", {"batch": BATCH}),
    ("PUT", "/collections/{c}/points", {**UPSERT, "update_mode": "insert_only"}),
    ("PUT", "/collections/{c}/points", {**UPSERT, "update_filter": {"must": [{"has_id": [1]}]}}),
    ("PUT", "/collections/{c}/points/vectors", UPSERT),
    ("PUT", "/collections/{c}/index", {"field_name": "place", "field_schema": "geo"}),
    ("PUT", "/collections/{c}/index", {"field_name": "place", "field_schema": {"type": "geo"}}),
    ("PUT", "/collections/{c}/index", {"field_name": "text", "field_schema": {"type": "text", "tokenizer": "word"}}),
    ("PUT", "/collections/{c}/index", {"field_name": "tags", "field_schema": {"type": "keyword", "prefix": True}}),
    ("PATCH", "/collections/{c}", {"hnsw_config": {"m": 8}}),
    ("PUT", "/collections/new", {"vectors": {"size": 4, "distance": "Dot"}, "replication_factor": 2}),
    ("PUT", "/collections/new", {"vectors": {"size": 4, "distance": "Dot"}, "optimizers_config": {}}),
    ("POST", "/collections/{c}/snapshots", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), UNMAPPED)
def test_what_is_not_supported_is_501(
    http: httpx.Client, embedded: QdrantClient, method: str, path: str, body: Any
) -> None:
    answer = http.request(method, path.format(c=create(embedded)), json=body)
    assert answer.status_code == 501
    assert answer.json()["status"]["error"].startswith("Not supported")


def test_the_version_is_the_clients_and_health_is_told(http: httpx.Client) -> None:
    assert http.get("/").json()["version"] == version("qdrant-client")
    assert {http.get(path).status_code for path in ("/healthz", "/readyz", "/livez")} == {200}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:6333"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-Forwarded-For": "127.0.0.1"}, 403),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:6333"}, 200),
    ],
)
def test_web_pages_are_refused(http: httpx.Client, headers: dict[str, str], status: int) -> None:
    assert http.get("/collections", headers=headers).status_code == status


def test_a_body_over_the_limit_is_413(http: httpx.Client, embedded: QdrantClient) -> None:
    answer = http.put(f"/collections/{create(embedded)}/points", content=b" " * (64 * 2**20 + 1))
    assert answer.status_code == 413
    assert "send less" in answer.json()["status"]["error"]
