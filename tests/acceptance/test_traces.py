"""What a collector is told of one question, across API, queue, worker, model and webhook: by real processes."""

import base64
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis import Redis
from rq.job import Job

from app.core.contract import ANSWER_JOB
from app.core.serializer import PlainSerializer
from app.embedded.ports import free_port
from tests.acceptance.conftest import documents, environment
from tests.acceptance.test_services_mode import UVICORN
from tests.support.model_server import ModelServer
from tests.support.otlp_receiver import OtlpReceiver, Span, shape
from tests.support.processes import wait_until
from tests.support.scripted_server import Reply, ScriptedServer

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
QUESTION = "When does the harbour open in winter?"
SECRETS = ("harbour", "handbook", "api-key-of-the-model", SECRET, "t0ken")
CALLERS_TRACE, CALLERS_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WORKER = [sys.executable, "-m", "worker"]
STOP_SECONDS = 20.0
"""For a process to end that has a grace of 60 s, and a collector that never answers."""


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def reranker() -> Iterator[ScriptedServer]:
    def reply(body: dict[str, Any]) -> Reply:
        results = [{"index": place, "relevance_score": 0.5} for place in range(len(body["documents"]))]
        return Reply(pieces=[json.dumps({"results": results}).encode()])

    server = ScriptedServer(reply)
    yield server
    server.close()


@pytest.fixture
def variables(valkey_url: str, valkey: Redis, qdrant_url: str, tmp_path: Path) -> dict[str, str]:
    return environment(
        tmp_path / "data",
        REDIS_URL=valkey_url,
        QDRANT_URL=qdrant_url,
        QDRANT_COLLECTION=f"t{uuid4().hex}",
        WEBHOOK_ALLOW_PRIVATE="true",
    )


@contextmanager
def running(command: list[str], variables: Mapping[str, str], tmp_path: Path) -> Iterator[Path]:
    """The command as a process, until the block ends; where it logs."""
    log = tmp_path / f"{uuid4().hex}.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=dict(variables), stdout=output, stderr=output)
    try:
        yield log
    finally:
        began = monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -15), log.read_text()
        assert monotonic() - began < STOP_SECONDS, "a collector has held up the end"


@contextmanager
def serving(variables: Mapping[str, str], tmp_path: Path) -> Iterator[httpx.Client]:
    port = str(free_port(0))
    with (
        running([*UVICORN, "--port", port, "--no-access-log"], variables, tmp_path),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):

        def answers() -> bool:
            try:
                return client.get("/healthz").is_success
            except httpx.HTTPError:
                return False

        wait_until(answers, "the API answers")
        yield client


@contextmanager
def hook() -> Iterator[str]:
    """A client's server; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            assert "traceparent" not in self.headers, "what is ours is told to a stranger"
            self.send_response(204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook?token=t0ken"
        server.shutdown()
        thread.join()


def ingest(variables: Mapping[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ingest", str(documents(tmp_path / "pdfs"))]
    done = subprocess.run(
        command, cwd=tmp_path, env=dict(variables), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def ask(client: httpx.Client, headers: Mapping[str, str] | None = None, **more: Any) -> str:
    """Ask, and wait for the answer; the job's id."""
    accepted = client.post("/chat", json={"query": QUESTION, **more}, headers=headers)
    assert accepted.status_code == 202, accepted.text
    job_id: str = accepted.json()["job_id"]
    wait_until(
        lambda: client.get(f"/job-status/{job_id}").json()["status"] in ("finished", "failed"), "the job has ended"
    )
    return job_id


def the(spans: list[Span], name: str) -> Span:
    [found] = [span for span in spans if span.name == name]
    return found


