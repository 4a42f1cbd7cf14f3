"""The embedding model of a server that is given without one, from the list to a search."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.core import chosen_model, model_findings
from app.core.contract import DEFAULT_COLLECTION, DEFAULT_TENANT, QUERY_QUEUE, DeleteJob, SearchJob
from app.core.documents.catalog import Catalog
from app.core.documents.files import open_store
from app.core.errors import ErrorCode, ServiceError
from app.core.model_findings import MESSAGES, Problem
from app.core.settings import AUTO, Settings
from ingest.jobs import delete_document, index_document
from tests.integration.ingest.test_ingest_jobs import uploaded
from tests.integration.worker.test_worker import working
from tests.support import pdfs
from tests.support.api import serving
from tests.support.documents import HANDBOOK, add_document
from tests.support.model_server import ModelServer
from tests.support.models_manners import MODELS_MANNERS
from tests.support.processes import wait_until
from worker.index.vector_index import open_index
from worker.jobs import search_documents
from worker.model import choice
from worker.model.check_at_start import check_models
from worker.model.choice import Choice, choice_of, settled
from worker.resources import end
from worker.runtime.retries import JobFailedError

QUESTION = "When does the harbour open?"


class Server:
    """A model's server that lists `models`, embeds with any of them, and refuses with `status` if that is set."""

    def __init__(self, *models: str) -> None:
        self.models = list(models)
        self.status = 200
        self.listed = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.listed += 1
                self._send(
                    200, {"object": "list", "data": [{"id": name, "object": "model"} for name in outer.models]}
                )

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
                data = [{"index": at, "embedding": [1.0, float(len(text)), 1.0]} for at, text in enumerate(texts)]
                is_refused = outer.status != 200 or asked["model"] not in outer.models
                status = (outer.status if outer.status != 200 else 404) if is_refused else 200
                self._send(status, {"data": data} if status == 200 else {"error": {"message": "no"}})

            def _send(self, status: int, body: Any) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server("qwen3:4b", "nomic-embed-text:latest")) as server:
        yield server


