"""What the API writes of a request that makes a job, or is about one: whose it is, and which."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from app.core.settings import Settings
from tests.support.api import serving
from tests.support.credentials import api_key, bearer
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until

Line = dict[str, Any]

KEY, ENTRY = api_key("boss", tenant="acme", role="admin")


@pytest.fixture
def client(valkey: Redis, valkey_url: str, tmp_path: Path) -> Iterator[httpx.Client]:
    settings = Settings(redis_url=valkey_url, data_dir=tmp_path, api_keys=ENTRY, embedding_model="e")
    with serving(settings) as url, httpx.Client(base_url=url, headers=bearer(KEY), timeout=30) as client:
        yield client


class Log:
    """What stands in the log of this process, as far as a test has read it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = io.StringIO()

    def of(self, request_id: str) -> list[Line]:
        """A request's lines, when its last one is written, after the answer."""

        def whole() -> list[Line] | None:
            self._text.write(self._capsys.readouterr().err)
            lines = [json.loads(line) for line in self._text.getvalue().splitlines() if line.startswith("{")]
            found = [line for line in lines if line.get("request_id") == request_id]
            return found if any(line["event"] == "request" for line in found) else None

        return wait_until(whole, "the access log's line")


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Log:
    return Log(capsys)


MESSAGES = [{"role": "user", "content": "?"}]
ASKING = {
    "chat": ("/chat", {"query": "?"}),
    "search": ("/search", {"query": "?"}),
    "responses": ("/v1/responses", {"model": "rag-queue", "input": "?", "background": True}),
}


@pytest.mark.parametrize("route", ASKING)
def test_a_request_that_makes_a_job_names_it_in_both_its_lines(route: str, client: httpx.Client, log: Log) -> None:
    path, body = ASKING[route]
    answer = client.post(path, json=body, headers={"X-Request-ID": "r-1"})
    assert answer.is_success, answer.text
    enqueued, request = log.of("r-1")
    assert (enqueued["event"], request["event"], request["route"]) == ("job_enqueued", "request", path)
    assert enqueued["job_id"] == request["job_id"]
    assert enqueued["job_id"] in answer.text
    assert enqueued["tenant"] == request["tenant"] == "acme"
    assert "question" not in enqueued


def test_the_same_request_again_makes_no_job_and_names_the_one_there_is(client: httpx.Client, log: Log) -> None:
    for number in (1, 2):
        headers = {"Idempotency-Key": "k", "X-Request-ID": f"r-{number}"}
        assert client.post("/chat", json={"query": "?"}, headers=headers).status_code == 202
    enqueued, first = log.of("r-1")
    [again] = log.of("r-2")
    assert enqueued["job_id"] == first["job_id"] == again["job_id"]


def test_a_request_about_a_job_names_it_and_one_about_a_job_of_nobodys_does_not(
    client: httpx.Client, log: Log
) -> None:
    job_id = client.post("/chat", json={"query": "?"}).json()["job_id"]
    for request_id, path in (("r-1", f"/job-status/{job_id}"), ("r-2", "/job-status/mine")):
        client.get(path, headers={"X-Request-ID": request_id})
    assert log.of("r-1")[0]["job_id"] == job_id
    assert "job_id" not in log.of("r-2")[0]


def test_an_upload_of_one_file_names_its_job_and_of_several_leaves_a_line_for_each(
    client: httpx.Client, log: Log, tmp_path: Path
) -> None:
    paths = [make_pdf(tmp_path / f"{name}.pdf", ["All is well."]) for name in ("one", "two", "three")]
    for request_id, sent in (("r-1", paths[:1]), ("r-2", paths[1:])):
        files = [("files", (path.name, path.read_bytes())) for path in sent]
        assert client.post("/documents", files=files, headers={"X-Request-ID": request_id}).status_code == 202
    enqueued, request = log.of("r-1")
    assert enqueued["job_id"] == request["job_id"]
    *several, request = log.of("r-2")
    assert [line["event"] for line in several] == ["job_enqueued"] * 2
    assert len({line["job_id"] for line in several}) == 2
    assert "job_id" not in request
