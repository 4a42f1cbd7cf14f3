"""The embedded Qdrant and the client library's own local mode give the same answers to the same questions.

Where local mode differs from a Qdrant server, the test says so and holds to the server.
"""

import itertools
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from tests.support.qdrant_server import QdrantServer, run_to_end

NAMES = (f"c{number}" for number in itertools.count())
UUID = "e7856a5b-1ca2-4fa4-8ebc-b507c49d9b97"
DENSE = models.VectorParams(size=4, distance=models.Distance.COSINE)
SPARSE = models.SparseVectorParams(modifier=models.Modifier.IDF)


def sparse(**weights: float) -> models.SparseVector:
    """A sparse vector from words like `t3=1.0`."""
    return models.SparseVector(indices=[int(name[1:]) for name in weights], values=list(weights.values()))


def corpus() -> list[models.PointStruct]:
    """Twelve points of two tenants, whose scores differ from each other."""
    return [
        models.PointStruct(
            id=n,
            vector={
                "dense": [1.0 + n, 2.0 + (n * 7) % 5, 3.0 - n / 4, 0.5 * (n % 3) + 0.1 * n],
                "sparse": models.SparseVector(
                    indices=[n % 2, 2 + n % 3, 10 + n], values=[1.0 + n / 8, 0.5 + n / 16, 1.0]
                ),
            },
            payload={
                "tenant": "a" if n % 2 else "b",
                "page": n,
                "tags": ["x", f"t{n % 3}"],
                "done": n < 4,
                "deep": {"n": n},
            },
        )
        for n in range(1, 13)
    ]


def connect(url: str) -> QdrantClient:
    """A client of the embedded Qdrant; its version check would run on beside the test, in a thread."""
    return QdrantClient(url=url, check_compatibility=False)


def tenant(name: str) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value=name))])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    with QdrantServer(tmp_path_factory.mktemp("qdrant")) as running:
        yield running


@pytest.fixture(scope="module", params=["memory", "embedded"])
def client(request: pytest.FixtureRequest) -> Iterator[QdrantClient]:
    local = request.param == "memory"
    made = QdrantClient(":memory:") if local else connect(request.getfixturevalue("server").url)
    yield made
    made.close()


@pytest.fixture
def embedded(server: QdrantServer) -> Iterator[QdrantClient]:
    made = connect(server.url)
    yield made
    made.close()


