"""Feedback and history over HTTP: by tenant and role, with races, hostile words, and a database that is away."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis
from rq.job import Job

from app.core.contract import SearchJob
from app.core.errors import ErrorCode
from app.core.queue.outbox import OUTBOX
from app.core.settings import Settings
from tests.support.acting import ActingWorker, answer
from tests.support.api import serving
from tests.support.chat_log import file_bytes, job_ids, rows
from tests.support.credentials import api_key, bearer
from tests.support.processes import wait_until
from tests.support.queue import JobQueue

ADMIN, ADMIN_ENTRY = api_key("admin", tenant="acme", role="admin", rate="9999/second")
ASKER, ASKER_ENTRY = api_key("asker", tenant="acme", role="ask", rate="9999/second")
OTHER, OTHER_ENTRY = api_key("other", tenant="globex", role="admin", rate="9999/second")
GOOD = {"rating": "up", "comment": "thanks"}


@dataclass
class Api:
    """The API, its log's address, and a worker that the test plays."""

    client: httpx.Client
    url: str
    valkey: Redis
    worker: ActingWorker

    def asked(self, query: str = "When does the secret harbour open?", **more: Any) -> str:
        given = {"query": query, "session_id": "s1"} | more
        return str(self.client.post("/chat", json=given).raise_for_status().json()["job_id"])

    def answered(
        self, query: str = "When does the secret harbour open?", text: str = "At six [1].", **more: Any
    ) -> str:
        job_id = self.asked(query, **more)
        self.valkey.lrem("rq:queue:rag_queries", 0, job_id)
        self.worker.finish(job_id, answer(text, pages=[3]))
        self.valkey.xadd(OUTBOX, {"job": job_id})
        return job_id

    def logged(self, count: int = 1, **more: Any) -> list[str]:
        """Questions that have been answered, once their rows are there."""
        ids = [self.answered(**more) for _ in range(count)]
        wait_until(lambda: set(ids) <= set(job_ids(self.url)), "rows are written")
        return ids

    def say(self, job_id: str, key: str = ASKER, **said: Any) -> httpx.Response:
        return self.client.post(f"/jobs/{job_id}/feedback", json=said or GOOD, headers=bearer(key))

    def history(self, key: str = ADMIN, **asked: Any) -> httpx.Response:
        return self.client.get("/history", params=asked, headers=bearer(key))

    def found(self, **asked: Any) -> list[str]:
        return [entry["job_id"] for entry in self.history(**asked).raise_for_status().json()["entries"]]


def settings_for(valkey_url: str, url: str | None, **more: Any) -> Settings:
    return Settings(
        redis_url=SecretStr(valkey_url),
        database_url=SecretStr(url) if url else None,
        chat_log_content=True,
        api_keys=",".join([ADMIN_ENTRY, ASKER_ENTRY, OTHER_ENTRY]),
        **more,
    )


@pytest.fixture
def api(valkey: Redis, valkey_url: str, database_url: str) -> Iterator[Api]:
    with (
        serving(settings_for(valkey_url, database_url)) as url,
        httpx.Client(base_url=url, headers=bearer(ASKER), timeout=30) as client,
    ):
        yield Api(client, database_url, valkey, ActingWorker(valkey))


def test_what_is_said_of_an_answer_stands_beside_it_and_may_be_changed(api: Api) -> None:
    [job_id] = api.logged()
    said = api.say(job_id, rating="down", comment="The old edition.", expected="At seven.")
    assert said.status_code == 200
    assert {name: said.json()[name] for name in ("job_id", "rating", "comment", "expected")} == {
        "job_id": job_id, "rating": "down", "comment": "The old edition.", "expected": "At seven.",
    }  # fmt: skip
    [entry] = api.history(rating="down").json()["entries"]
    assert (entry["question"], entry["answer"]) == ("When does the secret harbour open?", "At six [1].")
    assert entry["citations"][0]["page"] == 3
    assert (entry["comment"], entry["expected"]) == ("The old edition.", "At seven.")
    assert api.say(job_id, rating="up").json()["comment"] is None
    assert api.found(rating="down") == []
    assert api.found(rating="up") == [job_id]


