"""What is erased is in no store any more: a tenant's words are looked for in all of Valkey and in every file."""

import base64
import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from app.chat_log.place import FILE_NAME
from tests.acceptance.conftest import Running, start
from tests.support.contents import everything_in
from tests.support.credentials import api_key, bearer
from tests.support.model_server import ModelServer
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until

ACME_KEY, ACME = api_key("anna", tenant="acme", role="admin")
OTHER_KEY, OTHER = api_key("otto", tenant="other", role="admin")
OPERATOR_KEY, OPERATOR = api_key("olga", role="admin")
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()

PLACES = (
    "filename",
    "title",
    "text",
    "question",
    "search",
    "session",
    "webhook",
    "metadata",
    "waiting",
    "trace",
    "collection",
    "batch",
)
"""Where a tenant's words come from."""


def words(tenant: str) -> dict[str, str]:
    """A word of the tenant's own for each of the places."""
    return {place: f"zq{tenant}{place}wort" for place in PLACES}


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, model: ModelServer) -> Iterator[Running]:
    running = start(
        tmp_path,
        API_KEYS=",".join((ACME, OTHER, OPERATOR)),
        OPENAI_BASE_URL=model.url,
        OPENAI_API_KEY="none",
        CHAT_MODEL="test",
        EMBEDDING_MODEL="text-embedding-3-small",
        ANSWER_CACHE_TTL_SECONDS="3600",
        SEMANTIC_CACHE_THRESHOLD="0.01",
        WEBHOOK_ALLOW_PRIVATE="true",
    )
    yield running
    if running.process.poll() is None:
        running.stop()


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """The job's result, once it has ended."""
    body: dict[str, Any] = {}

    def is_over() -> bool:
        answer = client.get(f"/result/{job_id}", params={"wait": 10})
        body.update(answer.json())
        return answer.status_code == 200

    wait_until(is_over, f"the job {job_id} ends", seconds=120)
    return body


def busy(client: httpx.Client, tenant: str, folder: Path) -> list[str]:
    """Let the tenant use all that there is; the ids of its jobs. The file to upload is made in `folder`."""
    own = words(tenant)
    text = [f"The harbour of {own['text']} opens at six in winter.", f"Every boat of {own['text']} is washed."]
    file = make_pdf(folder / f"{own['filename']}.pdf", text, title=own["title"])
    upload = client.post(
        "/documents",
        files={"files": (file.name, file.read_bytes(), "application/pdf")},
        headers={"Idempotency-Key": own["trace"]},
    )
    (document,) = upload.raise_for_status().json()["documents"]
    jobs = [document["job_id"]]
    assert ended(client, jobs[0])["status"] == "finished"
    page = f"/documents/{document['document_id']}/pages/1"
    assert client.get(page, params={"quote": "opens at six", "wait": 20}).status_code == 200
    assert client.get(f"{page}.png").status_code == 200
    said = {"title": own["collection"], "instructions": f"Say {own['collection']}."}
    client.put("/collections/default", json=said).raise_for_status()
    hook = {"url": f"http://127.0.0.1:9/{own['webhook']}", "secret": SECRET}
    questions: list[dict[str, Any]] = [
        {"query": f"When does the harbour of {own['text']} open, {own['question']}?", "webhook": hook},
        {"query": f"Is every boat of {own['text']} washed?", "session_id": own["session"]},
    ]
    for question in questions:
        jobs.append(client.post("/chat", json=question).raise_for_status().json()["job_id"])
    assert ended(client, jobs[1])["status"] == "finished"
    reworded = {"query": f"Hello, when does harbour of {own['text']} open, {own['question']}?"}
    jobs.append(client.post("/chat", json=reworded).raise_for_status().json()["job_id"])
    assert ended(client, jobs[-1])["result"]["cached"] == "semantic"
    jobs.append(client.post("/search", json={"query": own["search"]}).raise_for_status().json()["job_id"])
    response = client.post(
        "/v1/responses",
        json={"model": "rag-queue", "input": own["question"], "metadata": {"note": own["metadata"]}, "store": True},
        timeout=60,
    )
    jobs.append(response.raise_for_status().json()["id"].removeprefix("resp_"))
    for job_id in jobs:
        assert ended(client, job_id)["status"] == "finished"
    run_batch(client, own["batch"])
    return jobs


