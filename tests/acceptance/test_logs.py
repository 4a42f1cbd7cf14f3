"""The logs of the real processes: one grep follows a question, and nothing that is anybody's stands in them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import httpx
import pytest

from tests.acceptance.conftest import Running, start
from tests.support.credentials import api_key, bearer
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until

Line = dict[str, Any]

SECRET = "whsec_" + "Q2FuYXJ5" * 4
HEADERS = ("authorization", "webhook-signature")
CANARIES = {
    "question": "zanzibarquestion",
    "answer": "zanzibaranswer",
    "file name": "zanzibarname",
    "file": "zanzibarcontent",
    "path": "zanzibarpath",
    "model's error": "zanzibarerror",
    "webhook": "zanzibarhook",
    "webhook's secret": SECRET.removeprefix("whsec_"),
    "model's key": "sk-zanzibarkey",
}
"""What nobody may read in a log, each with a word that stands nowhere else."""


class Others(ThreadingHTTPServer):
    """The model, which refuses the first question with a 429 and many words, and the receiver of webhooks."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.refusals = 1
        self.news: list[bytes] = []


class _Handler(BaseHTTPRequestHandler):
    server: Others
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, {"object": "list", "data": [{"id": "test", "object": "model"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if CANARIES["webhook"] in self.path:
            self.server.news.append(body)
            self._answer(200, {})
        elif self.server.refusals:
            self.server.refusals -= 1
            error = {"message": CANARIES["model's error"], "type": "rate_limit", "code": "rate_limit_exceeded"}
            self._answer(429, {"error": error}, {"retry-after": "0"})
        else:
            self._stream()

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        said = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(said))}.items():
            self.send_header(name, value)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def _stream(self) -> None:
        delta = {"content": f"It holds {CANARIES['answer']} [1].", "role": "assistant"}
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "test", "choices": [choice]}
        last = chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        said = "".join(f"data: {json.dumps(one)}\n\n" for one in (chunk, last)) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@dataclass
class Site:
    """A service with a model and a receiver of webhooks, and who may ask it."""

    running: Running
    others: Others
    client: httpx.Client
    key: str
    asked: dict[str, str] = field(default_factory=dict)
    """The job of each question, by its request's id."""

    _names: ClassVar[tuple[str, ...]] = ("request_id", "job_id", "tenant")

    def ask(self, request_id: str) -> Line:
        """Ask, wait for the answer and for the news of it."""
        hook = {"url": f"{self.others.url}/{CANARIES['webhook']}?token=t", "secret": SECRET}
        query = f"Where is {CANARIES['question']}, {CANARIES['file']}?"
        body = {"query": query, "webhook": hook}
        news = len(self.others.news)
        accepted = self.client.post("/chat", json=body, headers={"X-Request-ID": request_id})
        assert accepted.status_code == 202, accepted.text
        self.asked[request_id] = accepted.json()["job_id"]
        wait_until(lambda: len(self.others.news) > news, "the news have come")
        result: Line = self.client.get(accepted.json()["urls"]["result"]).json()
        return result

    def written(self) -> str:
        return self.running.log.read_text()

    def lines(self, mark: str = "") -> list[Line]:
        """`grep mark`, as the log's lines of JSON."""
        return [json.loads(line) for line in self.written().splitlines() if mark in line and line.startswith("{")]

    def story(self, request_id: str) -> list[Line]:
        """`grep request_id`, when all of it is written, in the order of time."""
        wait_until(
            lambda: sum(line["event"] == "job_done" for line in self.lines(request_id)) == 2,
            "answer and delivery have left their last lines",
        )
        return sorted(self.lines(request_id), key=lambda line: str(line["timestamp"]))


@contextmanager
def site(folder: Path, **variables: str) -> Iterator[Site]:
    key, entry = api_key("boss", tenant="acme", role="admin")
    with Others() as others:
        thread = Thread(target=others.serve_forever, daemon=True)
        thread.start()
        running = start(
            folder,
            OPENAI_BASE_URL=f"{others.url}/v1",
            OPENAI_API_KEY=CANARIES["model's key"],
            CHAT_MODEL="test",
            API_KEYS=entry,
            WEBHOOK_ALLOW_PRIVATE="true",
            LOG_LEVEL="debug",
            **variables,
        )
        try:
            with httpx.Client(base_url=running.services.http_url, timeout=30, headers=bearer(key)) as client:
                yield Site(running, others, client, key)
        finally:
            assert running.stop() == 0, running.log.read_text()
            others.shutdown()


def upload(client: httpx.Client, folder: Path) -> Line:
    """Have a document indexed."""
    path = make_pdf(folder / f"{CANARIES['file name']}.pdf", [f"The box holds {CANARIES['file']} and a rope."])
    with path.open("rb") as opened:
        taken = client.post("/documents", files={"files": (path.name, opened)}, headers={"X-Request-ID": "r-upload"})
    assert taken.status_code == 202, taken.text
    [document] = taken.json()["documents"]
    url = f"/documents/{document['document_id']}"
    wait_until(lambda: client.get(url).json()["status"] == "indexed", "the document is indexed")
    found: Line = document
    return found


