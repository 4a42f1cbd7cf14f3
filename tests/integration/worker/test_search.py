"""A question's path through the index, on the embedded Qdrant and over real connections."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any
from uuid import uuid4

import orjson
import pytest
from pydantic import ValidationError

from app.core.contract import SearchFilters
from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Fusion, Settings
from tests.support.documents import HANDBOOK, WordEmbeddings, add_document
from worker.http.qdrant import BadRequestError, NotFoundError, QdrantHttp
from worker.index.vector_index import Chunk, Document, VectorIndex, open_index
from worker.retrieval.rerank import EndpointReranker
from worker.retrieval.search import Index, Searcher, open_searcher
from worker.vectors import Hit

WHERE: dict[str, Any] = {"tenant": "default", "collection": "default"}
HEAVY = ("qdrant_client", "langchain_qdrant", "langchain_core", "numpy", "grpc", "httpx", "worker.index.vector_index")


@pytest.fixture(params=["bm25", "hybrid"])
def settings(request: pytest.FixtureRequest, qdrant_url: str) -> Settings:
    model = "words" if request.param == "hybrid" else None
    return Settings(qdrant_url=qdrant_url, qdrant_collection=f"t{uuid4().hex}", embedding_model=model)


@pytest.fixture
def index(settings: Settings) -> Iterator[VectorIndex]:
    with closing(_index(settings)) as index:
        yield index


@pytest.fixture
def searcher(settings: Settings) -> Iterator[Searcher]:
    with closing(_searcher(settings)) as searcher:
        yield searcher


def _index(settings: Settings) -> VectorIndex:
    index = open_index(settings)
    if settings.embedding_model is not None:
        index._make_embeddings = WordEmbeddings
    return index


def _searcher(settings: Settings, **parts: Any) -> Searcher:
    assert settings.qdrant_url is not None
    http = QdrantHttp(settings.qdrant_url, api_key=None, timeout_seconds=10)
    embed = WordEmbeddings().embed_query if settings.embedding_model is not None else None
    return Searcher(http, settings, embed=embed, closing=[http.close], **parts)


def _find(searcher: Searcher, query: str, **more: Any) -> list[Hit]:
    return searcher.search(query, **WHERE | {"top_k": 5} | more)


def _add(index: VectorIndex, *chunks: Chunk) -> None:
    """Write `chunks` of one document as they are."""
    first = chunks[0]
    record = Document(
        **WHERE, document_id=first.document_id, version=first.version, filename=first.filename, source="",
        sha256="0" * 64, pages=9, chunks=len(chunks), missing_pages=(), ingested_at=first.ingested_at,
    )  # fmt: skip
    index.ensure()
    index.write(record, chunks, index.embed([chunk.embedded for chunk in chunks]))


def _chunk(text: str, number: int = 0, **changes: Any) -> Chunk:
    made = Chunk(
        **WHERE, document_id="d", version="v", filename="d.pdf", sha256="0" * 64, page=number + 1,
        chunk_index=number, text=text, ingested_at="2026-11-21T00:00:00Z",
    )  # fmt: skip
    return replace(made, **changes)


def test_a_question_finds_its_page_first(index: VectorIndex, searcher: Searcher) -> None:
    add_document(index, *HANDBOOK)
    found = _find(searcher, "When does the harbour open in winter?")
    assert (found[0].filename, found[0].page, found[0].text) == ("handbook.pdf", 1, HANDBOOK[0])
    assert len(_find(searcher, "harbour boat", top_k=1)) == 1
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("납품일", "납품일은 계약 후 30일이다."),
        ("العقد", "والعقد ساري حتى مايو."),
        ("cafe", "The Café opens at nine."),
        ("1234", "Sales rose to 1,234 million."),
        ("3.5 kW", "The heater draws 3.5kW."),
        ("10^6", "A dish holds 10^6 cells."),
    ],
)
def test_a_word_or_number_is_found_however_it_is_written(
    index: VectorIndex, searcher: Searcher, query: str, text: str
) -> None:
    add_document(index, *HANDBOOK)
    add_document(index, text, document_id="other", filename="other.pdf")
    assert _find(searcher, query)[0].document_id == "other"


def test_before_anything_is_indexed_nothing_is_found(searcher: Searcher) -> None:
    assert _find(searcher, "harbour") == []


def test_a_collection_that_is_dropped_and_made_again_is_searched_again(
    index: VectorIndex, searcher: Searcher, settings: Settings
) -> None:
    from qdrant_client import QdrantClient

    add_document(index, *HANDBOOK)
    assert _find(searcher, "harbour")
    with closing(QdrantClient(url=settings.qdrant_url, check_compatibility=False)) as client:
        client.delete_collection(f"{settings.qdrant_collection}-1")
    assert _find(searcher, "harbour") == []
    with closing(_index(settings)) as again:
        add_document(again, *HANDBOOK)
    assert _find(searcher, "harbour")


@pytest.mark.parametrize("query", ["zork blorf", "?!", "\u202e\x00", "the of and"])
def test_a_question_about_something_else_finds_nothing(index: VectorIndex, searcher: Searcher, query: str) -> None:
    add_document(index, *HANDBOOK)
    assert _find(searcher, query) == []


def test_tenants_and_collections_are_kept_apart(index: VectorIndex, searcher: Searcher) -> None:
    add_document(index, "The harbour of tenant A.", tenant="a", document_id="a1", filename="harbour.pdf")
    add_document(index, "The harbour of tenant B.", tenant="b", document_id="b1", filename="harbour.pdf")
    add_document(index, "B's other shelf has a harbour.", tenant="b", collection="other", document_id="b2")
    assert {hit.document_id for hit in _find(searcher, "harbour", tenant="a")} == {"a1"}
    assert {hit.document_id for hit in _find(searcher, "harbour", tenant="b")} == {"b1"}
    assert {hit.document_id for hit in _find(searcher, "harbour", tenant="b", collection="other")} == {"b2"}
    assert _find(searcher, "harbour", tenant="b", filters=SearchFilters(document_ids=("a1",))) == []
    assert _find(searcher, "harbour", tenant="nobody") == []


@pytest.mark.parametrize(
    ("filters", "pages"),
    [
        (SearchFilters(), {1, 2, 4, 7}),
        (SearchFilters(page_from=2, page_to=2), {2}),
        (SearchFilters(page_from=3), {2, 4, 7}),  # the one on page 2 goes on to page 3
        (SearchFilters(page_to=4), {1, 2, 4}),
        (SearchFilters(filenames=("e.pdf", "nowhere.pdf")), {7}),
        (SearchFilters(document_ids=("d",), page_from=4), {4}),
        (SearchFilters(ingested_from=datetime(2026, 11, 22, tzinfo=UTC)), {7}),
        (SearchFilters(ingested_to=datetime(2026, 11, 22, tzinfo=UTC)), {1, 2, 4}),
        (SearchFilters(filenames=("nowhere.pdf",)), set()),
    ],
)
def test_filters(index: VectorIndex, searcher: Searcher, filters: SearchFilters, pages: set[int]) -> None:
    _add(
        index,
        _chunk("harbour one"),
        _chunk("harbour two", 1, last_page=3),
        _chunk("harbour four", 2, page=4),
    )
    late: dict[str, Any] = {
        "document_id": "e",
        "filename": "e.pdf",
        "page": 7,
        "ingested_at": "2026-11-23T10:00:00+01:00",
    }
    _add(index, _chunk("harbour seven", **late))
    assert {hit.page for hit in _find(searcher, "harbour", filters=filters)} == pages


@pytest.mark.parametrize(
    "given",
    [{"tenant": "x"}, {"page_from": 0}, {"filenames": []}, {"document_ids": ["a/b"]}, {"ingested_to": "2026-11-21"}],
)
def test_only_known_fields_of_the_right_form_reach_a_filter(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SearchFilters.model_validate(given)


def test_a_question_that_names_a_file_finds_that_file_first(index: VectorIndex, searcher: Searcher) -> None:
    for company in ("ACMEWORKS", "BOLTCO", "CORDLTD"):
        for year in (2018, 2019):
            add_document(
                index,
                f"Capital expenditure was {year} million. Revenue grew.",
                f"The auditors of {year} found nothing amiss.",
                filename=f"{company}_{year}_10K.pdf",
                document_id=f"{company}-{year}",
            )
    found = _find(searcher, "What was the capital expenditure of Bolt Co in FY2019?")
    assert (found[0].filename, found[0].page) == ("BOLTCO_2019_10K.pdf", 1)
    filters = SearchFilters(filenames=("CORDLTD_2018_10K.pdf",))
    confined = _find(searcher, "What was the capital expenditure of Bolt Co in FY2019?", filters=filters)
    assert {hit.filename for hit in confined} == {"CORDLTD_2018_10K.pdf"}


def test_the_same_text_is_found_once_and_its_place_goes_to_another(index: VectorIndex, searcher: Searcher) -> None:
    for number in range(3):
        add_document(index, "The harbour opens at six.", document_id=f"copy{number}")
    add_document(index, "A boat in the harbour.", document_id="other")
    found = _find(searcher, "When does the harbour open?", top_k=2)
    assert [hit.text for hit in found] == ["The harbour opens at six.", "A boat in the harbour."]


def test_hits_get_their_neighbours_but_not_each_other(
    index: VectorIndex, searcher: Searcher, settings: Settings
) -> None:
    add_document(index, "Before all.", "The harbour opens at six.", "The harbour closes at ten.", "After all.")
    hits = sorted(_find(searcher, "harbour", top_k=2), key=lambda hit: hit.page)
    assert [hit.text for hit in hits] == ["The harbour opens at six.", "The harbour closes at ten."]
    joined = searcher.joined(hits, **WHERE)
    assert [hit.context for hit in joined] == [
        "Before all.\nThe harbour opens at six.",
        "The harbour closes at ten.\nAfter all.",
    ]
    assert searcher.joined([], **WHERE) == []
    with closing(_searcher(settings.model_copy(update={"context_tokens": 0}))) as without:
        assert without.joined(hits, **WHERE) == hits


@pytest.mark.parametrize("fusion", list(Fusion))
def test_each_fusion_finds_the_page(index: VectorIndex, settings: Settings, fusion: Fusion) -> None:
    add_document(index, *HANDBOOK)
    with closing(_searcher(settings.model_copy(update={"fusion": fusion}))) as searcher:
        assert _find(searcher, "When is a boat washed?")[0].page == 2


@pytest.mark.parametrize("other", ["another", None])
def test_where_the_vectors_are_another_model_s_words_are_searched_by(
    index: VectorIndex, settings: Settings, other: str | None
) -> None:
    add_document(index, *HANDBOOK)
    ways: list[str] = []
    with closing(_searcher(settings.model_copy(update={"embedding_model": other}))) as searcher:
        assert _find(searcher, "harbour", on_retrieval=ways.append)[0].page == 1
    with closing(_searcher(settings)) as searcher:
        assert _find(searcher, "harbour", on_retrieval=ways.append)[0].page == 1
    assert ways == ["words", "hybrid" if settings.embedding_model else "words"]


def test_a_reranker_has_the_last_word_and_may_fail(index: VectorIndex, settings: Settings) -> None:
    add_document(index, "The harbour opens at six.", "Of the harbour nothing is known.", "Harbour!")
    seen: list[str] = []

    def by_length(_: str, texts: Any) -> list[float]:
        seen.extend(texts)
        return [float(len(text)) for text in texts]

    with closing(_searcher(settings, rerank=by_length)) as searcher:
        assert [hit.page for hit in _find(searcher, "harbour", top_k=2)] == [2, 1]
    assert len(seen) == 3
    with closing(_searcher(settings, rerank=lambda *_: None)) as searcher:
        assert len(_find(searcher, "harbour")) == 3


def test_many_threads_share_a_searcher(index: VectorIndex, searcher: Searcher) -> None:
    add_document(index, *HANDBOOK)
    failures: list[object] = []

    def ask() -> None:
        for query, page in (("harbour in winter", 1), ("boat warranty", 2)) * 3:
            if _find(searcher, query)[0].page != page:
                failures.append(query)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(searcher._http._nodes[0]._idle) <= 16


def test_importing_it_loads_no_client_library() -> None:
    """qdrant-client alone costs each worker process 80 MB and most of a second."""
    code = f"import sys, worker.retrieval.search; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# Over the wire


class Handler(BaseHTTPRequestHandler):
    """Answers every request with what the server was told to answer, and keeps the connection."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_POST(self) -> None:
        self.server.seen.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.server.hangs_up

    def log_message(self, *_: object) -> None:
        """Nothing: it would go to stderr."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b'{"result": 1}')
        self.hangs_up = False
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def http(server: Server) -> Iterator[QdrantHttp]:
    with closing(QdrantHttp(server.url + "/base/", api_key="secret", timeout_seconds=5)) as http:
        yield http


def test_a_request_carries_key_and_body_to_the_path_below_the_urls_own(http: QdrantHttp, server: Server) -> None:
    assert http.post("/collections/c/points/query", {"limit": 1}) == 1
    [(path, headers, body)] = server.seen
    assert (path, headers["api-key"], body) == ("/base/collections/c/points/query", "secret", b'{"limit":1}')


def test_a_connection_is_used_again(http: QdrantHttp, server: Server) -> None:
    for _ in range(3):
        http.post("/x", {})
    assert len(http._nodes[0]._idle) == 1


def test_a_connection_that_was_closed_while_it_lay_idle_is_replaced_unseen(http: QdrantHttp, server: Server) -> None:
    server.hangs_up = True
    assert [http.post("/x", {}) for _ in range(3)] == [1, 1, 1]
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "code", "wait"),
    [
        (429, ErrorCode.INDEX_UNAVAILABLE, 7),
        (503, ErrorCode.INDEX_UNAVAILABLE, 7),
        (500, ErrorCode.INDEX_UNAVAILABLE, 7),
        (401, ErrorCode.INDEX_AUTH_FAILED, None),
        (403, ErrorCode.INDEX_AUTH_FAILED, None),
    ],
)
def test_a_refusal_has_a_code(
    http: QdrantHttp, server: Server, status: int, code: ErrorCode, wait: int | None
) -> None:
    server.answer = (status, {"Retry-After": "7"}, b"{}")
    with pytest.raises(ServiceError) as caught:
        http.post("/x", {})
    assert (caught.value.code, caught.value.retry_after_seconds) == (code, wait)


@pytest.mark.parametrize(("status", "error"), [(404, NotFoundError), (400, BadRequestError), (302, BadRequestError)])
def test_a_refusal_that_the_caller_handles(
    http: QdrantHttp, server: Server, status: int, error: type[Exception]
) -> None:
    server.answer = (status, {}, b"{}")
    with pytest.raises(error):
        http.post("/x", {})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"result"', b"null"])
def test_an_answer_that_is_not_qdrants_is_an_index_away(http: QdrantHttp, server: Server, body: bytes) -> None:
    server.answer = (200, {}, body)
    with pytest.raises(ServiceError) as caught:
        http.post("/x", {})
    assert caught.value.code is ErrorCode.INDEX_UNAVAILABLE


def test_an_answer_that_breaks_off_is_an_index_away(http: QdrantHttp, server: Server) -> None:
    server.answer, server.hangs_up = (200, {"Content-Length": "100"}, b'{"result": 1}'), True
    with pytest.raises(ServiceError) as caught:
        http.post("/x", {})
    assert caught.value.code is ErrorCode.INDEX_UNAVAILABLE
    assert not http._nodes[0]._idle


def test_an_answer_too_large_is_refused(http: QdrantHttp, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.http.qdrant.MAX_RESPONSE_BYTES", 100)
    server.answer = (200, {}, orjson.dumps({"result": "x" * 100}))
    with pytest.raises(ServiceError):
        http.post("/x", {})
    assert not http._nodes[0]._idle


def test_a_server_that_does_not_answer_is_an_index_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            closing(QdrantHttp(url, api_key=None, timeout_seconds=0.1)) as http,
            pytest.raises(ServiceError) as caught,
        ):
            http.get("/")
    assert caught.value.code is ErrorCode.INDEX_UNAVAILABLE


def test_qdrant_unavailable_is_a_code_that_a_retry_may_help() -> None:
    searcher = open_searcher(Settings(qdrant_url="http://127.0.0.1:9"))
    with closing(searcher), pytest.raises(ServiceError) as caught:
        _find(searcher, "harbour")
    assert caught.value.code is ErrorCode.INDEX_UNAVAILABLE


@pytest.mark.parametrize(
    "result",
    [[], {}, 1, None, {"config": {}}, {"config": {"metadata": []}}, {"config": {"metadata": {}}, "points": 1}],
)
def test_a_result_of_another_form_is_an_index_away(server: Server, result: object) -> None:
    server.answer = (200, {}, orjson.dumps({"result": result}))
    searcher = open_searcher(Settings(qdrant_url=server.url))
    searcher._index, searcher._looked_at = Index("documents", None, False, False), monotonic()
    with closing(searcher), pytest.raises(ServiceError) as caught:
        _find(searcher, "harbour")
    assert caught.value.code is ErrorCode.INDEX_UNAVAILABLE


@pytest.fixture
def reranker(server: Server) -> Iterator[EndpointReranker]:
    settings = Settings(rerank_url=f"{server.url}/v1/rerank", rerank_model="cross", rerank_api_key="secret")
    with closing(EndpointReranker(settings)) as reranker:
        yield reranker


def test_a_rerank_endpoint_scores_each_text(reranker: EndpointReranker, server: Server) -> None:
    results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}]
    server.answer = (200, {}, orjson.dumps({"results": results}))
    assert reranker("q", ["a", "b"]) == [0.2, 0.9]
    [(path, headers, body)] = server.seen
    assert (path, headers["Authorization"]) == ("/v1/rerank", "Bearer secret")
    assert orjson.loads(body) == {"query": "q", "documents": ["a", "b"], "top_n": 2, "model": "cross"}


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (401, b"{}"), (200, b"<html>"), (200, b'{"results": []}'), (200, b'{"results": [{"index": 0}]}')],
)
def test_a_rerank_endpoint_that_fails_changes_no_order(
    reranker: EndpointReranker, server: Server, status: int, body: bytes
) -> None:
    server.answer = (status, {}, body)
    assert reranker("q", ["a"]) is None
