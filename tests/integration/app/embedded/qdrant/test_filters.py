"""Filters find the same points in local mode and on the embedded Qdrant."""

import pytest
from qdrant_client import QdrantClient, models

from tests.support.qdrant_points import ids, tenant

FILTERS: dict[str, models.Filter] = {
    "value": tenant("a"),
    "truth": models.Filter(must=[models.FieldCondition(key="done", match=models.MatchValue(value=True))]),
    "number": models.Filter(must=[models.FieldCondition(key="page", match=models.MatchValue(value=3))]),
    "any": models.Filter(must=[models.FieldCondition(key="tags", match=models.MatchAny(any=["t1", "t2"]))]),
    "except": models.Filter(must=[models.FieldCondition(key="page", match=models.MatchExcept(**{"except": [1, 2]}))]),
    "words": models.Filter(must=[models.FieldCondition(key="tags", match=models.MatchText(text="T1"))]),
    "range": models.Filter(must=[models.FieldCondition(key="page", range=models.Range(gt=3, lte=7))]),
    "path": models.Filter(must=[models.FieldCondition(key="deep.n", range=models.Range(lt=3))]),
    "should": models.Filter(should=[tenant("a"), models.HasIdCondition(has_id=[2])]),
    "must_not": models.Filter(must_not=[tenant("a")]),
    "within": models.Filter(must_not=[models.Filter(must=[tenant("a"), models.HasIdCondition(has_id=[1, 2])])]),
    "empty": models.Filter(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key="nothing"))]),
    "null": models.Filter(must=[models.IsNullCondition(is_null=models.PayloadField(key="page"))]),
    "has_vector": models.Filter(must=[models.HasVectorCondition(has_vector="sparse")]),
    "single": models.Filter(must=models.FieldCondition(key="page", match=models.MatchValue(value=4))),
}
MATCHING: dict[str, set[int]] = {
    "value": {1, 3, 5, 7, 9, 11},
    "truth": {1, 2, 3},
    "number": {3},
    "any": {1, 2, 4, 5, 7, 8, 10, 11},
    "except": set(range(3, 13)),
    "words": {1, 4, 7, 10},
    "range": {4, 5, 6, 7},
    "path": {1, 2},
    "should": {1, 2, 3, 5, 7, 9, 11},
    "within": set(range(2, 13)),
    "must_not": {2, 4, 6, 8, 10, 12},
    "empty": set(range(1, 13)),
    "null": set(),
    "has_vector": set(range(1, 13)),
    "single": {4},
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters(client: QdrantClient, filled: str, name: str) -> None:
    found, _ = client.scroll(filled, scroll_filter=FILTERS[name], limit=20)
    assert set(ids(found)) == MATCHING[name]
    assert client.count(filled, FILTERS[name]).count == len(MATCHING[name])