def test_one_question_is_one_trace(
    receiver: OtlpReceiver,
    model: ModelServer,
    reranker: ScriptedServer,
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    chat = "test-error429=1x-seed=51"
    variables |= {
        "OPENAI_BASE_URL": model.url,
        "OPENAI_API_KEY": "api-key-of-the-model",
        "CHAT_MODEL": chat,
        "EMBEDDING_MODEL": "test",
        "RERANK_URL": f"{reranker.url}/rerank",
        "RERANK_MODEL": "cross",
    }
    ingest(variables, tmp_path)
    variables |= receiver.environment()
    with serving(variables, tmp_path) as client, running(WORKER, variables, tmp_path), hook() as url:
        caller = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"}
        job_id = ask(client, caller, session_id="s1", webhook={"url": url, "secret": SECRET})
        webhooks = ("send rag_webhooks", "process rag_webhooks")  # of two processes: each tells in its own time
        spans = receiver.wait_for("POST /chat", "process rag_queries", "process rag_queries", *webhooks)
    assert shape(spans) == [
        "POST /chat",
        "  send rag_queries",
        "    process rag_queries",
        "      retrieval default",
        "        embeddings test",
        "        rerank cross",
        f"      chat {chat}",
        "    process rag_queries",
        "      retrieval default",
        "        embeddings test",
        "        rerank cross",
        f"      chat {chat}",
        "    send rag_webhooks",
        "      process rag_webhooks",
    ]
    assert {span.trace for span in spans} == {CALLERS_TRACE}
    request = the(spans, "POST /chat")
    assert (request.parent, request.kind, request.service) == (CALLERS_SPAN, "server", "rag-queue-api")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/chat",
        "http.response.status_code": 202,
    }
    sent = the(spans, "send rag_queries")
    messaging = {
        "messaging.system": "rq",
        "messaging.destination.name": "rag_queries",
        "messaging.message.id": job_id,
    }
    assert sent.kind == "producer"
    assert sent.attributes == messaging | {"messaging.operation.name": "send", "messaging.operation.type": "send"}
    attempts = receiver.named("process rag_queries")
    process = messaging | {"messaging.operation.name": "process", "messaging.operation.type": "process"}
    for attempt in attempts:
        assert (attempt.kind, attempt.service) == ("consumer", "rag-queue-worker")
        assert attempt.links == ((sent.trace, sent.id),)
    assert attempts[0].attributes == process | {"error.type": "model_rate_limited"}
    assert attempts[1].attributes == process
    assert [attempt.is_error for attempt in attempts] == [True, False]
    found = receiver.named("retrieval default")[0]
    assert found.attributes == {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "default",
        "gen_ai.retrieval.top_k": 5,
    }
    refused, answered = receiver.named(f"chat {chat}")
    assert refused.attributes["error.type"] == "model_rate_limited"
    first = answered.attributes.pop("gen_ai.response.time_to_first_chunk")
    assert 0 < first < (answered.ended - answered.began) / 1e9
    tokens = [answered.attributes.pop(f"gen_ai.usage.{way}_tokens") for way in ("input", "output")]
    assert all(count > 0 for count in tokens)
    assert answered.kind == "client"
    assert answered.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": chat,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": chat,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.conversation.id": "s1",
    }
    assert the(spans, "process rag_webhooks").attributes["messaging.message.id"] == f"{job_id}-webhook"
    told = repr(spans)
    assert not [secret for secret in SECRETS if secret in told]
    assert not [span for span in spans if span.events or span.message]


def test_a_follow_ups_rewriting_is_a_call_of_the_model_in_its_trace(
    receiver: OtlpReceiver, variables: dict[str, str], tmp_path: Path
) -> None:
    follow_up, standalone = "And in summer?", "When does the harbour open in summer?"
    ingest(variables, tmp_path)
    with ModelServer(rewrites={follow_up: standalone}) as model:
        variables |= {"OPENAI_BASE_URL": model.url, "CHAT_MODEL": "test"} | receiver.environment()
        with serving(variables, tmp_path) as client, running(WORKER, variables, tmp_path):
            ask(client, session_id="s1")
            caller = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"}
            job_id = ask(client, caller, query=follow_up, session_id="s1")
            assert client.get(f"/result/{job_id}").json()["result"]["standalone_question"] == standalone
            spans = receiver.wait_for("process rag_queries", "process rag_queries", "POST /chat", "POST /chat")
    told = [span for span in spans if span.trace == CALLERS_TRACE]
    assert shape(told) == [
        "POST /chat",
        "  send rag_queries",
        "    process rag_queries",
        "      chat test",
        "      retrieval default",
        "      chat test",
    ]
    rewriting, answering = [span for span in told if span.name == "chat test"]
    for call in (rewriting, answering):
        assert call.attributes["gen_ai.conversation.id"] == "s1"
        assert call.attributes["gen_ai.usage.input_tokens"] > 0
    assert rewriting.ended <= answering.began
    assert "harbour" not in repr(spans)


