"""Searches: asked of local mode and of the embedded Qdrant, and compared with each other."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient, models

from tests.support.qdrant_points import BOTH, DENSE_QUERY, NAMES, SPARSE_QUERY, connect, corpus, create, tenant
from tests.support.qdrant_server import QdrantServer

BOTH_OF_A = [prefetch.model_copy(update={"filter": tenant("a")}) for prefetch in BOTH]
SEARCHES: dict[str, dict[str, Any]] = {
    "dense": {"query": DENSE_QUERY, "using": "dense"},
    "sparse with idf": {"query": SPARSE_QUERY, "using": "sparse"},
    "filter": {"query": DENSE_QUERY, "using": "dense", "query_filter": tenant("a")},
    "threshold": {"query": DENSE_QUERY, "using": "dense", "score_threshold": 0.8},
    "limit and offset": {"query": DENSE_QUERY, "using": "dense", "limit": 3, "offset": 2},
    "exact": {"query": DENSE_QUERY, "using": "dense", "search_params": models.SearchParams(exact=True)},
    "nearest": {"query": models.NearestQuery(nearest=DENSE_QUERY), "using": "dense"},
    "without a query": {"query_filter": tenant("a"), "limit": 4, "offset": 1},
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

DIVERSE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "by default": ({}, {"limit": 5}),
    "nearness alone": ({"diversity": 0.0, "candidates_limit": 12}, {"limit": 4}),
    "diversity alone": ({"diversity": 1.0, "candidates_limit": 12}, {"limit": 4}),
    "between": ({"diversity": 0.6, "candidates_limit": 9}, {"limit": 3}),
    "filter": ({"diversity": 0.7, "candidates_limit": 12}, {"limit": 3, "query_filter": tenant("a")}),
    "offset": ({"diversity": 0.7, "candidates_limit": 12}, {"limit": 3, "offset": 2}),
    "offset, few candidates": ({"diversity": 0.7}, {"limit": 3, "offset": 2}),
    "threshold": ({"diversity": 0.7, "candidates_limit": 12}, {"limit": 5, "score_threshold": 0.8}),
    "prefetch": ({"diversity": 0.8, "candidates_limit": 6}, {"limit": 3, "prefetch": BOTH[1]}),
}
"""Maximal marginal relevance: its parameters, and the search's."""


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


@pytest.mark.filterwarnings("ignore:Local mode performs exact")
@pytest.mark.parametrize("name", DIVERSE)
def test_diverse_searches_choose_the_same_points_in_the_same_order(
    pair: tuple[QdrantClient, QdrantClient], name: str
) -> None:
    """Each is chosen for its distance from those before it, so the order is not the scores'."""
    mmr, search = DIVERSE[name]
    query = models.NearestQuery(nearest=DENSE_QUERY, mmr=models.Mmr(**mmr))
    local, embedded = (one.query_points("pair", query=query, using="dense", **search).points for one in pair)
    assert embedded
    assert [point.id for point in embedded] == [point.id for point in local]
    assert [point.score for point in embedded] == pytest.approx([point.score for point in local], abs=1e-4)


@pytest.mark.parametrize(
    "mmr", [{"diversity": 1.1}, {"diversity": -0.1}, {"diversity": "much"}, {"candidates_limit": 0}]
)
def test_what_is_no_diversity_is_refused(http: httpx.Client, embedded: QdrantClient, mmr: dict[str, Any]) -> None:
    body = {"query": {"nearest": DENSE_QUERY, "mmr": mmr}, "using": "dense"}
    assert http.post(f"/collections/{create(embedded)}/points/query", json=body).status_code == 400


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


@pytest.mark.parametrize("distance", models.Distance)
def test_every_distance_scores_alike(pair: tuple[QdrantClient, QdrantClient], distance: models.Distance) -> None:
    name = next(NAMES)
    for one in pair:
        one.create_collection(name, vectors_config=models.VectorParams(size=4, distance=distance))
        one.upsert(name, [models.PointStruct(id=n, vector=[1.0 + n, 2.0, 3.0 - n / 4, n % 3]) for n in range(1, 9)])
    local, embedded = (one.query_points(name, query=DENSE_QUERY).points for one in pair)
    assert len(embedded) == 8
    assert rounded(embedded) == rounded(local)
