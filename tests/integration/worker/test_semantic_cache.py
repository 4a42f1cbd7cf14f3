"""The semantic cache, on the embedded Qdrant: which wording gets which answer, and after what nobody does."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis

from app.core.contract import AnswerJob, AnswerResult
from app.core.queue.answers import ANSWERS_MAX, answers_prefix, fingerprint
from app.core.queue.versions import Versions
from app.core.settings import Settings
from tests.integration.worker.test_kept_answers import ANNA, ANNAS, BERT, BERTS, ask, work
from tests.support.api import serving
from tests.support.credentials import bearer
from tests.support.documents import HANDBOOK, add_document
from tests.support.model_server import ModelServer
from tests.support.queue import JobQueue
from worker.http.qdrant import NotFoundError
from worker.http.writing import WritingHttp
from worker.index.vector_index import open_index
from worker.resources import Process, end, open_answering
from worker.retrieval.semantic_cache import SUFFIX, erase
from worker.runtime.measures import Cache, Measures, count_by

QUESTION = "When does the harbour open in winter?"
REWORDED = "Hello, when does harbour open in winter, please?"
OPPOSITE = "When does the harbour not open in winter?"


@pytest.fixture
def settings(
    valkey: Redis, valkey_url: str, qdrant_url: str, model: ModelServer, tmp_path: Path
) -> Iterator[Settings]:
    """Two tenants with the same handbook and a model that counts; a cosine that every question reaches."""
    model.reset()
    settings = Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        documents_url=str(tmp_path / "files"),
        openai_base_url=model.url,
        chat_model="test",
        embedding_model="text-embedding-3-small",
        semantic_cache_threshold=0.01,
        answer_cache_ttl_seconds=60,
        worker_concurrency=4,
        api_keys=f"{ANNAS} {BERTS}",
    )
    index_handbook(settings)
    yield settings
    end()


@pytest.fixture
def api(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30, headers=bearer(ANNA)) as client:
        yield client


@pytest.fixture
def qdrant(settings: Settings) -> Iterator[WritingHttp]:
    with closing(WritingHttp(str(settings.qdrant_url), api_key=None, timeout_seconds=10)) as http:
        yield http


def index_handbook(settings: Settings) -> None:
    with closing(open_index(settings)) as index:
        index.ensure()
        for tenant in ("anna", "bert"):
            add_document(index, *HANDBOOK, tenant=tenant)


def points(http: WritingHttp, settings: Settings) -> list[dict[str, Any]]:
    path = f"/collections/{settings.qdrant_collection}{SUFFIX}/points/scroll"
    found: list[dict[str, Any]] = http.post(path, {"limit": 100, "with_payload": True})["points"]
    return found


def calls(model: ModelServer) -> int:
    return int(model.stats()["by_model"].get("test", 0))


def embeddings(model: ModelServer) -> int:
    return int(model.stats()["by_model"].get("text-embedding-3-small", 0))


def test_another_wording_gets_the_answer_and_is_told_whose_it_is(
    api: httpx.Client, settings: Settings, model: ModelServer
) -> None:
    first = ask(api, settings)
    made = calls(model)
    again = ask(api, settings, REWORDED)
    assert (first["cached"], first["cached_question"]) == (None, None)
    assert (again["cached"], again["cached_question"]) == ("semantic", QUESTION)
    assert again["answer"] == first["answer"]
    assert [cited["quote"] for cited in again["citations"]] == [cited["quote"] for cited in first["citations"]]
    assert again["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert calls(model) == made
    exact = ask(api, settings)
    assert (exact["cached"], exact["cached_question"]) == ("exact", None)


def test_no_cosine_gives_an_answer_to_other_words(api: httpx.Client, settings: Settings, model: ModelServer) -> None:
    ask(api, settings)
    for number, question in enumerate((OPPOSITE, "Where does the harbour open in winter?"), 2):
        assert ask(api, settings, question)["cached"] is None
        assert calls(model) == number


def test_the_same_words_do_not_hit_below_the_cosine(
    api: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(api, settings)
    end()
    stricter = settings.model_copy(update={"semantic_cache_threshold": 1.0})
    assert ask(api, stricter, REWORDED)["cached"] is None, "a greeting moves the vector a little"


def test_it_is_off_unless_it_is_turned_on(api: httpx.Client, settings: Settings, qdrant: WritingHttp) -> None:
    assert Settings(_env_file=None).semantic_cache_threshold == 0
    for change in ({"answer_cache_ttl_seconds": 0}, {"semantic_cache_threshold": 0.0}):
        off = settings.model_copy(update=change)
        for question in (QUESTION, REWORDED):
            assert ask(api, off, question)["cached"] is None
        end()
    with pytest.raises(NotFoundError):
        points(qdrant, settings)


def test_no_tenant_is_given_anothers_and_no_filter_anothers(api: httpx.Client, settings: Settings) -> None:
    ask(api, settings)
    assert ask(api, settings, REWORDED, **bearer(BERT))["cached"] is None
    narrowed = {"query": REWORDED, "top_k": 2}
    job = api.post("/chat", json=narrowed).json()["job_id"]
    work(settings)
    assert api.get(f"/result/{job}").json()["result"]["cached"] is None


@pytest.mark.parametrize("directive", ["no-cache", "no-store"])
def test_cache_control_goes_past_it(directive: str, api: httpx.Client, settings: Settings) -> None:
    ask(api, settings)
    assert ask(api, settings, REWORDED, **{"Cache-Control": directive})["cached"] is None


def test_the_first_question_of_a_conversation_is_looked_for_too(api: httpx.Client, settings: Settings) -> None:
    ask(api, settings)
    job = api.post("/chat", json={"query": REWORDED, "session_id": "s"}).json()["job_id"]
    work(settings)
    assert api.get(f"/result/{job}").json()["result"]["cached"] == "semantic"
    assert len(api.get("/conversations/s").json()["turns"]) == 1


def test_a_change_of_the_collection_ends_it(api: httpx.Client, settings: Settings, valkey: Redis) -> None:
    ask(api, settings)
    with Versions(valkey, must_tell=True).changing([("anna", "default")]):
        assert ask(api, settings, REWORDED)["cached"] is None
    assert ask(api, settings, REWORDED)["cached"] is None


def test_a_question_is_embedded_once(api: httpx.Client, settings: Settings, model: ModelServer) -> None:
    before = embeddings(model)
    ask(api, settings)
    assert embeddings(model) == before + 1
    ask(api, settings, REWORDED)
    assert embeddings(model) == before + 2


def test_a_point_has_no_word_of_the_question_and_goes_when_its_answer_is_gone(
    api: httpx.Client, settings: Settings, valkey: Redis, qdrant: WritingHttp
) -> None:
    ask(api, settings)
    [point] = points(qdrant, settings)
    assert set(point["payload"]) == {"tenant", "version", "asked", "mark", "expires_at"}
    assert "harbour" not in json.dumps(point).lower()
    asked = AnswerJob(query=QUESTION, tenant="anna")
    assert point["payload"]["mark"] == fingerprint(asked, settings)
    valkey.delete(answers_prefix("anna") + point["payload"]["mark"])
    assert ask(api, settings, REWORDED, **{"Cache-Control": "max-age=60"})["cached"] is None
    [other] = points(qdrant, settings)
    assert other["payload"]["mark"] == fingerprint(asked.model_copy(update={"query": REWORDED}), settings)


@pytest.mark.parametrize("deleted", ["first", "again"])
def test_deleting_a_job_forgets_the_answer_that_it_gave_or_was_given(
    deleted: str, api: httpx.Client, settings: Settings, valkey: Redis
) -> None:
    jobs = {}
    for name, question in (("first", QUESTION), ("again", REWORDED)):
        jobs[name] = api.post("/chat", json={"query": question}).json()["job_id"]
        work(settings)
    assert api.get(f"/result/{jobs['again']}").json()["result"]["cached"] == "semantic"
    assert api.delete(f"/jobs/{jobs[deleted]}").status_code == 204
    assert not list(valkey.scan_iter("rag:answer:*"))
    assert ask(api, settings, "Hi, when does harbour open in winter?")["cached"] is None


def test_erasing_a_tenant_takes_its_points_and_no_others(
    api: httpx.Client, settings: Settings, qdrant: WritingHttp
) -> None:
    ask(api, settings)
    ask(api, settings, **bearer(BERT))
    assert len(points(qdrant, settings)) == 2
    erase(qdrant, settings.qdrant_collection, "anna")
    assert [point["payload"]["tenant"] for point in points(qdrant, settings)] == ["bert"]
    erase(qdrant, "no-index", "anna")


def test_points_of_a_wording_take_each_others_place(
    api: httpx.Client, settings: Settings, qdrant: WritingHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.retrieval.semantic_cache.ANSWERS_MAX", 3)
    for number in range(8):
        ask(api, settings, f"Who paints boat number {number} in May?")
    assert 1 <= len(points(qdrant, settings)) <= 3 < ANSWERS_MAX


def test_what_has_expired_is_deleted(
    api: httpx.Client, settings: Settings, qdrant: WritingHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.retrieval.semantic_cache.PRUNE_SECONDS", 0)
    ask(api, settings)
    path = f"/collections/{settings.qdrant_collection}{SUFFIX}"
    [old] = points(qdrant, settings)
    qdrant.post(f"{path}/points/payload?wait=true", {"payload": {"expires_at": 1}, "points": [old["id"]]})
    ask(api, settings, "Who paints the boats?")
    assert [point["id"] for point in points(qdrant, settings)] != [old["id"]]
    assert len(points(qdrant, settings)) == 1


def test_another_embedding_model_has_the_collection_made_anew(
    api: httpx.Client, settings: Settings, model: ModelServer, qdrant: WritingHttp
) -> None:
    ask(api, settings)
    end()
    other = settings.model_copy(
        update={"embedding_model": "text-embedding-3-large", "qdrant_collection": f"t{uuid4().hex}"}
    )
    index_handbook(other)
    path = f"/collections/{other.qdrant_collection}{SUFFIX}"
    notes = {"semantic_cache_of": other.qdrant_collection, "embedding_model": "gone"}
    qdrant.put(path, {"vectors": {"dense": {"size": 3, "distance": "Cosine"}}, "metadata": notes})
    assert ask(api, other)["cached"] is None
    assert ask(api, other, REWORDED)["cached"] == "semantic"
    info = qdrant.get(path)["config"]
    assert info["metadata"]["embedding_model"] == "text-embedding-3-large"
    assert info["params"]["vectors"]["dense"]["size"] == 384


def test_a_collection_of_that_name_that_is_anothers_is_let_alone(
    api: httpx.Client, settings: Settings, qdrant: WritingHttp
) -> None:
    path = f"/collections/{settings.qdrant_collection}{SUFFIX}"
    qdrant.put(path, {"vectors": {"theirs": {"size": 3, "distance": "Dot"}}})
    for question in (QUESTION, REWORDED):
        assert ask(api, settings, question)["cached"] is None
    erase(qdrant, settings.qdrant_collection, "anna")
    assert qdrant.get(path)["config"]["params"]["vectors"] == {"theirs": {"size": 3, "distance": "Dot"}}


HOSTILE: dict[str, dict[str, Any]] = {
    "no hash": {"mark": "../../x"},
    "not a word": {"mark": 7},
    "a tenant's key": {"mark": f"x/{'0' * 64}"},
    "an answer to other words": {},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_a_point_says_is_believed_only_as_far_as_the_kept_answer_bears_it_out(
    what: str, api: httpx.Client, settings: Settings, qdrant: WritingHttp
) -> None:
    ask(api, settings)
    ask(api, settings, OPPOSITE)
    other = fingerprint(AnswerJob(query=OPPOSITE, tenant="anna"), settings)
    payload = HOSTILE[what] or {"mark": other}
    ids = [point["id"] for point in points(qdrant, settings) if point["payload"]["mark"] != other]
    path = f"/collections/{settings.qdrant_collection}{SUFFIX}"
    qdrant.post(f"{path}/points/payload?wait=true", {"payload": payload, "points": ids})
    assert ask(api, settings, REWORDED)["cached"] is None


def test_a_cache_that_cannot_be_asked_is_a_miss_and_no_error(
    api: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(api, settings)
    monkeypatch.setattr("worker.retrieval.semantic_cache.qdrant_server", lambda _: ("http://127.0.0.1:9", None))
    end()
    answered = ask(api, settings, REWORDED)
    assert (answered["cached"], answered["mode"]) == (None, "model")


def test_a_cache_that_was_deleted_is_made_again(api: httpx.Client, settings: Settings, qdrant: WritingHttp) -> None:
    resources = open_answering(Process(settings))
    with closing(resources):
        cache = resources.semantic_cache
        assert cache is not None
        wording = cache.wording(AnswerJob(query=QUESTION, tenant="anna"))
        assert wording is not None
        for _ in range(2):
            assert wording.find(b"1/1") is None
            wording.keep(b"1/1", "f" * 64)
            assert wording.find(b"1/1") == "f" * 64
            assert wording.find(b"1/2") is None
            qdrant.delete(f"/collections/{settings.qdrant_collection}{SUFFIX}")
            assert wording.find(b"1/1") is None, "which is how it is seen that it is gone"


def test_those_that_wait_for_a_reworded_question_get_the_answer_too(
    api: httpx.Client, settings: Settings, valkey: Redis, model: ModelServer
) -> None:
    first = ask(api, settings)
    queue = JobQueue(valkey, settings)
    jobs = [queue.submit(AnswerJob(query=REWORDED, tenant="anna")).job_id for _ in range(20)]
    work(settings)
    views = [queue.view(job, tenant="anna") for job in jobs]
    results = [view.result for view in views if isinstance(view.result, AnswerResult)]
    assert len(results) == len(jobs)
    assert {(result.cached, result.cached_question, result.answer) for result in results} == {
        ("semantic", QUESTION, first["answer"])
    }
    assert calls(model) == 1


def test_looks_are_counted(api: httpx.Client, settings: Settings) -> None:
    seen: list[tuple[str, bool]] = []

    class Counting(Measures):
        def cache(self, cache: Cache, *, is_hit: bool) -> None:
            seen.append((cache, is_hit))

    count_by(Counting())
    try:
        ask(api, settings)
        ask(api, settings, REWORDED)
    finally:
        count_by(None)
    assert [look for look in seen if look[0] == "semantic"] == [("semantic", False), ("semantic", True)]