def test_of_a_question_in_the_address_nothing_is_told(
    receiver: OtlpReceiver, variables: dict[str, str], tmp_path: Path
) -> None:
    """FastAPI's own telemetry would: there is one server span, and it is ours."""
    with serving(variables | receiver.environment(), tmp_path) as client:
        assert client.post("/chat", params={"query": QUESTION}).status_code == 202
        assert client.post("/chat", headers={"traceparent": "00-" + "x" * 5_000}).status_code == 422
        for path in ("/healthz", "/readyz", "/queues", "/jobs"):
            client.get(path)
        spans = receiver.wait_for("POST /chat", "POST /chat")
    assert sorted(shape(spans)) == ["  send rag_queries", "POST /chat", "POST /chat"]
    assert len({span.trace for span in spans}) == 2
    assert "harbour" not in repr(spans)


@pytest.mark.parametrize("capture", ["", "span_only"])
def test_content_is_told_only_where_the_operator_wants_it(
    receiver: OtlpReceiver, model: ModelServer, variables: dict[str, str], tmp_path: Path, capture: str
) -> None:
    variables |= {"OPENAI_BASE_URL": model.url, "CHAT_MODEL": "test"}
    ingest(variables, tmp_path)
    variables |= receiver.environment() | {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": capture}
    with serving(variables, tmp_path) as client, running(WORKER, variables, tmp_path):
        ask(client)
        spans = receiver.wait_for("chat test", "retrieval default")
    chat, found = the(spans, "chat test"), the(spans, "retrieval default")
    content = {"gen_ai.input.messages", "gen_ai.output.messages"}
    if capture:
        assert QUESTION in chat.attributes["gen_ai.input.messages"]
        assert json.loads(chat.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"]
        assert found.attributes["gen_ai.retrieval.query.text"] == QUESTION
    else:
        assert not content & set(chat.attributes)
        assert "harbour" not in repr(spans)


def test_a_stock_worker_tells_the_same(receiver: OtlpReceiver, variables: dict[str, str], tmp_path: Path) -> None:
    ingest(variables, tmp_path)
    variables |= receiver.environment()
    with serving(variables, tmp_path) as client, running(["rq", "worker", "rag_queries"], variables, tmp_path):
        ask(client)
        spans = receiver.wait_for("process rag_queries", "POST /chat")
    assert shape(spans) == [
        "POST /chat",
        "  send rag_queries",
        "    process rag_queries",
        "      retrieval default",
    ]
    assert the(spans, "process rag_queries").service == "rag-queue-worker"


def test_a_job_that_is_sent_back_stays_in_its_trace(
    receiver: OtlpReceiver, model: ModelServer, variables: dict[str, str], tmp_path: Path
) -> None:
    variables |= {"OPENAI_BASE_URL": model.url, "CHAT_MODEL": "test-error400=1x-seed=52"}
    ingest(variables, tmp_path)
    variables |= receiver.environment()
    with serving(variables, tmp_path) as client, running(WORKER, variables, tmp_path):
        job_id = ask(client)
        assert client.post(f"/jobs/{job_id}/requeue").is_success
        wait_until(lambda: client.get(f"/job-status/{job_id}").json()["status"] == "finished", "it is answered")
        receiver.wait_for("process rag_queries", "process rag_queries")
    first, second = receiver.named("process rag_queries")
    assert (first.trace, first.parent) == (second.trace, second.parent)
    assert first.attributes["error.type"] == "model_rejected"


def test_an_upload_and_a_run_of_ingest_have_their_traces(
    receiver: OtlpReceiver, model: ModelServer, variables: dict[str, str], tmp_path: Path
) -> None:
    variables |= receiver.environment() | {"OPENAI_BASE_URL": model.url, "EMBEDDING_MODEL": "test"}
    file = documents(tmp_path / "pdfs") / "handbook.pdf"
    with serving(variables, tmp_path) as client, running(WORKER, variables, tmp_path):
        answer = client.post("/documents", files={"files": ("handbook.pdf", file.read_bytes(), "application/pdf")})
        assert answer.status_code == 202, answer.text
        spans = receiver.wait_for("process rag_ingest", "POST /documents")
    assert shape(spans) == [
        "POST /documents",
        "  send rag_ingest",
        "    process rag_ingest",
        "      index document",
        "        read document",
        "        embeddings test",  # of a word, which tells the size that a new collection needs
        "        embeddings test",
        "        write chunks",
    ]
    indexed = the(spans, "index document")
    assert indexed.attributes == {"rag.document.pages": 2, "rag.document.chunks": 2}
    with OtlpReceiver() as other:
        ingest(variables | other.environment() | {"QDRANT_COLLECTION": f"t{uuid4().hex}"}, tmp_path)
        names = ["  read document", "  embeddings test", "  embeddings test", "  write chunks"]
        assert shape(other.spans) == ["index documents", *names]
        assert {span.service for span in other.spans} == {"rag-queue-ingest"}
        assert "handbook" not in repr(other.spans)


def test_what_the_sampler_leaves_out_is_left_out_by_all(
    receiver: OtlpReceiver, variables: dict[str, str], tmp_path: Path
) -> None:
    """The API decides, and the worker keeps to it, though it would sample all that has no parent."""
    ingest(variables, tmp_path)
    never = receiver.environment() | {
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0",
    }
    with (
        serving(variables | never, tmp_path) as client,
        running(WORKER, variables | receiver.environment(), tmp_path),
    ):
        ask(client)
        caller = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"}
        ask(client, caller)
        spans = receiver.wait_for("process rag_queries", "POST /chat")
    assert {span.trace for span in spans} == {CALLERS_TRACE}


HOSTILE: tuple[object, ...] = (
    b"x" * 1_000,
    ["00"],
    7,
    {"a": {}},
    f"00-{'0' * 32}-{CALLERS_SPAN}-01",
    f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01\n",
)


def test_jobs_whose_records_name_no_place_begin_traces_of_their_own(
    receiver: OtlpReceiver, valkey: Redis, variables: dict[str, str], tmp_path: Path
) -> None:
    ids = {uuid4().hex: hostile for hostile in HOSTILE}
    for job_id, hostile in ids.items():
        enqueue(valkey, job_id, hostile)
    with running(WORKER, variables | receiver.environment(), tmp_path):
        receiver.wait_for(*["process rag_queries"] * len(HOSTILE))
    processes = {str(span.attributes["messaging.message.id"]): span for span in receiver.named("process rag_queries")}
    assert processes.keys() == ids.keys()
    wrong = {job_id: (span.parent, span.links) for job_id, span in processes.items() if span.parent or span.links}
    assert not wrong, [(ids[job_id], *found) for job_id, found in wrong.items()]
    traces = {span.trace for span in processes.values()}
    assert len(traces) == len(HOSTILE)
    assert CALLERS_TRACE not in traces


def enqueue(valkey: Redis, job_id: str, traceparent: object) -> None:
    """A question with this in its record, as somebody has written it who can write to Valkey."""
    call: Any = (ANSWER_JOB, None, ({"query": "?", "tenant": "default", "collection": "default"},), {})
    meta = {"tenant": "default", "kind": "answer", "retries": 0, "traceparent": traceparent}
    valkey.hset(
        Job.key_for(job_id),
        mapping={
            "created_at": "2026-11-26T00:00:00.000000Z",
            "enqueued_at": "2026-11-26T00:00:00.000000Z",
            "origin": "rag_queries",
            "status": "queued",
            "timeout": "60",
            "data": PlainSerializer.dumps(call),
            "meta": PlainSerializer.dumps(meta),
        },
    )
    valkey.rpush("rq:queue:rag_queries", job_id)


@contextmanager
def hanging() -> Iterator[str]:
    """A collector that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def dead() -> Iterator[str]:
    """A port on which nobody listens."""
    yield f"http://127.0.0.1:{free_port(0)}"


@pytest.mark.parametrize("collector", [hanging, dead])
def test_a_collector_that_is_no_help_holds_up_nothing(
    variables: dict[str, str], tmp_path: Path, collector: Any
) -> None:
    """Neither questions, nor the processes' end (`running`); and it is told of once, without its address."""
    ingest(variables, tmp_path)
    with collector() as url:
        variables |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        }
        with serving(variables, tmp_path) as client, running(WORKER, variables, tmp_path) as log:
            for _ in range(5):
                ask(client)
            wait_until(lambda: "spans_lost" in log.read_text(), "the loss is told")
            ask(client)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [line for line in lines if line["event"] == "spans_lost"]
    assert len(told) == 1
    assert told[0]["level"] == "warning"
    assert url.rpartition(":")[2] not in json.dumps([line for line in lines if line["event"] != "worker_started"])
