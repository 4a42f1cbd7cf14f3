"""`python -m ingest --reembed`: another embedding model is a migration, killed and written to at any moment."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from app.core.settings import Settings
from ingest.__main__ import main
from ingest.indexing.reembedding_lock import LOCK_SECONDS, alone
from tests.support import ROOT, pdfs
from tests.support.documents import HANDBOOK, add_document
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from worker.http.generations import FOLLOWING
from worker.index.migration import begin
from worker.index.vector_index import VectorIndex, open_index
from worker.retrieval.search import Searcher, open_searcher
from worker.vectors import Hit

WHERE: dict[str, Any] = {"tenant": "default", "collection": "default"}
OLD, NEW, SLOW = "test-dims=8", "test-dims=16", "test-dims=16-ttft=30ms"
KILLS = 10

Points = dict[str, tuple[Any, Any]]


@pytest.fixture(autouse=True)
def settings(
    qdrant_url: str, valkey_url: str, valkey: Redis, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Of a service without an embedding model."""
    monkeypatch.setenv("QDRANT_URL", qdrant_url)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("QDRANT_COLLECTION", f"test-{uuid4().hex}")
    monkeypatch.setenv("OPENAI_BASE_URL", model.url)
    return Settings()


@pytest.fixture
def index(settings: Settings) -> Iterator[VectorIndex]:
    """Made without a model."""
    with closing(open_index(settings)) as index:
        yield index


@pytest.fixture
def reembed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, with a model; gives the exit code."""

    def reembed(model: str = NEW) -> int:
        monkeypatch.setenv("EMBEDDING_MODEL", model)
        return main(["--reembed"])

    return reembed


@contextmanager
def opened(settings: Settings, model: str) -> Iterator[VectorIndex]:
    with closing(open_index(settings.model_copy(update={"embedding_model": model}))) as index:
        yield index


def search(searcher: Searcher, query: str = "harbour") -> tuple[list[Hit], str]:
    ways: list[str] = []
    hits = searcher.search(query, **WHERE, top_k=5, on_retrieval=ways.append)
    return hits, ways[-1] if ways else "nothing is indexed"


def points(index: VectorIndex) -> Points:
    """Every chunk of the index: what it is, and its vectors."""
    current = index.generations().current
    assert current is not None
    found: Points = {}
    request: dict[str, Any] = {"limit": 500, "with_payload": True, "with_vector": True}
    while True:
        page = index.http.post(f"{current.path}/points/scroll", request)
        found |= {point["id"]: (point["payload"], point["vector"]) for point in page["points"]}
        if (offset := page["next_page_offset"]) is None:
            return found
        request["offset"] = offset


def payloads(found: Points) -> dict[str, Any]:
    return {point: payload for point, (payload, _) in found.items()}


def texts(index: VectorIndex) -> dict[str, list[str]]:
    """The documents' chunks, each of which has a vector of the new model's length."""
    found: dict[str, dict[int, str]] = {}
    for payload, vector in points(index).values():
        assert len(vector["dense"]) == 16, payload
        assert vector["sparse"]["indices"], payload
        of_document = found.setdefault(payload["metadata"]["document_id"], {})
        of_document[payload["metadata"]["chunk_index"]] = payload["text"]
    return {document: [chunks[at] for at in sorted(chunks)] for document, chunks in found.items()}


def collections(index: VectorIndex) -> set[str]:
    listed = index.http.get("/collections")["collections"]
    return {each["name"].removeprefix(index.name) for each in listed if each["name"].startswith(index.name)}


def aliases(index: VectorIndex) -> dict[str, str]:
    listed = index.http.get("/aliases")["aliases"]
    return {
        each["alias_name"].removeprefix(index.name): each["collection_name"].removeprefix(index.name)
        for each in listed
        if each["alias_name"].startswith(index.name)
    }


def many(index: VectorIndex, number: int) -> dict[str, list[str]]:
    """Documents of one to four chunks."""
    written = {}
    for n in range(number):
        pages = [f"The harbour of town {n} opens at {n + page}." for page in range(1 + n % 4)]
        add_document(index, *pages, document_id=f"d{n}", filename=f"{n}.pdf")
        written[f"d{n}"] = pages
    return written


def test_every_chunk_gets_a_vector_and_is_else_as_it_was(
    index: VectorIndex, settings: Settings, reembed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of several tenants and collections; one document is longer than a request, and than a page of a read."""
    for way in ({}, {"tenant": "other"}, {"collection": "shelf"}):
        add_document(index, *HANDBOOK, document_id="d", **way)
    add_document(index, *(f"Rule {n} of the harbour is {n * 7}." for n in range(300)), document_id="long")
    before = points(index)
    assert reembed() == 0
    err = capsys.readouterr().err
    assert "re-embedded 306 of 306 chunks" in err
    assert f"the index has vectors of {NEW} now: 306 chunks in" in err
    after = points(index)
    assert payloads(after) == payloads(before)
    assert all(after[point][1]["sparse"] == vector["sparse"] for point, (_, vector) in before.items())
    assert {len(vector["dense"]) for _, vector in after.values()} == {16}
    assert (collections(index), aliases(index)) == ({"-2"}, {"": "-2"})
    with closing(open_searcher(Settings())) as searcher:
        assert search(searcher)[1] == "hybrid"
    assert reembed() == 0
    assert "nothing to do" in capsys.readouterr().err
    assert reembed(OLD) == 0
    assert {len(vector["dense"]) for _, vector in points(index).values()} == {8}


