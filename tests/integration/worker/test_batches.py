"""OpenAI's files and batches from end to end: the official SDK, the API, a real worker, a real index and a model."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import openai
import pytest
from openai import OpenAI
from redis import Redis

from app.batches import runner
from app.core.settings import Settings
from app.routes.openai import batches as routes
from tests.integration.worker.test_openai_worker import settings as shared_settings
from tests.integration.worker.test_worker import working
from tests.support import ROOT
from tests.support.api import serving
from tests.support.batches import QUESTION, create, ended, json_lines, line, read
from tests.support.credentials import api_key
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until

__all__ = ["shared_settings"]

KEYS = {tenant: api_key("client", tenant=tenant, role="ask") for tenant in ("default", "other")}


@pytest.fixture
def settings(shared_settings: Settings, tmp_path: Path) -> Settings:
    return shared_settings.model_copy(
        update={
            "data_dir": tmp_path / "data",
            "api_keys": tuple(entry for _, entry in KEYS.values()),
            "chat_model": f"test-seed={uuid4().int % 10**6}",
            "worker_concurrency": 8,
            "embedding_model": None,
        }
    )


@pytest.fixture
def api(settings: Settings, valkey: Redis) -> Iterator[str]:
    with serving(settings) as url:
        yield f"{url}/v1"


@pytest.fixture
def client(api: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=api, api_key=KEYS["default"][0], max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def other(api: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=api, api_key=KEYS["other"][0], max_retries=0, timeout=60) as client:
        yield client


def custom_ids(*files: list[dict[str, Any]]) -> Counter[str]:
    return Counter(each["custom_id"] for file in files for each in file)


def test_the_official_package_drives_a_batch_from_its_file_to_its_answers(
    client: OpenAI, settings: Settings, tmp_path: Path, model: ModelServer
) -> None:
    lines = [line(number) for number in range(60)]
    lines[7] = line(7, n=2)
    lines[8] = line(8, model="rag-queue:nothing-here")
    before = model.stats()["requests"]
    batch = create(client, tmp_path, lines)
    assert batch.status == "validating"
    with working(settings):
        batch = ended(client, batch.id)
    assert batch.status == "completed", batch
    counts = batch.request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (60, 58, 2)
    assert model.stats()["requests"] - before == 58
    output, errors = read(client, batch.output_file_id), read(client, batch.error_file_id)
    assert custom_ids(output, errors) == Counter(f"line-{number}" for number in range(60))
    answer = output[0]["response"]
    assert (answer["status_code"], output[0]["error"]) == (200, None)
    message = answer["body"]["choices"][0]["message"]
    assert message["annotations"][0]["url_citation"]["title"] == "handbook.pdf, page 1"
    assert {each["custom_id"]: each["response"]["status_code"] for each in errors} == {"line-7": 400, "line-8": 404}
    assert {each["response"]["body"]["error"]["param"] for each in errors} == {"n", "model"}
    assert all(each["id"].startswith("batch_req_") for each in (*output, *errors))
    assert [file.purpose for file in client.files.list()] == ["batch_output", "batch_output", "batch"]
    assert [each.id for each in client.batches.list()] == [batch.id]


@pytest.mark.parametrize("endpoint", ["/v1/responses", "/chat"])
def test_the_lines_of_other_routes_are_answered_as_those_answer(
    client: OpenAI, settings: Settings, tmp_path: Path, endpoint: str
) -> None:
    wrong = {"top_k": "many"} if endpoint == "/chat" else {"stream": True}
    lines = [line(0, endpoint), line(1, endpoint, **wrong), line(2, endpoint)]
    batch = create(client, tmp_path, lines, endpoint)
    with working(settings):
        batch = ended(client, batch.id)
    output, errors = read(client, batch.output_file_id), read(client, batch.error_file_id)
    assert custom_ids(output) == Counter(["line-0", "line-2"])
    assert custom_ids(errors) == Counter(["line-1"])
    body, refused = output[0]["response"]["body"], errors[0]["response"]
    if endpoint == "/chat":
        assert body["status"] == "finished"
        assert body["result"]["citations"][0]["page"] == 1
        assert body["result"]["citations"][0]["url"].startswith("http://127.0.0.1")
        assert (refused["status_code"], refused["body"]["type"]) == (422, "urn:problem:invalid-request")
    else:
        assert body["status"] == "completed"
        assert "[1]" in body["output"][0]["content"][0]["text"]
        assert (refused["status_code"], refused["body"]["error"]["param"]) == (400, "stream")


def test_embeddings_are_made_in_a_batch(settings: Settings, valkey: Redis, tmp_path: Path) -> None:
    embedding = settings.model_copy(update={"embedding_model": "text-embedding-3-small", "chat_model": "test"})
    with (
        serving(embedding) as url,
        OpenAI(base_url=f"{url}/v1", api_key=KEYS["default"][0], max_retries=0) as client,
        working(embedding),
    ):
        lines = [line(1, "/v1/embeddings"), line(2, "/v1/embeddings", model="unknown")]
        batch = ended(client, create(client, tmp_path, lines, "/v1/embeddings").id)
        [made], [refused] = read(client, batch.output_file_id), read(client, batch.error_file_id)
        plain = client.embeddings.create(model="text-embedding-3-small", input=QUESTION).data[0].embedding
    assert made["response"]["body"]["data"][0]["embedding"] == pytest.approx(plain)
    assert refused["response"]["status_code"] == 404


def test_the_program_of_the_page_on_batches_runs_as_it_stands(
    api: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/how-to/batches.md").read_text()
    program = page.partition("```python\n")[2].partition("```")[0]
    assert "http://localhost:8000/v1" in program
    monkeypatch.chdir(tmp_path)
    program = program.replace("http://localhost:8000/v1", api).replace("rag_…", KEYS["default"][0])
    with working(settings):
        exec(program.replace("time.sleep(10)", "time.sleep(0.2)"), {})
    told = capsys.readouterr().out
    assert "BatchRequestCounts(completed=2, failed=0, total=2)" in told
    assert "q-0 completed" in told
    assert "q-1 completed" in told


def test_a_line_that_the_model_fails_is_its_own_misfortune(
    client: OpenAI, settings: Settings, tmp_path: Path
) -> None:
    failing = settings.model_copy(update={"chat_model": f"test-error400=1x-seed={uuid4().int % 10**6}"})
    batch = create(client, tmp_path, [line(number) for number in range(5)])
    with working(failing):
        batch = ended(client, batch.id)
    output, errors = read(client, batch.output_file_id), read(client, batch.error_file_id)
    assert (batch.status, len(output), len(errors)) == ("completed", 4, 1)
    assert errors[0]["response"]["status_code"] >= 400
    assert errors[0]["response"]["body"]["error"]["message"]


def test_a_file_with_wrong_lines_fails_before_anything_is_asked(
    client: OpenAI, valkey: Redis, tmp_path: Path
) -> None:
    wrong = [line(0), line(0), line(1) | {"url": "/v1/responses"}, {"custom_id": "x"}]
    batch = ended(client, create(client, tmp_path, json_lines(wrong) + b"{oh\n").id)
    assert (batch.status, batch.output_file_id) == ("failed", None)
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [(each.code, each.line) for each in batch.errors.data] == [
        ("duplicate_custom_id", 2),
        ("invalid_url", 3),
        ("missing_required_parameter", 4),
        ("invalid_json_line", 5),
    ]
    assert valkey.zcard("rq:finished:rag_queries") == 0
    assert not list(valkey.keys("rq:job:*"))


def test_a_cancelled_batch_keeps_what_is_answered_and_says_what_is_not(
    client: OpenAI, settings: Settings, tmp_path: Path, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "IN_FLIGHT_MAX", 20)
    held = settings.model_copy(update={"chat_model": f"test-hold=held-seed={uuid4().int % 10**6}"})
    lines = [line(number) for number in range(100)]
    lines[5] = line(5, messages=[{"role": "user", "content": f"{QUESTION} held"}])
    with serving(settings) as url, OpenAI(base_url=f"{url}/v1", api_key=KEYS["default"][0]) as second:
        batch = create(second, tmp_path, lines[:6])
        with working(held):
            wait_until(lambda: done_of(second, batch.id) >= 5, "five lines are answered", seconds=30)
            told = second.batches.cancel(batch.id)
            assert (told.status, bool(told.cancelling_at)) == ("cancelling", True)
            batch = ended(second, batch.id)
        output, errors = read(second, batch.output_file_id), read(second, batch.error_file_id)
        assert (batch.status, len(output)) == ("cancelled", 5)
        assert [(each["custom_id"], each["error"]["code"]) for each in errors] == [("line-5", "batch_cancelled")]
        assert second.batches.cancel(batch.id).status == "cancelled"


def done_of(client: OpenAI, batch_id: str) -> int:
    counts = client.batches.retrieve(batch_id).request_counts
    return counts.completed if counts is not None else 0


def test_what_is_not_done_in_time_has_expired(
    client: OpenAI, valkey: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker runs; the window holds two lines of five."""
    monkeypatch.setattr(routes, "WINDOW_SECONDS", 2)
    batch = create(client, tmp_path, [line(number) for number in range(5)])
    assert batch.expires_at == batch.created_at + 2
    batch = ended(client, batch.id)
    errors = read(client, batch.error_file_id)
    assert (batch.status, batch.output_file_id) == ("expired", None)
    assert custom_ids(errors) == Counter(f"line-{number}" for number in range(5))
    assert {each["error"]["code"] for each in errors} == {"batch_expired"}
    counts = batch.request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (5, 0, 5)
    assert valkey.zcard("rag:line:rag_queries:low") == valkey.llen("rq:queue:rag_queries") == 0


