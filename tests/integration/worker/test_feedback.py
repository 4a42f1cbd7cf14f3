"""A hybrid search's second round, moved by the best of the first, on the embedded Qdrant."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from app.core.contract import SearchFilters
from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Fusion, Settings
from tests.support.documents import WordEmbeddings, add_document
from worker.http.qdrant import BadRequestError, NotFoundError, QdrantHttp
from worker.index.vector_index import open_index
from worker.retrieval import search
from worker.retrieval.search import FEEDBACK_FOUND_MIN, Searcher
from worker.vectors import DENSE, Hit

TENANTS = ("a", "b")
QUESTION = "When does the klaxon sound?"
ABOUT = (
    "The klaxon sounds at noon: a siren and a lamp on the mast.",
    "A klaxon is a siren, and has a lamp.",
    "Whoever hears the klaxon looks for the lamp: the siren is near.",
)
RELATED = "Before a siren there is always a lamp."
CODE = "The pump with code E4711 is painted green."
FILLER = tuple(f"Page {n} tells of quay number {n * 7}, painted in {n * 13} days." for n in range(FEEDBACK_FOUND_MIN))

VECTORS = "vectors"
QUERY = "query"
Broken = Callable[[Any], Any]


class Watched(QdrantHttp):
    """Keeps what was asked; each kind of request may be broken."""

    def __init__(self, url: str) -> None:
        super().__init__(url, api_key=None, timeout_seconds=10)
        self.asked: list[tuple[str, Any]] = []
        self.broken: dict[str, Broken] = {}

    def post(self, path: str, body: Any) -> Any:
        kind = QUERY if path.endswith("/query/batch") else VECTORS if body.get("with_vector") else "other"
        self.asked.append((path, body))
        is_second = kind == VECTORS or self.searches() > 1
        result = super().post(path, body)
        return self.broken[kind](result) if kind in self.broken and is_second else result

    def searches(self) -> int:
        """How many rounds there have been."""
        return sum(path.endswith("/query/batch") for path, _ in self.asked)


@pytest.fixture(scope="module")
def made(qdrant_url: str) -> Settings:
    """Two tenants with the same pages, and a third with but a few."""
    settings = Settings(qdrant_url=qdrant_url, qdrant_collection=f"t{uuid4().hex}", embedding_model="words")
    with closing(open_index(settings)) as index:
        index._make_embeddings = WordEmbeddings
        for tenant in TENANTS:
            pages = (*ABOUT, RELATED, CODE, *FILLER)
            add_document(index, *pages, tenant=tenant, document_id=tenant, filename=f"{tenant}.pdf")
        add_document(index, *ABOUT, *FILLER[:50], tenant="small", document_id="small")
        add_document(index, *ABOUT, tenant="b", document_id="signals", filename="SIGNALS_2019.pdf")
    return settings


@pytest.fixture
def http(made: Settings) -> Iterator[Watched]:
    with closing(Watched(str(made.qdrant_url))) as http:
        yield http


@pytest.fixture
def searcher(made: Settings, http: Watched) -> Searcher:
    return Searcher(http, made, embed=WordEmbeddings().embed_query)


@pytest.fixture
def first_round(made: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Hit]]:
    """What a search finds without feedback."""

    def find() -> list[Hit]:
        with (
            monkeypatch.context() as patched,
            closing(QdrantHttp(str(made.qdrant_url), api_key=None, timeout_seconds=10)) as http,
        ):
            patched.setattr(search, "FEEDBACK_FOUND_MIN", 10**9)
            return _find(Searcher(http, made, embed=WordEmbeddings().embed_query))

    return find


def _find(searcher: Searcher, query: str = QUESTION, **more: Any) -> list[Hit]:
    where: dict[str, Any] = {"tenant": "a", "collection": "default", "top_k": 20} | more
    return searcher.search(query, **where)


def _raising(error: Exception) -> Broken:
    def broken(_: Any) -> Any:
        raise error

    return broken


def test_a_page_that_says_what_the_best_hits_say_comes_nearer(
    searcher: Searcher, first_round: Callable[[], list[Hit]]
) -> None:
    hits = _find(searcher)
    assert {hit.text for hit in hits[:3]} == set(ABOUT)
    assert hits[3].text == RELATED
    assert RELATED not in [hit.text for hit in first_round()[:4]]


def test_the_second_round_is_as_confined_as_the_first(searcher: Searcher, http: Watched) -> None:
    filters = SearchFilters(page_from=2)
    hits = _find(searcher, filters=filters)
    assert hits
    assert {hit.document_id for hit in hits} == {"a"}
    assert min(hit.page for hit in hits) >= 2
    first, second = (body["searches"] for path, body in http.asked if path.endswith("/query/batch"))
    assert [one["filter"] for one in second] == [one["filter"] for one in first]
    assert [one["using"] for one in second] == [one["using"] for one in first]
    assert all(one["query"] != other["query"] for one, other in zip(first, second, strict=True))


def test_a_file_that_is_named_leads_in_the_second_round_too(searcher: Searcher, http: Watched) -> None:
    hits = _find(searcher, "When does the klaxon of the signals of FY2019 sound?", tenant="b")
    assert {hit.filename for hit in hits[:3]} == {"SIGNALS_2019.pdf"}
    assert http.searches() == 2


def test_a_code_in_the_question_still_decides(searcher: Searcher) -> None:
    assert _find(searcher, "What is painted with code E4711?")[0].text == CODE


@pytest.mark.parametrize(
    ("query", "more"),
    [
        (QUESTION, {"tenant": "small"}),
        (QUESTION, {"tenant": "nobody"}),
        (QUESTION, {"filters": SearchFilters(page_to=20)}),
        ("zork blorf", {}),
        ("the of and", {}),
    ],
)
def test_of_few_chunks_or_of_nothing_there_is_no_second_round(
    searcher: Searcher, http: Watched, query: str, more: dict[str, Any]
) -> None:
    hits = _find(searcher, query, **more)
    assert http.searches() == 1
    assert not any(body.get("with_vector") for _, body in http.asked)
    assert bool(hits) == (query == QUESTION and more.get("tenant") != "nobody")


def test_a_second_round_is_two_requests_more(searcher: Searcher, http: Watched) -> None:
    _find(searcher)
    http.asked.clear()
    _find(searcher)
    paths = [path.rpartition("/points")[2] for path, _ in http.asked]
    assert paths == ["/query/batch", "", "/query/batch", ""]


@pytest.mark.parametrize(
    "changes",
    [{"fusion": Fusion.RRF}, {"fusion": Fusion.DBSF}, {"fusion_dense_weight": 0.0}, {"fusion_dense_weight": 1.0}],
)
def test_only_the_convex_fusion_of_both_halves_has_a_second_round(
    made: Settings, http: Watched, changes: dict[str, Any]
) -> None:
    assert _find(Searcher(http, made.model_copy(update=changes), embed=WordEmbeddings().embed_query))
    assert http.searches() == 1


def test_bm25_alone_is_one_request(made: Settings, http: Watched) -> None:
    searcher = Searcher(http, made.model_copy(update={"embedding_model": None}))
    _find(searcher)
    http.asked.clear()
    assert _find(searcher)
    assert len(http.asked) == 1


@pytest.mark.parametrize("kind", [VECTORS, QUERY])
@pytest.mark.parametrize(
    "broken",
    [
        _raising(ServiceError(ErrorCode.INDEX_UNAVAILABLE)),
        _raising(BadRequestError()),
        _raising(NotFoundError()),
        lambda _: None,
        lambda _: [{}],
        lambda found: [one | {"vector": {DENSE: [1.0]}, "points": [{}]} for one in found],
        lambda found: [one | {"vector": None, "points": None} for one in found],
    ],
)
def test_a_second_round_that_fails_leaves_the_first(
    searcher: Searcher, http: Watched, first_round: Callable[[], list[Hit]], kind: str, broken: Broken
) -> None:
    http.broken[kind] = broken
    assert _find(searcher) == first_round()