def test_what_is_said_before_the_row_is_written_stands_beside_it(api: Api) -> None:
    api.valkey.set("rag:ended:lock:chat_log", "a reader that is slow", px=60_000)
    job_id = api.answered()
    assert api.say(job_id).status_code == 200
    api.valkey.delete("rag:ended:lock:chat_log")
    api.logged()
    assert [row["rating"] for row in rows(api.url) if row["job_id"] == job_id] == ["up"]


def test_what_is_said_when_the_jobs_record_has_expired_finds_its_row(api: Api) -> None:
    [job_id] = api.logged()
    api.valkey.delete(Job.key_for(job_id))
    assert api.say(job_id).status_code == 200
    assert api.say(job_id, key=OTHER).status_code == 404
    assert api.found(rating="up") == [job_id]


def test_nothing_is_said_of_anothers_answer_nor_of_one_that_is_not_there_yet(api: Api, valkey: Redis) -> None:
    [job_id] = api.logged()
    waiting = api.asked()
    assert api.say(job_id, key=OTHER).status_code == 404
    assert api.say("0" * 32).json()["type"] == "urn:problem:job-not-found"
    assert api.say("%00'--").status_code == 404
    early = api.say(waiting)
    assert (early.status_code, early.json()["type"]) == (409, "urn:problem:job-not-ended")
    search = JobQueue(valkey, Settings()).submit(SearchJob(query="?", tenant="acme")).job_id
    api.worker.fail(search, ErrorCode.INTERNAL)
    assert api.say(search).status_code == 404
    assert rows(api.url)[0]["rating"] is None


NO_FEEDBACK: list[dict[str, Any]] = [
    {},
    {"rating": "sideways"},
    {"rating": "up", "comment": "x" * 4001},
    {"rating": "up", "expected": "x" * 8001},
    {"rating": "up", "more": 1},
]
ANY_WORDS = ["'; DROP TABLE chat_log; --", "nul \0 end", "é\u202e" * 900, "=cmd|' /C calc'!A0"]
NO_FILTER: list[dict[str, Any]] = [
    {"from": "yesterday"},
    {"from": "2026-01-01T00:00:00"},
    {"cursor": "1"},
    {"cursor": "9" * 17 + ":j"},
    {"limit": 0},
    {"limit": 501},
    {"rating": "x"},
    {"text": "\0"},
    {"text": ""},
    {"format": "xml"},
    {"more": 1},
]


def test_any_words_of_feedback_are_kept_and_what_is_none_is_refused(api: Api) -> None:
    [job_id] = api.logged()
    for words in ANY_WORDS:
        assert api.say(job_id, rating="up", comment=words).status_code == 200
        assert api.history().json()["entries"][0]["comment"] == words.replace("\0", "\ufffd")
    for said in NO_FEEDBACK:
        assert api.client.post(f"/jobs/{job_id}/feedback", json=said).status_code == 422, said


def test_history_is_for_admins_and_of_their_own_tenant(api: Api) -> None:
    [job_id] = api.logged()
    assert api.history(key=ASKER).status_code == 403
    assert api.history(key=OTHER).json() == {"entries": [], "next_cursor": None}
    assert api.found() == [job_id]