def test_the_vectors_are_those_that_ingest_gives_and_it_finds_nothing_to_do(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reembed: Callable[..., int]
) -> None:
    pdfs.make_pdf(tmp_path / "otter.pdf", ["Otters sleep in groups. " * 80, "They hold hands. " * 80], title="Otters")
    pdfs.make_pdf(tmp_path / "heron.pdf", ["Herons stand still."])
    assert main([str(tmp_path)]) == 0
    assert reembed() == 0
    with opened(settings, NEW) as migrated:
        found = points(migrated)
        assert main([str(tmp_path)]) == 0
        assert points(migrated) == found, "a file was read again"
    monkeypatch.setenv("QDRANT_COLLECTION", f"test-{uuid4().hex}")
    assert main([str(tmp_path)]) == 0
    with closing(open_index(Settings())) as fresh:
        made = points(fresh)
    assert made.keys() == found.keys()
    for point, (_, vector) in made.items():
        assert found[point][1]["dense"] == pytest.approx(vector["dense"], abs=1e-5)
        assert found[point][1]["sparse"] == vector["sparse"]


def test_a_plain_collection_of_an_earlier_release_becomes_an_alias(
    index: VectorIndex, reembed: Callable[..., int]
) -> None:
    plain_collection(index)
    written = many(index, 5)
    assert collections(index) == {""}
    assert reembed() == 0
    assert (collections(index), aliases(index)) == ({"-1"}, {"": "-1"})
    assert texts(index) == written


def plain_collection(index: VectorIndex) -> None:
    made = {"vectors": {}, "sparse_vectors": {"sparse": {"modifier": "idf"}}, "metadata": {"embedding_model": ""}}
    index.http.put(f"/collections/{index.name}", made)


@pytest.mark.parametrize("is_plain", [True, False])
@pytest.mark.parametrize("last_act", ["delete", "name"])
def test_a_swap_that_was_cut_short_leaves_one_whole_index(
    index: VectorIndex, settings: Settings, reembed: Callable[..., int], is_plain: bool, last_act: str
) -> None:
    """Killed after its first act: whoever searches or writes finds the new one, and the next run tidies up."""
    if is_plain:
        plain_collection(index)
    written = many(index, 5)
    with opened(settings, NEW) as new:
        migration = begin(new)
        assert migration is not None
        for document in migration.missing():
            read = migration.read(document)
            migration.copy(document, read, [[1.0] * 16] * len(read))
        if is_plain:
            new.http.delete(migration.old.path)
        else:
            new.http.name(new.name, migration.new.name, instead_of=frozenset({new.name, new.name + FOLLOWING}))
        with closing(open_searcher(settings.model_copy(update={"embedding_model": NEW}))) as searcher:
            hits, way = search(searcher)
        assert (len(hits), way) == (5, "hybrid")
        if last_act == "delete":
            add_document(new, "A late page.", document_id="late")
            written["late"] = ["A late page."]
            new.delete(**WHERE, document_id="d0")
            del written["d0"]
            assert {document.document_id for document in new.documents(**WHERE)} == set(written)
    assert reembed() == 0
    assert texts(index) == written
    assert len(collections(index)) == 1
    assert set(aliases(index)) == {""}


def test_a_vector_of_another_length_under_the_same_name_is_a_migration_as_well(
    settings: Settings, model: ModelServer, reembed: Callable[..., int]
) -> None:
    with closing(open_index(settings.model_copy(update={"embedding_model": OLD}))) as index:
        written = many(index, 3)
        index.http.patch(index.generations().current.path, {"metadata": {"embedding_model": NEW}})  # type: ignore[union-attr]
        assert reembed() == 0
        assert texts(index) == written


def test_chunks_that_another_model_s_writer_left_without_vectors_get_them(
    settings: Settings, reembed: Callable[..., int]
) -> None:
    with opened(settings, NEW) as index:
        written = many(index, 3)
    with closing(open_index(settings)) as without:
        add_document(without, "A late page.", document_id="late")
        assert reembed() == 0
        assert texts(without) == written | {"late": ["A late page."]}


