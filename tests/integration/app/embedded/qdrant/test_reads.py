"""Scrolls and facets, the same in local mode and on the embedded Qdrant."""

import pytest
from qdrant_client import QdrantClient, models

from tests.support.qdrant_points import ids, tenant


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


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_facet_counts_values(client: QdrantClient, filled: str) -> None:
    client.create_payload_index(filled, "tags", models.PayloadSchemaType.KEYWORD)
    hits = client.facet(filled, "tags", facet_filter=tenant("a"), exact=True).hits
    assert {hit.value: hit.count for hit in hits} == {"x": 6, "t0": 2, "t1": 2, "t2": 2}