def test_lines_wait_at_low_priority_and_while_their_keys_budget_is_spent(
    settings: Settings, valkey: Redis, tmp_path: Path
) -> None:
    key, entry = api_key("thrifty", role="ask", tokens="1/day", weight=7)
    with (
        serving(settings.model_copy(update={"api_keys": (entry,)})) as url,
        OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client,
    ):
        batch = create(client, tmp_path, [line(number) for number in range(3)])
        wait_until(lambda: len(valkey.keys("rq:job:*")) == 3, "its lines wait")
        [job] = valkey.keys("rq:job:*")[:1]
        assert valkey.hmget(job, "priority", "weight", "asker") == [b"low", b"7", b"thrifty"]
        valkey.hset(f"rag:spent:{datetime.now(UTC):%Y-%m-%d}:default", "thrifty", 2)
        second = create(client, tmp_path, [line(number) for number in range(3)])
        wait_until(lambda: client.batches.retrieve(second.id).status == "in_progress", "it has begun")
        with working(settings):
            wait_until(lambda: client.batches.retrieve(batch.id).status == "completed", "the first is answered")
        assert len(valkey.keys("rq:job:*")) == 3
        assert client.batches.retrieve(second.id).status == "in_progress"
        valkey.delete(f"rag:spent:{datetime.now(UTC):%Y-%m-%d}:default")
        wait_until(lambda: len(valkey.keys("rq:job:*")) == 6, "the budget is whole again, and its lines are asked")