@pytest.fixture(autouse=True)
def _environment(
    valkey: Redis, valkey_url: str, qdrant_url: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setattr(choice, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(choice, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.delenv("EMBEDDING_MODEL")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("QDRANT_COLLECTION", f"test-{uuid4().hex}")
    choice_of.cache_clear()
    yield
    end()
    choice_of.cache_clear()


def in_another_process(settings: Settings | None = None) -> str:
    """What a process that begins now chooses."""
    return Choice(settings or Settings()).model()


def recorded() -> str | None:
    with closing(open_index(Settings())) as index:
        current = index.generations().current
        return current.model if current is not None else None


def searched() -> str:
    """By what a question is looked for."""
    found = search_documents(SearchJob(query=QUESTION).model_dump(mode="json"))
    return str(found["retrieval"])


def test_the_listed_one_is_chosen_once_said_once_and_told_to_the_others(valkey: Redis, server: Server) -> None:
    with capture_logs() as lines:
        assert settled(Settings()).embedding_model == "nomic-embed-text:latest"
        assert settled(Settings()).embedding_model == "nomic-embed-text:latest"
    assert server.listed == 1
    said = [line for line in lines if line["event"].startswith("embedding_model")]
    assert [(line["event"], line["model"]) for line in said] == [
        ("embedding_model_chosen", "nomic-embed-text:latest")
    ]
    assert said[0]["server"] == server.url.removesuffix("/v1")
    assert valkey.get(chosen_model.key_of(Settings())) == b"nomic-embed-text:latest"


def test_what_was_chosen_before_stays_though_more_is_listed_now(server: Server) -> None:
    assert in_another_process() == "nomic-embed-text:latest"
    server.models += ["mxbai-embed-large:latest", "text-embedding-3-small"]
    assert in_another_process() == "nomic-embed-text:latest"


def test_what_the_index_has_comes_before_what_was_chosen_elsewhere(valkey: Redis, server: Server) -> None:
    server.models.append("bge-m3:latest")
    with closing(open_index(Settings(embedding_model="bge-m3:latest"))) as index:
        index.ensure()
    valkey.set(chosen_model.key_of(Settings()), "nomic-embed-text:latest")
    assert in_another_process() == "bge-m3:latest"
    assert valkey.get(chosen_model.key_of(Settings())) == b"bge-m3:latest"


def test_an_index_of_a_model_that_is_gone_gets_another_one(server: Server) -> None:
    server.models.append("bge-m3")
    with closing(open_index(Settings(embedding_model="bge-m3"))) as index:
        index.ensure()
    server.models.remove("bge-m3")
    assert in_another_process() == "nomic-embed-text:latest"
    assert recorded() == "bge-m3"


def test_a_name_that_the_server_spells_otherwise_is_the_same_model(server: Server) -> None:
    server.models.append("bge-m3")
    with closing(open_index(Settings(embedding_model="bge-m3"))) as index:
        index.ensure()
    server.models[-1] = "BGE-M3:latest"
    assert in_another_process() == "bge-m3"


def test_processes_that_choose_at_once_choose_the_same(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where each would choose another: all have looked before any has told."""
    server.models = [f"embed-{at}" for at in range(8)]
    together, names, chosen = threading.Barrier(8), iter(server.models), list[str]()

    def other_than_all(*_: object) -> str:
        together.wait(10)
        return next(names)

    monkeypatch.setattr(choice, "clear_choice", other_than_all)
    threads = [threading.Thread(target=lambda: chosen.append(in_another_process())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(chosen), len(set(chosen))) == (8, 1)


@pytest.mark.parametrize("kept", ["local:x", "gone-embed", "x" * 900, "a\nb", ""])
def test_what_stands_in_valkey_is_not_believed(valkey: Redis, kept: str) -> None:
    valkey.set(chosen_model.key_of(Settings()), kept)
    assert in_another_process() == "nomic-embed-text:latest"
    assert valkey.get(chosen_model.key_of(Settings())) == b"nomic-embed-text:latest"


def test_a_key_of_another_type_stands_in_nobodys_way(valkey: Redis) -> None:
    valkey.rpush(chosen_model.key_of(Settings()), "x")
    assert in_another_process() == "nomic-embed-text:latest"


@pytest.mark.parametrize("name", sorted(set(MODELS_MANNERS)))
def test_every_manner_of_a_list_is_a_model_words_or_an_error_that_passes(model: ModelServer, name: str) -> None:
    settings = Settings(openai_base_url=f"{model.url.removesuffix('/v1')}/as/{name}/v1", chat_model="test")
    away = {"gateway", "busy", "hang", "breaks_off", "slow_down"}
    with capture_logs() as lines:
        if name in away:
            with pytest.raises(ServiceError) as caught:
                in_another_process(settings)
            assert caught.value.code in (
                ErrorCode.MODEL_UNAVAILABLE, ErrorCode.MODEL_TIMEOUT, ErrorCode.MODEL_RATE_LIMITED
            )  # fmt: skip
            assert lines == []
            return
        chosen = in_another_process(settings)
    has_embedder = name in ("ours", "latest", "gemini", "upper", "bare_list", "bom")
    assert bool(chosen) == has_embedder
    assert [line["event"] for line in lines] == [f"embedding_model_{'chosen' if has_embedder else 'not_chosen'}"]
    if not has_embedder:
        assert "EMBEDDING_MODEL" in lines[0]["todo"]
        assert "x1b" not in str(lines)
        assert "xxx" not in str(lines)


def test_a_huge_list_is_not_read_to_its_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "LIST_BYTES_MAX", 1000)
    server.models += ["x" * 100 for _ in range(100)]
    assert in_another_process() == ""


def test_several_are_not_clear_and_the_line_names_them(server: Server) -> None:
    server.models.append("mxbai-embed-large:latest")
    with capture_logs() as lines:
        assert settled(Settings()).embedding_model is None
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("embedding_model_not_chosen", "warning")
    assert "mxbai-embed-large:latest, nomic-embed-text:latest" in line["found"]


def test_words_alone_are_indexed_and_searched_where_none_is_clear(
    valkey: Redis, tmp_path: Path, server: Server
) -> None:
    valkey.set(chosen_model.key_of(Settings()), "gone-embed")
    server.models = ["qwen3:4b"]
    index_document(upload(valkey, tmp_path))
    assert (recorded(), searched()) == ("", "words")
    assert not valkey.exists(chosen_model.key_of(Settings()))


def test_with_a_chosen_model_what_is_indexed_is_found_by_meaning(
    valkey: Redis, tmp_path: Path, server: Server
) -> None:
    given = upload(valkey, tmp_path)
    index_document(given)
    assert (recorded(), searched()) == ("nomic-embed-text:latest", "hybrid")


def upload(valkey: Redis, folder: Path) -> dict[str, Any]:
    file = pdfs.make_pdf(folder / "otter.pdf", list(HANDBOOK))
    return uploaded(Catalog(valkey), open_store(Settings()), file.read_bytes()).model_dump(mode="json")


def test_a_server_that_is_away_makes_no_index_of_words_and_is_asked_again(
    valkey: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer() as gone:
        port = gone.port
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    payload = upload(valkey, tmp_path)
    with pytest.raises(JobFailedError, match="model_unavailable"):
        index_document(payload)
    assert recorded() is None
    with ModelServer(port=port):
        index_document(payload)
        assert (recorded(), searched()) == ("text-embedding-3-small", "hybrid")


def test_questions_of_an_index_of_words_need_no_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_index(Settings(embedding_model=None))) as index:
        add_document(index, *HANDBOOK)
    monkeypatch.setenv("EMBEDDING_BASE_URL", "http://127.0.0.1:9/v1")
    assert Settings().embedding_model == AUTO
    assert searched() == "words"


def test_deleting_and_writing_to_an_index_of_words_ask_no_model(
    valkey: Redis, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_index(Settings(embedding_model=None))) as index:
        add_document(index, *HANDBOOK)
    monkeypatch.setenv("EMBEDDING_BASE_URL", "http://127.0.0.1:9/v1")
    payload = upload(valkey, tmp_path)
    index_document(payload)
    delete_document(DeleteJob(document_id="handbook").model_dump(mode="json"))
    with closing(open_index(Settings())) as index:
        counts = index.chunk_counts(tenant=DEFAULT_TENANT, collection=DEFAULT_COLLECTION)
        assert set(counts) == {payload["document_id"]}
        assert index.delete_tenant(DEFAULT_TENANT) == sum(counts.values())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_model_that_nobody_named_is_words_for_a_question_and_a_clear_error_for_a_document(
    valkey: Redis, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    index_document(upload(valkey, tmp_path))
    server.status = status
    with capture_logs() as lines:
        assert searched() == "words"
    assert any(
        (line["event"] == "embedding_refused" and "EMBEDDING_MODEL" in str(line)) or "none" in str(line)
        for line in lines
    )
    monkeypatch.setenv("QDRANT_COLLECTION", f"test-{uuid4().hex}")
    end()
    valkey.flushall()
    payload = upload(valkey, tmp_path)
    with pytest.raises(JobFailedError):
        index_document(payload)
    (record,) = Catalog(valkey).all(DEFAULT_TENANT)
    assert record.error is not None
    assert "EMBEDDING_MODEL=none" in record.error.message


def test_a_named_model_that_is_refused_fails_the_question(
    valkey: Redis, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDING_MODEL", "nomic-embed-text:latest")
    index_document(upload(valkey, tmp_path))
    server.status = 404
    with pytest.raises(JobFailedError, match="model_rejected"):
        searched()


def test_a_worker_chooses_at_its_start_and_the_api_tells_its_choice(server: Server, valkey: Redis) -> None:
    settings = Settings()
    with serving(settings) as url, httpx.Client(base_url=url) as client:
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["rag-queue"]
        asked = {"model": "nomic-embed-text:latest", "input": "otters"}
        assert client.post("/v1/embeddings", json=asked).status_code == 404
        assert server.listed == 0, "the API asks no model's server"
        with working(settings):
            wait_until(lambda: valkey.exists(chosen_model.key_of(settings)), "the worker has chosen")
            names = [model["id"] for model in client.get("/v1/models").json()["data"]]
            assert names == ["rag-queue", "nomic-embed-text:latest"]
            assert client.get("/v1/models/nomic-embed-text:latest").status_code == 200
            assert client.post("/v1/embeddings", json=asked).status_code == 200


def test_readyz_says_that_none_is_clear(server: Server) -> None:
    server.models = ["qwen3:4b"]
    settings = Settings(chat_model="qwen3:4b")
    with serving(settings) as url, httpx.Client(base_url=url) as client, working(settings):
        warned = wait_until(lambda: client.get("/readyz").json().get("warnings"), "it is shown")
        assert warned == {"embedding_model": MESSAGES[Problem.NOT_CHOSEN]}


def test_the_check_goes_on_until_the_server_is_back(valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.model.check_at_start.CHOICE_SECONDS", 0.05)
    with ModelServer() as gone:
        port = gone.port
    settings = Settings(openai_base_url=f"http://127.0.0.1:{port}/v1", chat_model="test")
    ended = threading.Event()
    thread = threading.Thread(target=check_models, args=(settings, valkey, [QUERY_QUEUE], ended))
    thread.start()
    try:
        wait_until(lambda: valkey.exists(model_findings.KEY), "it is found")
        kept: Any = valkey.get(model_findings.KEY)
        assert set(model_findings.read(kept).values()) == {Problem.UNREACHABLE}
        with ModelServer(port=port):
            wait_until(lambda: not thread.is_alive(), "the check is content")
            assert valkey.get(chosen_model.key_of(settings)) == b"text-embedding-3-small"
            assert not valkey.exists(model_findings.KEY)
    finally:
        ended.set()
        thread.join(10)