def use_everything(site: Site, document: Line) -> None:
    """Search, look at a page, ask in OpenAI's protocol, ask wrongly, and delete."""
    client, url = site.client, f"/documents/{document['document_id']}"
    body = {"query": CANARIES["question"]}
    assert client.post("/search", json=body, headers={"Prefer": "wait=30"}).status_code == 200
    assert client.get(f"{url}/pages/1", params={"quote": CANARIES["file"]}).status_code == 200
    messages = [{"role": "user", "content": CANARIES["question"]}]
    assert client.post("/v1/chat/completions", json={"model": "rag-queue", "messages": messages}).status_code == 200
    assert client.post("/chat", json={"query": [CANARIES["question"]]}).status_code == 422
    assert client.get(f"/{CANARIES['path']}?q={CANARIES['question']}").status_code == 404
    assert client.get(f"/result/{CANARIES['path']}").status_code == 404
    assert client.get("/queues", headers=bearer(f"rag_{CANARIES['path']}")).status_code == 401
    assert client.delete(url).status_code in (202, 204)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service as it is by default, but that it debugs, after a run through all that it does."""
    folder = tmp_path_factory.mktemp("quiet")
    with site(folder) as quiet:
        document = upload(quiet.client, folder)
        quiet.ask("r-refused")
        quiet.ask("r-plain")
        use_everything(quiet, document)
        yield quiet


def events(story: list[Line]) -> list[tuple[str, str | None]]:
    return [(line["event"], line.get("kind")) for line in story if line["level"] != "debug"]


@pytest.mark.parametrize(("request_id", "refusals"), [("r-plain", 0), ("r-refused", 1)])
def test_one_grep_follows_a_question_from_its_post_to_the_news_of_its_answer(
    quiet: Site, request_id: str, refusals: int
) -> None:
    story = quiet.story(request_id)
    attempt = ("job_started", "answer")
    assert sorted(events(story), key=str) == sorted(
        [
            ("request", None),
            ("job_enqueued", "answer"),
            *[attempt, ("job_failed", "answer")] * refusals,
            attempt,
            ("job_done", "answer"),
            ("webhook_enqueued", None),
            ("job_started", "webhook"),
            ("webhook_delivered", None),
            ("job_done", "webhook"),
        ],
        key=str,
    )
    names = [line["event"] for line in story]
    news = names.index("webhook_enqueued")
    assert max(names.index("job_enqueued"), names.index("job_started"), names.index("job_done")) < news
    assert news < names.index("webhook_delivered")
    whose = {"request_id": request_id, "job_id": quiet.asked[request_id], "tenant": "acme"}
    for line in story:
        assert whose.items() <= line.items(), "each line, of whichever process"
    assert {str(line["logger"]).partition(".")[0] for line in story} == {"app", "worker"}


def test_the_lines_of_an_attempt_say_what_came_of_it(quiet: Site) -> None:
    by_event: dict[str, list[Line]] = {}
    for line in quiet.story("r-refused"):
        by_event.setdefault(line["event"], []).append(line)
    [failed] = by_event["job_failed"]
    assert failed["code"] == "model_rate_limited"
    assert failed["retry_in_seconds"] >= 1
    attempts = [line for line in by_event["job_started"] if line["kind"] == "answer"]
    assert [line["attempt"] for line in attempts] == [1, 2]
    done = by_event["job_done"][0]
    assert {"mode": "model", "model": "test", "grounded": True, "citations": 1}.items() <= done.items()
    assert min(done[name] for name in ("queued_ms", "retrieval_ms", "generation_ms")) >= 0
    [request] = by_event["request"]
    assert {"method": "POST", "route": "/chat", "status": 202, "principal": "acme/boss"}.items() <= request.items()
    assert request["ms"] > 0
    [enqueued] = by_event["job_enqueued"]
    assert enqueued["queue"] == "rag_queries"


def test_one_grep_follows_an_upload_too(quiet: Site) -> None:
    def story() -> list[Line] | None:
        found = quiet.lines("r-upload")
        return found if "job_done" in [line["event"] for line in found] else None

    found = wait_until(story, "the document's job has left its last line")
    assert {"request", "job_enqueued", "job_started", "job_done"} <= {line["event"] for line in found}
    assert len({line["job_id"] for line in found}) == 1
    assert {line["tenant"] for line in found} == {"acme"}


def test_nothing_that_is_anybodys_stands_in_the_logs(quiet: Site) -> None:
    quiet.story("r-plain")
    written = quiet.written()
    assert quiet.others.refusals == 0
    assert [name for name, canary in CANARIES.items() if canary in written] == []
    assert quiet.key not in written
    assert quiet.running.services.redis_url.get_secret_value().split("@")[0] not in written
    assert len(quiet.lines()) > 40


def test_at_their_start_the_processes_say_what_is_on(quiet: Site) -> None:
    for event in ("api_started", "worker_started"):
        [line] = quiet.lines(f'"{event}"')
        assert {"model": "test", "embedding": "bm25", "auth": "keys", "metrics": "off", "caches": "off"}.items() <= (
            line.items()
        )
        assert line["model_server"] == quiet.others.url
        assert line["index"] == quiet.running.services.qdrant_url
        assert str(line["queue"]).startswith("redis://127.0.0.1:")
    assert quiet.lines('"worker_started"')[0]["concurrency"]["rag_queries"] == 32


def test_with_log_content_questions_and_answers_are_logged_and_secrets_are_not(tmp_path: Path) -> None:
    with site(tmp_path, LOG_CONTENT="true") as loud:
        document = upload(loud.client, tmp_path)
        result = loud.ask("r-loud")
        story = {(line["event"], line.get("kind")): line for line in loud.story("r-loud")}
        use_everything(loud, document)
        written = loud.written()
    question = f"Where is {CANARIES['question']}, {CANARIES['file']}?"
    assert story["job_enqueued", "answer"]["question"] == question
    assert story["job_done", "answer"]["question"] == question
    assert story["job_done", "answer"]["answer"] == result["result"]["answer"]
    told = {"question", "answer", "file"}  # of the file, what the question has of it
    assert [name for name, canary in CANARIES.items() if canary in written and name not in told] == []
    assert loud.key not in written
