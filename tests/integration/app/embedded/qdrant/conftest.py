"""The two that must agree: the client library's local mode and the embedded Qdrant, each behind the same client.

Where local mode differs from a Qdrant server, the test says so and holds to the server.
"""

from collections.abc import Iterator

import httpx
import pytest
from qdrant_client import QdrantClient

from tests.support.qdrant_points import connect, corpus, create
from tests.support.qdrant_server import QdrantServer


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


@pytest.fixture
def empty(client: QdrantClient) -> str:
    return create(client)


@pytest.fixture
def filled(client: QdrantClient, empty: str) -> str:
    client.upsert(empty, corpus())
    return empty