def test_pages_follow_each_other_to_the_end(api: Api) -> None:
    ids = api.logged(5)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = api.history(limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [entry["job_id"] for entry in page["entries"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == list(reversed(ids))


def test_a_filter_finds_by_words_time_and_conversation(api: Api) -> None:
    [winter] = api.logged(query="Öffnet er im WINTER?", session_id="s2")
    [summer] = api.logged(query="100% of _summer_?")
    between = next(row["ended_at"] for row in api.history().json()["entries"] if row["job_id"] == summer)
    assert api.found(text="winter") == [winter]
    assert api.found(text="öffnet") == [winter]
    assert api.found(text="0% of _s") == [summer]
    assert api.found(text="%") == [summer]
    assert api.found(session_id="s2") == [winter]
    assert api.found(**{"from": between}) == [summer]
    assert api.found(to=between) == [winter]
    assert set(api.found(grounded=True)) == {winter, summer}
    assert api.found(grounded=False) == []


def test_what_is_no_filter_is_refused(api: Api) -> None:
    for asked in NO_FILTER:
        assert api.history(**asked).status_code == 422, asked


def test_csv_and_json_lines_have_all_and_no_formula(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.routes.history.EXPORT_PAGE", 2)
    evil = '=HYPERLINK("http://evil","a,b\nc")'
    [first] = api.logged(query=evil, text="-1+1 \r\n@x")
    ids = [first, *api.logged(4)]
    table = api.history(format="csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    read = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["job_id"] for row in read] == list(reversed(ids))
    assert (read[-1]["question"], read[-1]["answer"]) == ("'" + evil, "'-1+1 \r\n@x")
    lines = api.client.get("/history", headers=bearer(ADMIN) | {"Accept": "application/x-ndjson"})
    assert [json.loads(line)["job_id"] for line in lines.text.splitlines()] == list(reversed(ids))
    assert json.loads(lines.text.splitlines()[-1])["question"] == evil
    accepted = api.client.get("/history", headers=bearer(ADMIN) | {"Accept": "text/html, text/csv;q=0.9, */*"})
    assert accepted.text == table.text


def test_an_export_of_nothing_is_its_head(api: Api) -> None:
    assert api.history(format="csv").text.startswith("job_id,tenant,")
    assert api.history(format="jsonl").text == ""


def test_a_removed_job_is_gone_from_the_log_when_its_removal_is_answered(api: Api) -> None:
    [job_id, stays] = api.logged(2)
    assert api.client.delete(f"/jobs/{job_id}").status_code == 204
    assert job_ids(api.url) == [stays]
    assert api.say(job_id).status_code == 404
    assert api.client.delete(f"/v1/responses/resp_{stays}").status_code == 200
    assert job_ids(api.url) == []
    if api.url.startswith("sqlite"):
        assert b"secret harbour" not in file_bytes(api.url)


def test_a_job_whose_record_has_expired_is_removed_by_its_tenant_alone(api: Api) -> None:
    [job_id] = api.logged()
    api.valkey.delete(Job.key_for(job_id))
    assert api.client.delete(f"/jobs/{job_id}", headers=bearer(OTHER)).status_code == 404
    assert job_ids(api.url) == [job_id]
    assert api.client.delete(f"/jobs/{job_id}").status_code == 204
    assert api.client.delete(f"/jobs/{job_id}").status_code == 404
    assert job_ids(api.url) == []


def test_without_a_log_it_is_said_and_everything_else_is_as_it_was(valkey: Redis, valkey_url: str) -> None:
    with (
        serving(settings_for(valkey_url, None)) as url,
        httpx.Client(base_url=url, headers=bearer(ADMIN), timeout=30) as client,
    ):
        job_id = client.post("/chat", json={"query": "?"}).json()["job_id"]
        for answer_ in (client.get("/history"), client.post(f"/jobs/{job_id}/feedback", json=GOOD)):
            assert (answer_.status_code, answer_.json()["type"]) == (404, "urn:problem:chat-log-off")
        assert client.delete(f"/jobs/{job_id}").status_code == 204
        assert client.delete(f"/jobs/{job_id}").status_code == 404


def test_with_the_database_away_questions_are_answered_and_the_log_says_when_to_come_back(
    valkey: Redis, valkey_url: str, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    away.write_text("no folder")
    settings = settings_for(valkey_url, f"sqlite:///{away}/history.sqlite3")
    with (
        serving(settings) as url,
        httpx.Client(base_url=url, headers=bearer(ADMIN), timeout=30) as client,
    ):
        api = Api(client, f"sqlite:///{away}/history.sqlite3", valkey, ActingWorker(valkey))
        kept, removed = api.answered(), api.answered()
        assert client.get(f"/result/{kept}").json()["result"]["answer"] == "At six [1]."
        for refused in (client.get("/history"), api.say(kept), client.delete(f"/jobs/{'0' * 32}")):
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:chat-log-unavailable")
            assert refused.headers["retry-after"] == "5"
        assert client.delete(f"/jobs/{removed}").status_code == 204  # what is noted is erased later
        away.unlink()
        wait_until(lambda: job_ids(api.url) == [kept], "the row is written")