def test_what_a_batch_has_left_in_valkey_goes_soon(
    client: OpenAI, settings: Settings, valkey: Redis, tmp_path: Path
) -> None:
    batch = create(client, tmp_path, [line(number) for number in range(3)])
    with working(settings):
        batch = ended(client, batch.id)
    wait_until(lambda: not valkey.exists(f"rag:batch-parts:default/{batch.id}"), "it is closed")
    jobs = valkey.keys("rq:job:*")
    assert len(jobs) == 3
    assert all(0 < valkey.ttl(key) <= runner.FORGET_SECONDS for key in (*jobs, *valkey.keys("rag:idempotency:*")))
    assert not valkey.exists(f"rag:batch-lines:default/{batch.id}")
    assert valkey.zcard("rag:batches-open") == 0
    kept = sorted(path.name for path in (settings.data_dir / "documents").rglob("*") if path.is_file())
    assert kept == sorted(name for name in (batch.input_file_id, batch.output_file_id) if name)


def test_files_are_listed_in_pages_read_and_deleted(client: OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.jsonl", b"{}\n"), purpose="batch").id for n in range(5)]
    assert [file.id for file in client.files.list(limit=2)] == made[::-1]
    assert [file.id for file in client.files.list(limit=2, order="asc")] == made
    assert [file.id for file in client.files.list(purpose="batch_output")] == []
    kept = client.files.retrieve(made[0])
    assert (kept.filename, kept.bytes, kept.purpose, kept.object) == ("0.jsonl", 3, "batch", "file")
    assert client.files.content(made[0]).read() == b"{}\n"
    assert client.files.delete(made[0]).deleted
    for gone in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            gone(made[0])


def test_files_and_batches_are_their_tenants_alone(client: OpenAI, other: OpenAI, tmp_path: Path) -> None:
    batch = create(client, tmp_path, [line(0)])
    for refused in (other.files.retrieve, other.files.content, other.files.delete):
        with pytest.raises(openai.NotFoundError):
            refused(batch.input_file_id)
    for refused_batch in (other.batches.retrieve, other.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            refused_batch(batch.id)
    with pytest.raises(openai.BadRequestError) as caught:
        other.batches.create(input_file_id=batch.input_file_id, endpoint="/v1/responses", completion_window="24h")
    assert caught.value.param == "input_file_id"
    assert [*other.files.list(), *other.batches.list()] == []


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"purpose": "assistants"}, "purpose"),
        ({"expires_after": {"anchor": "created_at", "seconds": 5}}, "expires_after"),
    ],
)
def test_what_a_file_can_not_be_is_refused(client: OpenAI, given: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.create(**{"file": ("a.jsonl", b"{}"), "purpose": "batch", **given})
    assert caught.value.param == param


def test_files_count_as_stored_bytes(settings: Settings, valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        serving(settings.model_copy(update={"tenant_max_stored_mb": 1})) as url,
        OpenAI(base_url=f"{url}/v1", api_key=KEYS["default"][0], max_retries=0) as client,
    ):
        first = client.files.create(file=("a.jsonl", b"x" * 700_000), purpose="batch")
        with pytest.raises(openai.RateLimitError):
            client.files.create(file=("b.jsonl", b"x" * 700_000), purpose="batch")
        assert len(list((settings.data_dir / "documents").rglob("file-*"))) == 1
        client.files.delete(first.id)
        assert client.files.create(file=("b.jsonl", b"x" * 700_000), purpose="batch").bytes == 700_000
