"""QDRANT_URL of several nodes, and what the settings say of how a collection lies in Qdrant."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from qdrant_client import models

from app.core.services import Services
from app.core.settings import Settings
from app.embedded.ports import free_port
from app.embedded.service import Service
from tests.support.api import serving
from tests.support.cable import Cable, cable
from tests.support.documents import HANDBOOK, WordEmbeddings, add_document
from worker.http.qdrant import QdrantHttp
from worker.http.writing import WritingHttp
from worker.index.index_watch import state
from worker.index.langchain_store import open_client
from worker.index.vector_index import VectorIndex, open_index
from worker.layout import layout_of
from worker.retrieval.search import Searcher, open_searcher

WHERE: dict[str, Any] = {"tenant": "default", "collection": "default", "top_k": 5}


@pytest.fixture
def nodes(qdrant_url: str) -> Iterator[list[Cable]]:
    """Two ways to one Qdrant, each of which can be cut."""
    port = urlsplit(qdrant_url).port
    assert port is not None
    with cable(port) as first, cable(port) as second:
        yield [first, second]


@pytest.fixture
def settings(nodes: list[Cable], valkey_url: str) -> Settings:
    urls = [f"http://127.0.0.1:{node.port}" for node in nodes]
    return Settings(qdrant_url=" , ".join(urls), qdrant_collection=f"t{uuid4().hex}", redis_url=valkey_url)


def written(settings: Settings) -> None:
    with closing(open_index(settings)) as index:
        add_document(index, *HANDBOOK)


def searched(settings: Settings) -> None:
    with closing(open_searcher(settings)) as searcher:
        searcher.search("harbour", **WHERE)


def by_langchain(settings: Settings) -> None:
    with closing(open_client(settings)) as client:
        client.get_collections()


def readiness(settings: Settings) -> None:
    with serving(settings) as url:
        assert httpx.get(f"{url}/readyz").json()["checks"]["qdrant"] == "ok"


def first_start(settings: Settings) -> None:
    """`python -m app` asks whether the index is empty."""
    assert settings.qdrant_url is not None
    services = Services(pid=1, http_url="http://h", redis_url="redis://h", qdrant_url=settings.qdrant_url)
    asyncio.run(Service(settings, documents=None)._is_empty(services))


def watched_index(settings: Settings) -> None:
    assert settings.qdrant_url is not None
    with closing(QdrantHttp(settings.qdrant_url, api_key=None, timeout_seconds=5)) as http:
        assert state(http, settings) is None


WAYS: tuple[Callable[[Settings], None], ...] = (
    written, searched, by_langchain, readiness, first_start, watched_index,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("away", [0, 1])
def test_one_node_may_be_away(
    settings: Settings, nodes: list[Cable], away: int, way: Callable[[Settings], None]
) -> None:
    nodes[away].cut()
    way(settings)


def test_a_node_that_goes_away_is_left_and_not_asked_again(settings: Settings, nodes: list[Cable]) -> None:
    written(settings)
    with closing(open_searcher(settings)) as searcher:
        assert searcher.search("harbour", **WHERE)
        nodes[0].cut()
        for _ in range(5):
            assert searcher.search("harbour", **WHERE)
        assert nodes[0].turned_away <= 2
        nodes[0].mend()
        nodes[1].cut()
        assert searcher.search("harbour", **WHERE)


def test_a_node_that_says_that_it_can_not_is_passed_over(settings: Settings, nodes: list[Cable]) -> None:
    written(settings)
    nodes[0].cut(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    searched(settings)


def test_addresses_of_a_port_where_nobody_listens_are_passed_over(qdrant_url: str) -> None:
    url = f"http://127.0.0.1:{free_port(0)},{qdrant_url}"
    with closing(QdrantHttp(url, api_key=None, timeout_seconds=5)) as http:
        http.get("/collections")


# How a collection lies in Qdrant


class Written(WritingHttp):
    """Takes whatever it is sent, and keeps it: no cluster is here."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []

    def put(self, path: str, body: Any) -> Any:
        self.sent.append(("PUT", path, body))

    def patch(self, path: str, body: Any) -> Any:
        self.sent.append(("PATCH", path, body))


