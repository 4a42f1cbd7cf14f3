"""What tests of the worker share: an index that is filled once, since that takes longer than most of them."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from app.core.contract import DEFAULT_COLLECTION, DEFAULT_TENANT
from app.core.settings import Settings
from tests.support.documents import HANDBOOK, add_document
from tests.support.model_server import ModelServer
from worker.index.vector_index import VectorIndex, open_index


@pytest.fixture(scope="session")
def handbook(qdrant_url: str) -> Iterator[str]:
    """The collection that holds the handbook; tests only read it, which is seen to at the end."""
    settings = Settings(_env_file=None, qdrant_url=qdrant_url, qdrant_collection=f"t{uuid4().hex}")
    with closing(open_index(settings)) as index:
        add_document(index, *HANDBOOK)
        written = _documents(index)
    yield settings.qdrant_collection
    with closing(open_index(settings)) as index:
        assert _documents(index) == written, "a test has written to the collection that others read"


def _documents(index: VectorIndex) -> dict[str, int]:
    return index.chunk_counts(tenant=DEFAULT_TENANT, collection=DEFAULT_COLLECTION)


@pytest.fixture(scope="session")
def model() -> Iterator[ModelServer]:
    """A model over HTTP; a test that counts resets it."""
    with ModelServer() as server:
        yield server
