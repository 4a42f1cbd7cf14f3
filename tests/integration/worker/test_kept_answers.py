"""Answers that are kept: who gets them again, by which route, and after which change nobody does."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue, SimpleWorker

from app.core.contract import INGEST_QUEUE, QUERY_QUEUE, AnswerJob
from app.core.queue.answers import ANSWERS_MAX, answers_key
from app.core.queue.connections import connect
from app.core.queue.outbox import OUTBOX
from app.core.queue.scripts import ANSWER_BYTES_MAX
from app.core.queue.versions import Versions, changing_key, raise_all, version_key
from app.core.settings import Settings
from ingest.__main__ import main as ingest
from tests.support.api import serving
from tests.support.credentials import api_key, bearer
from tests.support.documents import HANDBOOK, add_document
from tests.support.metrics import samples
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.sse import events_of
from worker.concurrent import ConcurrentWorker
from worker.index.vector_index import open_index
from worker.resources import end
from worker.runtime.own_job import OwnJob

QUESTION = "When does the harbour open in winter?"
ANNA, ANNAS = api_key("anna", tenant="anna", role="admin", rate="9999/second")
BERT, BERTS = api_key("bert", tenant="bert", role="admin", rate="9999/second")


@pytest.fixture
def settings(
    valkey: Redis, valkey_url: str, qdrant_url: str, model: ModelServer, tmp_path: Path
) -> Iterator[Settings]:
    """Two tenants with the same handbook, each in a collection of their own, and a model that counts."""
    model.reset()
    settings = Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        documents_url=str(tmp_path / "files"),
        openai_base_url=model.url,
        chat_model="test",
        worker_concurrency=4,
        answer_cache_ttl_seconds=60,
        api_keys=f"{ANNAS} {BERTS}",
    )
    with closing(open_index(settings)) as index:
        index.ensure()
        for tenant in ("anna", "bert"):
            add_document(index, *HANDBOOK, tenant=tenant)
    yield settings
    end()


@pytest.fixture
def api(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30, headers=bearer(ANNA)) as client:
        yield client


def work(settings: Settings, *queues: str) -> None:
    assert settings.redis_url
    with connect(settings.redis_url.get_secret_value()) as connection:
        ConcurrentWorker(queues or [QUERY_QUEUE], connection=connection, settings=settings).work(burst=True)


def ask(api: httpx.Client, settings: Settings, query: str = QUESTION, **headers: str) -> dict[str, Any]:
    """The result of `POST /chat`; the worker works only what is on the queue."""
    taken = api.post("/chat", json={"query": query}, headers=headers)
    assert taken.status_code == 202, taken.text
    work(settings)
    result: dict[str, Any] = api.get(f"/result/{taken.json()['job_id']}", headers=headers).json()["result"]
    return result


def calls(model: ModelServer) -> int:
    return int(model.stats()["requests"])


def test_the_same_question_gets_the_same_answer_without_the_model_or_a_worker(
    api: httpx.Client, settings: Settings, model: ModelServer, valkey: Redis
) -> None:
    first = ask(api, settings)
    assert first["cached"] is None
    assert first["usage"]["input_tokens"] > 0
    taken = api.post("/chat", json={"query": f"  {QUESTION} "}).json()
    assert valkey.llen(f"rq:queue:{QUERY_QUEUE}") == 0
    state = api.get(f"/job-status/{taken['job_id']}").json()
    assert (state["status"], state["attempt"], state["error"]) == ("finished", 1, None)
    second = api.get(f"/result/{taken['job_id']}").json()["result"]
    assert second["cached"] == "exact"
    assert second["answer"] == first["answer"]
    assert [cited["quote"] for cited in second["citations"]] == [cited["quote"] for cited in first["citations"]]
    assert second["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert calls(model) == 1
    entries: Any = valkey.xrange(OUTBOX)
    assert taken["job_id"].encode() in {entry[b"job"] for _, entry in entries}


def test_prefer_wait_has_it_at_once(api: httpx.Client, settings: Settings) -> None:
    ask(api, settings)
    answered = api.post("/chat", json={"query": QUESTION}, headers={"Prefer": "wait=5"})
    assert (answered.status_code, answered.json()["result"]["cached"]) == (200, "exact")


CHAT = {"model": "rag-queue", "messages": [{"role": "user", "content": QUESTION}]}
RESPONSE = {"model": "rag-queue", "input": QUESTION}
ROUTES: dict[str, Callable[[httpx.Client], httpx.Response]] = {
    "/chat": lambda api: api.post("/chat", json={"query": QUESTION}, headers={"Prefer": "wait=5"}),
    "?query=": lambda api: api.post("/chat", params={"query": QUESTION}, headers={"Prefer": "wait=5"}),
    "completions": lambda api: api.post("/v1/chat/completions", json=CHAT),
    "completions, streamed": lambda api: api.post("/v1/chat/completions", json=CHAT | {"stream": True}),
    "responses": lambda api: api.post("/v1/responses", json=RESPONSE),
    "responses, streamed": lambda api: api.post("/v1/responses", json=RESPONSE | {"stream": True}),
}


@pytest.mark.parametrize("way", ROUTES)
def test_every_way_of_asking_gets_it(way: str, api: httpx.Client, settings: Settings, model: ModelServer) -> None:
    said = ask(api, settings)["answer"]
    answered = ROUTES[way](api)
    assert answered.status_code == 200
    first_words = said.split(" [")[0]
    assert first_words in answered.text.replace("\\n", "\n")
    assert calls(model) == 1


def test_an_api_process_counts_the_answers_that_it_gives_at_once(settings: Settings) -> None:
    counting = settings.model_copy(update={"metrics": True})
    with serving(counting) as url, httpx.Client(base_url=url, timeout=30, headers=bearer(ANNA)) as api:
        for looks in range(3):
            ask(api, settings)
            found = samples(api.get("/metrics").text)
            assert found["rag_cache_requests_total", frozenset({("cache", "exact"), ("result", "hit")})] == looks


def test_a_stream_replays_it_from_its_beginning(api: httpx.Client, settings: Settings) -> None:
    said = ask(api, settings)["answer"]
    job_id = api.post("/chat", json={"query": QUESTION}).json()["job_id"]
    events = list(events_of(api.get(f"/stream/{job_id}").text.splitlines()))
    assert [each.event for each in events] == ["job.queued", "job.started", "answer.delta", "answer.completed"]
    assert events[2].data["text"] == said
    later = events_of(api.get(f"/stream/{job_id}", headers={"Last-Event-ID": "2"}).text.splitlines())
    assert [each.event for each in later] == ["answer.completed"]


def test_no_tenant_is_given_anothers(api: httpx.Client, settings: Settings, model: ModelServer) -> None:
    ask(api, settings)
    assert ask(api, settings, **bearer(BERT))["cached"] is None
    assert calls(model) == 2
    assert ask(api, settings, **bearer(BERT))["cached"] == "exact"


def test_no_cache_makes_it_anew_and_no_store_leaves_what_is_kept(
    api: httpx.Client, settings: Settings, model: ModelServer
) -> None:
    for headers, cached, made in [
        ({"Cache-Control": "no-store"}, None, 1),
        ({}, None, 2),
        ({"Cache-Control": "no-cache"}, None, 3),
        ({"Cache-Control": "max-age=0"}, None, 4),
        ({"Cache-Control": "private"}, "exact", 4),
        ({"Cache-Control": "no-store"}, None, 5),
        ({}, "exact", 5),
    ]:
        assert (ask(api, settings, **headers)["cached"], calls(model)) == (cached, made), headers


def test_an_idempotency_key_and_a_webhook_hold_for_a_kept_answer(api: httpx.Client, settings: Settings) -> None:
    ask(api, settings)
    key = {"Idempotency-Key": "k"}
    first, second = (api.post("/chat", json={"query": QUESTION}, headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert (first.headers.get("idempotent-replayed"), second.headers["idempotent-replayed"]) == (None, "true")
    assert api.post("/chat", json={"query": "Another?"}, headers=key).status_code == 422


def test_a_job_with_a_kept_answer_is_removed_as_any_other_and_the_answer_with_it(
    api: httpx.Client, settings: Settings, model: ModelServer, valkey: Redis
) -> None:
    for number, removed in enumerate(("first", "again"), 1):
        jobs = {"first": api.post("/chat", json={"query": QUESTION}).json()["job_id"]}
        work(settings)
        jobs["again"] = api.post("/chat", json={"query": QUESTION}).json()["job_id"]
        assert calls(model) == number
        assert api.post(f"/jobs/{jobs['again']}/cancel").status_code == 200
        assert api.delete(f"/jobs/{jobs[removed]}").status_code == 204
        assert not list(valkey.scan_iter("rag:answer:*"))
        assert api.get(f"/result/{jobs[removed]}").status_code == 404


def upload(settings: Settings, api: httpx.Client, _: Path) -> None:
    sent = api.post("/documents", files={"files": ("notes.txt", b"Boats are varnished in autumn.", "text/plain")})
    assert sent.status_code == 202
    work(settings, INGEST_QUEUE)


def replace(settings: Settings, api: httpx.Client, folder: Path) -> None:
    for text in (b"One.", b"Another."):
        api.post("/documents", files={"files": ("same.txt", text, "text/plain")})
        work(settings, INGEST_QUEUE)


def remove(settings: Settings, api: httpx.Client, folder: Path) -> None:
    upload(settings, api, folder)
    [document] = [each for each in api.get("/documents").json()["documents"] if each["filename"] == "notes.txt"]
    assert api.delete(f"/documents/{document['document_id']}").status_code == 204
    work(settings, INGEST_QUEUE)


def rename(settings: Settings, _api: httpx.Client, _folder: Path) -> None:
    with closing(open_index(settings)) as index:
        [document] = index.documents(tenant="anna")
        index.rename(document, filename="other.pdf", source="other.pdf")


def repair(settings: Settings, _api: httpx.Client, _folder: Path) -> None:
    assert ingest(["--repair"]) == 0


def start_of_a_worker(settings: Settings, _api: httpx.Client, _folder: Path) -> None:
    work(settings, INGEST_QUEUE)


CHANGES = {
    "upload": upload,
    "replace": replace,
    "delete": remove,
    "rename": rename,
    "--repair": repair,
    "a worker's start": start_of_a_worker,
}


@pytest.mark.parametrize("way", CHANGES)
def test_after_every_change_of_the_collection_the_question_is_answered_anew(
    way: str,
    api: httpx.Client,
    settings: Settings,
    model: ModelServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("redis_url", "qdrant_url", "qdrant_collection"):
        value = getattr(settings, name)
        monkeypatch.setenv(name.upper(), value.get_secret_value() if isinstance(value, SecretStr) else value)
    ask(api, settings)
    assert ask(api, settings)["cached"] == "exact"
    CHANGES[way](settings, api, tmp_path)
    made = calls(model)
    assert ask(api, settings)["cached"] is None
    assert calls(model) == made + 1
    assert ask(api, settings)["cached"] == "exact"


def test_the_command_that_indexes_a_folder_raises_the_version_too(
    valkey: Redis, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.redis_url
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("QDRANT_URL", str(settings.qdrant_url))
    monkeypatch.setenv("QDRANT_COLLECTION", settings.qdrant_collection)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("The pier is painted in May.")
    seen = []
    for _ in range(2):
        assert ingest([str(tmp_path / "in")]) == 0
        seen.append(valkey.get(version_key("default", "default")))
        (tmp_path / "in" / "a.txt").write_text("The pier is painted in June.")
    assert None not in seen
    assert seen[0] != seen[1]


def test_while_a_change_runs_nothing_is_given_or_kept_and_a_dead_writer_is_given_up(
    api: httpx.Client, settings: Settings, model: ModelServer, valkey: Redis
) -> None:
    ask(api, settings)
    versions = Versions(valkey, must_tell=True)
    with versions.changing([("anna", "default")]):
        assert ask(api, settings)["cached"] is None
        assert ask(api, settings)["cached"] is None
    assert calls(model) == 3
    dead = changing_key("anna", "default")
    valkey.zadd(dead, {"dead": int(valkey.time()[0] - 1_000) * 1_000_000})
    ask(api, settings)
    assert ask(api, settings)["cached"] == "exact"


def test_an_answer_made_before_a_change_is_not_kept_after_it(
    api: httpx.Client, settings: Settings, model: ModelServer, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.runtime.kept import KeptAnswer

    keep = KeptAnswer._keep

    def changed_first(self: KeptAnswer, *given: Any) -> None:
        with Versions(valkey, must_tell=True).changing([("anna", "default")]):
            pass
        keep(self, *given)

    monkeypatch.setattr(KeptAnswer, "_keep", changed_first)
    ask(api, settings)
    assert not list(valkey.scan_iter("rag:answer:*"))


def test_a_version_that_was_lost_is_none_that_ever_was(valkey: Redis) -> None:
    seen = set()
    for _ in range(5):
        with Versions(valkey, must_tell=True).changing([("t", "c")]):
            seen.add(valkey.get(version_key("t", "c")))
        seen.add(valkey.get(version_key("t", "c")))
        valkey.delete(version_key("t", "c"))
    assert len(seen) == 10
    raise_all(valkey)


HOSTILE = {
    "no JSON": lambda mark, body: mark + b"\nx",
    "another question's": lambda mark, body: b"0" * 64 + body[64:],
    "huge": lambda mark, body: body + b" " * ANSWER_BYTES_MAX,
    "nothing": lambda mark, body: b"",
}


@pytest.mark.parametrize("kind", [*HOSTILE, "another type"])
def test_what_is_kept_and_none_of_ours_is_no_answer(
    kind: str, api: httpx.Client, settings: Settings, model: ModelServer, valkey: Redis
) -> None:
    ask(api, settings)
    [key] = valkey.scan_iter("rag:answer:*")
    mark = key.rpartition(b"/")[2]
    if kind == "another type":
        valkey.delete(key)
        valkey.set(key, "x")
    else:
        body: Any = valkey.hget(key, "answer")
        valkey.hset(key, "answer", HOSTILE[kind](mark, body))  # type: ignore[no-untyped-call]
    assert ask(api, settings)["cached"] is None
    assert calls(model) == 2


def test_with_a_full_valkey_answers_are_made_and_not_kept(
    settings: Settings, valkey: Redis, model: ModelServer
) -> None:
    from worker.runtime.kept import KeptAnswer

    with serving(settings) as url, httpx.Client(base_url=url, timeout=30, headers=bearer(ANNA)) as api:
        job_id = api.post("/chat", json={"query": QUESTION}).json()["job_id"]
        valkey.config_set("maxmemory", "1")
        try:
            record = OwnJob.fetch(job_id, connection=valkey)
            kept = KeptAnswer(record, AnswerJob(query=QUESTION, tenant="anna"), settings)
            with kept.making():
                assert kept.found is None
            raise_all(valkey)
            with Versions(valkey, must_tell=True).changing([("anna", "default")]):
                pass
        finally:
            valkey.config_set("maxmemory", "0")


def test_of_one_tenants_answers_the_oldest_go(api: httpx.Client, settings: Settings, valkey: Redis) -> None:
    ask(api, settings)
    found: Any = valkey.zrange(answers_key("anna"), 0, -1)
    [first] = found
    valkey.zadd(answers_key("anna"), {f"{number:064}": number + 10**17 for number in range(ANSWERS_MAX - 1)})
    ask(api, settings, "How long does the warranty last?")
    assert valkey.zcard(answers_key("anna")) == ANSWERS_MAX
    assert valkey.zscore(answers_key("anna"), first) is None
    assert not valkey.exists(f"rag:answer:anna/{first.decode()}")
    assert valkey.ttl(answers_key("anna")) > 0


def test_a_worker_finds_what_was_kept_after_the_question_was_asked(
    api: httpx.Client, settings: Settings, model: ModelServer
) -> None:
    """Asked twice before anybody has answered; the second is not asked again when the first has been."""
    jobs = [api.post("/chat", json={"query": QUESTION}).json()["job_id"] for _ in range(2)]
    work(settings.model_copy(update={"worker_concurrency": 1}))
    found = [api.get(f"/result/{job_id}").json()["result"] for job_id in jobs]
    assert [each["cached"] for each in found] == [None, "exact"]
    assert calls(model) == 1


def test_a_stock_worker_keeps_and_gives_answers_too(
    api: httpx.Client, settings: Settings, model: ModelServer, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.model_dump(exclude_defaults=True).items():
        if name not in ("redis_url", "api_keys", "data_dir"):
            monkeypatch.setenv(name.upper(), str(value))
    assert settings.redis_url
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    job_id = api.post("/chat", json={"query": QUESTION}).json()["job_id"]
    SimpleWorker([Queue(QUERY_QUEUE, connection=valkey)], connection=valkey, job_class=OwnJob).work(burst=True)
    assert api.get(f"/result/{job_id}").json()["result"]["cached"] is None
    wait_until(lambda: list(valkey.scan_iter("rag:answer:*")), "the answer is kept")
    assert ask(api, settings)["cached"] == "exact"
    assert calls(model) == 1


def said(api: httpx.Client, settings: Settings, query: str, session_id: str | None, **headers: str) -> dict[str, Any]:
    """The result of a question in a conversation."""
    taken = api.post("/chat", json={"query": query, "session_id": session_id}, headers=headers).json()
    work(settings)
    result: dict[str, Any] = api.get(f"/result/{taken['job_id']}").json()["result"]
    return result


def test_the_first_question_of_a_conversation_is_given_what_is_kept_and_is_kept(
    api: httpx.Client, settings: Settings, model: ModelServer
) -> None:
    """And it is a turn of the conversation."""
    first = said(api, settings, QUESTION, "s1")
    again = said(api, settings, QUESTION, "s2")
    assert (first["cached"], again["cached"]) == (None, "exact")
    assert again["answer"] == first["answer"]
    assert ask(api, settings)["cached"] == "exact"
    assert calls(model) == 1
    [turn] = api.get("/conversations/s2").json()["turns"]
    assert (turn["question"], turn["answer"]) == (QUESTION, first["answer"])
    assert said(api, settings, QUESTION, "s3", **{"Cache-Control": "no-cache"})["cached"] is None


def test_a_later_question_is_given_what_is_kept_when_it_reads_the_same_by_itself_and_is_not_kept(
    api: httpx.Client, settings: Settings, model: ModelServer
) -> None:
    by_itself, other, follow_up = "Where do dogs stay?", "Where are dogs kept?", "And how long does it last?"
    plain = ask(api, settings, by_itself)
    said(api, settings, QUESTION, "s1")
    assert said(api, settings, by_itself, "s1")["answer"] == plain["answer"]
    assert said(api, settings, other, "s1")["cached"] is None
    assert ask(api, settings, other)["cached"] is None, "the model was told of other questions, too"
    made = said(api, settings, follow_up, "s1")
    assert (made["cached"], made["standalone_question"] is None) == (None, False)
    ask(api, settings, made["standalone_question"])
    before = calls(model)
    for query in (QUESTION, by_itself, other):
        said(api, settings, query, "s4")
    assert calls(model) == before, "each is kept by now"
    given = said(api, settings, follow_up, "s4")
    assert (given["cached"], given["standalone_question"]) == ("exact", made["standalone_question"])
    assert given["usage"]["output_tokens"] > 0, "what it means was asked of the model"
    assert len(api.get("/conversations/s4").json()["turns"]) == 4


def test_in_a_conversation_nobody_waits_for_another(api: httpx.Client, settings: Settings, valkey: Redis) -> None:
    """Each is a turn, which the end of another question does not write."""
    jobs = [api.post("/chat", json={"query": QUESTION, "session_id": f"s{n}"}).json()["job_id"] for n in range(4)]
    work(settings)
    assert [api.get(f"/result/{job}").json()["status"] for job in jobs] == ["finished"] * 4
    assert [len(api.get(f"/conversations/s{n}").json()["turns"]) for n in range(4)] == [1] * 4
    assert not valkey.keys("rag:asking:*")