CLUSTER = Settings(
    qdrant_url="http://a,http://b",
    qdrant_shards=6,
    qdrant_replicas=3,
    qdrant_write_replicas=2,
    qdrant_read_fan_out=1,
    qdrant_read_consistency="majority",
    qdrant_on_disk=True,
    qdrant_quantization="scalar",
)


def test_a_collection_is_made_as_the_settings_say_in_qdrants_own_words() -> None:
    http = Written()
    index = VectorIndex(http, "t", embeddings=WordEmbeddings, embedding_model="words", layout=layout_of(CLUSTER))
    index.create("t-1")
    (_, path, made), (_, changed_path, changed) = http.sent
    assert path == changed_path == "/collections/t-1"
    body = models.CreateCollection.model_validate(made)  # its models take no field that Qdrant does not know
    assert (body.shard_number, body.replication_factor, body.write_consistency_factor) == (6, 3, 2)
    assert (body.on_disk_payload, body.hnsw_config and body.hnsw_config.on_disk) == (True, True)
    dense = models.VectorParams.model_validate(made["vectors"]["dense"])
    assert dense.on_disk
    assert isinstance(dense.quantization_config, models.ScalarQuantization)
    sparse = models.SparseVectorParams.model_validate(made["sparse_vectors"]["sparse"])
    assert sparse.index is not None
    assert sparse.index.on_disk
    update = models.UpdateCollection.model_validate(changed)
    assert update.params is not None
    assert update.params.read_fan_out_factor == 1


def test_what_is_unset_is_qdrants_own_default() -> None:
    http = Written()
    VectorIndex(http, "t", layout=layout_of(Settings(qdrant_url="http://a"))).create("t-1")
    [(_, _, made)] = http.sent
    assert set(made) == {"vectors", "sparse_vectors", "metadata"}
    assert made["sparse_vectors"] == {"sparse": {"modifier": "idf"}}


class Reading(QdrantHttp):
    """A real Qdrant; keeps the addresses that a question reads."""

    paths: list[str]

    def post(self, path: str, body: Any) -> Any:
        self.paths.append(path)
        return super().post(path.partition("?")[0], body)


def test_a_question_reads_what_so_many_copies_agree_on(qdrant_url: str) -> None:
    settings = CLUSTER.model_copy(update={"qdrant_url": qdrant_url, "qdrant_collection": f"t{uuid4().hex}"})
    plain = Settings(qdrant_url=qdrant_url, qdrant_collection=settings.qdrant_collection)
    written(plain)
    http = Reading(qdrant_url, api_key=None, timeout_seconds=5)
    http.paths = []
    with closing(http):
        assert Searcher(http, settings).search("harbour", **WHERE)
    assert any(path.endswith("/points/query/batch?consistency=majority") for path in http.paths)


@pytest.mark.parametrize("quantization", ["none", "scalar", "binary"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_the_embedded_engine_quantises_too(qdrant_url: str, quantization: str, on_disk: bool) -> None:
    settings = Settings(
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        qdrant_quantization=quantization,
        qdrant_on_disk=on_disk,
        embedding_model="words",
    )
    with closing(WritingHttp(qdrant_url, api_key=None, timeout_seconds=10)) as http:
        index = VectorIndex(
            http,
            settings.qdrant_collection,
            embeddings=WordEmbeddings,
            embedding_model="words",
            layout=layout_of(settings),
        )
        add_document(index, *HANDBOOK)
        found = index.generations().current
        assert found is not None
        dense = found.info["config"]["params"]["vectors"]["dense"]
        assert list(dense.get("quantization_config", {"none": {}})) == [quantization]
        assert dense.get("on_disk", False) is on_disk
        searcher = Searcher(http, settings, embed=WordEmbeddings().embed_query)
        [first, *_] = searcher.search("When does the harbour open in winter?", **WHERE)
        assert first.page == 1