@pytest.fixture
def http(server: QdrantServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as made:
        yield made


def create(client: QdrantClient, name: str | None = None) -> str:
    """A collection of one dense and one sparse vector."""
    name = name or next(NAMES)
    client.create_collection(name, vectors_config={"dense": DENSE}, sparse_vectors_config={"sparse": SPARSE})
    return name


@pytest.fixture
def empty(client: QdrantClient) -> str:
    return create(client)


@pytest.fixture
def filled(client: QdrantClient, empty: str) -> str:
    client.upsert(empty, corpus())
    return empty


def ids(points: list[Any]) -> list[int | str]:
    return [point.id for point in points]


# The same on both


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


def test_upsert_replaces_the_whole_payload(client: QdrantClient, empty: str) -> None:
    vector: dict[str, Any] = {"dense": [1.0, 0.0, 0.0, 0.0]}
    client.upsert(empty, [models.PointStruct(id=1, vector=vector, payload={"a": 1, "b": 2})])
    client.upsert(empty, [models.PointStruct(id=1, vector=vector, payload={"b": 3})])
    assert client.retrieve(empty, [1])[0].payload == {"b": 3}
    assert client.count(empty).count == 1


def test_batch_form_of_upsert(client: QdrantClient, empty: str) -> None:
    client.upsert(
        empty,
        models.Batch(
            ids=[1, 2],
            vectors={"dense": [[1, 0, 0, 0], [0, 1, 0, 0]], "sparse": [sparse(t1=1), sparse(t2=2)]},
            payloads=[{"n": 1}, {"n": 2}],
        ),
    )
    found = client.retrieve(empty, [2, 1], with_vectors=True)
    assert [point.payload for point in found] == [{"n": 2}, {"n": 1}]
    assert found[0].vector == {"dense": [0, 1, 0, 0], "sparse": sparse(t2=2)}


def test_cosine_vectors_come_back_normalised(client: QdrantClient, empty: str) -> None:
    client.upsert(empty, [models.PointStruct(id=1, vector={"dense": [3.0, 4.0, 0.0, 0.0]})])
    vector = client.retrieve(empty, [1], with_vectors=True)[0].vector
    assert isinstance(vector, dict)
    assert vector["dense"] == pytest.approx([0.6, 0.8, 0, 0])


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


def test_scroll_walks_all_points_in_pages_by_id(client: QdrantClient, filled: str) -> None:
    pages, offset = [], None
    while True:
        page, offset = client.scroll(filled, limit=5, offset=offset, with_payload=False)
        pages.append(ids(page))
        if offset is None:
            break
    assert pages == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_scroll_in_the_order_of_a_field(client: QdrantClient, filled: str) -> None:
    client.create_payload_index(filled, "page", models.PayloadSchemaType.INTEGER)
    order = models.OrderBy(key="page", direction=models.Direction.DESC, start_from=8)
    page, following = client.scroll(filled, limit=3, order_by=order)
    assert ids(page) == [8, 7, 6]
    assert following is None


FILTERS: dict[str, models.Filter] = {
    "value": tenant("a"),
    "truth": models.Filter(must=[models.FieldCondition(key="done", match=models.MatchValue(value=True))]),
    "number": models.Filter(must=[models.FieldCondition(key="page", match=models.MatchValue(value=3))]),
    "any": models.Filter(must=[models.FieldCondition(key="tags", match=models.MatchAny(any=["t1", "t2"]))]),
    "except": models.Filter(must=[models.FieldCondition(key="page", match=models.MatchExcept(**{"except": [1, 2]}))]),
    "range": models.Filter(must=[models.FieldCondition(key="page", range=models.Range(gt=3, lte=7))]),
    "path": models.Filter(must=[models.FieldCondition(key="deep.n", range=models.Range(lt=3))]),
    "should": models.Filter(should=[tenant("a"), models.HasIdCondition(has_id=[2])]),
    "must_not": models.Filter(must_not=[tenant("a")]),
    "min_should": models.Filter(
        min_should=models.MinShould(conditions=[tenant("a"), models.HasIdCondition(has_id=[1, 2])], min_count=2)
    ),
    "empty": models.Filter(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key="nothing"))]),
    "null": models.Filter(must=[models.IsNullCondition(is_null=models.PayloadField(key="page"))]),
    "count": models.Filter(must=[models.FieldCondition(key="tags", values_count=models.ValuesCount(gte=2))]),
    "has_vector": models.Filter(must=[models.HasVectorCondition(has_vector="sparse")]),
    "single": models.Filter(must=models.FieldCondition(key="page", match=models.MatchValue(value=4))),
}
MATCHING: dict[str, set[int]] = {
    "value": {1, 3, 5, 7, 9, 11},
    "truth": {1, 2, 3},
    "number": {3},
    "any": {1, 2, 4, 5, 7, 8, 10, 11},
    "except": set(range(3, 13)),
    "range": {4, 5, 6, 7},
    "path": {1, 2},
    "should": {1, 2, 3, 5, 7, 9, 11},
    "must_not": {2, 4, 6, 8, 10, 12},
    "min_should": {1},
    "empty": set(range(1, 13)),
    "null": set(),
    "count": set(range(1, 13)),
    "has_vector": set(range(1, 13)),
    "single": {4},
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters(client: QdrantClient, filled: str, name: str) -> None:
    found, _ = client.scroll(filled, scroll_filter=FILTERS[name], limit=20)
    assert set(ids(found)) == MATCHING[name]
    assert client.count(filled, FILTERS[name]).count == len(MATCHING[name])


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_facet_counts_values(client: QdrantClient, filled: str) -> None:
    client.create_payload_index(filled, "tags", models.PayloadSchemaType.KEYWORD)
    hits = client.facet(filled, "tags", facet_filter=tenant("a"), exact=True).hits
    assert {hit.value: hit.count for hit in hits} == {"x": 6, "t0": 2, "t1": 2, "t2": 2}


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


# Searches: asked of both, and compared with each other

DENSE_QUERY = [1.0, 0.2, 0.5, 0.9]
SPARSE_QUERY = sparse(t0=1.0, t3=0.7, t15=0.3)
BOTH = [
    models.Prefetch(query=DENSE_QUERY, using="dense", limit=6),
    models.Prefetch(query=SPARSE_QUERY, using="sparse", limit=6),
]
BOTH_OF_A = [prefetch.model_copy(update={"filter": tenant("a")}) for prefetch in BOTH]
SEARCHES: dict[str, dict[str, Any]] = {
    "dense": {"query": DENSE_QUERY, "using": "dense"},
    "sparse with idf": {"query": SPARSE_QUERY, "using": "sparse"},
    "filter": {"query": DENSE_QUERY, "using": "dense", "query_filter": tenant("a")},
    "threshold": {"query": DENSE_QUERY, "using": "dense", "score_threshold": 0.8},
    "limit and offset": {"query": DENSE_QUERY, "using": "dense", "limit": 3, "offset": 2},
    "exact": {"query": DENSE_QUERY, "using": "dense", "search_params": models.SearchParams(exact=True)},
    "by id": {"query": 3, "using": "dense", "limit": 4},
    "sparse by id": {"query": 3, "using": "sparse", "limit": 4, "query_filter": tenant("a")},
    "dbsf": {"prefetch": BOTH, "query": models.FusionQuery(fusion=models.Fusion.DBSF)},
    "dbsf, filter": {"prefetch": BOTH_OF_A, "query": models.FusionQuery(fusion=models.Fusion.DBSF), "limit": 4},
    "dbsf, offset": {
        "prefetch": BOTH, "query": models.FusionQuery(fusion=models.Fusion.DBSF), "offset": 2, "limit": 3,
    },
    "dbsf, threshold": {
        "prefetch": BOTH, "query": models.FusionQuery(fusion=models.Fusion.DBSF), "score_threshold": 0.7,
    },
    "rrf": {"prefetch": BOTH, "query": models.FusionQuery(fusion=models.Fusion.RRF)},
    "rrf with k": {"prefetch": BOTH, "query": models.RrfQuery(rrf=models.Rrf(k=60))},
    "rrf with weights": {"prefetch": BOTH, "query": models.RrfQuery(rrf=models.Rrf(k=2, weights=[3.0, 1.0]))},
    "rrf of one": {"prefetch": BOTH[0], "query": models.RrfQuery(rrf=models.Rrf(k=3, weights=[2.0]))},
    "rrf, offset": {"prefetch": BOTH, "query": models.RrfQuery(rrf=models.Rrf(k=7)), "offset": 1, "limit": 4},
    "rescoring": {
        "prefetch": models.Prefetch(query=SPARSE_QUERY, using="sparse", limit=5),
        "query": DENSE_QUERY, "using": "dense", "limit": 3,
    },
    "nested prefetch": {
        "prefetch": [
            models.Prefetch(prefetch=BOTH, query=models.FusionQuery(fusion=models.Fusion.DBSF), limit=5),
            models.Prefetch(query=DENSE_QUERY, using="dense", limit=3),
        ],
        "query": models.RrfQuery(rrf=models.Rrf(k=11)),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(server: QdrantServer) -> Iterator[tuple[QdrantClient, QdrantClient]]:
    """Local mode and the embedded Qdrant, with the same points in the collection `pair`."""
    local, embedded = QdrantClient(":memory:"), connect(server.url)
    for one in (local, embedded):
        create(one, "pair")
        one.upsert("pair", corpus())
    yield local, embedded
    local.close()
    embedded.close()


def rounded(points: list[Any]) -> list[tuple[float, int | str]]:
    """Scores and ids, points of the same score by their id: among them, a server promises no order."""
    return sorted(((round(-point.score, 4), point.id) for point in points), key=lambda pair: (pair[0], str(pair[1])))


@pytest.mark.filterwarnings("ignore:Local mode performs exact")
@pytest.mark.parametrize("name", SEARCHES)
def test_searches_agree(pair: tuple[QdrantClient, QdrantClient], name: str) -> None:
    local, embedded = (one.query_points("pair", **SEARCHES[name]).points for one in pair)
    assert embedded
    assert rounded(embedded) == rounded(local)
    assert [point.score for point in embedded] == sorted((point.score for point in embedded), reverse=True)


def test_a_batch_of_queries_answers_each(pair: tuple[QdrantClient, QdrantClient]) -> None:
    requests = [
        models.QueryRequest(query=DENSE_QUERY, using="dense", limit=2, with_payload=["page"]),
        models.QueryRequest(prefetch=BOTH, query=models.FusionQuery(fusion=models.Fusion.DBSF), limit=3),
    ]
    local, embedded = (one.query_batch_points("pair", requests) for one in pair)
    assert [rounded(answer.points) for answer in embedded] == [rounded(answer.points) for answer in local]
    assert embedded[0].points[0].payload == local[0].points[0].payload


def test_rrf_counts_from_k_2_by_default(pair: tuple[QdrantClient, QdrantClient]) -> None:
    best = pair[1].query_points(
        "pair", prefetch=[BOTH[0]], query=models.FusionQuery(fusion=models.Fusion.RRF), limit=2
    )
    assert [point.score for point in best.points] == pytest.approx([1 / 2, 1 / 3])


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


def test_langchains_hybrid_search_works_unchanged(client: QdrantClient) -> None:
    from langchain_core.embeddings import Embeddings
    from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings
    from langchain_qdrant import SparseVector as LangchainSparse
    from qdrant_edge import Bm25

    class Letters(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[float(text.count(letter)) + 0.1 for letter in "aeio"] for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    class Words(SparseEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[LangchainSparse]:
            vectors = [Bm25().embed_document(text) for text in texts]
            return [LangchainSparse(indices=vector.indices, values=vector.values) for vector in vectors]

        def embed_query(self, text: str) -> LangchainSparse:
            vector = Bm25().embed_query(text)
            return LangchainSparse(indices=vector.indices, values=vector.values)

    name = next(NAMES)
    client.create_collection(name, vectors_config=DENSE, sparse_vectors_config={"langchain-sparse": SPARSE})
    store = QdrantVectorStore(client, name, Letters(), retrieval_mode=RetrievalMode.HYBRID, sparse_embedding=Words())
    texts = ["the net income of Acme rose", "a cat sat on the mat", "rain in Spain stays on the plain"]
    keys = store.add_texts(texts, metadatas=[{"n": n} for n in range(3)])
    found = store.similarity_search_with_score("net income", k=2)
    assert found[0][0].page_content == texts[0]
    assert found[0][0].metadata["n"] == 0
    store.delete(keys[:1])
    assert texts[0] not in [document.page_content for document in store.similarity_search("net income", k=3)]


# The embedded server alone


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
        ("POST", query, {"query": {"order_by": "page"}}, "index"),
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
    assert http.get(f"/collections/{name}/points/7").status_code == 404
    query = {"query": 7, "using": "dense"}
    assert http.post(f"/collections/{name}/points/query", json=query).status_code == 404
    payload = {"payload": {"a": 1}, "points": [7]}
    assert http.post(f"/collections/{name}/points/payload", json=payload).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/collections/{c}/points/query/groups", {}),
        ("POST", "/collections/{c}/points/query", {"query": {"recommend": {"positive": [1]}}}),
        ("POST", "/collections/{c}/points/query", {"query": [1, 2, 3, 4], "lookup_from": {"collection": "x"}}),
        ("PATCH", "/collections/{c}", {"hnsw_config": {"m": 8}}),
        ("PUT", "/collections/new", {"vectors": {"size": 4, "distance": "Dot"}, "replication_factor": 2}),
        ("GET", "/aliases", None),
        ("POST", "/collections/{c}/snapshots", {}),
    ],
)
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


def test_a_second_process_is_refused(server: QdrantServer) -> None:
    ended = run_to_end(server.data_dir)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"is in use by another process (pid {server.process.pid})" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run_to_end(tmp_path, taken.getsockname()[1])
    assert ended.returncode == 1
    assert "--port" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run_to_end(tmp_path / "file" / "data")
    assert ended.returncode == 1
    assert "--data-dir" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_damaged_collection_is_told(tmp_path: Path) -> None:
    (tmp_path / "collections" / "c").mkdir(parents=True)
    (tmp_path / "collections" / "c" / "collection.json").write_text("{")
    ended = run_to_end(tmp_path)
    assert ended.returncode == 1
    assert "collections/c" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_bad_usage_ends_with_2(tmp_path: Path) -> None:
    assert run_to_end(tmp_path, port=70_000).returncode == 2


def test_ctrl_c_ends_cleanly(tmp_path: Path) -> None:
    with QdrantServer(tmp_path) as server:
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(timeout=20) == 0
        server.process.communicate()
