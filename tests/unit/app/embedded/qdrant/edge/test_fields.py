"""Every field that qdrant-client may send is read or answered with 501: none is a mistake of the client's."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from qdrant_client.http.models import models

from app.embedded.qdrant.edge import writes
from app.embedded.qdrant.edge.collection_config import (
    collection_config,
    dense_config,
    hnsw_config,
    metadata_changes,
    sparse_config,
)
from app.embedded.qdrant.edge.errors import BadInputError, NotSupportedError
from app.embedded.qdrant.edge.filters import clauses, condition
from app.embedded.qdrant.edge.payload_indexes import INDEXES, UNMAPPED_INDEXES, create_index
from app.embedded.qdrant.edge.queries import prefetch, query_request, search_params, searches
from app.embedded.qdrant.edge.reads import count_request, facet_request, retrieve_request, scroll_request
from app.embedded.qdrant.edge.values import Json
from app.embedded.qdrant.edge.vectors import Schema

SCHEMA = Schema({"": 1}, frozenset())

Read = Callable[[Json], Any]


def with_schema(read: Callable[[Json, Schema], Any]) -> Read:
    return lambda body: read(body, SCHEMA)


REQUESTS: list[tuple[Read, list[type[BaseModel]]]] = [
    (with_schema(query_request), [models.QueryRequest]),
    (searches, [models.QueryRequestBatch]),
    (with_schema(prefetch), [models.Prefetch]),
    (with_schema(scroll_request), [models.ScrollRequest]),
    (with_schema(retrieve_request), [models.PointRequest]),
    (count_request, [models.CountRequest]),
    (facet_request, [models.FacetRequest]),
    (with_schema(writes.upsert), [models.PointsList, models.PointsBatch]),
    (lambda body: writes.upsert({"points": [body]}, SCHEMA), [models.PointStruct]),
    (with_schema(writes.delete), [models.PointIdsList, models.FilterSelector]),
    (with_schema(writes.set_payload), [models.SetPayload]),
    (with_schema(writes.delete_payload), [models.DeletePayload]),
    (with_schema(create_index), [models.CreateFieldIndex]),
    (collection_config, [models.CreateCollection]),
    (metadata_changes, [models.UpdateCollection]),
    (lambda body: dense_config("v", body), [models.VectorParams]),
    (lambda body: sparse_config("v", body), [models.SparseVectorParams]),
    (lambda body: sparse_config("v", {"index": body}), [models.SparseIndexParams]),
    (hnsw_config, [models.HnswConfigDiff]),
    (search_params, [models.SearchParams]),
    (clauses, [models.Filter]),
    (condition, [kind for kind in get_args(models.Condition) if kind is not models.FieldCondition]),
    (lambda body: condition({"key": "k", **body}), [models.FieldCondition]),
    (lambda body: condition({"key": "k", "match": body}), list(get_args(models.Match))),
    (lambda body: condition({"key": "k", "range": body}), list(get_args(models.RangeInterface))),
    (lambda body: scroll_request({"order_by": body}, SCHEMA), [models.OrderBy]),
    (lambda body: query_request({"query": {"rrf": body}, "prefetch": {}}, SCHEMA), [models.Rrf]),
    (lambda body: query_request({"query": {"nearest": [1.0], **body}}, SCHEMA), [models.NearestQuery]),
]
FIELDS = [
    pytest.param(read, field.alias or name, id=f"{model.__name__}-{name}")
    for read, kinds in REQUESTS
    for model in kinds
    for name, field in model.model_fields.items()
]
QUERIES = [next(iter(kind.model_fields)) for kind in get_args(models.Query)]


def is_known(read: Read, body: Json) -> bool:
    try:
        read(body)
    except NotSupportedError:
        return True
    except BadInputError as error:
        return "unknown field" not in str(error)
    return True


@pytest.mark.parametrize(("read", "field"), FIELDS)
def test_a_field_of_a_request_is_known(read: Read, field: str) -> None:
    assert is_known(read, {field: 1})


@pytest.mark.parametrize("name", QUERIES)
def test_a_kind_of_query_is_known(name: str) -> None:
    assert is_known(with_schema(query_request), {"query": {name: 1}})


@pytest.mark.parametrize("kind", models.PayloadSchemaType)
def test_a_kind_of_payload_index_is_known(kind: models.PayloadSchemaType) -> None:
    assert kind in {*INDEXES, *UNMAPPED_INDEXES}


@pytest.mark.parametrize("params", get_args(models.PayloadSchemaParams))
def test_a_parameter_of_a_payload_index_is_known(params: type[BaseModel]) -> None:
    kind = params.__name__.removesuffix("IndexParams").lower()
    for name in params.model_fields.keys() - {"type"}:
        body = {"field_name": "f", "field_schema": {"type": kind, name: 1}}
        assert is_known(lambda body: create_index(body, SCHEMA), body)


def test_a_field_that_qdrant_does_not_know_is_not_known() -> None:
    assert not is_known(clauses, {"mst": 1})