def test_killed_ten_times_it_goes_on_and_loses_nothing(index: VectorIndex, settings: Settings) -> None:
    """While questions are asked, and documents are written, renamed and deleted, by processes of the new model."""
    written = many(index, 150)
    new = settings.model_copy(update={"embedding_model": SLOW})
    ended, asked, failures = threading.Event(), [], []
    writes = random.Random(7)

    def ask() -> None:
        with closing(open_searcher(new)) as searcher:
            while not ended.is_set():
                try:
                    hits, way = search(searcher, "harbour")
                    asked.append(way)
                    if len(hits) != 5:
                        failures.append(f"{len(hits)} hits by {way}")
                except Exception as error:  # each is a failure of the fact
                    failures.append(repr(error))

    def write() -> None:
        with closing(open_index(new)) as writer:
            for number in range(10_000):
                if ended.wait(0.02):
                    return
                some = writes.choice(sorted(written))
                if number % 3 == 0 and len(written) > 100:
                    writer.delete(**WHERE, document_id=some)
                    del written[some]
                else:
                    pages = [f"The harbour of village {number} has {page} boats." for page in range(1 + number % 3)]
                    add_document(writer, *pages, document_id=f"w{number}", filename=f"w{number}.pdf")
                    written[f"w{number}"] = pages

    threads = [threading.Thread(target=ask), threading.Thread(target=ask), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    try:
        for delay in [random.uniform(0.3, 1.6) for _ in range(KILLS)]:
            process = subprocess.Popen(command(), env=environment(SLOW), cwd=ROOT, stderr=subprocess.PIPE)
            try:
                process.wait(delay)
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
        before_last = set(asked)
        last = subprocess.run(command(), env=environment(SLOW), cwd=ROOT, capture_output=True, text=True, check=False)
        assert last.returncode == 0, last.stderr
        wait_until(lambda: asked[-1] == "hybrid", "questions are answered by meaning")
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[:5]
    assert "words" in before_last
    assert texts(index) == written
    assert len(collections(index)) == 1
    assert set(aliases(index)) == {""}


def command() -> list[str]:
    return [sys.executable, "-m", "ingest", "--reembed"]


def environment(model: str) -> dict[str, str]:
    return {**os.environ, "EMBEDDING_MODEL": model}


def test_what_is_done_is_kept_when_the_model_goes_away_and_when_it_is_interrupted(
    index: VectorIndex, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = many(index, 400)
    with ModelServer() as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        slow = "test-dims=16-ttft=200ms"
        process = subprocess.Popen(command(), env=environment(slow), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        server.wait_until(lambda stats: stats["requests"] >= 7)  # one for the length, and so two groups are written
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "interrupted; what is done is kept: run --reembed again to go on" in said
    monkeypatch.setenv("EMBEDDING_MODEL", slow)
    assert main(["--reembed"]) == 1
    assert "cannot be reached or failed" in capsys.readouterr().err
    assert {document.document_id for document in index.documents(**WHERE)} == set(written)
    with ModelServer() as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        assert main(["--reembed"]) == 0
        embedded = server.stats()["requests"]
    assert embedded <= 7, "it began anew"
    assert texts(index) == written


def test_one_process_at_a_time(
    index: VectorIndex, valkey: Redis, reembed: Callable[..., int], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    written = many(index, 3)
    monkeypatch.setattr("ingest.indexing.reembedding_lock.LOCK_SECONDS", 1)
    monkeypatch.setattr("ingest.indexing.reembedding_lock.RENEW_SECONDS", 0.2)
    with alone(valkey, index.name) as is_ours:
        assert reembed() == 1
        assert "another process is re-embedding this index" in capsys.readouterr().err
        assert is_ours()
    assert reembed() == 0
    assert texts(index) == written
    assert LOCK_SECONDS < 60


def test_two_commands_at_once_end_with_one_index(index: VectorIndex) -> None:
    written = many(index, 100)
    both = [subprocess.Popen(command(), env=environment(SLOW), cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
    assert sorted(process.returncode for process in both) == [0, 0]
    assert texts(index) == written
    assert (collections(index), aliases(index)) == ({"-2"}, {"": "-2"})


def test_an_ingest_says_what_lacks(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many(index, 1)
    pdfs.make_pdf(tmp_path / "heron.pdf", ["Herons stand still."])
    monkeypatch.setenv("EMBEDDING_MODEL", NEW)
    assert main([str(tmp_path)]) == 0
    assert "run python -m ingest --reembed" in capsys.readouterr().err