def run_batch(client: httpx.Client, word: str) -> None:
    """A batch of one line, to its end: its file, its output and its record have `word`."""
    line = {"custom_id": word, "method": "POST", "url": "/chat", "body": {"query": f"What is {word}?"}}
    file = {"file": (f"{word}.jsonl", json.dumps(line).encode())}
    uploaded = client.post("/v1/files", data={"purpose": "batch"}, files=file).raise_for_status().json()["id"]
    asked = {"input_file_id": uploaded, "endpoint": "/chat", "completion_window": "24h", "metadata": {"note": word}}
    batch_id = client.post("/v1/batches", json=asked).raise_for_status().json()["id"]
    wait_until(lambda: client.get(f"/v1/batches/{batch_id}").json()["status"] == "completed", "the batch ends")


def found_in_files(folder: Path, looked_for: list[str]) -> dict[str, list[str]]:
    """Which of the words stand in which files below `folder`, by name or within, compressed or not."""
    found: dict[str, list[str]] = {}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # a store has just replaced it
            continue
        content = str(path).encode() + data + b"".join(_inflated(data))
        for word in looked_for:
            if word.encode() in content:
                found.setdefault(word, []).append(str(path.relative_to(folder)))
    return found


def in_chat_log(data: Path, word: str) -> bool:
    return any(name.startswith(FILE_NAME) for name in found_in_files(data, [word]).get(word, ()))


def _inflated(data: bytes) -> Iterator[bytes]:
    """What RQ has compressed in Valkey's append-only file, and a PDF's streams."""
    for mark in (b"\x78\x01", b"\x78\x9c", b"\x78\xda"):
        at = data.find(mark)
        while at >= 0:
            with suppress(zlib.error):
                yield zlib.decompressobj().decompress(data[at : at + (1 << 20)])
            at = data.find(mark, at + 1)


def test_no_store_holds_a_word_of_an_erased_tenant(
    service: Running, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files, data = tmp_path_factory.mktemp("files"), tmp_path / "data"
    with ExitStack() as stack:
        acme, other, operator = (
            stack.enter_context(httpx.Client(base_url=service.services.http_url, headers=bearer(key), timeout=60))
            for key in (ACME_KEY, OTHER_KEY, OPERATOR_KEY)
        )
        valkey = stack.enter_context(Redis.from_url(service.services.redis_url.get_secret_value()))
        jobs, others = busy(acme, "acme", files), busy(other, "other", files)
        own = [*words("acme").values(), *(f"rq:job:{job_id}" for job_id in jobs)]
        asked = words("acme")["question"]
        wait_until(lambda: in_chat_log(data, asked), "the chat log has the question")
        before = everything_in(valkey)
        on_disk = found_in_files(data, own)
        unseen = [word for word in own if word.encode() not in before and word not in on_disk]
        assert unseen == [words("acme")[name] for name in ("waiting", "trace")], "else the test looks for nothing"

        assert operator.delete("/tenants/acme").status_code == 202
        accepted = acme.delete("/tenants/acme")
        assert accepted.status_code in (202, 409), "twice at once is once"
        mine = operator.delete("/tenants/acme").raise_for_status().json()["job_id"]
        told = ended(operator, mine)
        assert told["status"] == "finished", told

        def no_more() -> bool:
            left = [word for word in own if word.encode() in everything_in(valkey)]
            return not left and not found_in_files(data, own)

        wait_until(no_more, "every word is gone from Valkey and from the disk", seconds=30)
        assert acme.get("/documents").json()["documents"] == []
        assert [acme.get(f"/result/{job_id}").status_code for job_id in jobs] == [404] * len(jobs)

        assert in_chat_log(data, words("other")["question"])
        assert [ended(other, job_id)["status"] for job_id in others] == ["finished"] * len(others)
        assert len(other.get("/documents").json()["documents"]) == 1
        session = words("other")["session"]
        assert other.delete(f"/conversations/{session}").status_code == 204
        assert other.get(f"/result/{others[2]}").status_code == 404, "the jobs of its turns go with a conversation"
        wait_until(lambda: not in_chat_log(data, session), "the chat log has nothing of it")
        question = {"query": f"When does the harbour of {words('other')['text']} open?"}
        answer = ended(other, other.post("/chat", json=question).raise_for_status().json()["job_id"])
        assert answer["result"]["grounded"], "another tenant's documents are searched as before"
        assert busy(acme, "acme", files), "the tenant may begin anew"
