"""Points, filters and collections for the tests of the embedded Qdrant."""

import itertools
from typing import Any

from qdrant_client import QdrantClient, models

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


def create(client: QdrantClient, name: str | None = None) -> str:
    """A collection of one dense and one sparse vector."""
    name = name or next(NAMES)
    client.create_collection(name, vectors_config={"dense": DENSE}, sparse_vectors_config={"sparse": SPARSE})
    return name


def ids(points: list[Any]) -> list[int | str]:
    return [point.id for point in points]


DENSE_QUERY = [1.0, 0.2, 0.5, 0.9]
SPARSE_QUERY = sparse(t0=1.0, t3=0.7, t15=0.3)
BOTH = [
    models.Prefetch(query=DENSE_QUERY, using="dense", limit=6),
    models.Prefetch(query=SPARSE_QUERY, using="sparse", limit=6),
]
